"""What each call costs in gas, measured on a chain of its own; as a command, keeps the figures.

python -m tests.contracts.gas
"""

import json
import tempfile
from pathlib import Path

from contracts.client import SettlementChain, address_of
from contracts.deploy import deploy
from contracts.terms import SignedTransaction
from tests.contracts.district import (
    CHAIN_ID,
    LIMIT_MINUTES,
    OFFICE_KEY,
    District,
    LocalChain,
    community_key,
)

FILE = Path(__file__).parents[2] / "contracts" / "gas.json"
BATCH_SIZES = (2, 5, 20)


def measure(path: Path) -> dict[str, int]:
    """Gas by call; keys, clock and amounts are fixed, so the figures repeat."""
    with LocalChain(path) as local:
        address, deployed = deploy(
            local.url, chain_id=CHAIN_ID, sender_key=OFFICE_KEY, admin=address_of(OFFICE_KEY)
        )
        chain = SettlementChain(local.url, contract_address=address, chain_id=CHAIN_ID)
        district = District(chain, local.clock, local.url)
        gas = {"deploy": chain.wait(deployed.hash, 5).gas_used}
        for number in range(max(BATCH_SIZES)):
            signer = address_of(community_key(number))
            registration = chain.prepare_register(
                number, signer, LIMIT_MINUTES, sender_key=OFFICE_KEY
            )
            gas["register"] = district.apply(registration).gas_used
        for size in BATCH_SIZES:
            for name in ("first", "steady"):
                # 1 takes from all the others; a community's first batch writes no new slot.
                deltas = {number: -1 if number else size - 1 for number in range(size)}
                gas[f"settle {size} {name}"] = district.settle(deltas).gas_used
        gas["cover"] = district.apply(_cover(district)).gas_used
        gas["rotateSigner"] = district.apply(_rotate(district)).gas_used
        raised = chain.prepare_request_debt_limit(
            2, debt_limit_minutes=LIMIT_MINUTES + 1, sender_key=OFFICE_KEY
        )
        gas["requestDebtLimit raise"] = district.apply(raised).gas_used
        gas["pause"] = district.apply(chain.prepare_pause(sender_key=OFFICE_KEY)).gas_used
        return gas


def _cover(district: District) -> SignedTransaction:
    chain, until = district.chain, int(district.clock()) + 3600
    consent = chain.consents.sign_cover(
        community_key(2),
        community=2,
        minutes_covered=1,
        sequence=chain.position(2).sequence,
        deadline=until,
    )
    return chain.prepare_cover(
        2, minutes_covered=1, deadline=until, signature=consent, sender_key=OFFICE_KEY
    )


def _rotate(district: District) -> SignedTransaction:
    chain, until = district.chain, int(district.clock()) + 3600
    new_key = community_key(3, generation=1)
    old_signature, new_signature = (
        chain.consents.sign_rotation(
            key,
            community=3,
            new_signer=address_of(new_key),
            sequence=chain.position(3).sequence,
            deadline=until,
        )
        for key in (community_key(3), new_key)
    )
    return chain.prepare_rotate_signer(
        3,
        address_of(new_key),
        deadline=until,
        old_signature=old_signature,
        new_signature=new_signature,
        sender_key=OFFICE_KEY,
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        gas = measure(Path(folder) / "chain.sqlite")
    FILE.write_text(json.dumps(gas, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
