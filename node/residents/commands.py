"""`linli-node import-residents`: a household list too long for the page, or no desk yet."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from node.kernel.ids import new_id
from node.kernel.terminal import say

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The node's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]
OpenNode = Callable[[Path], AbstractContextManager[Any]]


def add_to(app: typer.Typer, open_node: OpenNode) -> None:
    """Let `linli-node` say this too."""

    @app.command(name="import-residents")
    def import_residents(
        directory: Directory,
        file: Annotated[
            Path,
            typer.Argument(
                metavar="FILE",
                help="CSV: 姓名,电话,楼栋,房号,业主,面积,出生年份; UTF-8 or GB18030.",
            ),
        ],
        as_json: Json = False,
    ) -> None:
        """Register all of a household list, or nobody and say what is wrong in which line."""
        from node.residents import importing
        from node.residents.refusals import ListRefused, ListUnreadable

        try:
            with file.open("rb") as stream:
                content = stream.read(importing.BYTES_MAX + 1)
        except OSError as problem:
            raise ListUnreadable(problem=problem.strerror or "unknown") from problem
        with open_node(directory) as node:
            entries, problems = importing.read_list(content, this_year=node.clock.now().year)
            with node.database.read() as session:
                problems += importing.clashes(session, entries)
            for one in sorted(problems):
                typer.echo(f"line {one.line}, {one.column}: {one.problem}", err=True)
            if problems:
                raise ListRefused(count=len({one.line for one in problems}))
            taken = node.database.do(
                lambda session: importing.take_over(
                    session,
                    node.clock,
                    import_id=new_id(),
                    entries=entries,
                    credit_limit_minutes=node.settings.credit_limit_minutes,
                )
            )
        sentence = f"{taken.registered} residents were registered; {taken.known} were here already."
        say(taken._asdict(), as_json=as_json, sentence=sentence)
