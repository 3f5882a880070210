"""Out of the house: at least once, no name in the log, given up in the end; real SMTP and HTTP."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar
from sqlalchemy import select

from node.health import checks
from node.kernel.clock import VirtualClock
from node.kernel.ids import new_id
from node.notices import rules, sending, service, settings
from node.notices.mail import MailSender, compose
from node.notices.model import NoticeDelivery
from node.notices.refusals import BadChannels
from node.notices.rules import Channel, DeliveryState
from node.notices.running import senders
from node.notices.sending import Failed, Message
from node.notices.settings import Mail, Webhook
from node.notices.webhook import WebhookSender
from node.outbox.service import departures
from node.residents import service as residents
from tests.node.notices.test_service import agree_and_choose, deliveries
from tests.node.web.client import ClientHouse, house_at

SECRET = "a secret of the gateway"


class Fake:
    """A provider that answers as it is told."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.taken: list[Message] = []

    def send(self, message: Message) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.taken.append(message)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path) as house:
        agree_and_choose(house, house.resident("Li"), "li@example.org")
        yield house


def tell(house: ClientHouse, *, is_dated: bool = False) -> None:
    ends_at = house.clock.now() + timedelta(days=7) if is_dated else None
    with house.database.read() as session:
        [me] = residents.search(session, "Li")
    house.database.do(
        lambda session: service.tell(
            session,
            house.clock,
            notice_id=new_id(),
            resident_id=me.id,
            kind="repair_dispatched",
            details={"number": 7},
            link="/repairs/7",
            ends_at=ends_at,
        )
    )


def look(house: ClientHouse, provider: Fake, *, after: timedelta = timedelta(0)) -> int:
    house.clock.advance(after)
    site = "https://plum.example"
    return asyncio.run(sending.send_due(house, {Channel.EMAIL: provider}, site=site))


def test_a_message_goes_out_in_its_readers_language(house: ClientHouse) -> None:
    tell(house)
    provider = Fake()
    assert look(house, provider) == 1
    [message] = provider.taken
    assert message.subject == "Lane House: Repair #7: somebody has been sent."
    assert message.text.endswith("https://plum.example/repairs/7")
    assert deliveries(house) == [("", DeliveryState.SENT)]
    assert look(house, provider) == 0
    with house.database.read() as session:
        [left] = departures(session)
    assert (left.kind, left.recipient, left.messages) == ("notice_email", "provider", 1)


def test_a_provider_that_is_down_is_asked_again_and_in_the_end_given_up(house: ClientHouse) -> None:
    tell(house)
    provider = Fake(*[Failed("mail_server_unreachable")] * rules.TRIES_MAX)
    assert look(house, provider) == 1
    assert look(house, provider) == 0  # not before the pause is over
    for tries in range(1, rules.TRIES_MAX):
        assert look(house, provider, after=rules.pause_after(tries)) == 1
    assert deliveries(house) == [("", DeliveryState.GIVEN_UP)]
    assert look(house, provider, after=timedelta(days=1)) == 0
    with house.database.read() as session:
        state = service.queue(session)
    assert (state.waiting, state.given_up) == (0, 1)


def test_the_operator_sees_that_notices_wait(house: ClientHouse) -> None:
    def look_at_health() -> tuple[bool | None, str]:
        place = checks.Place(house.settings.directory, None, False, house.clock.now())
        with house.database.read() as session:
            [found] = [one for one in checks.look(session, place) if one.name == "notices"]
        return found.is_well, found.sentence

    assert look_at_health()[0] is None
    tell(house)
    assert look_at_health() == (True, "1 notices are on their way.")
    house.clock.advance(timedelta(hours=5))
    is_well, sentence = look_at_health()
    assert (is_well, "since 5 hours" in sentence) == (False, True)


def test_a_refusal_for_good_is_not_asked_again(house: ClientHouse) -> None:
    tell(house)
    provider = Fake(Failed("mail_address_refused", is_final=True))
    look(house, provider)
    assert deliveries(house) == [("", DeliveryState.GIVEN_UP)]


def test_a_sender_that_breaks_spoils_no_other(
    house: ClientHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(house)
    tell(house)
    provider = Fake(RuntimeError("li@example.org"))
    assert look(house, provider) == 2
    assert len(provider.taken) == 1
    assert "li@example.org" not in "".join(capsys.readouterr())


def test_a_crash_before_the_note_sends_the_same_id_again(house: ClientHouse) -> None:
    tell(house)
    first = sending.due_messages(house, (Channel.EMAIL,), site="")
    again = sending.due_messages(house, (Channel.EMAIL,), site="")
    assert [one.id for one in first] == [one.id for one in again]
    with house.database.read() as session:
        assert session.scalars(select(NoticeDelivery.id)).all() == [first[0].id]


def test_what_is_dated_brings_a_calendar_file(house: ClientHouse) -> None:
    tell(house, is_dated=True)
    [message] = sending.due_messages(house, (Channel.EMAIL,), site="")
    letter = compose(message, sender="house@plum.example")
    [attached] = letter.iter_attachments()
    content: Any = attached.get_payload(decode=True)
    event: Any = Calendar.from_ical(content).walk("VEVENT")[0]
    assert event["summary"] == "Repair #7: somebody has been sent."
    assert event["dtend"].dt - event["dtstart"].dt == timedelta(minutes=30)
    assert letter["Message-ID"] == f"<{message.id}@plum.example>"


MESSAGE = Message(new_id(), Channel.SMS, "13900000001", "梅园：新消息", "报修 #7 已派人。")


@contextmanager
def mail_server(answer_to_rcpt: str) -> Iterator[tuple[int, list[str]]]:
    """One conversation in SMTP's own words, over a real socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[str] = []

    def talk() -> None:
        connection, _ = listener.accept()
        connection.settimeout(10)
        with connection, connection.makefile("rw", newline="\r\n", encoding="utf-8") as line:

            def say(text: str) -> None:
                line.write(text + "\n")
                line.flush()

            say("220 ready")
            in_letter = False
            while said := line.readline():
                heard.append(said.rstrip("\r\n"))
                if in_letter:
                    if heard[-1] == ".":
                        in_letter = False
                        say("250 taken")
                elif said.upper().startswith("QUIT"):
                    say("221 bye")
                    return
                elif said.upper().startswith("DATA"):
                    in_letter = True
                    say("354 go on")
                else:
                    say(answer_to_rcpt if said.lower().startswith("rcpt") else "250 fine")

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        listener.close()
        thread.join(10)


def mail_to(port: int) -> MailSender:
    return MailSender(Mail("127.0.0.1", "house@plum.example", port=port, security="none"))


def test_a_mail_server_gets_a_letter() -> None:
    with mail_server("250 fine") as (port, heard):
        mail_to(port).send(MESSAGE._replace(address="li@example.org"))
    assert "rcpt TO:<li@example.org>" in heard
    assert any(line.startswith("Subject: =?utf-8?") for line in heard)
    assert f"Message-ID: <{MESSAGE.id}@plum.example>" in heard


@pytest.mark.parametrize(("answer", "is_final"), [("550 unknown", True), ("451 later", False)])
def test_what_a_mail_server_refuses(answer: str, is_final: bool) -> None:
    with mail_server(answer) as (port, _), pytest.raises(Failed) as refused:
        mail_to(port).send(MESSAGE._replace(address="li@example.org"))
    assert (refused.value.code, refused.value.is_final) == ("mail_address_refused", is_final)


def test_a_mail_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Failed, match="unreachable"):
        mail_to(port).send(MESSAGE._replace(address="li@example.org"))


@contextmanager
def gateway(status: int) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    heard: list[tuple[dict[str, str], bytes]] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((dict(self.headers.items()), body))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/notices", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def hook_to(url: str) -> WebhookSender:
    return WebhookSender(Webhook(url, SECRET), clock=VirtualClock())


def test_a_gateway_can_tell_that_it_is_us() -> None:
    with gateway(202) as (url, heard):
        hook_to(url).send(MESSAGE)
    [(headers, body)] = heard
    assert json.loads(body) == {
        "id": str(MESSAGE.id),
        "channel": "sms",
        "to": "13900000001",
        "text": "报修 #7 已派人。",
    }
    timestamp, signed = headers["Linli-Timestamp"], [headers["Linli-Signature"]]
    own = {"timestamp": timestamp, "signatures": signed}
    assert rules.is_genuine(SECRET.encode(), body=body, **own)  # type: ignore[arg-type]
    assert not rules.is_genuine(SECRET.encode(), body=body + b" ", **own)  # type: ignore[arg-type]
    assert not rules.is_genuine(b"another", body=body, **own)  # type: ignore[arg-type]
    assert headers["Idempotency-Key"] == str(MESSAGE.id)


@pytest.mark.parametrize(
    ("status", "is_final"), [(400, True), (410, True), (302, True), (429, False), (503, False)]
)
def test_what_a_gateway_refuses(status: int, is_final: bool) -> None:
    with gateway(status) as (url, heard), pytest.raises(Failed) as refused:
        hook_to(url).send(MESSAGE)
    assert (refused.value.code, refused.value.is_final) == (f"webhook_{status}", is_final)
    assert len(heard) == 1, "a redirect is not followed"


def test_the_operators_file_names_the_providers(house: ClientHouse) -> None:
    directory = house.settings.directory
    assert settings.load(directory).channels == ()
    (directory / settings.FILE_NAME).write_text(
        '[mail]\nhost = "mail.example.org"\nsender = "house@example.org"\n'
        f'[webhook]\nurl = "https://gate.example.org"\nsecret = "{SECRET}"\nchannels = ["sms"]\n'
    )
    providers = settings.load(directory)
    assert providers.channels == (Channel.EMAIL, Channel.SMS)
    assert set(senders(house, providers)) == {Channel.EMAIL, Channel.SMS}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[mail\n", "Expected"),
        ('[fax]\nhost = "x"\n', "fax"),
        ('[mail]\nhost = "x"\n', "sender"),
        ('[mail]\nhost = "x"\nsender = "y"\nuser = "z"\nsecurity = "none"\n', "TLS"),
        ('[webhook]\nurl = "ftp://x"\nsecret = "0123456789abcdef"\n', "http"),
        ('[webhook]\nurl = "https://x"\nsecret = "short"\n', "16"),
    ],
)
def test_a_wrong_file_is_said_at_start(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / settings.FILE_NAME).write_text(content)
    with pytest.raises(BadChannels, match=said):
        settings.load(tmp_path)
