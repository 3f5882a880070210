"""What a community checks before it signs: pure, so that a test can play the liar."""

from collections.abc import Iterable, Mapping, Sequence

from node.kernel import merkle
from node.kernel.errors import DomainError
from node.kernel.netting import Claim, net_positions
from node.settlement.messages import StatementContent

RECEIPTS_MAX = 4_096  # in one statement


class StatementWrong(DomainError):
    code = "settlement.statement_wrong"
    message = "The statement {statement} is wrong: {problem}"


WRONG = {
    "wrong_root": "its Merkle root is not that of its statements",
    "statement_twice": "it has a statement twice",
    "statement_about_nothing": "it has a statement about nothing",
    "wrong_figures": "its figures are not what its statements net to",
    "statement_not_ours": "statement {statement} is not ours",
    "statement_in_another_state": "statement {statement} is already {state}",
    "unknown_community": "it names a community {number} nobody knows",
    "community_not_asked": "it settles statements of {community}, which has no figure in it",
    "books_behind": "the chain has settled something for us that is not in our books yet",
    "wrong_sequence": "our next sequence is {expected}, it says {found}",
    "no_chain": "no chain is configured here",
    "chain_has_another": "the chain has another one under the id of the one we signed",
    "office_shows_another": "the office shows another one than the chain has",
}
"""What can be wrong with a batch: a stable code, and its words, which pages translate."""


class BatchWrong(DomainError):
    code = "settlement.batch_wrong"
    message = "The office's batch is not signed: {problem}"

    def __init__(self, reason: str, **figures: str | int) -> None:
        """`reason` is a code of WRONG, `figures` what its words have places for."""
        problem = WRONG[reason].format(**figures)
        super().__init__(problem=problem, reason=reason, **figures)


def check_batch(
    contents: Sequence[StatementContent],
    payloads: Sequence[bytes],
    *,
    root: bytes,
    deltas: Mapping[str, int],
) -> None:
    """Raises BatchWrong unless everybody who is in these statements is asked for this batch.

    The contract asks only who has a figure. With that a community uses up its sequence, so no two
    batches with the same statement can both settle; without it, they could.
    """
    check_figures(contents, payloads, root=root, deltas=deltas)
    named = {name for one in contents for name in (one.debtor, one.creditor)}
    if unasked := sorted(named - deltas.keys()):
        raise BatchWrong("community_not_asked", community=unasked[0])


def check_figures(
    contents: Sequence[StatementContent],
    payloads: Sequence[bytes],
    *,
    root: bytes,
    deltas: Mapping[str, int],
) -> None:
    """Raises BatchWrong unless `deltas` (minutes by community) is what these statements net to."""
    if merkle.root(payloads) != root:
        raise BatchWrong("wrong_root")
    if len({content.statement_id for content in contents}) != len(contents):
        raise BatchWrong("statement_twice")
    if any(one.minutes <= 0 or one.debtor == one.creditor for one in contents):
        raise BatchWrong("statement_about_nothing")
    expected = net_positions(claims(contents))
    if expected != dict(sorted(deltas.items())):
        raise BatchWrong("wrong_figures")


def claims(contents: Iterable[StatementContent]) -> list[Claim]:
    """The statements as claims to be netted."""
    return [Claim(content.debtor, content.creditor, content.minutes) for content in contents]
