"""Calls to the district's office: TLS against its own root, deadlines, refusals in words."""

from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import Any, TypeVar

import grpc
import grpc.aio

from contracts.terms import Batch, BatchEntry
from node.enrolment.directory import Membership
from node.enrolment.invitation import Invitation
from node.enrolment.refusals import OfficeRefused, OfficeUnreachable
from node.enrolment.rounds import (
    BatchProposal,
    Model,
    News,
    Position,
    Report,
    RoundNotice,
    RoundState,
)
from protos import enrolment_pb2 as pb
from protos import enrolment_pb2_grpc

CALL_TIMEOUT_SECONDS = 10.0
MODEL_TIMEOUT_SECONDS = 60.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
OFFICE_NAME = "office.linli"  # what the office's certificate says, wherever it is served
CODE_KEY = "linli-code"
SENTENCE_CHARACTERS_MAX = 300
OPTIONS = (
    ("grpc.ssl_target_name_override", OFFICE_NAME),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
STATES = {
    pb.ROUND_STATE_COLLECTING: RoundState.COLLECTING,
    pb.ROUND_STATE_SIGNING: RoundState.SIGNING,
    pb.ROUND_STATE_SENDING: RoundState.SENDING,
    pb.ROUND_STATE_SETTLED: RoundState.SETTLED,
    pb.ROUND_STATE_EMPTY: RoundState.EMPTY,
    pb.ROUND_STATE_FAILED: RoundState.FAILED,
}

Reply = TypeVar("Reply")

OnSent = Callable[[str, int], Awaitable[None]]
"""Told of every request that the office answered: its method's name, and its bytes."""


class EnrolmentClient:
    """The office's door for those who hold an invitation."""

    def __init__(self, invitation: Invitation) -> None:
        self._address = invitation.address
        self._channel = grpc.aio.secure_channel(
            invitation.address,
            grpc.ssl_channel_credentials(root_certificates=invitation.ca_pem.encode()),
            options=OPTIONS,
        )
        self._stub: Any = enrolment_pb2_grpc.EnrolmentStub(self._channel)  # type: ignore[no-untyped-call] # generated code

    async def join(self, request: pb.JoinRequest) -> pb.JoinReply:
        return await _answer(self._stub.Join(request, timeout=CALL_TIMEOUT_SECONDS), self._address)

    async def status(self, *, secret: str, community: str) -> pb.JoinReply:
        request = pb.JoinStatusRequest(invitation_secret=secret, community_id=community)
        call = self._stub.JoinStatus(request, timeout=CALL_TIMEOUT_SECONDS)
        return await _answer(call, self._address)

    async def close(self) -> None:
        await self._channel.close()


class MembershipClient:
    """What an enrolled community asks of the office, under its own certificate."""

    def __init__(self, membership: Membership, on_sent: OnSent | None = None) -> None:
        self._address = membership.directory.member_address
        self._on_sent = on_sent
        self._channel = grpc.aio.secure_channel(
            self._address,
            grpc.ssl_channel_credentials(
                root_certificates=membership.ca_pem,
                private_key=membership.keys.peer_pem,
                certificate_chain=membership.certificate_pem,
            ),
            options=OPTIONS,
        )
        self._stub: Any = enrolment_pb2_grpc.MembershipStub(self._channel)  # type: ignore[no-untyped-call] # generated code

    async def renew(self, csr_pem: str) -> bytes:
        """A new certificate, PEM."""
        reply: pb.RenewReply = await self._call("Renew", pb.RenewRequest(csr_pem=csr_pem))
        return reply.certificate_pem.encode()

    async def directory(self) -> pb.SignedDirectory:
        """The directory as it stands; Membership.with_directory checks and keeps it."""
        signed: pb.SignedDirectory = await self._call("GetDirectory", pb.GetDirectoryRequest())
        return signed

    async def heartbeat(self, report: Report, *, directory_version: int) -> News:
        """Tell that we are here; hear what is new."""
        request = pb.HeartbeatRequest(
            directory_version=directory_version,
            model_sha256=report.model_sha256,
            adopted_arm=report.adopted_arm,
            errors=[pb.ArmError(arm=arm, total_mae=mae) for arm, mae in report.errors.items()],
            data_from=report.data_from,
            data_to=report.data_to,
        )
        reply: pb.HeartbeatReply = await self._call("Heartbeat", request)
        return News(
            directory_version=reply.directory_version,
            model_sha256=reply.model_sha256,
            round=_notice(reply.round) if reply.HasField("round") else None,
            bundle_sha256=reply.bundle_sha256,
        )

    async def model(self, sha256: str) -> Model:
        request = pb.GetModelRequest(sha256=sha256)
        reply: pb.GetModelReply = await self._call(
            "GetModel", request, timeout_seconds=MODEL_TIMEOUT_SECONDS
        )
        return Model(sha256=sha256, content=reply.model, card_json=reply.card_json)

    async def bundle(self, sha256: str) -> bytes:
        """The training code of this hash, to be read; the caller checks that it is."""
        request = pb.GetBundleRequest(sha256=sha256)
        reply: pb.GetBundleReply = await self._call(
            "GetBundle", request, timeout_seconds=MODEL_TIMEOUT_SECONDS
        )
        return reply.bundle

    async def submit_position(self, round_id: bytes, position: Position) -> None:
        """State what this community owes; once, and the same when repeated."""
        request = pb.SubmitPositionRequest(
            round_id=round_id,
            ledger_head=position.ledger_head,
            statements=[
                pb.SignedStatement(
                    payload=one.payload,
                    debtor_signature=one.debtor_signature,
                    creditor_signature=one.creditor_signature,
                )
                for one in position.statements
            ],
        )
        await self._call("SubmitPosition", request)

    async def batch(self, round_id: bytes) -> BatchProposal:
        reply: pb.BatchProposal = await self._call(
            "GetBatch", pb.GetBatchRequest(round_id=round_id)
        )
        batch = Batch(
            round_id=reply.round_id,
            merkle_root=reply.merkle_root,
            deadline=reply.deadline,
            entries=tuple(
                BatchEntry(one.number, one.delta_minutes, one.sequence, one.ledger_head)
                for one in reply.entries
            ),
        )
        return BatchProposal(batch=batch, statements=tuple(reply.statements))

    async def submit_signature(self, *, round_id: bytes, signature: bytes) -> None:
        request = pb.SubmitSignatureRequest(round_id=round_id, signature=signature)
        await self._call("SubmitSignature", request)

    async def close(self) -> None:
        await self._channel.close()

    async def _call(
        self, method: str, request: Any, *, timeout_seconds: float = CALL_TIMEOUT_SECONDS
    ) -> Any:
        call = getattr(self._stub, method)(request, timeout=timeout_seconds)
        reply = await _answer(call, self._address)
        if self._on_sent is not None:
            await self._on_sent(method, request.ByteSize())
        return reply


async def _answer(call: Awaitable[Reply], address: str) -> Reply:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        metadata = dict(error.trailing_metadata() or ())
        reason = metadata.get(CODE_KEY)
        sentence = (error.details() or error.code().name)[:SENTENCE_CHARACTERS_MAX]
        if reason is not None:
            raise OfficeRefused(reason=str(reason), sentence=sentence) from error
        raise OfficeUnreachable(address=address, problem=sentence) from error


def _notice(content: pb.RoundNotice) -> RoundNotice:
    return RoundNotice(
        round_id=content.round_id,
        number=content.number,
        state=STATES[content.state],
        closes_at=content.closes_at.ToDatetime(tzinfo=UTC),
        has_position=content.has_position,
        has_signature=content.has_signature,
        needs_signature=content.needs_signature,
        transaction_hash=content.transaction_hash or None,
    )
