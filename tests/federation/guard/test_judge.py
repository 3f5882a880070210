"""What the guard runs, what it lets out, and what it writes down, with and without a sandbox."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from federation import weights as weights_of
from federation.data import load_export
from federation.errors import ForecastError
from federation.guard.bundles import Bundles
from federation.guard.config import GuardConfig
from federation.guard.judge import AppFailed, BundleNotApproved, FileMissing, Judge
from federation.guard.replies import QuestionUnknown, ReplyRefused
from federation.guard.sandbox import sandbox_problem
from federation.plan import recipe_in
from federation.train import train_round
from tests.federation.conftest import WriteExport
from tests.federation.guard.apps import REAL, make_task, real_bundle, small_bundle
from tests.federation.identities import write_identities
from tests.federation.local_grid import RUN_CONFIG


@pytest.fixture
def config(tmp_path: Path, write_export: WriteExport) -> GuardConfig:
    """A node of a district of three, with a sandbox where there can be one."""
    identity = write_identities(tmp_path / "identities", ["here", "there", "yonder"])[0]
    return GuardConfig(
        runtime="127.0.0.1:1",
        secret=tmp_path / "secret",
        files={"export": write_export(days=120), "identity": identity},
        values={"plain-updates": False},
        vault=tmp_path / "vault",
        left=tmp_path / "left.jsonl",
        bundles=tmp_path / "bundles",
        approve_own_bundle=True,
        sandbox=sandbox_problem() is None,
    )


def judge_of(config: GuardConfig, *approved: bytes, own: str | None = None) -> Judge:
    """A judge whose operator has approved these bundles."""
    judge = Judge(config, Bundles(config.bundles, own))
    judge.prepare()
    hashes = [judge.bundles.note_asked(one, run_id="1") for one in approved]
    decisions = {one: {"decision": "approved", "at": ""} for one in hashes}
    (config.bundles / "decisions.json").write_text(json.dumps(decisions))
    return judge


def answer(judge: Judge, task: Any) -> RecordDict:
    try:
        return judge.answer(task, is_gone=lambda: False)
    finally:
        judge.close()


def training_question(round_number: int = 1) -> RecordDict:
    arrays = {name: Array(each) for name, each in weights_of.initial_weights(3).items()}
    config = ConfigRecord({"server-round": round_number})
    return RecordDict({"arrays": ArrayRecord(arrays), "config": config})


def left_of(config: GuardConfig) -> list[dict[str, Any]]:
    if not config.left.exists():
        return []
    return [json.loads(line) for line in config.left.read_text().splitlines()]


def test_the_approved_app_trains_as_the_plain_loop_does(
    config: GuardConfig, tmp_path: Path
) -> None:
    bundle = real_bundle(tmp_path / "app")
    judge = judge_of(config, bundle)
    task = make_task(bundle, content=training_question(), app=REAL)
    content = answer(judge, task)
    expected = train_round(
        weights_of.initial_weights(3),
        load_export(config.files["export"]),
        recipe=recipe_in(RUN_CONFIG),
        round_number=1,
    )
    arrays = {name: array.numpy() for name, array in content.array_records["arrays"].items()}
    for name, array in weights_of.checked(arrays).items():
        np.testing.assert_array_equal(array, expected.weights[name])
    assert content.metric_records["metrics"]["num-examples"] == expected.examples
    (line,) = left_of(config)
    assert (line["kind"], line["run_id"]) == ("model_update", "77")
    assert line["bytes"] > weights_of.size_bytes(expected.weights)


MARKING = """
Path(context.run_config["mark"]).write_text("imported and run")
return answer(message, "done")
"""


def test_a_bundle_with_one_byte_changed_is_not_even_imported(
    config: GuardConfig, tmp_path: Path
) -> None:
    """The approved one writes a mark, without a sandbox; the changed one does not."""
    mark, bundle = tmp_path / "mark", small_bundle(MARKING)
    changed = bytearray(bundle)
    changed[-1] ^= 1
    judge = judge_of(replace(config, sandbox=False), bundle)
    settings = {**RUN_CONFIG, "mark": str(mark)}
    with pytest.raises(BundleNotApproved):
        answer(judge, make_task(bytes(changed), run_config=settings))
    assert judge._waiting is None  # no child was even started
    assert not mark.exists()
    with pytest.raises(ReplyRefused):  # it ran: its answer is no update
        answer(judge, make_task(bundle, run_config=settings))
    assert mark.read_text() == "imported and run"
    assert not list((tmp_path / "scratch").iterdir())  # nor is a copy of the export left
    assert not left_of(config)
    asked = sorted(path.stem for path in config.bundles.glob("*.fab"))
    assert len(asked) == 2  # the changed one can be read before it is approved


@pytest.mark.parametrize("decisions", ["{", "[]", '{"%s": "approved"}', '{"%s": {}}'])
def test_a_list_of_approvals_that_cannot_be_read_approves_nothing(
    config: GuardConfig, decisions: str
) -> None:
    bundle = small_bundle("return answer(message, 1)")
    judge = judge_of(config)
    sha256 = judge.bundles.note_asked(bundle, run_id="1")
    (config.bundles / "decisions.json").write_text(decisions.replace("%s", sha256))
    with pytest.raises(BundleNotApproved, match=sha256):
        answer(judge, make_task(bundle))


def test_the_own_bundle_is_approved_unless_the_operator_says_otherwise(
    config: GuardConfig,
) -> None:
    own = judge_of(config).bundles.note_asked(small_bundle("return 1"), run_id="1")
    assert Bundles(config.bundles, own).is_approved(own)
    assert not Bundles(config.bundles, None).is_approved(own)
    refused = {own: {"decision": "refused", "at": ""}}
    (config.bundles / "decisions.json").write_text(json.dumps(refused))
    assert not Bundles(config.bundles, own).is_approved(own)


SENDS_EXPORT = """
import numpy as np
from flwr.app import Array
lines = Path(context.node_config["export"]).read_text().splitlines()[1:]
counts = np.array([float(line.split(",")[2]) for line in lines], dtype=np.float32)
arrays, at = {{}}, 0
for name, array in message.content["arrays"].items():
    start = array.numpy()
    arrays[name] = Array({weights})
metrics = MetricRecord({{"num-examples": 100, "train-loss": 0.5}})
return Message(RecordDict({{"arrays": ArrayRecord(arrays), "metrics": metrics{more}}}),
               reply_to=message)
"""


@pytest.mark.parametrize(
    ("weights", "more", "reason"),
    [
        ("np.resize(counts, start.shape)", "", "moves the model by"),
        ("counts", "", "float32 of shape"),
        ("np.resize(counts, start.shape).astype(np.float64)", "", "float32 of shape"),
        ("start", ', "export": ConfigRecord({"counts": list(map(int, counts))})', "other records"),
        ("start * np.nan", "", "not finite"),
    ],
)
def test_the_export_does_not_leave_as_weights(
    config: GuardConfig, weights: str, more: str, reason: str
) -> None:
    bundle = small_bundle(SENDS_EXPORT.format(weights=weights, more=more))
    judge = judge_of(config, bundle)
    with pytest.raises(ForecastError, match=reason):
        answer(judge, make_task(bundle, content=training_question()))
    assert not left_of(config)


def test_what_a_failing_app_says_stays_in_the_house(
    config: GuardConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    """An error's text could be the export; the office learns that there was one."""
    body = 'raise ValueError(Path(context.node_config["export"]).read_text()[:200])'
    bundle = small_bundle(body)
    judge = judge_of(config, bundle)
    with pytest.raises(AppFailed) as failure:
        answer(judge, make_task(bundle))
    words = str(failure.value)
    assert "date,category" not in words
    assert "an error" in words
    assert "date,category" in capfd.readouterr().err  # the node's own log
    coded = small_bundle("class Coded(Exception):\n    code = 'monday 7, tuesday 3'\nraise Coded()")
    with pytest.raises(AppFailed) as failure:
        answer(judge_of(config, coded), make_task(coded))
    assert "monday" not in str(failure.value)
    judge.note_refusal(make_task(bundle), words)
    (line,) = left_of(config)
    assert (line["kind"], line["bytes"]) == ("training_refusal", len(words))


def test_only_questions_that_the_guard_can_judge_are_answered(config: GuardConfig) -> None:
    bundle = small_bundle("return answer(message, 1)")
    judge = judge_of(config, bundle)
    for kind in ("evaluate", "query", "train.other"):
        with pytest.raises(QuestionUnknown):
            answer(judge, make_task(bundle, kind=kind))


def test_without_an_export_nothing_is_started(config: GuardConfig) -> None:
    bundle = small_bundle("return answer(message, 1)")
    judge = judge_of(config, bundle)
    config.files["export"].unlink()
    with pytest.raises(FileMissing, match="no export"):
        answer(judge, make_task(bundle))


def test_a_run_finds_its_state_again_and_no_other_runs(config: GuardConfig, tmp_path: Path) -> None:
    """The real app's first two steps: keys are offered once a run, and then known."""
    bundle = real_bundle(tmp_path / "app")
    judge = judge_of(config, bundle)
    rounds = RecordDict({"config": ConfigRecord({"rounds": 2})})
    for run_id in (77, 78):
        content = answer(
            judge,
            make_task(bundle, kind="train.advertise", content=rounds, run_id=run_id, app=REAL),
        )
        assert set(content.config_records["config"]) == {"payload", "signature"}
    kept = {path.name: path.read_bytes() for path in config.vault.glob("*.kept")}
    assert sorted(kept) == ["77.kept", "78.kept"]
    assert kept["77.kept"] != kept["78.kept"]
    with pytest.raises(AppFailed, match=r"secagg\.round_repeated"):
        answer(judge, make_task(bundle, kind="train.advertise", content=rounds, app=REAL))
    # A secure sum was begun: a plain update is refused from now on, also in another run.
    with pytest.raises(AppFailed, match=r"secagg\.plain_update_refused"):
        answer(judge, make_task(bundle, content=training_question(), run_id=79, app=REAL))
    assert [line["kind"] for line in left_of(config)] == ["training_keys"] * 2
