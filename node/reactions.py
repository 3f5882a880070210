"""What follows from what, in the same transaction: the one place where slices meet."""

from node.council.events import MotionCarried, MotionProposed
from node.forecast import counting
from node.forecast.events import HelpersNeeded, HelpersNotNeeded
from node.kernel.events import Reactions
from node.notices import telling
from node.points import service as points
from node.repairs.events import (
    RepairFollowed,
    RepairMoved,
    RepairOverdue,
    RepairRated,
    RepairReopened,
    RepairReported,
)
from node.residents.events import ConsentWithdrawn, ProxyAgreed, ResidentErased
from node.timebank import calls
from node.timebank.events import ExchangeConfirmed

REACTIONS: Reactions = {
    RepairReported: [counting.count_request],
    RepairMoved: [telling.repair_moved],
    RepairFollowed: [telling.repair_followed],
    RepairOverdue: [telling.repair_overdue],
    RepairReopened: [telling.repair_reopened],
    RepairRated: [points.award_for_repair],
    ExchangeConfirmed: [points.award_for_exchange, telling.hours_paid],
    HelpersNeeded: [calls.call_for_helpers, telling.helpers_needed],
    HelpersNotNeeded: [calls.end_call],
    MotionProposed: [points.check_rule_change],
    MotionCarried: [points.adopt_rules_if_any],
    ProxyAgreed: [telling.proxy_agreed],
    ConsentWithdrawn: [telling.consent_withdrawn],
    ResidentErased: [telling.forget],
}
