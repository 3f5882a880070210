"""A day in every community, through the public interface alone: what residents and the desk do.

Thin on purpose: one act of each kind, from its beginning to its end.
"""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from simulation.house import OPERATOR, House

STEP = "residents act"
PEOPLE = (
    ("staff", "示例工作人员", 1990),
    ("elder", "示例长者", 1944),
    ("volunteer", "示例志愿者", 1986),
    ("neighbour", "示例邻居", 1971),
)
"""Who they are in the run, what they are called, and when they were born."""
STAFF_ROLES = ("clerk", "property", "secretary")
HOUR_MINUTES = 60
VOTES = ("yes", "yes", "no")
WORDS = {
    "completed": "已完成",
    "collected": "已领取",
    "captured": "已入账",
    "publicity": "公示中",
}
"""Where things ended, for readers of Chinese; the English beside it is the program's own word."""


@dataclass(frozen=True)
class SignIn:
    """What somebody types to come in."""

    phone: str
    pin: str


@dataclass(frozen=True)
class People:
    """A community's residents, made up for the run; their names say so."""

    staff: str
    elder: str
    volunteer: str
    neighbour: str
    staff_sign_in: SignIn
    elder_sign_in: SignIn

    @property
    def voters(self) -> tuple[str, ...]:
        return (self.elder, self.volunteer, self.neighbour)


async def welcome(house: House, *, number: int, pins: tuple[str, str], step: str = STEP) -> People:
    """Four residents join; one becomes staff and signs in, the elder could."""
    ids: dict[str, str] = {}
    sign_ins: dict[str, SignIn] = {}
    for index, (part, name, birth_year) in enumerate(PEOPLE):
        phone = f"000{number:02d}{index:03d}"  # no network hands out such a number
        body: dict[str, Any] = {
            "name": name,
            "phone": phone,
            "building": f"{index + 1}-101",
            "birth_year": birth_year,
        }
        if index < len(pins):
            sign_ins[part] = SignIn(phone, pins[index])
            body["pin"] = pins[index]
        answer = await house.post("/api/residents", body, role=OPERATOR, step=step)
        ids[part] = answer["id"]
    for role in STAFF_ROLES:
        path = f"/api/residents/{ids['staff']}/roles"
        await house.post(path, {"role": role}, role=OPERATOR, step=step)
    staff = sign_ins["staff"]
    await house.sign_in(phone=staff.phone, pin=staff.pin, step=step)
    return People(**ids, staff_sign_in=staff, elder_sign_in=sign_ins["elder"])


async def live_a_day(house: House, people: People) -> dict[str, str]:
    """One act of each kind; returns where each of them ended."""
    return {
        "repair": await mend(house, people),
        "points": await thank(house, people),
        "hour": await give_an_hour(house, people),
        "motion": await ask_everybody(house, people),
    }


async def mend(house: House, people: People) -> str:
    """A repair from report to rating; the desk writes it down for the elder."""
    report = await house.post(
        "/api/repairs",
        {
            "title": "楼道灯不亮 (demo)",
            "description": "二层楼道灯坏了，晚上看不清台阶。",
            "location": "1-101",
            "category": "housing_repair",
        },
        acting_for=people.elder,
        step=STEP,
    )
    path = f"/api/repairs/{report['id']}"
    for status in ("dispatched", "processing", "completed"):
        await house.put(path, {"status": status}, step=STEP)
    rated = await house.post(f"{path}/rate", {"rating": 5}, acting_for=people.elder, step=STEP)
    repair = rated["repair"]
    return f"{_both(repair['status'])}, 评分 rated {repair['rating']}"


async def thank(house: House, people: People) -> str:
    """Points earned by a volunteer and spent at the counter."""
    await house.post(
        "/api/points/awards",
        {
            "resident_id": people.volunteer,
            "activity": "volunteering",
            "minutes": 200,
            "evidence": {"kind": "attendance", "reference": str(uuid4())},
        },
        step=STEP,
    )
    wanted = {"resident_id": people.volunteer, "item": "market_voucher_10"}
    reserved = await house.post(
        "/api/points/redemptions", wanted, acting_for=people.volunteer, step=STEP
    )
    path = f"/api/points/redemptions/{reserved['id']}/collect"
    collected = await house.post(path, {"code": reserved["code"]}, step=STEP)
    return _both(collected["state"])


async def give_an_hour(house: House, people: People, *, minutes: int = HOUR_MINUTES) -> str:
    """The volunteer gives the elder an hour; both confirm, and it is paid."""
    path = "/api/timebank/exchanges"
    asked = await house.post(
        path,
        {
            "provider_id": people.volunteer,
            "receiver_id": people.elder,
            "service": "companionship",
            "minutes": minutes,
        },
        acting_for=people.elder,
        step=STEP,
    )
    one = f"{path}/{asked['id']}"
    await house.post(f"{one}/accept", acting_for=people.volunteer, step=STEP)
    used = {"minutes": minutes}
    await house.post(f"{one}/deliver", used, acting_for=people.volunteer, step=STEP)
    await house.post(f"{one}/confirm", acting_for=people.volunteer, step=STEP)
    paid = await house.post(f"{one}/confirm", acting_for=people.elder, step=STEP)
    return _both(paid["state"])


async def ask_everybody(house: House, people: People) -> str:
    """A motion, a straw vote on it, and its way to publicity: there it waits its seven days."""
    path = "/api/council/motions"
    moved = await house.post(
        path,
        {"title": "楼道加装扶手 (demo)", "text": "在一号楼每层楼道加装扶手，方便长者上下。"},
        acting_for=people.elder,
        step=STEP,
    )
    one = f"{path}/{moved['id']}"
    await house.post(f"{one}/straw", step=STEP)
    for voter, choice in zip(people.voters, VOTES, strict=True):
        ballot = {"voter_id": voter, "choice": choice}
        await house.post(f"{one}/ballots", ballot, step=STEP)
    vote = await house.post(f"{one}/close", step=STEP)
    for to in ("screening", "publicity"):
        moved = await house.post(f"{one}/step", {"to": to}, step=STEP)
    yes, roll = vote["tally"]["yes"], vote["on_roll"]
    return f"{yes}/{roll} 赞成 yes, {_both(moved['step'])}"


def _both(state: str) -> str:
    return f"{WORDS[state]} {state}" if state in WORDS else state
