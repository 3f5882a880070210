"""One errand of a resident: its dice, whom it is about, and how it is said to a node that may die.

Whoever finds a node down, or loses it in the middle, comes back later and says the same again, with
the same ids.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.kernel.ids import derived_id
from simulation.faults import Died
from simulation.founding import resident_id
from simulation.liar import Liar
from simulation.scenario import Scenario
from simulation.town import Town

T = TypeVar("T")

HOUR = 3_600.0
COME_BACK_SECONDS = 1_500.0  # after finding the node down
LOOK_AGAIN_SECONDS = 1_800.0  # for an answer from the other community


@dataclass
class Story:
    """One errand: its own number and dice, and whom it is about."""

    number: int
    scenario: Scenario
    towns: Sequence[Town]
    liar: Liar
    random: Random

    def id(self, what: str) -> UUID:
        """The id that everybody in this story uses for `what`."""
        return derived_id("simulated", self.scenario.seed, self.number, what)

    def resident(self, town: Town) -> UUID:
        """Somebody who lives there."""
        return resident_id(town.name, self.random.randrange(self.scenario.residents))

    def two_residents(self, town: Town) -> tuple[UUID, UUID]:
        """Two who live there."""
        one, other = self.random.sample(range(self.scenario.residents), 2)
        return resident_id(town.name, one), resident_id(town.name, other)

    def chance(self, probability: float) -> bool:
        """Whether this story takes that turn."""
        return self.random.random() < probability

    async def pause(self, low_hours: float, high_hours: float) -> None:
        """Life goes on for a while."""
        await asyncio.sleep(self.random.uniform(low_hours, high_hours) * HOUR)

    async def say(self, town: Town, words: str, command: Callable[[Session], T]) -> T:
        """Do it at this node, as often as it takes to be answered; raises the node's refusal."""
        repeats = self.chance(0.08)  # a double click, or a clerk who is not sure
        while True:
            if town.is_up:
                try:
                    result = town.do(command)
                    if repeats:
                        repeats = False
                        town.do(command)
                except Died:
                    pass
                except DomainError as refusal:
                    town.tell(f"story {self.number}: {words}: refused, {refusal.code}")
                    raise
                else:
                    town.tell(f"story {self.number}: {words}")
                    return result
            await asyncio.sleep(COME_BACK_SECONDS)

    async def sees(
        self, town: Town, kind: type[T], row_id: UUID, is_there: Callable[[T], bool]
    ) -> T:
        """The row as soon as it stands in this node's books as it should."""
        return await self.finds(town, lambda session: session.get(kind, row_id), is_there)

    async def finds(
        self,
        town: Town,
        look: Callable[[Session], T | None],
        is_there: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """What somebody who looks again and again finds in this node's books in the end."""
        while True:
            if town.is_up:
                with town.database.read() as session:
                    row = look(session)
                if row is not None and is_there(row):
                    return row
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def told(self, town: Town, table: str, row_id: UUID, states: str) -> None:
        """Somebody was told so: from now on the row is in one of these states."""
        town.witness.promise(table, row_id, frozenset(states.split()))
