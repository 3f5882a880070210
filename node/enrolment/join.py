"""`linli-node join`: from an invitation to a membership, however often it is interrupted.

The request is kept in DIR/enrolment/application.bin before it is sent. A kill at any point leaves
whole files; saying join again goes on from them, and the office gives the same request the same
answer. An invitation that the office refuses leaves no request behind.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from google.protobuf.message import DecodeError

from node.enrolment.client import EnrolmentClient
from node.enrolment.directory import (
    Membership,
    check_certificate,
    keep_membership,
    load_membership,
    read_directory,
)
from node.enrolment.invitation import Invitation, parse_invitation, require_address
from node.enrolment.keys import Keys, certificate_request, make_or_load_keys
from node.enrolment.refusals import (
    AlreadyEnrolled,
    ApprovalPending,
    CertificateUnusable,
    OfficeRefused,
    OfficeUnreachable,
)
from node.kernel import signing
from node.kernel.clock import SystemClock
from node.kernel.files import private_folder, write_file
from node.kernel.ports import Clock
from protos import enrolment_pb2 as pb

APPROVAL_PATIENCE_SECONDS = 600.0
OFFICE_PATIENCE_SECONDS = 20.0  # for an office that does not answer at all
ASK_AGAIN_SECONDS_MIN = 0.05
ASK_AGAIN_SECONDS_MAX = 30.0


async def join(
    directory: Path,
    invitation_text: str,
    peer_address: str,
    *,
    clock: Clock | None = None,
    patience_seconds: float = APPROVAL_PATIENCE_SECONDS,
    office_patience_seconds: float = OFFICE_PATIENCE_SECONDS,
    on_waiting: Callable[[], None] | None = None,
) -> Membership:
    """Make this node a member of the district that invited it; returns what it is now.

    `on_waiting` is told once, when the office has the request and an officer must approve it.
    ApprovalPending after `patience_seconds`: say the same again, nothing is lost.
    """
    invitation = parse_invitation(invitation_text)
    require_address(peer_address)
    known = load_membership(directory)
    if known is not None:
        if known.community == invitation.community and _has_applied_with(directory, invitation):
            return known
        if known.expires_at > (clock or SystemClock()).now():
            raise AlreadyEnrolled(directory=str(directory), community=known.community)
    client = EnrolmentClient(invitation)
    try:
        await _reach(client, invitation, office_patience_seconds)
        reply = await _apply(client, directory, invitation, peer_address)
        if reply.HasField("waiting") and on_waiting is not None:
            on_waiting()
        async with asyncio.timeout(patience_seconds):
            while not reply.HasField("approval"):
                await asyncio.sleep(_pause_seconds(reply.waiting))
                with contextlib.suppress(OfficeUnreachable):
                    reply = await _status(client, invitation)
    except TimeoutError as error:
        raise ApprovalPending(community=invitation.community) from error
    finally:
        await client.close()
    return _keep(directory, invitation, reply.approval)


async def _apply(
    client: EnrolmentClient, directory: Path, invitation: Invitation, peer_address: str
) -> pb.JoinReply:
    """Send the request, the kept one if there is one."""
    keys = make_or_load_keys(directory)
    request = _kept_request(directory, invitation, peer_address)
    if request is None:
        request = new_request(keys, invitation, peer_address)
        write_file(_request_path(directory), request.SerializeToString(), is_private=True)
    try:
        return await client.join(request)
    except OfficeRefused:
        _request_path(directory).unlink(missing_ok=True)
        raise


async def _reach(client: EnrolmentClient, invitation: Invitation, patience_seconds: float) -> None:
    """Return once the office knows the invitation; until then not even keys are made."""
    give_up_at = asyncio.get_running_loop().time() + patience_seconds
    while True:
        try:
            await _status(client, invitation)
        except OfficeUnreachable:
            if asyncio.get_running_loop().time() >= give_up_at:
                raise
            await asyncio.sleep(ASK_AGAIN_SECONDS_MIN)
        else:
            return


async def _status(client: EnrolmentClient, invitation: Invitation) -> pb.JoinReply:
    return await client.status(secret=invitation.secret, community=invitation.community)


def _pause_seconds(waiting: pb.Waiting) -> float:
    return min(max(waiting.ask_again_ms / 1_000, ASK_AGAIN_SECONDS_MIN), ASK_AGAIN_SECONDS_MAX)


def new_request(keys: Keys, invitation: Invitation, peer_address: str) -> pb.JoinRequest:
    """The request to join, with every proof that its keys are held here."""
    application = pb.JoinApplication(
        invitation_secret=invitation.secret,
        community_id=invitation.community,
        csr_pem=certificate_request(
            keys, community_id=invitation.community, peer_address=peer_address
        ),
        signing_public_key=keys.signing_public_key,
        settlement_public_key=keys.settlement_public_key,
        settlement_address=keys.settlement_address,
        flower_public_key=keys.flower_public_key,
        peer_address=peer_address,
    ).SerializeToString(deterministic=True)
    return pb.JoinRequest(
        application=application,
        signature=signing.sign(keys.signing, context=signing.ENROLMENT, payload=application),
        settlement_proof=keys.prove_settlement_key(application),
    )


def _request_path(directory: Path) -> Path:
    return private_folder(directory / "enrolment") / "application.bin"


def _kept_request(
    directory: Path, invitation: Invitation, peer_address: str
) -> pb.JoinRequest | None:
    """The request that was begun with this invitation and address, if any."""
    try:
        request = pb.JoinRequest.FromString(_request_path(directory).read_bytes())
        application = pb.JoinApplication.FromString(request.application)
    except (FileNotFoundError, DecodeError):
        return None
    is_same = (application.invitation_secret, application.peer_address) == (
        invitation.secret,
        peer_address,
    )
    return request if is_same else None


def _has_applied_with(directory: Path, invitation: Invitation) -> bool:
    try:
        request = pb.JoinRequest.FromString(_request_path(directory).read_bytes())
        application = pb.JoinApplication.FromString(request.application)
    except (FileNotFoundError, DecodeError):
        return False
    return application.invitation_secret == invitation.secret


def _keep(directory: Path, invitation: Invitation, approval: pb.Approval) -> Membership:
    """Check all that the office sent against the invitation's root, then keep it."""
    keys = make_or_load_keys(directory)
    ca_pem, certificate_pem = invitation.ca_pem.encode(), approval.certificate_pem.encode()
    if approval.ca_pem.strip() != invitation.ca_pem.strip():
        raise CertificateUnusable(problem="the office shows another root than the invitation")
    check_certificate(certificate_pem, keys=keys, ca_pem=ca_pem, community=invitation.community)
    read_directory(approval.directory, ca_pem=ca_pem)
    keep_membership(
        directory, certificate_pem=certificate_pem, ca_pem=ca_pem, signed=approval.directory
    )
    membership = load_membership(directory)
    assert membership is not None
    return membership
