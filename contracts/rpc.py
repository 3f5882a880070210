"""The JSON-RPC words that a wallet or web3.py speaks, answered from a DurableChain.

Only what is in METHODS exists. There are no unlocked accounts: a transaction arrives signed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth._utils.address import generate_contract_address
from eth.abc import BlockAPI, LogAPI, SignedTransactionAPI
from eth.constants import ZERO_ADDRESS
from eth.exceptions import HeaderNotFound
from eth_bloom.bloom import BloomFilter
from eth_utils.address import to_checksum_address

from contracts.evm import BLOCK_GAS_MAX, Call, CallReverted, DurableChain, TransactionRefused

LOG_BLOCKS_MAX = 10_000
LOGS_MAX = 10_000
FEE_HISTORY_BLOCKS_MAX = 1_024
TRANSACTION_BYTES_MAX = 128 * 1024
PRIORITY_FEE_WEI = 10**9
LATEST = ("latest", "pending", "safe", "finalized")  # one operator, no forks: all are the head


@dataclass
class RpcError(Exception):
    """A JSON-RPC refusal with its number."""

    number: int
    sentence: str
    data: str | None = None


def quantity(value: int) -> str:
    return hex(value)


def text(value: bytes) -> str:
    return "0x" + value.hex()


def _bytes(value: object, *, length: int | None = None) -> bytes:
    try:
        if not isinstance(value, str) or not value.startswith("0x"):
            raise ValueError
        raw = bytes.fromhex(value[2:])
        if length is not None and len(raw) != length:
            raise ValueError
    except ValueError:
        expected = "hex data" if length is None else f"{length} bytes of hex data"
        raise RpcError(-32602, f"{expected} expected") from None
    return raw


def _number(value: object) -> int:
    try:
        if not isinstance(value, str) or not value.startswith("0x"):
            raise ValueError
        return int(value, 16)
    except ValueError:
        raise RpcError(-32602, "a hex quantity was expected") from None


class Rpc:
    """Answers one request at a time; the caller holds the lock."""

    def __init__(self, chain: DurableChain) -> None:
        self._chain = chain

    def answer(self, method: str, params: Sequence[Any]) -> Any:
        """The result of one call, or an RpcError that says why not."""
        handler = METHODS.get(method)
        if handler is None:
            raise RpcError(-32601, f"the method {method[:60]} is not offered here")
        try:
            return handler(self, *params)
        except HeaderNotFound as error:
            raise RpcError(-32000, "header not found") from error
        except CallReverted as error:
            raise RpcError(3, "execution reverted", text(error.data)) from error
        except TransactionRefused as error:
            raise RpcError(-32000, str(error)) from error
        except TypeError as error:
            raise RpcError(-32602, f"wrong parameters for {method}") from error

    def chain_id(self) -> str:
        return quantity(self._chain.chain_id)

    def network(self) -> str:
        return str(self._chain.chain_id)

    def block_number(self) -> str:
        return quantity(self._chain.head().number)

    def balance(self, address: object, block: object = "latest") -> str:
        return quantity(self._state(block).get_balance(_bytes(address, length=20)))

    def nonce(self, address: object, block: object = "latest") -> str:
        return quantity(self._state(block).get_nonce(_bytes(address, length=20)))

    def code(self, address: object, block: object = "latest") -> str:
        return text(self._state(block).get_code(_bytes(address, length=20)))

    def storage(self, address: object, slot: object, block: object = "latest") -> str:
        value = self._state(block).get_storage(_bytes(address, length=20), _number(slot))
        return text(value.to_bytes(32, "big"))

    def call(self, call: object, block: object = "latest") -> str:
        return text(self._chain.call(_call(call), number=self._resolve(block)))

    def estimate(self, call: object, block: object = "latest") -> str:
        return quantity(self._chain.estimate(_call(call), number=self._resolve(block)))

    def gas_price(self) -> str:
        return quantity(self._base_fee() + PRIORITY_FEE_WEI)

    def priority_fee(self) -> str:
        return quantity(PRIORITY_FEE_WEI)

    def fee_history(self, count: object, newest: object, percentiles: object = None) -> Any:
        last = self._resolve(newest)
        wanted = count if isinstance(count, int) else _number(count)
        first = max(0, last - min(wanted, FEE_HISTORY_BLOCKS_MAX) + 1)
        headers = [self._chain.header_at(number) for number in range(first, last + 1)]
        rewards = len(percentiles) if isinstance(percentiles, list) else 0
        return {
            "oldestBlock": quantity(first),
            # One more than asked: the fee of the block to come, which only falls on a quiet chain.
            "baseFeePerGas": [
                *(quantity(header.base_fee_per_gas or 0) for header in headers),
                quantity(self._base_fee()),
            ],
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
            "reward": [[quantity(PRIORITY_FEE_WEI)] * rewards for _ in headers],
        }

    def send(self, raw: object) -> str:
        transaction = _bytes(raw)
        if len(transaction) > TRANSACTION_BYTES_MAX:
            raise RpcError(-32000, f"a transaction has at most {TRANSACTION_BYTES_MAX} bytes")
        return text(self._chain.send(transaction).hash)

    def block_by_number(self, block: object, full: object = False) -> Any:
        try:
            found = self._chain.block_at(self._resolve(block))
        except HeaderNotFound:
            return None
        return _block(found, full=bool(full))

    def block_by_hash(self, block_hash: object, full: object = False) -> Any:
        try:
            found = self._chain.block_by_hash(_bytes(block_hash, length=32))
        except HeaderNotFound:
            return None
        return _block(found, full=bool(full))

    def transaction(self, transaction_hash: object) -> Any:
        found = self._chain.find(_bytes(transaction_hash, length=32))
        return None if found is None else _transaction(found[0], index=found[1])

    def receipt(self, transaction_hash: object) -> Any:
        found = self._chain.find(_bytes(transaction_hash, length=32))
        if found is None:
            return None
        block, index = found
        receipt = self._chain.receipts(block)[index]
        sent = _transaction(block, index=index)
        creates = sent["to"] is None
        return {
            **{key: sent[key] for key in ("blockHash", "blockNumber", "from", "to", "type")},
            "transactionHash": sent["hash"],
            "transactionIndex": sent["transactionIndex"],
            "contractAddress": _created(block.transactions[index]) if creates else None,
            "cumulativeGasUsed": quantity(receipt.gas_used),
            "gasUsed": quantity(receipt.gas_used),  # one transaction a block: both are the same
            "effectiveGasPrice": sent["gasPrice"],
            "logs": [_log(block, log, place=place) for place, log in enumerate(receipt.logs)],
            "logsBloom": text(receipt.bloom.to_bytes(256, "big")),
            "status": quantity(int.from_bytes(receipt.state_root, "big")),
        }

    def logs(self, query: object) -> list[Any]:
        if not isinstance(query, dict):
            raise RpcError(-32602, "a filter object was expected")
        first, last = self._log_range(query)
        addresses = _addresses(query.get("address"))
        topics = [_topics(choice) for choice in query.get("topics") or []]
        found: list[Any] = []
        for number in range(first, last + 1):
            header = self._chain.header_at(number)
            bloom = BloomFilter(header.bloom)
            if header.bloom == 0 or (addresses and not any(one in bloom for one in addresses)):
                continue
            block = self._chain.block_at(number)
            for receipt in self._chain.receipts(block):
                found += [
                    _log(block, log, place=place)
                    for place, log in enumerate(receipt.logs)
                    if _matches(log, addresses=addresses, topics=topics)
                ]
            if len(found) > LOGS_MAX:
                raise RpcError(-32005, f"more than {LOGS_MAX} events; ask for fewer blocks")
        return found

    def _log_range(self, query: Mapping[str, Any]) -> tuple[int, int]:
        if "blockHash" in query:
            number = self._chain.block_by_hash(_bytes(query["blockHash"], length=32)).number
            return number, number
        first = self._resolve(query.get("fromBlock", "latest"))
        last = min(self._resolve(query.get("toBlock", "latest")), self._chain.head().number)
        if last - first >= LOG_BLOCKS_MAX:
            raise RpcError(-32005, f"at most {LOG_BLOCKS_MAX} blocks at once")
        return first, last

    def _resolve(self, block: object) -> int:
        if block in LATEST or block is None:
            return self._chain.head().number
        if block == "earliest":
            return 0
        if isinstance(block, dict):  # EIP-1898
            if "blockHash" in block:
                return self._chain.block_by_hash(_bytes(block["blockHash"], length=32)).number
            block = block.get("blockNumber")
        return _number(block)

    def _state(self, block: object) -> Any:
        return self._chain.state(self._resolve(block))

    def _base_fee(self) -> int:
        return self._chain.head().header.base_fee_per_gas or 0


def _call(call: object) -> Call:
    if not isinstance(call, dict):
        raise RpcError(-32602, "a call object was expected")
    to = call.get("to")
    return Call(
        sender=_bytes(call.get("from", text(ZERO_ADDRESS)), length=20),
        to=_bytes(to, length=20) if to else b"",
        data=_bytes(call.get("input") or call.get("data") or "0x"),
        value=_number(call.get("value", "0x0")),
        gas=min(_number(call.get("gas", quantity(BLOCK_GAS_MAX))), BLOCK_GAS_MAX),
    )


def _addresses(value: object) -> list[bytes]:
    if value is None:
        return []
    return [_bytes(one, length=20) for one in (value if isinstance(value, list) else [value])]


def _topics(choice: object) -> list[bytes]:
    if choice is None:
        return []
    return [_bytes(one, length=32) for one in (choice if isinstance(choice, list) else [choice])]


def _matches(log: LogAPI, *, addresses: Sequence[bytes], topics: Sequence[Sequence[bytes]]) -> bool:
    if addresses and log.address not in addresses:
        return False
    if len(topics) > len(log.topics):
        return False
    present = [topic.to_bytes(32, "big") for topic in log.topics]
    return all(
        not wanted or topic in wanted for wanted, topic in zip(topics, present, strict=False)
    )


def _log(block: BlockAPI, log: LogAPI, *, place: int) -> dict[str, Any]:
    return {
        "address": to_checksum_address(log.address),
        "topics": [text(topic.to_bytes(32, "big")) for topic in log.topics],
        "data": text(log.data),
        "blockNumber": quantity(block.number),
        "blockHash": text(block.hash),
        "blockTimestamp": quantity(block.header.timestamp),
        "transactionHash": text(block.transactions[0].hash),
        "transactionIndex": "0x0",
        "logIndex": quantity(place),
        "removed": False,
    }


def _block(block: BlockAPI, *, full: bool) -> dict[str, Any]:
    header = block.header
    many = range(len(block.transactions))
    return {
        "number": quantity(block.number),
        "hash": text(block.hash),
        "parentHash": text(header.parent_hash),
        "nonce": text(header.nonce),
        "sha3Uncles": text(header.uncles_hash),
        "logsBloom": text(header.bloom.to_bytes(256, "big")),
        "transactionsRoot": text(header.transaction_root),
        "receiptsRoot": text(header.receipt_root),
        "stateRoot": text(header.state_root),
        "miner": to_checksum_address(header.coinbase),
        "difficulty": quantity(header.difficulty),
        "mixHash": text(header.mix_hash),
        "extraData": text(header.extra_data),
        "size": quantity(0),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "baseFeePerGas": quantity(header.base_fee_per_gas or 0),
        "timestamp": quantity(header.timestamp),
        "uncles": [],
        "transactions": [
            _transaction(block, index=index) if full else text(block.transactions[index].hash)
            for index in many
        ],
    }


def _transaction(block: BlockAPI, *, index: int) -> dict[str, Any]:
    sent: Any = block.transactions[index]
    base_fee = block.header.base_fee_per_gas or 0
    price = min(sent.max_fee_per_gas, sent.max_priority_fee_per_gas + base_fee)
    return {
        "hash": text(sent.hash),
        "type": quantity(getattr(sent, "type_id", None) or 0),
        "nonce": quantity(sent.nonce),
        "from": to_checksum_address(sent.sender),
        "to": to_checksum_address(sent.to) if sent.to else None,
        "value": quantity(sent.value),
        "gas": quantity(sent.gas),
        "gasPrice": quantity(price),
        "maxFeePerGas": quantity(sent.max_fee_per_gas),
        "maxPriorityFeePerGas": quantity(sent.max_priority_fee_per_gas),
        "input": text(sent.data),
        "chainId": quantity(sent.chain_id),
        "blockHash": text(block.hash),
        "blockNumber": quantity(block.number),
        "transactionIndex": quantity(index),
        "v": quantity(sent.y_parity),
        "r": quantity(sent.r),
        "s": quantity(sent.s),
    }


def _created(transaction: SignedTransactionAPI) -> str:
    return to_checksum_address(generate_contract_address(transaction.sender, transaction.nonce))


METHODS: Mapping[str, Callable[..., Any]] = {
    "eth_accounts": lambda rpc: [],
    "eth_blockNumber": Rpc.block_number,
    "eth_call": Rpc.call,
    "eth_chainId": Rpc.chain_id,
    "eth_estimateGas": Rpc.estimate,
    "eth_feeHistory": Rpc.fee_history,
    "eth_gasPrice": Rpc.gas_price,
    "eth_getBalance": Rpc.balance,
    "eth_getBlockByHash": Rpc.block_by_hash,
    "eth_getBlockByNumber": Rpc.block_by_number,
    "eth_getCode": Rpc.code,
    "eth_getLogs": Rpc.logs,
    "eth_getStorageAt": Rpc.storage,
    "eth_getTransactionByHash": Rpc.transaction,
    "eth_getTransactionCount": Rpc.nonce,
    "eth_getTransactionReceipt": Rpc.receipt,
    "eth_maxPriorityFeePerGas": Rpc.priority_fee,
    "eth_sendRawTransaction": Rpc.send,
    "eth_syncing": lambda rpc: False,
    "net_version": Rpc.network,
    "web3_clientVersion": lambda rpc: "linli-devchain (py-evm, one operator, no consensus)",
}
