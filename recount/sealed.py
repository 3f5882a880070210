"""The part of a recount that belenios-tool proves: a secret vote's ballots and its sum."""

import base64
import binascii
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOOL = "belenios-tool"
VERIFY_SECONDS_MAX = 3_600
CHOICES = ("yes", "no", "abstain")  # the order of the answers on the ballot


@dataclass
class Sealed:
    """What a belenios archive contains and whether its proofs hold."""

    is_proved: bool
    detail: str = ""
    ballots: int = 0
    credentials: int = 0
    choices: dict[str, int] = field(default_factory=dict)


class ToolMissing(Exception):
    """Nobody can say whether a sealed archive fits without the tool that proves it."""


def begins_as(encoded: str, *, sha256: str, length: int) -> bool:
    """Is the beginning of the archive the one whose fingerprint was public when voting began?"""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    return hashlib.sha256(raw[:length]).hexdigest() == sha256


def count(encoded: str) -> Sealed:
    """Verify every proof of the archive, and read its result."""
    if shutil.which(TOOL) is None:
        raise ToolMissing(
            f"A secret vote is counted again with {TOOL}, which is not installed here. "
            f"On Debian: apt install {TOOL}."
        )
    try:
        raw = base64.b64decode(encoded, validate=True)
        events = _events(raw)
    except (binascii.Error, tarfile.TarError, ValueError, KeyError, TypeError) as problem:
        return Sealed(False, f"the sealed archive cannot be read: {problem}")
    proof = _verify(raw, events.uuid)
    choices = dict(zip(CHOICES, events.result, strict=False))
    return Sealed(proof == "", proof, events.ballots, events.credentials, choices)


@dataclass
class _Events:
    uuid: str
    ballots: int
    credentials: int
    result: list[int]


def _events(raw: bytes) -> _Events:
    """What lies in the archive: a tar of JSON, named by hash, and the events that refer to it."""
    ballots, credentials, result, uuid = 0, 0, [], ""
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        parts = {one.name: _read(tar, one) for one in tar.getmembers() if one.isfile()}
    for name, part in parts.items():
        if not name.endswith(".event.json"):
            continue
        kind, payload = part["type"], part.get("payload")
        if kind == "Ballot":
            ballots += 1
        elif kind == "Result":
            [result] = parts[f"{payload}.data.json"]["result"]
        elif kind == "Setup":
            setup = parts[f"{payload}.data.json"]
            uuid = parts[f"{setup['election']}.data.json"]["uuid"]
            credentials = len(parts[f"{setup['credentials']}.data.json"])
    return _Events(uuid, ballots, credentials, result)


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    file = tar.extractfile(member)
    assert file is not None, "only files are read"
    return json.loads(file.read())


def _verify(raw: bytes, uuid: str) -> str:
    """Empty if belenios finds everything in order, else what it said."""
    if not uuid.isalnum():
        return "the archive names no election"
    with tempfile.TemporaryDirectory(prefix="linli-recount-") as folder:
        (Path(folder) / f"{uuid}.bel").write_bytes(raw)
        try:
            done = subprocess.run(  # noqa: S603 (a fixed program, no shell)
                [TOOL, "election", "verify", "--dir", folder],
                capture_output=True,
                text=True,
                timeout=VERIFY_SECONDS_MAX,
                check=False,
                env={"PATH": os.defpath, "HOME": folder, "LANG": "C.UTF-8"},
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            return f"{TOOL} did not finish: {type(problem).__name__}"
    said = (done.stderr + done.stdout).strip().splitlines()
    is_fine = done.returncode == 0 and any("all checks passed" in line for line in said)
    is_complete = not any("no result" in line for line in said)
    return "" if is_fine and is_complete else (said[-1] if said else "it said nothing")
