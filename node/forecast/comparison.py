"""Let the three forecasts compete on this community's last weeks, in a process of its own.

The node itself never imports torch: `python -m federation.evaluate` does, on the full export, and
writes its answer to a file. A simulation or a test hands in another `Runner`.
"""

import asyncio
import contextlib
import importlib.util
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from node.forecast import exporting, outlook, registry, rules, service
from node.forecast.exporting import forecast_folder as forecast_folder
from node.forecast.model import Evaluation
from node.kernel.files import private_folder
from node.kernel.ids import derived_id
from node.kernel.process import bare_environment, tied_to_parent
from node.web.session import House

TIMEOUT_SECONDS = 600.0
_one_at_a_time = asyncio.Lock()  # two would write over each other's answer
ANSWER_FILE, LOG_FILE = "evaluation.json", "evaluate.log"
SENTENCE_LENGTH_MAX = 300

Runner = Callable[[Sequence[str], Path], Awaitable[int]]
"""Runs `python -m federation.evaluate` with these arguments, output to the file; exit status."""


async def compare(house: House, *, evaluation_id: UUID, runner: Runner | None = None) -> Evaluation:
    """Write the exports, judge the forecasts, and use the best from now on.

    The federated arm takes part when the district sent a model. The same id finds the first
    comparison's result.
    """
    async with _one_at_a_time:
        with house.database.read() as session:
            known = session.get(Evaluation, evaluation_id)
        return known or await _compare(house, evaluation_id, runner or run_child)


async def renew(house: House, *, runner: Runner | None = None) -> Evaluation | None:
    """Once a day, where an operator has compared before: tomorrow's forecast needs today's counts.

    None where there is nothing to renew, it is done already, or this machine cannot train.
    """
    today = rules.local_day(house.clock.now())
    with house.database.read() as session:
        known = service.latest(session)
    if known is None or rules.local_day(known.evaluated_at) >= today:
        return None
    if runner is None and importlib.util.find_spec("torch") is None:
        return None
    return await compare(house, evaluation_id=derived_id("daily forecast", today), runner=runner)


async def _compare(house: House, evaluation_id: UUID, runner: Runner) -> Evaluation:
    folder = private_folder(forecast_folder(house.settings.directory))
    exports = await asyncio.to_thread(exporting.refresh, house)
    answer, log = folder / ANSWER_FILE, folder / LOG_FILE
    answer.unlink(missing_ok=True)
    arguments = ["--export", str(exports.full), "--out", str(answer)]
    with house.database.read() as session:
        model = registry.in_use(session)
    if model is not None and (file := registry.path_of(folder, model.sha256)).is_file():
        arguments += ["--model", str(file)]
    if exports.terms is not None:
        terms = exports.terms
        arguments += ["--epsilon", str(terms.epsilon), "--weekly-limit", str(terms.weekly_limit)]
    status = await runner(arguments, log)
    if status != 0:
        raise rules.EvaluationFailed(problem=_last_line(log) or f"exit status {status}")
    result, settings = _read(answer), house.settings

    def keep(session: Session) -> Evaluation:
        evaluation = service.record_evaluation(
            session, house.clock, evaluation_id=evaluation_id, result=result
        )
        outlook.call_for_helpers(
            session,
            evaluation,
            requests_per_person=settings.requests_per_person,
            on_duty=settings.people_on_duty,
        )
        return evaluation

    return await house.database.run(keep)


async def run_child(arguments: Sequence[str], log: Path) -> int:
    """The real Runner: a child without our secrets, ended with us or after TIMEOUT_SECONDS."""
    argv = tied_to_parent([sys.executable, "-m", "federation.evaluate", *arguments])
    environment = bare_environment(log.parent, OMP_NUM_THREADS="1")
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await child.wait()
        except TimeoutError:
            raise rules.EvaluationFailed(problem=f"{TIMEOUT_SECONDS:.0f} s passed") from None
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()


def _read(answer: Path) -> dict[str, Any]:
    try:
        if answer.stat().st_size > rules.EVALUATION_BYTES_MAX:
            raise rules.EvaluationUnusable(problem="it is too long")
        result = json.loads(answer.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise rules.EvaluationUnusable(problem=type(problem).__name__) from problem
    rules.check_evaluation(result)
    return dict(result)


def _last_line(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:SENTENCE_LENGTH_MAX] if lines else ""
    return ""
