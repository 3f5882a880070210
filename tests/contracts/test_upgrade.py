"""A second contract carries on: every balance as it stood, and nothing moves on the first again."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from contracts import upgrade
from contracts.client import SettlementChain, address_of
from contracts.deploy import deploy
from contracts.terms import Status
from tests.contracts.district import (
    CHAIN_ID,
    OFFICE_KEY,
    STRANGER_KEY,
    District,
    community_key,
)
from tests.contracts.refusals import refused

NUMBERS = [0, 1, 2, 3]


def second(district: District) -> SettlementChain:
    address, _ = deploy(
        district.url, chain_id=CHAIN_ID, sender_key=OFFICE_KEY, admin=address_of(OFFICE_KEY)
    )
    return SettlementChain(district.url, contract_address=address, chain_id=CHAIN_ID)


def retire(district: District, successor: str) -> None:
    district.apply(district.chain.prepare_retire(successor, sender_key=OFFICE_KEY))


def test_balances_limits_and_signers_carry_over(
    district: District, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    district.settle({1: -90, 2: 60, 3: 30})
    before = [district.chain.position(number) for number in NUMBERS]
    key = tmp_path / "admin.key"
    key.write_text(OFFICE_KEY.hex())
    asked = ["--rpc", district.url, "--chain-id", str(CHAIN_ID), "--key", str(key)]
    asked += ["--from", district.chain.contract_address]
    assert upgrade.main(asked) == 0
    assert upgrade.main(asked) == 0, "started again it finds all done"
    first, again = capsys.readouterr().out.splitlines()
    assert first == again
    address = district.chain.successor()
    assert address is not None
    new = SettlementChain(district.url, contract_address=address, chain_id=CHAIN_ID)
    assert [new.position(number) for number in NUMBERS] == before
    moved = District(new, district.clock, district.url)
    moved.settle({1: 40, 2: -40})
    assert moved.balances(1, 2, 3) == [-50, 20, 30]


def test_nothing_moves_on_a_retired_contract(district: District) -> None:
    batch = district.batch({1: -90, 2: 90})
    new = second(district)
    retire(district, new.contract_address)
    assert refused(lambda: district.prepare(batch))[0] == "chain.enforced_pause"
    code, details = refused(lambda: district.chain.prepare_unpause(sender_key=OFFICE_KEY))
    assert (code, details) == (
        "chain.already_retired",
        {"successor": new.contract_address.lower()},
    )
    assert refused(lambda: retire(district, new.contract_address))[0] == "chain.already_retired"


def test_a_consent_for_the_first_is_none_for_the_second(district: District) -> None:
    batch = district.batch({1: -90, 2: 90})
    signatures = district.signatures(batch)
    new = second(district)
    retire(district, new.contract_address)
    carry = new.prepare_carry_over(district.chain.contract_address, NUMBERS, sender_key=OFFICE_KEY)
    district.apply(carry)
    moved = District(new, district.clock, district.url)
    assert refused(lambda: moved.prepare(batch, signatures))[0] == "chain.bad_signature"
    assert refused(
        lambda: new.prepare_register(7, address_of(community_key(1)), 600, sender_key=OFFICE_KEY)
    )[0] == ("chain.signer_unusable")


def test_only_all_of_it_and_only_once_and_only_to_the_named_one(district: District) -> None:
    district.settle({1: -90, 2: 90})
    old, new = district.chain.contract_address, second(district)

    def carry(numbers: Sequence[int], key: bytes = OFFICE_KEY) -> str:
        return refused(lambda: new.prepare_carry_over(old, numbers, sender_key=key))[0]

    assert carry(NUMBERS) == "chain.not_the_successor"
    retire(district, new.contract_address)
    assert carry([0, 3]) == "chain.incomplete_carry_over"
    assert carry([0, 1, 2, 9]) == "chain.not_active"
    assert carry([0, 2, 1, 3]) == "chain.not_ascending"
    assert carry(NUMBERS, STRANGER_KEY) == "chain.access_control_unauthorized_account"
    district.apply(new.prepare_carry_over(old, NUMBERS, sender_key=OFFICE_KEY))
    assert carry(NUMBERS) == "chain.already_registered"
    assert new.community_count() == 4
    assert new.position(1).status is Status.ACTIVE
