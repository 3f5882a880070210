"""The dice and the way in which faults are written."""

import pytest

from simulation.faults import BadFaults, Dice, Faults


def test_faults_are_read_as_they_are_written() -> None:
    faults = Faults.parse("drop=0.1, crash=0.002")
    assert faults == Faults(drop=0.1, crash=0.002)
    assert Faults.parse(str(faults)) == faults
    assert Faults.parse("") == Faults()


@pytest.mark.parametrize(
    "text", ["dorp=0.1", "drop", "drop=often", "drop=1.5", "drop=-1", "drop=nan"]
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(BadFaults):
        Faults.parse(text)


def test_a_throw_depends_on_the_seed_and_the_thing_alone() -> None:
    one, other = Dice(1, Faults(drop=0.5)), Dice(1, Faults(drop=0.5))
    other.throw("something else first")
    assert [one.throw("call", n) for n in range(9)] == [other.throw("call", n) for n in range(9)]
    assert one.throw("call", 1) != Dice(2, Faults()).throw("call", 1)
    assert all(0.0 <= one.throw("call", n) < 1.0 for n in range(1_000))


def test_as_many_happen_as_the_rate_says_and_none_that_are_spared() -> None:
    dice = Dice(3, Faults(drop=0.25))
    hits = sum(dice.happens("drop", n) for n in range(4_000))
    assert 900 < hits < 1_100
    assert dice.counts["drop"] == hits == len(dice.fired)
    spared = Dice(3, Faults(drop=0.25), spared=frozenset(dice.fired))
    assert not any(spared.happens("drop", n) for n in range(4_000))


def test_nothing_happens_in_a_calm() -> None:
    dice = Dice(3, Faults(drop=1.0), is_calm=True)
    assert not dice.happens("drop", 1)


def test_mixed_is_another_order_of_the_same() -> None:
    assert sorted(Dice(1, Faults()).mixed(20, "call")) == list(range(20))
    assert Dice(1, Faults()).mixed(20, "call") != list(range(20))
