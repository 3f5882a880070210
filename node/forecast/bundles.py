"""The operator's veto: which training code was asked to run here, read, approved, refused.

The guard (federation/guard/bundles.py: the same names there) keeps what it was asked for in
DIR/bundles and asks the decisions written here each time. Nothing here runs any of it.
"""

import hashlib
import importlib.util
import io
import json
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from node.kernel.errors import BadInput, DomainError
from node.kernel.files import private_folder, write_file
from node.kernel.ports import Clock

DECISIONS_FILE, OWN_FILE = "decisions.json", "own.json"
SHA256_LENGTH, PREFIX_LENGTH_MIN = 64, 8
UNPACKED_BYTES_MAX = 32 * 1024 * 1024
FILES_MAX = 500
PACKAGE = "federation"


class Decision(StrEnum):
    APPROVED = "approved"
    REFUSED = "refused"
    OWN = "own"  # the app that is installed here, approved with the program itself
    UNDECIDED = "undecided"


class BundleUnknown(DomainError):
    code = "bundles.unknown"
    message = (
        "No bundle {sha256} was asked to run here. linli-node bundles list shows which were; a "
        "whole hash of 64 signs can be approved before it is asked for."
    )


class BundleUnreadable(DomainError):
    code = "bundles.unreadable"
    message = "The bundle {sha256} cannot be unpacked: {problem}."


@dataclass(frozen=True)
class Bundle:
    """One bundle as the list shows it."""

    sha256: str
    decision: Decision
    last_asked_at: str | None
    times: int
    bytes: int
    is_here: bool  # its sources can be read

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Reading:
    """A bundle's sources laid out to be read, and where they are not those installed here."""

    folder: Path
    files: int
    changed: tuple[str, ...]
    added: tuple[str, ...]


def listed(folder: Path, *, approves_own: bool) -> list[Bundle]:
    """All that was asked, decided or is our own, the latest first."""
    decided = _decisions(folder)
    own = _json(folder / OWN_FILE).get("sha256") if approves_own else None
    asked = {path.stem for path in folder.glob("*.json") if len(path.stem) == SHA256_LENGTH}
    names = asked | set(decided) | ({own} if isinstance(own, str) else set())
    found = []
    for sha256 in names:
        note = _json(folder / f"{sha256}.json")
        decision = Decision.OWN if sha256 == own else Decision.UNDECIDED
        if sha256 in decided:
            decision = Decision(decided[sha256]["decision"])
        found.append(
            Bundle(
                sha256=sha256,
                decision=decision,
                last_asked_at=note.get("last_asked_at"),
                times=int(note.get("times") or 0),
                bytes=int(note.get("bytes") or 0),
                is_here=(folder / f"{sha256}.fab").exists(),
            )
        )
    return sorted(found, key=lambda one: (one.last_asked_at or "", one.sha256), reverse=True)


def is_here(folder: Path, sha256: str) -> bool:
    """Whether the operator can read this bundle already, or has decided about it."""
    return (folder / f"{sha256}.json").exists() or sha256 in _decisions(folder)


def keep_announced(folder: Path, *, sha256: str, content: bytes) -> None:
    """Keep what the office says it will ask for, so that it can be read before that."""
    private_folder(folder)
    write_file(folder / f"{sha256}.fab", content, is_private=True)
    note = {"times": 0, "bytes": len(content)}
    write_file(folder / f"{sha256}.json", json.dumps(note).encode(), is_private=True)


def decide(folder: Path, clock: Clock, *, sha256: str, decision: Decision) -> str:
    """Approve or refuse a bundle, named by its hash or the beginning of it; returns the hash."""
    assert decision in (Decision.APPROVED, Decision.REFUSED), "the others are nobody's decisions"
    chosen = _resolved(folder, sha256)
    decided = _decisions(folder)
    at = clock.now().isoformat(timespec="seconds")
    decided[chosen] = {"decision": decision.value, "at": at}
    private_folder(folder)
    content = json.dumps(decided, indent=1, sort_keys=True) + "\n"
    write_file(folder / DECISIONS_FILE, content.encode(), is_private=True)
    return chosen


def lay_out(folder: Path, *, sha256: str, out: Path) -> Reading:
    """Write a bundle's sources to a folder that does not exist yet, and compare them with ours."""
    chosen = _resolved(folder, sha256)
    if out.exists():
        raise BadInput(field="--out", problem=f"{out} is there already")
    try:
        content = (folder / f"{chosen}.fab").read_bytes()
    except OSError as error:
        raise BundleUnknown(sha256=chosen) from error
    if hashlib.sha256(content).hexdigest() != chosen:
        raise BundleUnreadable(sha256=chosen, problem="its bytes are not those of its name")
    sources = _sources(chosen, content)
    for name, source in sources.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source)
    ours = _installed(sources)
    same = set(ours) & set(sources)
    return Reading(
        folder=out,
        files=len(sources),
        changed=tuple(sorted(name for name in same if ours[name] != sources[name])),
        added=tuple(sorted(name for name in sources if _is_source(name) and name not in ours)),
    )


def _sources(sha256: str, content: bytes) -> dict[str, bytes]:
    """The files of a bundle by name; nothing that could be written elsewhere or fill a disk."""
    found: dict[str, bytes] = {}
    left_bytes = UNPACKED_BYTES_MAX
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            if len(bundle.infolist()) > FILES_MAX:
                raise BundleUnreadable(sha256=sha256, problem="it has too many files")
            for entry in bundle.infolist():
                path = PurePosixPath(entry.filename)
                if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
                    raise BundleUnreadable(sha256=sha256, problem="it names files outside of it")
                if entry.is_dir():
                    continue
                with bundle.open(entry) as file:
                    found[str(path)] = file.read(left_bytes + 1)
                left_bytes -= len(found[str(path)])
                if left_bytes < 0:
                    raise BundleUnreadable(sha256=sha256, problem="it is too large")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BundleUnreadable(sha256=sha256, problem=type(error).__name__) from error
    return found


def _installed(sources: dict[str, bytes]) -> dict[str, bytes]:
    """What is installed here under the same names; the package is found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return {}
    root = Path(spec.submodule_search_locations[0]).parent
    found = {}
    for name in sources:
        if _is_source(name):
            with suppress(OSError):
                found[name] = (root / name).read_bytes()
    return found


def _is_source(name: str) -> bool:
    return name.endswith(".py")


def _resolved(folder: Path, sha256: str) -> str:
    """The whole hash: of one that is known by its beginning, or as it was given."""
    text = sha256.strip().lower()
    if not all(letter in "0123456789abcdef" for letter in text):
        raise BadInput(field="SHA256", problem="hexadecimal signs are needed")
    if len(text) == SHA256_LENGTH:
        return text
    known = {path.stem for path in folder.glob("*.json")} | set(_decisions(folder))
    fitting = [one for one in known if len(one) == SHA256_LENGTH and one.startswith(text)]
    if len(text) < PREFIX_LENGTH_MIN or len(fitting) != 1:
        raise BundleUnknown(sha256=text)
    return fitting[0]


def _decisions(folder: Path) -> dict[str, dict[str, str]]:
    """What was decided so far; a damaged entry counts as none, as it does for the guard."""
    known = (Decision.APPROVED, Decision.REFUSED)
    return {
        sha256: entry
        for sha256, entry in _json(folder / DECISIONS_FILE).items()
        if isinstance(entry, dict) and entry.get("decision") in known
    }


def _json(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            return content
    return {}
