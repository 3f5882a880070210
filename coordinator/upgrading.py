"""Moves the district to a new settlement contract, with every balance as it stands."""

from contracts.terms import ChainRefused, ChainUnavailable
from coordinator import directory, rules, settlement
from coordinator.keys import read_relay_key
from coordinator.refusals import ChainTrouble, NoChain, NoContract, NotTheContract, RoundOpen
from coordinator.settings import Office, Place
from node.kernel.db import Database


def upgrade(
    database: Database, *, place: Place, office: Office, old_address: str
) -> tuple[str, int]:
    """The contract that carries on from `old_address`, and for how many communities.

    Interrupted, or not sure? Said again it goes on, or finds that all is done.

    Only between two rounds: what was signed for the old contract is worth nothing on the new one.
    The directory names the new contract once all balances stand there; nodes follow it by the
    successor that the old one names.
    """
    if office.rpc_url is None:
        raise NoChain()
    with database.read() as session:
        present = directory.fact(session, directory.CONTRACT_ADDRESS)
        current = settlement.current_round(session)
    if not present:
        raise NoContract(directory=str(place.directory))
    if current is not None and current.state not in rules.ENDED:
        raise RoundOpen(number=current.number, state=current.state)
    from contracts.client import SettlementChain  # web3: only where it is used
    from contracts.upgrade import upgrade as move_on

    try:
        old = SettlementChain(
            office.rpc_url, contract_address=old_address, chain_id=office.chain_id
        )
        old.assert_chain()
        if present.lower() not in (old_address.lower(), (old.successor() or "").lower()):
            raise NotTheContract(address=old_address, present=present)
        new = move_on(old, office.rpc_url, sender_key=read_relay_key(place.relay_key))
        count = new.community_count()
    except (ChainRefused, ChainUnavailable) as error:
        raise ChainTrouble(code=error.code, reason=str(error)) from error
    facts = {directory.CONTRACT_ADDRESS: new.contract_address}
    database.do(lambda session: directory.learn(session, **facts))
    return new.contract_address, count
