"""What follows from what, in the same transaction: the one place where slices meet."""

from node.council.events import MotionCarried, MotionProposed
from node.forecast import counting
from node.forecast.events import HelpersNeeded, HelpersNotNeeded
from node.kernel.events import Reactions
from node.points import service as points
from node.repairs.events import RepairRated, RepairReported
from node.timebank import calls
from node.timebank.events import ExchangeConfirmed

REACTIONS: Reactions = {
    RepairReported: [counting.count_request],
    RepairRated: [points.award_for_repair],
    ExchangeConfirmed: [points.award_for_exchange],
    HelpersNeeded: [calls.call_for_helpers],
    HelpersNotNeeded: [calls.end_call],
    MotionProposed: [points.check_rule_change],
    MotionCarried: [points.adopt_rules_if_any],
}
