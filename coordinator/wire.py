"""Messages to what the office works with and back, and nothing else."""

from datetime import UTC, datetime

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from coordinator.directory import Listing
from coordinator.enrolment import Application
from coordinator.model import Community, CommunityState, Round
from coordinator.refusals import ApplicationUnusable
from coordinator.rules import (
    Entry,
    Proposal,
    RoundState,
    SignedStatement,
    StatedPosition,
    Statement,
)
from protos import enrolment_pb2 as pb
from protos import peer_pb2

STATES = {
    RoundState.COLLECTING: pb.ROUND_STATE_COLLECTING,
    RoundState.SIGNING: pb.ROUND_STATE_SIGNING,
    RoundState.SENDING: pb.ROUND_STATE_SENDING,
    RoundState.SETTLED: pb.ROUND_STATE_SETTLED,
    RoundState.EMPTY: pb.ROUND_STATE_EMPTY,
    RoundState.FAILED: pb.ROUND_STATE_FAILED,
}


def application(request: pb.JoinRequest) -> Application:
    """A request to join as it reads; what it claims is not checked here."""
    try:
        content = pb.JoinApplication.FromString(request.application)
    except DecodeError as error:
        raise ApplicationUnusable(problem="it is unreadable") from error
    return Application(
        signed_bytes=request.application,
        signature=request.signature,
        settlement_proof=request.settlement_proof,
        invitation_secret=content.invitation_secret,
        community_id=content.community_id,
        csr_pem=content.csr_pem,
        signing_public_key=content.signing_public_key,
        settlement_public_key=content.settlement_public_key,
        settlement_address=content.settlement_address,
        flower_public_key=content.flower_public_key,
        peer_address=content.peer_address,
    )


def directory_payload(listing: Listing, *, district: str, issued_at: datetime) -> bytes:
    """The bytes that the office signs."""
    directory = pb.Directory(
        district=district,
        version=listing.version,
        issued_at=timestamp(issued_at),
        members=[member(community) for community in listing.members],
        contract_address=listing.contract_address,
        chain_id=listing.chain_id,
        member_address=listing.member_address,
        superlink_address=listing.superlink_address,
    )
    return directory.SerializeToString(deterministic=True)


def member(community: Community) -> pb.Member:
    return pb.Member(
        community_id=community.id,
        name=community.name,
        number=community.number,
        peer_address=community.peer_address,
        signing_public_key=community.signing_public_key,
        settlement_address=community.settlement_address,
        is_revoked=community.state is CommunityState.REVOKED,
    )


def round_notice(
    current: Round, *, has_position: bool, has_signature: bool, needs_signature: bool
) -> pb.RoundNotice:
    return pb.RoundNotice(
        round_id=current.round_id,
        number=current.number,
        state=STATES[current.state],
        closes_at=timestamp(current.closes_at),
        has_position=has_position,
        has_signature=has_signature,
        needs_signature=needs_signature,
        transaction_hash=current.transaction_hash or b"",
    )


def statement(payload: bytes) -> Statement | None:
    """A pair's statement as its two sides signed it; None if it cannot be read."""
    try:
        content = peer_pb2.Statement.FromString(payload)
    except DecodeError:
        return None
    return Statement(
        statement_id=content.statement_id,
        debtor=content.debtor,
        creditor=content.creditor,
        count=content.count,
        minutes=content.minutes,
        payload=payload,
    )


def position(request: pb.SubmitPositionRequest) -> StatedPosition:
    """A community's position as it was sent; nothing is checked here."""
    return StatedPosition(
        ledger_head=request.ledger_head,
        statements=tuple(
            SignedStatement(one.payload, one.debtor_signature, one.creditor_signature)
            for one in request.statements
        ),
    )


def position_bytes(position: StatedPosition) -> bytes:
    """The statements of a position, to be kept."""
    kept = pb.SubmitPositionRequest(
        statements=[
            pb.SignedStatement(
                payload=one.payload,
                debtor_signature=one.debtor_signature,
                creditor_signature=one.creditor_signature,
            )
            for one in position.statements
        ]
    )
    return kept.SerializeToString(deterministic=True)


def kept_statements(kept: bytes) -> list[Statement]:
    """The statements from what `position_bytes` made."""
    content = pb.SubmitPositionRequest.FromString(kept)
    return [found for one in content.statements if (found := statement(one.payload)) is not None]


def batch_bytes(proposal: Proposal) -> bytes:
    """A proposed batch, to be kept and to be sent."""
    batch = pb.BatchProposal(
        round_id=proposal.round_id,
        merkle_root=proposal.merkle_root,
        deadline=proposal.deadline,
        entries=[
            pb.BatchEntry(
                number=entry.number,
                delta_minutes=entry.delta_minutes,
                sequence=entry.sequence,
                ledger_head=entry.ledger_head,
            )
            for entry in proposal.entries
        ],
        statements=[one.payload for one in proposal.statements],
    )
    return batch.SerializeToString(deterministic=True)


def batch(kept: bytes) -> pb.BatchProposal:
    return pb.BatchProposal.FromString(kept)


def proposal(kept: bytes) -> Proposal:
    """A proposed batch from what `batch_bytes` made."""
    content = pb.BatchProposal.FromString(kept)
    statements = [statement(payload) for payload in content.statements]
    return Proposal(
        round_id=content.round_id,
        merkle_root=content.merkle_root,
        deadline=content.deadline,
        entries=tuple(
            Entry(one.number, one.delta_minutes, one.sequence, one.ledger_head)
            for one in content.entries
        ),
        statements=tuple(one for one in statements if one is not None),
    )


def timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC).replace(tzinfo=None))
    return stamp
