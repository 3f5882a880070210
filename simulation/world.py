"""A whole district under a virtual clock: real nodes, office and signatures; one event queue.

`run` lives the scenario's days, then lets everything heal, drains what waits, settles once more and
compares all books. What must never be is looked for after every commit (witness.py), after every
restart, every day, and at the end.
"""

import asyncio
import gc
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import structlog

from node.kernel.clock import VirtualClock
from node.peer.book import PeerBook
from simulation import acts
from simulation.faults import Dice
from simulation.founding import directory_of, keys_of, known_peer, office_file, town_file
from simulation.history import History
from simulation.inspection import Inspection
from simulation.liar import Liar
from simulation.network import Network
from simulation.office import OFFICE, Office
from simulation.scenario import LIAR, Scenario
from simulation.settlement_chain import SimulatedChain
from simulation.story import Story
from simulation.town import CONFIRMATIONS, District, Town
from simulation.virtual_time import NothingLeft, VirtualLoop
from simulation.witness import Receipts, Witness

DAY = 86_400.0
HOUR = 3_600.0
SWEEP_HOUR = 6  # of each day; a serving node does it more often
BLOCK_SECONDS = 600.0
LOOK_SECONDS_MAX = 3_600.0
HEAL_POLL_SECONDS = 1_800.0
HEAL_DAYS_MAX = 12
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 (a private folder inside it; no disk to wait for)


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario."""

    scenario: Scenario
    steps: int
    exchanges: int
    faults: dict[str, int]
    fired: list[str]
    history: History

    @property
    def is_good(self) -> bool:
        return self.history.violation is None

    def as_row(self) -> dict[str, Any]:
        """The one JSON object that ends a run."""
        return {
            "seed": self.scenario.seed,
            "steps": self.steps,
            "exchanges": self.exchanges,
            "faults": self.faults,
            "violations": 0 if self.is_good else 1,
            "digest": self.history.digest(),
        }


def simulate(scenario: Scenario, *, town_kind: type[Town] = Town) -> Outcome:
    """Live a scenario from its first day to its last comparison."""
    parent = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with (
        _undisturbed(),
        tempfile.TemporaryDirectory(prefix="linli-district-", dir=parent) as folder,
    ):
        world = World(scenario, Path(folder), town_kind=town_kind)
        try:
            return world.run()
        finally:
            world.close()


class World:
    """Builds a district in a folder, and runs it."""

    def __init__(self, scenario: Scenario, folder: Path, *, town_kind: type[Town] = Town) -> None:
        self.scenario = scenario
        self.folder = folder
        clock = VirtualClock()
        self.loop = VirtualLoop(clock)
        self.history = History(clock)
        self.dice = Dice(scenario.seed, scenario.faults, scenario.spared_faults)
        self.district = District(clock, self.loop, self.dice, self.history)
        self.network = Network(self.loop, self.dice, self.history)
        self.chain = SimulatedChain(
            timestamp=lambda: int(clock.now().timestamp()), on_send=self._expect_block
        )
        self.receipts = Receipts()
        self._block_timer: asyncio.TimerHandle | None = None
        self._blocks_wanted = 0
        self._errands: list[asyncio.Task[None]] = []
        self.keys = {name: keys_of(scenario.seed, name) for name in (*scenario.names, LIAR)}
        self._build(town_kind)
        self.inspection = Inspection(self.towns, self.receipts, self.chain, self.history)

    def run(self) -> Outcome:
        """Live all days, heal, compare."""
        try:
            self.loop.run_until_complete(self._live_until_broken())
        except NothingLeft:
            self.history.violated("stuck", "everybody waits for somebody")
        for town in self.towns:
            self.history.anchor(town.name, town.witness.head())
        return Outcome(
            scenario=self.scenario,
            steps=self.history.steps,
            exchanges=self.history.exchanges,
            faults=dict(sorted(self.dice.counts.items())),
            fired=self.dice.fired,
            history=self.history,
        )

    def close(self) -> None:
        """Let go of loop and files."""
        pending = asyncio.all_tasks(self.loop)
        for task in pending:
            task.cancel()
        if pending:
            gathered = asyncio.gather(*pending, return_exceptions=True)
            self.loop.run_until_complete(gathered)
        self.loop.close()
        for place in (*self.towns, self.office):
            place.database.close()
        for town in self.towns:
            town.witness.close()

    def _build(self, town_kind: type[Town]) -> None:
        names = self.scenario.names
        self.chain.found(
            [keys.address for keys in self.keys.values()],
            debt_limit_minutes=self.scenario.chain_limit_minutes,
        )
        file = self.folder / "office.sqlite"
        file.write_bytes(office_file())
        self.office = Office(self.district, file, chain=self.chain, network=self.network)
        is_calm, self.dice.is_calm = self.dice.is_calm, True  # enrolment is not what we test
        self.office.admit(list(self.keys.items()))
        self.towns = [self._town(name, town_kind) for name in names]
        peers = [known_peer(name, self.keys[name]) for name in names]
        self.liar = Liar(self.district, self.keys[LIAR], PeerBook(peers), self.network)
        self.network.receivers = {town.name: town for town in self.towns} | {LIAR: self.liar}
        self.dice.is_calm = is_calm

    def _town(self, name: str, town_kind: type[Town]) -> Town:
        file = self.folder / f"{name}.sqlite"
        peers = [other for other in (*self.scenario.names, LIAR) if other != name]
        scenario = self.scenario
        file.write_bytes(
            town_file(
                name,
                tuple(peers),
                residents_count=scenario.residents,
                credit_limit_minutes=scenario.credit_limit_minutes,
                peer_limit_minutes=scenario.peer_limit_minutes,
            )
        )
        return town_kind(
            name,
            self.district,
            file,
            keys=self.keys[name],
            peers=[known_peer(peer, self.keys[peer]) for peer in peers],
            directory=directory_of(list(self.keys.items())),
            network=self.network,
            chain=self.chain,
            witness=Witness(name, file, self.history, self.receipts),
            fetch_batch=self.office.batch,
        )

    async def _live_until_broken(self) -> None:
        """All of it, or up to the moment at which something is wrong."""
        life = self.loop.create_task(self._live())
        broken = self.loop.create_task(self.history.broken.wait())
        await asyncio.wait((life, broken), return_when=asyncio.FIRST_COMPLETED)
        broken.cancel()
        if life.done():
            life.result()  # a fault of the simulation itself is not a history
        life.cancel()

    async def _live(self) -> None:
        self._begin_stories()
        for day in range(self.scenario.days):
            self._begin_day(day)
            await asyncio.sleep(DAY)
            self.inspection.daily()
        await self._heal()

    def _begin_stories(self) -> None:
        scenario = self.scenario
        for number in range(scenario.story_count):
            random = Random(f"{scenario.seed}/story/{number}")  # noqa: S311 (a seeded history)
            when = (number // scenario.stories_a_day + random.random()) * DAY
            if number not in scenario.left_out_stories:
                story = Story(number, scenario, self.towns, self.liar, random)
                self.loop.call_later(when, self._begin_story, story)

    def _begin_story(self, story: Story) -> None:
        self._errands.append(self.loop.create_task(acts.run(story)))

    def _begin_day(self, day: int) -> None:
        dice = self.dice
        names = [*self.scenario.names, OFFICE]
        for index, one in enumerate(names):
            for other in names[index + 1 :]:
                if dice.happens("partition", one, other, day):
                    self._later(
                        self.network.partition,
                        one,
                        other,
                        about=("partition", one, other, day),
                        seconds=dice.between(HOUR / 2, 20 * HOUR, "cut", one, other, day),
                    )
        if dice.happens("chain", "stops", day):
            self._later(
                self._stop_chain,
                about=("chain", day),
                seconds=dice.between(HOUR, 20 * HOUR, "chain stops", day),
            )
        for town in self.towns:
            if dice.happens("lie", town.name, day):
                self.loop.call_later(
                    dice.between(0, DAY, "lie", town.name, day), self._lie, town, day
                )
            self.loop.call_later(SWEEP_HOUR * HOUR, town.sweep)
        if (day + 1) % self.scenario.days_between_rounds == 0:
            self.loop.call_later(20 * HOUR, self._settle)

    def _later(
        self, happen: Callable[..., None], *what: str, about: tuple[object, ...], seconds: float
    ) -> None:
        """Let it begin at some time of the day and last so many seconds."""
        begin = self.dice.between(0, DAY, "begins", *about)
        self.loop.call_later(begin, lambda: happen(*what, seconds=seconds))

    def _lie(self, town: Town, day: int) -> None:
        self._errands.append(self.loop.create_task(self.liar.lie_to(town, day)))

    def _settle(self) -> None:
        self.office.open_round()
        for town in self.towns:
            self.loop.create_task(self._attending(town))

    async def _attending(self, town: Town) -> None:
        """Through deaths of the node: each life asks the office anew."""
        while self.office_has_work():
            if town.is_up:
                task = town.spawn(self.office.attend(town))
                await asyncio.wait([task])
                if not task.cancelled() and task.exception() is None:
                    return
            await asyncio.sleep(HOUR)

    def office_has_work(self) -> bool:
        """Whether a round is open, or may be: a dead office does not say."""
        return not self.office.is_up or self.office.has_open_round

    def _stop_chain(self, *, seconds: float) -> None:
        self.history.tell("chain", "stops answering")
        self.chain.is_down = True
        self.loop.call_later(seconds, self._start_chain)

    def _start_chain(self) -> None:
        if self.chain.is_down:
            self.history.tell("chain", "answers again")
            self.chain.is_down = False

    def _expect_block(self) -> None:
        self._blocks_wanted = CONFIRMATIONS + 1
        if self._block_timer is None:
            self._block_timer = self.loop.call_later(BLOCK_SECONDS, self._make_block)

    def _make_block(self) -> None:
        self._block_timer = None
        number = len(self.chain.blocks)
        depth = 1 + (number + self.chain.forks) % (CONFIRMATIONS - 1)
        can_fork = number > depth and not self.chain.is_down
        if can_fork and self.dice.happens("chain", "fork", number, self.chain.forks):
            forgets = self.dice.throw("forgets", number) < 0.5
            self.chain.reorganise(depth, forgets=forgets)
            words = "and forgets what was in them" if forgets else "and keeps what was in them"
            self.history.tell("chain", f"replaces its last {depth} blocks {words}")
            self._blocks_wanted += depth
        if not self.chain.is_down:
            self.chain.mine()
            self._blocks_wanted -= 1
            self.history.steps += 1
            taken = len(self.chain.blocks[-1].transactions)
            self.history.tell("chain", f"block {len(self.chain.blocks) - 1}, {taken} transactions")
        if self._blocks_wanted > 0:
            self._block_timer = self.loop.call_later(BLOCK_SECONDS, self._make_block)
        else:
            for town in self.towns:
                seconds = self.dice.between(1, LOOK_SECONDS_MAX, "look", town.name, number)
                self.loop.call_later(seconds, town.look_at_chain)

    async def _heal(self) -> None:
        """Everything works again: what waits must find its end, and all books must agree."""
        self.history.tell("district", "heals: from now on nothing goes wrong")
        self.dice.is_calm = True
        for pair in sorted(self.network.cut, key=sorted):
            self.network.heal(pair)
        self._start_chain()
        for errand in self._errands:
            errand.cancel()
        for place in (*self.towns, self.office):
            place.rise()
        await self._until("messages wait for ever", self._is_drained)
        await self._until("a round never ends", lambda: not self.office.has_open_round)
        self._settle()
        await self._until("the last round never ends", lambda: not self.office.has_open_round)
        await self._until("the chain is never read to its end", self._is_read)
        self.inspection.daily()
        self.inspection.final()

    async def _until(self, words: str, is_done: Callable[[], bool]) -> None:
        for _ in range(round(HEAL_DAYS_MAX * DAY / HEAL_POLL_SECONDS)):
            await asyncio.sleep(HEAL_POLL_SECONDS)
            if is_done():
                return
            for town in self.towns:
                town.wake_relay()
                town.look_at_chain()
        self.history.violated("never_ends", words)

    def _is_drained(self) -> bool:
        return not any(town.witness.waiting_count() for town in self.towns)

    def _is_read(self) -> bool:
        if self._blocks_wanted > 0:
            return False
        balances = self.chain.balances()
        return self._is_drained() and all(
            town.witness.settled() == balances[number] for number, town in enumerate(self.towns, 1)
        )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The nodes' logs are not the story that is told here, and nothing is worth collecting yet."""
    before, collects = structlog.get_config(), gc.isenabled()
    gc.disable()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
        if collects:
            gc.enable()
