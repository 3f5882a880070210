"""What follows from what, in the same transaction: the one place where slices meet."""

from typing import cast

from sqlalchemy.orm import Session

from node.council import calls as delegate_calls
from node.council import tasks
from node.council.events import (
    MotionCarried,
    MotionClosed,
    MotionProposed,
    PublicityStarted,
    ResultFedBack,
    VotingClosing,
    VotingOpened,
    WorkTicketAsked,
)
from node.exchange import leaving as exchange_leaving
from node.forecast import counting
from node.forecast.events import HelpersNeeded, HelpersNotNeeded
from node.kernel.events import Event, Reactions
from node.kernel.ports import Clock
from node.notices import telling, telling_hours, telling_points
from node.points import clawback
from node.points import leaving as points_leaving
from node.points import service as points
from node.points.events import (
    AwardReversed,
    CosignatureAsked,
    CouponReleased,
    CouponReserved,
    RulesAdopted,
)
from node.repairs import forgetting, merging
from node.repairs import service as repairs
from node.repairs.events import (
    RepairClosed,
    RepairFollowed,
    RepairMerged,
    RepairMoved,
    RepairOverdue,
    RepairRated,
    RepairReopened,
    RepairReported,
    RepairReportedFromOutside,
)
from node.residents.events import ConsentWithdrawn, ProxyAgreed, ResidentErased
from node.timebank import calls
from node.timebank import leaving as timebank_leaving
from node.timebank.events import (
    DisputeDecided,
    DisputeOpened,
    ExchangeAccepted,
    ExchangeCancelled,
    ExchangeConfirmed,
    ExchangeCorrected,
    ExchangeDeclined,
    ExchangeDelivered,
    ExchangeExpired,
    ExchangeRequested,
    MinutesGranted,
)


def report_work(session: Session, clock: Clock, event: Event) -> None:
    """A task of a resolution becomes a repair, under the id that the council chose for it."""
    ticket, item = tasks.ticket_of(session, cast(WorkTicketAsked, event).ticket_id)
    reported = repairs.report(
        session,
        clock,
        key=ticket.id,
        reporter_id=ticket.opened_by,
        recorded_by=str(ticket.opened_by),
        title=item.title,
        description=item.title,
        location=ticket.location,
        category=ticket.category,
    )
    tasks.number_ticket(clock, ticket, number=reported.id)


REACTIONS: Reactions = {
    RepairReported: [counting.count_request],
    RepairReportedFromOutside: [counting.count_request],
    RepairClosed: [tasks.hear_closed, merging.close_merged],
    RepairMoved: [telling.repair_moved],
    RepairFollowed: [telling.repair_followed],
    RepairMerged: [telling.repair_merged],
    RepairOverdue: [telling.repair_overdue],
    RepairReopened: [telling.repair_reopened, tasks.hear_reopened, merging.reopen_merged],
    RepairRated: [points.award_for_repair],
    ExchangeRequested: [telling_hours.requested],
    ExchangeAccepted: [telling_hours.accepted],
    ExchangeDeclined: [telling_hours.declined],
    ExchangeCancelled: [telling_hours.cancelled],
    ExchangeExpired: [telling_hours.expired],
    ExchangeDelivered: [telling_hours.delivered],
    DisputeOpened: [telling_hours.disputed],
    DisputeDecided: [telling_hours.decided],
    ExchangeConfirmed: [points.award_for_exchange, telling.hours_paid],
    ExchangeCorrected: [clawback.correct_for_exchange],
    MinutesGranted: [telling_hours.granted],
    CouponReserved: [telling_points.reserved],
    CouponReleased: [telling_points.released],
    CosignatureAsked: [telling_points.cosignature_asked],
    AwardReversed: [telling_points.taken_back],
    RulesAdopted: [telling_points.rules_adopted],
    HelpersNeeded: [calls.call_for_helpers, telling.helpers_needed],
    HelpersNotNeeded: [calls.end_call],
    MotionProposed: [points.check_rule_change],
    MotionCarried: [points.adopt_rules_if_any],
    PublicityStarted: [telling.motion_public],
    VotingOpened: [telling.vote_open],
    VotingClosing: [telling.vote_closing],
    MotionClosed: [telling.vote_ended],
    ResultFedBack: [telling.motion_done],
    WorkTicketAsked: [report_work],
    ProxyAgreed: [telling.proxy_agreed],
    ConsentWithdrawn: [telling.consent_withdrawn],
    ResidentErased: [
        telling.forget,
        forgetting.forget_reporter,
        delegate_calls.forget,
        points_leaving.forget,
        timebank_leaving.forget,
        exchange_leaving.forget,
    ],
}
