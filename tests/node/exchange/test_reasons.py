"""A kept refusal is told as a sentence, in the reader's language, without figures it never kept."""

import re
from pathlib import Path

import pytest

import node.exchange.pages  # noqa: F401  # with it come all refusals
from node.exchange.reasons import reason
from node.web.language import language

PROTOCOL = Path(__file__).parents[3].joinpath("docs", "protocol.md").read_text(encoding="utf-8")
TABLE = PROTOCOL.partition("### Who may say no")[2].partition("\n## ")[0]
CODES = sorted(set(re.findall(r"\| `([a-z]+\.[a-z_]+)` \|", TABLE)))
BEGIN_ONLY = {"exchange.peer_backlog"}  # said at once with its figures; no row is begun


@pytest.mark.parametrize("code", [code for code in CODES if code not in BEGIN_ONLY])
def test_every_refusal_of_the_protocol_is_a_sentence(code: str) -> None:
    said = {}
    for tongue in ("en", "zh"):
        token = language.set(tongue)
        said[tongue] = reason(code)
        language.reset(token)
    assert said["en"] != said["zh"]
    assert not any(code in text or "{" in text for text in said.values())


def test_a_code_that_only_a_neighbour_knows_is_shown_as_it_came() -> None:
    token = language.set("en")
    assert reason("exchange.from_tomorrow") == "It was refused (exchange.from_tomorrow)."
    language.reset(token)


def test_the_table_was_found() -> None:
    assert "exchange.gift_code_unknown" in CODES
    assert len(CODES) > 10
