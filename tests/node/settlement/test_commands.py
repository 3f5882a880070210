"""`linli-node pass-over` and `rotate-settlement-key`: what an operator says about the chain."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from sqlalchemy import select
from typer.testing import CliRunner

from node.kernel.errors import BadInput
from node.settlement import commands
from node.settlement.model import PassedOver
from tests.node.two_nodes import HOME, District, two_nodes

ROUND = "0x" + "5a" * 32


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def say(district: District, *words: str) -> Any:
    """What `linli-node` answers over the home side's database, before it has joined a district."""
    app = typer.Typer()

    @contextmanager
    def open_node(_directory: Path) -> Iterator[Any]:
        yield SimpleNamespace(
            database=district.home.database, clock=district.clock, community=HOME, membership=None
        )

    commands.add_to(app, open_node)
    return CliRunner().invoke(app, list(words))


def test_a_batch_is_passed_over_once_however_often_it_is_said(district: District) -> None:
    for _ in range(2):
        answer = say(district, "pass-over", "DIR", "--round", ROUND)
        assert answer.exit_code == 0, answer.output
        assert "audit will say so" in answer.stdout
    rows = district.home.ask(lambda session: session.scalars(select(PassedOver)).all())
    assert [row.round_id.hex() for row in rows] == ["5a" * 32]


@pytest.mark.parametrize("text", ["0x12", "no number", ""])
def test_a_round_is_named_in_full(district: District, text: str) -> None:
    answer = say(district, "pass-over", "DIR", "--round", text)
    assert isinstance(answer.exception, BadInput)


@pytest.mark.parametrize(
    "words", [[], ["--out", "f", "--finish"], ["--finish"], ["--out", "somewhere.json"]]
)
def test_a_key_is_changed_step_by_step_by_a_member_with_a_chain(
    district: District, words: list[str]
) -> None:
    answer = say(district, "rotate-settlement-key", "DIR", *words)
    assert isinstance(answer.exception, BadInput)
    assert not Path("somewhere.json").exists()
