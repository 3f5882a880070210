"""What a peer signed and should not have: refused, and kept for whoever has to decide about it."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.exchange.messages import RequestCapture
from node.exchange.model import Evidence
from node.exchange.rules import EVIDENCE_A_DAY_MAX, PassState
from node.kernel.errors import DomainError
from node.kernel.messages import Body, Sealed
from node.kernel.ports import Clock

PAGE_ROWS = 50
LIES = frozenset(
    {
        "exchange.answer_differs",
        "exchange.pass_for_other",
        "exchange.pass_too_small",
        "exchange.receipt_differs",
        "exchange.reversal_too_large",
        "kernel.bad_signature",
        "kernel.id_reused",
        "peer.clock_ahead",
        "peer.wrong_recipient",
        "settlement.statement_wrong",
    }
)
"""Refusals that an honest, working peer does not cause."""


def is_evidence(refusal: DomainError, asked: Body | None) -> bool:
    """Whether what was refused is worth keeping: no row for what is merely late or too much."""
    if isinstance(asked, RequestCapture) and refusal.code == "exchange.pass_not_usable":
        # Else it asks for what it gave back, never had, or was paid under another exchange.
        return refusal.details.get("state") != PassState.EXPIRED
    return refusal.code in LIES


def note(session: Session, clock: Clock, *, peer: str, kind: str, sealed: Sealed) -> None:
    """Keep the bytes, once; at most so many a day of one kind from one peer."""
    digest = hashlib.sha256(b"\0".join((peer.encode(), kind.encode(), sealed.payload))).digest()
    if session.get(Evidence, digest) is not None:
        return
    since = clock.now() - timedelta(days=1)
    same = (Evidence.peer == peer, Evidence.kind == kind, Evidence.at > since)
    if (session.scalar(select(func.count()).where(*same)) or 0) >= EVIDENCE_A_DAY_MAX:
        return
    session.add(
        Evidence(
            digest=digest,
            peer=peer,
            kind=kind,
            payload=sealed.payload,
            signature=sealed.signature,
            at=clock.now(),
        )
    )


def count(session: Session) -> int:
    """How many pieces there are."""
    return session.scalar(select(func.count()).select_from(Evidence)) or 0


def latest(session: Session, *, limit: int = PAGE_ROWS) -> Sequence[Evidence]:
    """The newest pieces first."""
    return session.scalars(select(Evidence).order_by(Evidence.at.desc()).limit(limit)).all()
