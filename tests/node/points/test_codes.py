"""The rotating code against RFC 6238's own vectors, and for as long as it counts."""

from datetime import UTC, datetime, timedelta

import pytest

from node.points import codes

RFC_SECRET = "12345678901234567890123456789012"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "46119246"),
        (1_111_111_109, "68084774"),
        (1_234_567_890, "91819424"),
        (20_000_000_000, "77737706"),
    ],
)
def test_the_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert codes.code_at(RFC_SECRET, moment, digits=8) == code


def test_a_code_counts_for_two_minutes_and_not_before_it_was_shown() -> None:
    shown = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    code = codes.code_at("secret", shown)
    typed = f"{code[:3]} {code[3:]}"
    life = codes.STEP_SECONDS * codes.STEPS_ACCEPTED
    assert codes.fits("secret", typed, shown)
    assert codes.fits("secret", typed, shown + timedelta(seconds=life - 1))
    assert not codes.fits("secret", typed, shown + timedelta(seconds=life))
    assert not codes.fits("secret", typed, shown - timedelta(seconds=1))
    assert not codes.fits("another secret", typed, shown)
    assert not codes.fits("secret", "", shown)
    assert not codes.fits("secret", "１２３", shown)


def test_the_screen_loads_again_when_the_next_code_comes() -> None:
    moment = datetime(2026, 11, 24, 9, 0, 12, tzinfo=UTC)
    after = moment + timedelta(seconds=codes.seconds_left(moment))
    assert codes.seconds_left(moment) == 18
    assert codes.code_at("secret", after) != codes.code_at("secret", moment)
