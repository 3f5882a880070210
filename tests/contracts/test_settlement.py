"""The contract keeps hours whole: what it settles, and each thing that it refuses, with figures."""

import random
from dataclasses import replace

import pytest

from contracts.client import SettlementChain, address_of
from contracts.terms import Batch, BatchEntry, Status
from tests.contracts.district import (
    CHAIN_ID,
    GUARANTOR_LIMIT_MINUTES,
    LIMIT_MINUTES,
    OFFICE_KEY,
    STRANGER_KEY,
    District,
    community_key,
)
from tests.contracts.refusals import refused

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
DAY_SECONDS = 86_400


def test_a_batch_moves_every_balance_and_leaves_a_record(district: District) -> None:
    batch = district.batch({1: -90, 2: 60, 3: 30})
    receipt = district.apply(district.prepare(batch))
    assert district.balances(1, 2, 3) == [-90, 60, 30]
    assert [district.chain.position(number).sequence for number in (1, 2, 3)] == [1, 1, 1]
    (settled,) = district.chain.settled_batches(0, receipt.block_number)
    assert (settled.round_id, settled.merkle_root) == (batch.round_id, batch.merkle_root)
    assert settled.entries == batch.entries
    assert settled.block_hash == receipt.block_hash == district.chain.head()[1]
    assert settled.transaction_hash == receipt.transaction_hash


def test_the_guarantor_takes_part_like_anyone(district: District) -> None:
    district.settle({0: -90, 3: 90})
    assert district.balances(0, 3) == [-90, 90]


def test_our_digest_is_the_contracts(district: District) -> None:
    batch = district.batch({1: -5, 2: 5})
    signature = district.chain.sign_batch(batch, community_key(1))
    assert district.chain.signer_of(batch, signature) == address_of(community_key(1))
    district.apply(district.prepare(batch))  # the contract recovered the same signers


def test_a_batch_serves_once(district: District) -> None:
    batch = district.batch({1: -90, 2: 90})
    district.apply(district.prepare(batch))
    assert refused(lambda: district.prepare(batch)) == (
        "chain.stale_sequence",
        {"community": 1, "sequence": 0, "expected": 1},
    )
    assert district.balances(1, 2) == [-90, 90]


def test_a_sequence_from_the_future_is_refused(district: District) -> None:
    batch = district.batch({1: -90, 2: 90})
    ahead = replace(batch, entries=(replace(batch.entries[0], sequence=7), batch.entries[1]))
    code, details = refused(lambda: district.prepare(ahead))
    assert (code, details["expected"]) == ("chain.stale_sequence", 0)


@pytest.mark.parametrize(
    ("deltas", "code", "details"),
    [
        ({}, "chain.empty_batch", {"roundId": "0x" + "01" * 32}),
        ({1: -90, 2: 89}, "chain.not_zero_sum", {"sumMinutes": -1}),
        ({2: -90, 1: 90}, "chain.not_ascending", {"previous": 2, "community": 1}),
        ({1: 0, 2: 0}, "chain.zero_minutes", {"community": 1}),
        ({1: -90, 9: 90}, "chain.not_active", {"community": 9, "status": 0}),
        (
            {1: -LIMIT_MINUTES - 1, 2: LIMIT_MINUTES + 1},
            "chain.debt_limit_exceeded",
            {"community": 1, "balanceMinutes": -601, "debtLimitMinutes": 600},
        ),
        (
            {0: -GUARANTOR_LIMIT_MINUTES - 1, 2: GUARANTOR_LIMIT_MINUTES + 1},
            "chain.debt_limit_exceeded",
            {"community": 0, "balanceMinutes": -1001, "debtLimitMinutes": 1000},
        ),
        (
            {1: -(2**31), 2: 2**31 - 1},
            "chain.debt_limit_exceeded",
            {"community": 1, "balanceMinutes": -(2**31), "debtLimitMinutes": 600},
        ),
    ],
)
def test_what_a_batch_must_not_say(
    district: District, deltas: dict[int, int], code: str, details: dict[str, int | str]
) -> None:
    assert refused(lambda: district.prepare(district.batch(deltas))) == (code, details)
    assert district.balances(0, 1, 2) == [0, 0, 0]


def test_a_community_is_listed_once(district: District) -> None:
    batch = district.batch({1: -90, 2: 90})
    twice = replace(batch, entries=(batch.entries[0], batch.entries[0], batch.entries[1]))
    code, details = refused(lambda: district.prepare(twice))
    assert (code, details) == ("chain.not_ascending", {"previous": 1, "community": 1})


def test_every_entry_needs_its_signature(district: District) -> None:
    batch = district.batch({1: -90, 2: 90})
    code, details = refused(lambda: district.prepare(batch, district.signatures(batch)[:1]))
    assert code == "chain.signature_count_mismatch"
    assert details == {"entries": 2, "signatures": 1}


def test_a_deadline_is_kept(district: District) -> None:
    batch = district.batch({1: -90, 2: 90})
    district.clock.seconds = batch.deadline + 1
    code, details = refused(lambda: district.prepare(batch))
    assert code == "chain.expired"
    assert details == {"deadline": batch.deadline, "timestamp": batch.deadline + 1}


def malleated(signature: bytes) -> bytes:
    """The other root: valid mathematics, another byte string for the same consent."""
    s = SECP256K1_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


def elsewhere(chain: SettlementChain, *, chain_id: int, address: str) -> SettlementChain:
    return SettlementChain("http://127.0.0.1:1", contract_address=address, chain_id=chain_id)


def test_a_signature_serves_only_where_it_was_given(district: District) -> None:
    batch = district.batch({1: -90, 2: 90})
    first, second = district.signatures(batch)
    key, here = community_key(1), district.chain.contract_address
    other_chain = elsewhere(district.chain, chain_id=CHAIN_ID + 1, address=here)
    other_contract = elsewhere(district.chain, chain_id=CHAIN_ID, address=address_of(STRANGER_KEY))
    changed = replace(batch, merkle_root=b"\x99" * 32)
    forgeries = {
        "malleated": malleated(first),
        "swapped": second,
        "other chain": other_chain.sign_batch(batch, key),
        "other contract": other_contract.sign_batch(batch, key),
        "other batch": district.chain.sign_batch(changed, key),
        "stranger's": district.chain.sign_batch(batch, STRANGER_KEY),
        "cut short": first[:64],
        "empty": b"",
    }
    for name, forged in forgeries.items():
        code, details = refused(lambda forged=forged: district.prepare(batch, [forged, second]))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        assert (name, code) == (name, "chain.bad_signature")
        assert details == {"community": 1, "signer": address_of(key).lower()}
    district.apply(district.prepare(batch, [first, second]))


def test_a_debt_past_its_limit_may_shrink(district: District) -> None:
    district.settle({1: -500, 2: 500})
    chain = district.chain
    cut = chain.prepare_request_debt_limit(1, debt_limit_minutes=100, sender_key=OFFICE_KEY)
    district.apply(cut)
    district.clock.seconds += 7 * DAY_SECONDS + 60
    district.apply(chain.prepare_apply_debt_limit(1, sender_key=STRANGER_KEY))
    code, details = refused(lambda: district.prepare(district.batch({1: -1, 2: 1})))
    assert code == "chain.debt_limit_exceeded"
    assert details == {"community": 1, "balanceMinutes": -501, "debtLimitMinutes": 100}
    district.settle({1: 50, 2: -50})
    assert district.balances(1, 2) == [-450, 450]


def test_random_rounds_agree_with_plain_arithmetic(district: District) -> None:
    """Method: 30 batches from seed 7, some past a limit; a dictionary says what must come out."""
    chance = random.Random(7)  # noqa: S311 dice, not keys
    books = dict.fromkeys((1, 2, 3), 0)
    settled = 0
    for _ in range(30):
        payer, payee, third = chance.sample(sorted(books), 3)
        minutes = chance.randrange(2, 500)
        share = chance.randrange(1, minutes)
        deltas = dict(sorted({payer: -minutes, payee: share, third: minutes - share}.items()))
        within = books[payer] - minutes >= -LIMIT_MINUTES
        if within:
            district.settle(deltas)
            books = {number: books[number] + deltas[number] for number in books}
            settled += 1
        else:
            code, details = refused(lambda deltas=deltas: district.prepare(district.batch(deltas)))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            assert (code, details["community"]) == ("chain.debt_limit_exceeded", payer)
        assert district.balances(*books) == list(books.values())
        assert sum(books.values()) == 0
    assert 10 < settled < 30


def test_a_paused_contract_settles_nothing(district: District) -> None:
    chain = district.chain
    batch = district.batch({1: -90, 2: 90})
    assert refused(lambda: chain.prepare_pause(sender_key=STRANGER_KEY))[0] == (
        "chain.access_control_unauthorized_account"
    )
    district.apply(chain.prepare_pause(sender_key=OFFICE_KEY))
    assert refused(lambda: district.prepare(batch)) == ("chain.enforced_pause", {})
    district.apply(chain.prepare_unpause(sender_key=OFFICE_KEY))
    assert refused(lambda: chain.prepare_unpause(sender_key=OFFICE_KEY))[0] == (
        "chain.expected_pause"
    )
    district.apply(district.prepare(batch))


def test_an_amount_that_fits_no_field_is_refused_before_signing(district: District) -> None:
    wide = Batch(bytes(32), bytes(32), 1, (BatchEntry(1, 2**31, 0, bytes(32)),))
    assert refused(lambda: district.chain.sign_batch(wide, STRANGER_KEY))[0] == (
        "chain.unencodable"
    )


def test_an_unknown_community_has_an_empty_position(district: District) -> None:
    position = district.chain.position(77)
    assert (position.status, position.balance_minutes) == (Status.UNKNOWN, 0)
