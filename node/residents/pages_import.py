"""The page on which the desk takes over a household list."""

from typing import Any

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.residents import importing
from node.residents.importing import Problem, Taken
from node.residents.rules import Role
from node.residents.words import field_names
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, house, require

REGISTRARS = (Role.CLERK, Role.OPERATOR)


@get("/residents/import")
async def show_import(request: AnyRequest) -> Response[str]:
    """Where to choose the list, and what it has to look like."""
    require(request, *REGISTRARS)
    return _show(request, Form())


@post("/residents/import")
async def do_import(request: AnyRequest) -> Response[str]:
    """Register all of the list, or say what is wrong in which line and register nobody."""
    require(request, *REGISTRARS)
    node, form = house(request), await Form.read(request)
    file = (await request.form()).get("list")
    content = await file.read() if isinstance(file, UploadFile) else b""
    if not content:
        form.errors["list"] = _("Please choose a file.")
        return _show(request, form, status=422)
    try:
        entries, problems = importing.read_list(content, this_year=node.clock.now().year)
        with node.database.read() as session:
            problems += importing.clashes(session, entries)
        if problems:
            return _show(request, form, problems=sorted(problems), status=422)

        def command(session: Session) -> Taken:
            return importing.take_over(
                session,
                node.clock,
                import_id=form.id,
                entries=entries,
                credit_limit_minutes=node.settings.credit_limit_minutes,
            )

        return _show(request, Form(), taken=await node.database.run(command))
    except DomainError as refusal:
        form.refuse(refusal, "list")
        return _show(request, form, status=422)


@get("/residents/import/example.csv")
async def example(request: AnyRequest) -> Response[bytes]:
    """A list to start from."""
    require(request, *REGISTRARS)
    headers = {"Content-Disposition": 'attachment; filename="residents.csv"'}
    return Response(importing.example(), media_type="text/csv; charset=utf-8", headers=headers)


def _show(
    request: AnyRequest,
    form: Form,
    *,
    problems: list[Problem] | None = None,
    taken: Taken | None = None,
    status: int = 200,
) -> Response[str]:
    found = problems or []
    shown: dict[str, Any] = {
        "form": form,
        "taken": taken,
        "problems": found[: importing.PROBLEMS_SHOWN_MAX],
        "problem_count": len(found),
        "line_count": len({one.line for one in found}),
        "field_names": field_names(),
    }
    return page(request, "residents/import.html", status=status, **shown)


routes = [show_import, do_import, example]
