"""Every word of the dashboard is there in Chinese."""

import re
from pathlib import Path

from coordinator import rules, training
from coordinator.dashboard import translator
from coordinator.model import CommunityState, TrainingState

TEMPLATE = Path(rules.__file__).parent / "templates" / "dashboard.html"
SENTENCES = re.compile(r"""_\((["'])(.+?)\1\)""")
REASONS = (
    rules.NO_ANSWER,
    rules.NO_SIGNATURE,
    rules.NOT_ON_CHAIN,
    rules.OTHER_SIGNER,
    rules.PAST_LIMIT,
)


def test_nothing_is_left_in_english() -> None:
    said = {found[2] for found in SENTENCES.finditer(TEMPLATE.read_text(encoding="utf-8"))}
    assert len(said) > 30
    values = {*CommunityState, *TrainingState, *rules.RoundState, *training.ARMS, *REASONS}
    chinese = translator("zh")
    assert not sorted(word for word in said | {str(one) for one in values} if chinese(word) == word)


def test_english_is_what_is_written() -> None:
    assert translator("en")("Communities") == "Communities"
