"""Let the three forecasts compete on this community's last weeks, in a process of its own.

The node itself never imports torch: `python -m federation.evaluate` does, on the full export, and
writes its answer to a file. A simulation or a test hands in another `Runner`.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from node.forecast import rules, service
from node.forecast.model import Evaluation
from node.kernel.files import private_folder
from node.kernel.process import bare_environment, tied_to_parent
from node.web.session import House

TIMEOUT_SECONDS = 600.0
_one_at_a_time = asyncio.Lock()  # two would write over each other's answer
MODEL_FILE = "model.npz"  # the federated model this node received last
ANSWER_FILE, LOG_FILE = "evaluation.json", "evaluate.log"
SENTENCE_LENGTH_MAX = 300

Runner = Callable[[Sequence[str], Path], Awaitable[int]]
"""Runs `python -m federation.evaluate` with these arguments, output to the file; exit status."""


def forecast_folder(directory: Path) -> Path:
    """Where a node keeps the model it received and the last answer."""
    return directory / "forecast"


async def compare(house: House, *, evaluation_id: UUID, runner: Runner | None = None) -> Evaluation:
    """Write the exports, judge the forecasts, and use the best from now on.

    The federated arm takes part when a model lies at `forecast_folder(…) / MODEL_FILE`. The same
    id finds the first comparison's result.
    """
    async with _one_at_a_time:
        with house.database.read() as session:
            known = session.get(Evaluation, evaluation_id)
        return known or await _compare(house, evaluation_id, runner or run_child)


async def _compare(house: House, evaluation_id: UUID, runner: Runner) -> Evaluation:
    folder = private_folder(forecast_folder(house.settings.directory))

    def export() -> service.Exports:
        with house.database.read() as session:
            return service.write_exports(session, house.clock, house.settings.exports)

    exports = await asyncio.to_thread(export)
    answer, log, model = folder / ANSWER_FILE, folder / LOG_FILE, folder / MODEL_FILE
    answer.unlink(missing_ok=True)
    arguments = ["--export", str(exports.full), "--out", str(answer)]
    if model.is_file():
        arguments += ["--model", str(model)]
    status = await runner(arguments, log)
    if status != 0:
        raise rules.EvaluationFailed(problem=_last_line(log) or f"exit status {status}")
    result = _read(answer)
    return await house.database.run(
        lambda session: service.record_evaluation(
            session, house.clock, evaluation_id=evaluation_id, result=result
        )
    )


async def run_child(arguments: Sequence[str], log: Path) -> int:
    """The real Runner: a child without our secrets, ended with us or after TIMEOUT_SECONDS."""
    argv = tied_to_parent([sys.executable, "-m", "federation.evaluate", *arguments])
    environment = bare_environment(log.parent, OMP_NUM_THREADS="1")
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        try:
            return await asyncio.wait_for(child.wait(), TIMEOUT_SECONDS)
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
