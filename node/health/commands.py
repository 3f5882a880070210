"""`linli-node health`: for monitors, and for the operator at two in the morning."""

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from node import migrations, settings
from node.kernel.clock import SystemClock
from node.kernel.errors import DomainError
from node.kernel.terminal import say


class NotWell(DomainError):
    code = "health.not_well"
    message = "Not all is well: {checks}."


def add_to(app: typer.Typer) -> None:
    """Let `linli-node` say it too."""
    app.command()(health)


def health(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The node's folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Is all well? Status 2 if not. Works while the node serves, and while it does not."""
    from node.enrolment.directory import load_membership
    from node.health import checks
    from node.kernel.db import open_engine

    found = settings.load(directory)
    migrations.check(found.database_url)
    membership, now = load_membership(found.directory), SystemClock().now()
    engine = open_engine(found.database_url, read_only=True)
    try:
        with Session(engine) as session:
            place = checks.Place(found.directory, membership, bool(found.rpc), now)
            lines = checks.look(session, place)
    finally:
        engine.dispose()
    marks = {True: "ok  ", False: "LOOK", None: "-   "}
    table = "\n".join(f"{marks[one.is_well]} {one.name:12} {one.sentence}" for one in lines)
    say(checks.as_json(lines), as_json=as_json, sentence=table)
    wrong = sorted({one.name for one in lines if one.is_well is False})
    if wrong:
        raise NotWell(checks=", ".join(wrong))
