"""In a whole node: what happens in the slices reaches the inboxes it concerns, and no other."""

from pathlib import Path
from uuid import UUID

import pytest

from node.notices import service, words
from node.reactions import REACTIONS
from tests.browser.village import Village, village


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The kinds of notices in each resident's inbox of the village, newest first."""
    directory: Path = tmp_path_factory.mktemp("joined")
    with village(directory / "node") as place:
        return {name: kinds(place, who) for name, who in place.people.items()}


def kinds(place: Village, resident_id: UUID) -> list[str]:
    with place.node.database.read() as session:
        return [one.notice.kind for one in service.inbox(session, resident_id=resident_id)]


def test_a_reporter_hears_each_step_of_the_work(heard: dict[str, list[str]]) -> None:
    mine = [kind for kind in heard["李秀英"] if kind.startswith("repair_")]
    assert mine.count("repair_dispatched") == 2
    assert {"repair_processing", "repair_completed"} <= set(mine)
    assert "repair_completed" not in heard["王建国"]


def test_both_sides_of_an_exchange_hear_of_it(heard: dict[str, list[str]]) -> None:
    assert heard["王建国"].count("help_asked") == 2
    assert "help_asked" not in heard["李秀英"]
    for name in ("李秀英", "王建国"):
        assert {"help_promised", "help_to_confirm", "hours_paid"} <= set(heard[name])
    assert not {"hours_paid", "help_asked"} & set(heard["李小梅"])


def test_everybody_hears_of_the_vote(heard: dict[str, list[str]]) -> None:
    for name, told in heard.items():
        assert {"motion_public", "vote_open"} <= set(told), name


def test_an_agreement_is_told_to_both(heard: dict[str, list[str]]) -> None:
    assert "proxy_agreed" in heard["李秀英"]
    assert "proxy_granted" in heard["李小梅"]
    assert "proxy_agreed" not in heard["李小梅"]


def test_every_kind_that_was_told_has_a_sentence(heard: dict[str, list[str]]) -> None:
    assert {kind for told in heard.values() for kind in told} <= set(words.sentences())


def test_the_slices_speak_to_residents_through_the_table_alone() -> None:
    telling = {one.__module__ for every in REACTIONS.values() for one in every}
    own = ("telling", "telling_hours", "telling_points")
    assert {f"node.notices.{name}" for name in own} <= telling
