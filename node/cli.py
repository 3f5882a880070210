"""`linli-node`: what the operator of one community's node can say."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from click import get_current_context
from sqlalchemy.orm import Session

from node import migrations, settings
from node.backup import commands as backup_commands
from node.bundles_cli import app as bundles_app
from node.exchange import commands
from node.health import commands as health_commands
from node.kernel.clock import SystemClock
from node.kernel.ids import new_id
from node.kernel.terminal import run, say
from node.kernel.witness import witness_is
from node.residents import commands as residents_commands
from node.residents.rules import Role
from node.settlement import commands as settlement_commands

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="One community's node: repairs, points, time bank, council.\n\n"
    "First time: init, join, serve. Every command explains itself with --help.",
)
residents_app = typer.Typer(no_args_is_help=True, help="Residents, from the operator's desk.")
app.add_typer(residents_app, name="resident")
app.add_typer(bundles_app, name="bundles")

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The node's folder: settings, keys, database.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]


@app.command()
def init(
    directory: Directory,
    name: Annotated[str, typer.Option(help="The community's name, as residents read it.")],
    database: Annotated[
        str, typer.Option(help="postgresql+psycopg://…; left out: SQLite in DIR.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Make a new node in DIR: its settings file and its empty database."""
    is_new_folder = not directory.exists()
    made = settings.create(directory, name=name, database=database)
    try:
        migrations.migrate(made.database_url)
    except BaseException:
        (made.directory / settings.FILE_NAME).unlink()  # so that init can be said again
        if is_new_folder:
            with suppress(OSError):  # not empty: the database's file is worth a look
                made.directory.rmdir()
        raise
    sentence = f"{directory} holds the node of {name} now. Next: linli-node join, linli-node serve."
    say({"directory": str(made.directory), "name": name}, as_json=as_json, sentence=sentence)


@app.command()
def join(
    directory: Directory,
    invitation: Annotated[
        str, typer.Option(help="The text that the district's office gave you (linli1.…).")
    ],
    peer: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where neighbours reach this node.")
    ] = settings.HOST_AND_PORT_DEFAULTS["peer"],
    as_json: Json = False,
) -> None:
    """Join the district: make keys, send the request, wait for the office to approve it.

    Private keys never leave DIR. Interrupted? Say the same again.
    """
    from node.enrolment.join import join as join_district  # grpc: only where it is used

    settings.load(directory)
    membership = asyncio.run(
        join_district(
            directory,
            invitation,
            peer,
            on_waiting=lambda: typer.echo("Sent. Waiting for the office to approve.", err=True),
        )
    )
    membership.require_current(SystemClock().now())  # said again with an invitation of long ago
    facts = {"community": membership.community, "district": membership.directory.district}
    sentence = f"This node is {membership.community} in {membership.directory.district} now."
    say(facts, as_json=as_json, sentence=sentence)


@app.command()
def serve(
    directory: Directory,
    http: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Pages and API for residents.")
    ] = settings.HOST_AND_PORT_DEFAULTS["http"],
    peer: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="For the other communities.")
    ] = settings.HOST_AND_PORT_DEFAULTS["peer"],
) -> None:
    """Serve until stopped. Office, chain and neighbours may be down: residents do not notice."""
    from node.serve import serve as serve_node

    with _node(directory, is_act=False) as node:  # what its residents do is theirs
        asyncio.run(serve_node(node, http=http, peer=peer))


@app.command()
def migrate(directory: Directory, as_json: Json = False) -> None:
    """Bring the database to this program's shape, after an update of the program."""
    before, after = migrations.migrate(settings.load(directory).database_url)
    sentence = f"The database was at step {before} and is at step {after}."
    say({"before": before, "after": after}, as_json=as_json, sentence=sentence)


@app.command(name="import")
def import_panel(
    directory: Directory,
    panel: Annotated[Path, typer.Argument(help="CSV or CSV.GZ: date, community, category, count.")],
    community: Annotated[str, typer.Option(help="Which community of the file is this one.")],
    as_json: Json = False,
) -> None:
    """Take over past request counts for the forecast. All of the file or nothing of it."""
    from node.forecast import counting, exporting, noise
    from node.forecast.panel import read_panel
    from node.forecast.rules import HistoryTooShort

    with _node(directory) as node:
        rows = list(read_panel(panel, community))
        terms = exporting.terms_of(node.settings, [row.category for row in rows])
        first, last = min(row.date for row in rows), max(row.date for row in rows)

        def take_over(session: Session) -> tuple[int, set[str]]:
            fixed = noise.declare(session, node.clock, first_day=first, last_day=last, terms=terms)
            unseen = set(terms.categories) - set(fixed.categories)
            return counting.import_history(session, rows), unseen

        count, unseen = node.database.do(take_over)
        sentence = f"{count} counts are in the books of the forecast."
        if unseen:
            named = ", ".join(sorted(unseen))
            sentence = (
                f"{sentence} Training will not see {named}: its categories were fixed before."
            )
        try:
            exporting.refresh(node)
        except HistoryTooShort as short:  # kept: the days to come are added to them
            sentence = f"{sentence} {short}"
    days = len({row.date for row in rows})
    say({"counts": count, "days": days}, as_json=as_json, sentence=sentence)


@residents_app.command(name="add")
def add_resident(
    directory: Directory,
    name: Annotated[str, typer.Option(help="As the desk knows them.")],
    phone: Annotated[str, typer.Option(help="5 to 15 digits; the resident signs in with it.")],
    role: Annotated[
        list[Role] | None, typer.Option(help="More than a resident? May be said several times.")
    ] = None,
    ask_pin: Annotated[
        bool, typer.Option("--pin", help="Read a PIN from standard input, so they can sign in.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Register a resident, such as the first clerk; the others join at the desk."""
    from node.residents import service as residents

    pin_hash = residents.hash_pin(sys.stdin.readline().strip()) if ask_pin else None
    resident_id = new_id()
    with _node(directory) as node:

        def command(session: Session) -> None:
            residents.join(
                session,
                node.clock,
                resident_id=resident_id,
                name=name,
                phone=phone,
                pin_hash=pin_hash,
                credit_limit_minutes=node.settings.credit_limit_minutes,
            )
            for one in role or ():
                residents.grant(session, node.clock, resident_id=resident_id, role=one)

        node.database.do(command)
    sentence = f"Registered under the id {resident_id}."
    say({"id": str(resident_id)}, as_json=as_json, sentence=sentence)


@app.command()
def token(
    directory: Directory,
    role: Annotated[Role, typer.Option(help="What the program may do.")],
    as_json: Json = False,
) -> None:
    """Make a token for a program: Authorization: Bearer TOKEN. It is shown this once."""
    from node.residents import service as residents

    with _node(directory) as node:
        secret = node.database.do(
            lambda session: residents.issue_token(session, node.clock, token_id=new_id(), role=role)
        )
    say({"token": secret, "role": role.value}, as_json=as_json, sentence=secret)


@app.command()
def audit(directory: Directory, as_json: Json = False) -> None:
    """Replay the books: sums, limits, hash chain, receipts, and whether the chain agrees.

    Exit status 2 names the first thing that does not fit.
    """
    from node.audit import BooksDoNotFit
    from node.audit import audit as audit_node
    from node.member import open_chain

    with _node(directory) as node:
        chain = open_chain(node.settings, node.membership) if node.membership else None
        found = asyncio.run(audit_node(node, chain))
    head = found.head[:16]
    sentence = f"{found.entries} entries up to {head}…: the books fit. Chain: {found.chain}."
    if found.evidence:
        sentence += f" Evidence against neighbours: {found.evidence}, see /exchange/evidence."
    if found.passed_over_minutes:
        sentence += f" Passed over on the chain: {found.passed_over_minutes} minutes."
    for alarm in found.alarms:
        sentence += f"\nALARM: {alarm}"
    if found.ok or as_json:
        say(found.as_json(), as_json=as_json, sentence=sentence)
    if not found.ok:
        raise BooksDoNotFit(problem=found.problem)


@app.command()
def left(directory: Directory, as_json: Json = False) -> None:
    """List all that ever left this house: kind, for whom, how often, how many bytes."""
    from node.outbox.left import left as all_that_left

    with _node(directory) as node, node.database.read() as session:
        lines = all_that_left(session, node.settings.exports)
    table = "\n".join(f"{one.to:20} {one.kind:20} {one.messages:8} {one.bytes:12}" for one in lines)
    say(
        {"left": [one._asdict() for one in lines]},
        as_json=as_json,
        sentence=table or "Nothing has left.",
    )


@app.command()
def recount(
    archive: Annotated[Path, typer.Argument(help="A vote's signed archive, from its page.")],
    key: Annotated[str, typer.Option(help="The council's key as the notice board shows it.")] = "",
    as_json: Json = False,
) -> None:
    """Count a vote again from its archive, by a program that shares no code with this node.

    Ends with 0 when everything fits, 1 when something does not, 2 when it is no archive.
    """
    from recount.command import recount as count_again  # a serving node has no use for it

    raise typer.Exit(count_again(archive, key=key, as_json=as_json))


@contextmanager
def _node(directory: Path, *, is_act: bool = True) -> Iterator[Any]:
    """The node in DIR, closed again at the end; what a command changes is written down."""
    found = settings.load(directory)
    from node.acts.service import at_terminal
    from node.app import Node  # the web framework: only for commands that need the node

    node = Node(found, clock=SystemClock())
    said = get_current_context().command_path
    try:
        with witness_is(at_terminal(node.clock, said)) if is_act else nullcontext():
            yield node
    finally:
        node.close()


commands.add_to(app, _node)
settlement_commands.add_to(app, _node)
backup_commands.add_to(app)
health_commands.add_to(app)
residents_commands.add_to(app, _node)


def main() -> None:
    """Entry point of `linli-node`."""
    run(app)
