"""Secret votes in the database: trustees, codes, ballots, shares; in the caller's transaction.

What the tool makes is brought in from outside (`sealing.py`), because no child process may run
while a transaction waits for it.
"""

import hashlib
import json
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from node.council import motions, roll, rules, service, voting
from node.council.belenios import Key, Prepared
from node.council.electorates import Choice
from node.council.model import Ballot, Motion, Vote
from node.council.model_secret import SealedBallot, SecretElection, Trustee, VotingCode
from node.council.refusals import (
    AlreadyVoted,
    RollChanged,
    SecretRefused,
    SharesMissing,
    TermsFixed,
    TrusteesMissing,
)
from node.council.rules import Channel, Step, VoteKind
from node.kernel.errors import BadInput, IdReused, NotFound, WrongState
from node.kernel.ids import derived_id
from node.kernel.ports import Clock

NODE_NUMBER = 1  # the node is a trustee too; people come after it
TRUSTEES_MIN = 1  # beside the node
TRUSTEES_MAX = 5  # beside the node: one lost key loses the vote


def add_trustee(
    session: Session, clock: Clock, *, trustee_id: UUID, motion_id: UUID, name: str, public_key: str
) -> Trustee:
    """Take up somebody without whose key no ballot of this motion can be opened."""
    name, public_key = name.strip(), public_key.strip()
    known = session.get(Trustee, trustee_id)
    if known is not None:
        if (known.motion_id, known.name, known.public_key) != (motion_id, name, public_key):
            raise IdReused(id=str(trustee_id))
        return known
    motion = motions.find(session, motion_id)
    if not motion.is_secret or motion.step not in (Step.SCREENING, Step.PUBLICITY, Step.COLLECTING):
        raise TermsFixed
    rules.check_length("name", name, rules.OWNER_LENGTH_MAX)
    _check_public_key(public_key)
    others = [one for one in trustees(session, motion_id) if one.number != NODE_NUMBER]
    if len(others) >= TRUSTEES_MAX:
        raise BadInput(field="name", problem="this vote has enough trustees")
    if any(one.public_key == public_key for one in others):
        raise BadInput(field="public_key", problem="this key is another trustee's")
    number = max((one.number for one in others), default=NODE_NUMBER) + 1
    return _keep_trustee(session, clock, motion_id, trustee_id, number, name, Key(public_key, ""))


def add_own_key(session: Session, clock: Clock, *, motion_id: UUID, key: Key) -> Trustee:
    """Make the node itself the first trustee; its first key stays."""
    trustee_id = derived_id("trustee", motion_id, NODE_NUMBER)
    known = session.get(Trustee, trustee_id)
    if known is not None:
        return known
    return _keep_trustee(session, clock, motion_id, trustee_id, NODE_NUMBER, "Linli", key)


def trustees(session: Session, motion_id: UUID) -> Sequence[Trustee]:
    """Whose keys it takes together, the node first."""
    query = select(Trustee).where(Trustee.motion_id == motion_id)
    return session.scalars(query.order_by(Trustee.number)).all()


def check_opening(session: Session, clock: Clock, motion: Motion) -> None:
    """Refuse to open a secret vote too early, or with nobody but the node to guard it."""
    service.check_next(session, clock, motion, Step.ASSEMBLY)
    if (
        len([one for one in trustees(session, motion.id) if one.number != NODE_NUMBER])
        < TRUSTEES_MIN
    ):
        raise TrusteesMissing(least=TRUSTEES_MIN)


def open_vote(
    session: Session,
    clock: Clock,
    *,
    motion_id: UUID,
    prepared: Prepared,
    public_keys: Sequence[str],
    taken_by: UUID | None = None,
) -> Motion:
    """Open the assembly of a secret motion with the election that was prepared for its roll."""
    motion = motions.find(session, motion_id)
    if motion.step == Step.ASSEMBLY:
        return motion
    check_opening(session, clock, motion)
    if [one.public_key for one in trustees(session, motion_id)] != list(public_keys):
        raise RollChanged
    motions.enter(session, clock, motion, Step.ASSEMBLY, taken_by)
    vote_id = service.binding_vote_id(motion_id)
    vote = voting.start(session, clock, motion, vote_id, VoteKind.BINDING)
    if vote.on_roll != len(prepared.codes):
        raise RollChanged
    session.add(SecretElection(vote_id=vote_id, uuid=prepared.uuid, base=prepared.base))
    session.flush()
    session.add_all(
        VotingCode(id=derived_id("code", vote_id, code), vote_id=vote_id, code=code)
        for code in prepared.codes
    )
    return motion


def election(session: Session, vote_id: UUID) -> SecretElection:
    """The public side of a secret vote; refuses an open vote's id."""
    found = session.get(SecretElection, vote_id)
    if found is None:
        raise NotFound(what="secret vote", id=str(vote_id))
    return found


def is_secret(session: Session, *, motion_id: UUID, ballot_id: UUID) -> bool:
    """Does this ballot belong to a secret vote: the one that runs, or one that has it already?"""
    running = voting.open_vote(session, motion_id)
    return running.is_secret if running else session.get(SealedBallot, ballot_id) is not None


def fingerprint(session: Session, vote_id: UUID) -> str:
    """SHA-256 of the election as it was opened: its keys, and the public halves of its codes."""
    return hashlib.sha256(election(session, vote_id).base).hexdigest()


def any_code(session: Session, vote_id: UUID, *, chance: float) -> VotingCode:
    """A code that nobody has, drawn by `chance` from 0 to 1."""
    free = (VotingCode.vote_id == vote_id, VotingCode.taken_as.is_(None))
    count = session.scalars(select(func.count()).select_from(VotingCode).where(*free)).one()
    if not count:
        raise AlreadyVoted
    query = select(VotingCode).where(*free).order_by(VotingCode.id)
    return session.scalars(query.offset(min(int(chance * count), count - 1)).limit(1)).one()


def cast(
    session: Session,
    clock: Clock,
    *,
    ballot_id: UUID,
    motion_id: UUID,
    voter_id: UUID,
    code_id: UUID,
    sealed: str,
    tracker: str,
    channel: Channel,
    holder_id: UUID | None = None,
    recorded_by: UUID | None = None,
) -> SealedBallot:
    """Mark the voter's unit as voted and keep the encrypted ballot; the code it used is gone."""
    known = ballot_of(session, ballot_id=ballot_id, voter_id=voter_id)
    if known is not None:
        return known
    vote = _running_secret(session, clock, motion_id)
    code = session.get(VotingCode, code_id)
    if code is None or code.taken_as is not None:
        raise RollChanged  # another voter drew the same code this moment: draw again
    voting.enter_ballot(
        session,
        clock,
        vote,
        ballot_id=derived_id("took part", ballot_id),
        voter_id=voter_id,
        choice=None,
        channel=channel,
        holder_id=holder_id,
        recorded_by=recorded_by,
        receipt="",
    )
    session.delete(code)
    return _keep_ballot(session, vote.id, ballot_id, sealed, tracker)


def ballot_of(session: Session, *, ballot_id: UUID, voter_id: UUID) -> SealedBallot | None:
    """The ballot that this voter put in under this id; refuses somebody else's."""
    known = session.get(SealedBallot, ballot_id)
    if known is not None:
        _check_voter(session, ballot_id=ballot_id, voter_id=voter_id)
    return known


def take_code(
    session: Session,
    clock: Clock,
    *,
    ballot_id: UUID,
    motion_id: UUID,
    voter_id: UUID,
    code_id: UUID,
    credential: str,
    recorded_by: UUID | None = None,
) -> VotingCode:
    """Hand a voter their code, to encrypt the ballot on a machine of their own. Asked again with
    the same id, the same code is shown, until its ballot is in."""
    known = session.scalar(select(VotingCode).where(VotingCode.taken_as == ballot_id))
    if known is not None:
        _check_voter(session, ballot_id=ballot_id, voter_id=voter_id)
        return known
    vote = _running_secret(session, clock, motion_id)
    code = session.get(VotingCode, code_id)
    if code is None or code.taken_as is not None:
        raise RollChanged
    voting.enter_ballot(
        session,
        clock,
        vote,
        ballot_id=derived_id("took part", ballot_id),
        voter_id=voter_id,
        choice=None,
        channel=Channel.CODE,
        holder_id=None,
        recorded_by=recorded_by,
        receipt="",
    )
    code.taken_as, code.credential = ballot_id, credential
    return code


def put_in(
    session: Session,
    clock: Clock,
    *,
    ballot_id: UUID,
    motion_id: UUID,
    sealed: str,
    tracker: str,
    credential: str,
) -> SealedBallot:
    """Take a ballot that was encrypted elsewhere; whose it is, its code no longer tells."""
    known = session.get(SealedBallot, ballot_id)
    if known is not None:
        if known.tracker != tracker:
            raise IdReused(id=str(ballot_id))
        return known
    vote = _running_secret(session, clock, motion_id)
    same = (VotingCode.vote_id == vote.id, VotingCode.credential == credential)
    code = session.scalar(select(VotingCode).where(*same))
    if code is None:
        raise SecretRefused(problem="its code was not handed out here, or its ballot is in already")
    session.delete(code)
    return _keep_ballot(session, vote.id, ballot_id, sealed, tracker)


def ballots(session: Session, vote_id: UUID) -> list[str]:
    """Every sealed ballot, in the order of their trackers: when one came says nothing."""
    query = select(SealedBallot.content).where(SealedBallot.vote_id == vote_id)
    return list(session.scalars(query.order_by(SealedBallot.tracker)))


def trackers(session: Session, vote_id: UUID) -> list[str]:
    """The receipts of all ballots that are in, for whoever looks for theirs."""
    query = select(SealedBallot.tracker).where(SealedBallot.vote_id == vote_id)
    return list(session.scalars(query.order_by(SealedBallot.tracker)))


def keep_sealed(session: Session, *, vote_id: UUID, sealed: bytes) -> None:
    """Remember what the trustees decrypt, and forget the codes that nobody used."""
    found = election(session, vote_id)
    if found.sealed is None:
        found.sealed = sealed
        session.execute(delete(VotingCode).where(VotingCode.vote_id == vote_id))


def give_share(session: Session, clock: Clock, *, trustee_id: UUID, share: str) -> Trustee:
    """Keep a trustee's part of the decryption; the first one stays. The node's key is done then."""
    trustee = find_trustee(session, trustee_id)
    if trustee.share is None:
        trustee.share, trustee.shared_at = share, clock.now()
        trustee.private_key = None
    return trustee


def find_trustee(session: Session, trustee_id: UUID) -> Trustee:
    """The trustee with this id; refuses an unknown one."""
    trustee = session.get(Trustee, trustee_id)
    if trustee is None:
        raise NotFound(what="trustee", id=str(trustee_id))
    return trustee


def shares(session: Session, motion_id: UUID) -> list[str]:
    """All shares in the trustees' order, each with its number; refuses while one is missing."""
    found = trustees(session, motion_id)
    if missing := sum(one.share is None for one in found):
        raise SharesMissing(count=missing)
    return [json.dumps({"number": one.number, "share": one.share}) for one in found]


def finish(
    session: Session,
    clock: Clock,
    *,
    vote_id: UUID,
    archive: bytes,
    heads: dict[Choice, int],
    closed_by: UUID | None = None,
) -> Vote:
    """Write down the count that all trustees opened together."""
    vote = session.get_one(Vote, vote_id)
    if vote.closed_at is not None:
        return vote
    election(session, vote_id).archive = archive
    counted = voting.decide_heads(vote, heads)
    return voting.finish(session, clock, vote, counted, closed_by=closed_by)


def units_now(session: Session, motion: Motion, *, this_year: int) -> int:
    """How many codes a vote opened now would need."""
    electorate = motions.electorate_of(motion)
    return roll.electorate(session, electorate, this_year=this_year).weight.heads


def _check_voter(session: Session, *, ballot_id: UUID, voter_id: UUID) -> None:
    mine = session.get(Ballot, derived_id("took part", ballot_id))
    if mine is None or mine.voter_id != voter_id:
        raise IdReused(id=str(ballot_id))


def _running_secret(session: Session, clock: Clock, motion_id: UUID) -> Vote:
    vote = voting.running_vote(session, clock, motion_id)
    if not vote.is_secret:
        raise WrongState(what="vote", state="open", needed="secret")
    return vote


def _keep_ballot(
    session: Session, vote_id: UUID, ballot_id: UUID, sealed: str, tracker: str
) -> SealedBallot:
    ballot = SealedBallot(id=ballot_id, vote_id=vote_id, tracker=tracker, content=sealed)
    session.add(ballot)
    session.flush()
    return ballot


def _keep_trustee(
    session: Session,
    clock: Clock,
    motion_id: UUID,
    trustee_id: UUID,
    number: int,
    name: str,
    key: Key,
) -> Trustee:
    trustee = Trustee(
        id=trustee_id,
        motion_id=motion_id,
        number=number,
        name=name,
        public_key=key.public,
        private_key=key.private or None,
        added_at=clock.now(),
    )
    session.add(trustee)
    session.flush()
    return trustee


def _check_public_key(public_key: str) -> None:
    try:
        parts = json.loads(public_key)
        is_key = isinstance(parts["public_key"], str) and "pok" in parts
    except (ValueError, KeyError, TypeError):
        is_key = False
    if not is_key or "\n" in public_key:
        raise BadInput(field="public_key", problem="this is no public key of belenios-tool")
