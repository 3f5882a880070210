"""A dated notice for a calendar program (RFC 5545). icalendar is loaded when somebody asks.

Every moment is written in UTC: a file that names no time zone needs to explain none (VTIMEZONE),
and the reader's program shows it by the reader's clock.
"""

from datetime import UTC, timedelta

from node.notices.model import Notice

SHORTEST = timedelta(minutes=30)  # for what has an end and no beginning: the last half hour
ALARM_BEFORE = timedelta(hours=2)


def event(notice: Notice, sentence: str) -> bytes:
    """The notice as a file with one event; asking again gives the same event, not a second one."""
    from icalendar import Alarm, Calendar, Event

    assert notice.ends_at is not None, "only what is dated goes into a calendar"
    calendar = Calendar()
    calendar.add("prodid", "-//Linli//notices//")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    entry = Event()
    entry.add("uid", f"{notice.id}@linli")
    entry.add("dtstamp", notice.told_at.astimezone(UTC))
    entry.add("dtstart", (notice.starts_at or notice.ends_at - SHORTEST).astimezone(UTC))
    entry.add("dtend", notice.ends_at.astimezone(UTC))
    entry.add("summary", sentence)
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", sentence)
    alarm.add("trigger", -ALARM_BEFORE, parameters={"RELATED": "END"})
    entry.add_component(alarm)
    calendar.add_component(entry)
    return bytes(calendar.to_ical())
