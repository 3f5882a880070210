"""A household list as CSV becomes residents: all of it, or nothing and a report line by line."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.residents import rules, service
from node.residents.model import Resident
from node.residents.refusals import ListRefused, ListUnreadable
from node.residents.rules import Particulars

LINES_MAX = 20_000
BYTES_MAX = 5_000_000
PROBLEMS_SHOWN_MAX = 200
ENCODINGS = ("utf-8-sig", "gb18030")  # what Excel writes in China, new and old
COLUMNS = {
    "name": ("name", "姓名"),
    "phone": ("phone", "电话", "手机", "联系电话"),
    "building": ("building", "楼栋"),
    "household": ("household", "房号", "户号"),
    "is_owner": ("owner", "is_owner", "业主"),
    "floor_area": ("floor_area", "面积", "建筑面积", "专有面积"),
    "birth_year": ("birth_year", "出生年份"),
}
"""Our name of each column, and what it may be called in the first line."""

NEEDED = frozenset({"name", "phone"})
YES = frozenset({"1", "yes", "y", "true", "是", "业主", "√"})
NO = frozenset({"", "0", "no", "n", "false", "否", "×"})


class Problem(NamedTuple):
    """What is wrong in which line (the first line of the file is 1), and in which column."""

    line: int
    column: str
    problem: str


class Taken(NamedTuple):
    """What an import did."""

    registered: int
    known: int  # were here before, word for word


class Entry(NamedTuple):
    """One line of the list, checked."""

    line: int
    said: Particulars


def read_list(content: bytes, *, this_year: int) -> tuple[list[Entry], list[Problem]]:
    """The lines that can be understood, and what is wrong with the others."""
    if len(content) > BYTES_MAX:
        raise ListUnreadable(problem="it is larger than 5 MB")
    rows = csv.reader(io.StringIO(_decoded(content), newline=""), strict=True)
    entries: list[Entry] = []
    problems: list[Problem] = []
    try:
        places = _places(next(rows, []))
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(entries) + len(problems) >= LINES_MAX:
                raise ListUnreadable(problem="it has more than 20,000 lines")
            cells = {name: row[at].strip() for name, at in places.items() if at < len(row)}
            try:
                entries.append(Entry(rows.line_num, _particulars(cells, this_year=this_year)))
            except BadInput as refusal:
                field, problem = str(refusal.details["field"]), str(refusal.details["problem"])
                problems.append(Problem(rows.line_num, field, problem))
    except csv.Error as problem:
        raise ListUnreadable(problem="a quotation mark is not closed") from problem
    return entries, problems + list(_repeated(entries))


def clashes(session: Session, entries: Sequence[Entry]) -> list[Problem]:
    """Numbers that belong to somebody else here already; the same person again is no clash."""
    known = _known(session)
    return [
        Problem(entry.line, "phone", "this number is registered with other particulars")
        for entry in entries
        if entry.said.phone in known and known[entry.said.phone] != entry.said
    ]


def take_over(
    session: Session,
    clock: Clock,
    *,
    import_id: UUID,
    entries: Sequence[Entry],
    credit_limit_minutes: int,
) -> Taken:
    """Register all of the list in the caller's transaction; those who are here stay as they are."""
    if found := clashes(session, entries):
        raise ListRefused(count=len(found))
    known = _known(session)
    fresh = [entry for entry in entries if entry.said.phone not in known]
    for entry in fresh:
        service.join(
            session,
            clock,
            resident_id=derived_id("imported", import_id, entry.said.phone),
            credit_limit_minutes=credit_limit_minutes,
            **entry.said._asdict(),
        )
    return Taken(registered=len(fresh), known=len(entries) - len(fresh))


def example() -> bytes:
    """A list to start from, as Excel opens it."""
    lines = ("姓名,电话,楼栋,房号,业主,面积,出生年份", "张三,13800000000,7,7-2-301,是,89.53,1946")
    return ("\n".join(lines) + "\n").encode("utf-8-sig")


def _decoded(content: bytes) -> str:
    for encoding in ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ListUnreadable(problem="it is neither UTF-8 nor GB18030 text")


def _places(heading: Sequence[str]) -> dict[str, int]:
    """Where each of our columns stands; refuses a list without the needed ones."""
    called = [cell.strip().lower() for cell in heading]
    places = {
        name: called.index(word)
        for name, words in COLUMNS.items()
        for word in words
        if word in called
    }
    if not places.keys() >= NEEDED:
        raise ListUnreadable(problem="its first line must name the columns 姓名 and 电话")
    return places


def _particulars(cells: dict[str, str], *, this_year: int) -> Particulars:
    owner, year = cells.get("is_owner", "").lower(), cells.get("birth_year", "")
    if owner not in YES | NO:
        raise BadInput(field="is_owner", problem="write yes or no")
    if year and not year.isdecimal():
        raise BadInput(field="birth_year", problem="give a year like 1946")
    return Particulars(
        name=cells.get("name", ""),
        phone=cells.get("phone", ""),
        building=cells.get("building"),
        household=cells.get("household"),
        is_owner=owner in YES,
        floor_area_dm2=rules.read_floor_area(cells.get("floor_area", "")),
        birth_year=int(year) if year else None,
    ).checked(this_year=this_year)


def _repeated(entries: Sequence[Entry]) -> Iterator[Problem]:
    """Numbers that stand in the list twice, and flats whose owners differ about its area."""
    numbers = Counter(entry.said.phone for entry in entries)
    areas: dict[str, int | None] = {}
    for entry in entries:
        if numbers[entry.said.phone] > 1:
            yield Problem(entry.line, "phone", "this number stands in the list more than once")
        flat, area = entry.said.household or "", entry.said.floor_area_dm2
        if entry.said.is_owner and areas.setdefault(flat, area) != area:
            yield Problem(entry.line, "floor_area", "another owner of this flat says another area")


def _known(session: Session) -> dict[str, Particulars]:
    people = session.scalars(select(Resident).where(Resident.phone.is_not(None)))
    return {person.phone: service.particulars(person) for person in people if person.phone}
