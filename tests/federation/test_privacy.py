"""Every epsilon comes from the accountant and is the one that theory gives."""

import math
from fractions import Fraction

import numpy as np
import pytest

from federation import privacy
from federation.errors import ForecastError
from federation.privacy import check_promise, for_counts, for_updates, right_guesses_percent

pytest.importorskip("dp_accounting", reason="the training extra is not installed")


@pytest.mark.parametrize(("epsilon", "limit"), [("1/2", 3), ("1", 3), ("2", 1), ("4", 5)])
def test_counts_cost_epsilon_a_request_and_it_adds_up_over_a_week(epsilon: str, limit: int) -> None:
    exact = Fraction(epsilon)
    found = for_counts(exact, weekly_limit=limit)
    assert found.epsilon == pytest.approx(float(exact), abs=1e-6)
    assert found.week_epsilon == pytest.approx(limit * float(exact), abs=1e-6)
    assert found.delta == 0
    assert found.epsilon >= float(exact) - 1e-9  # never below the truth
    assert "dp-accounting" in found.accountant


def test_noised_updates_cost_what_a_gaussian_costs() -> None:
    """Against the exact curve of a Gaussian (Balle and Wang 2018), composed over the rounds."""
    multiplier, rounds, communities = 8.0, 20, 50
    found = for_updates(noise_multiplier=multiplier, rounds=rounds, communities=communities)
    assert found.delta == 1e-3
    reach = math.sqrt(rounds) / multiplier

    def normal(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    def delta_of(epsilon: float) -> float:
        shift = epsilon / reach
        return normal(reach / 2 - shift) - math.exp(epsilon) * normal(-reach / 2 - shift)

    assert delta_of(found.epsilon) == pytest.approx(found.delta, rel=0.01)
    many = for_updates(noise_multiplier=multiplier, rounds=rounds, communities=1000)
    assert many.delta == 1e-4
    assert many.epsilon > found.epsilon


def test_the_words_carry_the_figures_in_both_languages() -> None:
    found = for_counts(Fraction(1), weekly_limit=3)
    for tongue in ("en", "zh"):
        text = " ".join(found.words[tongue])
        assert "1.00" in text
        assert "3.00" in text
        assert "74" in text  # right guesses in 100 at epsilon 1
        assert len(found.not_covered[tongue]) == 5


def test_guesses_run_from_a_coin_to_certainty() -> None:
    assert right_guesses_percent(0) == 50
    assert right_guesses_percent(1) == 74
    assert right_guesses_percent(20) == 100


@pytest.mark.parametrize(("own", "promised"), [(1.0, 1.0), (0.5, 1.0), (None, 0.0), (4.0, 0.0)])
def test_a_node_takes_part_where_the_promise_holds(own: float | None, promised: float) -> None:
    check_promise(own_epsilon=own, promised=promised)


@pytest.mark.parametrize(
    ("own", "promised"), [(2.0, 1.0), (None, 1.0), (1.0, -1.0), (1.0, math.nan)]
)
def test_a_node_refuses_a_promise_that_it_would_break(own: float | None, promised: float) -> None:
    with pytest.raises(ForecastError):
        check_promise(own_epsilon=own, promised=promised)


def test_the_shares_of_noise_add_up_to_what_was_promised() -> None:
    silence, members = np.zeros(20_000), 5
    shares = [
        privacy.share_of_noise(silence, norm_max=2.0, multiplier=1.5, members=members)
        for _ in range(members)
    ]
    assert np.std(sum(shares)) == pytest.approx(3.0, rel=0.03)  # six standard errors
    same = privacy.share_of_noise(silence, norm_max=2.0, multiplier=0, members=members)
    assert same is silence


def test_the_card_says_what_holds_for_every_community() -> None:
    def entry(count_epsilon: float, noise_multiplier: float) -> dict[str, object]:
        return privacy.card_entry(
            count_epsilon=count_epsilon,
            noise_multiplier=noise_multiplier,
            rounds=10,
            communities=100,
        )

    assert entry(0, 0) == {"unit": None, "epsilon": None, "delta": None}
    assert entry(1, 0)["epsilon"] == pytest.approx(1)
    assert entry(0, 8)["mechanism"] == "updates"
    both = entry(1, 8)
    assert both["mechanism"] == "counts"
    assert isinstance(both["updates"], dict)
    assert both["updates"]["epsilon"] > 0
