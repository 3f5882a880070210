"""What is promised about privacy: figures that an accountant computed, and words for a council.

Two mechanisms, accounted by dp-accounting (no figure here is typed in):

`counts`   each day's count of each category carries two-sided geometric noise that the community
           drew once (node/forecast/noise.py). Whatever is computed from the noised counts alone is
           post-processing, so the promise does not depend on rounds, weights or the coordinator.
`updates`  the change that a community sends is clipped and Gaussian noise is added to the sum.
           It protects the whole community, and needs hundreds of them to be of use.

They protect different things and are not added up: a card that has both says both.
"""

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.errors import PrivacyTooWeak, RunConfigInvalid

Values = NDArray[np.float64]

COUNTS, UPDATES = "counts", "updates"
DELTA_MAX = 1e-3  # for the second mechanism; smaller still where there are many communities
NOISE_MULTIPLIER_MAX = 1000.0
GRID = 1e-4  # of the accountant's privacy loss; it rounds towards the larger epsilon
WEEKLY_LIMIT_MAX = 1000


@dataclass(frozen=True)
class Promise:
    """One mechanism's promise, as the model's card and the community's page show it."""

    mechanism: str
    unit: str  # what is protected: whose presence or absence cannot be told
    epsilon: float
    delta: float
    week_epsilon: float | None  # of all requests of one resident in one calendar week
    weekly_limit: int | None
    noise: str
    accountant: str
    words: Mapping[str, Sequence[str]]  # "en" and "zh": one sentence each
    not_covered: Mapping[str, Sequence[str]]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def for_counts(epsilon: Fraction, *, weekly_limit: int) -> Promise:
    """What noise on the counts promises: per request, and per resident and week."""
    from dp_accounting.pld import privacy_loss_distribution  # type: ignore[import-untyped] # none

    if not 0 < epsilon <= 100 or not 1 <= weekly_limit <= WEEKLY_LIMIT_MAX:
        raise RunConfigInvalid(name="epsilon", value=f"{epsilon}, weekly limit {weekly_limit}")
    one = privacy_loss_distribution.from_discrete_laplace_mechanism(
        parameter=float(epsilon), sensitivity=1, value_discretization_interval=GRID
    )
    event = float(one.get_epsilon_for_delta(0.0))
    week = float(one.self_compose(weekly_limit).get_epsilon_for_delta(0.0))
    return Promise(
        mechanism=COUNTS,
        unit="one request",
        epsilon=round(event, 6),
        delta=0.0,
        week_epsilon=round(week, 6),
        weekly_limit=weekly_limit,
        noise=f"two-sided geometric, parameter exp(-{epsilon}), drawn once per day and category",
        accountant=_accountant(),
        words=_count_words(event, week, weekly_limit),
        not_covered=COUNTS_NOT_COVERED,
    )


def for_updates(*, noise_multiplier: float, rounds: int, communities: int) -> Promise:
    """What clipping and noising every round's sum promises to each community as a whole."""
    import dp_accounting  # type: ignore[import-untyped] # it has none
    from dp_accounting.pld import PLDAccountant

    if not 0 < noise_multiplier <= NOISE_MULTIPLIER_MAX:
        raise RunConfigInvalid(name="update-noise-multiplier", value=str(noise_multiplier))
    delta = min(DELTA_MAX, 1 / (10 * communities))
    accountant = PLDAccountant(dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    accountant.compose(dp_accounting.GaussianDpEvent(noise_multiplier), rounds)
    epsilon = float(accountant.get_epsilon(delta))
    return Promise(
        mechanism=UPDATES,
        unit="everything one community has",
        epsilon=round(epsilon, 6),
        delta=delta,
        week_epsilon=None,
        weekly_limit=None,
        noise=f"Gaussian on the sum, {noise_multiplier:g} times the clipping norm, {rounds} rounds",
        accountant=_accountant(),
        words=_update_words(epsilon, delta, rounds),
        not_covered=UPDATES_NOT_COVERED,
    )


def check_promise(*, own_epsilon: float | None, promised: float) -> None:
    """The node's own rule: take part in a run that promises `promised` only if it holds here.

    0 promises nothing. A community whose own noise is stronger keeps every promise.
    """
    if not (math.isfinite(promised) and promised >= 0):
        raise RunConfigInvalid(name="count-epsilon", value=str(promised))
    if promised and (own_epsilon is None or own_epsilon > promised):
        raise PrivacyTooWeak(own=f"{own_epsilon:g}" if own_epsilon else "none", run=f"{promised:g}")


def share_of_noise(values: Values, *, norm_max: float, multiplier: float, members: int) -> Values:
    """A clipped change with this community's share of the noise, so that the sum carries enough.

    `members` is the smallest number whose sum the office can open: with more, there is more noise.
    Whoever takes part knows its own share; against k colluding members it is short of k shares.
    """
    if multiplier == 0:
        return values
    spread = multiplier * norm_max / math.sqrt(members)
    gauss = secrets.SystemRandom().gauss
    return np.asarray(values + [gauss(0.0, spread) for _ in range(values.size)])


def _accountant() -> str:
    return f"dp-accounting {version('dp-accounting')}, privacy loss distribution"


def right_guesses_percent(epsilon: float, delta: float = 0.0) -> int:
    """Of 100 guesses between "it was there" and "it was not", how many at most are right.

    The best that any test can do between two equally likely cases under (epsilon, delta)
    (Kairouz, Oh and Viswanath 2015); rounded up.
    """
    return math.ceil(100 * (math.exp(epsilon) + delta) / (1 + math.exp(epsilon)) - 1e-9)


def _count_words(event: float, week: float, limit: int) -> dict[str, list[str]]:
    one, all_of_week = right_guesses_percent(event), right_guesses_percent(week)
    return {
        "en": [
            f"Epsilon {event:.2f} for one request: whoever knows everything except whether this "
            f"request was made, and sees all that leaves, guesses right at most {one} times in "
            "100. Tossing a coin is right 50 times.",
            "Delta 0: the promise has no exception.",
            f"At most {limit} requests of one resident and calendar week enter. For all of them "
            f"together it is epsilon {week:.2f}: at most {all_of_week} right guesses in 100.",
            "Training again, longer or with others does not weaken it: the noise was drawn once, "
            "before.",
        ],
        "zh": [
            f"单件诉求的 ε（隐私预算）为 {event:.2f}：即使有人知道除“这件诉求是否提交过”以外的"
            f"一切，并看到全部外传内容，100 次猜测最多猜对 {one} 次；抛硬币能猜对 50 次。",
            "δ（例外概率）为 0：这一保证没有例外。",
            f"每位居民每个自然周最多 {limit} 件诉求计入；合在一起 ε 为 {week:.2f}，"
            f"100 次猜测最多猜对 {all_of_week} 次。",
            "再次训练、训练更久、与更多社区共同训练都不会削弱它：噪声在此之前只加过一次。",
        ],
    }


def _update_words(epsilon: float, delta: float, rounds: int) -> dict[str, list[str]]:
    right, per = right_guesses_percent(epsilon, delta), round(1 / delta)
    return {
        "en": [
            f"Epsilon {epsilon:.2f} for everything one community has: whoever sees all {rounds} "
            f"rounds guesses right at most {right} times in 100 whether the community took part.",
            f"Delta {delta:g}: in at most about one case in {per} the promise may not hold.",
        ],
        "zh": [
            f"以一个社区的全部数据为单位，ε（隐私预算）为 {epsilon:.2f}：看到全部 {rounds} 轮的人，"
            f"猜该社区是否参加，100 次最多猜对 {right} 次。",
            f"δ（例外概率）为 {delta:g}：约每 {per} 种情形中至多有一种，保证可能不成立。",
        ],
    }


COUNTS_NOT_COVERED: Mapping[str, Sequence[str]] = {
    "en": [
        "A resident over many weeks: every week adds its own epsilon.",
        "How much is reported here in all, and how it grows or falls.",
        "What is computed from the exact counts and leaves this house: a forecast that is "
        "published, which forecast this community uses, and, only where the operator said so "
        "(tell_errors), how far each missed: its node tells the office.",
        "A request that is counted on two days or in two categories: it counts twice. So does one "
        "of a resident above the weekly limit, for without it another would have entered.",
        "History that was imported as ready counts: nobody can tell any more whose requests "
        "they were, so for those days only the promise per request holds.",
    ],
    "zh": [
        "同一居民在许多周内的诉求：每多一周，ε 就累加一次。",
        "本社区诉求的总量及其增减趋势。",
        "由真实件数算出并传出本社区的内容：对外公布的预测、本节点告知区办公室的“采用哪种预测”，"
        "以及仅在运维人员允许时（tell_errors）告知的各方法误差。",
        "在两天或两个类别中重复计数的诉求：按两件计。超过每周上限的居民的一件诉求也按两件计，"
        "因为少了它，另一件就会计入。",
        "以现成件数导入的历史：已无法得知是谁的诉求，这些日期只有单件诉求的保证成立。",
    ],
}
UPDATES_NOT_COVERED: Mapping[str, Sequence[str]] = {
    "en": [
        "What communities that act together know: each knows its own share of the noise.",
        "Other runs: every training adds its own epsilon.",
        "That a community takes part at all, and how long it takes.",
    ],
    "zh": [
        "合谋的社区所知道的：每个社区都知道自己那份噪声。",
        "其他训练：每训练一次，ε 就累加一次。",
        "社区是否参加训练，以及用时多少。",
    ],
}


def card_entry(
    *, count_epsilon: float, noise_multiplier: float, rounds: int, communities: int
) -> dict[str, Any]:
    """The card's `privacy`: what holds for every community of a run; nulls where nothing does."""
    entry: dict[str, Any] = {"unit": None, "epsilon": None, "delta": None}
    if count_epsilon:
        promise = for_counts(Fraction(str(count_epsilon)), weekly_limit=1)
        limited = replace(
            promise,
            week_epsilon=None,  # each community has its own weekly limit, and shows it at home
            weekly_limit=None,
            words={tongue: [*lines[:2], lines[3]] for tongue, lines in promise.words.items()},
        )
        entry = limited.as_json()
    if noise_multiplier:
        second = for_updates(
            noise_multiplier=noise_multiplier, rounds=rounds, communities=communities
        ).as_json()
        entry = entry | {"updates": second} if count_epsilon else second
    return entry
