"""What a simulated district starts from: keys from the seed, directory, files with residents."""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from contracts.consent import address_of
from coordinator.model import OfficeBase
from node.enrolment.directory import Directory, Member
from node.exchange.home import SETTLED
from node.kernel.clock import EPOCH, VirtualClock
from node.kernel.db import Base, Database
from node.kernel.ids import derived_id
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.peer.book import KnownPeer
from node.points import service as points
from node.residents import service as residents
from simulation.settlement_chain import CHAIN_ID, CONTRACT_ADDRESS

ON_CHAIN_MAX = 1_000_000_000  # minutes, as in node/app.py


@dataclass(frozen=True)
class TownKeys:
    """A community's private keys, and the public halves that others know."""

    signing: Ed25519PrivateKey
    settlement: bytes

    @property
    def signing_public(self) -> bytes:
        """32 bytes."""
        return self.signing.public_key().public_bytes_raw()

    @property
    def address(self) -> str:
        """How the chain knows this community."""
        return address_of(self.settlement)


def keys_of(seed: int, name: str) -> TownKeys:
    """The same keys in every history of this seed."""
    signing = hashlib.sha256(f"{seed}/{name}/signing".encode()).digest()
    settlement = hashlib.sha256(f"{seed}/{name}/settlement".encode()).digest()
    return TownKeys(Ed25519PrivateKey.from_private_bytes(signing), settlement)


def known_peer(name: str, keys: TownKeys) -> KnownPeer:
    """A community as its neighbours know it."""
    return KnownPeer(name, name, f"{name}:1", name, keys.signing_public)


def directory_of(members: Sequence[tuple[str, TownKeys]]) -> Directory:
    """Every community, numbered on the chain in this order."""
    return Directory(
        district="simulated",
        version=1,
        issued_at=EPOCH,
        members=tuple(
            Member(name, name, number, f"{name}:1", keys.signing_public, keys.address, False)
            for number, (name, keys) in enumerate(members, 1)
        ),
        contract_address=CONTRACT_ADDRESS,
        chain_id=CHAIN_ID,
        member_address="office:1",
        superlink_address=None,
    )


def resident_id(town: str, number: int) -> UUID:
    """The id of a community's resident with this number."""
    return derived_id("simulated resident", town, number)


@cache
def office_file() -> bytes:
    """An office's file with empty tables."""
    return _file(lambda session: OfficeBase.metadata.create_all(session.connection()))


@cache
def town_file(
    name: str,
    peers: tuple[str, ...],
    *,
    residents_count: int,
    credit_limit_minutes: int,
    peer_limit_minutes: int,
) -> bytes:
    """A node's file with its residents, as app.py prepares it for these neighbours."""
    clock = VirtualClock()

    def prepare(session: Session) -> None:
        Base.metadata.create_all(session.connection())
        points.prepare(session, clock)
        house = (ledger.house_account(SETTLED, Unit.MINUTES), "house", SETTLED, ON_CHAIN_MAX)
        clearing = [
            (ledger.clearing_account(peer), ledger.CLEARING, peer, peer_limit_minutes)
            for peer in peers
        ]
        for account_id, kind, owner, limit in (house, *clearing):
            ledger.open_account(
                session,
                account_id=account_id,
                unit=Unit.MINUTES,
                kind=kind,
                owner=owner,
                floor=-limit,
            )
        for number in range(residents_count):
            residents.join(
                session,
                clock,
                resident_id=resident_id(name, number),
                name=f"Resident {number}",
                phone=f"1380000{number:04}",
                credit_limit_minutes=credit_limit_minutes,
            )

    return _file(prepare)


def _file(prepare: Callable[[Session], None]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "template.sqlite"
        database = Database(f"sqlite:///{file}", clock=VirtualClock(), has_thread=False)
        database.do(prepare)
        database.close()
        return file.read_bytes()
