"""`linli-node backup`, `restore`, `export` and `recovery-key`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node import settings
from node.kernel.clock import SystemClock
from node.kernel.errors import BadInput
from node.kernel.files import write_new_file
from node.kernel.terminal import say

if TYPE_CHECKING:
    from node.backup.age import Passphrase, RecoveryKey

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The node's folder: settings, keys, database.")
]
PassphraseFile = Annotated[
    Path | None, typer.Option(help="A file whose first line is the passphrase; else it is asked.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]
FILE_STAMP = "%Y-%m-%dT%H%M%SZ"


def add_to(app: typer.Typer) -> None:
    """Let `linli-node` say these too."""
    app.command(name="recovery-key")(recovery_key)
    app.command(name="backup")(back_up)
    app.command(name="restore")(bring_back)
    app.command(name="export")(write_open)


def recovery_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the secret half goes.")],
    as_json: Json = False,
) -> None:
    """Make a key that opens backups: FILE goes to a safe place, away from the node."""
    from node.backup.age import RecoveryKey

    key = RecoveryKey.new()
    content = f"# opens this community's backups\n{key.secret_text}\n".encode()
    if not write_new_file(file, content, is_private=True):
        raise BadInput(field="FILE", problem=f"{file} exists already")
    sentence = f"{key.public_text}\nSay this to linli-node backup --for; keep {file} elsewhere."
    say({"public": key.public_text, "file": str(file)}, as_json=as_json, sentence=sentence)


def back_up(
    directory: Directory,
    to: Annotated[Path, typer.Argument(metavar="TO", help="A new file, or a folder for one.")],
    recovery: Annotated[
        list[str] | None,
        typer.Option("--for", help="age1…: who can open it. May be said several times."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Write an encrypted backup, also while the node serves; it is verified by restoring it."""
    from node.backup import archive
    from node.backup.age import Key, RecoveryKey

    clock, found = SystemClock(), settings.load(directory)
    keys: list[Key] = [RecoveryKey.read(text) for text in recovery or ()]
    if not keys:
        keys = [_passphrase(passphrase_file, is_new=True)]
    if to.is_dir():
        to = to / f"linli-{clock.now().strftime(FILE_STAMP)}.age"
    manifest = archive.make(found, clock, to=to, keys=keys)
    sentence = f"{to}: {manifest.entries} entries. It was restored and audited: they fit."
    facts = manifest.as_json() | {"file": str(to), "bytes": to.stat().st_size}
    say(facts, as_json=as_json, sentence=sentence)


def bring_back(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    key_file: Annotated[
        Path | None, typer.Option("--key", help="The recovery key's secret half.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    database: Annotated[
        str, typer.Option(help="An empty PostgreSQL database, if the node ran on one.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Bring a node back from a backup; what was done since is not in it."""
    from node.backup.age import Key
    from node.backup.restore import restore

    key: Key = _secret(key_file) if key_file else _passphrase(passphrase_file, is_new=False)
    manifest = restore(file, directory, SystemClock(), key=key, database=database)
    sentence = (
        f"{directory} is the node of {manifest.name} as it was at {manifest.taken_at:%F %T} "
        "UTC; its books fit.\nWhat people did here after that is gone: ask them. Make sure "
        "that the old node never starts again.\nNeighbours remember more: serve compares "
        "receipts with each of them, and answers nothing else until it has."
    )
    say(manifest.as_json(), as_json=as_json, sentence=sentence)


def write_open(
    directory: Directory,
    to: Annotated[Path, typer.Argument(metavar="TO", help="A new folder.")],
    as_json: Json = False,
) -> None:
    """Write all that this community owns as CSV, JSON and files. Not encrypted: guard it."""
    from node.backup.export import export

    counts = export(settings.load(directory), SystemClock(), to=to)
    rows = sum(counts.values())
    sentence = f"{rows} rows of {len(counts)} tables are in {to}: see README.md there."
    say({"rows": counts}, as_json=as_json, sentence=sentence)


def _passphrase(file: Path | None, *, is_new: bool) -> "Passphrase":
    from node.backup.age import Passphrase

    if file is not None:
        return Passphrase(_first_line(file))
    text = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True)
    return Passphrase(str(text))


def _secret(file: Path) -> "RecoveryKey":
    from node.backup.age import RecoveryKey

    key = RecoveryKey.read(_first_line(file))
    if key.secret is None:
        raise BadInput(field="--key", problem="the secret half is needed")
    return key


def _first_line(file: Path) -> str:
    """The first line that is no comment."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as problem:
        raise BadInput(field=str(file), problem="this file cannot be read") from problem
    return next((line.strip() for line in lines if line.strip() and line[0] != "#"), "")
