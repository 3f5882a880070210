"""For desk, arbiters, operator: what went wrong between two communities, and how it is mended."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import claim, compare, dispute, evidence, limits, receipts, rules
from node.exchange.api_reversals import Said, begin, find, step
from node.exchange.api_trust import require_party
from node.exchange.house import ARBITERS, DESK, WATCHERS, sealer_of, trading_house
from node.exchange.model import Claim, Dispute, ReceiptRecord, Reversal, ToldLimit
from node.exchange.pages_gifts import acted_for, consents, needs_consent
from node.exchange.reasons import reason
from node.exchange.refusals import ReceiptUnknown
from node.exchange.rules import (
    ComparisonState,
    DisputeCode,
    DisputeState,
    ReceiptKind,
    ReversalState,
)
from node.kernel.errors import DomainError
from node.ledger import service as ledger
from node.residents import service as residents
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, Caller, require


def reversal_state(state: str) -> str:
    """A reversal's state in the reader's language."""
    return {
        ReversalState.ASKED: _("asked back"),
        ReversalState.OFFERED: _("offered, minutes held"),
        ReversalState.AGREED: _("agreed, waiting for the receipt"),
        ReversalState.REVERSED: _("paid back"),
        ReversalState.DECLINED: _("declined"),
    }[ReversalState(state)]


def dispute_state(state: str) -> str:
    """A dispute's state in the reader's language."""
    return {
        DisputeState.OPENED: _("opened, to be answered"),
        DisputeState.ANSWERED: _("both heard, to be judged"),
        DisputeState.JUDGED: _("judged"),
    }[DisputeState(state)]


def dispute_code(code: str | None) -> str:
    """What a side says was so, in the reader's language."""
    names = {
        DisputeCode.NOT_GIVEN: _("the help was not given"),
        DisputeCode.FEWER_MINUTES: _("it took fewer minutes"),
        DisputeCode.WRONG_PERSON: _("it was another person"),
        DisputeCode.AS_RECORDED: _("it was as recorded"),
        DisputeCode.RECEIPT_MISSING: _("one side has no receipt of it"),
        DisputeCode.RECEIPT_DIFFERS: _("the receipts differ"),
    }
    return names[DisputeCode(code)] if code else ""


def receipt_kind(kind: str) -> str:
    """Why minutes are owed, in the reader's language."""
    return {
        ReceiptKind.CAPTURE: _("Help across communities"),
        ReceiptKind.GIFT: _("Gift across communities"),
        ReceiptKind.REVERSAL: _("Minutes given back"),
    }[ReceiptKind(kind)]


def receipt_said(receipt: ReceiptRecord | Claim | None) -> str:
    """What one side's books have of a disputed exchange, as the arbiters have to see it."""
    if receipt is None:
        return _("no receipt")
    ours, theirs = _("%(minutes)s minutes, owed by us"), _("%(minutes)s minutes, owed by them")
    return (ours if receipt.is_debt else theirs) % {"minutes": receipt.minutes}


def comparison_state(state: str) -> str:
    """A comparison's state in the reader's language."""
    return {
        ComparisonState.ASKED: _("asked"),
        ComparisonState.SAME: _("the same"),
        ComparisonState.DIFFERS: _("differs"),
        ComparisonState.DISPUTED: _("in dispute"),
    }[ComparisonState(state)]


@get("/exchange/receipts/{exchange_id:uuid}")
async def show_receipt(request: AnyRequest, exchange_id: FromPath[UUID]) -> Response[str]:
    """One receipt, and what can be done about it: give back, ask back, dispute."""
    return _receipt_page(request, exchange_id, Form())


@post("/exchange/receipts/{exchange_id:uuid}")
async def act_on_receipt(request: AnyRequest, exchange_id: FromPath[UUID]) -> Response[Any]:
    """Begin a reversal (desk) or a dispute (the resident, or the desk)."""
    who = require_party(request, exchange_id)
    node, form = trading_house(request), await Form.read(request)
    sealer, by = sealer_of(node), who.hand
    act = form.choice("act", ("dispute", "ask", "offer"))
    minutes = form.integer("minutes", least=0 if act == "dispute" else 1, most=rules.MINUTES_MAX)
    code = form.choice("code", _claims()) if act == "dispute" else ""
    words = form.text("words", least=0, most=dispute.WORDS_MAX) if act == "dispute" else ""
    if act != "dispute":
        require(request, *DESK)
    said = Said(who, None if act == "dispute" else _consent(request, form, exchange_id))
    if form.errors:
        return _receipt_page(request, exchange_id, form, status=422)

    def command(session: Session) -> str:
        if act == "dispute":
            opened = dispute.open_dispute(
                session,
                node.clock,
                sealer,
                dispute_id=form.id,
                exchange_id=exchange_id,
                code=code,
                minutes=minutes,
                words=words,
                recorded_by=by,
            )
            return f"/exchange/disputes/{opened.id}"
        begun = begin(
            session,
            node,
            sealer,
            act=act,
            reversal_id=form.id,
            exchange_id=exchange_id,
            minutes=minutes,
            said=said,
        )
        return f"/exchange/reversals/{begun.id}"

    try:
        where = await node.database.run(command)
    except DomainError as refusal:
        form.refuse(refusal, "minutes")
        return _receipt_page(request, exchange_id, form, status=422)
    if who.has(*DESK, *ARBITERS):
        return Redirect(where, status_code=303)
    return Redirect(f"/exchange/receipts/{exchange_id}", status_code=303)


@get("/exchange/reversals/{reversal_id:uuid}")
async def show_reversal(request: AnyRequest, reversal_id: FromPath[UUID]) -> Response[str]:
    """One reversal, with what the desk can do next."""
    require(request, *DESK)
    return _reversal_page(request, reversal_id, Form())


@post("/exchange/reversals/{reversal_id:uuid}")
async def go_on_with_reversal(request: AnyRequest, reversal_id: FromPath[UUID]) -> Response[Any]:
    """Offer what was asked for, agree to what was offered, or decline."""
    who = require(request, *DESK)
    node, form = trading_house(request), await Form.read(request)
    sealer, act = sealer_of(node), form.choice("act", ("agree", "offer", "decline"))
    said = Said(who, None if act == "decline" else _consent(request, form, reversal_id))
    if form.errors:
        return _reversal_page(request, reversal_id, form, status=422)
    try:
        await node.database.run(
            lambda session: (
                step(session, node, sealer, reversal_id=reversal_id, act=act, said=said).id
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "act")
        return _reversal_page(request, reversal_id, form, status=422)
    return Redirect(f"/exchange/reversals/{reversal_id}", status_code=303)


@get("/exchange/disputes")
async def show_disputes(request: AnyRequest) -> Response[str]:
    """Disputes with other communities and minutes on their way back."""
    require(request, *DESK, *ARBITERS)
    node = trading_house(request)
    with node.database.read() as session:
        waiting = select(Reversal).order_by(Reversal.changed_at.desc()).limit(dispute.PAGE_ROWS)
        return page(
            request,
            "exchange/disputes.html",
            disputes=dispute.latest(session),
            reversals=session.scalars(waiting).all(),
            dispute_state=dispute_state,
            dispute_code=dispute_code,
            reversal_state=reversal_state,
            names=dict(node.neighbours()),
        )


@get("/exchange/disputes/{dispute_id:uuid}")
async def show_dispute(request: AnyRequest, dispute_id: FromPath[UUID]) -> Response[str]:
    """One dispute: what both said, what both arbiters said, and what is next."""
    require(request, *DESK, *ARBITERS)
    return _dispute_page(request, dispute_id, Form())


@post("/exchange/disputes/{dispute_id:uuid}")
async def go_on_with_dispute(request: AnyRequest, dispute_id: FromPath[UUID]) -> Response[Any]:
    """Answer it (desk), judge it or carry the verdict out (arbiter)."""
    node, form = trading_house(request), await Form.read(request)
    act = form.choice("act", ("answer", "judge", "carry_out"))
    who = require(request, *(DESK if act == "answer" else ARBITERS))
    sealer, by = sealer_of(node), who.hand
    needs_minutes = act in ("answer", "judge")
    minutes = form.integer("minutes", least=0, most=rules.MINUTES_MAX) if needs_minutes else 0
    code = form.choice("code", list(DisputeCode)) if act == "answer" else ""
    words = form.text("words", least=0, most=dispute.WORDS_MAX) if act == "answer" else ""
    if form.errors:
        return _dispute_page(request, dispute_id, form, status=422)

    def command(session: Session) -> UUID:
        shared = (session, node.clock, sealer)
        if act == "answer":
            said = {"code": code, "minutes": minutes, "words": words, "recorded_by": by}
            return dispute.answer(*shared, dispute_id=dispute_id, **said).id  # type: ignore[arg-type]  # as named
        if act == "judge":
            return dispute.judge(*shared, dispute_id=dispute_id, minutes=minutes, arbiter=by).id
        return dispute.carry_out(*shared, dispute_id=dispute_id, decided_by=by).id

    try:
        await node.database.run(command)
    except DomainError as refusal:
        form.refuse(refusal, "minutes")
        return _dispute_page(request, dispute_id, form, status=422)
    return Redirect(f"/exchange/disputes/{dispute_id}", status_code=303)


@get("/exchange/trust")
async def show_trust(request: AnyRequest) -> Response[str]:
    """What each neighbour owes and may owe, what it last told us, and what was compared."""
    require(request, *WATCHERS)
    node = trading_house(request)
    names = dict(node.neighbours())
    with node.database.read() as session:
        rows = []
        for peer, balance in sorted(ledger.clearing_balances(session).items()):
            told = session.get(ToldLimit, peer)
            left = ledger.available(session, ledger.clearing_account(peer))
            rows.append((names.get(peer, peer), balance, left, told))
        comparisons = [
            (receipts.DAY_ZERO + timedelta(days=row.day), names.get(row.peer, row.peer), row)
            for row in compare.comparisons(session)
        ]
        return page(
            request,
            "exchange/trust.html",
            rows=rows,
            outstanding=limits.outstanding_minutes(session),
            headroom=max(0, limits.debt_headroom(session, node.debt_limit_minutes)),
            comparisons=comparisons,
            comparison_state=comparison_state,
            pieces=evidence.count(session),
        )


@get("/exchange/evidence")
async def show_evidence(request: AnyRequest) -> Response[str]:
    """What neighbours signed and should not have."""
    require(request, *WATCHERS)
    node = trading_house(request)
    with node.database.read() as session:
        return page(
            request,
            "exchange/evidence.html",
            pieces=evidence.latest(session),
            names=dict(node.neighbours()),
        )


def _consent(request: AnyRequest, form: Form, about: UUID) -> str | None:
    """What the form says of the consent of our resident in an exchange or reversal."""
    with trading_house(request).database.read() as session:
        choices = _consents(session, require(request), about)
    return form.choice("consent", [code for code, _name in choices]) if choices else None


def _consents(session: Session, who: Caller, about: UUID) -> list[tuple[str, str]]:
    """How our resident can have agreed; nothing to choose from where nobody acts for them."""
    resident_id = receipts.our_resident(session, about)
    return consents() if resident_id and needs_consent(who, resident_id) else []


def _claims() -> list[str]:
    return [DisputeCode.NOT_GIVEN, DisputeCode.FEWER_MINUTES, DisputeCode.WRONG_PERSON]


def _receipt_page(
    request: AnyRequest, exchange_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    who, node = require_party(request, exchange_id), trading_house(request)
    with node.database.read() as session:
        record = session.get(ReceiptRecord, exchange_id)
        if record is None:
            raise ReceiptUnknown(exchange=str(exchange_id))
        disputes = select(Dispute).where(Dispute.exchange_id == exchange_id)
        back = select(Reversal).where(Reversal.exchange_id == exchange_id)
        resident_id = receipts.our_resident(session, exchange_id)
        owner = residents.resident(session, resident_id).name if resident_id else ""
        return page(
            request,
            "exchange/receipt.html",
            status=status,
            form=form,
            record=record,
            kind=receipt_kind(record.kind),
            peer=dict(node.neighbours()).get(record.peer, record.peer),
            owner=owner,
            is_desk=who.has(*DESK),
            consents=_consents(session, who, exchange_id),
            may_go_back=record.kind != ReceiptKind.REVERSAL,
            claims=[(code, dispute_code(code)) for code in _claims()],
            disputes=session.scalars(disputes).all(),
            reversals=session.scalars(back).all(),
            dispute_state=dispute_state,
            reversal_state=reversal_state,
        )


def _reversal_page(
    request: AnyRequest, reversal_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    node = trading_house(request)
    with node.database.read() as session:
        row = find(session, reversal_id)
        return page(
            request,
            "exchange/reversal.html",
            status=status,
            form=form,
            row=row,
            state=reversal_state(row.state),
            states=ReversalState,
            reason=reason,
            consents=_consents(session, require(request), reversal_id),
            acted=acted_for(session, row.decided_by, row.consent) if row.consent else "",
            owner=residents.resident(session, row.resident_id).name if row.resident_id else None,
            peer=dict(node.neighbours()).get(row.peer, row.peer),
        )


def _dispute_page(
    request: AnyRequest, dispute_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    who, node = require(request), trading_house(request)
    with node.database.read() as session:
        row = dispute.find(session, dispute_id)
        record, said = session.get(ReceiptRecord, row.exchange_id), claim.of(session, row)
        return page(
            request,
            "exchange/dispute.html",
            status=status,
            form=form,
            row=row,
            state=dispute_state(row.state),
            states=DisputeState,
            reason=reason,
            code_name=dispute_code,
            codes=[(code, dispute_code(code)) for code in DisputeCode],
            has_receipt=record is not None,
            our_receipt=receipt_said(record),
            their_receipt=receipt_said(said),
            do_differ=record is not None and said is not None and claim.differs(record, said),
            peer=dict(node.neighbours()).get(row.peer, row.peer),
            may_answer=who.has(*DESK) and not row.is_ours and row.state == DisputeState.OPENED,
            may_judge=who.has(*ARBITERS) and row.state == DisputeState.ANSWERED,
        )


routes = [
    show_receipt,
    act_on_receipt,
    show_reversal,
    go_on_with_reversal,
    show_disputes,
    show_dispute,
    go_on_with_dispute,
    show_trust,
    show_evidence,
]
