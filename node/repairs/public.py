"""For everybody, signed in or not: where repairs stand, and the month's report."""

from typing import Any

from litestar import Response, get
from litestar.params import FromPath

from node.repairs import monthly, progress, rules, views
from node.repairs.access import STAFF
from node.web.layout import page
from node.web.session import AnyRequest, caller, house


@get("/repairs/progress")
async def show_progress(request: AnyRequest) -> Response[str]:
    """The public board: numbers, kinds and dates, nobody's name, words or home."""
    node = house(request)
    with node.database.read() as session:
        standing = progress.standing(session, node.clock)
        found = progress.latest(session, after=request.query_params.get("after"))
    shown: dict[str, Any] = {
        "standing": standing,
        "rows": found.rows,
        "next_page": found.next,
        "status_names": views.status_names(),
        "status_name": views.status_name,
        "level_names": views.level_names(),
        "category_name": views.category_name,
        "recent_days": progress.RECENT_DAYS,
        "month": _this_month(request),
    }
    return page(request, "repairs/progress.html", **shown)


@get("/repairs/months/{month:str}")
async def show_month(request: AnyRequest, month: FromPath[str]) -> Response[str]:
    """One month, category by category."""
    report = _report(request, month)
    before = rules.month_before(report.year, report.month)
    shown: dict[str, Any] = {
        "report": report,
        "before": f"{before[0]:04}-{before[1]:02}",
        "this_month": _this_month(request),
        "category_name": views.category_name,
        "sees_numbers": caller(request).has(*STAFF),
    }
    return page(request, "repairs/month.html", **shown)


@get("/repairs/months/{month:str}/report.csv", media_type="text/csv")
async def download_month(request: AnyRequest, month: FromPath[str]) -> Response[bytes]:
    """The same for a spreadsheet."""
    report = _report(request, month)
    name = f'attachment; filename="repairs-{report.name}.csv"'
    return Response(
        monthly.as_csv(report),
        media_type="text/csv",
        headers={"Content-Disposition": name},
    )


def _report(request: AnyRequest, month: str) -> monthly.Month:
    year, number = rules.check_month(month)
    node = house(request)
    with node.database.read() as session:
        return monthly.report(session, node.clock, year=year, month=number)


def _this_month(request: AnyRequest) -> str:
    year, month = rules.month_of(house(request).clock.now())
    return f"{year:04}-{month:02}"


routes = [show_progress, show_month, download_month]
