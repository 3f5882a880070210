"""My statement of account: as a page, as CSV for a spreadsheet, and as paper to sign and keep."""

from datetime import date
from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromQuery
from sqlalchemy.orm import Session

from node.ledger import service as ledger
from node.ledger.model import Unit
from node.residents import service as residents
from node.residents.rules import Scope
from node.timebank import statement
from node.timebank.model import Exchange
from node.timebank.service import side_of
from node.timebank.words import reason_names
from node.web import language
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, house, require_subject

MONTHS_SHOWN = 12
ROWS = 50  # movements on one page


@get("/timebank/statement")
async def show(request: AnyRequest, before: FromQuery[int | None] = None) -> Response[str]:
    """Every movement on my account and what stood after it, newest first."""
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    node = house(request)
    with node.database.read() as session:
        lines = statement.lines(session, resident_id, limit=ROWS, before=before)
        account_id = ledger.resident_account(resident_id, Unit.MINUTES)
        return page(
            request,
            "timebank/statement.html",
            lines=[(line, _with_whom(session, line, resident_id)) for line in lines],
            following=lines[-1].sequence if len(lines) == ROWS else None,
            balance=ledger.balance(session, account_id),
            reason_names=reason_names(),
            months=_months(node.clock.now().astimezone(language.LOCAL_TIME).date()),
        )


@get("/timebank/statement/paper")
async def show_paper(request: AnyRequest, month: FromQuery[date | None] = None) -> Response[str]:
    """One month on one sheet: opening and closing balance, every line, a place to sign."""
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    node = house(request)
    with node.database.read() as session:
        found = _of_month(request, session, resident_id, month)
        return page(
            request,
            "timebank/paper.html",
            found=found,
            lines=[(line, _with_whom(session, line, resident_id)) for line in found.lines],
            name=residents.resident(session, resident_id).name,
            reason_names=reason_names(),
        )


@get("/timebank/statement.csv")
async def show_csv(request: AnyRequest, month: FromQuery[date | None] = None) -> Response[Any]:
    """One month for a spreadsheet."""
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    with house(request).database.read() as session:
        found = _of_month(request, session, resident_id, month)
    names = reason_names()
    content = statement.as_csv(
        found,
        headings=[_("Moment"), _("What for?"), _("Minutes"), _("Balance"), _("Refers to")],
        words=lambda reason: names.get(reason, reason),
        moment=lambda at: at.astimezone(language.LOCAL_TIME).strftime("%Y-%m-%d %H:%M"),
    )
    name = f"statement-{found.first:%Y-%m}.csv"
    return Response(
        content,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _of_month(
    request: AnyRequest, session: Session, resident_id: UUID, month: date | None
) -> statement.Statement:
    today = house(request).clock.now().astimezone(language.LOCAL_TIME).date()
    zone = language.LOCAL_TIME
    return statement.of_month(session, resident_id, month=month or today, zone=zone)


def _with_whom(session: Session, line: statement.StatementLine, resident_id: UUID) -> str:
    """The other's name on a line about an exchange of one's own."""
    exchange = session.get(Exchange, line.refers_to)
    if exchange is None or side_of(exchange, resident_id) is None:
        return ""
    is_provider = exchange.provider_id == resident_id
    other = exchange.receiver_id if is_provider else exchange.provider_id
    return residents.resident(session, other).name


def _months(today: date) -> list[date]:
    """This month and those before it."""
    first = today.replace(day=1)
    months = [first]
    while len(months) < MONTHS_SHOWN:
        first = date(first.year - (first.month == 1), (first.month - 2) % 12 + 1, 1)
        months.append(first)
    return months


routes = [show, show_paper, show_csv]
