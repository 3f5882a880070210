"""Minutes that should not have been paid: offered back, asked back, or fought about.

Either side begins. A dispute goes its whole way: opened by one side or by both at once, answered,
judged by an arbiter of each side, sometimes not alike at first, and carried out as a reversal.
"""

import contextlib
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import dispute, reversal
from node.exchange.model import Dispute, Reversal
from node.exchange.rules import DisputeCode, DisputeState
from node.kernel.errors import DomainError
from simulation.story import Story
from simulation.town import Town


class Sides(NamedTuple):
    """Whose resident was paid, and whose resident paid."""

    payee: Town
    payer: Town


async def begin(story: Story, sides: Sides, exchange_id: UUID, *, minutes: int) -> None:
    """It was not as it was noted: somebody says so, in one of three ways."""
    kinds = (offer_back, ask_back, fight)
    [kind] = story.random.choices(kinds, (3, 2, 3))
    await story.pause(1, 40)
    await kind(story, sides, exchange_id, minutes)


async def offer_back(story: Story, sides: Sides, exchange_id: UUID, minutes: int) -> None:
    """The side that was paid offers minutes back; the other agrees, or wants none."""
    reversal_id = await _offer(story, sides.payee, exchange_id, story.random.randint(1, minutes))
    await story.sees(sides.payer, Reversal, reversal_id, lambda row: True)
    await story.pause(1, 40)
    if story.chance(0.15):
        await _decline(story, sides.payer, reversal_id)
        return
    payer = sides.payer
    await story.say(
        payer,
        f"agrees to reversal {reversal_id.hex[:8]}",
        lambda session: reversal.agree(
            session, payer.district.clock, payer.sealer, reversal_id=reversal_id, decided_by=None
        ),
    )
    story.told(payer, "reversal", reversal_id, "agreed reversed declined")


async def ask_back(story: Story, sides: Sides, exchange_id: UUID, minutes: int) -> None:
    """The side that paid asks; the other gives back what was asked, or nothing."""
    reversal_id, wanted = story.id("reversal"), story.random.randint(1, minutes)
    payer = sides.payer
    await story.say(
        payer,
        f"asks {wanted} min back for {exchange_id.hex[:8]}",
        lambda session: reversal.ask(
            session,
            payer.district.clock,
            payer.sealer,
            reversal_id=reversal_id,
            exchange_id=exchange_id,
            minutes=wanted,
            decided_by=None,
        ),
    )
    story.told(payer, "reversal", reversal_id, "asked agreed reversed declined")
    await story.sees(sides.payee, Reversal, reversal_id, lambda row: True)
    await story.pause(1, 40)
    if story.chance(0.25):
        await _decline(story, sides.payee, reversal_id)
    else:
        await _offer(story, sides.payee, exchange_id, wanted)


async def fight(story: Story, sides: Sides, exchange_id: UUID, minutes: int) -> None:
    """A dispute with an arbiter of each side, to its end."""
    first, second = story.random.sample(list(sides), 2)
    await _open(story, first, exchange_id, "dispute", minutes=minutes)
    if story.chance(0.25):  # before it has heard of the first one, or after
        with contextlib.suppress(DomainError):
            await _open(story, second, exchange_id, "counter-dispute", minutes=0)
    row = await story.finds(second, _dispute_about(exchange_id), _is_heard_of)
    await story.pause(1, 60)
    if row.state == DisputeState.OPENED:
        await _answer(story, second, exchange_id, minutes=story.random.randint(0, minutes))
    verdict = story.random.randint(0, minutes)
    for town in (first, second):
        await story.finds(town, _dispute_about(exchange_id), _is_answered)
        await story.pause(1, 60)
        if story.chance(0.3):
            await _judge(story, town, exchange_id, minutes=minutes - verdict)
            await story.pause(1, 60)
        await _judge(story, town, exchange_id, minutes=verdict)


async def _offer(story: Story, payee: Town, exchange_id: UUID, minutes: int) -> UUID:
    reversal_id = story.id("reversal")
    await story.say(
        payee,
        f"offers {minutes} min back for {exchange_id.hex[:8]}",
        lambda session: reversal.offer(
            session,
            payee.district.clock,
            payee.sealer,
            reversal_id=reversal_id,
            exchange_id=exchange_id,
            minutes=minutes,
            decided_by=None,
        ),
    )
    story.told(payee, "reversal", reversal_id, "offered reversed declined")
    return reversal_id


async def _decline(story: Story, town: Town, reversal_id: UUID) -> None:
    await story.say(
        town,
        f"declines reversal {reversal_id.hex[:8]}",
        lambda session: reversal.decline(
            session, town.district.clock, town.sealer, reversal_id=reversal_id, decided_by=None
        ),
    )
    story.told(town, "reversal", reversal_id, "declined")


async def _open(story: Story, town: Town, exchange_id: UUID, what: str, *, minutes: int) -> None:
    await story.say(
        town,
        f"opens a {what} about {exchange_id.hex[:8]}",
        lambda session: dispute.open_dispute(
            session,
            town.district.clock,
            town.sealer,
            dispute_id=story.id(what),
            exchange_id=exchange_id,
            code=DisputeCode.FEWER_MINUTES,
            minutes=minutes,
        ),
    )


async def _answer(story: Story, town: Town, exchange_id: UUID, *, minutes: int) -> None:
    row = await story.finds(town, _dispute_about(exchange_id))
    await story.say(
        town,
        f"answers the dispute about {exchange_id.hex[:8]}",
        lambda session: dispute.answer(
            session,
            town.district.clock,
            town.sealer,
            dispute_id=row.id,
            code=DisputeCode.FEWER_MINUTES,
            minutes=minutes,
        ),
    )
    story.told(town, "dispute", row.id, "answered judged")


async def _judge(story: Story, town: Town, exchange_id: UUID, *, minutes: int) -> None:
    row = await story.finds(town, _dispute_about(exchange_id))
    await story.say(
        town,
        f"judges that {minutes} min go back for {exchange_id.hex[:8]}",
        lambda session: dispute.judge(
            session,
            town.district.clock,
            town.sealer,
            dispute_id=row.id,
            minutes=minutes,
            arbiter=None,
        ),
    )
    story.told(town, "dispute", row.id, "answered judged")


def _dispute_about(exchange_id: UUID) -> Callable[[Session], Dispute | None]:
    """Asks the books for the dispute about an exchange, whichever side's opening stands."""
    about = select(Dispute).where(Dispute.exchange_id == exchange_id)
    return lambda session: session.scalars(about).first()


def _is_heard_of(row: Dispute) -> bool:
    """The other side's opening is here, or ours was answered: it is not ours alone."""
    return not row.is_ours or row.state != DisputeState.OPENED


def _is_answered(row: Dispute) -> bool:
    return row.state != DisputeState.OPENED
