"""Puts the committed contract on a chain and says where it stands.

python -m contracts.deploy --rpc URL --chain-id N --key FILE [--admin 0xADDRESS]
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from eth_account import Account
from eth_typing import HexAddress, HexStr
from web3 import Web3
from web3.types import Nonce
from web3.utils.address import get_create_address

from contracts.artifact import artifact
from contracts.connection import Connection
from contracts.consent import address_of
from contracts.terms import ChainRefused, ChainUnavailable, SignedTransaction

DEPLOY_TIMEOUT_SECONDS = 60.0


def deploy(
    rpc_url: str,
    *,
    chain_id: int,
    sender_key: bytes,
    admin: str,
    signed: SignedTransaction | None = None,
    store: Callable[[SignedTransaction], None] | None = None,
) -> tuple[str, SignedTransaction]:
    """The contract's address, once it is in a block.

    `store` is handed the signed transaction before it is sent; after a crash pass what it kept as
    `signed`, and the same contract is found or finished instead of a second one being made.
    """
    connection = Connection(rpc_url, chain_id=chain_id)
    connection.assert_chain_id()
    if signed is None:
        if not Web3.is_address(admin):
            raise ChainRefused("chain.unencodable", f"{admin!r} is not an address.")
        data = artifact().bytecode + bytes(12) + bytes.fromhex(admin.removeprefix("0x"))
        signed = connection.prepare(to=None, data=data, sender_key=sender_key)
        if store is not None:
            store(signed)
    connection.send(signed)
    connection.wait(signed.hash, DEPLOY_TIMEOUT_SECONDS)
    return contract_address(signed), signed


def contract_address(signed: SignedTransaction) -> str:
    """Where a deployment will stand, known before it is sent."""
    sender = Account.recover_transaction(signed.raw)
    return str(get_create_address(HexAddress(HexStr(sender)), Nonce(signed.nonce)))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m contracts.deploy", description=__doc__)
    parser.add_argument("--rpc", required=True, metavar="URL")
    parser.add_argument("--chain-id", type=int, required=True, metavar="N")
    parser.add_argument("--key", type=Path, required=True, help="file with the sender's key, hex")
    parser.add_argument("--admin", metavar="0xADDRESS", help="default: the sender")
    arguments = parser.parse_args(argv)
    try:
        key = bytes.fromhex(arguments.key.read_text().strip().removeprefix("0x"))
        address, signed = deploy(
            arguments.rpc,
            chain_id=arguments.chain_id,
            sender_key=key,
            admin=arguments.admin or address_of(key),
        )
    except (ChainRefused, ChainUnavailable) as error:
        print(f"{error.code}: {error}", file=sys.stderr)  # noqa: T201 a command speaks
        return 2
    except (OSError, ValueError) as error:
        print(f"deploy.key_unreadable: {arguments.key}: {error}", file=sys.stderr)  # noqa: T201 a command speaks
        return 2
    print(json.dumps({"contract": address, "transaction": "0x" + signed.hash.hex()}))  # noqa: T201 a command speaks
    return 0


if __name__ == "__main__":
    sys.exit(main())
