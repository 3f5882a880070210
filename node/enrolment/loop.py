"""Keeps a node in touch with the district's office, and never in need of it.

Every beat tells that the node is there and hears what is new: directory, model, settlement round.
The certificate is renewed from half of its life on. When the office is away the loop waits, longer
each time; nothing else in the node notices.
"""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256

import structlog

from node.enrolment.client import MembershipClient, OnSent
from node.enrolment.directory import Directory, Membership
from node.enrolment.keys import certificate_request
from node.enrolment.refusals import CertificateExpired, OfficeUnreachable
from node.enrolment.rounds import (
    BatchProposal,
    Model,
    News,
    Report,
    RoundHandler,
    RoundNotice,
    RoundState,
)
from node.kernel.errors import DomainError
from node.kernel.ports import Clock

HEARTBEAT_SECONDS = 1.0
PAUSE_SECONDS_MAX = 15.0  # between attempts while the office is away
EXPIRED_PAUSE_SECONDS = 600.0

log = structlog.get_logger()

Told = Callable[[Membership], Awaitable[None]]


class MembershipLoop:
    """One node's standing conversation with its office.

    `on_membership` hears of every new directory or certificate, `on_model` of a model that `report`
    does not name yet, `rounds` is asked for positions and signatures. Each runs inside the loop;
    one that fails is logged and asked again at the next beat. `on_bundle` is offered training code
    that the office means to send and that `has_bundle` does not know. `on_sent` hears of all that
    left.
    """

    def __init__(
        self,
        membership: Membership,
        *,
        clock: Clock,
        rounds: RoundHandler | None = None,
        report: Callable[[], Report] = Report,
        on_membership: Told | None = None,
        on_model: Callable[[Model], Awaitable[None]] | None = None,
        has_bundle: Callable[[str], bool] = lambda _: True,
        on_bundle: Callable[[str, bytes], Awaitable[None]] | None = None,
        on_sent: OnSent | None = None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self.membership = membership
        self._clock = clock
        self._rounds = rounds
        self._report = report
        self._on_membership = on_membership
        self._on_model = on_model
        self._has_bundle = has_bundle
        self._on_bundle = on_bundle
        self._on_sent = on_sent
        self._heartbeat_seconds = heartbeat_seconds
        self._client: MembershipClient | None = None
        self._ended_round: bytes | None = None
        self._trouble = ""

    @property
    def directory(self) -> Directory:
        """The newest directory that is known."""
        return self.membership.directory

    async def run(self) -> None:
        """Beat until cancelled."""
        pause_seconds = self._heartbeat_seconds
        try:
            while True:
                try:
                    await self.beat()
                except CertificateExpired as expired:
                    self._note(expired)
                    pause_seconds = EXPIRED_PAUSE_SECONDS
                except DomainError as refusal:
                    self._note(refusal)
                    pause_seconds = min(2 * pause_seconds, PAUSE_SECONDS_MAX)
                except Exception as failure:
                    log.error(
                        "beat_failed", error=type(failure).__name__, reason=str(failure)[:400]
                    )
                    pause_seconds = min(2 * pause_seconds, PAUSE_SECONDS_MAX)
                else:
                    pause_seconds = self._heartbeat_seconds
                    self._trouble = ""
                await asyncio.sleep(pause_seconds)
        finally:
            await self._hang_up()

    async def beat(self) -> News:
        """One exchange with the office, and everything that follows from its news."""
        self.membership.require_current(self._clock.now())
        client = self._dial()
        try:
            news = await client.heartbeat(self._report(), directory_version=self.directory.version)
        except OfficeUnreachable:
            await self._hang_up()  # the next call dials anew, also after the office has moved
            raise
        if news.directory_version > self.directory.version:
            await self._take(self.membership.with_directory(await client.directory()))
        if self._clock.now() >= self.membership.renew_at:
            await self._renew()
        if news.model_sha256 and news.model_sha256 != self._report().model_sha256:
            await self._fetch_model(news.model_sha256)
        if news.bundle_sha256 and not self._has_bundle(news.bundle_sha256):
            await self._fetch_bundle(news.bundle_sha256)
        if news.round is not None and self._rounds is not None:  # last: it may wait for the chain
            await self._attend(self._rounds, news.round)
        return news

    async def batch(self, round_id: bytes) -> BatchProposal:
        """A batch of an earlier round, for the one who was away when it was proposed."""
        return await self._dial().batch(round_id)

    async def _attend(self, rounds: RoundHandler, notice: RoundNotice) -> None:
        client = self._dial()
        if notice.state is RoundState.COLLECTING and not notice.has_position:
            position = await rounds.state_position(notice)
            if position is not None:
                await client.submit_position(notice.round_id, position)
        elif notice.needs_signature and not notice.has_signature:
            proposal = await client.batch(notice.round_id)
            signature = await rounds.sign_batch(notice, proposal)
            if signature is not None:
                await client.submit_signature(round_id=notice.round_id, signature=signature)
        elif notice.has_ended and self._ended_round != notice.round_id:
            await rounds.round_ended(notice)
            self._ended_round = notice.round_id

    async def _fetch_model(self, wanted_sha256: str) -> None:
        if self._on_model is None:
            return
        model = await self._dial().model(wanted_sha256)
        if sha256(model.content).hexdigest() != wanted_sha256:
            log.error("model_differs_from_its_hash", sha256=wanted_sha256)
            return
        await self._on_model(model)

    async def _fetch_bundle(self, wanted_sha256: str) -> None:
        if self._on_bundle is None:
            return
        content = await self._dial().bundle(wanted_sha256)
        if sha256(content).hexdigest() != wanted_sha256:
            log.error("bundle_differs_from_its_hash", sha256=wanted_sha256)
            return
        await self._on_bundle(wanted_sha256, content)

    async def _renew(self) -> None:
        membership = self.membership
        own = membership.directory.member(membership.community)
        assert own is not None, "the office lists every community it approved"
        request = certificate_request(
            membership.keys, community_id=membership.community, peer_address=own.peer_address
        )
        renewed = membership.with_certificate(await self._dial().renew(request))
        await self._hang_up()
        await self._take(renewed)
        log.info("certificate_renewed", expires_at=renewed.expires_at.isoformat())

    async def _take(self, membership: Membership) -> None:
        has_moved = membership.directory.member_address != self.directory.member_address
        self.membership = membership
        if has_moved:
            await self._hang_up()
        if self._on_membership is not None:
            await self._on_membership(membership)

    def _dial(self) -> MembershipClient:
        if self._client is None:
            self._client = MembershipClient(self.membership, self._on_sent)
        return self._client

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _note(self, trouble: DomainError) -> None:
        if trouble.code != self._trouble:  # said once, not at every beat
            log.warning("office_trouble", code=trouble.code, reason=str(trouble))
            self._trouble = trouble.code
