"""What services there are, how minutes are rounded, and who may do what to an exchange when."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from node.kernel.errors import BadInput
from node.timebank.refusals import MoreThanAgreed, NotInSteps

STEP_MINUTES = 15  # minutes are agreed and counted in these steps
EXCHANGE_MINUTES_MAX = 8 * 60  # of one exchange: a day's work; longer help is several
POOL_MINUTES_MAX = 6_000  # of one gift to the pool, or one grant
GRANTS_A_MONTH_MINUTES = 1_200  # to one resident from the pool: 20 hours
GRANT_MONTH_DAYS = 30


class Training(StrEnum):
    """What a helper must have before they give this kind of help."""

    NONE = "none"
    INTRODUCED = "introduced"  # the social worker has shown how
    CERTIFIED = "certified"  # a paper from outside, seen at the desk


class PoolAct(StrEnum):
    """What happens to the donation pool."""

    DONATE = "donate"
    GRANT = "grant"


class Need(StrEnum):
    """Why somebody is granted minutes; kept with the grant."""

    LIVES_ALONE = "lives_alone"
    CANNOT_EARN = "cannot_earn"
    ILLNESS = "illness"
    CARES_FOR = "cares_for"


@dataclass(frozen=True)
class Service:
    """One kind of help, and what both sides may expect of it."""

    code: str
    title: str
    standard: str
    usual_minutes: int  # what most visits take, to fill in the form with
    training: Training = Training.NONE
    people: int = 1  # who come together, where one alone is not safe


def _catalogue(*services: Service) -> Mapping[str, Service]:
    return {service.code: service for service in services}


SERVICES = _catalogue(
    Service(
        "companionship",
        "Company",
        "Arrive at the agreed time, talk, read or walk together. No selling, no lending money.",
        usual_minutes=60,
    ),
    Service(
        "meal_delivery",
        "Bringing meals",
        "Hot and covered within 30 minutes of cooking; hand it over in person and look in.",
        usual_minutes=30,
    ),
    Service(
        "cleaning",
        "Cleaning",
        "Agree on the rooms first; no climbing outside windows; leave when both have looked.",
        usual_minutes=120,
    ),
    Service(
        "errands",
        "Errands",
        "Shopping, queueing, collecting medicine: bring the receipt and the exact change.",
        usual_minutes=60,
    ),
    Service(
        "phone_help",
        "Help with the phone",
        "Show it slowly, let the other hand do it. Never ask for a password or a code.",
        usual_minutes=45,
    ),
    Service(
        "hospital_escort",
        "Going along to hospital",
        "There and back, with papers and medicine list; tell the family when both are home.",
        usual_minutes=240,
        training=Training.INTRODUCED,
    ),
    Service(
        "personal_care",
        "Washing and dressing",
        "Ask before each step; doors closed; nothing that hurts. Report a wound or a fall at once.",
        usual_minutes=45,
        training=Training.CERTIFIED,
    ),
    Service(
        "lifting",
        "Moving heavy things",
        "Two people, never one; clear the way first; nothing is carried over somebody's bed.",
        usual_minutes=60,
        people=2,
    ),
    Service(
        "small_repairs",
        "Small repairs at home",
        "Bulbs, screws, hinges. Mains power, gas and water pipes are for the property company.",
        usual_minutes=45,
        training=Training.INTRODUCED,
    ),
    Service(
        "haircut",
        "Haircut at home",
        "Clean scissors, a cloth around the shoulders, and swept afterwards.",
        usual_minutes=30,
    ),
)
"""Company, meals and cleaning are the seed document's; the council may come to add more."""


class ExchangeState(StrEnum):
    """Where an exchange stands. CAPTURED, DECLINED and CANCELLED are the end."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    CAPTURED = "captured"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    DISPUTED = "disputed"


class Act(StrEnum):
    """What somebody does to an exchange."""

    ACCEPT = "accept"
    DECLINE = "decline"
    CANCEL = "cancel"
    DELIVER = "deliver"
    CONFIRM = "confirm"  # the second of the two captures
    DISPUTE = "dispute"
    SETTLE = "settle"  # an arbiter's verdict: minutes paid, or none


class Side(StrEnum):
    """Who somebody is in an exchange."""

    PROVIDER = "provider"
    RECEIVER = "receiver"
    ARBITER = "arbiter"


@dataclass(frozen=True)
class Move:
    """What an act leads to, and who may do it."""

    to: ExchangeState
    sides: frozenset[Side]


_S, _A = ExchangeState, Act
_EITHER = frozenset({Side.PROVIDER, Side.RECEIVER})
_PROVIDER, _RECEIVER = frozenset({Side.PROVIDER}), frozenset({Side.RECEIVER})
_ARBITER = frozenset({Side.ARBITER})

MOVES: Mapping[tuple[ExchangeState, Act], Move] = {
    (_S.REQUESTED, _A.ACCEPT): Move(_S.ACCEPTED, _PROVIDER),
    (_S.REQUESTED, _A.DECLINE): Move(_S.DECLINED, _PROVIDER),
    (_S.REQUESTED, _A.CANCEL): Move(_S.CANCELLED, _RECEIVER),
    (_S.ACCEPTED, _A.CANCEL): Move(_S.CANCELLED, _EITHER),
    (_S.ACCEPTED, _A.DELIVER): Move(_S.DELIVERED, _PROVIDER),
    (_S.DELIVERED, _A.CONFIRM): Move(_S.CAPTURED, _EITHER),
    (_S.DELIVERED, _A.DISPUTE): Move(_S.DISPUTED, _EITHER),
    (_S.DISPUTED, _A.SETTLE): Move(_S.CAPTURED, _ARBITER),
}
"""The whole life. A verdict of no minutes means CANCELLED; a first confirmation changes no state.

The receiver's minutes are held exactly in ACCEPTED, DELIVERED and DISPUTED.
"""

HELD_STATES = frozenset({_S.ACCEPTED, _S.DELIVERED, _S.DISPUTED})


def possible_acts(state: ExchangeState, side: Side) -> tuple[Act, ...]:
    """What this side can do now, for a page's buttons."""
    return tuple(act for (at, act), move in MOVES.items() if at == state and side in move.sides)


def needed_state(act: Act) -> str:
    """In which state an act is possible, in words for a refusal."""
    return " or ".join(state.value for state, possible in MOVES if possible is act)


def check_request(*, service: str, minutes: int, same_person: bool) -> None:
    """Refuse what could never be delivered."""
    if service not in SERVICES:
        raise BadInput(field="service", problem="there is no such service")
    if same_person:
        raise BadInput(field="provider_id", problem="nobody helps themselves for minutes")
    if not 0 < minutes <= EXCHANGE_MINUTES_MAX or minutes % STEP_MINUTES:
        raise NotInSteps(step=STEP_MINUTES, limit=EXCHANGE_MINUTES_MAX)


def check_pool_minutes(minutes: int) -> None:
    """Refuse an amount that no gift to the pool and no grant can have."""
    if not 1 <= minutes <= POOL_MINUTES_MAX:
        raise BadInput(field="minutes", problem=f"between 1 and {POOL_MINUTES_MAX}")


def counted_minutes(used: int, *, held: int) -> int:
    """Minutes really used, to the nearest step (halves count up), at least one, never above `held`.

    `held` is whole steps, so rounding never passes it; more than it is refused, not cut.
    """
    if not 0 < used <= held:
        raise MoreThanAgreed(held=held)
    return max(STEP_MINUTES, (2 * used + STEP_MINUTES) // (2 * STEP_MINUTES) * STEP_MINUTES)
