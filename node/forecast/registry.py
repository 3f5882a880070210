"""Every model that the district ever sent, and the operator's right to go back to an earlier one.

The files lie in the forecast folder under their hashes; the one in use is the newest, unless the
operator has chosen. A choice holds until the operator takes it back, whatever arrives meanwhile.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.forecast import rules
from node.forecast.model import FederatedModel, ModelChoice
from node.kernel.files import private_folder, write_file
from node.kernel.ports import Clock

CARD_BYTES_MAX = 200_000  # a longer one is kept as an empty card: it is only to be read


def path_of(folder: Path, sha256: str) -> Path:
    """Where a model's weights lie in a node's forecast folder."""
    return folder / "models" / f"{sha256}.npz"


def keep_file(folder: Path, content: bytes) -> str:
    """Write a model's weights under their hash; returns the hash."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = path_of(folder, sha256)
    private_folder(path.parent)
    write_file(path, content)
    return sha256


def record(session: Session, clock: Clock, *, sha256: str, card_json: str) -> FederatedModel:
    """Remember that a model came; the same again is the same, and becomes the newest."""
    card = card_json if len(card_json.encode()) <= CARD_BYTES_MAX else "{}"
    known = session.get(FederatedModel, sha256)
    if known is None:
        known = FederatedModel(sha256=sha256, received_at=clock.now(), card=card)
        session.add(known)
    known.received_at, known.card = clock.now(), card
    return known


def models(session: Session) -> Sequence[FederatedModel]:
    """All that ever came, the newest first."""
    newest_first = FederatedModel.received_at.desc()
    return session.scalars(select(FederatedModel).order_by(newest_first)).all()


def choose(session: Session, clock: Clock, *, choice_id: UUID, sha256: str | None) -> None:
    """From now on this model, or, for None, always the newest."""
    if sha256 is not None and session.get(FederatedModel, sha256) is None:
        raise rules.ModelUnknown(sha256=sha256[:12])
    if session.get(ModelChoice, choice_id) is None:
        session.add(ModelChoice(id=choice_id, sha256=sha256, chosen_at=clock.now()))
        session.flush()


def chosen(session: Session) -> str | None:
    """The hash that the operator holds on to; None where the newest is used."""
    latest = select(ModelChoice).order_by(ModelChoice.chosen_at.desc(), ModelChoice.id.desc())
    choice = session.scalars(latest.limit(1)).first()
    return choice.sha256 if choice else None


def in_use(session: Session) -> FederatedModel | None:
    """The model that comparisons judge; None before any came."""
    held = chosen(session)
    if held is not None:
        return session.get(FederatedModel, held)
    return next(iter(models(session)), None)


def newest_sha256(session: Session, folder: Path) -> str:
    """What the office is told that we have; empty before any came, or once its file is lost."""
    newest = next((model.sha256 for model in models(session)), "")
    return newest if newest and path_of(folder, newest).is_file() else ""


def card_of(model: FederatedModel) -> dict[str, Any]:
    """The card as it came; an empty one where it cannot be read."""
    try:
        card = json.loads(model.card)
    except ValueError:
        return {}
    return card if isinstance(card, dict) else {}
