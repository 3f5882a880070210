"""Help across communities, as the two desks do it: a pass here, a visit there, minutes home."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from simulation.house import House
from simulation.processes import until
from simulation.refusals import StepFailed

STATE_TIMEOUT_SECONDS = 90.0
STRANGERS = "exchange.unknown_community"  # until the newest directory has reached a node
VISIT_ENDED = frozenset({"captured", "released", "refused"})


@dataclass(frozen=True)
class Guest:
    """Who is helped away from home, where and by whom, for how long at most."""

    home: House
    elder: str
    host: House
    provider: str
    minutes: int


@dataclass(frozen=True)
class Visit:
    """A guest's pass and the exchange that it was presented for."""

    guest: Guest
    pass_id: UUID
    exchange_id: UUID
    code: str


async def issue(guest: Guest, *, step: str) -> Visit:
    """Home holds the elder's minutes and hands out a pass."""
    pass_id = uuid4()

    async def ask() -> dict[str, Any] | None:
        try:
            issued: dict[str, Any] = await guest.home.post(
                "/api/passes",
                {
                    "resident_id": guest.elder,
                    "host": guest.host.id,
                    "minutes": guest.minutes,
                    "consent": "in_person",
                },
                acting_for=guest.elder,
                key=pass_id,
                step=step,
            )
        except StepFailed as refusal:
            if STRANGERS in str(refusal):
                return None
            raise
        return issued

    issued = await until(
        ask,
        what=f"{guest.home.name}: {guest.host.name} is a stranger",
        step=step,
        log=guest.home.child.log,
        timeout_seconds=STATE_TIMEOUT_SECONDS,
    )
    return Visit(guest, pass_id, uuid4(), issued["code"])


async def present(visit: Visit, *, step: str) -> None:
    """The host's desk takes the pass; returns before home has answered."""
    await visit.guest.host.post(
        "/api/visits",
        {"code": visit.code, "provider_id": visit.guest.provider},
        key=visit.exchange_id,
        step=step,
    )


async def deliver(visit: Visit, *, minutes: int, step: str) -> None:
    """The help was given; the host's desk notes how long it took."""
    await host_state(visit, "accepted", step=step)
    path = f"/api/visits/{visit.exchange_id}/complete"
    await visit.guest.host.post(path, {"minutes": minutes}, step=step)


async def confirm(visit: Visit, *, by: str, step: str) -> dict[str, Any]:
    path = f"/api/visits/{visit.exchange_id}/confirm"
    answer: dict[str, Any] = await visit.guest.host.post(path, {"by": by}, step=step)
    return answer


async def whole(guest: Guest, *, minutes: int, step: str) -> Visit:
    """From the pass to the receipt, with nobody in the way."""
    visit = await issue(guest, step=step)
    await present(visit, step=step)
    await deliver(visit, minutes=minutes, step=step)
    for party in ("elder", "provider"):
        await confirm(visit, by=party, step=step)
    await host_state(visit, "captured", step=step)
    return visit


async def host_state(visit: Visit, state: str, *, step: str) -> dict[str, Any]:
    """Wait until the visit is in this state; any other end than that one fails the step."""
    host = visit.guest.host

    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = await visit_at_host(visit, step=step)
        if found["state"] != state and found["state"] in VISIT_ENDED:
            reason = f"the visit is {found['state']} ({found['refusal']}), not {state}."
            raise host.child.failed(step, reason)
        return found if found["state"] == state else None

    return await until(
        look,
        what=f"{host.name}: the visit is not {state}",
        step=step,
        log=host.child.log,
        timeout_seconds=STATE_TIMEOUT_SECONDS,
    )


async def visit_at_host(visit: Visit, *, step: str) -> Any:
    return await visit.guest.host.get(f"/api/visits/{visit.exchange_id}", step=step)


async def pass_at_home(visit: Visit, *, step: str) -> Any:
    return await visit.guest.home.get(f"/api/passes/{visit.pass_id}", step=step)
