"""Puts the committed contract on the chain, once: signed, stored, then sent."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from contracts.terms import ChainRefused, ChainUnavailable, SignedTransaction
from coordinator import directory
from coordinator.keys import read_relay_key, relay_address
from coordinator.model import Transaction, TransactionState
from coordinator.refusals import ChainTrouble, NoChain
from coordinator.settings import Office, Place
from node.kernel.db import Database
from node.kernel.ports import Clock

PURPOSE = "deploy"


def deploy(database: Database, clock: Clock, *, place: Place, office: Office) -> tuple[str, bool]:
    """The contract's address, and whether it was deployed just now. Safe to say again."""
    if office.rpc_url is None:
        raise NoChain()
    with database.read() as session:
        known = directory.fact(session, directory.CONTRACT_ADDRESS)
        stored = _open_deployment(session)
    if known:
        return known, False
    from contracts.deploy import deploy as deploy_contract  # web3: only where it is used

    key = read_relay_key(place.relay_key)
    try:
        address, signed = deploy_contract(
            office.rpc_url,
            chain_id=office.chain_id,
            sender_key=key,
            admin=relay_address(key),
            signed=stored,
            store=lambda made: database.do(_keeping(made, clock)),
        )
    except (ChainRefused, ChainUnavailable) as error:
        raise ChainTrouble(code=error.code, reason=str(error)) from error

    def learn(session: Session) -> None:
        session.get_one(Transaction, signed.hash).state = TransactionState.MINED
        directory.learn(
            session,
            **{directory.CONTRACT_ADDRESS: address, directory.CHAIN_ID: str(office.chain_id)},
        )

    database.do(learn)
    return address, True


def _open_deployment(session: Session) -> SignedTransaction | None:
    rows = session.query(Transaction).filter_by(purpose=PURPOSE, state=TransactionState.STORED)
    row = rows.first()
    return SignedTransaction(row.hash, row.raw, row.nonce) if row else None


def _keeping(signed: SignedTransaction, clock: Clock) -> Callable[[Session], None]:
    def keep(session: Session) -> None:
        session.add(
            Transaction(
                hash=signed.hash,
                purpose=PURPOSE,
                raw=signed.raw,
                nonce=signed.nonce,
                state=TransactionState.STORED,
                stored_at=clock.now(),
            )
        )

    return keep
