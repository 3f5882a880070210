"""The seed document's table by example; caps and changes for any input."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.kernel.errors import BadInput
from node.points import rules
from node.points.rules import FIRST_CATALOGUE, FIRST_RULES, EvidenceKind


@pytest.mark.parametrize(
    ("activity", "minutes", "points"),
    [
        ("waste_sorting", None, 10),
        ("council_session", None, 20),
        ("volunteering", 60, 30),
        ("volunteering", 90, 45),
        ("volunteering", 15, 7),
        ("suggestion_adopted", None, 50),
    ],
)
def test_the_first_rules_are_the_documents_table(
    activity: str, minutes: int | None, points: int
) -> None:
    assert rules.earned(FIRST_RULES.activities[activity], minutes=minutes) == points


def test_the_first_catalogue_is_the_documents() -> None:
    assert [item.points for item in FIRST_CATALOGUE] == [100, 200, 500, 1000]


@pytest.mark.parametrize(("activity", "minutes"), [("waste_sorting", 30), ("volunteering", None)])
def test_only_hours_have_minutes(activity: str, minutes: int | None) -> None:
    with pytest.raises(BadInput):
        rules.earned(FIRST_RULES.activities[activity], minutes=minutes)


def test_a_day_begins_at_midnight_in_shanghai() -> None:
    assert rules.local_day(datetime(2026, 3, 1, 15, 59, tzinfo=UTC)) == date(2026, 3, 1)
    assert rules.local_day(datetime(2026, 3, 1, 16, 0, tzinfo=UTC)) == date(2026, 3, 2)


@given(by_activity=st.integers(0, 500), others=st.integers(0, 500))
def test_headroom_keeps_both_caps(by_activity: int, others: int) -> None:
    rule = FIRST_RULES.activities["volunteering"]
    left = rules.headroom(
        FIRST_RULES, rule, earned_by_activity=by_activity, earned_today=by_activity + others
    )
    assert left >= 0
    assert left == 0 or by_activity + left <= rule.daily_points_max
    assert left == 0 or by_activity + others + left <= FIRST_RULES.daily_points_max


def test_a_change_replaces_what_it_names_and_keeps_the_rest() -> None:
    change = {"activities": {"waste_sorting": {"points": 15}, "council_session": None}}
    after = rules.changed(FIRST_RULES, change)
    assert after.activities["waste_sorting"] == replace(
        FIRST_RULES.activities["waste_sorting"], points=15
    )
    assert "council_session" not in after.activities
    assert after.activities["volunteering"] == FIRST_RULES.activities["volunteering"]


@pytest.mark.parametrize(
    "change",
    [
        {"activities": {"waste_sorting": {"points": 0}}},
        {"activities": {"waste_sorting": {"points": True}}},
        {"activities": {"waste_sorting": {"points": 1_001}}},
        {"activities": {"waste_sorting": {"points": 1, "per": "mile"}}},
        {"activities": {"waste_sorting": {"point": 10}}},
        {"activities": {"new_thing": {"points": 10}}},
        {"activities": {"drop table;": {"points": 10, "daily_points_max": 10}}},
        {"activities": ["waste_sorting"]},
        {"activities": dict.fromkeys(FIRST_RULES.activities)},
        {"daily_points_max": "200"},
        {"surprise": 1},
    ],
)
def test_a_change_that_cannot_be_adopted_says_why(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        rules.changed(FIRST_RULES, change)


_lines = st.fixed_dictionaries(
    {
        "points": st.integers(1, 1_000),
        "per": st.sampled_from(["time", "hour", "suggestion"]),
        "daily_points_max": st.integers(1, 10_000),
    }
)
_codes = st.text("abcdefgh_", min_size=1, max_size=20).filter(lambda code: code.strip("_"))


@given(activities=st.dictionaries(_codes, _lines, max_size=10), cap=st.integers(1, 10_000))
def test_rules_survive_being_stored(activities: dict[str, Any], cap: int) -> None:
    after = rules.changed(FIRST_RULES, {"activities": activities, "daily_points_max": cap})
    assert rules.from_json(rules.as_json(after)) == after


@given(resident_id=st.uuids())
def test_a_pseudonym_changes_with_the_year_and_needs_the_house_secret(resident_id: UUID) -> None:
    name = rules.pseudonym(resident_id, year=2026, secret="a")
    assert name == rules.pseudonym(resident_id, year=2026, secret="a")
    assert len(name) == rules.PSEUDONYM_LENGTH
    others = {
        rules.pseudonym(resident_id, year=year, secret=secret)
        for year, secret in ((2027, "a"), (2026, "b"))
    }
    assert name not in others


def test_a_reader_is_told_what_a_version_changed() -> None:
    line = {"points": 5, "daily_points_max": 5, "evidence": ["repair"]}
    change: dict[str, Any] = {
        "activities": {
            "waste_sorting": {"points": 15},
            "council_session": None,
            "repair_feedback": line,
        },
        "daily_points_max": 250,
    }
    after = rules.changed(FIRST_RULES, change)
    found = rules.differences(FIRST_RULES, after)
    assert ("waste_sorting", "points", 10, 15) in found
    assert ("council_session", "points", 20, None) in found
    assert ("repair_feedback", "points", None, 5) in found
    assert ("", "daily_points_max", 200, 250) in found
    assert {one.activity for one in found} == set(change["activities"]) | {""}
    assert rules.differences(after, after) == []


def test_evidence_is_part_of_the_rules() -> None:
    after = rules.changed(
        FIRST_RULES, {"activities": {"volunteering": {"evidence": ["attendance"]}}}
    )
    assert after.activities["volunteering"].evidence == {EvidenceKind.ATTENDANCE}
    with pytest.raises(BadInput):
        rules.changed(FIRST_RULES, {"activities": {"volunteering": {"evidence": []}}})
    with pytest.raises(BadInput):
        rules.changed(FIRST_RULES, {"activities": {"volunteering": {"evidence": ["a face"]}}})
