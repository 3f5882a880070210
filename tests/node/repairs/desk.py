"""A house with repairs in it: reports, steps and time, for every test of this slice."""

import io
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from PIL import Image

from node.kernel.clock import VirtualClock
from node.kernel.events import Event
from node.kernel.ids import new_id
from node.repairs import deadlines, plan, service
from node.repairs.kept import Request
from node.repairs.plan import Plan
from node.repairs.rules import Status
from tests.node.web.client import ClientHouse

DONE = (Status.DISPATCHED, Status.PROCESSING, Status.COMPLETED)


@dataclass
class Desk:
    """What people do with repairs, straight through the domain."""

    house: ClientHouse

    @property
    def clock(self) -> VirtualClock:
        return self.house.clock

    def report(self, reporter: UUID | None, title: str = "Lamp", **more: Any) -> Request:
        words = {"title": title, "description": "dark", "location": "7-2"} | more
        return self.house.database.do(
            lambda session: service.report(
                session,
                self.clock,
                key=new_id(),
                reporter_id=reporter,
                recorded_by="test",
                **words,
            )
        )

    def move(self, number: int, *steps: Status, hours_each: float = 0) -> None:
        for status in steps:
            self.clock.advance(timedelta(hours=hours_each))
            self.house.database.do(
                lambda session, to=status: service.update(  # type: ignore[misc]  # bound at once
                    session, self.clock, request_id=number, changed_by="crew", status=to
                )
            )

    def hand_up(self) -> int:
        return self.house.database.do(
            lambda session: deadlines.escalate_overdue(session, self.clock)
        )

    def plan(self, changed: Plan) -> int:
        with self.house.database.read() as session:
            seen = plan.current(session)[0]
        return self.house.database.do(
            lambda session: plan.change(
                session, self.clock, seen=seen, plan=changed, changed_by="desk"
            )
        )


def of_kind(happened: list[Event], kind: type[Event]) -> list[Any]:
    return [event for event in happened if isinstance(event, kind)]


def picture(
    form: str = "JPEG", size: tuple[int, int] = (64, 48), *, with_place: bool = True
) -> bytes:
    """A photo as a telephone writes it: with the place and the camera in its EXIF."""
    image = Image.new("RGB", size, (200, 30, 30))
    exif = Image.Exif()
    if with_place:
        exif[0x010F] = "SecretCamera"
        exif[0x8825] = {1: "N", 2: (31.0, 13.0, 49.0), 3: "E", 4: (121.0, 28.0, 25.0)}
    out = io.BytesIO()
    image.save(out, form, exif=exif)
    return out.getvalue()
