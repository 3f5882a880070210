"""What services there are, how minutes are rounded, and who may do what to an exchange when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from node.kernel.errors import BadInput
from node.timebank.refusals import MoreThanAgreed, NotInSteps

STEP_MINUTES = 15  # minutes are agreed and counted in these steps
EXCHANGE_MINUTES_MAX = 8 * 60  # of one exchange: a day's work; longer help is several
POOL_MINUTES_MAX = 6_000  # of one gift to the pool, or one grant
GRANTS_A_MONTH_MINUTES = 1_200  # to one resident from the pool: 20 hours
GRANT_MONTH_DAYS = 30
ANSWER_TIME = timedelta(days=14)  # who is asked may answer for so long, but not after the visit
DELIVERY_TIME = timedelta(days=14)  # from the agreed moment (or the promise) to the visit
CONFIRM_TIME = timedelta(days=14)  # then silence becomes a dispute, for a social worker to hear
CONTEST_TIME = timedelta(days=30)  # after the payment, in which one may still say it was not so
PLANNED_AHEAD_MAX = timedelta(days=90)
WORDS_LENGTH_MAX = 1_000  # of what a side or a social worker says in a dispute
NOTE_LENGTH_MAX = 200  # of a listing
LISTING_TIME = timedelta(days=60)  # then it must be opened again: nothing stale is shown
LISTINGS_MAX = 20  # open ones of one resident


class Kind(StrEnum):
    """What a listing says."""

    OFFER = "offer"
    NEED = "need"


class DisputeReason(StrEnum):
    """What is said to be wrong."""

    NOT_COME = "not_come"
    SHORTER = "shorter"
    LONGER = "longer"
    BELOW_STANDARD = "below_standard"
    SILENCE = "silence"  # nobody said it: a confirmation never came
    OTHER = "other"


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
    """Where an exchange stands. DECLINED, CANCELLED and EXPIRED are the end; CAPTURED nearly."""

    REQUESTED = "requested"  # by the one who would be helped
    OFFERED = "offered"  # by the one who would help
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    CAPTURED = "captured"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    DISPUTED = "disputed"
    CONTESTED = "contested"  # in dispute, though it was paid
    EXPIRED = "expired"


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
    HOUSE = "house"  # nobody acted: a time ran out


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
    (_S.OFFERED, _A.ACCEPT): Move(_S.ACCEPTED, _RECEIVER),
    (_S.OFFERED, _A.DECLINE): Move(_S.DECLINED, _RECEIVER),
    (_S.OFFERED, _A.CANCEL): Move(_S.CANCELLED, _PROVIDER),
    (_S.ACCEPTED, _A.CANCEL): Move(_S.CANCELLED, _EITHER),
    (_S.ACCEPTED, _A.DELIVER): Move(_S.DELIVERED, _PROVIDER),
    (_S.DELIVERED, _A.CONFIRM): Move(_S.CAPTURED, _EITHER),
    (_S.DELIVERED, _A.DISPUTE): Move(_S.DISPUTED, _EITHER),
    (_S.DISPUTED, _A.SETTLE): Move(_S.CAPTURED, _ARBITER),
    (_S.CAPTURED, _A.DISPUTE): Move(_S.CONTESTED, _EITHER),
    (_S.CONTESTED, _A.SETTLE): Move(_S.CAPTURED, _ARBITER),
}
"""The whole life. A verdict of no minutes means CANCELLED; a first confirmation changes no state.

The receiver's minutes are held exactly in ACCEPTED, DELIVERED and DISPUTED.
"""

HELD_STATES = frozenset({_S.ACCEPTED, _S.DELIVERED, _S.DISPUTED})


LAPSES: Mapping[ExchangeState, ExchangeState] = {
    _S.REQUESTED: _S.EXPIRED,
    _S.OFFERED: _S.EXPIRED,
    _S.ACCEPTED: _S.EXPIRED,
    _S.DELIVERED: _S.DISPUTED,
}
"""What becomes of an exchange on which nobody acts in time."""


def lapses_at(
    state: ExchangeState, *, since: datetime, planned_at: datetime | None
) -> datetime | None:
    """Until when the next act on an exchange is awaited; None where none is."""
    if state in (_S.REQUESTED, _S.OFFERED):
        return min(since + ANSWER_TIME, planned_at or since + ANSWER_TIME)
    if state is _S.ACCEPTED:
        return max(since, planned_at or since) + DELIVERY_TIME
    return since + CONFIRM_TIME if state is _S.DELIVERED else None


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


def check_planned(planned_at: datetime | None, *, now: datetime) -> None:
    """Refuse a moment that has passed, or that nobody can promise yet."""
    if planned_at is not None and not now < planned_at <= now + PLANNED_AHEAD_MAX:
        raise BadInput(field="planned_at", problem="a moment within the next ninety days")


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
