"""An elder of A is helped in B, and B loses its power in the middle of being paid for it.

B's desk hears that both sides confirmed, and B asks A for the minutes; A stands frozen, so that the
question stays on its way. There B is killed: whether A still hears the question nobody can
choose. Then both books are read from the outside, and every minute must be where it belongs, once.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from simulation import visits
from simulation.refusals import StepFailed
from simulation.visits import Guest, Visit

STEP = "redemption with a kill"
MINUTES = 90
ON_ITS_WAY_SECONDS = 0.3  # from B's commit to A's socket takes a hundredth of it


@dataclass(frozen=True)
class Moment:
    """One point of the story; `kind` is what a picture marks it with."""

    seconds: float
    house: str  # "A" or "B"
    kind: str  # "step", "kill" or "start"
    zh: str
    en: str


@dataclass
class Story:
    """What happened when, and how it ended."""

    moments: list[Moment] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    caught_in: str = ""  # where B's visit stood when B was killed
    down_seconds: float = 0.0
    state: str = ""
    recovered: bool = False

    def note(self, house: str, kind: str, *, zh: str, en: str) -> None:
        seconds = round(time.monotonic() - self.began, 3)
        self.moments.append(Moment(seconds, house, kind, zh, en))


async def redeem_with_a_kill(guest: Guest) -> Story:
    """The whole exchange with SIGKILL to the host; raises unless both books are right then."""
    before = await _balances(guest)
    story = Story()
    visit = await visits.issue(guest, step=STEP)
    story.note("A", "step", zh="A 冻结 90 分钟，开出凭证", en="A holds 90 minutes, issues a pass")
    await visits.present(visit, step=STEP)
    story.note("B", "step", zh="B 出示凭证", en="B presents the pass")
    await visits.deliver(visit, minutes=guest.minutes, step=STEP)
    story.note("B", "step", zh="A 已接受，B 完成服务", en="A accepted, B gave the help")
    await visits.confirm(visit, by="elder", step=STEP)
    with guest.home.child.frozen():
        await visits.confirm(visit, by="provider", step=STEP)
        story.note(
            "B", "step", zh="双方确认，B 向 A 请求入账", en="both confirmed, B asks A to pay"
        )
        story.caught_in = str((await visits.visit_at_host(visit, step=STEP))["state"])
        await asyncio.sleep(ON_ITS_WAY_SECONDS)
        await guest.host.child.kill()
    killed_at = time.monotonic()
    story.note("B", "kill", zh="请求在路上，B 被 SIGKILL", en="SIGKILL while the question travels")
    await asyncio.sleep(ON_ITS_WAY_SECONDS)
    at_home = str((await visits.pass_at_home(visit, step=STEP))["state"])
    story.note(
        "A", "step", zh=f"B 断电时 A 的凭证：{at_home}", en=f"meanwhile A's pass is {at_home}"
    )
    await guest.host.child.start(step=STEP)
    story.down_seconds = round(time.monotonic() - killed_at, 3)
    story.note("B", "start", zh="B 重新启动，再次请求", en="B runs again and asks again")
    await visits.host_state(visit, "captured", step=STEP)
    story.note("B", "step", zh="收到 A 签名的收据，已入账", en="A's signed receipt is here, booked")
    story.state = await _ended_at_home(visit)
    after = await _balances(guest)
    story.recovered = _is_right(before, after, minutes=guest.minutes)
    if not story.recovered:
        raise StepFailed(
            step=STEP,
            process=f"{guest.home.name} and {guest.host.name}",
            reason=f"balances were {before} and are {after}.",
            log=str(guest.host.child.log),
        )
    return story


async def _ended_at_home(visit: Visit) -> str:
    found: dict[str, Any] = await visits.pass_at_home(visit, step=STEP)
    if found["state"] != "captured" or found["minutes"] != visit.guest.minutes:
        reason = f"the pass is {found['state']} with {found['minutes']} minutes."
        raise visit.guest.home.child.failed(STEP, reason)
    return str(found["state"])


async def _balances(guest: Guest) -> dict[str, int]:
    found = {}
    for part, house, resident in (
        ("elder", guest.home, guest.elder),
        ("provider", guest.host, guest.provider),
    ):
        answer = await house.get(f"/api/timebank/balance/{resident}", step=STEP)
        found[part] = int(answer["balance"])
        found[f"{part}_promised"] = int(answer["balance"]) - int(answer["available"])
    return found


def _is_right(before: dict[str, int], after: dict[str, int], *, minutes: int) -> bool:
    """Exactly the minutes moved, and nothing is still held for them."""
    return after == {
        "elder": before["elder"] - minutes,
        "elder_promised": before["elder_promised"],
        "provider": before["provider"] + minutes,
        "provider_promised": before["provider_promised"],
    }
