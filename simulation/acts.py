"""The one table of errands that residents run: a new kind is a coroutine and a line here."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from node.kernel.errors import DomainError
from simulation.stories import deal_with_a_liar, gift, hour_inside, redeem_away
from simulation.story import Story


@dataclass(frozen=True)
class Act:
    """A kind of errand, and how often it is begun, against the others."""

    name: str
    weight: int
    begin: Callable[[Story], Awaitable[None]]
    needs: str = ""  # the kind of fault without which it makes no sense


ACTS: tuple[Act, ...] = (
    Act("an hour inside", 3, hour_inside),
    Act("help next door, sometimes given back or fought about", 7, redeem_away),
    Act("a gift", 2, gift),
    Act("a deal with a liar", 1, deal_with_a_liar, needs="lie"),
)


async def run(story: Story) -> None:
    """Begin one errand of some kind; a refusal ends it."""
    [act] = story.random.choices(ACTS, [one.weight for one in ACTS])
    if act.needs and not getattr(story.scenario.faults, act.needs):
        return
    with contextlib.suppress(DomainError):  # told already, where it was said
        await act.begin(story)
