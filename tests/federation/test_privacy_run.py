"""What a run promises about privacy, kept by the real apps: refusals, cards, noise on the sum."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("dp_accounting", reason="the training extra is not installed")
from flwr.app import Context
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from federation import server_app
from federation import weights as weights_of
from federation.errors import RoundTooSmall
from federation.updates import NUMBERS, flat
from tests.federation.conftest import WriteExport
from tests.federation.identities import write_identities
from tests.federation.local_grid import LocalGrid, make_context

NODES = 4


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is running, as Flower's own processes set it before they call an app."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 77)


@pytest.fixture
def make_contexts(write_export: WriteExport, tmp_path: Path) -> Any:
    """Nodes whose counts carry noise of the given epsilons (0: none), in one run."""

    def make(epsilons: tuple[str, ...], **changes: Any) -> list[Context]:
        names = [f"c{n}" for n in range(len(epsilons))]
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        identities = write_identities(folder / "identities", names)
        contexts = []
        for n, epsilon in enumerate(epsilons):
            export = write_export(f"{n}.csv", days=70, seed=n)
            if epsilon != "0":
                facts = json.dumps({"epsilon": epsilon, "weekly_limit": 3})
                comment = f"# two-sided geometric noise {facts}\n"
                export.write_text(comment + export.read_text(), encoding="utf-8")
            files = {
                "export": str(export),
                "left": str(folder / f"left-{n}.jsonl"),
                "identity": str(identities[n]),
                "vault": str(folder / f"vault-{n}"),
            }
            settings = {"out-dir": str(folder / "runs"), "local-steps": 4, "num-rounds": 1}
            contexts.append(make_context(files, **(settings | changes)))
        return contexts

    return make


def run(contexts: list[Context]) -> tuple[dict[str, Any], weights_of.Weights]:
    server_app.main(cast(Grid, LocalGrid(contexts)), contexts[0])
    folder = Path(str(contexts[0].run_config["out-dir"])) / "run-77"
    return json.loads((folder / "card.json").read_text()), weights_of.load(folder / "model.npz")


def test_the_card_promises_what_every_node_has_checked(make_contexts: Any) -> None:
    card, _ = run(make_contexts(("1", "1/2", "1", "3/4"), **{"count-epsilon": 1.0}))
    promise = card["privacy"]
    assert promise["epsilon"] == pytest.approx(1, abs=1e-6)
    assert (promise["delta"], promise["unit"]) == (0, "one request")
    assert promise["week_epsilon"] is None
    assert card["results_per_round"] == [NODES]


@pytest.mark.parametrize("weak", ["2", "0"])
def test_a_node_with_less_noise_than_promised_does_not_train(make_contexts: Any, weak: str) -> None:
    contexts = make_contexts(("1", "1", "1", weak), **{"count-epsilon": 1.0, "min-nodes": 4})
    with pytest.raises(RoundTooSmall, match="promises epsilon 1"):
        run(contexts)


def test_noise_on_the_sum_is_as_strong_as_the_card_says(make_contexts: Any) -> None:
    """Against the same run without it: what the noise added, in its usual length."""
    _, plain = run(make_contexts(("0",) * NODES))
    multiplier = 0.5
    card, noised = run(make_contexts(("0",) * NODES, **{"update-noise-multiplier": multiplier}))
    assert card["privacy"]["mechanism"] == "updates"
    assert card["privacy"]["delta"] == 1e-3
    norm_max = card["protection"]["update_norm_max_per_round"][0]
    quorum = card["protection"]["quorum"]
    usual = multiplier * norm_max * np.sqrt(NUMBERS / (quorum * NODES))
    added = np.linalg.norm(flat(noised) - flat(plain))
    assert added == pytest.approx(usual, rel=0.1)
    assert card["train_loss"] == [0.0]  # the exact loss stays at home


def test_noise_for_a_sum_is_not_sent_without_one(make_contexts: Any) -> None:
    contexts = make_contexts(("0",) * 3, **{"update-noise-multiplier": 1.0})
    with pytest.raises(RoundTooSmall, match="without a secure sum"):
        run(contexts)
