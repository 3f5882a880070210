"""Read a vote's archive and count it again: the standard library and one signature check.

    fits = examine(Path("vote.json").read_bytes())

Every claim of the archive becomes a `Check`: its hash, its signature, the roll's fingerprint, that
everybody who voted was on the roll and voted once, the count, and whether it carries by the rule.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recount import sealed

FORMAT = "linli/vote/v1"
SIGNED = b"linli/vote/v1\0"
CHOICES = ("yes", "no", "abstain")
ARCHIVE_BYTES_MAX = 400_000_000


class Unreadable(Exception):
    """This is no archive of a vote; the sentence says why."""


@dataclass(frozen=True)
class Check:
    """One claim, and whether it holds."""

    name: str
    holds: bool
    detail: str = ""


@dataclass
class Recount:
    """What an archive says, and what became of each of its claims."""

    content: dict[str, Any]
    public_key: str
    tally: dict[str, tuple[int, int]]  # heads, and area in hundredths of a square metre
    roll: tuple[int, int] = (0, 0)
    has_quorum: bool = False
    is_carried: bool = False
    checks: list[Check] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        return all(check.holds for check in self.checks)

    def check(self, name: str, holds: bool, detail: str = "") -> None:
        self.checks.append(Check(name, holds, detail))


def examine(raw: bytes, *, expected_key: str = "") -> Recount:
    """Count again and compare; raises Unreadable for what is no archive."""
    envelope, content = _opened(raw)
    found = Recount(content, envelope["public_key"], {})
    _check_envelope(found, envelope, expected_key)
    try:
        _check_roll(found)
        _check_ballots(found)
        _check_result(found)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise Unreadable(f"a part of the archive is missing or odd: {problem}") from problem
    return found


def _opened(raw: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    if len(raw) > ARCHIVE_BYTES_MAX:
        raise Unreadable("the file is too large for an archive of a vote")
    try:
        envelope = json.loads(raw)
        if envelope["format"] != FORMAT:
            raise Unreadable(f"its format is {envelope['format']!r}, not {FORMAT!r}")
        needed = ("archive", "sha256", "public_key", "signature")
        if not all(isinstance(envelope[name], str) for name in needed):
            raise Unreadable("a part of the envelope is no text")
        content = json.loads(envelope["archive"])
        if not isinstance(content, dict):
            raise Unreadable("the archive is no object")
    except (ValueError, KeyError, TypeError) as problem:
        raise Unreadable(f"it is not the JSON of an archive: {problem}") from problem
    return envelope, content


def _check_envelope(found: Recount, envelope: dict[str, str], expected_key: str) -> None:
    text = envelope["archive"].encode()
    found.check("hash", hashlib.sha256(text).hexdigest() == envelope["sha256"])
    found.check("signature", _is_signed(envelope, text))
    if expected_key:
        found.check("key", envelope["public_key"] == expected_key.lower())


def _is_signed(envelope: dict[str, str], text: bytes) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(envelope["public_key"]))
        key.verify(bytes.fromhex(envelope["signature"]), SIGNED + text)
    except (InvalidSignature, ValueError):
        return False
    return True


def _check_roll(found: Recount) -> None:
    roll, vote = found.content["roll"], found.content["vote"]
    lines = "".join(f"{mark} {area}\n" for mark, area in sorted(map(tuple, roll)))
    found.check("roll", hashlib.sha256(lines.encode()).hexdigest() == vote["roll_sha256"])
    found.check("roll_once", len({mark for mark, _ in roll}) == len(roll))
    found.roll = (len(roll), sum(area for _, area in roll))


def _check_ballots(found: Recount) -> None:
    areas: dict[str, int] = dict(map(tuple, found.content["roll"]))
    ballots = found.content["ballots"]
    times = Counter(ballot["mark"] for ballot in ballots)
    twice = sum(count > 1 for count in times.values())
    strangers = sum(mark not in areas for mark in times)
    found.check("nobody_twice", twice == 0, f"{twice} voted more than once" if twice else "")
    found.check("all_on_roll", strangers == 0, f"{strangers} are not on it" if strangers else "")
    if found.content["vote"]["is_secret"]:
        _count_sealed(found, areas)
        return
    found.tally = {
        choice: (
            sum(ballot["choice"] == choice for ballot in ballots),
            sum(areas.get(one["mark"], 0) for one in ballots if one["choice"] == choice),
        )
        for choice in CHOICES
    }
    strange = sum(ballot["choice"] not in CHOICES for ballot in ballots)
    found.check("choices", strange == 0)


def _count_sealed(found: Recount, areas: dict[str, int]) -> None:
    """The choices are encrypted: belenios proves the sum, and we compare how many took part."""
    counted = sealed.count(found.content["belenios"])
    opened = found.content["election"]
    is_same = sealed.begins_as(
        found.content["belenios"], sha256=opened["sha256"], length=opened["bytes"]
    )
    found.check("election", is_same)
    found.check("belenios", counted.is_proved, counted.detail)
    marked = len(found.content["ballots"])
    took_part = sum(counted.choices.values())
    found.check("no_more_ballots_than_voters", counted.ballots == took_part <= marked)
    found.check("one_code_each", counted.credentials == len(areas))
    found.tally = {choice: (counted.choices.get(choice, 0), 0) for choice in CHOICES}


def _check_result(found: Recount) -> None:
    rule, said = found.content["vote"]["rule"], found.content["result"]
    tally = {choice: (said[choice]["heads"], said[choice]["area_dm2"]) for choice in CHOICES}
    found.check("tally", tally == found.tally)
    cast = tuple(map(sum, zip(*found.tally.values(), strict=True)))
    whole = found.roll
    has_quorum = rule["quorum"] is None or _passes(rule, rule["quorum"], cast, whole)
    found.has_quorum = has_quorum
    found.is_carried = has_quorum and _passes(rule, rule["majority"], found.tally["yes"], cast)
    found.check("quorum", found.has_quorum == said["has_quorum"])
    found.check("carried", found.is_carried == said["is_carried"])


def _passes(
    rule: dict[str, Any], share: dict[str, Any], part: tuple[int, ...], whole: tuple[int, ...]
) -> bool:
    """Is the part more than (or, where the rule says so, at least) the share: heads, then area."""
    sides = range(2 if rule["is_by_area"] else 1)
    for side in sides:
        have, needed = part[side] * share["of"], whole[side] * share["over"]
        if whole[side] == 0 or have < needed or (have == needed and not share["is_reached_at"]):
            return False
    return True
