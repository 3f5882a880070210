"""`linli-node limit` and `prove`: what an operator says about other communities."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from sqlalchemy import select
from typer.testing import CliRunner

from node.exchange import commands
from node.exchange.model import PeerLimit
from node.exchange.rules import UnknownCommunity
from node.kernel.errors import BadInput
from node.ledger import service as ledger
from node.settlement.proof import NotOnChain
from tests.node.two_nodes import HOME, HOST, District, exchange_id, two_nodes


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def say(district: District, *words: str, is_member: bool = True) -> Any:
    """What `linli-node` answers over the home side's database."""
    app = typer.Typer()
    directory = SimpleNamespace(members=[], contract_address="0x" + "ab" * 20, chain_id=1)

    @contextmanager
    def open_node(_directory: Path) -> Iterator[Any]:
        yield SimpleNamespace(
            database=district.home.database,
            clock=district.clock,
            community=HOME,
            membership=SimpleNamespace(directory=directory) if is_member else None,
        )

    commands.add_to(app, open_node)
    return CliRunner().invoke(app, list(words))


def test_a_limit_is_set_and_recorded(district: District) -> None:
    answer = say(district, "limit", "DIR", "--peer", HOST, "--minutes", "70", "--json")
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout) == {"peer": HOST, "minutes": 70}
    everyone = say(district, "limit", "DIR", "--peer", "all", "--minutes", "90")
    assert everyone.exit_code == 0
    rows = district.home.ask(lambda session: session.scalars(select(PeerLimit)).all())
    assert [(row.peer, row.minutes, row.set_by) for row in rows] == [
        (HOST, 70, "operator"),
        ("*", 90, "operator"),
    ]
    account = ledger.clearing_account(HOST)
    assert district.home.ask(lambda session: ledger.available(session, account)) == 70


def test_a_limit_is_for_a_community_that_we_know(district: District) -> None:
    answer = say(district, "limit", "DIR", "--peer", "nowhere", "--minutes", "70")
    assert isinstance(answer.exception, UnknownCommunity)


def test_a_proof_needs_a_settled_exchange_of_a_member(district: District, tmp_path: Path) -> None:
    out = str(tmp_path / "proof.json")
    unsettled = say(district, "prove", "DIR", "--exchange", str(exchange_id()), "--out", out)
    assert isinstance(unsettled.exception, NotOnChain)
    for words in (("--exchange", "no id"), ("--exchange", str(exchange_id()))):
        answer = say(district, "prove", "DIR", *words, "--out", out, is_member=False)
        assert isinstance(answer.exception, BadInput)
    assert not Path(out).exists()
