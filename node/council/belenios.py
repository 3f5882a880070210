"""belenios-tool as a child process: keys, codes, encrypted ballots, and a sum that proves itself.

Nothing here touches the database: every function takes what the tool needs, works in a folder of
its own that is gone afterwards, and returns text or bytes. They block, so callers use a thread.
A private key or code passes through a file that only this user can read, in that folder.
"""

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from node.council.electorates import Choice
from node.council.refusals import SecretRefused, SecretToolMissing

if TYPE_CHECKING:  # loaded with the first secret vote: a node without one stays small
    import tarfile

TOOL = "belenios-tool"
GROUP = "BELENIOS-2048"
SECONDS_MAX = 1_800  # for the count of a large vote on a slow machine
UUID_LENGTH = 14
BALLOT_BYTES_MAX, KEY_BYTES_MAX = 40_000, 8_000
_CHECKSUM, _MAGIC = slice(148, 156), slice(257, 265)  # places in a tar header
ANSWERS = (Choice.YES, Choice.NO, Choice.ABSTAIN)  # in the order of the ballot


@dataclass(frozen=True)
class Prepared:
    """A fresh election: its name, its archive before the first ballot, and one code a voter."""

    uuid: str
    base: bytes
    codes: list[str]


@dataclass(frozen=True)
class Key:
    """A trustee's key: the public half is published, the private half only they may have."""

    public: str
    private: str


def is_installed() -> bool:
    """Can secret ballots be held on this machine?"""
    return shutil.which(TOOL) is not None


def make_key() -> Key:
    """A trustee's fresh key pair."""
    with _folder() as folder:
        _run(folder, "setup", "generate-trustee-key", "--group", GROUP)
        [public], [private] = folder.glob("*.pubkey"), folder.glob("*.privkey")
        return Key(public.read_text().strip(), private.read_text().strip())


def check_key(key: Key) -> None:
    """Refuse a private key that is not the other half: its share would spoil the count for good.

    The tool makes a share with any key, so the key first opens a vote of one that is made for it.
    """
    if len(key.private.encode()) > KEY_BYTES_MAX:
        raise SecretRefused(problem="this is no private key of a trustee")
    trial = prepare(voters=1, public_keys=[key.public])
    ballot = seal(uuid=trial.uuid, base=trial.base, code=trial.codes[0], choice=Choice.YES)
    sealed = end(uuid=trial.uuid, base=trial.base, ballots=[ballot])
    share = decrypt(uuid=trial.uuid, sealed=sealed, private_key=key.private, number=1)
    open_sum(uuid=trial.uuid, sealed=sealed, shares=[json.dumps({"number": 1, "share": share})])


def prepare(*, voters: int, public_keys: Sequence[str]) -> Prepared:
    """Make an election for so many voters, which all of these trustees must open together."""
    with _folder() as folder:
        uuid = _run(folder, "setup", "generate-token", "--length", str(UUID_LENGTH)).strip()
        same = ("--uuid", uuid, "--group", GROUP)
        _run(folder, "setup", "generate-credentials", *same, "--count", str(voters))
        [public], [private] = folder.glob("*.pubcreds"), folder.glob("*.privcreds")
        codes = [line.split()[1] for line in private.read_text().splitlines()]
        private.unlink()
        public.rename(folder / "public_creds.json")
        (folder / "public_keys.jsons").write_text("".join(f"{key}\n" for key in public_keys))
        _run(folder, "setup", "make-trustees")
        (folder / "template.json").write_text(json.dumps(_template()))
        _run(folder, "setup", "make-election", *same, "--template", "template.json")
        _run(folder, "archive", "init")
        return Prepared(uuid, (folder / f"{uuid}.bel").read_bytes(), codes)


def seal(*, uuid: str, base: bytes, code: str, choice: Choice) -> str:
    """One encrypted ballot, signed with a voter's code."""
    with _folder() as folder:
        (folder / f"{uuid}.bel").write_bytes(base)
        (folder / "code").write_text(code)
        (folder / "choice").write_text(json.dumps([[int(choice is one) for one in ANSWERS]]))
        named = ("--privcred", "code", "--ballot", "choice")
        return _run(folder, "election", "generate-ballot", *named).strip()


def credential_of(*, uuid: str, code: str) -> str:
    """The public half of a code, by which its ballot can be recognised."""
    with _folder() as folder:
        same = ("--uuid", uuid, "--group", GROUP)
        said = _run(folder, "setup", "generate-credentials", *same, "--derive", code)
        return said.strip().strip('"')


def check_ballot(*, uuid: str, base: bytes, ballot: str) -> str:
    """The credential of a ballot that somebody encrypted at home; refuses one without proofs."""
    if len(ballot.encode()) > BALLOT_BYTES_MAX:
        raise SecretRefused(problem="the ballot is too long")
    try:
        credential = json.loads(ballot)["credential"]
    except (ValueError, KeyError, TypeError):
        raise SecretRefused(problem="this is no ballot that belenios-tool made") from None
    with _folder() as folder:
        (folder / f"{uuid}.bel").write_bytes(append_ballots(base, [ballot]))
        _run(folder, "election", "verify")
    return str(credential)


def tracker(ballot: str) -> str:
    """SHA-256 of a ballot as belenios writes it: the voter's receipt."""
    return base64.b64encode(hashlib.sha256(ballot.encode()).digest()).decode().rstrip("=")


def end(*, uuid: str, base: bytes, ballots: Sequence[str]) -> bytes:
    """The archive with every ballot and their encrypted sum: from here on only trustees can act."""
    with _folder() as folder:
        archive = folder / f"{uuid}.bel"
        archive.write_bytes(append_ballots(base, ballots))
        _add(folder, "EndBallots", "")
        _add(folder, "EncryptedTally", _run(folder, "election", "compute-encrypted-tally"))
        _run(folder, "election", "verify")
        return archive.read_bytes()


def decrypt(*, uuid: str, sealed: bytes, private_key: str, number: int) -> str:
    """A trustee's part of the decryption, with the proof that it is honest."""
    with _folder() as folder:
        (folder / f"{uuid}.bel").write_bytes(sealed)
        (folder / "key").write_text(private_key)
        named = ("--privkey", "key", "--trustee-id", str(number))
        return _run(folder, "election", "decrypt", *named).strip()


def open_sum(*, uuid: str, sealed: bytes, shares: Sequence[str]) -> tuple[bytes, dict[Choice, int]]:
    """The final archive and the count, once every trustee has given their share."""
    with _folder() as folder:
        archive = folder / f"{uuid}.bel"
        archive.write_bytes(sealed)
        for number, share in enumerate(shares, 1):
            event = json.loads(share)
            assert event["number"] == number, "shares come in the trustees' order"
            _add(folder, "PartialDecryption", event["share"])
        found = _run(folder, "election", "compute-result")
        _add(folder, "Result", found)
        _run(folder, "election", "verify")
        [counts] = json.loads(found)["result"]
        return archive.read_bytes(), dict(zip(ANSWERS, counts, strict=True))


def append_ballots(base: bytes, ballots: Sequence[str]) -> bytes:
    """The archive with these ballots: JSON named by hash in a tar, each event naming the last.

    The tool appends one ballot a call and reads the whole file each time; 10,000 would take hours.
    What we write here is what `election verify` then checks.
    """
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(base)) as tar:
        newest = tar.getmembers()[-1]
        last = _bytes_of(tar, newest)
    parts = [base]
    for height, ballot in enumerate(ballots, int(json.loads(last)["height"]) + 1):
        data = ballot.encode()
        payload, parent = hashlib.sha256(data).hexdigest(), hashlib.sha256(last).hexdigest()
        event = {"parent": parent, "height": height, "type": "Ballot", "payload": payload}
        last = json.dumps(event, separators=(",", ":")).encode()
        parts.append(_entry(f"{payload}.data.json", data, like=newest))
        parts.append(_entry(f"{hashlib.sha256(last).hexdigest()}.event.json", last, like=newest))
    return b"".join(parts)


def _entry(name: str, content: bytes, *, like: "tarfile.TarInfo") -> bytes:
    """One file of the tar, in the oldest of its formats and without its end: all the tool reads."""
    import tarfile

    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(content), like.mtime, like.mode
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    header[_MAGIC] = bytes(_MAGIC.stop - _MAGIC.start)
    header[_CHECKSUM] = b" " * (_CHECKSUM.stop - _CHECKSUM.start)
    header[_CHECKSUM] = b"%06o\0 " % sum(header)
    return bytes(header) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def _bytes_of(tar: "tarfile.TarFile", member: "tarfile.TarInfo") -> bytes:
    file = tar.extractfile(member)
    assert file is not None, "an archive holds files only"
    return file.read()


def _template() -> dict[str, object]:
    """The one question, without the motion's words: those are in our own archive beside it."""
    question = {
        "answers": [choice.value for choice in ANSWERS],
        "blank": False,
        "min": 1,
        "max": 1,
        "question": "motion",
    }
    return {
        "name": "Linli",
        "description": "One motion",
        "questions": [question],
        "administrator": "community",
        "credential_authority": "community",
    }


@contextmanager
def _folder() -> Iterator[Path]:
    if not is_installed():
        raise SecretToolMissing
    with tempfile.TemporaryDirectory(prefix="linli-ballot-") as name:  # 0700
        yield Path(name)


def _add(folder: Path, kind: str, payload: str) -> None:
    _run(folder, "archive", "add-event", "--type", kind, given=payload)


def _run(folder: Path, *arguments: str, given: str = "") -> str:
    """What the tool prints; its refusal becomes ours, without values from the ballot."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "BELENIOS_USE_URANDOM": "1",
    }
    try:
        done = subprocess.run(  # noqa: S603 (our own words, never a shell)
            [TOOL, *arguments],
            cwd=folder,
            input=given,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise SecretRefused(problem="it did not finish in time") from None
    if done.returncode != 0:
        raise SecretRefused(problem=f"{' '.join(arguments[:2])} ended with {done.returncode}")
    return done.stdout
