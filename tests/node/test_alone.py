"""A community stands on its own: office, chain and every neighbour are gone, and the node serves.

Method: real processes. An office enrols two nodes and ends; the second node never serves. The
first has a chain configured where nobody listens.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from coordinator.app import open_database
from coordinator.directory import learn
from coordinator.settings import Place
from node.kernel.clock import SystemClock
from simulation.processes import endpoint, free_ports
from tests.node.commands import (
    Served,
    done,
    enrol,
    linli,
    make_node,
    serving_node,
    serving_office,
)

pytestmark = pytest.mark.processes

OURS, THEIRS = "plum-court", "jade-garden"


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node that joined a district of which nothing runs any more."""
    folder = tmp_path_factory.mktemp("district")
    office, directory = folder / "office", make_node(folder / "plum")
    neighbour = make_node(folder / "jade", name="翠园")
    rpc, peer, their_peer = map(endpoint, free_ports(3))
    done(linli("district", "init", office, "--name", "示例片区", "--json"))
    deploy_nowhere(office)
    with serving_office(office) as served:
        enrol(office, neighbour, community=THEIRS, peer=their_peer)
        enrol(office, directory, community=OURS, peer=peer)
        served.kill()
    settings = directory / "node.toml"
    content = settings.read_text(encoding="utf-8").replace('rpc = ""', f'rpc = "http://{rpc}"')
    settings.write_text(content.replace("heartbeat_seconds = 15.0", "heartbeat_seconds = 0.2"))
    (folder / "peer").write_text(peer)
    return directory


def deploy_nowhere(office: Path) -> None:
    """The office knows of a contract, on a chain that nobody will ever reach."""
    database = open_database(Place(office), SystemClock())
    address = f"0x{1:040x}"
    database.do(lambda session: learn(session, contract_address=address, chain_id="20260"))
    database.close()


@pytest.fixture
def served(member: Path) -> Iterator[Served]:
    with serving_node(member, peer=(member.parent / "peer").read_text()) as served:
        yield served


def resident(served: Served) -> str:
    """Somebody who has just joined."""
    phone = f"139{uuid4().int % 10**8:08}"
    return str(served.post("/api/residents", {"name": "李奶奶", "phone": phone})["id"])


def pass_for(elder: str) -> dict[str, Any]:
    """What a program at the desk says when the elder stands there."""
    said = {"consent": "self", "acted_by": elder}
    return said | {"resident_id": elder, "host": THEIRS, "minutes": 90}


def balance(served: Served, resident_id: str) -> int:
    return int(served.get(f"/api/timebank/balance/{resident_id}").json()["balance"])


def exchange_an_hour(served: Served, *, provider: str, receiver: str) -> dict[str, Any]:
    """One hour of help inside the community, from request to capture."""
    people = {"provider_id": provider, "receiver_id": receiver}
    made = served.post(
        "/api/timebank/exchanges", people | {"service": "companionship", "minutes": 60}
    )
    path = f"/api/timebank/exchanges/{made['id']}"
    served.post(f"{path}/accept", acting_for=provider)
    served.post(f"{path}/deliver", {"minutes": 60}, acting_for=provider)
    served.post(f"{path}/confirm", acting_for=provider)
    confirmed: dict[str, Any] = served.post(f"{path}/confirm", acting_for=receiver)
    return confirmed


def waiting(member: Path) -> list[tuple[str, str]]:
    """Recipient and kind of the messages in the outbox that have no answer yet."""
    engine = create_engine(f"sqlite:///{member / 'node.sqlite'}")
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT recipient, kind FROM outbox_message WHERE answered_at IS NULL")
        ).all()
    engine.dispose()
    return [(row[0], row[1]) for row in rows]


def test_pages_and_api_are_served(served: Served) -> None:
    assert served.ready["community"] == OURS
    page = served.get("/", role="")
    assert page.status_code == 200
    assert "梅园" in page.text
    assert served.get("/livez").status_code == served.get("/readyz").status_code == 200
    assert "Traceback" not in served.said, "an office and a chain that are away are no surprise"


def test_a_repair_goes_through(served: Served) -> None:
    reporter = resident(served)
    report = {"title": "路灯不亮", "description": "三号楼前的路灯坏了", "location": "三号楼"}
    made = served.post("/api/repairs", report, acting_for=reporter)
    for status in ("dispatched", "processing", "completed"):
        served.put(f"/api/repairs/{made['id']}", {"status": status, "assignee": "物业"})
    served.post(f"/api/repairs/{made['id']}/rate", {"rating": 5}, acting_for=reporter)
    listed = served.get("/api/repairs?status=completed").json()
    assert f"'id': {made['id']}," in str(listed)


def test_an_hour_is_exchanged(served: Served) -> None:
    provider, receiver = resident(served), resident(served)
    assert exchange_an_hour(served, provider=provider, receiver=receiver)["state"] == "captured"
    assert (balance(served, provider), balance(served, receiver)) == (60, -60)


def test_a_pass_is_issued_and_a_guest_waits_for_an_answer(member: Path, served: Served) -> None:
    elder, volunteer = resident(served), resident(served)
    made = served.post("/api/passes", pass_for(elder))
    assert made["state"] == "issued"
    visit = served.post("/api/visits", {"code": f"{THEIRS}-ABCD2345", "provider_id": volunteer})
    assert visit["state"] == "presented"
    assert THEIRS in {recipient for recipient, _ in waiting(member)}, "kept until it is answered"


def test_sigterm_ends_it_cleanly(member: Path, served: Served) -> None:
    assert served.terminate() == 0
    assert "Traceback" not in served.said
    assert not list(member.glob("node.sqlite-wal")), "the database was closed"


def test_kill_and_restart_keep_everything(member: Path, served: Served) -> None:
    provider, receiver = resident(served), resident(served)
    exchange_an_hour(served, provider=provider, receiver=receiver)
    elder = resident(served)
    made = served.post("/api/passes", pass_for(elder))
    visit = served.post("/api/visits", {"code": f"{THEIRS}-WXYZ2345", "provider_id": provider})
    messages = waiting(member)
    before = done(linli("node", "audit", member, "--json"))
    served.kill()
    served.start()
    assert (balance(served, provider), balance(served, receiver)) == (60, -60)
    assert served.get(f"/api/passes/{made['id']}").json() == made
    assert served.get(f"/api/visits/{visit['id']}").json() == visit
    assert waiting(member) == messages
    after = done(linli("node", "audit", member, "--json"))
    assert (after["ok"], after["head"]) == (True, before["head"])
    assert after["chain"] == "unreachable"
