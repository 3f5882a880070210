"""The same federation under PyPI's pfl, in an environment of its own: run by bench.forecast.

Reads one .npz (each community's batches, the first weights, the recipe's constants), then one line
`go` on standard input per round, and answers each with a line of JSON: the seconds of the round.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNTrainHyperParams
from pfl.metrics import Weighted
from pfl.model.pytorch import PyTorchModel

torch.set_num_threads(1)


class Squareplus(torch.nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return 0.5 * (values + (values * values + 1).sqrt())


class Forecaster(torch.nn.Module):
    """As federation.model, with the loss inside, as pfl wants it."""

    def __init__(self, weights: Sequence[NDArray[Any]], constants: Sequence[float]) -> None:
        super().__init__()
        features, hidden, days = (weights[index].shape for index in (0, 2, 4))
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(features[1], features[0]),
            Squareplus(),
            torch.nn.Linear(hidden[1], hidden[0]),
            Squareplus(),
            torch.nn.Linear(days[1], days[0]),
        )
        for parameter, value in zip(self.parameters(), weights, strict=True):
            parameter.data.copy_(torch.from_numpy(value))
        self.constants = constants

    def loss(
        self,
        features: torch.Tensor,
        level: torch.Tensor,
        targets: torch.Tensor,
        is_eval: bool = False,
    ) -> torch.Tensor:
        log_max, spread, miss_max = self.constants
        change: torch.Tensor = self.layers(features)
        bound = change / (1 + (change / log_max) ** 2).sqrt()
        mean = level[:, None] * bound.exp()
        miss, known = (targets - mean).detach(), mean.detach()
        variance = known + spread * known * known
        reach = miss_max * variance.sqrt()
        miss = miss.clamp(-reach, reach)
        return -(miss / variance * mean).mean()  # its gradient is the robust quasi-score

    @torch.no_grad()
    def metrics(
        self, features: torch.Tensor, level: torch.Tensor, targets: torch.Tensor
    ) -> dict[str, Weighted]:
        return {
            "loss": Weighted(float(self.loss(features, level, targets)) * len(level), len(level))
        }


def say(answer: Mapping[str, Any]) -> None:
    """pfl prints lines of its own in between; ours begin with =."""
    sys.stdout.write("=" + json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    with np.load(sys.argv[1]) as stored:
        features, level, targets = (stored[name] for name in ("features", "level", "targets"))
        weights = [stored[f"arr_{index}"] for index in range(6)]
        constants, batch = tuple(map(float, stored["constants"])), int(stored["batch"])
        rate, floor = float(stored["learning_rate"]), float(stored["step_floor"])
    users = [str(index) for index in range(len(features))]

    def make(user: str) -> Dataset:
        place = int(user)
        tensors = [torch.from_numpy(array[place]) for array in (features, level, targets)]
        return Dataset(raw_data=tensors, user_id=user)

    made = {user: make(user) for user in users}
    data = FederatedDataset(made.__getitem__, get_user_sampler("minimize_reuse", users))
    network = Forecaster(weights, constants)
    model = PyTorchModel(
        model=network,
        local_optimizer_create=lambda parameters, lr: torch.optim.Adam(
            parameters, lr=lr, eps=floor
        ),
        central_optimizer=torch.optim.SGD(network.parameters(), 1.0),
    )
    backend = SimulatedBackend(training_data=data, val_data=None)
    training = NNTrainHyperParams(
        local_batch_size=batch, local_num_epochs=1, local_learning_rate=rate
    )
    say({"ready": True})
    for _ in sys.stdin:
        started, cpu = time.perf_counter(), time.process_time()
        params = NNAlgorithmParams(
            central_num_iterations=1,
            evaluation_frequency=1_000_000,
            train_cohort_size=len(users),
            val_cohort_size=None,
        )
        FederatedAveraging().run(
            params, backend, model, training, model_eval_params=None, callbacks=[],
            send_metrics_to_platform=False,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        found = [parameter.detach().numpy().reshape(-1) for parameter in network.parameters()]
        spent = {"seconds": seconds, "cpu_seconds": time.process_time() - cpu}
        say({**spent, "weights": np.concatenate(found).tolist()})


if __name__ == "__main__":
    main()
