"""The officers' page shows which trainings are agreed, the program they run, what came of it."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator import directory, registry, schedule, training
from coordinator.dashboard import Dashboard
from coordinator.protection import SHIPPED
from tests.coordinator.fakes import FakeOffice
from tests.coordinator.test_registry import trained


@pytest.fixture
def page(district: FakeOffice, tmp_path: Path) -> Dashboard:
    """A district with a schedule, a bundle, and two models of which one was withdrawn."""
    kept, bad = trained(district, tmp_path, times=2)

    def agree(session: object) -> None:
        schedule.set_schedule(
            session,  # type: ignore[arg-type] # a session, as `do` gives it
            district.clock,
            every_days=7,
            first_at=None,
            rounds=20,
            min_nodes=0,
            local_steps=100,
        )

    district.database.do(agree)
    district.database.do(lambda session: directory.learn(session, bundle_sha256="ab" * 32))
    district.database.do(
        lambda session: registry.withdraw(session, district.clock, sha256=bad, reason="too high")
    )
    for community, federated in (("A", 2.0), ("B", 2.6)):
        district.database.do(
            lambda session, community=community, federated=federated: registry.note_errors(  # type: ignore[misc]
                session,
                district.clock,
                community_id=community,
                model_sha256=kept,
                errors={"mean8": 2.5, "federated": federated},
                days=("", ""),
            )
        )
    return Dashboard(district.database, district.clock, district="示范区")


def test_schedule_bundle_and_withdrawal_are_shown(page: Dashboard, district: FakeOffice) -> None:
    facts = page.facts()
    next_at = (district.clock.now() + timedelta(days=7)).isoformat(timespec="seconds")
    assert facts["schedule"]["next_at"] == next_at
    assert facts["bundle_sha256"] == "ab" * 32
    withdrawn, kept = facts["trainings"]
    assert (withdrawn["withdrawn"], kept["withdrawn"]) == ("too high", None)
    assert (kept["told"], kept["better_for"]) == (2, 1)
    for language, words in (("zh", "下次训练"), ("en", "Next training")):
        shown = page.page(language)
        assert words in shown
        assert "ab" * 32 in shown
        assert "too high" in shown
        assert "1 / 2" in shown


def test_a_card_carries_what_privacy_costs(page: Dashboard, district: FakeOffice) -> None:
    with district.database.read() as session:
        card = json.loads(training.model_file(session, sha256=training.latest_model(session)))
    assert card["accuracy_by_epsilon"] == json.loads(SHIPPED.read_text())["accuracy_by_epsilon"]
    assert card["measured_on"]


def test_without_any_of_it_the_page_says_how_to_begin(district: FakeOffice) -> None:
    shown = Dashboard(district.database, district.clock, district="D").page("en")
    assert "No training begins by itself." in shown
    assert "linli-district schedule DIR" in shown
