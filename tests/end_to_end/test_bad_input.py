"""Bad input: one clear sentence with a stable code, exit status 2, nothing half done.

Every case is a command as an operator types it; the folder is compared before and after.
"""

import gzip
import socket
import sqlite3
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree

import pytest
from cryptography import x509

from coordinator.app import open_database
from coordinator.authority import MEMBER_LIFETIME, create_authority, load_authority, pem_of
from coordinator.model import Invitation
from coordinator.settings import Place
from node.enrolment.keys import certificate_request, make_or_load_keys
from node.kernel.clock import SystemClock
from simulation.processes import endpoint, free_ports
from tests.node.commands import (
    Outcome,
    Served,
    done,
    enrol,
    invite,
    linli,
    make_node,
    serving_node,
    serving_office,
    snapshot,
)

processes = pytest.mark.processes

HEADER = "date,community,category,count\n"
GOOD = HEADER + "2018-01-01,plum,plumbing,3\n"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node that every refusal must leave as it is."""
    directory = make_node(tmp_path_factory.mktemp("house") / "plum")
    done(linli("node", "audit", directory, "--json"))
    return directory


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A district's office that serves."""
    directory = tmp_path_factory.mktemp("district") / "office"
    with serving_office(directory):
        yield directory


def refused(outcome: Outcome, code: str, *words: str) -> None:
    """It ended as a refusal does, and its sentence says what the operator needs."""
    assert outcome.status == 2, outcome
    assert outcome.code == code, outcome.said
    assert "Traceback" not in outcome.said
    assert outcome.output == ""
    for word in words:
        assert word in outcome.said, outcome.said


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Nothing under the folder changes meanwhile."""
    before = snapshot(folder)
    yield
    after = snapshot(folder)
    assert after.keys() == before.keys()
    assert [name for name in before if before[name] != after[name]] == []


PANELS = {
    "columns": (b"date,community,kind,count\n2018-01-01,plum,a,3\n", "panel_columns", "kind"),
    "cut gzip": (gzip.compress(GOOD.encode())[:-12], "panel_unreadable", "gzip"),
    "encoding": ((HEADER + "2018-01-01,plum,管道,3\n").encode("gbk"), "panel_unreadable", "UTF-8"),
    "bad count": ((GOOD + "2018-01-02,plum,plumbing,-1\n").encode(), "panel_value", "line 3"),
    "twice": ((GOOD + "2018-01-01,plum,plumbing,4\n").encode(), "panel_duplicate", "line 3"),
    "other community": (
        b"".join((HEADER.encode(), b"2018-01-01,jade,a,3\n")),
        "panel_unknown_community",
        "jade",
    ),
    "later row of another": ((GOOD + "x,jade,a,3\n").encode(), "panel_value", "line 3"),
}


@pytest.mark.parametrize(("content", "code", "word"), PANELS.values(), ids=PANELS)
def test_a_panel_that_does_not_fit(
    node: Path, tmp_path: Path, content: bytes, code: str, word: str
) -> None:
    panel = tmp_path / "panel.csv"
    panel.write_bytes(content)
    with untouched(node):
        outcome = linli("node", "import", node, panel, "--community", "plum", "--json")
    refused(outcome, f"forecast.{code}", "panel.csv", word)


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_panel_that_is_no_file(node: Path, tmp_path: Path, name: str) -> None:
    with untouched(node):
        outcome = linli("node", "import", node, tmp_path / name, "--community", "plum")
    refused(outcome, "forecast.panel_unreadable")


@pytest.mark.parametrize(
    ("option", "address"),
    [("--http", "8080"), ("--http", "127.0.0.1:70000"), ("--peer", "host:"), ("--peer", "h:70000")],
)
def test_an_address_that_is_none(node: Path, option: str, address: str) -> None:
    with untouched(node):
        refused(linli("node", "serve", node, option, address), "kernel.bad_input", option, address)


def test_the_http_port_is_in_use(node: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other, untouched(node):
        address = endpoint(other.getsockname()[1])
        refused(linli("node", "serve", node, "--http", address), "node.port_in_use", address)


@processes
def test_the_peer_port_is_in_use(member: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other, untouched(member):
        address, http = endpoint(other.getsockname()[1]), endpoint(free_ports(1)[0])
        outcome = linli("node", "serve", member, "--http", http, "--peer", address)
        refused(outcome, "node.port_in_use", address)


@processes
def test_a_second_process_serves_the_same_node(tmp_path: Path) -> None:
    directory = make_node(tmp_path / "plum")
    with serving_node(directory, is_clerk=False):
        http, peer = map(endpoint, free_ports(2))
        outcome = linli("node", "serve", directory, "--http", http, "--peer", peer)
        refused(outcome, "node.serving", str(directory))


GARBLED: dict[str, Callable[[str], str]] = {
    "nothing": lambda _text: "",
    "another text": lambda _text: "please let us in",
    "cut off": lambda text: text[: len(text) // 2],
    "one letter changed": lambda text: text[:40] + ("A" if text[40] != "A" else "B") + text[41:],
    "no base64": lambda text: text[:30] + "?" + text[31:],
    "not JSON": lambda _text: "linli1." + urlsafe_b64encode(b"[1, 2]").decode(),
    "nothing in it": lambda _text: "linli1." + urlsafe_b64encode(b"{}").decode(),
}


@processes
@pytest.mark.parametrize("garble", GARBLED.values(), ids=GARBLED)
def test_an_invitation_that_was_garbled(
    node: Path, office: Path, garble: Callable[[str], str]
) -> None:
    text = garble(invite(office, "plum-court"))
    with untouched(node):
        refused(joins(node, text), "enrolment.invitation_unreadable", "linli1.")


@processes
def test_an_invitation_that_the_office_never_wrote(node: Path, office: Path) -> None:
    text = changed(invite(office, "plum-court"), '"secret": "', '"secret": "x')
    with untouched(node):
        refused(joins(node, text), "enrolment.office_refused", "office.invitation_unknown")


@processes
def test_an_invitation_for_somebody_else(node: Path, office: Path) -> None:
    invite(office, "jade-garden")
    text = changed(invite(office, "plum-court"), '"plum-court"', '"jade-garden"')
    with untouched(node):
        refused(joins(node, text), "enrolment.office_refused", "office.invitation_unknown")


@processes
def test_an_invitation_that_has_expired(node: Path, office: Path) -> None:
    text = invite(office, "plum-court")
    database = open_database(Place(office), SystemClock())
    past = datetime.now(UTC) - timedelta(minutes=1)
    database.do(lambda session: session.query(Invitation).update({"expires_at": past}))
    database.close()
    with untouched(node):
        refused(joins(node, text), "enrolment.office_refused", "office.invitation_expired")


@processes
def test_an_invitation_that_another_node_used(node: Path, office: Path, tmp_path: Path) -> None:
    first = make_node(tmp_path / "first")
    text = enrol(office, first, community="river-side", peer=endpoint(free_ports(1)[0]))
    before = snapshot(node)
    refused(joins(node, text), "enrolment.office_refused", "office.invitation_used")
    kept = {name: content for name, content in snapshot(node).items() if name in before}
    assert kept == before
    assert not (node / "enrolment/certificate.pem").exists(), "it belongs to no district"
    assert not (node / "enrolment/application.bin").exists(), "and has asked for nothing"


@processes
@pytest.mark.parametrize("address", ["here", "0.0.0.0:8443", "127.0.0.1:0"])
def test_joining_under_an_address_that_is_none(node: Path, office: Path, address: str) -> None:
    text = invite(office, "plum-court")
    with untouched(node):
        outcome = joins(node, text, peer=address)
    refused(outcome, "enrolment.peer_address_unusable", address)


def joins(directory: Path, invitation: str, *, peer: str = "127.0.0.1:8443") -> Outcome:
    """What becomes of `linli-node join`."""
    return linli("node", "join", directory, "--invitation", invitation, "--peer", peer)


def changed(invitation: str, before: str, after: str) -> str:
    """The same invitation with another content."""
    encoded = invitation.removeprefix("linli1.")
    content = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    assert before in content
    return "linli1." + urlsafe_b64encode(content.replace(before, after).encode()).decode()


@pytest.fixture(scope="module")
def joined(office: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A member, and the invitation it came with."""
    directory = make_node(tmp_path_factory.mktemp("member") / "jade")
    peer = endpoint(free_ports(1)[0])
    invitation = enrol(office, directory, community="member-1", peer=peer)
    done(linli("node", "audit", directory, "--json"))  # its accounts for neighbours are open now
    return directory, invitation


@pytest.fixture(scope="module")
def member(joined: tuple[Path, str]) -> Path:
    return joined[0]


@pytest.fixture
def expired(office: Path, joined: tuple[Path, str]) -> Iterator[Path]:
    """The member, a month after its office has last been heard."""
    directory, place = joined[0], Place(office)
    certificate = directory / "enrolment/certificate.pem"
    original = certificate.read_bytes()
    authority = load_authority(
        key_path=place.authority_key, certificate_path=place.authority_certificate
    )
    request = certificate_request(
        make_or_load_keys(directory), community_id="member-1", peer_address="127.0.0.1:8443"
    )
    key = x509.load_pem_x509_csr(request.encode()).public_key()
    issued = authority.issue_member(
        key,  # type: ignore[arg-type]  # a P-256 key, as every request holds
        community_id="member-1",
        peer_address="127.0.0.1:8443",
        now=datetime.now(UTC) - MEMBER_LIFETIME - timedelta(days=1),
    )
    certificate.write_text(pem_of(issued))
    yield directory
    certificate.write_bytes(original)


@processes
def test_an_expired_certificate_cannot_be_joined_with_again(
    expired: Path, joined: tuple[Path, str]
) -> None:
    with untouched(expired):
        outcome = joins(expired, joined[1])
    refused(outcome, "enrolment.certificate_expired", "member-1", "new invitation")


@processes
def test_an_expired_certificate_is_said_and_residents_are_served(expired: Path) -> None:
    with serving_node(expired) as served:
        assert served.get("/", role="").status_code == 200, "residents come first"
        assert "enrolment.certificate_expired" in until_said(served, "certificate_expired")
        assert "new invitation" in served.said
        assert served.terminate() == 0


@processes
def test_a_certificate_of_another_district(member: Path, tmp_path: Path) -> None:
    """A root that our certificate was not issued by: a folder put together from two."""
    create_authority(
        key_path=tmp_path / "ca.key",
        certificate_path=tmp_path / "ca.pem",
        name="another",
        now=datetime.now(UTC),
    )
    root = member / "enrolment/ca.pem"
    original = root.read_bytes()
    root.write_bytes((tmp_path / "ca.pem").read_bytes())
    try:
        with untouched(member):
            refused(serves(member), "enrolment.certificate_unusable", "not signed")
    finally:
        root.write_bytes(original)


DAMAGED = ("certificate.pem", "ca.pem", "directory.bin")


@processes
@pytest.mark.parametrize("name", DAMAGED)
def test_a_membership_file_that_is_damaged(member: Path, name: str) -> None:
    path = member / "enrolment" / name
    original = path.read_bytes()
    path.write_bytes(b"\xff" + original[: len(original) // 2])
    try:
        with untouched(member):
            outcome = serves(member)
    finally:
        path.write_bytes(original)
    assert outcome.status == 2, outcome
    assert outcome.code.startswith("enrolment."), outcome.said
    assert "Traceback" not in outcome.said


@processes
def test_a_key_that_is_damaged(member: Path) -> None:
    key = member / "keys/signing.key"
    original = key.read_bytes()
    key.write_bytes(original[:40])
    try:
        with untouched(member):
            refused(serves(member), "enrolment.key_unreadable", "signing.key")
    finally:
        key.write_bytes(original)


def serves(directory: Path) -> Outcome:
    """What becomes of `linli-node serve` when it should not start."""
    http, peer = map(endpoint, free_ports(2))
    return linli("node", "serve", directory, "--http", http, "--peer", peer)


def until_said(served: Served, word: str) -> str:
    """Its log, once the word is in it."""
    for _ in range(200):
        if word in served.said:
            break
        served.get("/livez")
    return served.said


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node with an exchange in its books."""
    directory = make_node(tmp_path_factory.mktemp("books") / "plum")
    with serving_node(directory) as served:
        people = [
            served.post("/api/residents", {"name": "王", "phone": f"1390000000{number}"})["id"]
            for number in (1, 2)
        ]
        exchange = {"provider_id": people[0], "receiver_id": people[1], "minutes": 60}
        made = served.post("/api/timebank/exchanges", exchange | {"service": "companionship"})
        path = f"/api/timebank/exchanges/{made['id']}"
        for step, body, who in (
            ("accept", {}, 0),
            ("deliver", {"minutes": 60}, 0),
            ("confirm", {}, 0),
            ("confirm", {}, 1),
        ):
            served.post(f"{path}/{step}", body, acting_for=people[who])
    return directory


@pytest.fixture
def books(exchanged: Path, tmp_path: Path) -> Path:
    """The same books, to be spoiled."""
    return Path(copytree(exchanged, tmp_path / "plum"))


TAMPERED = {
    "an amount": "UPDATE posting SET amount = amount * 2",
    "a reason": "UPDATE journal_entry SET reason = 'gift'",
    "a balance": "UPDATE account SET balance = balance + 600 WHERE kind = 'resident'",
    "an entry gone": "DELETE FROM posting; DELETE FROM journal_entry",
    "a link": "UPDATE journal_entry SET hash = 'f00d'",
    "a promise": "UPDATE account SET held = held + 5 WHERE kind = 'resident'",
}


@processes
@pytest.mark.parametrize("statements", TAMPERED.values(), ids=TAMPERED)
def test_a_row_that_was_tampered_with(books: Path, statements: str) -> None:
    tamper(books, statements)
    with untouched(books):
        outcome = linli("node", "audit", books)
        as_json = linli("node", "audit", books, "--json")
    refused(outcome, "audit.books_do_not_fit", "does not fit")
    assert (as_json.status, as_json.code) == (2, "audit.books_do_not_fit")
    assert as_json.json["ok"] is False
    assert as_json.json["problem"] in outcome.said


@processes
def test_the_database_itself_refuses_to_change_what_was_written(books: Path) -> None:
    with (
        closing(sqlite3.connect(books / "node.sqlite")) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute("UPDATE posting SET amount = 1")


def tamper(directory: Path, statements: str) -> None:
    """What somebody with the file and a SQL shell can do: first the triggers, then the rows."""
    with closing(sqlite3.connect(directory / "node.sqlite")) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements.split(";"):
            changed_rows = connection.execute(statement).rowcount
            assert changed_rows > 0, statement
        connection.commit()


URLS = {
    "nonsense": "nonsense",
    "no driver": "oracle://somewhere/x",
    "nobody there": "postgresql+psycopg://linli:secret@127.0.0.1:1/linli",
    "no folder": "sqlite:////nowhere/at/all/node.sqlite",
}


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
def test_a_database_that_is_none(tmp_path: Path, url: str) -> None:
    with untouched(tmp_path):
        outcome = linli("node", "init", tmp_path / "plum", "--name", "梅园", "--database", url)
    refused(outcome, "kernel.database_unusable")
    assert "secret" not in outcome.said


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///node.sqlite", "sqlite:///:memory:"])
def test_a_database_that_would_be_another_one_tomorrow(tmp_path: Path, url: str) -> None:
    with untouched(tmp_path):
        outcome = linli("node", "init", tmp_path / "plum", "--name", "梅园", "--database", url)
    refused(outcome, "kernel.bad_input", "--database")


SETTINGS = {
    "no TOML": ("name = ", "node.toml"),
    "unknown setting": ('name = "x"\ncolour = "red"\n', "colour"),
    "wrong kind": ('name = "x"\ncredit_limit_minutes = "many"\n', "credit_limit_minutes"),
    "out of range": ('name = "x"\nheartbeat_seconds = 0.0\n', "heartbeat_seconds"),
    "no name": ("training = true\n", "name"),
    "not text": ("\udcff", "node.toml"),
}


@pytest.mark.parametrize(("content", "word"), SETTINGS.values(), ids=SETTINGS)
def test_settings_that_cannot_be(tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "node.toml").write_bytes(content.encode(errors="surrogateescape"))
    with untouched(tmp_path):
        refused(linli("node", "audit", tmp_path), "node.bad_settings", word)


COMMANDS = ("serve", "audit", "migrate", "left", "token --role clerk", "import panel --community x")


@pytest.mark.parametrize("line", COMMANDS)
def test_a_folder_that_is_missing(tmp_path: Path, line: str) -> None:
    command, *options = line.split()
    with untouched(tmp_path):
        outcome = linli("node", command, tmp_path / "nowhere", *options)
    refused(outcome, "node.not_a_node", "nowhere", "linli-node init")


def test_a_folder_that_holds_no_node(tmp_path: Path) -> None:
    with untouched(tmp_path):
        refused(linli("node", "serve", tmp_path), "node.not_a_node", "linli-node init")


def test_a_node_is_not_made_twice(node: Path) -> None:
    with untouched(node):
        outcome = linli("node", "init", node, "--name", "另一个")
    refused(outcome, "node.already_a_node", "Nothing was changed")


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "two\nlines", "bell\a"])
def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    with untouched(tmp_path):
        outcome = linli("node", "init", tmp_path / "plum", "--name", name)
    refused(outcome, "kernel.bad_input", "--name")


def test_a_node_cannot_be_made_inside_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here already")
    with untouched(tmp_path):
        outcome = linli("node", "init", tmp_path / "file" / "plum", "--name", "梅园")
    refused(outcome, "node.folder_unusable", "file")


STEPS = {
    "outdated": ("DELETE FROM alembic_version", "node.schema_outdated", "linli-node migrate"),
    "newer": ("UPDATE alembic_version SET version_num = '9999'", "node.schema_unknown", "newer"),
}


@pytest.mark.parametrize(("statement", "code", "word"), STEPS.values(), ids=STEPS)
def test_a_database_of_another_step(tmp_path: Path, statement: str, code: str, word: str) -> None:
    directory = make_node(tmp_path / "plum")
    with closing(sqlite3.connect(directory / "node.sqlite")) as connection:
        connection.execute(statement)
        connection.commit()
    with untouched(directory):
        refused(serves(directory), code, word)
        refused(linli("node", "audit", directory), code, word)


def test_a_database_that_is_no_database(tmp_path: Path) -> None:
    directory = make_node(tmp_path / "plum")
    (directory / "node.sqlite").write_bytes(b"these are not the books" * 500)
    with untouched(directory):
        refused(serves(directory), "kernel.database_unusable", "node.sqlite")


def test_a_database_that_is_gone(tmp_path: Path) -> None:
    directory = make_node(tmp_path / "plum")
    (directory / "node.sqlite").unlink()
    with untouched(directory):
        outcome = serves(directory)
    refused(outcome, "kernel.database_unusable", "node.sqlite", "backup")
