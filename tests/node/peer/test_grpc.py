"""Two nodes over real gRPC inside mTLS on loopback: who may speak, and for whom."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from node.exchange.messages import FetchReceipts, PresentPass
from node.exchange.model import ReceiptRecord
from node.exchange.rules import FETCH_MAX
from node.kernel.ids import derived_id
from node.kernel.messages import Refusal, Sealed
from node.outbox import service as outbox
from node.outbox.model import INBOX
from node.outbox.relay import ITEMS_MAX, NO_ANSWER, BadAnswer, PeerUnreachable, Relay
from node.peer import wire
from node.peer.admission import CallLimit
from node.peer.book import PeerBook
from node.peer.client import MESSAGE_BYTES_MAX, GrpcPeers
from node.peer.servicer import ANSWERS_BYTES_MAX, GrpcPeerServicer
from node.peer.tls import TlsMaterial, server_credentials
from protos.peer_pb2_grpc import add_PeerServicer_to_server
from tests.node.peer.certificates import Authority
from tests.node.two_nodes import HOME, HOST, RETRY, District, Side, exchange_id, two_nodes

CALL_SECONDS = 20


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.make()


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


@asynccontextmanager
async def serving(
    side: Side, material: TlsMaterial, limit: CallLimit | None = None
) -> AsyncIterator[int]:
    """The side's inbox behind a real port."""
    server = grpc.aio.server()
    add_PeerServicer_to_server(GrpcPeerServicer(side.inbox, limit), server)  # type: ignore[no-untyped-call]  # grpc generates it untyped
    port = server.add_secure_port("127.0.0.1:0", server_credentials(material))
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def book_of(side: Side, port: int) -> PeerBook:
    """The side's directory, with the other's real address."""
    [known] = side.book.all()
    address, name = f"127.0.0.1:{port}", f"{known.community}.linli.test"
    return PeerBook([replace(known, address=address, certificate_name=name)])


def question(district: District, number: int = 0) -> Sealed:
    asked = PresentPass(exchange_id(number), f"{HOME}-ABCD2222")
    return district.host.say(asked, to=HOME, message_id=derived_id("grpc", number))


async def deliver(
    district: District, server: TlsMaterial, client: TlsMaterial, items: list[Sealed]
) -> list[Sealed]:
    async with serving(district.home, server) as port:
        peers = GrpcPeers(book_of(district.host, port), client)
        try:
            return await asyncio.wait_for(peers.deliver(HOME, items), CALL_SECONDS)
        finally:
            await peers.close()


def test_a_whole_exchange_over_real_wires(district: District, authority: Authority) -> None:
    """The relay runs as in a serving node: woken by commits, not by the test."""

    async def tell() -> None:
        async with serving(district.home, authority.material(HOME)) as port:
            peers = GrpcPeers(book_of(district.host, port), authority.material(HOST))
            relay = Relay(
                district.host.database,
                district.clock,
                peers,
                open_question=lambda sealed: wire.decode(sealed.payload),
                apply_answer=district.host.answers.apply,
            )
            running = asyncio.create_task(relay.run())
            await asyncio.to_thread(district.issue)
            await asyncio.to_thread(district.present)
            await until(lambda: district.visit().state == "accepted")
            await asyncio.to_thread(district.deliver)
            await asyncio.to_thread(district.confirm)
            await until(lambda: district.visit().state == "captured")
            running.cancel()
            await peers.close()

    asyncio.run(tell())
    district.check()
    assert district.home.clearing(HOST) == 90


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(400):
        if is_so():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to that in 20 seconds")


def test_the_wrong_authority_is_refused_by_both_ends(
    district: District, authority: Authority
) -> None:
    stranger = Authority.make()
    for server, client in (
        (authority.material(HOME), stranger.material(HOST)),
        (stranger.material(HOME), authority.material(HOST)),
    ):
        with pytest.raises(PeerUnreachable):
            asyncio.run(deliver(district, server, client, [question(district)]))


def test_an_expired_certificate_is_refused(district: District, authority: Authority) -> None:
    client = authority.material(HOST, is_expired=True)
    with pytest.raises(PeerUnreachable):
        asyncio.run(deliver(district, authority.material(HOME), client, [question(district)]))


def test_a_server_that_is_somebody_else_is_refused(
    district: District, authority: Authority
) -> None:
    server = authority.material("willow-bank")
    with pytest.raises(PeerUnreachable):
        asyncio.run(deliver(district, server, authority.material(HOST), [question(district)]))


def test_another_communitys_certificate_cannot_speak_for_this_one(
    district: District, authority: Authority
) -> None:
    """Even with the host's own signed bytes in hand: who calls comes from the certificate."""
    district.issue()
    [stolen] = asyncio.run(
        deliver(
            district,
            authority.material(HOME),
            authority.material("willow-bank"),
            [question(district)],
        )
    )
    refusal = wire.decode(stolen.payload).body
    assert isinstance(refusal, Refusal)
    assert refusal.code == "peer.unknown"
    assert district.pass_state() == "issued"


def test_a_certificate_without_a_community_is_not_heard(
    district: District, authority: Authority
) -> None:
    client = authority.material(HOST, is_named=False)
    with pytest.raises(PeerUnreachable, match="no_community_certificate"):
        asyncio.run(deliver(district, authority.material(HOME), client, [question(district)]))


def test_too_many_items_are_refused_as_a_whole(district: District, authority: Authority) -> None:
    items = [question(district, number) for number in range(ITEMS_MAX + 1)]
    server, client = authority.material(HOME), authority.material(HOST)
    with pytest.raises(PeerUnreachable, match="too_many_items"):
        asyncio.run(deliver(district, server, client, items))
    assert len(asyncio.run(deliver(district, server, client, items[:-1]))) == ITEMS_MAX


def test_answers_that_do_not_fit_one_message_come_in_the_next_ones(
    district: District, authority: Authority
) -> None:
    """A restored node asks for thousands of receipts at once; a small question is among them."""
    asked_count, proof_bytes = 20, 4_000
    total = asked_count * FETCH_MAX * proof_bytes
    assert ANSWERS_BYTES_MAX < MESSAGE_BYTES_MAX < total
    district.issue()
    _fill(district, asked_count=asked_count, proof_bytes=proof_bytes)
    district.present()
    sizes: list[list[int]] = []

    class Counting(GrpcPeers):
        async def deliver(self, community: str, items: Sequence[Sealed]) -> list[Sealed]:
            answers = await super().deliver(community, items)
            sizes.append([len(one.payload) for one in answers if one != NO_ANSWER])
            return answers

    async def drain() -> None:
        async with serving(district.home, authority.material(HOME)) as port:
            peers = Counting(book_of(district.host, port), authority.material(HOST))
            relay = Relay(
                district.host.database,
                district.clock,
                peers,
                open_question=lambda sealed: wire.decode(sealed.payload),
                apply_answer=lambda session, question, answer, sealed: (
                    district.host.answers.apply(session, question, answer, sealed)
                    if isinstance(question.body, PresentPass)
                    else None
                ),
            )
            await relay.drain_once()
            assert district.visit().state == "accepted", "the small answer passes at once"
            district.clock.advance(RETRY)
            await relay.drain_once()
            await peers.close()

    asyncio.run(drain())
    assert district.host.ask(outbox.waiting_count) == 0
    assert len(sizes) == 2
    assert sum(len(call) for call in sizes) == asked_count + 1, "each is answered once"
    assert all(sum(call) <= ANSWERS_BYTES_MAX for call in sizes)
    kept = select(func.count()).select_from(INBOX)
    assert district.home.ask(lambda session: session.scalar(kept)) == asked_count + 1


def _fill(district: District, *, asked_count: int, proof_bytes: int) -> None:
    """Home has receipts with long proofs, and the host asks for all of them."""
    ids = [derived_id("large", number) for number in range(asked_count * FETCH_MAX)]
    record = {"kind": "capture", "peer": HOST, "is_debt": False, "minutes": 30}
    record |= {"captured_at": district.clock.now(), "signature": bytes(64)}
    rows = [record | {"exchange_id": one, "payload": one.bytes + bytes(proof_bytes)} for one in ids]

    def ask(session: Session) -> None:
        for start in range(0, len(ids), FETCH_MAX):
            outbox.enqueue(
                session,
                district.clock,
                district.host.sealer,
                message_id=derived_id("large question", start),
                recipient=HOME,
                body=FetchReceipts(tuple(ids[start : start + FETCH_MAX])),
            )

    district.home.do(lambda session: session.execute(insert(ReceiptRecord), rows) and None)
    district.host.do(ask)


def test_a_peer_that_calls_too_often_is_asked_to_wait(
    district: District, authority: Authority
) -> None:
    async def call_twice() -> None:
        server, client = authority.material(HOME), authority.material(HOST)
        async with serving(district.home, server, CallLimit(calls_max=1)) as port:
            peers = GrpcPeers(book_of(district.host, port), client)
            try:
                assert len(await peers.deliver(HOME, [question(district)])) == 1
                with pytest.raises(PeerUnreachable, match=r"RESOURCE_EXHAUSTED: peer\.too_many"):
                    await peers.deliver(HOME, [question(district)])
            finally:
                await peers.close()

    asyncio.run(call_twice())


def test_a_stopping_node_says_try_again(district: District, authority: Authority) -> None:
    district.home.database.close()
    server, client = authority.material(HOME), authority.material(HOST)
    with pytest.raises(PeerUnreachable, match=r"kernel\.database_closed"):
        asyncio.run(deliver(district, server, client, [question(district)]))
    district.home.open()


def test_an_answer_is_checked_before_it_is_read(district: District, authority: Authority) -> None:
    peers = GrpcPeers(district.host.book, authority.material(HOST))
    answer = district.home.hear(question(district), caller=HOST)
    assert peers.open_answer(HOME, answer).in_reply_to == derived_id("grpc", 0)
    for wrong in (replace(answer, signature=bytes(64)), question(district)):
        with pytest.raises(BadAnswer):
            peers.open_answer(HOME, wrong)


def test_a_peer_that_is_not_in_the_directory_is_unreachable(authority: Authority) -> None:
    peers = GrpcPeers(PeerBook(), authority.material(HOST))
    with pytest.raises(PeerUnreachable, match="directory"):
        asyncio.run(peers.deliver(HOME, []))
