"""A chain that fails when told to, and members with real keys, for the office's tests."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from contracts.terms import (
    Batch,
    BatchSettled,
    ChainRefused,
    ChainUnavailable,
    Position,
    Receipt,
    SignedTransaction,
    Status,
)
from coordinator import enrolment, settlement, wire
from coordinator.app import open_database
from coordinator.authority import Authority, create_authority, load_authority
from coordinator.model import Community, Round
from coordinator.rules import SignedStatement, StatedPosition
from coordinator.sending import Sender
from coordinator.settings import Place
from coordinator.settling import Settling
from node.enrolment.invitation import Invitation
from node.enrolment.join import new_request
from node.enrolment.keys import Keys, make_or_load_keys
from node.kernel import signing
from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.evm_address import checksummed, keccak256
from node.kernel.ids import derived_id
from protos import peer_pb2

HEAD = bytes(range(32))
LIMIT_MINUTES = 600
FINAL_DEPTH_BLOCKS = 5


class Killed(Exception):
    """The process died here."""


@dataclass
class FakeChain:
    """One contract in memory: transactions wait in `pool` until `mine` is called."""

    positions: dict[int, Position] = field(default_factory=dict)
    events: list[BatchSettled] = field(default_factory=list)
    receipts: dict[bytes, Receipt] = field(default_factory=dict)
    calls: dict[bytes, Callable[[bytes], None]] = field(default_factory=dict)
    pool: list[SignedTransaction] = field(default_factory=list)
    block: int = 1
    nonce: int = 0
    prepared: int = 0
    sent: list[bytes] = field(default_factory=list)
    is_down: bool = False
    dies_before_send: bool = False
    mines_at_once: bool = True
    refuses: str = ""

    def head(self) -> tuple[int, bytes]:
        self._answer()
        return self.block, self._hash_of(self.block)

    def block_hash(self, number: int) -> bytes | None:
        self._answer()
        return self._hash_of(number) if number <= self.block else None

    def position(self, number: int) -> Position:
        self._answer()
        unknown = Position(number, "0x" + "00" * 20, 0, 0, 0, Status.UNKNOWN)
        return self.positions.get(number, unknown)

    def signer_of(self, batch: Batch, signature: bytes) -> str:
        return checksummed(signature[:20]) if signature[20:52] == digest(batch) else "0x0"

    def prepare_settle(
        self, batch: Batch, signatures: Sequence[bytes], *, sender_key: bytes
    ) -> SignedTransaction:
        self._answer()
        self._check(batch, signatures)
        return self._prepared(lambda found: self._settle(batch, found))

    def prepare_register(
        self, number: int, signer: str, debt_limit_minutes: int, *, sender_key: bytes
    ) -> SignedTransaction:
        self._answer()
        return self._prepared(lambda _: self.register(number, signer, limit=debt_limit_minutes))

    def send(self, signed: SignedTransaction) -> None:
        if self.dies_before_send:
            raise Killed
        self._answer()
        if signed.hash in self.receipts:
            return
        if signed.nonce < self.nonce:
            raise ChainRefused("chain.nonce_used", "That nonce went to another transaction.")
        self.sent.append(signed.hash)
        if signed not in self.pool:
            self.pool.append(signed)
        if self.mines_at_once:
            self.mine()

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        self._answer()
        return self.receipts.get(transaction_hash)

    def settled_batches(self, from_block: int, to_block: int) -> list[BatchSettled]:
        self._answer()
        return [one for one in self.events if from_block <= one.block_number <= to_block]

    def register(self, number: int, signer: str, *, limit: int = LIMIT_MINUTES) -> None:
        self.positions[number] = Position(number, signer, 0, limit, 0, Status.ACTIVE)

    def undo(self, *, blocks: int = 1) -> None:
        """Other blocks take the place of the last ones, and what was in these waits in no pool."""
        first = self.block - blocks + 1
        for event in [one for one in self.events if one.block_number >= first]:
            self.events.remove(event)
            for entry in event.entries:
                now = self.positions[entry.community]
                self.positions[entry.community] = replace(
                    now,
                    balance_minutes=now.balance_minutes - entry.delta_minutes,
                    sequence=now.sequence - 1,
                )
        gone = [name for name, one in self.receipts.items() if one.block_number >= first]
        for name in gone:
            del self.receipts[name]
        self.nonce -= len(gone)

    def pass_blocks(self, count: int) -> None:
        """Blocks without anything in them."""
        self.block += count

    def mine(self) -> None:
        """Put the pool into a block each."""
        for signed in self.pool:
            self.block += 1
            self.nonce = signed.nonce + 1
            self.calls[signed.hash](signed.hash)
            self.receipts[signed.hash] = Receipt(
                signed.hash, True, self.block, self._hash_of(self.block), 21_000, None
            )
        self.pool.clear()

    def _hash_of(self, number: int) -> bytes:
        """As in any chain, it changes with what is in the block."""
        inside = [one.transaction_hash for one in self.events if one.block_number == number]
        return keccak256(number.to_bytes(32, "big") + b"".join(inside))

    def _answer(self) -> None:
        if self.is_down:
            raise ChainUnavailable("The chain is down in this test.")

    def _prepared(self, call: Callable[[bytes], None]) -> SignedTransaction:
        self.prepared += 1
        raw = f"transaction {self.prepared} with nonce {self.nonce}".encode()
        self.calls[keccak256(raw)] = call
        return SignedTransaction(keccak256(raw), raw, self.nonce)

    def _check(self, batch: Batch, signatures: Sequence[bytes]) -> None:
        if self.refuses:
            raise ChainRefused(self.refuses, "Because the test says so.")
        for entry, signature in zip(batch.entries, signatures, strict=True):
            position = self.positions[entry.community]
            if entry.sequence != position.sequence:
                raise ChainRefused("chain.stale_sequence", "Another sequence is next.")
            if self.signer_of(batch, signature) != position.signer:
                raise ChainRefused("chain.bad_signature", "Not its signer.")

    def _settle(self, batch: Batch, transaction_hash: bytes) -> None:
        for entry in batch.entries:
            old = self.positions[entry.community]
            self.positions[entry.community] = Position(
                old.community,
                old.signer,
                old.balance_minutes + entry.delta_minutes,
                old.debt_limit_minutes,
                old.sequence + 1,
                old.status,
            )
        event = BatchSettled(
            batch.round_id, batch.merkle_root, batch.entries, self.block, b"", transaction_hash
        )
        self.events.append(event)
        self.events[-1] = replace(event, block_hash=self._hash_of(self.block))


def digest(batch: Batch) -> bytes:
    return keccak256(repr(batch).encode())


@dataclass(frozen=True)
class FakeMember:
    """A community with real keys and a pen that signs for FakeChain."""

    id: str
    keys: Keys

    def sign_batch(self, batch: Batch) -> bytes:
        return (self.keys.settlement_address + digest(batch)).ljust(65, b"\0")


@dataclass
class FakeOffice:
    """The office's rules over a real database, without ports."""

    place: Place
    clock: VirtualClock
    database: Database
    authority: Authority
    chain: FakeChain
    members: dict[str, FakeMember] = field(default_factory=dict)

    def invitation(self, community: str, *, secret: str | None = None) -> Invitation:
        """Invite, and the invitation as the node reads it."""
        secret = secret or f"secret of {community}"
        self.database.do(
            lambda session: enrolment.invite(
                session,
                self.clock,
                community_id=community,
                name=f"Village {community}",
                secret=secret,
            )
        )
        return Invitation("127.0.0.1:1", self.authority.certificate_pem, secret, community, "D")

    def apply(self, invitation: Invitation, keys: Keys, *, peer: str = "127.0.0.1:2") -> None:
        application = wire.application(new_request(keys, invitation, peer))
        self.database.do(
            lambda session: enrolment.apply(session, self.clock, application=application)
        )

    def approve(self, community: str) -> Community:
        return self.database.do(
            lambda session: enrolment.approve(
                session, self.clock, self.authority, community_id=community
            )
        )

    def admit(self, community: str, folder: Path, *, limit: int = LIMIT_MINUTES) -> FakeMember:
        """A member, on the chain too."""
        keys = make_or_load_keys(folder / community)
        self.apply(self.invitation(community), keys)
        approved = self.approve(community)
        assert approved.number is not None
        self.chain.register(approved.number, checksummed(keys.settlement_address), limit=limit)
        self.members[community] = FakeMember(community, keys)
        return self.members[community]

    def open_round(self) -> Round:
        return self.database.do(
            lambda session: settlement.open_round(
                session, self.clock, collect_seconds=60, signing_seconds=60
            )
        )

    def round(self) -> Round:
        with self.database.read() as session:
            current = settlement.latest_round(session)
        assert current is not None
        return current

    def statement(self, debtor: str, creditor: str, *, minutes: int) -> SignedStatement:
        """What both sides have signed."""
        payload = peer_pb2.Statement(
            statement_id=str(derived_id("statement", debtor, creditor, minutes)),
            debtor=debtor,
            creditor=creditor,
            count=1,
            minutes=minutes,
            merkle_root=HEAD,
        ).SerializeToString(deterministic=True)
        sides = (self.members[debtor], self.members[creditor])
        signatures = [
            signing.sign(side.keys.signing, context=signing.STATEMENT, payload=payload)
            for side in sides
        ]
        return SignedStatement(payload, signatures[0], signatures[1])

    def state(self, debtor: str, *statements: SignedStatement) -> None:
        self.database.do(
            lambda session: settlement.take_position(
                session,
                self.clock,
                community_id=debtor,
                round_id=self.round().round_id,
                position=StatedPosition(HEAD, statements),
            )
        )

    def sign(self, *communities: str) -> None:
        current = self.round()
        assert current.batch is not None
        batch = settlement.terms_batch(wire.proposal(current.batch))
        for community in communities:
            signature = self.members[community].sign_batch(batch)
            self.database.do(
                lambda session, one=community, signature=signature: settlement.take_signature(  # type: ignore[misc]
                    session,
                    self.clock,
                    community_id=one,
                    round_id=current.round_id,
                    signature=signature,
                    recover=self.chain.signer_of,
                )
            )

    def settling(self) -> Settling:
        """As a new process would make it."""
        return Settling(
            database=self.database,
            clock=self.clock,
            chain=self.chain,
            sender=Sender(self.database, self.clock, self.chain, confirmations=1),
            relay_key=b"\1" * 32,
            attempts_max=4,
            look_back_blocks=1_000,
            final_depth_blocks=FINAL_DEPTH_BLOCKS,
        )

    async def work(self) -> None:
        settling = self.settling()
        while await settling.step():
            pass

    def later(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def balances(self) -> dict[str, int]:
        with self.database.read() as session:
            numbers = {one.id: one.number for one in session.query(Community)}
        return {
            community: self.chain.positions[numbers[community] or 0].balance_minutes
            for community in self.members
        }


def copy_of(founded: FakeOffice, folder: Path) -> FakeOffice:
    """The same office and members at another place, to be spoiled by one test."""
    shutil.copytree(founded.place.directory, folder)
    place, clock = Place(folder), VirtualClock(founded.clock.moment)
    return replace(
        founded,
        place=place,
        clock=clock,
        database=open_database(place, clock),
        chain=FakeChain(positions=dict(founded.chain.positions)),
        members=dict(founded.members),
    )


def found_office(folder: Path) -> FakeOffice:
    """A new office in `folder`, at the virtual clock's beginning."""
    place, clock = Place(folder), VirtualClock()
    place.keys.mkdir(parents=True)
    paths = {"key_path": place.authority_key, "certificate_path": place.authority_certificate}
    create_authority(**paths, name="District", now=clock.now())
    database = open_database(place, clock)
    return FakeOffice(place, clock, database, load_authority(**paths), FakeChain())
