"""Is all well? Each check says yes or no in one sentence that tells the operator what to do.

Read from the database and the node's folder alone, so the page and the command say the same,
whether the node serves or not. No names of residents, no free text.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.backup.marks import LAST_BACKUP_FILE, restored
from node.enrolment.directory import Membership
from node.ledger.model import JournalEntry
from node.notices import service as notices
from node.outbox.left import OFFICE
from node.outbox.model import DEPARTURE, OUTBOX, OutboxState
from node.settlement import alarms
from node.settlement.alarms import Words

DISK_BYTES_MIN = 1_000_000_000
BACKUP_AGE_MAX = timedelta(days=2)
OUTBOX_AGE_MAX = timedelta(hours=1)
OFFICE_AGE_MAX = timedelta(hours=1)
NOTICES_AGE_MAX = timedelta(hours=2)
CERTIFICATE_LEFT_MIN = timedelta(days=10)  # it is renewed by itself from day 15 of 30 on
CLOCK_BACK_MAX = timedelta(minutes=5)


@dataclass(frozen=True)
class Health:
    """One check: `is_well` is None where this node has no such thing."""

    name: str
    is_well: bool | None
    message: str  # English, for `_()`; its places are filled from `details`
    details: Mapping[str, str | int | Words]

    @property
    def sentence(self) -> str:
        return self.said()

    def said(self, translate: Callable[[str], str] = str) -> str:
        """The sentence in English, or as `translate` has it."""
        return Words(self.message, self.details).said(translate)


class Place(NamedTuple):
    """What the checks look at."""

    directory: Path
    membership: Membership | None
    has_chain: bool
    now: datetime


def look(session: Session, place: Place) -> list[Health]:
    """All checks, in the order in which an operator wants to know."""
    return [
        _database(session),
        _disk(place),
        _backup(place),
        _clock(session, place),
        _restored(place),
        *_neighbours(session, place),
        _office(session, place),
        _certificate(place),
        *_chain(session, place),
        _notices(session, place),
    ]


def _database(session: Session) -> Health:
    entries = session.scalar(select(func.max(JournalEntry.sequence))) or 0
    return Health(
        "database", True, "The database can be read: {entries} entries.", _d(entries=entries)
    )


def _disk(place: Place) -> Health:
    free = shutil.disk_usage(place.directory).free
    details = _d(gigabytes=f"{free / 1e9:.1f}")
    if free >= DISK_BYTES_MIN:
        return Health("disk", True, "{gigabytes} GB are free on the disk.", details)
    message = "Only {gigabytes} GB are free on the disk: make room before writing stops."
    return Health("disk", False, message, details)


def _backup(place: Place) -> Health:
    try:
        said = json.loads((place.directory / LAST_BACKUP_FILE).read_text(encoding="utf-8"))
        age = place.now - datetime.fromisoformat(said["at"])
    except (OSError, ValueError, KeyError, TypeError):
        message = "There is no backup yet. Say: linli-node backup DIR TO"
        return Health("backup", False, message, {})
    details = _d(hours=_hours(age))
    if age <= BACKUP_AGE_MAX:
        message = "The last backup is {hours} hours old, and was restored to try it."
        return Health("backup", True, message, details)
    message = "The last backup is {hours} hours old: look why there is no newer one."
    return Health("backup", False, message, details)


def _clock(session: Session, place: Place) -> Health:
    newest = session.scalar(select(func.max(JournalEntry.recorded_at)))
    if newest is not None and newest - place.now > CLOCK_BACK_MAX:
        message = "The books are {minutes} minutes ahead of the clock: set the clock."
        ahead = int((newest - place.now).total_seconds() // 60)
        return Health("clock", False, message, _d(minutes=ahead))
    return Health("clock", True, "The clock is not behind the books.", {})


def _restored(place: Place) -> Health:
    mark = restored(place.directory)
    if mark is None:
        return Health("restored", None, "This node is not fresh from a backup.", {})
    message = "Restored from a backup of {day}: neighbours' receipts are compared first."
    return Health("restored", False, message, _d(day=f"{mark.taken_at:%Y-%m-%d %H:%M} UTC"))


def _notices(session: Session, place: Place) -> Health:
    """Do notices get out of the house? Many wait for nothing but a provider's bad hour."""
    state = notices.queue(session)
    if state.oldest_waiting is None:
        return Health("notices", None, "No notice waits for a provider.", {})
    age = place.now - state.oldest_waiting
    details = _d(count=state.waiting, hours=_hours(age))
    if age <= NOTICES_AGE_MAX:
        return Health("notices", True, "{count} notices are on their way.", details)
    message = "{count} notices wait, since {hours} hours: see the provider in notices.toml."
    return Health("notices", False, message, details)


def _neighbours(session: Session, place: Place) -> Iterator[Health]:
    """Each community for which messages wait; one line where none do."""
    oldest = select(
        OUTBOX.c.recipient, func.min(OUTBOX.c.created_at).label("since"), func.count().label("n")
    )
    waiting = oldest.where(OUTBOX.c.state == OutboxState.WAITING).group_by(OUTBOX.c.recipient)
    late = 0
    for row in session.execute(waiting.order_by(OUTBOX.c.recipient)):
        age = place.now - row.since
        if age > OUTBOX_AGE_MAX:
            late += 1
            message = "{peer} has not answered {count} messages for {hours} hours: telephone."
            details = _d(peer=row.recipient, count=row.n, hours=_hours(age))
            yield Health("neighbours", False, message, details)
    if not late:
        well = True if place.membership else None
        yield Health("neighbours", well, "No message to a neighbour waits for long.", {})


def _office(session: Session, place: Place) -> Health:
    if place.membership is None:
        return Health("office", None, "This node belongs to no district.", {})
    heard = select(func.max(DEPARTURE.c.last_at)).where(DEPARTURE.c.recipient == OFFICE)
    last = session.scalar(heard)
    if last is not None and place.now - last <= OFFICE_AGE_MAX:
        return Health("office", True, "The district's office was heard of within the hour.", {})
    hours = _hours(place.now - last) if last else 0
    message = "The district's office has been silent for {hours} hours. Residents do not notice."
    return Health("office", False, message, _d(hours=hours))


def _certificate(place: Place) -> Health:
    if place.membership is None:
        return Health("certificate", None, "There is no certificate: none is needed.", {})
    left = place.membership.expires_at - place.now
    details = _d(days=max(0, left.days))
    if left >= CERTIFICATE_LEFT_MIN:
        return Health("certificate", True, "The certificate is good for {days} days.", details)
    message = "The certificate ends in {days} days and was not renewed: ask the office."
    return Health("certificate", False, message, details)


def _chain(session: Session, place: Place) -> Iterator[Health]:
    """Each alarm about this community on the chain, as `audit` says it; one line where none is."""
    if not place.has_chain:
        yield Health("chain", None, "No chain is configured: receipts wait.", {})
        return
    raised = alarms.current(session)
    for row in raised:
        said, about = alarms.words(row), alarms.figures_of(row)
        named = {name: about[name] for name in ("code", "round") if name in about}
        details = {"alarm": row.kind, "since": row.since.isoformat(), **named, **said.places}
        yield Health("chain", False, said.message, details)
    if not raised:
        yield Health("chain", True, "The chain raises no alarm about this community.", {})


def _hours(age: timedelta) -> int:
    return max(0, int(age.total_seconds() // 3600))


def _d(**details: str | int) -> Mapping[str, str | int]:
    return details


def _plain(one: Health) -> dict[str, str | int]:
    """What fills its places, as programs read it: figures, and words in English."""
    places = one.details.items()
    return {name: value.said() if isinstance(value, Words) else value for name, value in places}


def as_json(found: list[Health]) -> dict[str, object]:
    """For programs: whether all is well, and each check."""
    lines = [
        {"check": one.name, "is_well": one.is_well, "sentence": one.sentence, **_plain(one)}
        for one in found
    ]
    return {"is_well": all(one.is_well is not False for one in found), "checks": lines}


def as_metrics(found: list[Health], figures: dict[str, int]) -> str:
    """Prometheus' text form: checks as 0 and 1, figures as gauges; no names in it."""
    worst: dict[str, int] = {}
    for one in found:
        if one.is_well is not None:
            worst[one.name] = min(worst.get(one.name, 1), int(one.is_well))
    lines = ["# HELP linli_check_ok 1: this check is well.", "# TYPE linli_check_ok gauge"]
    lines += [f'linli_check_ok{{check="{name}"}} {value}' for name, value in worst.items()]
    for name, value in figures.items():
        lines += [f"# TYPE linli_{name} gauge", f"linli_{name} {value}"]
    return "\n".join(lines) + "\n"


def figures(session: Session, directory: Path) -> dict[str, int]:
    """How much of what; counts and bytes alone."""
    waiting = select(func.count()).where(OUTBOX.c.state == OutboxState.WAITING)
    return {
        "outbox_waiting_messages": session.scalar(waiting) or 0,
        "journal_entries": session.scalar(select(func.max(JournalEntry.sequence))) or 0,
        "disk_free_bytes": shutil.disk_usage(directory).free,
    }
