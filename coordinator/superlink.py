"""Flower at the district's office: its SuperLink kept running, its runs submitted and judged.

Flower is used as the programs it ships (`flower-superlink`, `flwr`): this process never imports it.
Whoever reaches the port with the CA certificate can submit runs, so only the nodes' part
of it may ever be shown to the outside (see docs/operations.md).
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coordinator.bundle import build_bundle
from node.kernel.errors import DomainError
from node.kernel.process import (
    OnExit,
    SupervisedProcess,
    bare_environment,
    installed_program,
    tied_to_parent,
)

RESTART_DELAY_SECONDS = 2.0
START_TIMEOUT_SECONDS = 60.0
CLI_TIMEOUT_SECONDS = 60.0
FILE_POLL_SECONDS = 0.5  # a look into a folder costs nothing ...
STATUS_POLL_SECONDS = 10.0  # ... asking Flower's command line costs a second of processor time
REASON_CHARACTERS_MAX = 400
CONNECTION = "district"
RESTARTED = "the training service was restarted."
RESULT_FILES_BYTES_MAX = 1024 * 1024


class SuperLinkDown(DomainError):
    code = "training.superlink_down"
    message = "The training service did not answer: {reason}"
    retryable = True


class TrainingFailed(DomainError):
    code = "training.failed"
    message = "Training run {run} failed: {reason}"
    retryable = True


class TrainingTooSlow(DomainError):
    code = "training.too_slow"
    message = "Training run {run} was not done within {seconds} s and was stopped."
    retryable = True


class RegistrationRefused(DomainError):
    code = "training.registration_refused"
    message = "The node's training key was not accepted: {reason}"


@dataclass(frozen=True)
class SuperLinkPlace:
    """Where the SuperLink keeps its things, and the identity it shows."""

    directory: Path  # its own: database, log, app bundle, results
    host: str
    port: int
    root_certificate: Path
    certificate: Path  # for `host`, signed by the root
    private_key: Path


@dataclass(frozen=True)
class TrainingPlan:
    """One run: how long, with whom, and how patient.

    Few long rounds, for starting the programs of one costs ten seconds; as many steps as in a
    study's 100 short ones, with the same error (docs/benchmarks.md, "Forecast").
    """

    rounds: int = 20
    min_nodes: int = 3
    local_steps: int = 100
    learning_rate: float = 6e-3
    seed: int = 0
    protection: str = "auto"  # sums only from four communities on; see federation/plan.py
    count_epsilon: float = 0.0  # noise that every node's counts must have; 0: not asked for
    update_noise_multiplier: float = (
        0.0  # of the norm bound, on each sum; see federation/privacy.py
    )
    update_norm_factor: float = 5.0  # bounds one community's change; see federation/updates.py
    members: Mapping[str, bytes] = field(default_factory=dict)  # Ed25519 public keys by community
    round_timeout_seconds: int = 180
    step_timeout_seconds: int = 60  # of a step that does not train
    grace_seconds: int = 20  # for stragglers, once enough have answered
    wait_timeout_seconds: int = 120

    @property
    def deadline_seconds(self) -> float:
        """More than the run may take by its own limits: past it something hangs."""
        each_seconds = (
            self.round_timeout_seconds + self.step_timeout_seconds + self.wait_timeout_seconds
        )
        agreeing_seconds = 2 * (self.step_timeout_seconds + self.wait_timeout_seconds)
        return self.rounds * each_seconds + agreeing_seconds + START_TIMEOUT_SECONDS


@dataclass(frozen=True)
class TrainingResult:
    """A run that succeeded: its card and where its model lies."""

    run_id: str
    model: Path
    card: Mapping[str, Any]


class SuperLink:
    """The office's training service. `register_supernode` and `run_training` work from any process
    that can reach the port; `start` and `stop` belong to the one that serves."""

    def __init__(self, place: SuperLinkPlace) -> None:
        self._place = place
        self._home = place.directory / "flwr"
        self._results = place.directory / "runs"
        self._process: SupervisedProcess | None = None

    @property
    def process(self) -> SupervisedProcess | None:
        """The running service, to watch; None before `start`."""
        return self._process

    async def start(self, on_exit: OnExit | None = None) -> None:
        """Start the service and return once it answers; it is restarted whenever it ends."""
        place = self._place
        self._prepare()
        self._process = SupervisedProcess(
            "superlink",
            self._argv(),
            self._environment(),
            place.directory / "superlink.log",
            restart_delay_seconds=RESTART_DELAY_SECONDS,
            on_exit=on_exit,
        )
        await self._process.start()
        try:
            await self._until_it_answers(starts_max=1)
        except SuperLinkDown:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the service and every process of its runs."""
        process, self._process = self._process, None
        if process is not None:
            await process.stop()

    async def register_supernode(self, public_key_path: Path) -> None:
        """Let the node with this OpenSSH public key take part; telling it twice is harmless."""
        await self._until_it_answers()
        key = str(public_key_path)
        try:
            await self._flwr("supernode", "register", key, CONNECTION, "--format", "json")
        except _CommandFailed as error:
            if "already in use" in error.reason:
                return
            raise RegistrationRefused(reason=error.reason) from error

    async def run_training(self, plan: TrainingPlan) -> TrainingResult:
        """Submit one run, wait for its end, and return its model; every other end is an error."""
        await self._until_it_answers()
        self._prepare()
        bundle = await build_bundle(self._place.directory)
        config_path = self._place.directory / "run.toml"
        config_path.write_text(self._run_config(plan), encoding="utf-8")
        try:
            answer = await self._flwr(
                "run", str(bundle.folder), CONNECTION, "-c", str(config_path), "--format", "json"
            )
        except _CommandFailed as error:
            raise SuperLinkDown(reason=error.reason) from error
        run_id = str(answer["run-id"])
        ended = False
        try:
            result = await self._wait_for(run_id, plan)
            ended = True
            return replace(result, card={**result.card, "bundle_sha256": bundle.sha256})
        except TrainingFailed:
            ended = True
            raise
        finally:
            if not ended:  # too slow or cancelled: the nodes must not go on for nobody
                await self._stop_run(run_id)

    async def _until_it_answers(self, *, starts_max: int | None = None) -> None:
        """Wait, within a limit, for a service that starts or is just being started again."""
        place = self._place
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not await _is_listening(place.host, place.port):
            too_often = starts_max is not None and self._process_starts > starts_max
            if too_often or time.monotonic() > deadline:
                raise SuperLinkDown(reason=_last_line(place.directory / "superlink.log"))
            await asyncio.sleep(FILE_POLL_SECONDS)

    @property
    def _process_starts(self) -> int:
        return self._process.starts if self._process else 0

    async def _wait_for(self, run_id: str, plan: TrainingPlan) -> TrainingResult:
        folder = self._results / f"run-{run_id}"
        starts = self._process_starts
        deadline = time.monotonic() + plan.deadline_seconds
        next_status = time.monotonic() + STATUS_POLL_SECONDS
        while time.monotonic() < deadline:
            await asyncio.sleep(FILE_POLL_SECONDS)
            if (outcome := _outcome(folder, run_id)) is not None:
                return outcome
            if self._process_starts != starts:
                raise TrainingFailed(run=run_id, reason=RESTARTED)
            if time.monotonic() < next_status:
                continue
            if (end := await self._end_of(run_id)) is not None:
                if (outcome := _outcome(folder, run_id)) is not None:
                    return outcome
                is_restarted = (
                    self._process_starts != starts
                )  # while Flower's answer was on its way
                raise TrainingFailed(run=run_id, reason=RESTARTED if is_restarted else end)
            next_status = time.monotonic() + STATUS_POLL_SECONDS
        raise TrainingTooSlow(run=run_id, seconds=int(plan.deadline_seconds))

    async def _end_of(self, run_id: str) -> str | None:
        """How the run ended in Flower's own words; None while it goes on or nobody answers."""
        try:
            answer = await self._flwr("list", "--run-id", run_id, CONNECTION, "--format", "json")
        except _CommandFailed:
            return None  # the service may be restarting; the deadline still holds
        run = answer["runs"][0]
        if not run["status"].startswith("finished"):
            return None
        details = run.get("status-details") or _last_line(self._place.directory / "superlink.log")
        return f"{run['status']}: {details}"[:REASON_CHARACTERS_MAX]

    async def _stop_run(self, run_id: str) -> None:
        with contextlib.suppress(_CommandFailed):
            await self._flwr("stop", run_id, CONNECTION, "--format", "json")

    async def _flwr(self, *arguments: str) -> dict[str, Any]:
        """Run Flower's command line and return the JSON object it prints."""
        process = await asyncio.create_subprocess_exec(
            *tied_to_parent([installed_program("flwr"), *arguments]),
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(CLI_TIMEOUT_SECONDS):
                output, errors = await process.communicate()
        except TimeoutError as error:
            raise _CommandFailed(f"no answer in {CLI_TIMEOUT_SECONDS:.0f} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        answer = _last_json(output.decode(errors="replace"))
        if process.returncode != 0 or not answer.get("success"):
            said = str(answer.get("error-message") or errors.decode(errors="replace"))
            raise _CommandFailed(_last_words(said))
        return answer

    def _prepare(self) -> None:
        """Flower's own home, so that no setting of the machine's user counts."""
        self._home.mkdir(parents=True, exist_ok=True)
        self._results.mkdir(parents=True, exist_ok=True)
        address = f"{self._place.host}:{self._place.port}"
        lines = [
            "[superlink]",
            f"default = {_quoted(CONNECTION)}",
            f"[superlink.{CONNECTION}]",
            f"address = {_quoted(address)}",
            f"root-certificates = {_quoted(str(self._place.root_certificate.resolve()))}",
        ]
        (self._home / "config.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _run_config(self, plan: TrainingPlan) -> str:
        values: dict[str, int | float | str] = {
            "num-rounds": plan.rounds,
            "min-nodes": plan.min_nodes,
            "local-steps": plan.local_steps,
            "learning-rate": float(plan.learning_rate),
            "seed": plan.seed,
            "protection": plan.protection,
            "members": json.dumps({name: key.hex() for name, key in plan.members.items()}),
            "update-norm-factor": float(plan.update_norm_factor),
            "count-epsilon": float(plan.count_epsilon),
            "update-noise-multiplier": float(plan.update_noise_multiplier),
            "round-timeout-seconds": plan.round_timeout_seconds,
            "step-timeout-seconds": plan.step_timeout_seconds,
            "grace-seconds": plan.grace_seconds,
            "wait-timeout-seconds": plan.wait_timeout_seconds,
            "out-dir": str(self._results.resolve()),
        }
        return "".join(f"{name} = {_quoted(value)}\n" for name, value in values.items())

    def _argv(self) -> list[str]:
        place = self._place
        return [
            installed_program("flower-superlink"),
            *("--host", place.host, "--port", str(place.port)),
            *("--ssl-ca-certfile", str(place.root_certificate)),
            *("--ssl-certfile", str(place.certificate), "--ssl-keyfile", str(place.private_key)),
            "--enable-supernode-auth",
            *("--database", str(place.directory / "superlink.db")),
            "--disable-runtime-dependency-installation",
        ]

    def _environment(self) -> dict[str, str]:
        return bare_environment(
            self._place.directory,
            FLWR_HOME=str(self._home),
            FLWR_TELEMETRY_ENABLED="0",
            FLWR_DISABLE_UPDATE_CHECK="1",
            FLWR_SUPEREXEC_TASK_POLL_INTERVAL="0.2",
            OMP_NUM_THREADS="1",
        )


class _CommandFailed(Exception):
    """Flower's command line said no, or nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _outcome(folder: Path, run_id: str) -> TrainingResult | None:
    """What the run left behind: its card, its reason to fail, or nothing yet."""
    if (card := _read_json(folder / "card.json")) is not None:
        return TrainingResult(run_id=run_id, model=folder / "model.npz", card=card)
    if (failure := _read_json(folder / "failure.json")) is not None:
        raise TrainingFailed(run=run_id, reason=f"{failure['message']} ({failure['code']})")
    return None


def _quoted(value: float | str) -> str:
    return json.dumps(value, ensure_ascii=False)  # TOML knows no surrogate pairs


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists() or path.stat().st_size > RESULT_FILES_BYTES_MAX:
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _last_json(output: str) -> dict[str, Any]:
    """The JSON object in the output; Flower prints notes for people around it."""
    for start, letter in enumerate(output):
        if letter == "{":
            with contextlib.suppress(json.JSONDecodeError):
                content, _ = json.JSONDecoder().raw_decode(output[start:])
                if isinstance(content, dict):
                    return content
    return {}


def _last_words(said: str) -> str:
    """What a command said at the end, after its notes and warnings."""
    return (said.strip().splitlines() or ["it said nothing."])[-1][:REASON_CHARACTERS_MAX]


def _last_line(log: Path) -> str:
    """The line of a log that most likely says what went wrong."""
    if not log.exists():
        return "it wrote no log."
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines[-200:] if "ERROR" in line or "Error" in line]
    return (errors or lines or ["its log is empty."])[-1][:REASON_CHARACTERS_MAX]


async def _is_listening(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
