"""A second person signs: not oneself, not always the same one, not one hand washing the other."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import BadInput, NotAllowed, NotFound, WrongState
from node.kernel.ids import derived_id
from node.points import cosigning, leaving, ranking, refusals, rules, service
from node.points.model import Claim, PointsAward
from node.points.rules import ClaimState
from node.residents.events import ResidentErased
from tests.node.points.conftest import CLERK, ELDER, NEIGHBOUR, join


class Signers:
    """Says the module's functions to a database, for short tests."""

    def __init__(self, database: Database, clock: VirtualClock) -> None:
        self.database, self.clock = database, clock

    @property
    def today(self) -> date:
        return rules.local_day(self.clock.now())

    def claim(
        self,
        name: str,
        *,
        resident_id: UUID = ELDER,
        cosigner_id: UUID = NEIGHBOUR,
        activity: str = "volunteering",
        minutes: int | None = 60,
        days_ago: int = 0,
    ) -> Claim:
        return self.database.do(
            lambda session: cosigning.claim(
                session,
                self.clock,
                claim_id=derived_id("claim", name),
                resident_id=resident_id,
                cosigner_id=cosigner_id,
                activity=activity,
                minutes=minutes,
                day=self.today - timedelta(days=days_ago),
                recorded_by=CLERK,
            )
        )

    def sign(self, claim: Claim, *, by: UUID = NEIGHBOUR, signed_by: UUID | None = None) -> Claim:
        return self.database.do(
            lambda session: cosigning.sign(
                session, self.clock, claim_id=claim.id, cosigner_id=by, signed_by=signed_by
            )
        )

    def points(self, resident_id: UUID = ELDER) -> int:
        with self.database.read() as session:
            return service.own_points(session, resident_id)[0]


@pytest.fixture
def signers(database: Database, clock: VirtualClock) -> Signers:
    return Signers(database, clock)


def test_nothing_is_earned_until_the_second_person_has_signed(signers: Signers) -> None:
    claim = signers.claim("a")
    assert (claim.state, claim.recorded_by, signers.points()) == (ClaimState.ASKED, CLERK, 0)
    signed = signers.sign(claim)
    assert signers.sign(claim).award_id == signed.award_id
    assert (signed.state, signers.points()) == (ClaimState.SIGNED, 30)
    with signers.database.read() as session:
        award = session.get_one(PointsAward, signed.award_id)
    assert (award.evidence_id, award.awarded_by) == (claim.id, NEIGHBOUR)


def test_only_the_named_neighbour_signs_and_never_through_the_claimant(signers: Signers) -> None:
    claim = signers.claim("a")
    with pytest.raises(NotFound):
        signers.sign(claim, by=ELDER)
    with pytest.raises(NotAllowed):
        signers.sign(claim, signed_by=ELDER)
    assert signers.points() == 0


def test_a_refused_or_late_claim_earns_nothing(signers: Signers, clock: VirtualClock) -> None:
    refused, late = signers.claim("a"), signers.claim("b", days_ago=1)
    signers.database.do(
        lambda session: cosigning.refuse(session, clock, claim_id=refused.id, cosigner_id=NEIGHBOUR)
    )
    with pytest.raises(WrongState):
        signers.sign(refused)
    clock.advance(timedelta(days=rules.CLAIM_DAYS))
    with pytest.raises(WrongState, match="expired"):
        signers.sign(late)
    with signers.database.read() as session:
        assert list(cosigning.to_sign(session, clock, NEIGHBOUR)) == []
    assert signers.points() == 0


def test_two_do_not_sign_for_each_other_on_one_day(signers: Signers) -> None:
    there = signers.claim("there")
    back = signers.claim("back", resident_id=NEIGHBOUR, cosigner_id=ELDER)
    signers.sign(there)
    with pytest.raises(refusals.SignedForEachOther):
        signers.sign(back, by=ELDER)
    with pytest.raises(refusals.SignedForEachOther):
        signers.claim(
            "again",
            resident_id=NEIGHBOUR,
            cosigner_id=ELDER,
            activity="waste_sorting",
            minutes=None,
        )
    assert signers.points(NEIGHBOUR) == 0


def test_the_same_neighbour_signs_four_times_a_month(
    signers: Signers, database: Database, clock: VirtualClock
) -> None:
    for days_ago in range(rules.PAIR_SIGNATURES_MAX):
        signers.claim(f"claim{days_ago}", days_ago=days_ago)
    with pytest.raises(refusals.SignedTooOften):
        signers.claim("one more", days_ago=5)
    other = derived_id("test", "other")
    join(database, clock, resident_id=other, number=9)
    signers.claim("by another", cosigner_id=other, days_ago=5)
    clock.advance(timedelta(days=rules.PAIR_DAYS))
    signers.claim("next month")


def test_the_caps_are_those_of_the_day_on_which_it_was_done(signers: Signers) -> None:
    today = signers.claim("today", minutes=240)
    before = signers.claim("before", minutes=240, days_ago=1)
    for claim in (today, before):
        signers.sign(claim)
    assert signers.points() == 240
    with signers.database.read() as session:
        days = {row.day for row in service.awards_of(session, ELDER, limit=5).rows}
    assert days == {signers.today, signers.today - timedelta(days=1)}


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"activity": "suggestion_adopted", "minutes": None}, refusals.EvidenceNotAccepted),
        ({"activity": "juggling"}, refusals.UnknownActivity),
        ({"minutes": None}, BadInput),
        ({"days_ago": 7}, BadInput),
        ({"days_ago": -1}, BadInput),
        ({"cosigner_id": ELDER}, BadInput),
        ({"cosigner_id": CLERK}, NotFound),
    ],
)
def test_what_cannot_be_claimed(
    signers: Signers, change: dict[str, object], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        signers.claim("a", **change)  # type: ignore[arg-type]  # one of several


def test_the_same_act_is_claimed_once(signers: Signers) -> None:
    first, again = signers.claim("a"), signers.claim("a")
    assert first.id == again.id
    with pytest.raises(refusals.EvidenceUsed):
        signers.claim("b")


def test_who_is_erased_signs_nothing_and_is_not_ranked(
    signers: Signers, clock: VirtualClock
) -> None:
    signers.sign(signers.claim("signed"))
    open_one = signers.claim("open", days_ago=1)
    signers.database.do(lambda session: leaving.forget(session, clock, ResidentErased(ELDER)))
    with pytest.raises(WrongState):
        signers.sign(open_one)
    with signers.database.read() as session:
        assert list(ranking.ranking(session, month=signers.today)) == []
        assert service.own_points(session, ELDER)[0] == 30
