"""Whatever communities state, a proposal sums to zero and lets nobody past their limit."""

from hypothesis import given
from hypothesis import strategies as st

from coordinator import rules
from coordinator.rules import NEXT_STATES, RoundState, Standing, Statement
from node.kernel import merkle

NAMES = ("a", "b", "c", "d", "e")

pairs = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(
    lambda pair: pair[0] != pair[1]
)


@st.composite
def statement_lists(draw: st.DrawFn) -> list[Statement]:
    drawn = draw(st.lists(st.tuples(pairs, st.integers(1, 500), st.integers(0, 30)), max_size=25))
    return [
        Statement(str(name), debtor, creditor, 1, minutes, f"{name}{debtor}{creditor}".encode())
        for (debtor, creditor), minutes, name in drawn
    ]


@st.composite
def standing_maps(draw: st.DrawFn) -> dict[str, Standing]:
    present = draw(st.sets(st.sampled_from(NAMES)))
    return {
        name: Standing(
            number=NAMES.index(name) + 1,
            balance_minutes=draw(st.integers(-300, 300)),
            debt_limit_minutes=draw(st.integers(0, 600)),
            sequence=draw(st.integers(0, 9)),
            ledger_head=bytes(32),
        )
        for name in sorted(present)
    }


@given(statements=statement_lists(), standings=standing_maps())
def test_a_proposal_is_one_the_contract_takes(
    statements: list[Statement], standings: dict[str, Standing]
) -> None:
    chosen, past = rules.within_limits(statements, standings)
    assert {one.debtor for one in chosen} | {one.creditor for one in chosen} <= set(standings)
    assert not past & {one.debtor for one in chosen}
    assert len({one.statement_id for one in chosen}) == len(chosen)
    proposal = rules.propose(chosen, standings, round_id=bytes(32), deadline=1)
    if proposal is None:
        assert not rules.deltas(chosen)
        return
    asked = {entry.number for entry in proposal.entries}
    named = {name for one in chosen for name in (one.debtor, one.creditor)}
    assert {standings[name].number for name in named} == asked  # whoever is named uses a sequence
    numbers = [entry.number for entry in proposal.entries]
    assert numbers == sorted(set(numbers))
    assert sum(entry.delta_minutes for entry in proposal.entries) == 0
    assert 0 not in [entry.delta_minutes for entry in proposal.entries]
    by_number = {standing.number: standing for standing in standings.values()}
    for entry in proposal.entries:
        standing = by_number[entry.number]
        after = standing.balance_minutes + entry.delta_minutes
        assert entry.delta_minutes > 0 or after >= -standing.debt_limit_minutes
    assert proposal.merkle_root == merkle.root([one.payload for one in proposal.statements])


def test_every_attempt_has_an_id_of_its_own() -> None:
    ids = {rules.round_id(number=n, attempt=a) for n in range(1, 12) for a in range(1, 12)}
    assert len(ids) == 11 * 11
    assert {len(one) for one in ids} == {32}


def test_every_state_leads_to_an_end() -> None:
    assert set(NEXT_STATES) == set(RoundState)
    assert {RoundState.SETTLED, RoundState.EMPTY, RoundState.FAILED} == rules.ENDED
