"""E-mail over TLS: a real SMTP server on loopback, with certificates of our own making.

Method: `SSL_CERT_FILE` names the only authority that is trusted; the server shows one certificate
after another, and writes down what it was given and whether anybody on the way could read it.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from node.notices import rules, sending
from node.notices.mail import MailSender
from node.notices.model import NoticeDelivery
from node.notices.rules import Channel, DeliveryState
from node.notices.settings import Mail
from tests.node.notices.test_sending import house, tell
from tests.node.notices.test_service import deliveries
from tests.node.web.client import ClientHouse

__all__ = ["house"]  # the fixture

Security = Literal["starttls", "tls", "none"]
HOST, PASSWORD, WAIT_SECONDS = "127.0.0.1", "a password", 10
WRONG = ("unknown authority", "another host", "ended")


class Authority:
    """Vouches for servers, as the operator's machine trusts it or not."""

    def __init__(self, name: str) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        basic = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate = self._builder(self.name, days=1).add_extension(basic, critical=True)
        self.pem = self._signed(self.certificate.public_key(self.key.public_key()))

    def server(self, file: Path, *, address: str = HOST, days: int = 1) -> ssl.SSLContext:
        """What a server at `address` shows; `days` below zero: it ended then."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        builder = self._builder(subject, days=days).add_extension(names, critical=False)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file.write_bytes(secret + self._signed(builder.public_key(key.public_key())))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _builder(self, subject: x509.Name, *, days: int) -> x509.CertificateBuilder:
        ends = datetime.now(UTC) + timedelta(days=days)
        return (
            x509.CertificateBuilder(issuer_name=self.name, subject_name=subject)
            .serial_number(x509.random_serial_number())
            .not_valid_before(ends - timedelta(days=30))
            .not_valid_after(ends)
        )

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        made = builder.sign(self.key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM)


@dataclass
class Post:
    """A mail server, and what it heard: each letter and login with whether TLS hid it."""

    security: Security
    context: ssl.SSLContext
    port: int = 0
    letters: list[tuple[bool, bytes]] = field(default_factory=list)
    logins: list[tuple[bool, str]] = field(default_factory=list)

    def talk(self, connection: socket.socket) -> None:
        """One conversation in SMTP's own words."""
        connection.settimeout(WAIT_SECONDS)
        if self.security == "tls":
            connection = self.context.wrap_socket(connection, server_side=True)
        lines, is_hidden = connection.makefile("rb"), self.security == "tls"
        connection.sendall(b"220 here\r\n")
        while line := lines.readline().decode():
            word, _, rest = line.strip().partition(" ")
            word, answer = word.upper(), "250 fine"
            if word == "EHLO":
                offered = self.security == "starttls" and not is_hidden
                answer = "250-here\r\n250-STARTTLS\r\n" if offered else "250-here\r\n"
                answer += "250 AUTH PLAIN"
            elif word == "STARTTLS":
                connection.sendall(b"220 go on\r\n")
                connection = self.context.wrap_socket(connection, server_side=True)
                lines, is_hidden = connection.makefile("rb"), True
                continue
            elif word == "AUTH":
                self.logins.append((is_hidden, rest))
                answer = "235 fine"
            elif word == "DATA":
                connection.sendall(b"354 go on\r\n")
                self.letters.append((is_hidden, b"".join(iter(lines.readline, b".\r\n"))))
            elif word == "QUIT":
                answer = "221 goodbye"
            connection.sendall(f"{answer}\r\n".encode())


@contextmanager
def serving(post: Post) -> Iterator[Post]:
    """Answer on loopback, one caller at a time, until the end."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(WAIT_SECONDS)
        post.port = listener.getsockname()[1]

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), connection:
                    post.talk(connection)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield post
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(WAIT_SECONDS)


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The one authority that this machine trusts."""
    authority, file = Authority("trusted"), tmp_path / "authorities.pem"
    file.write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return authority


def look(house: ClientHouse, post: Post, security: Security) -> None:
    """One look at the queue, which holds one letter."""
    settings = Mail(
        HOST,
        "house@plum.example",
        port=post.port,
        security=security,
        user="house",
        password=PASSWORD,
        timeout_seconds=5.0,
    )
    sender = MailSender(settings)
    assert asyncio.run(sending.send_due(house, {Channel.EMAIL: sender}, site="")) == 1


def problem(house: ClientHouse) -> str:
    with house.database.read() as session:
        return session.query(NoticeDelivery).one().problem


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_letter_and_password_travel_inside_tls(
    house: ClientHouse, trusted: Authority, tmp_path: Path, security: Security
) -> None:
    tell(house)
    with serving(Post(security, trusted.server(tmp_path / "mail.pem"))) as post:
        look(house, post, security)
    [(is_hidden, letter)] = post.letters
    assert is_hidden
    assert b"To: li@example.org" in letter
    assert [is_hidden for is_hidden, _ in post.logins] == [True]
    assert deliveries(house) == [("", DeliveryState.SENT)]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_cannot_prove_itself_gets_nothing_and_the_letter_waits(
    house: ClientHouse, trusted: Authority, tmp_path: Path, security: Security, wrong: str
) -> None:
    file = tmp_path / "mail.pem"
    shown = {
        "unknown authority": lambda: Authority("somebody").server(file),
        "another host": lambda: trusted.server(file, address="127.0.0.2"),
        "ended": lambda: trusted.server(file, days=-1),
    }[wrong]()
    tell(house)
    with serving(Post(security, shown)) as post:
        look(house, post, security)
        assert (post.letters, post.logins) == ([], [])
        assert deliveries(house) == [("li@example.org", DeliveryState.WAITING)]
        assert problem(house) == "mail_certificate_refused"
        post.context = trusted.server(file)
        house.clock.advance(rules.pause_after(1))
        look(house, post, security)
    assert [is_hidden for is_hidden, _ in post.letters] == [True]
    assert deliveries(house) == [("", DeliveryState.SENT)]


def test_whoever_takes_the_offer_of_tls_away_gets_nothing(
    house: ClientHouse, trusted: Authority, tmp_path: Path
) -> None:
    tell(house)
    with serving(Post("none", trusted.server(tmp_path / "mail.pem"))) as post:
        look(house, post, "starttls")
    assert (post.letters, post.logins) == ([], [])
    assert deliveries(house) == [("li@example.org", DeliveryState.WAITING)]
    assert problem(house) == "mail_tls_missing"
