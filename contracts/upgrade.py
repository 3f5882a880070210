"""Moves a district to a new contract: deploys it, retires the old one, carries all balances over.

python -m contracts.upgrade --rpc URL --chain-id N --key FILE --from 0xOLD

Each step looks at the chain first, so a run that was interrupted is simply started again: once the
old contract names its successor, that one is finished and no other is made.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from contracts.client import SettlementChain
from contracts.consent import address_of
from contracts.deploy import deploy
from contracts.terms import ChainRefused, ChainUnavailable, SignedTransaction, Status

STEP_TIMEOUT_SECONDS = 60.0
COMMUNITIES_MAX = 400  # in one block: a community costs about 50,000 gas
NUMBER_MAX = 10_000  # how far the old contract's numbers are looked through


def upgrade(old: SettlementChain, rpc_url: str, *, sender_key: bytes) -> SettlementChain:
    """The new contract, with every community as it stood on the old one."""
    numbers = registered(old)
    address = old.successor()
    if address is None:
        address, _ = deploy(
            rpc_url, chain_id=old.chain_id, sender_key=sender_key, admin=address_of(sender_key)
        )
        _apply(old, old.prepare_retire(address, sender_key=sender_key))
    new = SettlementChain(rpc_url, contract_address=address, chain_id=old.chain_id)
    new.assert_chain()
    if new.community_count() == 0:
        _apply(new, new.prepare_carry_over(old.contract_address, numbers, sender_key=sender_key))
    return new


def registered(chain: SettlementChain) -> list[int]:
    """The numbers of all communities that the contract ever knew."""
    count, numbers = chain.community_count(), list[int]()
    for number in range(NUMBER_MAX):
        if len(numbers) == count:
            break
        if chain.position(number).status is not Status.UNKNOWN:
            numbers.append(number)
    if len(numbers) < count or count > COMMUNITIES_MAX:
        raise ChainRefused(
            "chain.too_many_communities",
            f"At most {COMMUNITIES_MAX} communities, numbered below {NUMBER_MAX}, carry over.",
        )
    return numbers


def _apply(chain: SettlementChain, transaction: SignedTransaction) -> None:
    chain.send(transaction)
    chain.wait(transaction.hash, STEP_TIMEOUT_SECONDS)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m contracts.upgrade", description=__doc__)
    parser.add_argument("--rpc", required=True, metavar="URL")
    parser.add_argument("--chain-id", type=int, required=True, metavar="N")
    parser.add_argument("--key", type=Path, required=True, help="the administrator's key, hex")
    parser.add_argument("--from", dest="old", required=True, metavar="0xOLD")
    arguments = parser.parse_args(argv)
    try:
        key = bytes.fromhex(arguments.key.read_text().strip().removeprefix("0x"))
        old = SettlementChain(
            arguments.rpc, contract_address=arguments.old, chain_id=arguments.chain_id
        )
        old.assert_chain_id()
        new = upgrade(old, arguments.rpc, sender_key=key)
    except (ChainRefused, ChainUnavailable) as error:
        print(f"{error.code}: {error}", file=sys.stderr)  # noqa: T201 a command speaks
        return 2
    except (OSError, ValueError) as error:
        print(f"upgrade.unusable: {error}", file=sys.stderr)  # noqa: T201 a command speaks
        return 2
    done = {"contract": new.contract_address, "communities": new.community_count()}
    print(json.dumps(done | {"from": old.contract_address}))  # noqa: T201 a command speaks
    return 0


if __name__ == "__main__":
    sys.exit(main())
