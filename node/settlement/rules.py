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


class BatchWrong(DomainError):
    code = "settlement.batch_wrong"
    message = "The office's batch is not signed: {problem}"


def check_batch(
    contents: Sequence[StatementContent],
    payloads: Sequence[bytes],
    *,
    root: bytes,
    deltas: Mapping[str, int],
) -> None:
    """Raises BatchWrong unless `deltas` (minutes by community) is what these statements net to."""
    if merkle.root(payloads) != root:
        raise BatchWrong(problem="its Merkle root is not that of its statements")
    if len({content.statement_id for content in contents}) != len(contents):
        raise BatchWrong(problem="it has a statement twice")
    if any(one.minutes <= 0 or one.debtor == one.creditor for one in contents):
        raise BatchWrong(problem="it has a statement about nothing")
    expected = net_positions(claims(contents))
    if expected != dict(sorted(deltas.items())):
        raise BatchWrong(problem="its figures are not what its statements net to")


def claims(contents: Iterable[StatementContent]) -> list[Claim]:
    """The statements as claims to be netted."""
    return [Claim(content.debtor, content.creditor, content.minutes) for content in contents]
