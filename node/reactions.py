"""What follows from what, in the same transaction: the one place where slices meet."""

from node.council.events import MotionCarried, MotionProposed
from node.forecast import service as forecast
from node.kernel.events import Reactions
from node.points import service as points
from node.repairs.events import RepairRated, RepairReported
from node.timebank.events import ExchangeConfirmed

REACTIONS: Reactions = {
    RepairReported: [forecast.count_request],
    RepairRated: [points.award_for_repair],
    ExchangeConfirmed: [points.award_for_exchange],
    MotionProposed: [points.check_rule_change],
    MotionCarried: [points.adopt_rules_if_any],
}
