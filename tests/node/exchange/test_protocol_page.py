"""docs/protocol.md says what the code does: its tables are compared, so they cannot go stale."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import pytest

from node.exchange import rules
from node.exchange.rules import (
    DISPUTE_STEPS,
    GIFT_STEPS,
    PASS_STEPS,
    REVERSAL_STEPS,
    VISIT_STEPS,
    DisputeState,
    GiftState,
    PassState,
    ReversalState,
    VisitState,
)
from node.kernel.errors import REFUSALS
from node.kernel.ids import CODE_ALPHABET
from node.ledger.cap import HOLDING_MAX_MINUTES
from node.ledger.rules import AMOUNT_MAX
from node.outbox import relay
from node.outbox import service as outbox
from node.peer import admission, client, servicer
from node.peer.bodies import ENCODERS
from node.settings import Settings
from node.settlement.model import StatementState
from node.settlement.rules import RECEIPTS_MAX
from node.settlement.watch import REWIND_BLOCKS

State = TypeVar("State", bound=StrEnum)

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


def table_in_page(name: str) -> list[str]:
    found = re.search(rf"<!-- table: {name} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert found, f"docs/protocol.md has no table {name}"
    return found[1].splitlines()[2:]


def table_in_code(states: type[State], steps: Mapping[State, frozenset[State]]) -> list[str]:
    """One row a state: its name, the comment beside it in rules.py, what may follow."""
    source = (ROOT / "node/exchange/rules.py").read_text(encoding="utf-8")
    rows = []
    for state in states:
        comment = re.search(rf'{state.name} = "{state}"  # (.*)', source.split(states.__name__)[1])
        assert comment
        following = ", ".join(f"`{to}`" for to in sorted(steps[state])) or "the end"
        rows.append(f"| `{state}` | {comment[1]} | {following} |")
    return rows


def test_the_state_tables_are_those_of_the_code() -> None:
    assert table_in_page("pass") == table_in_code(PassState, PASS_STEPS)
    assert table_in_page("visit") == table_in_code(VisitState, VISIT_STEPS)
    assert table_in_page("gift") == table_in_code(GiftState, GIFT_STEPS)
    assert table_in_page("reversal") == table_in_code(ReversalState, REVERSAL_STEPS)
    assert table_in_page("dispute") == table_in_code(DisputeState, DISPUTE_STEPS)


def test_every_message_has_its_row() -> None:
    section = PAGE.split("### Messages")[1].split("## One exchange")[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(body.__name__ for body in ENCODERS)


def test_every_code_named_there_exists() -> None:
    """Codes of refusals, or those that the host writes beside a visit."""
    slices = "kernel|peer|exchange|ledger|settlement"
    named = set(re.findall(rf"`((?:{slices})\.[a-z_]+)`", PAGE))
    written = {"exchange.answer_differs", "exchange.receipt_differs"}
    assert servicer.WrongRecipient.code in named
    assert named - REFUSALS.keys() == written
    host = (ROOT / "node/exchange/host.py").read_text(encoding="utf-8")
    assert all(f'"{code}"' in host for code in written)


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("minutes of one pass", f"{rules.MINUTES_MAX} min"),
        ("from issuing a pass to presenting it", f"{rules.PASS_LIFETIME.days} days"),
        ("from acceptance to the last capture", f"{rules.CAPTURE_LIFETIME.days} days"),
        (f"characters of a code, of {len(CODE_ALPHABET)} possible each", str(rules.CODE_LENGTH)),
        ("characters of a gift code", str(rules.GIFT_CODE_LENGTH)),
        ("gift codes of one resident in use", str(rules.GIFT_CODES_MAX)),
        ("unanswered messages for one peer", str(rules.WAITING_MAX)),
        (
            "a peer's word on its limit is asked for again after",
            f"{rules.HEADROOM_FRESH.total_seconds() / 60:g} min",
        ),
        (
            "a peer's word on its limit is counted with for",
            f"{rules.HEADROOM_STALE.total_seconds() / 3600:g} h",
        ),
        ("receipts named in one answer to a comparison", str(rules.COMPARE_LINES_MAX)),
        ("receipts that one comparison finds missing", str(rules.COMPARE_MISSING_MAX)),
        ("receipts proven in one answer", str(rules.FETCH_MAX)),
        ("bytes of an answer that is kept as a proof", f"{rules.PROOF_BYTES_MAX} B"),
        ("days back that are compared", f"{rules.COMPARE_DAYS_MAX} days"),
        ("pieces of evidence a day, peer and kind", str(rules.EVIDENCE_A_DAY_MAX)),
        ("calls of one peer a minute", str(admission.CALLS_A_MINUTE_MAX)),
        (
            "a message's clock ahead of ours",
            f"{admission.AHEAD_MAX.total_seconds() / 3600:g} h",
        ),
        ("a message's age, unless it was answered", f"{admission.AGE_MAX.days} days"),
        ("minutes that one resident can own", f"{HOLDING_MAX_MINUTES} min"),
        ("items in one call", str(relay.ITEMS_MAX)),
        ("bytes of questions in one call", f"{relay.BYTES_MAX} B"),
        ("bytes of answers to one call", f"{servicer.ANSWERS_BYTES_MAX} B"),
        ("bytes of one gRPC message", f"{client.MESSAGE_BYTES_MAX} B"),
        ("one call", f"{client.CALL_SECONDS_MAX:g} s"),
        (
            "between two tries",
            f"{outbox.BACKOFF_FIRST_SECONDS:g} to {outbox.BACKOFF_MAX_SECONDS:g} s",
        ),
        ("receipts in one statement", str(RECEIPTS_MAX)),
        ("amount of one journal entry", str(AMOUNT_MAX)),
        ("what one community may owe us", f"{Settings.peer_limit_minutes} min"),
        ("what we may owe all others", f"{Settings.debt_limit_minutes} min"),
    ],
)
def test_every_limit_is_the_one_in_force(limit: str, value: str) -> None:
    assert f"| {limit} | {value} |" in PAGE


def test_the_rest_that_could_go_stale() -> None:
    assert f"reads {REWIND_BLOCKS} blocks back" in PAGE
    assert all(f"`{state}`" in PAGE for state in StatementState)
    assert f"Deliver` carries up to {relay.ITEMS_MAX} items" in PAGE
