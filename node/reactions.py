"""What follows from what, in the same transaction: the one place where slices meet."""

from sqlalchemy.orm import Session

from node.council.events import MotionCarried, MotionProposed
from node.forecast import service as forecast
from node.kernel.events import Event, Reactions
from node.kernel.ports import Clock
from node.points import service as points
from node.repairs.events import RepairRated, RepairReported
from node.timebank.events import ExchangeConfirmed


def count_request(session: Session, clock: Clock, event: Event) -> None:
    """A reported repair is one more request on its day."""
    assert isinstance(event, RepairReported)
    forecast.count_request(session, category=event.category, reported_at=event.reported_at)


REACTIONS: Reactions = {
    RepairReported: [count_request],
    RepairRated: [points.award_for_repair],
    ExchangeConfirmed: [points.award_for_exchange],
    MotionProposed: [points.check_rule_change],
    MotionCarried: [points.adopt_rules_if_any],
}
