"""A real office on loopback, and nodes that join it, in one process."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from coordinator import directory, enrolment
from coordinator.app import OfficeServer, open_database
from coordinator.authority import Authority, create_authority, load_authority
from coordinator.keys import create_relay_key
from coordinator.settings import LOOPBACK, Address, Office, Place, Settings
from coordinator.working import OpenChain
from node.enrolment.directory import Membership
from node.enrolment.join import join
from node.kernel.clock import SystemClock
from node.kernel.db import Database
from node.kernel.files import write_file

ANY_PORT = Address(LOOPBACK, 0)
PEER = "127.0.0.1:9"
QUICK_SECONDS = 0.05


@dataclass
class ServedOffice:
    """The serving process, and beside it a database handle such as the terminal's commands use."""

    server: OfficeServer | None  # None: it is another process
    database: Database
    authority: Authority
    clock: SystemClock
    folder: Path

    def invitation(self, community: str, *, days: int = 7, secret: str = "") -> str:
        with self.database.read() as session:
            address = directory.fact(session, directory.ENROL_ADDRESS)
        secret = secret or f"secret of {community} in {self.folder.name}"
        self.database.do(
            lambda session: enrolment.invite(
                session,
                self.clock,
                community_id=community,
                name=f"Village {community}",
                secret=secret,
                lifetime=timedelta(days=days),
            )
        )
        return enrolment.invitation_text(
            address=address,
            ca_pem=self.authority.certificate_pem,
            secret=secret,
            community_id=community,
            district="District",
        )

    def approve(self, community: str) -> None:
        self.database.do(
            lambda session: enrolment.approve(
                session, self.clock, self.authority, community_id=community
            )
        )

    def revoke(self, community: str) -> None:
        self.database.do(
            lambda session: enrolment.revoke(session, self.clock, community_id=community)
        )

    async def admit(self, community: str) -> Membership:
        """A node that has joined."""
        return await join(
            self.folder / community,
            self.invitation(community),
            PEER,
            on_waiting=lambda: self.approve(community),
            patience_seconds=10,
        )


@asynccontextmanager
async def serving(
    folder: Path, *, open_chain: OpenChain | None = None, relay_key: bytes | None = None
) -> AsyncIterator[ServedOffice]:
    """An office that serves on free ports until the block ends; served again if it was there."""
    place, clock = Place(folder / "office"), SystemClock()
    paths = {"key_path": place.authority_key, "certificate_path": place.authority_certificate}
    if not place.keys.exists():
        place.keys.mkdir(parents=True)
        create_authority(**paths, name="District", now=clock.now())
        create_relay_key(place.relay_key)
        if relay_key is not None:
            write_file(place.relay_key, relay_key.hex().encode(), is_private=True)
    settings = Settings(
        place=place,
        office=Office(name="District"),
        enrol=ANY_PORT,
        member=ANY_PORT,
        http=ANY_PORT,
        superlink=None,
        ask_again_ms=50,
        work_poll_seconds=QUICK_SECONDS,
        chain_pause_seconds=QUICK_SECONDS,
        stop_grace_seconds=QUICK_SECONDS,
    )
    server = OfficeServer(settings, clock=clock, open_chain=open_chain)
    await server.start()
    database = open_database(place, clock)
    try:
        yield ServedOffice(server, database, load_authority(**paths), clock, folder)
    finally:
        database.close()
        await server.stop()


def packed(content: Mapping[str, str]) -> str:
    """An invitation's text."""
    encoded = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
    return "linli1." + encoded.rstrip("=")


def unpacked(text: str) -> bytes:
    """What an invitation's text holds."""
    encoded = text.removeprefix("linli1.")
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


async def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait, in bounds, until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(QUICK_SECONDS)
