"""How many minutes one resident can own: what comes in above it goes to the donation pool."""

from uuid import UUID

from sqlalchemy.orm import Session

from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit

HOLDING_MAX_MINUTES = 90_000  # 1,500 hours, as Nanjing has it
POOL = "pool"  # house account: minutes given for those who cannot earn their own
SURPLUS_REASON = "surplus_to_pool"


def pool_account() -> UUID:
    """The id of the donation pool's account."""
    return ledger.house_account(POOL, Unit.MINUTES)


def open_pool(session: Session) -> None:
    """Make sure the pool has its account; it can never give what it does not have."""
    ledger.open_account(
        session,
        account_id=pool_account(),
        unit=Unit.MINUTES,
        kind="house",
        owner=POOL,
        floor=0,
    )


def sweep_surplus(session: Session, clock: Clock, *, account_id: UUID, refers_to: UUID) -> int:
    """After a credit: move what stands above the limit to the pool; how many minutes that was."""
    balance = ledger.balance(session, account_id)
    if balance <= HOLDING_MAX_MINUTES:
        return 0
    surplus = min(balance - HOLDING_MAX_MINUTES, ledger.available(session, account_id))
    if surplus <= 0:  # promised away already
        return 0
    open_pool(session)
    ledger.transfer(
        session,
        clock,
        entry_id=derived_id("surplus", refers_to),
        payer_id=account_id,
        payee_id=pool_account(),
        amount=surplus,
        reason=SURPLUS_REASON,
        refers_to=refers_to,
    )
    return surplus
