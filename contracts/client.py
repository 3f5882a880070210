"""The settlement contract for Python: typed call in, typed answer out, sign first then send.

A transaction is made in two steps, so that a crash between them loses nothing: `prepare_…` checks
with the chain that the call would succeed and signs it; the caller stores what it got, and then
calls `send`, as often as it likes. `receipt` tells how it went.
"""

from collections.abc import Sequence
from typing import Any

from web3 import Web3
from web3.exceptions import Web3Exception

from contracts.artifact import artifact
from contracts.connection import Connection, in_words
from contracts.consent import Consents, address_of, new_settlement_key
from contracts.terms import (
    Batch,
    BatchEntry,
    BatchSettled,
    ChainRefused,
    ChainUnavailable,
    Position,
    Receipt,
    SignedTransaction,
    Status,
)

__all__ = [
    "Batch",
    "BatchEntry",
    "BatchSettled",
    "ChainRefused",
    "ChainUnavailable",
    "Position",
    "Receipt",
    "SettlementChain",
    "SignedTransaction",
    "Status",
    "address_of",
    "new_settlement_key",
]

# A client may cap a query's blocks; ours does at 10,000.
LOG_PAGE_BLOCKS = 5_000


class SettlementChain(Connection):
    """One HourSettlement contract on one chain."""

    def __init__(self, rpc_url: str, *, contract_address: str, chain_id: int) -> None:
        super().__init__(rpc_url, chain_id=chain_id)
        self.contract_address = Web3.to_checksum_address(contract_address)
        self.consents = Consents(self.contract_address, chain_id)
        self._contract = self._web3.eth.contract(address=self.contract_address, abi=artifact().abi)

    def at(self, contract_address: str) -> "SettlementChain":
        """Another HourSettlement on the same chain."""
        return SettlementChain(
            self.rpc_url, contract_address=contract_address, chain_id=self.chain_id
        )

    def assert_chain(self) -> None:
        """Fails unless the chain is the configured one and runs the committed contract."""
        self.assert_chain_id()
        with in_words():
            code = bytes(self._web3.eth.get_code(self.contract_address))
        if not code:
            raise ChainRefused(
                "chain.no_contract", f"There is no contract at {self.contract_address}."
            )
        if not artifact().is_code(code):
            raise ChainRefused(
                "chain.other_code",
                f"The contract at {self.contract_address} is not the committed HourSettlement.",
            )

    def position(self, number: int) -> Position:
        """A community's balance, limit, signer and next sequence."""
        with in_words():
            found = self._contract.functions.positionOf(number).call()
        signer, balance, limit, sequence, status = found
        return Position(number, signer, balance, limit, sequence, Status(status))

    def limit_cut(self, number: int) -> tuple[int, int] | None:
        """The cut that waits for a community: new limit in minutes, and when it takes effect."""
        with in_words():
            limit, effective_at = self._contract.functions.limitCutOf(number).call()
        return (limit, effective_at) if effective_at else None

    def recovery(self, number: int) -> tuple[str, int] | None:
        """The key announced for a community that lost its own, and when it takes over.

        A community that sees one it did not ask for signs anything, and the recovery is void.
        """
        with in_words():
            found = self._contract.functions.recoveryOf(number).call()
        signer, effective_at, sequence = found
        if not effective_at or sequence != self.position(number).sequence:
            return None
        return signer, effective_at

    def digest(self, batch: Batch) -> bytes:
        """What every community in the batch signs; computed here, without the chain."""
        return self.consents.batch_digest(batch)

    def sign_batch(self, batch: Batch, private_key: bytes) -> bytes:
        """A community's yes to the whole batch."""
        return self.consents.sign_batch(batch, private_key)

    def signer_of(self, batch: Batch, signature: bytes) -> str:
        """The address that made a signature."""
        return self.consents.signer_of(batch, signature)

    def prepare_settle(
        self,
        batch: Batch,
        signatures: Sequence[bytes],
        *,
        sender_key: bytes,
        nonce: int | None = None,
    ) -> SignedTransaction:
        """The transaction that settles a batch; any funded key may send it."""
        entries = [
            (entry.community, entry.delta_minutes, entry.sequence, entry.ledger_head)
            for entry in batch.entries
        ]
        encoded = (batch.round_id, batch.merkle_root, batch.deadline, entries)
        return self._prepare("settle", encoded, list(signatures), key=sender_key, nonce=nonce)

    def prepare_register(
        self,
        number: int,
        signer: str,
        debt_limit_minutes: int,
        *,
        sender_key: bytes,
        nonce: int | None = None,
    ) -> SignedTransaction:
        """Admits a community (registrar)."""
        return self._prepare(
            "register", number, _account(signer), debt_limit_minutes, key=sender_key, nonce=nonce
        )

    def prepare_cover(
        self,
        number: int,
        *,
        minutes_covered: int,
        deadline: int,
        signature: bytes,
        sender_key: bytes,
        nonce: int | None = None,
    ) -> SignedTransaction:
        """Moves part of a community's debt to the guarantor (guarantor, with its consent)."""
        return self._prepare(
            "cover", number, minutes_covered, deadline, signature, key=sender_key, nonce=nonce
        )

    def prepare_rotate_signer(
        self,
        number: int,
        new_signer: str,
        *,
        deadline: int,
        old_signature: bytes,
        new_signature: bytes,
        sender_key: bytes,
        nonce: int | None = None,
    ) -> SignedTransaction:
        """Replaces a community's settlement key; both keys have signed, anyone may send it."""
        arguments = (number, _account(new_signer), deadline, old_signature, new_signature)
        return self._prepare("rotateSigner", *arguments, key=sender_key, nonce=nonce)

    def prepare_request_recovery(
        self,
        number: int,
        new_signer: str,
        *,
        deadline: int,
        new_signature: bytes,
        sender_key: bytes,
        nonce: int | None = None,
    ) -> SignedTransaction:
        """Announces a new key for a community that has lost its own (registrar).

        Anything that the community signs during the delay ends it.
        """
        arguments = (number, _account(new_signer), deadline, new_signature)
        return self._prepare("requestRecovery", *arguments, key=sender_key, nonce=nonce)

    def prepare_apply_recovery(
        self, number: int, *, sender_key: bytes, nonce: int | None = None
    ) -> SignedTransaction:
        """Puts the announced key in place once its delay is over; anyone may send it."""
        return self._prepare("applyRecovery", number, key=sender_key, nonce=nonce)

    def prepare_request_debt_limit(
        self,
        number: int,
        *,
        debt_limit_minutes: int,
        sender_key: bytes,
        nonce: int | None = None,
    ) -> SignedTransaction:
        """Raises a limit at once, or announces a cut (registrar)."""
        return self._prepare(
            "requestDebtLimit", number, debt_limit_minutes, key=sender_key, nonce=nonce
        )

    def prepare_apply_debt_limit(
        self, number: int, *, sender_key: bytes, nonce: int | None = None
    ) -> SignedTransaction:
        """Applies a cut whose delay is over; anyone may send it."""
        return self._prepare("applyDebtLimit", number, key=sender_key, nonce=nonce)

    def prepare_exit(
        self,
        number: int,
        *,
        deadline: int,
        signature: bytes,
        sender_key: bytes,
        nonce: int | None = None,
    ) -> SignedTransaction:
        """Lets a community leave at balance zero, as it has signed."""
        return self._prepare("exit", number, deadline, signature, key=sender_key, nonce=nonce)

    def prepare_pause(self, *, sender_key: bytes, nonce: int | None = None) -> SignedTransaction:
        """Stops settlement at once (pauser)."""
        return self._prepare("pause", key=sender_key, nonce=nonce)

    def prepare_unpause(self, *, sender_key: bytes, nonce: int | None = None) -> SignedTransaction:
        """Resumes (administrator)."""
        return self._prepare("unpause", key=sender_key, nonce=nonce)

    def successor(self) -> str | None:
        """The contract that carries on from here, once this one is retired."""
        with in_words():
            found = str(self._contract.functions.successor().call())
        return None if int(found, 16) == 0 else found

    def community_count(self) -> int:
        """How many communities were ever registered here, the guarantor included."""
        with in_words():
            return int(self._contract.functions.communityCount().call())

    def prepare_retire(
        self, successor: str, *, sender_key: bytes, nonce: int | None = None
    ) -> SignedTransaction:
        """Ends this contract for good and names the one that carries on (administrator)."""
        return self._prepare("retire", _account(successor), key=sender_key, nonce=nonce)

    def prepare_carry_over(
        self,
        predecessor: str,
        numbers: Sequence[int],
        *,
        sender_key: bytes,
        nonce: int | None = None,
    ) -> SignedTransaction:
        """Takes over all communities of a retired contract as they stand (administrator)."""
        arguments = (_account(predecessor), list(numbers))
        return self._prepare("carryOver", *arguments, key=sender_key, nonce=nonce)

    def prepare_grant_role(
        self, role: str, account: str, *, sender_key: bytes, nonce: int | None = None
    ) -> SignedTransaction:
        """Gives "REGISTRAR", "GUARANTOR", "PAUSER" or "DEFAULT_ADMIN" to an account."""
        return self._prepare(
            "grantRole", _role(role), _account(account), key=sender_key, nonce=nonce
        )

    def prepare_revoke_role(
        self, role: str, account: str, *, sender_key: bytes, nonce: int | None = None
    ) -> SignedTransaction:
        """Takes a role away; never the last administrator's."""
        return self._prepare(
            "revokeRole", _role(role), _account(account), key=sender_key, nonce=nonce
        )

    def settled_batches(self, from_block: int, to_block: int) -> list[BatchSettled]:
        """The batches settled in those blocks, both ends included; none past the head."""
        last = min(to_block, self.head()[0])
        found: list[BatchSettled] = []
        event = self._contract.events.BatchSettled()
        for start in range(from_block, last + 1, LOG_PAGE_BLOCKS):
            end = min(start + LOG_PAGE_BLOCKS - 1, last)
            with in_words():
                found += [_settled(log) for log in event.get_logs(from_block=start, to_block=end)]
        return found

    def _prepare(
        self, function: str, *arguments: Any, key: bytes, nonce: int | None
    ) -> SignedTransaction:
        try:
            data = self._contract.encode_abi(function, args=list(arguments))
        except (Web3Exception, TypeError, ValueError) as error:
            raise ChainRefused(
                "chain.unencodable", f"The contract's {function} does not take such arguments."
            ) from error
        return self.prepare(
            to=self.contract_address,
            data=bytes.fromhex(data[2:]),
            sender_key=key,
            nonce=nonce,
        )


def _account(address: str) -> str:
    # web3 would take any other text for a name and ask the network about it.
    if not Web3.is_address(address):
        raise ChainRefused("chain.unencodable", f"{address!r} is not an address.")
    return str(Web3.to_checksum_address(address))


def _role(name: str) -> bytes:
    return bytes(32) if name == "DEFAULT_ADMIN" else bytes(Web3.keccak(text=f"{name}_ROLE"))


def _settled(log: Any) -> BatchSettled:
    arguments = log["args"]
    return BatchSettled(
        round_id=bytes(arguments["roundId"]),
        merkle_root=bytes(arguments["merkleRoot"]),
        entries=tuple(
            BatchEntry(
                community=entry["community"],
                delta_minutes=entry["deltaMinutes"],
                sequence=entry["sequence"],
                ledger_head=bytes(entry["ledgerHead"]),
            )
            for entry in arguments["entries"]
        ),
        block_number=int(log["blockNumber"]),
        block_hash=bytes(log["blockHash"]),
        transaction_hash=bytes(log["transactionHash"]),
    )
