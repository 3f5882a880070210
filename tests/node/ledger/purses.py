"""The accounts of these tests, and short ways to move value between them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from node.kernel.clock import VirtualClock
from node.kernel.ids import derived_id
from node.ledger import service as ledger

ELDER, HELPER, POINTS, SHOP = (
    derived_id("test account", name) for name in ("elder", "helper", "points", "shop")
)


def pay(
    session: Session,
    clock: VirtualClock,
    name: object,
    amount: int,
    *,
    payer: UUID = ELDER,
    payee: UUID = HELPER,
) -> int:
    """Move `amount`; `name` makes the entry's id."""
    return ledger.transfer(
        session,
        clock,
        entry_id=derived_id("entry", name),
        payer_id=payer,
        payee_id=payee,
        amount=amount,
        reason="exchange",
    )


def promise(
    session: Session,
    clock: VirtualClock,
    name: object,
    amount: int,
    *,
    payer: UUID = ELDER,
    payee: UUID = HELPER,
    expires_at: datetime | None = None,
) -> UUID:
    """Hold `amount`; returns the hold's id, made from `name`."""
    hold_id = derived_id("hold", name)
    ledger.place_hold(
        session,
        clock,
        hold_id=hold_id,
        payer_id=payer,
        payee_id=payee,
        amount=amount,
        expires_at=expires_at,
        reason="exchange",
    )
    return hold_id
