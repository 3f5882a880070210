"""A dated notice as calendar programs read it: moments in UTC, so that no time zone is needed.

RFC 5545 wants a VTIMEZONE for every TZID (3.2.19); a moment that ends in Z has none (3.3.5).
"""

import re
from datetime import UTC, datetime, timedelta

from icalendar import Calendar, Event

from node.kernel.ids import new_id
from node.notices.calendar import event
from node.notices.model import Notice
from node.web.language import LOCAL_TIME

BEGINS = datetime(2026, 11, 28, 8, tzinfo=LOCAL_TIME)
LONG = "明天会很忙，需要多几位邻居来帮忙；" * 6 + "看看需要什么, 谢谢"


def notice(*, starts_at: datetime | None, ends_at: datetime) -> Notice:
    return Notice(
        id=new_id(),
        kind="helpers_needed",
        told_at=datetime(2026, 11, 27, 9, 30, tzinfo=UTC),
        starts_at=starts_at,
        ends_at=ends_at,
    )


def read_back(content: bytes) -> Event:
    [found] = Calendar.from_ical(content).walk("VEVENT")
    assert isinstance(found, Event)
    return found


def test_moments_are_in_utc_however_they_were_given() -> None:
    local = notice(starts_at=BEGINS, ends_at=BEGINS + timedelta(hours=10))
    content = event(local, "Help")
    assert b"DTSTART:20261128T000000Z\r\n" in content
    assert b"DTEND:20261128T100000Z\r\n" in content
    assert b"DTSTAMP:20261127T093000Z\r\n" in content
    assert b"TZID" not in content
    calendar = Calendar.from_ical(content)
    assert isinstance(calendar, Calendar)
    assert calendar.get_used_tzids() == calendar.get_missing_tzids() == set()
    read = read_back(content)
    assert (read.start, read.end) == (local.starts_at, local.ends_at)


def test_the_file_is_what_the_standard_wants() -> None:
    shown = notice(starts_at=None, ends_at=BEGINS)
    content = event(shown, LONG)
    lines = content.split(b"\r\n")
    assert lines[0] == b"BEGIN:VCALENDAR"
    assert lines[-2:] == [b"END:VCALENDAR", b""]
    assert b"\n" not in content.replace(b"\r\n", b""), "every line ends in CR LF"
    assert max(map(len, lines)) <= 75, "octets of a line, 3.1"
    for needed in (b"PRODID:", b"VERSION:2.0", b"UID:", b"DTSTAMP:", b"DTSTART:"):
        assert len(re.findall(rb"^" + needed, content, re.M)) == 1, needed
    read = read_back(content)
    assert str(read["summary"]) == LONG
    assert read.end - read.start == timedelta(minutes=30), "the last half hour"
    [alarm] = read.walk("VALARM")
    assert alarm.decoded("trigger") == timedelta(hours=-2)
    assert content == event(shown, LONG), "asked again, it is the same event"
