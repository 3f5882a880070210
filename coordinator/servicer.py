"""What communities ask of the office, over gRPC: translate, call the rules, translate."""

from dataclasses import dataclass
from pathlib import Path

import grpc.aio
from sqlalchemy.orm import Session

from coordinator import directory, enrolment, registry, settlement, wire
from coordinator.authority import Authority, caller
from coordinator.bundle import bundle_path, is_hash
from coordinator.model import Community
from coordinator.refusals import BundleUnknown, CertificateUnknown, NoContract
from coordinator.settlement import Recover
from coordinator.status import Context, RefusalsBecomeStatus
from coordinator.training import is_news, latest_model, model_file, note_report
from node.kernel.db import Database
from node.kernel.ports import Clock
from protos import enrolment_pb2 as pb
from protos import enrolment_pb2_grpc

ERRORS_MAX = 10  # arms that a node may tell of in one call


@dataclass
class Desk:
    """What both services work with. `recover` is set once a contract is known."""

    database: Database
    clock: Clock
    authority: Authority
    district: str
    models: Path
    bundles: Path
    ask_again_ms: int
    recover: Recover | None = None

    def signed_directory(self) -> pb.SignedDirectory:
        """The directory as it stands now, under the office's signature."""
        with self.database.read() as session:
            payload = wire.directory_payload(
                directory.listing(session), district=self.district, issued_at=self.clock.now()
            )
        return pb.SignedDirectory(payload=payload, signature=self.authority.sign_directory(payload))


class EnrolmentServicer(enrolment_pb2_grpc.EnrolmentServicer):
    """For those who hold an invitation and no certificate yet."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def Join(self, request: pb.JoinRequest, context: Context) -> pb.JoinReply:  # noqa: N802 (the wire's name)
        async with RefusalsBecomeStatus(context):
            application = wire.application(request)
            # A guess is refused by a read: strangers cannot keep the one writer busy.
            self._reply(application.invitation_secret, application.community_id)
            await self._desk.database.run(
                lambda session: enrolment.apply(session, self._desk.clock, application=application)
            )
            return self._reply(application.invitation_secret, application.community_id)

    async def JoinStatus(self, request: pb.JoinStatusRequest, context: Context) -> pb.JoinReply:  # noqa: N802 (the wire's name)
        async with RefusalsBecomeStatus(context):
            return self._reply(request.invitation_secret, request.community_id)

    def _reply(self, secret: str, community_id: str) -> pb.JoinReply:
        with self._desk.database.read() as session:
            _, certificate = enrolment.answer(
                session, self._desk.clock, secret=secret, community_id=community_id
            )
        if certificate is None:
            return pb.JoinReply(waiting=pb.Waiting(ask_again_ms=self._desk.ask_again_ms))
        return pb.JoinReply(
            approval=pb.Approval(
                certificate_pem=certificate.pem,
                ca_pem=self._desk.authority.certificate_pem,
                directory=self._desk.signed_directory(),
            )
        )


class MembershipServicer(enrolment_pb2_grpc.MembershipServicer):
    """For enrolled communities; who calls is what the certificate says."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def Renew(self, request: pb.RenewRequest, context: Context) -> pb.RenewReply:  # noqa: N802 (the wire's name)
        async with RefusalsBecomeStatus(context):
            desk, member = self._desk, self._member(context)
            certificate = await desk.database.run(
                lambda session: enrolment.renew(
                    session,
                    desk.clock,
                    desk.authority,
                    community_id=member.id,
                    csr_pem=request.csr_pem,
                )
            )
            return pb.RenewReply(
                certificate_pem=certificate.pem, ca_pem=desk.authority.certificate_pem
            )

    async def GetDirectory(  # noqa: N802 (the wire's name)
        self, request: pb.GetDirectoryRequest, context: Context
    ) -> pb.SignedDirectory:
        async with RefusalsBecomeStatus(context):
            self._member(context)
            return self._desk.signed_directory()

    async def Heartbeat(  # noqa: N802 (the wire's name)
        self, request: pb.HeartbeatRequest, context: Context
    ) -> pb.HeartbeatReply:
        async with RefusalsBecomeStatus(context):
            desk, member = self._desk, self._member(context)
            report = {"adopted_arm": request.adopted_arm, "model_sha256": request.model_sha256}
            errors = {one.arm: one.total_mae for one in request.errors[:ERRORS_MAX]}
            about = {"community_id": member.id, "model_sha256": request.model_sha256}
            with desk.database.read() as session:
                has_news = is_news(session, desk.clock, community_id=member.id, **report)
                has_errors = not registry.are_known(session, **about, errors=errors)

            def note(session: Session) -> None:
                note_report(session, desk.clock, community_id=member.id, **report)
                days = (request.data_from, request.data_to)
                registry.note_errors(session, desk.clock, **about, errors=errors, days=days)

            if has_news or has_errors:
                await desk.database.run(note)
            return self._news(member.id)

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelReply:  # noqa: N802 (the wire's name)
        async with RefusalsBecomeStatus(context):
            self._member(context)
            with self._desk.database.read() as session:
                card_json = model_file(session, sha256=request.sha256)
            model = (self._desk.models / request.sha256).read_bytes()
            return pb.GetModelReply(model=model, card_json=card_json)

    async def GetBundle(self, request: pb.GetBundleRequest, context: Context) -> pb.GetBundleReply:  # noqa: N802 (the wire's name)
        async with RefusalsBecomeStatus(context):
            self._member(context)
            if not is_hash(request.sha256):
                raise BundleUnknown(sha256=request.sha256[:64])
            try:
                bundle = bundle_path(self._desk.bundles, request.sha256).read_bytes()
            except FileNotFoundError as error:
                raise BundleUnknown(sha256=request.sha256) from error
            return pb.GetBundleReply(bundle=bundle)

    async def SubmitPosition(  # noqa: N802 (the wire's name)
        self, request: pb.SubmitPositionRequest, context: Context
    ) -> pb.SubmitPositionReply:
        async with RefusalsBecomeStatus(context):
            desk, member = self._desk, self._member(context)
            position = wire.position(request)
            await desk.database.run(
                lambda session: settlement.take_position(
                    session,
                    desk.clock,
                    community_id=member.id,
                    round_id=request.round_id,
                    position=position,
                )
            )
            return pb.SubmitPositionReply()

    async def GetBatch(self, request: pb.GetBatchRequest, context: Context) -> pb.BatchProposal:  # noqa: N802 (the wire's name)
        async with RefusalsBecomeStatus(context):
            self._member(context)
            with self._desk.database.read() as session:
                return wire.batch(settlement.batch_of(session, round_id=request.round_id))

    async def SubmitSignature(  # noqa: N802 (the wire's name)
        self, request: pb.SubmitSignatureRequest, context: Context
    ) -> pb.SubmitSignatureReply:
        async with RefusalsBecomeStatus(context):
            desk, member, recover = self._desk, self._member(context), self._desk.recover
            if recover is None:
                raise NoContract(directory="DIR")
            await desk.database.run(
                lambda session: settlement.take_signature(
                    session,
                    desk.clock,
                    community_id=member.id,
                    round_id=request.round_id,
                    signature=request.signature,
                    recover=recover,
                )
            )
            return pb.SubmitSignatureReply()

    def _member(self, context: Context) -> Community:
        pem = next(iter(context.auth_context().get("x509_pem_cert", ())), None)
        if pem is None:
            raise CertificateUnknown()
        community_id, serial = caller(pem)
        with self._desk.database.read() as session:
            return enrolment.require_member(
                session, self._desk.clock, community_id=community_id, serial=serial
            )

    def _news(self, community_id: str) -> pb.HeartbeatReply:
        with self._desk.database.read() as session:
            reply = pb.HeartbeatReply(
                directory_version=directory.version(session),
                model_sha256=latest_model(session),
                superlink_address=directory.fact(session, directory.SUPERLINK_ADDRESS),
                bundle_sha256=directory.fact(session, directory.BUNDLE_SHA256),
            )
            notice = settlement.notice(session, community_id=community_id)
            if notice is not None:
                reply.round.CopyFrom(
                    wire.round_notice(
                        notice.round,
                        has_position=notice.has_position,
                        has_signature=notice.has_signature,
                        needs_signature=notice.needs_signature,
                    )
                )
            return reply


def add_enrolment(server: grpc.aio.Server, desk: Desk) -> None:
    """Offer Join on this server."""
    enrolment_pb2_grpc.add_EnrolmentServicer_to_server(EnrolmentServicer(desk), server)  # type: ignore[no-untyped-call] # generated code


def add_membership(server: grpc.aio.Server, desk: Desk) -> None:
    """Offer everything else on this server, which must ask for client certificates."""
    enrolment_pb2_grpc.add_MembershipServicer_to_server(MembershipServicer(desk), server)  # type: ignore[no-untyped-call] # generated code
