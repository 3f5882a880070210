"""Puts a community's new settlement key in place, as its old and its new key have asked."""

from pathlib import Path
from typing import Annotated

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from contracts.terms import ChainRefused, ChainUnavailable, Status
from coordinator import directory
from coordinator.keys import read_relay_key
from coordinator.model import Community
from coordinator.refusals import ChainTrouble, ConsentUnusable, NoChain
from coordinator.settings import Office, Place
from node.kernel.db import Database

FORMAT = "linli/rotate/v1"
STEP_TIMEOUT_SECONDS = 60.0
CONSENT_BYTES_MAX = 4_096

Address = Annotated[str, msgspec.Meta(pattern="^0x[0-9a-fA-F]{40}$")]
Signature = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{130}$")]


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `linli-node rotate-settlement-key` writes: both keys say yes. It holds no secret."""

    format: str
    number: int
    new_signer: Address
    deadline: int
    old_signature: Signature
    new_signature: Signature
    contract: Address
    chain_id: int


def read_consent(file: Path) -> Consent:
    """The consent in this file; raises ConsentUnusable."""
    try:
        content = file.read_bytes()[: CONSENT_BYTES_MAX + 1]
        consent = msgspec.json.decode(content, type=Consent)
    except OSError as problem:
        raise ConsentUnusable(problem=problem.strerror or "it cannot be read") from problem
    except msgspec.DecodeError as problem:
        raise ConsentUnusable(problem=str(problem)) from problem
    if consent.format != FORMAT:
        raise ConsentUnusable(problem=f"this is {consent.format}, not {FORMAT}")
    return consent


def rotate(database: Database, *, place: Place, office: Office, consent: Consent) -> str:
    """The community whose key it is. Interrupted? Said again it goes on, or finds it done."""
    if office.rpc_url is None:
        raise NoChain()
    with database.read() as session:
        contract = directory.fact(session, directory.CONTRACT_ADDRESS)
        community = session.scalars(
            select(Community.id).where(Community.number == consent.number)
        ).first()
    if (consent.contract.lower(), consent.chain_id) != (contract.lower(), office.chain_id):
        raise ConsentUnusable(problem=f"it is for {consent.contract}, we settle with {contract}")
    if community is None:
        raise ConsentUnusable(problem=f"nobody here has number {consent.number}")
    try:
        _put_in_place(consent, office.rpc_url, sender_key=read_relay_key(place.relay_key))
    except (ChainRefused, ChainUnavailable) as error:
        raise ChainTrouble(code=error.code, reason=str(error)) from error

    def learn(session: Session) -> None:
        row = session.get_one(Community, community)
        row.settlement_address = bytes.fromhex(consent.new_signer.removeprefix("0x"))
        directory.changed(session)

    database.do(learn)
    return community


def _put_in_place(consent: Consent, rpc_url: str, *, sender_key: bytes) -> None:
    from contracts.client import SettlementChain  # web3: only where it is used

    chain = SettlementChain(rpc_url, contract_address=consent.contract, chain_id=consent.chain_id)
    chain.assert_chain()
    position = chain.position(consent.number)
    if position.status is Status.ACTIVE and position.signer.lower() == consent.new_signer.lower():
        return
    transaction = chain.prepare_rotate_signer(
        consent.number,
        consent.new_signer,
        deadline=consent.deadline,
        old_signature=bytes.fromhex(consent.old_signature),
        new_signature=bytes.fromhex(consent.new_signature),
        sender_key=sender_key,
    )
    chain.send(transaction)
    chain.wait(transaction.hash, STEP_TIMEOUT_SECONDS)
