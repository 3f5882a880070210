"""One EVM chain over JSON-RPC: sign first, store, then send, and hear every refusal in words.

Nothing here repeats a request by itself: whoever calls decides whether to ask again.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from eth_account import Account
from web3 import HTTPProvider, Web3
from web3.exceptions import (
    BadFunctionCallOutput,
    BadResponseFormat,
    BlockNotFound,
    ContractLogicError,
    MethodUnavailable,
    TransactionNotFound,
    Web3Exception,
    Web3RPCError,
)
from web3.middleware import ExtraDataToPOAMiddleware
from web3.types import TxParams

from contracts.artifact import refusal
from contracts.consent import address_of
from contracts.terms import ChainRefused, ChainUnavailable, Receipt, SignedTransaction

REQUEST_TIMEOUT_SECONDS = 20.0
RECEIPT_POLL_SECONDS = 0.2
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# The state may move between estimate and block; unused gas is given back.
GAS_MARGIN = 1.2


class Connection:
    """A chain by its URL; every call is one request, or a few, each with a time limit."""

    def __init__(self, rpc_url: str, *, chain_id: int) -> None:
        self.rpc_url = rpc_url
        self.chain_id = chain_id
        options: dict[str, Any] = {"timeout": REQUEST_TIMEOUT_SECONDS}
        if urlsplit(rpc_url).hostname in LOOPBACK:
            # A proxy named in the environment is for other machines.
            options["proxies"] = {"http": None, "https": None, "all": None}
        self._web3 = Web3(
            HTTPProvider(rpc_url, request_kwargs=options, exception_retry_configuration=None)
        )
        # Besu's QBFT and geth's Clique sign in a block's extraData, past the 32 bytes web3 expects.
        self._web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)

    def assert_chain_id(self) -> None:
        """Fails when the URL leads to another chain than the one configured."""
        with in_words():
            actual = self._web3.eth.chain_id
        if actual != self.chain_id:
            raise ChainRefused(
                "chain.other_chain",
                f"The URL leads to chain {actual}; chain {self.chain_id} was expected.",
                {"actual": actual, "expected": self.chain_id},
            )

    def head(self) -> tuple[int, bytes]:
        """The newest block's number and hash."""
        with in_words():
            block = self._web3.eth.get_block("latest")
        return int(block["number"]), bytes(block["hash"])

    def block_hash(self, number: int) -> bytes | None:
        """That block's hash on the chain as it is now, or None past its head."""
        with in_words():
            try:
                return bytes(self._web3.eth.get_block(number)["hash"])
            except BlockNotFound:
                return None

    def prepare(
        self, *, to: str | None, data: bytes, sender_key: bytes, nonce: int | None = None
    ) -> SignedTransaction:
        """A signed transaction that is known to succeed now; raises ChainRefused if it would not.

        Without a nonce it takes the account's next one: one transaction of a key at a time.
        """
        sender = address_of(sender_key)
        call: dict[str, Any] = {"from": sender, "data": "0x" + data.hex(), "value": 0}
        if to is not None:
            call["to"] = to
        with in_words():
            gas = int(self._web3.eth.estimate_gas(cast(TxParams, call)) * GAS_MARGIN)
            if nonce is None:
                nonce = self._web3.eth.get_transaction_count(_address(sender), "latest")
            fees = self._fees()
        fields = {"chainId": self.chain_id, "nonce": nonce, "gas": gas, "data": data, "value": 0}
        signed = Account.sign_transaction(
            {**fields, **fees} if to is None else {**fields, **fees, "to": to}, sender_key
        )
        return SignedTransaction(bytes(signed.hash), bytes(signed.raw_transaction), nonce)

    def send(self, signed: SignedTransaction) -> None:
        """Hands a transaction to the chain; safe to repeat, also when it is in a block already."""
        try:
            with in_words():
                self._web3.eth.send_raw_transaction(signed.raw)
        except ChainRefused as refused:
            # Each client has its own text for "I have it already"; the hash is the same everywhere.
            if not self._is_known(signed.hash):
                raise self._explained(refused, signed) from refused

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Where a transaction ended up, or None while it is in no block."""
        with in_words():
            try:
                found = self._web3.eth.get_transaction_receipt(_hash(transaction_hash))
            except TransactionNotFound:
                return None
        return Receipt(
            transaction_hash=transaction_hash,
            succeeded=found["status"] == 1,
            block_number=int(found["blockNumber"]),
            block_hash=bytes(found["blockHash"]),
            gas_used=int(found["gasUsed"]),
            contract_address=found.get("contractAddress"),
        )

    def wait(self, transaction_hash: bytes, timeout_seconds: float) -> Receipt:
        """Waits until a transaction is in a block; one that was undone there raises ChainRefused.

        ChainUnavailable after the timeout: unknown still, so send the same transaction again.
        """
        give_up_at = time.monotonic() + timeout_seconds
        while (receipt := self.receipt(transaction_hash)) is None:
            if time.monotonic() >= give_up_at:
                raise ChainUnavailable(
                    f"0x{transaction_hash.hex()} is in no block after {timeout_seconds:g} s."
                )
            time.sleep(RECEIPT_POLL_SECONDS)
        if not receipt.succeeded:
            raise self._why_undone(receipt)
        return receipt

    def _fees(self) -> Mapping[str, int]:
        base_fee = self._web3.eth.get_block("latest").get("baseFeePerGas")
        if base_fee is None:  # a network without EIP-1559, often one without fees at all
            return {"gasPrice": int(self._web3.eth.gas_price)}
        tip = int(self._web3.eth.max_priority_fee)
        return {"maxFeePerGas": 2 * int(base_fee) + tip, "maxPriorityFeePerGas": tip}

    def _is_known(self, transaction_hash: bytes) -> bool:
        with in_words():
            try:
                self._web3.eth.get_transaction(_hash(transaction_hash))
            except TransactionNotFound:
                return False
        return True

    def _explained(self, refused: ChainRefused, signed: SignedTransaction) -> ChainRefused:
        sender = Account.recover_transaction(signed.raw)
        with in_words():
            next_nonce = self._web3.eth.get_transaction_count(_address(sender), "latest")
        if signed.nonce >= next_nonce:
            return refused
        return ChainRefused(
            "chain.nonce_used",
            f"{sender} has sent another transaction with nonce {signed.nonce}.",
            {"sender": sender, "nonce": signed.nonce, "next": next_nonce},
        )

    def _why_undone(self, receipt: Receipt) -> ChainRefused:
        """Asks the block before what it thinks of the call; the best reason there is."""
        try:
            with in_words():
                sent = self._web3.eth.get_transaction(_hash(receipt.transaction_hash))
                call = {key: sent[key] for key in ("from", "to", "input", "gas") if sent.get(key)}
                call["data"] = call.pop("input")
                self._web3.eth.call(cast(TxParams, call), receipt.block_number - 1)
        except ChainRefused as reason:
            return reason
        except ChainUnavailable:
            pass
        return ChainRefused(
            "chain.reverted", f"0x{receipt.transaction_hash.hex()} was mined and undone."
        )


@contextmanager
def in_words() -> Iterator[None]:
    """Turns what web3, requests and the many clients raise into our two exceptions."""
    try:
        yield
    except (requests.RequestException, OSError, BadResponseFormat) as error:
        answered = getattr(getattr(error, "response", None), "status_code", None)
        # Not the error's own text: it holds the URL, and with it perhaps a password.
        reason = type(error).__name__ if answered is None else f"HTTP status {answered}"
        raise ChainUnavailable(f"The chain does not answer: {reason}.") from error
    except ContractLogicError as error:
        data = error.data if isinstance(error.data, str) else ""
        raise refusal(bytes.fromhex(data[2:]) if data.startswith("0x") else b"") from error
    except BadFunctionCallOutput as error:
        raise ChainRefused("chain.no_contract", "There is no contract at the address.") from error
    except MethodUnavailable as error:
        raise ChainRefused("chain.unsupported", f"The client lacks a method: {error}.") from error
    except Web3RPCError as error:
        detail = (error.rpc_response or {}).get("error")
        message = detail.get("message", "") if isinstance(detail, dict) else str(error)
        raise ChainRefused(
            "chain.transaction_refused", f"The chain refused: {message or error}."
        ) from error
    except Web3Exception as error:
        raise ChainUnavailable(f"The chain's answer makes no sense: {error}.") from error


def _address(value: str) -> Any:
    return Web3.to_checksum_address(value)


def _hash(value: bytes) -> Any:
    return "0x" + value.hex()
