"""How a settlement round decides: who is in the batch, what it says, what comes next. Pure."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from node.kernel import merkle
from node.kernel.netting import Claim, net_positions


class RoundState(StrEnum):
    COLLECTING = "collecting"
    SIGNING = "signing"
    SENDING = "sending"
    SETTLED = "settled"
    EMPTY = "empty"
    FAILED = "failed"


NEXT_STATES: Mapping[RoundState, frozenset[RoundState]] = {
    RoundState.COLLECTING: frozenset({RoundState.SIGNING, RoundState.EMPTY, RoundState.FAILED}),
    RoundState.SIGNING: frozenset(
        {RoundState.SIGNING, RoundState.SENDING, RoundState.EMPTY, RoundState.FAILED}
    ),
    RoundState.SENDING: frozenset({RoundState.SETTLED, RoundState.SIGNING, RoundState.FAILED}),
    RoundState.SETTLED: frozenset({RoundState.SENDING}),  # its block was undone
    RoundState.EMPTY: frozenset(),
    RoundState.FAILED: frozenset(),
}
ENDED = frozenset({RoundState.SETTLED, RoundState.EMPTY, RoundState.FAILED})

NO_ANSWER = "no_position"
NO_SIGNATURE = "no_signature"
NOT_ON_CHAIN = "not_on_chain"
OTHER_SIGNER = "other_signer_on_chain"
PAST_LIMIT = "past_debt_limit"


@dataclass(frozen=True)
class Statement:
    """`debtor` owes `creditor` these minutes; `payload` is what both signed."""

    statement_id: str
    debtor: str
    creditor: str
    count: int
    minutes: int
    payload: bytes


@dataclass(frozen=True)
class SignedStatement:
    """A statement as it travels, with the Ed25519 signatures of both sides."""

    payload: bytes
    debtor_signature: bytes
    creditor_signature: bytes


@dataclass(frozen=True)
class StatedPosition:
    """What a community says it owes, and the head of its books to be anchored."""

    ledger_head: bytes
    statements: tuple[SignedStatement, ...]


@dataclass(frozen=True)
class Standing:
    """A community on the chain: what a batch needs to know about it."""

    number: int
    balance_minutes: int
    debt_limit_minutes: int
    sequence: int
    ledger_head: bytes


@dataclass(frozen=True)
class Entry:
    """One community's share of a batch, under its chain number."""

    number: int
    delta_minutes: int
    sequence: int
    ledger_head: bytes


@dataclass(frozen=True)
class Proposal:
    """A batch that the communities are asked to sign."""

    round_id: bytes
    merkle_root: bytes
    deadline: int  # seconds since 1970
    entries: tuple[Entry, ...]
    statements: tuple[Statement, ...]


def round_id(*, number: int, attempt: int) -> bytes:
    """32 bytes that name one attempt of one round; a new attempt is another batch."""
    return hashlib.sha256(f"linli/round/v1/{number}/{attempt}".encode()).digest()


def usable(statements: Iterable[Statement], *, present: Collection[str]) -> list[Statement]:
    """The statements between communities that are present, in the order of the Merkle leaves.

    An id that two debtors chose serves one of them; the other's statement waits.
    """
    chosen = {
        one.statement_id: one
        for one in sorted(statements, key=lambda one: one.debtor, reverse=True)
        if one.debtor in present and one.creditor in present
    }
    return [chosen[statement_id] for statement_id in sorted(chosen)]


def within_limits(
    statements: Sequence[Statement], standings: Mapping[str, Standing]
) -> tuple[list[Statement], set[str]]:
    """The statements that can be settled without passing a debt limit, and who had to stay out.

    Whoever is furthest past their limit goes first, since without their statements the others'
    figures change.
    """
    present = set(standings)
    past: set[str] = set()
    while True:
        chosen = with_a_figure_each(usable(statements, present=present))
        excess = {
            community: -(standings[community].balance_minutes + delta)
            - standings[community].debt_limit_minutes
            for community, delta in deltas(chosen).items()
            if delta < 0
        }
        worst = max(excess, key=lambda community: (excess[community], community), default=None)
        if worst is None or excess[worst] <= 0:
            return chosen, past
        past.add(worst)
        present.discard(worst)


def with_a_figure_each(statements: Sequence[Statement]) -> list[Statement]:
    """As many statements as leave nobody in them at zero: the contract asks only who has a figure.

    Whoever is not asked uses up no sequence, so a second batch could have the statement again.
    Of somebody at zero the smallest statement waits. Where nobody has a figure there is no batch.
    """
    chosen = list(statements)
    if not deltas(chosen):
        return chosen
    while at_zero := _named(chosen) - deltas(chosen).keys():
        theirs = [one for one in chosen if {one.debtor, one.creditor} & at_zero]
        chosen.remove(min(theirs, key=lambda one: (one.minutes, one.statement_id)))
    return chosen


def _named(statements: Iterable[Statement]) -> set[str]:
    return {name for one in statements for name in (one.debtor, one.creditor)}


def deltas(statements: Iterable[Statement]) -> dict[str, int]:
    """Minutes each community gains (+) or owes (-); zero figures are left out."""
    return net_positions(Claim(one.debtor, one.creditor, one.minutes) for one in statements)


def propose(
    statements: Sequence[Statement],
    standings: Mapping[str, Standing],
    *,
    round_id: bytes,
    deadline: int,
) -> Proposal | None:
    """The batch for these statements; None if on balance nobody owes anything."""
    entries = [
        Entry(
            number=standings[community].number,
            delta_minutes=minutes,
            sequence=standings[community].sequence,
            ledger_head=standings[community].ledger_head,
        )
        for community, minutes in deltas(statements).items()
    ]
    if not entries:
        return None
    return Proposal(
        round_id=round_id,
        merkle_root=merkle.root([one.payload for one in statements]),
        deadline=deadline,
        entries=tuple(sorted(entries, key=lambda entry: entry.number)),
        statements=tuple(statements),
    )


def moved_minutes(entries: Iterable[Entry]) -> int:
    """The minutes that change hands in a batch."""
    return sum(entry.delta_minutes for entry in entries if entry.delta_minutes > 0)
