"""A closed vote as one signed file, from which anybody can count again without this program.

The archive travels as the very text that was signed, so that no reader has to write JSON the way we
do. It holds the rule, the published roll, every ballot under its mark, and the result; of a secret
vote also belenios' own archive. `linli-node recount FILE` checks it and shares no code with us.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.council import motions, roll, rules, voting
from node.council.electorates import Weight
from node.council.model import Ballot, Vote
from node.council.model_secret import SecretElection
from node.kernel.errors import NotFound, WrongState
from node.kernel.files import private_folder, write_new_file

FORMAT = "linli/vote/v1"
VOTE = b"linli/vote/v1\0"  # what the council's key signs: the archive of a vote, nothing else
KEY_FOLDER, KEY_FILE = "council", "signing.key"


def council_key(directory: Path) -> Ed25519PrivateKey:
    """The key that signs results, made at first use and kept in the node's folder."""
    path = private_folder(directory / KEY_FOLDER) / KEY_FILE
    if not path.exists():
        fresh = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.Raw,
            serialization.PrivateFormat.Raw,
            serialization.NoEncryption(),
        )
        write_new_file(path, fresh, is_private=True)  # whoever was first wins
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def public_key(directory: Path) -> str:
    """The council's public key in hexadecimal, for the page and the notice board."""
    return council_key(directory).public_key().public_bytes_raw().hex()


def find_vote(session: Session, vote_id: UUID) -> Vote:
    """The vote with this id; refuses an unknown one."""
    vote = session.get(Vote, vote_id)
    if vote is None:
        raise NotFound(what="vote", id=str(vote_id))
    return vote


def export(session: Session, *, vote_id: UUID, community: str, directory: Path) -> bytes:
    """The signed archive of a closed vote, the same bytes every time; refuses while it runs."""
    vote = find_vote(session, vote_id)
    if vote.closed_at is None:
        raise WrongState(what="vote", state="open", needed="closed")
    text = json.dumps(
        _content(session, vote, community), ensure_ascii=False, sort_keys=True, indent=1
    )
    signature = council_key(directory).sign(VOTE + text.encode())
    envelope = {
        "format": FORMAT,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "public_key": public_key(directory),
        "signature": signature.hex(),
        "archive": text,
    }
    return json.dumps(envelope, ensure_ascii=False, indent=1).encode()


def _content(session: Session, vote: Vote, community: str) -> dict[str, Any]:
    motion = motions.find(session, vote.motion_id)
    counted = voting.result(vote)
    assert counted is not None, "only closed votes are exported"
    units = roll.frozen(session, vote.id).units.items()
    return {
        "community": community,
        "motion": {
            "id": str(motion.id),
            "title": motion.title,
            "text": motion.text,
            "matter": motion.matter,
        },
        "vote": {
            "id": str(vote.id),
            "kind": vote.kind,
            "electorate": vote.electorate,
            "is_secret": vote.is_secret,
            "rule": vote.rule,
            "opened_at": vote.opened_at.isoformat(),
            "ends_at": vote.ends_at.isoformat() if vote.ends_at else None,
            "closed_at": vote.closed_at.isoformat() if vote.closed_at else None,
            "roll_sha256": vote.roll_sha256,
        },
        "roll": sorted([rules.mark(vote.salt, unit), area] for unit, area in units),
        "ballots": _ballots(session, vote),
        "result": {
            "yes": _weight(counted.yes),
            "no": _weight(counted.no),
            "abstain": _weight(counted.abstain),
            "has_quorum": counted.has_quorum,
            "is_carried": counted.is_carried,
        },
        "belenios": _sealed(session, vote),
        "election": _election(session, vote),
    }


def _ballots(session: Session, vote: Vote) -> list[dict[str, str | None]]:
    query = select(Ballot.unit, Ballot.channel, Ballot.choice, Ballot.receipt)
    shown = []
    for unit, channel, choice, receipt in session.execute(query.where(Ballot.vote_id == vote.id)):
        line: dict[str, str | None] = {"mark": rules.mark(vote.salt, unit), "channel": channel}
        if not vote.is_secret:
            line |= {"choice": choice, "receipt": receipt}
        shown.append(line)
    return sorted(shown, key=lambda line: str(line["mark"]))


def _sealed(session: Session, vote: Vote) -> str | None:
    if not vote.is_secret:
        return None
    election = session.get_one(SecretElection, vote.id)
    assert election.archive is not None, "a closed secret vote has its archive"
    return base64.b64encode(election.archive).decode()


def _election(session: Session, vote: Vote) -> dict[str, Any] | None:
    """How the sealed archive began when the vote opened: its end may not change its beginning."""
    if not vote.is_secret:
        return None
    base = session.get_one(SecretElection, vote.id).base
    return {"sha256": hashlib.sha256(base).hexdigest(), "bytes": len(base)}


def _weight(weight: Weight) -> dict[str, int]:
    return {"heads": weight.heads, "area_dm2": weight.area_dm2}
