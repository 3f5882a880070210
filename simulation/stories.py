"""What residents do: each story is one errand from its beginning to its end, told as a coroutine.

simulation/acts.py is the table of all kinds, simulation/quarrels.py tells what went wrong.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from node.exchange import gift as giving
from node.exchange import home, host
from node.exchange.model import Gift, Visit
from node.kernel.ids import CODE_ALPHABET
from node.timebank import service as timebank
from node.timebank.service import Actor
from simulation import quarrels
from simulation.scenario import LIAR
from simulation.story import Story
from simulation.town import Town

SERVICES = ("companionship", "errands", "phone_help")


async def hour_inside(story: Story) -> None:
    """A neighbour helps a neighbour: request, accept, deliver, both confirm."""
    town = story.random.choice(story.towns)
    exchange, minutes = story.id("exchange"), story.random.choice((15, 30, 60, 90))
    provider, receiver = story.two_residents(town)
    giver, taker = Actor(provider), Actor(receiver)
    words, service = f"{minutes} min inside", story.random.choice(SERVICES)
    act = partial(_inside, story, town, exchange)
    await story.say(
        town,
        f"asks for {words}",
        lambda session: timebank.request(
            session,
            town.district.clock,
            exchange_id=exchange,
            provider_id=provider,
            receiver_id=receiver,
            service=service,
            minutes=minutes,
        ),
    )
    await story.pause(0.2, 12)
    if story.chance(0.08):
        await act("declines", timebank.decline, giver, "declined")
        return
    await act("accepts", timebank.accept, giver, "accepted delivered captured cancelled disputed")
    await story.pause(0.2, 24)
    if story.chance(0.08):
        await act("cancels", timebank.cancel, taker, "cancelled")
        return
    used = story.random.randint(1, minutes)
    await act(
        f"notes {used} min",
        partial(timebank.deliver, minutes=used),
        giver,
        "delivered captured cancelled disputed",
    )
    await story.pause(0.1, 6)
    if story.chance(0.08):
        await act("disputes", timebank.dispute, taker, "disputed captured cancelled")
        await story.pause(5, 60)
        verdict = story.random.choice((0, minutes))
        arbiter = Actor(None, is_arbiter=True)
        await act(
            f"settles at {verdict} min", partial(_verdict, verdict), arbiter, "captured cancelled"
        )
        return
    await act("confirms as taker", timebank.confirm, taker, "delivered captured")
    await story.pause(0.1, 30)
    await act("confirms as giver", timebank.confirm, giver, "captured")
    town.district.history.exchanges += 1


async def _inside(
    story: Story,
    town: Town,
    exchange: UUID,
    words: str,
    command: Callable[..., Any],
    actor: Actor,
    states: str,
) -> None:
    await story.say(
        town,
        f"{words} ({exchange.hex[:8]})",
        lambda session: command(session, town.district.clock, exchange_id=exchange, actor=actor),
    )
    story.told(town, "exchange", exchange, states)


def _verdict(
    minutes: int, session: Session, clock: Any, *, exchange_id: UUID, actor: Actor
) -> None:
    """An arbiter says it once: who finds it said goes home."""
    if timebank.find(session, exchange_id).state == "disputed":
        timebank.settle(session, clock, exchange_id=exchange_id, minutes=minutes, actor=actor)


async def redeem_away(story: Story) -> None:
    """An elder of one community is helped in another: pass, visit, minutes, receipt."""
    at_home, away = story.random.sample(list(story.towns), 2)
    minutes = story.random.choice((15, 30, 60, 60, 90, 120, 180))
    await issue(story, at_home, host_name=away.name, minutes=minutes)
    if story.chance(0.07):
        await story.pause(1, 100)
        await _take_back(story, at_home)
        return
    if story.chance(0.06):
        return  # the slip stays in a drawer until it has expired
    await story.pause(0.5, 60)
    visit = await present(story, away, home_name=at_home.name)
    if story.chance(0.03):
        await _call_off(story, away)  # before home has answered, or after
        return
    visit = await _answered(story, away, visit)
    if visit.state != "accepted":
        return
    await story.pause(0.3, 30)
    if story.chance(0.08):
        await _call_off(story, away)
        return
    if story.chance(0.03):
        return  # nobody comes; home's promise runs out after its time
    await help_given(story, away, minutes=story.random.randint(1, visit.minutes_up_to or 1))
    if story.chance(0.25):
        visit = await story.sees(away, Visit, visit.id, lambda row: row.state != "confirmed")
        if visit.state == "captured":
            sides = quarrels.Sides(payee=away, payer=at_home)
            await quarrels.begin(story, sides, visit.id, minutes=visit.minutes or 1)


async def gift(story: Story) -> None:
    """A daughter earns here, her father spends there: minutes for somebody of another community."""
    here, there = story.random.sample(list(story.towns), 2)
    father, daughter = story.resident(there), story.resident(here)
    code, gift_id = f"22{_code(story)}", story.id("gift")
    clock, minutes = here.district.clock, story.random.choice((15, 30, 60, 120))
    await story.say(
        there,
        "hands out a code for gifts",
        lambda session: giving.make_code(
            session, clock, code=code, resident_id=father, made_by=None
        ),
    )
    await story.pause(0.5, 20)
    await story.say(
        here,
        f"gift {gift_id.hex[:8]} of {minutes} min for {there.name}",
        lambda session: giving.send_gift(
            session,
            clock,
            here.sealer,
            gift_id=gift_id,
            resident_id=daughter,
            recorded_by=None,
            code=f"{there.name}-{code}",
            minutes=minutes,
            debt_limit_minutes=story.scenario.debt_limit_minutes,
        ),
    )
    story.told(here, "gift", gift_id, "sent accepted refused")
    if story.chance(0.2):
        given = await story.sees(here, Gift, gift_id, lambda row: row.state != "sent")
        if given.state == "accepted":
            sides = quarrels.Sides(payee=there, payer=here)
            await quarrels.begin(story, sides, gift_id, minutes=minutes)


async def deal_with_a_liar(story: Story) -> None:
    """The paper mill takes a pass and pays with one, and keeps to the rules only when it likes."""
    town = story.random.choice(story.towns)
    if story.chance(0.6):
        minutes = story.random.choice((30, 60, 90))
        code = await issue(story, town, host_name=LIAR, minutes=minutes)
        await story.pause(1, 20)
        if story.chance(0.3):
            await _take_back(story, town)
            story.liar.keeps_slip(town, code, pass_id=story.id("pass"), minutes=minutes)
            return
        await story.liar.use_pass(town, code, exchange_id=story.id("visit"), random=story.random)
        return
    visit = await _answered(story, town, await present(story, town, home_name=LIAR))
    if visit.state == "accepted":
        await help_given(story, town, minutes=story.random.randint(1, visit.minutes_up_to or 1))


async def issue(story: Story, town: Town, *, host_name: str, minutes: int) -> str:
    """Home promises minutes; returns the code on the slip."""
    pass_id, resident = story.id("pass"), story.resident(town)
    await story.say(
        town,
        f"pass {pass_id.hex[:8]} of {minutes} min for {host_name}",
        lambda session: home.issue_pass(
            session,
            town.district.clock,
            town.sealer,
            pass_id=pass_id,
            resident_id=resident,
            issued_by=None,
            host=host_name,
            minutes=minutes,
            code=_code(story),
            debt_limit_minutes=story.scenario.debt_limit_minutes,
        ),
    )
    story.told(town, "pass", pass_id, "issued accepted captured released voided expired")
    return f"{town.name}-{_code(story)}"


async def present(story: Story, town: Town, *, home_name: str) -> Visit:
    """The slip is shown at the host's desk."""
    exchange, volunteer = story.id("visit"), story.resident(town)
    visit = await story.say(
        town,
        f"visit {exchange.hex[:8]}: presents a pass of {home_name}",
        lambda session: host.present_pass(
            session,
            town.district.clock,
            town.sealer,
            exchange_id=exchange,
            code=f"{home_name}-{_code(story)}",
            provider_id=volunteer,
            presented_by=None,
        ),
    )
    states = "presented accepted delivered confirmed captured released refused"
    story.told(town, "visit", exchange, states)
    return visit


async def help_given(story: Story, town: Town, *, minutes: int) -> None:
    """The minutes are noted, and both confirm them."""
    exchange, clock = story.id("visit"), town.district.clock
    name = f"visit {exchange.hex[:8]}"
    await story.say(
        town,
        f"{name}: notes {minutes} min",
        lambda session: host.deliver(
            session, exchange_id=exchange, minutes=minutes, now=clock.now()
        ),
    )
    story.told(town, "visit", exchange, "delivered confirmed captured refused released")
    for party in host.PARTIES:
        await story.pause(0.1, 8)
        await story.say(
            town,
            f"{name}: the {party} confirms",
            lambda session, party=party: host.confirm(  # type: ignore[misc]
                session, clock, town.sealer, exchange_id=exchange, party=party
            ),
        )
    story.told(town, "visit", exchange, "confirmed captured refused")


async def _answered(story: Story, town: Town, visit: Visit) -> Visit:
    """The visit once home has answered."""
    return await story.sees(town, Visit, visit.id, lambda row: row.state != "presented")


async def _take_back(story: Story, town: Town) -> None:
    pass_id = story.id("pass")
    await story.say(
        town,
        f"takes pass {pass_id.hex[:8]} back",
        lambda session: home.void_pass(session, town.district.clock, pass_id=pass_id),
    )
    story.told(town, "pass", pass_id, "voided")


async def _call_off(story: Story, town: Town) -> None:
    exchange = story.id("visit")
    await story.say(
        town,
        f"visit {exchange.hex[:8]}: is called off",
        lambda session: host.call_off(
            session, town.district.clock, town.sealer, exchange_id=exchange
        ),
    )
    story.told(town, "visit", exchange, "released")


def _code(story: Story) -> str:
    """What the slip says: told apart by the story's number."""
    number, text = story.number, ""
    for _ in range(8):
        number, digit = divmod(number, len(CODE_ALPHABET))
        text = CODE_ALPHABET[digit] + text
    return text
