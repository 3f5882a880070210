"""`linli-node bundles`: what the office asks to run on this machine, and the operator's word."""

from pathlib import Path
from typing import Annotated

import typer

from node import settings
from node.kernel.clock import SystemClock
from node.kernel.terminal import say

app = typer.Typer(
    no_args_is_help=True,
    help="Training code from the office: it runs here only if its very bytes were approved.\n\n"
    "The code that came with this program is approved with it (approve_own_bundle in node.toml). "
    "Anything else waits: list, read, then approve or refuse.",
)

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The node's folder: settings, keys, database.")
]
Sha256 = Annotated[
    str, typer.Argument(metavar="SHA256", help="The bundle's hash, or its first 8 signs or more.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]


@app.command(name="list")
def list_bundles(directory: Directory, as_json: Json = False) -> None:
    """List all code that was asked to run here, and what was decided."""
    from node.forecast.bundles import listed

    found = settings.load(directory)
    bundles = listed(found.bundles, approves_own=found.approve_own_bundle)
    table = "\n".join(
        f"{one.sha256}  {one.decision:10} asked {one.times:4} times, last "
        f"{one.last_asked_at or 'never'}"
        for one in bundles
    )
    say(
        {"bundles": [one.as_json() for one in bundles]},
        as_json=as_json,
        sentence=table or "Nothing was asked to run here.",
    )


@app.command()
def read(
    directory: Directory,
    sha256: Sha256,
    out: Annotated[Path, typer.Option(help="A new folder for its sources.")],
    as_json: Json = False,
) -> None:
    """Lay out a bundle's sources to be read, and name what differs from those installed here."""
    from node.forecast.bundles import lay_out

    reading = lay_out(settings.load(directory).bundles, sha256=sha256, out=out)
    facts = {
        "folder": str(reading.folder),
        "files": reading.files,
        "changed": list(reading.changed),
        "added": list(reading.added),
    }
    lines = [f"{reading.files} files are in {reading.folder}."]
    lines += [f"  changed: {name}" for name in reading.changed]
    lines += [f"  not installed here: {name}" for name in reading.added]
    if not reading.changed and not reading.added:
        lines.append("All of its programs are the very ones installed here.")
    say(facts, as_json=as_json, sentence="\n".join(lines))


@app.command()
def approve(directory: Directory, sha256: Sha256, as_json: Json = False) -> None:
    """Let this bundle run here, in the sandbox. It counts from the next training step on."""
    from node.forecast.bundles import Decision

    _decide(directory, sha256, Decision.APPROVED, as_json=as_json)


@app.command()
def refuse(directory: Directory, sha256: Sha256, as_json: Json = False) -> None:
    """Never run this bundle here, also if it is the one that came with this program."""
    from node.forecast.bundles import Decision

    _decide(directory, sha256, Decision.REFUSED, as_json=as_json)


def _decide(directory: Path, sha256: str, decision: str, *, as_json: bool) -> None:
    from node.forecast.bundles import Decision, decide

    folder = settings.load(directory).bundles
    chosen = decide(folder, SystemClock(), sha256=sha256, decision=Decision(decision))
    facts = {"sha256": chosen, "decision": decision}
    say(facts, as_json=as_json, sentence=f"The bundle {chosen} is {decision}.")
