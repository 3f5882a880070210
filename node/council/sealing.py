"""The acts of a secret vote from end to end: what the tool does between two transactions.

Each act reads what it needs from a snapshot, lets belenios-tool work in a thread, and hands the
outcome to one short command. A crash in between leaves nothing half done: the act is asked again.
"""

import asyncio
import secrets
from functools import partial
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from node.council import belenios, motions, secret, service, voting
from node.council.belenios import Key
from node.council.electorates import Choice
from node.council.model import Ballot, Motion, Vote
from node.council.model_secret import SealedBallot, VotingCode
from node.council.refusals import (
    AlreadyVoted,
    CoOwnerVoted,
    NotOnRoll,
    RollChanged,
    SecretToolMissing,
    VoteStillOpen,
)
from node.council.rules import Channel, Step
from node.kernel.db import Database
from node.kernel.errors import DomainError
from node.kernel.ports import Clock

DRAWS_MAX = 8  # how often two voters may draw the same code in the same moment
CHANCE_STEPS = 1 << 53

log = structlog.get_logger()


class Office(Protocol):
    """What these acts need of the node."""

    @property
    def clock(self) -> Clock: ...
    @property
    def database(self) -> Database: ...


class _Drawn(NamedTuple):
    code_id: UUID
    code: str
    uuid: str
    base: bytes


async def take_step(
    office: Office, *, motion_id: UUID, to: Step, note: str = "", taken_by: UUID | None = None
) -> None:
    """The next step of any motion; the assembly of a secret one opens with its election made."""
    with office.database.read() as session:
        motion = motions.find(session, motion_id)
        is_opening = motion.is_secret and to is Step.ASSEMBLY and motion.step != to
    if is_opening:
        await open_vote(office, motion_id=motion_id, taken_by=taken_by)
        return
    await office.database.run(
        lambda session: service.take_step(
            session, office.clock, motion_id=motion_id, to=to, note=note, taken_by=taken_by
        )
    )


async def open_vote(office: Office, *, motion_id: UUID, taken_by: UUID | None = None) -> Motion:
    """Make keys and codes for the roll as it stands, then freeze the roll and open the vote."""
    if not belenios.is_installed():
        raise SecretToolMissing
    with office.database.read() as session:
        motion = motions.find(session, motion_id)
        secret.check_opening(session, office.clock, motion)
        units = secret.units_now(session, motion, this_year=office.clock.now().year)
    key = await asyncio.to_thread(belenios.make_key)
    await office.database.run(
        lambda session: secret.add_own_key(session, office.clock, motion_id=motion_id, key=key)
    )
    with office.database.read() as session:
        keys = [one.public_key for one in secret.trustees(session, motion_id)]
    prepared = await asyncio.to_thread(belenios.prepare, voters=units, public_keys=keys)
    opened: Motion = await office.database.run(
        lambda session: secret.open_vote(
            session,
            office.clock,
            motion_id=motion_id,
            prepared=prepared,
            public_keys=keys,
            taken_by=taken_by,
        )
    )
    return opened


async def vote(
    office: Office,
    *,
    ballot_id: UUID,
    motion_id: UUID,
    voter_id: UUID,
    choice: Choice,
    channel: Channel,
    holder_id: UUID | None = None,
    recorded_by: UUID | None = None,
) -> str:
    """One ballot into whichever vote runs, open or secret; returns the voter's receipt."""
    put: dict[str, Any] = {
        "ballot_id": ballot_id,
        "motion_id": motion_id,
        "voter_id": voter_id,
        "choice": choice,
        "channel": channel,
        "holder_id": holder_id,
        "recorded_by": recorded_by,
    }

    def open_ballot(session: Session) -> Ballot | DomainError | None:
        """Refusals that come before anything was written are handed back, not raised: raised
        inside the write path, one would make everybody's ballots of that moment run twice."""
        if secret.is_secret(session, motion_id=motion_id, ballot_id=ballot_id):
            return None
        try:
            return voting.cast(session, office.clock, **put)
        except (AlreadyVoted, CoOwnerVoted, NotOnRoll) as refusal:
            return refusal

    answer: Ballot | DomainError | None = await office.database.run(open_ballot)
    if isinstance(answer, DomainError):
        raise answer
    return answer.receipt if answer is not None else (await cast(office, **put)).tracker


async def cast(
    office: Office,
    *,
    ballot_id: UUID,
    motion_id: UUID,
    voter_id: UUID,
    choice: Choice,
    channel: Channel,
    holder_id: UUID | None = None,
    recorded_by: UUID | None = None,
) -> SealedBallot:
    """Encrypt a choice with a code drawn by chance, and put it in; the choice is kept nowhere."""
    for _ in range(DRAWS_MAX):
        known, drawn = _draw(office, ballot_id=ballot_id, motion_id=motion_id, voter_id=voter_id)
        if known is not None:
            return known
        assert drawn is not None, "either the ballot is in, or a code was drawn"
        sealed = await asyncio.to_thread(
            belenios.seal, uuid=drawn.uuid, base=drawn.base, code=drawn.code, choice=choice
        )

        def put_in(
            session: Session, code_id: UUID = drawn.code_id, sealed: str = sealed
        ) -> SealedBallot:
            return secret.cast(
                session,
                office.clock,
                ballot_id=ballot_id,
                motion_id=motion_id,
                voter_id=voter_id,
                code_id=code_id,
                sealed=sealed,
                tracker=belenios.tracker(sealed),
                channel=channel,
                holder_id=holder_id,
                recorded_by=recorded_by,
            )

        try:
            return await office.database.run(put_in)
        except RollChanged:
            continue
    raise RollChanged


async def take_code(
    office: Office, *, ballot_id: UUID, motion_id: UUID, voter_id: UUID
) -> VotingCode:
    """Hand a voter a code, so that their own machine encrypts and ours never sees the choice."""
    with office.database.read() as session:
        vote = voting.running_vote(session, office.clock, motion_id)
        found = secret.election(session, vote.id)
        drawn = secret.any_code(session, vote.id, chance=_chance())
        uuid, code_id, code = found.uuid, drawn.id, drawn.code
    credential = await asyncio.to_thread(belenios.credential_of, uuid=uuid, code=code)
    taken: VotingCode = await office.database.run(
        lambda session: secret.take_code(
            session,
            office.clock,
            ballot_id=ballot_id,
            motion_id=motion_id,
            voter_id=voter_id,
            code_id=code_id,
            credential=credential,
        )
    )
    return taken


async def put_in(office: Office, *, ballot_id: UUID, motion_id: UUID, sealed: str) -> SealedBallot:
    """Take a ballot that was encrypted elsewhere, once its proofs hold."""
    sealed = sealed.strip()
    with office.database.read() as session:
        vote = voting.running_vote(session, office.clock, motion_id)
        found = secret.election(session, vote.id)
        uuid, base = found.uuid, found.base
    credential = await asyncio.to_thread(belenios.check_ballot, uuid=uuid, base=base, ballot=sealed)
    ballot: SealedBallot = await office.database.run(
        lambda session: secret.put_in(
            session,
            office.clock,
            ballot_id=ballot_id,
            motion_id=motion_id,
            sealed=sealed,
            tracker=belenios.tracker(sealed),
            credential=credential,
        )
    )
    return ballot


async def close(office: Office, *, motion_id: UUID, closed_by: UUID | None = None) -> Vote:
    """Close the open vote; a secret one is summed under encryption, and we give our share."""
    vote = await office.database.run(
        lambda session: voting.close_vote(
            session, office.clock, motion_id=motion_id, closed_by=closed_by
        )
    )
    if vote.is_secret and vote.closed_at is None:
        await add_up(office, motion_id=motion_id)
    return vote


async def tend(office: Office) -> None:
    """Close what is over and announce what closes soon, each vote in a command of its own: one
    whose end is refused (its rule change, say, fits no longer) holds up no other."""
    with office.database.read() as session:
        waiting = voting.due(session, office.clock)
    for motion_id in waiting:
        try:
            await office.database.run(partial(voting.tend, clock=office.clock, motion_id=motion_id))
            await add_up(office, motion_id=motion_id)
        except DomainError as refusal:
            log.warning("vote_not_closed", code=refusal.code, motion=str(motion_id))


async def add_up(office: Office, *, motion_id: UUID) -> None:
    """Make the encrypted sum of a vote that is over, once, and do the node's part of opening it."""
    with office.database.read() as session:
        vote = voting.open_vote(session, motion_id)
        if vote is None or vote.counting_since is None:
            return
        vote_id, found = vote.id, secret.election(session, vote.id)
        uuid, base, sealed = found.uuid, found.base, found.sealed
        ballots = secret.ballots(session, vote_id)
        own = secret.trustees(session, motion_id)[0]
        own_id, private_key = own.id, own.private_key
    if sealed is None:
        made = await asyncio.to_thread(belenios.end, uuid=uuid, base=base, ballots=ballots)
        await office.database.run(
            lambda session: secret.keep_sealed(session, vote_id=vote_id, sealed=made)
        )
    if private_key is not None:
        await give_share(office, trustee_id=own_id, private_key=private_key)


async def make_key() -> Key:
    """A key pair for a trustee; the private half is shown once and kept nowhere."""
    return await asyncio.to_thread(belenios.make_key)


async def give_share(office: Office, *, trustee_id: UUID, private_key: str) -> None:
    """A trustee's part of the count; with the last one the sum opens and the vote has a result."""
    with office.database.read() as session:
        trustee = secret.find_trustee(session, trustee_id)
        motion_id, number, is_done = trustee.motion_id, trustee.number, trustee.share is not None
        public_key = trustee.public_key
        vote_id = service.binding_vote_id(motion_id)
        found = secret.election(session, vote_id)
        uuid, sealed = found.uuid, found.sealed
    if sealed is None:
        await add_up(office, motion_id=motion_id)
        with office.database.read() as session:
            sealed = secret.election(session, vote_id).sealed
        if sealed is None:
            raise VoteStillOpen
    if not is_done:
        await asyncio.to_thread(belenios.check_key, Key(public_key, private_key))
        share = await asyncio.to_thread(
            belenios.decrypt, uuid=uuid, sealed=sealed, private_key=private_key, number=number
        )
        await office.database.run(
            lambda session: secret.give_share(
                session, office.clock, trustee_id=trustee_id, share=share
            )
        )
    await open_sum(office, motion_id=motion_id)


async def open_sum(office: Office, *, motion_id: UUID, closed_by: UUID | None = None) -> None:
    """Open the sum if every trustee has given their share; else wait for the others."""
    vote_id = service.binding_vote_id(motion_id)
    with office.database.read() as session:
        found, trustees = secret.election(session, vote_id), secret.trustees(session, motion_id)
        if found.sealed is None or any(one.share is None for one in trustees):
            return
        uuid, sealed, shares = found.uuid, found.sealed, secret.shares(session, motion_id)
    archive, heads = await asyncio.to_thread(
        belenios.open_sum, uuid=uuid, sealed=sealed, shares=shares
    )
    await office.database.run(
        lambda session: secret.finish(
            session,
            office.clock,
            vote_id=vote_id,
            archive=archive,
            heads=heads,
            closed_by=closed_by,
        )
    )


def _draw(
    office: Office, *, ballot_id: UUID, motion_id: UUID, voter_id: UUID
) -> tuple[SealedBallot | None, _Drawn | None]:
    with office.database.read() as session:
        known = secret.ballot_of(session, ballot_id=ballot_id, voter_id=voter_id)
        if known is not None:
            return known, None
        vote = voting.running_vote(session, office.clock, motion_id)
        voting.may_vote(session, vote, voter_id)
        found = secret.election(session, vote.id)
        code = secret.any_code(session, vote.id, chance=_chance())
        return None, _Drawn(code.id, code.code, found.uuid, found.base)


def _chance() -> float:
    return secrets.randbelow(CHANCE_STEPS) / CHANCE_STEPS
