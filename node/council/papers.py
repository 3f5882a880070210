"""What belongs to a motion on paper or tape: opinions, minutes, recordings; typed and limited."""

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.council import motions, rules
from node.council.model import Paper
from node.council.refusals import PaperRefused
from node.kernel.errors import IdReused, NotFound
from node.kernel.ports import Clock

DOCUMENT_BYTES_MAX = 5_000_000
RECORDING_BYTES_MAX = 20_000_000  # an hour of speech at 40 kbit/s
PAPERS_MAX = 20  # of one motion
AUDIO = "audio/"


class PaperKind(StrEnum):
    """What a paper is."""

    OPINION = "opinion"  # of an adviser: lawyer, engineer, accountant
    MINUTES = "minutes"
    RECORDING = "recording"
    OTHER = "other"


SUFFIXES = {
    "application/pdf": "pdf",
    "image/png": "png",
    "image/jpeg": "jpg",
    "text/plain": "txt",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/mp4": "m4a",
}


def add(
    session: Session,
    clock: Clock,
    *,
    paper_id: UUID,
    motion_id: UUID,
    kind: PaperKind,
    title: str,
    content: bytes,
    added_by: UUID | None = None,
) -> Paper:
    """Lay a file beside a motion, for everybody to read."""
    title, sha256 = title.strip(), hashlib.sha256(content).hexdigest()
    known = session.get(Paper, paper_id)
    if known is not None:
        if (known.motion_id, known.title, known.sha256) != (motion_id, title, sha256):
            raise IdReused(id=str(paper_id))
        return known
    motions.find(session, motion_id)
    rules.check_length("title", title, rules.TITLE_LENGTH_MAX)
    media_type = checked_type(content)
    if len(listed(session, motion_id)) >= PAPERS_MAX:
        raise PaperRefused(problem=f"this motion has {PAPERS_MAX} papers already")
    paper = Paper(
        id=paper_id,
        motion_id=motion_id,
        kind=kind.value,
        title=title,
        media_type=media_type,
        sha256=sha256,
        bytes_count=len(content),
        content=content,
        added_by=added_by,
        added_at=clock.now(),
    )
    session.add(paper)
    session.flush()
    return paper


def checked_type(content: bytes) -> str:
    """What the file is by its own first bytes, whatever its name says; refuses all else."""
    media_type = _sniffed(content)
    if media_type is None:
        raise PaperRefused(problem="send a PDF, a picture, plain text, or an MP3, OGG, WAV or M4A")
    limit = RECORDING_BYTES_MAX if media_type.startswith(AUDIO) else DOCUMENT_BYTES_MAX
    if len(content) > limit:
        raise PaperRefused(problem=f"it is larger than {limit // 1_000_000} MB")
    return media_type


def listed(session: Session, motion_id: UUID) -> Sequence[Paper]:
    """The papers of a motion, first one first, without their contents."""
    query = select(Paper).where(Paper.motion_id == motion_id)
    return session.scalars(query.order_by(Paper.added_at, Paper.id)).all()


def find(session: Session, paper_id: UUID) -> Paper:
    """The paper with this id; refuses an unknown one."""
    paper = session.get(Paper, paper_id)
    if paper is None:
        raise NotFound(what="paper", id=str(paper_id))
    return paper


def _sniffed(content: bytes) -> str | None:
    starts = {
        b"%PDF-": "application/pdf",
        b"\x89PNG\r\n\x1a\n": "image/png",
        b"\xff\xd8\xff": "image/jpeg",
        b"ID3": "audio/mpeg",
        b"\xff\xfb": "audio/mpeg",
        b"\xff\xf3": "audio/mpeg",
        b"OggS": "audio/ogg",
    }
    for start, media_type in starts.items():
        if content.startswith(start):
            return media_type
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        return "audio/wav"
    if content[4:11] == b"ftypM4A":
        return "audio/mp4"
    return "text/plain" if _is_text(content) else None


def _is_text(content: bytes) -> bool:
    try:
        words = content.decode()
    except UnicodeDecodeError:
        return False
    return bool(words.strip()) and all(
        sign.isprintable() or sign in "\r\n\t\ufeff" for sign in words
    )
