"""Whole runs with a secure sum, through the real Flower apps: what the office learns, and what not.

The office's side is handed every message by the grid, so a look at what the grid handed over is a
look at everything that its process ever holds.
"""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import Context
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from federation import server_app
from federation import weights as weights_of
from federation.data import History, load_export
from federation.errors import RoundTooSmall
from federation.loop import federate
from federation.plain_rounds import as_record
from federation.recipe import Recipe
from federation.secagg import fixed_point
from federation.secagg.adverts import Identity
from federation.secagg.refusals import SumImplausible
from federation.train import train_round
from federation.updates import flat, norm_bound
from federation.weights import Weights
from tests.federation.conftest import WriteExport
from tests.federation.identities import write_identities
from tests.federation.local_grid import RUN_CONFIG, LocalGrid, make_context

RECIPE = Recipe(rounds=2, local_steps=4, learning_rate=3e-3, seed=3)
CLOSE = 1e-6  # quantisation is 1.2e-7 a round, and the next round starts from it
NODES = 5


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is running, as Flower's own processes set it before they call an app."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 77)


@pytest.fixture
def make_contexts(write_export: WriteExport, tmp_path: Path) -> Any:
    def make(nodes: int = NODES, **changes: Any) -> list[Context]:
        identities = write_identities(tmp_path / "identities", [f"c{n}" for n in range(nodes)])
        return [
            make_context(
                {
                    "export": str(write_export(f"{n}.csv", days=70 + 5 * n, seed=n)),
                    "left": str(tmp_path / f"left-{n}.jsonl"),
                    "identity": str(identities[n]),
                    "vault": str(tmp_path / f"vault-{n}"),
                },
                **{"out-dir": str(tmp_path / "runs"), "local-steps": 4, **changes},
            )
            for n in range(nodes)
        ]

    return make


def histories(contexts: list[Context]) -> list[History]:
    return [load_export(Path(str(each.node_config["export"]))) for each in contexts]


def run(grid: LocalGrid) -> tuple[dict[str, Any], Weights]:
    context = grid.contexts[0]
    server_app.main(cast(Grid, grid), context)
    folder = Path(str(context.run_config["out-dir"])) / "run-77"
    return json.loads((folder / "card.json").read_text()), weights_of.load(folder / "model.npz")


def assert_close(found: Weights, expected: Weights) -> None:
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=CLOSE)


def test_the_sum_gives_the_weights_of_the_plain_loop(make_contexts: Any, tmp_path: Path) -> None:
    contexts = make_contexts()
    grid = LocalGrid(contexts)
    card, found = run(grid)
    expected = federate(histories(contexts), recipe=RECIPE)
    assert_close(found, expected.weights)
    np.testing.assert_allclose(card["train_loss"], expected.train_loss, rtol=1e-3)
    assert card["results_per_round"] == [NODES, NODES]
    assert card["protection"] == {
        "aggregation": "mean",
        "secure_aggregation": True,
        "members": NODES,
        "quorum": 4,
        "update_norm_max_per_round": [
            norm_bound(RECIPE, round_number=number, factor=5.0) for number in (1, 2)
        ],
        "clipped_per_round": [0, 0],
    }
    assert card["privacy"]["epsilon"] is None, "no epsilon that no accountant computed"
    for n in range(NODES):
        kept = sorted(path.name for path in (tmp_path / f"vault-{n}").iterdir())
        assert kept == ["lock", "sums"], "a finished run leaves no secrets"
        lines = [json.loads(line) for line in (tmp_path / f"left-{n}.jsonl").open()]
        assert [line["kind"] for line in lines].count("model_update") == 2


def test_no_message_to_the_office_holds_an_update(make_contexts: Any) -> None:
    contexts = make_contexts()
    grid = LocalGrid(contexts)
    run(grid)
    start = weights_of.initial_weights(seed=3)
    changes = [
        flat(train_round(start, each, recipe=RECIPE, round_number=1).weights) - flat(start)
        for each in histories(contexts)
    ]
    rows = [row for message in grid.received for row in numbers_in(message.content)]
    assert len(rows) == 2 * NODES, "one array per node and round, and nothing else"
    for row in rows:
        body = row[: -fixed_point.COUNTERS].view(np.int64)
        for change in changes:
            agreement = np.corrcoef(body.astype(np.float64), change)[0, 1]
            assert abs(agreement) < 0.05, "ten thousand random numbers agree to 0.01"
        for bit in range(64):  # every bit of a masked word is a fair coin
            share = float(((row >> np.uint64(bit)) & np.uint64(1)).mean())
            assert 0.45 < share < 0.55
    secret_kinds = {message.metadata.message_type for message in grid.received}
    assert secret_kinds == {"train.advertise", "train.share", "train.mask", "train.unmask"}
    for message in grid.received:
        assert not message.content.metric_records, "no loss and no count of examples in the clear"


def numbers_in(content: Any) -> list[NDArray[np.uint64]]:
    return [array.numpy() for record in content.array_records.values() for array in record.values()]


@pytest.mark.parametrize("kind", ["train.advertise", "train.share", "train.mask", "train.unmask"])
@pytest.mark.parametrize("moment", ["loses_before", "loses_after"])
def test_a_node_lost_at_any_stage_is_left_out_and_the_next_round_is_right(
    make_contexts: Any, kind: str, moment: str
) -> None:
    """Lost in round 1 for good: its update counts only where it came through in time."""
    contexts = make_contexts(6)
    gone: set[int] = set()

    def loses(node: int, asked: str, _round: int) -> bool:
        if node == 2 and asked == kind:
            gone.add(node)
        return node in gone

    grid = LocalGrid(contexts, **{moment: loses})
    card, found = run(grid)
    all_of_them = histories(contexts)
    others = [each for n, each in enumerate(all_of_them) if n != 2]
    first = all_of_them if kind == "train.unmask" else others
    assert card["results_per_round"] == [len(first), 5]
    assert_close(found, stepwise([first, others]))


def stepwise(rounds: list[list[History]]) -> Weights:
    """The plain loop, with other communities in each round."""
    weights = weights_of.initial_weights(seed=3)
    for number, present in enumerate(rounds, start=1):
        updates = [
            train_round(weights, each, recipe=RECIPE, round_number=number) for each in present
        ]
        weights = weights_of.average([(one.weights, one.examples) for one in updates])
    return weights


def test_a_node_that_comes_back_takes_part_again(make_contexts: Any) -> None:
    contexts = make_contexts()
    grid = LocalGrid(contexts, loses_after=lambda node, _, number: (node, number) == (1, 1))
    card, found = run(grid)
    assert card["results_per_round"] == [4, 5]
    everybody = histories(contexts)
    assert_close(found, stepwise([everybody[:1] + everybody[2:], everybody]))


def test_too_many_lost_end_the_run(make_contexts: Any, tmp_path: Path) -> None:
    grid = LocalGrid(
        make_contexts(**{"round-timeout-seconds": 1}),
        loses_before=lambda node, kind, _: node < 2 and kind == "train.mask",
    )
    with pytest.raises(RoundTooSmall, match="3 results; at least 4"):
        run(grid)
    assert [path.name for path in (tmp_path / "runs" / "run-77").iterdir()] == ["failure.json"]


def test_with_three_nodes_there_is_no_sum_to_hide_in(make_contexts: Any) -> None:
    card, _ = run(LocalGrid(make_contexts(3)))
    assert card["protection"]["secure_aggregation"] is False
    assert card["protection"]["aggregation"] == "mean"


@pytest.mark.parametrize("protection", ["mean", "median"])
def test_a_node_of_four_gives_no_plain_update_unless_told(
    make_contexts: Any, protection: str
) -> None:
    contexts = make_contexts(4, protection=protection)
    with pytest.raises(RoundTooSmall, match="only to a secure sum"):
        run(LocalGrid(contexts))
    for each in contexts:
        each.node_config["plain-updates"] = True
    card, _ = run(LocalGrid(contexts))
    assert card["protection"]["aggregation"] == protection


def test_an_office_that_shortens_its_directory_gets_no_plain_update(
    make_contexts: Any, tmp_path: Path
) -> None:
    contexts = make_contexts(4, **{"num-rounds": 1})
    run(LocalGrid(contexts))
    short = write_identities(tmp_path / "shorter", ["c0", "c1", "c2"])
    for each, path in zip(contexts, short, strict=False):
        each.node_config["identity"] = str(path)
    with pytest.raises(RoundTooSmall, match="only to a secure sum"):
        run(LocalGrid(contexts[:3]))


def test_keys_in_anothers_name_stop_nobody_where_the_office_knows_its_members(
    make_contexts: Any, tmp_path: Path
) -> None:
    """A fifth node says that it is c2; the office leaves it out, as every node would."""
    contexts = make_contexts(5, **{"num-rounds": 1})
    members = Identity.load(Path(contexts[0].node_config["identity"])).members
    keys = json.dumps({name: key.hex() for name, key in members.items()})
    impostor = write_identities(tmp_path / "impostor", ["c2"])
    contexts[0].node_config["identity"] = str(impostor[0])
    for each in contexts:
        each.run_config["members"] = keys
    card, _ = run(LocalGrid(contexts))
    assert card["results_per_round"] == [4]


def test_an_update_beyond_the_bound_is_shortened_by_its_own_node(make_contexts: Any) -> None:
    contexts = make_contexts(4, **{"update-norm-factor": 0.5, "num-rounds": 1})
    card, found = run(LocalGrid(contexts))
    assert card["protection"]["clipped_per_round"] == [4]
    (norm_max,) = card["protection"]["update_norm_max_per_round"]
    start = weights_of.initial_weights(seed=3)
    assert float(np.linalg.norm(flat(found) - flat(start))) <= norm_max * (1 + 1e-6)


def test_a_sum_longer_than_honest_nodes_make_it_is_thrown_away(
    make_contexts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A community with another app multiplies its update: the office sees it in the sum."""
    contexts = make_contexts(4)
    bad = str(contexts[1].node_config["export"])
    from federation import client_app

    honest = client_app._contribution

    def boosted(start: Weights, update: Any, *, norm_max: float) -> fixed_point.Contribution:
        fair = honest(start, update, norm_max=norm_max)
        is_bad = update.examples == len_of(bad)
        values = fair.values * (60.0 / np.abs(fair.values).max()) if is_bad else fair.values
        return fixed_point.Contribution(values, fair.examples, fair.loss, fair.is_clipped)

    monkeypatch.setattr(client_app, "_contribution", boosted)
    with pytest.raises(SumImplausible, match="beyond the bound"):
        run(LocalGrid(contexts))


def len_of(export: str) -> int:
    history = load_export(Path(export))
    start = weights_of.initial_weights(seed=3)
    return train_round(start, history, recipe=RECIPE, round_number=1).examples


def test_other_models_for_other_nodes_make_noise(make_contexts: Any) -> None:
    """An office that shows one node another model, to see its update alone, sees nothing."""

    class TwoFaced(LocalGrid):
        def push_messages(self, messages: Any) -> list[str]:
            asked = list(messages)
            for message in asked:
                kind, node = message.metadata.message_type, message.metadata.dst_node_id
                if (kind, node) == ("train.mask", 0):
                    message.content["arrays"] = as_record(weights_of.initial_weights(seed=4))
            return super().push_messages(asked)

    with pytest.raises(SumImplausible):
        run(TwoFaced(make_contexts()))


def test_the_run_config_has_what_the_apps_need() -> None:
    import tomllib

    path = Path(server_app.__file__).with_name("flower_app.toml")
    declared = tomllib.loads(path.read_text())["tool"]["flwr"]["app"]["config"]
    assert set(declared) == {*RUN_CONFIG, "out-dir"}
