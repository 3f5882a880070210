"""A whole district in one command: eight steps, real processes on loopback, one story.

Everything of a run lies under OUT/district; OUT itself keeps the report, the summary and details.
"""

import asyncio
import fcntl
import json
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from node.kernel.files import write_file
from simulation import everyday, learning, redemption, residents, settling, visits
from simulation.district import District
from simulation.everyday import People
from simulation.house import House
from simulation.panel import Panel, read_panel, write_panel
from simulation.processes import ProcessTree
from simulation.progress import Progress
from simulation.redemption import Story
from simulation.refusals import OutUnusable
from simulation.report import render
from simulation.visits import Guest

STEPS = 8
FOLDER, MARK, LOCK = "district", "made-by-linli-sim", ".linli-sim.lock"
PANEL_FILE = "panel.csv"
PIN_DIGITS = 6

# Who is helped by whom besides the redemption with the kill, as letters; all of it is netted.
OTHER_VISITS = (("B", "C", 60), ("C", "A", 45), ("D", "B", 30))


@dataclass(frozen=True)
class Options:
    """What the caller decides."""

    out: Path
    panel: Path | None
    seed: int
    rounds: int


@dataclass(frozen=True)
class Run:
    """What a finished run leaves: the figures, and all that the report shows."""

    summary: dict[str, Any]
    details: dict[str, Any]
    district: District
    people: list[People]


def _contained(district: District) -> str:
    """Whether the nodes ran the training code in a sandbox, and why not."""
    problem = district.sandbox_problem
    return "in a sandbox" if problem is None else f"WITHOUT a sandbox: {problem}"


class Demo:
    """The steps of one run, in order."""

    def __init__(self, options: Options, panel: Panel, tree: ProcessTree, progress: Progress):
        self._options = options
        self._panel = panel
        self._progress = progress
        self._began = time.monotonic()
        self.district = District(tree, panel.communities, has_training=True)
        self._houses = self.district.houses

    async def run(self) -> Run:
        """All eight steps; StepFailed names the one that did not come to its end."""
        progress, district = self._progress, self.district
        with progress.step("启动结算链", "chain started, contract deployed") as note:
            await district.start_chain(step="chain")
            note.words = f"HourSettlement at {district.contract.address}"
        with progress.step("办公室与节点", "office and nodes serve, all enrolled") as note:
            await district.enrol(step="enrolment")
            note.words = ", ".join(house.name for house in self._houses)
        with progress.step("导入历史", "histories imported") as note:
            await self._import()
            note.words = self._panel.label
        with progress.step("居民的一天", "residents act, through HTTP") as note:
            people, days = await self._live()
            note.words = "repair, points, an hour, a motion in each"
        with progress.step("联合训练与比较", "Flower trains, every node judges") as note:
            learned = await learning.learn(district, rounds=self._options.rounds)
            note.words = f"results per round {learned.results_per_round}, {_contained(district)}"
        with progress.step("跨社区兑换，途中断电", "90 minutes redeemed, B killed midway") as note:
            story, all_visits = await self._redeem(people)
            note.words = f"B was down {story.down_seconds:.1f} s, {story.state}"
        with progress.step("结算", "settled in one transaction") as note:
            settled = await settling.settle(district)
            await settling.until_booked(self._houses, step=settling.STEP)
            note.words = f"{settled.transaction[:18]}…, sum {settled.sum}, all receipts settled"
        with progress.step("审计", "audits, and all that left") as note:
            audits = await settling.audit_all(self._houses)
            left = [await settling.left_of(house) for house in self._houses]
            note.words = (
                f"{sum(one['entries'] for one in audits.values())} journal entries replayed"
            )
        names = [house.name for house in self._houses]
        summary = {
            "panel": self._panel.label,
            "nodes": len(self._houses),
            "training": {
                "engine": "flower",
                "rounds": len(learned.results_per_round),
                "results_per_round": learned.results_per_round,
                "mae": learned.mean_errors(),
                "adopted": learned.adopted(),
                "sandbox": district.sandbox_problem is None,
            },
            "redemption": {
                "minutes": redemption.MINUTES,
                "state": story.state,
                "killed": "B",
                "recovered": story.recovered,
            },
            "settlement": {
                "transaction": settled.transaction,
                "communities": settled.communities,
                "sum": settled.sum,
                "minutes": settled.minutes,
            },
            "audit": {
                name: {key: audits[name][key] for key in ("ok", "entries", "head")}
                for name in names
            },
            "left": dict(zip(names, left, strict=True)),
            "seconds": round(time.monotonic() - self._began, 1),
        }
        details = self._details(
            forecasts=learned.forecasts,
            story=story,
            positions=settled.positions,
            visits=all_visits,
            everyday=dict(zip(names, days, strict=True)),
        )
        return Run(summary, details, district, people)

    async def _import(self) -> None:
        await asyncio.gather(
            *(
                house.node(
                    "import",
                    str(self._panel.path.resolve()),
                    *("--community", house.name),
                    "--json",
                    step="import",
                )
                for house in self._houses
            )
        )

    async def _live(self) -> tuple[list[People], list[dict[str, str]]]:
        people = await asyncio.gather(
            *(
                everyday.welcome(house, number=number, pins=(_pin(), _pin()))
                for number, house in enumerate(self._houses, start=1)
            )
        )
        days = await asyncio.gather(
            *(
                everyday.live_a_day(house, who)
                for house, who in zip(self._houses, people, strict=True)
            )
        )
        return list(people), list(days)

    async def _redeem(self, people: list[People]) -> tuple[Story, list[Guest]]:
        """The other visits first and together, then the one that is interrupted."""
        lettered = {
            letter: (house, who)
            for letter, house, who in zip("ABCD", self._houses, people, strict=True)
        }
        others = [_guest(lettered, *one) for one in OTHER_VISITS]
        await asyncio.gather(
            *(visits.whole(one, minutes=one.minutes, step="visits") for one in others)
        )
        main = _guest(lettered, "A", "B", redemption.MINUTES)
        return await redemption.redeem_with_a_kill(main), [main, *others]

    def _details(
        self,
        *,
        forecasts: dict[str, Any],
        story: Story,
        positions: dict[str, int],
        visits: list[Guest],
        everyday: dict[str, Any],
    ) -> dict[str, Any]:
        panel = self._panel
        owed: Counter[tuple[str, str]] = Counter()
        receipts: Counter[tuple[str, str]] = Counter()
        for one in visits:
            owed[one.home.name, one.host.name] += one.minutes
            receipts[one.home.name, one.host.name] += 1
        return {
            "panel": {
                "label": panel.label,
                "is_generated": panel.seed is not None,
                "seed": panel.seed,
                "first_day": panel.first_day.isoformat(),
                "last_day": panel.last_day.isoformat(),
                "communities_in_file": panel.communities_in_file,
            },
            "communities": [{"id": house.id, "name": house.name} for house in self._houses],
            "forecasts": forecasts,
            "story": {
                "moments": [asdict(moment) for moment in story.moments],
                "caught_in": story.caught_in,
                "down_seconds": story.down_seconds,
            },
            "statements": [
                {"debtor": debtor, "creditor": creditor, "minutes": minutes,
                 "count": receipts[debtor, creditor]}
                for (debtor, creditor), minutes in owed.items()
            ],
            "positions": positions,
            "everyday": everyday,
            "steps": self._progress.steps,
        }  # fmt: skip


def shortfalls(summary: dict[str, Any], *, rounds: int) -> list[str]:
    """What of the promises a run did not keep; empty for a good run."""
    training, redeemed = summary["training"], summary["redemption"]
    settled, nodes = summary["settlement"], summary["nodes"]
    checks = {
        "four nodes": nodes == 4,
        f"{rounds} rounds of training": training["rounds"] == rounds,
        "results in every round": all(count >= 1 for count in training["results_per_round"]),
        "an error for every arm": all(error is not None for error in training["mae"].values()),
        "an arm adopted by every node": len(training["adopted"]) == nodes,
        "the redemption captured": redeemed["state"] == "captured" and redeemed["recovered"],
        "one transaction": settled["transaction"].startswith("0x"),
        "minutes settled": settled["minutes"] > 0 and settled["communities"] >= 2,
        "a sum of zero on the chain": settled["sum"] == 0,
        "every audit": all(audit["ok"] for audit in summary["audit"].values()),
        "a list of all that left": all(summary["left"].values()),
    }
    return [promise for promise, is_kept in checks.items() if not is_kept]


def prepare_panel(options: Options, home: Path) -> Panel:
    """The given panel, looked through; or one generated into the run's own folder."""
    if options.panel is not None:
        return read_panel(options.panel)
    path = home / PANEL_FILE
    write_panel(path, residents.generate(options.seed))
    return read_panel(path, seed=options.seed)


@contextmanager
def run_folder(out: Path) -> Iterator[Path]:
    """OUT/district, empty and ours until we leave; never somebody else's folder."""
    home = out.resolve() / FOLDER
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                reason = "another run uses it at this moment."
                raise OutUnusable(directory=str(out), reason=reason) from None
            if home.exists():
                if not (home / MARK).exists():
                    reason = f"{home} was not made by linli-sim, so it is not removed."
                    raise OutUnusable(directory=str(out), reason=reason)
                shutil.rmtree(home)
            home.mkdir()
            (home / MARK).touch()
            yield home
    except OSError as error:
        reason = error.strerror or "it cannot be written."
        raise OutUnusable(directory=str(out), reason=reason) from error


def write_results(out: Path, run: Run) -> None:
    """The summary and details for programs, and the page for people."""
    for name, content in (("summary", run.summary), ("details", run.details)):
        text = json.dumps(content, ensure_ascii=False, indent=2)
        write_file(out / f"{name}.json", text.encode())
    write_file(out / "report.html", render(run.summary, run.details).encode())


def _guest(lettered: dict[str, tuple[House, People]], home: str, host: str, minutes: int) -> Guest:
    (home_house, guests), (host_house, hosts) = lettered[home], lettered[host]
    return Guest(home_house, guests.elder, host_house, hosts.volunteer, minutes)


def _pin() -> str:
    """A PIN for this run alone; the first digit keeps it from being too easy to guess."""
    return "7" + "".join(secrets.choice("0123456789") for _ in range(PIN_DIGITS - 1))
