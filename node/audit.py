"""Do the books hold? Ledger, receipts and chain, each checked against what was written."""

from dataclasses import asdict, dataclass

from contracts.terms import ChainRefused, ChainUnavailable
from node.app import Node
from node.exchange import evidence
from node.kernel.errors import DomainError
from node.kernel.ports import Chain
from node.ledger.audit import audit_ledger
from node.settlement import alarms
from node.settlement import service as settlement
from node.settlement.events import unbooked_entries
from node.settlement.watch import passed_over_minutes

CHAIN_AGREES = "agrees"
CHAIN_NOT_CONFIGURED = "not configured"
CHAIN_UNREACHABLE = "unreachable"
CHAIN_DIFFERS = "differs"


class BooksDoNotFit(DomainError):
    code = "audit.books_do_not_fit"
    message = "Something does not fit: {problem}. Stop the node and call for help; change nothing."


@dataclass(frozen=True)
class Audit:
    """`ok` speaks of everything that could be checked; `chain` says whether the chain was."""

    ok: bool
    entries: int
    head: str
    chain: str
    problem: str
    alarms: tuple[str, ...] = ()  # what people have to look at on the chain
    passed_over_minutes: int = 0  # moved on the chain by batches that the operator passed over
    evidence: int = 0  # messages that peers signed and should not have: see /exchange/evidence

    def as_json(self) -> dict[str, object]:
        return asdict(self)


async def audit(node: Node, chain: Chain | None) -> Audit:
    """Replay the ledger, compare receipts with clearing accounts, and both with the chain."""
    with node.database.read() as session:
        books = audit_ledger(session)
        problem = books.problem or settlement.audit_receipts(session)
        booked = settlement.settled_position(session)
        pieces = evidence.count(session)
        raised = tuple(alarms.sentence(row) for row in alarms.current(session))
        passed_over = passed_over_minutes(session)
    chain_says = CHAIN_NOT_CONFIGURED
    member = node.membership and node.membership.directory.member(node.community)
    if chain is not None and member:
        try:
            on_chain = chain.position(member.number).balance_minutes
            unbooked = await unbooked_entries(node.database, chain, member.number)
            expected = booked + passed_over + sum(one.delta_minutes for one in unbooked)
        except (ChainUnavailable, ChainRefused):
            chain_says = CHAIN_UNREACHABLE
        else:
            chain_says = CHAIN_AGREES if on_chain == expected else CHAIN_DIFFERS
            if on_chain != expected:
                problem = problem or (
                    f"the chain shows {on_chain} minutes, our books say {expected}"
                )
    return Audit(
        ok=not problem,
        entries=books.entries,
        head=books.head,
        chain=chain_says,
        problem=problem,
        alarms=raised,
        passed_over_minutes=passed_over,
        evidence=pieces,
    )
