"""What only a community can allow: cover, a new key, leaving. And what the office may set."""

from dataclasses import replace

from contracts.client import address_of
from contracts.terms import SignedTransaction, Status
from tests.contracts.district import (
    GUARANTOR_LIMIT_MINUTES,
    LIMIT_MINUTES,
    OFFICE_KEY,
    STRANGER_KEY,
    District,
    LocalChain,
    community_key,
    found_district,
)
from tests.contracts.refusals import refused

CUT_DELAY_SECONDS = 7 * 86_400
RECOVERY_DELAY_SECONDS = 14 * 86_400
NEW_KEY = community_key(1, generation=1)


def deadline(district: District) -> int:
    return int(district.clock()) + 3600


def cover(district: District, minutes: int, *, sender: bytes = OFFICE_KEY) -> SignedTransaction:
    until = deadline(district)
    consent = district.chain.consents.sign_cover(
        community_key(1),
        community=1,
        minutes_covered=minutes,
        sequence=district.chain.position(1).sequence,
        deadline=until,
    )
    return district.chain.prepare_cover(
        1, minutes_covered=minutes, deadline=until, signature=consent, sender_key=sender
    )


def rotate(
    district: District, *, old: bytes, new: bytes, signer: bytes = NEW_KEY
) -> SignedTransaction:
    until, number = deadline(district), 1
    sequence = district.chain.position(number).sequence
    address = address_of(signer)
    old_signature, new_signature = (
        district.chain.consents.sign_rotation(
            key, community=number, new_signer=address, sequence=sequence, deadline=until
        )
        for key in (old, new)
    )
    return district.chain.prepare_rotate_signer(
        number,
        address,
        deadline=until,
        old_signature=old_signature,
        new_signature=new_signature,
        sender_key=STRANGER_KEY,
    )


def leave(district: District, *, key: bytes, number: int = 1) -> SignedTransaction:
    until = deadline(district)
    sequence = district.chain.position(number).sequence
    signature = district.chain.consents.sign_exit(
        key, community=number, sequence=sequence, deadline=until
    )
    return district.chain.prepare_exit(
        number, deadline=until, signature=signature, sender_key=STRANGER_KEY
    )


def test_a_debt_is_covered_with_the_communitys_consent(district: District) -> None:
    district.settle({1: -400, 2: 400})
    district.apply(cover(district, 300))
    assert district.balances(0, 1, 2) == [-300, -100, 400]
    code, details = refused(lambda: cover(district, 101))
    assert code == "chain.cover_exceeds_debt"
    assert details == {"community": 1, "debtMinutes": 100, "minutesCovered": 101}
    assert refused(lambda: cover(district, 0))[0] == "chain.zero_minutes"


def test_a_consent_to_cover_serves_once(district: District) -> None:
    district.settle({1: -400, 2: 400})
    until = deadline(district)
    consent = district.chain.consents.sign_cover(
        community_key(1), community=1, minutes_covered=10, sequence=1, deadline=until
    )

    def again() -> SignedTransaction:
        return district.chain.prepare_cover(
            1, minutes_covered=10, deadline=until, signature=consent, sender_key=OFFICE_KEY
        )

    district.apply(again())
    assert refused(again)[0] == "chain.bad_signature"  # the sequence has moved on
    assert district.balances(0, 1) == [-10, -390]


def test_only_the_guarantor_covers_and_only_within_its_limit(district: District) -> None:
    district.settle({1: -400, 2: 400})
    code, _ = refused(lambda: cover(district, 300, sender=STRANGER_KEY))
    assert code == "chain.access_control_unauthorized_account"
    district.settle({0: -GUARANTOR_LIMIT_MINUTES + 100, 3: GUARANTOR_LIMIT_MINUTES - 100})
    code, details = refused(lambda: cover(district, 300))
    assert code == "chain.debt_limit_exceeded"
    assert details == {"community": 0, "balanceMinutes": -1200, "debtLimitMinutes": 1000}


def test_without_a_guarantor_nothing_is_covered(local: LocalChain) -> None:
    district = found_district(local)
    for number in (1, 2):
        district.register(number)
    district.settle({1: -90, 2: 90})
    assert refused(lambda: cover(district, 90)) == (
        "chain.not_active",
        {"community": 0, "status": 0},
    )


def test_a_limit_rises_at_once_and_falls_late(district: District) -> None:
    chain = district.chain

    def request(minutes: int) -> SignedTransaction:
        return chain.prepare_request_debt_limit(
            1, debt_limit_minutes=minutes, sender_key=OFFICE_KEY
        )

    def apply_cut() -> SignedTransaction:
        return chain.prepare_apply_debt_limit(1, sender_key=STRANGER_KEY)

    assert refused(apply_cut) == ("chain.no_limit_cut", {"community": 1})
    district.apply(request(900))
    assert chain.position(1).debt_limit_minutes == 900
    district.apply(request(60))
    assert chain.position(1).debt_limit_minutes == 900
    cut = chain.limit_cut(1)
    assert cut is not None
    assert cut[0] == 60
    code, details = refused(apply_cut)
    assert (code, details["effectiveAt"]) == ("chain.limit_cut_too_early", cut[1])
    district.clock.seconds = cut[1]
    district.apply(apply_cut())
    assert chain.position(1).debt_limit_minutes == 60
    assert chain.limit_cut(1) is None


def test_a_raise_withdraws_a_cut_that_waits(district: District) -> None:
    chain = district.chain
    for minutes in (60, LIMIT_MINUTES):
        request = chain.prepare_request_debt_limit(
            1, debt_limit_minutes=minutes, sender_key=OFFICE_KEY
        )
        district.apply(request)
    district.clock.seconds += CUT_DELAY_SECONDS + 60
    code, _ = refused(lambda: chain.prepare_apply_debt_limit(1, sender_key=OFFICE_KEY))
    assert code == "chain.no_limit_cut"
    code, _ = refused(
        lambda: chain.prepare_request_debt_limit(1, debt_limit_minutes=1, sender_key=STRANGER_KEY)
    )
    assert code == "chain.access_control_unauthorized_account"


def test_a_signer_is_replaced_by_both_keys(district: District) -> None:
    assert refused(lambda: rotate(district, old=NEW_KEY, new=NEW_KEY))[0] == "chain.bad_signature"
    code, details = refused(lambda: rotate(district, old=community_key(1), new=STRANGER_KEY))
    assert (code, details["signer"]) == ("chain.bad_signature", address_of(NEW_KEY).lower())
    before = district.batch({1: -90, 2: 90})
    district.apply(rotate(district, old=community_key(1), new=NEW_KEY))
    assert district.chain.position(1).signer == address_of(NEW_KEY)
    assert refused(lambda: district.prepare(before))[0] == "chain.stale_sequence"
    batch = district.batch({1: -90, 2: 90})
    assert refused(lambda: district.prepare(batch))[0] == "chain.bad_signature"  # the old key
    signatures = [
        district.chain.sign_batch(batch, NEW_KEY),
        district.chain.sign_batch(batch, community_key(2)),
    ]
    district.apply(district.prepare(batch, signatures))


def test_no_key_serves_two_communities_nor_comes_back(district: District) -> None:
    own, others = community_key(1), community_key(2)
    code, details = refused(lambda: rotate(district, old=own, new=others, signer=others))
    assert code == "chain.signer_unusable"
    assert details == {"community": 1, "signer": address_of(others).lower()}
    district.apply(rotate(district, old=own, new=NEW_KEY))
    back = refused(lambda: rotate(district, old=NEW_KEY, new=own, signer=own))
    assert back[0] == "chain.signer_unusable"
    for taken in (address_of(others), "0x" + "00" * 20):
        register = refused(
            lambda taken=taken: district.chain.prepare_register(9, taken, 1, sender_key=OFFICE_KEY)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        )
        assert register[0] == "chain.signer_unusable"


def test_a_key_is_replaced_while_the_contract_is_paused(district: District) -> None:
    district.apply(district.chain.prepare_pause(sender_key=OFFICE_KEY))
    district.apply(rotate(district, old=community_key(1), new=NEW_KEY))
    assert district.chain.position(1).signer == address_of(NEW_KEY)


def recover(
    district: District, *, proof: bytes = NEW_KEY, sender: bytes = OFFICE_KEY
) -> SignedTransaction:
    until = deadline(district)
    signature = district.chain.consents.sign_rotation(
        proof,
        community=1,
        new_signer=address_of(NEW_KEY),
        sequence=district.chain.position(1).sequence,
        deadline=until,
    )
    return district.chain.prepare_request_recovery(
        1, address_of(NEW_KEY), deadline=until, new_signature=signature, sender_key=sender
    )


def test_a_lost_key_is_replaced_after_a_delay(district: District) -> None:
    chain = district.chain
    district.settle({1: -90, 2: 90})

    def take_over() -> SignedTransaction:
        return chain.prepare_apply_recovery(1, sender_key=STRANGER_KEY)

    assert refused(take_over) == ("chain.no_recovery", {"community": 1})
    stranger = refused(lambda: recover(district, sender=STRANGER_KEY))
    assert stranger[0] == "chain.access_control_unauthorized_account"
    assert refused(lambda: recover(district, proof=STRANGER_KEY))[0] == "chain.bad_signature"
    district.apply(recover(district))
    announced = chain.recovery(1)
    assert announced is not None
    assert announced[0] == address_of(NEW_KEY)
    code, details = refused(take_over)
    assert (code, details["effectiveAt"]) == ("chain.recovery_too_early", announced[1])
    district.clock.seconds = announced[1]
    district.apply(take_over())
    position = chain.position(1)
    assert (position.signer, position.balance_minutes) == (address_of(NEW_KEY), -90)
    assert refused(take_over)[0] == "chain.no_recovery"


def test_whatever_a_community_signs_ends_a_recovery(district: District) -> None:
    district.apply(recover(district))
    district.settle({1: -90, 2: 90})  # the key is alive
    assert district.chain.recovery(1) is None
    district.clock.seconds += RECOVERY_DELAY_SECONDS + 60
    code, details = refused(lambda: district.chain.prepare_apply_recovery(1, sender_key=OFFICE_KEY))
    assert code == "chain.stale_sequence"
    assert details == {"community": 1, "sequence": 0, "expected": 1}
    assert district.chain.position(1).signer == address_of(community_key(1))


def test_a_recovery_does_not_take_a_key_that_serves(district: District) -> None:
    district.apply(recover(district))
    claim = district.chain.prepare_register(4, address_of(NEW_KEY), 1, sender_key=OFFICE_KEY)
    district.apply(claim)
    assert refused(lambda: recover(district))[0] == "chain.signer_unusable"
    district.clock.seconds += RECOVERY_DELAY_SECONDS + 60
    code, _ = refused(lambda: district.chain.prepare_apply_recovery(1, sender_key=OFFICE_KEY))
    assert code == "chain.signer_unusable"


def test_a_community_leaves_at_zero_and_may_return(district: District) -> None:
    district.settle({1: -90, 2: 90})
    assert refused(lambda: leave(district, key=community_key(1))) == (
        "chain.balance_not_zero",
        {"community": 1, "balanceMinutes": -90},
    )
    assert refused(lambda: leave(district, key=STRANGER_KEY))[0] == "chain.bad_signature"
    district.settle({1: 90, 2: -90})
    district.apply(leave(district, key=community_key(1)))
    assert district.chain.position(1).status is Status.EXITED
    code, details = refused(lambda: district.prepare(district.batch({1: -90, 2: 90})))
    assert (code, details) == ("chain.not_active", {"community": 1, "status": 2})
    returning = district.chain.prepare_register(
        1, address_of(NEW_KEY), LIMIT_MINUTES, sender_key=OFFICE_KEY
    )
    sequence = district.chain.position(1).sequence
    district.apply(returning)
    position = district.chain.position(1)
    assert (position.status, position.balance_minutes) == (Status.ACTIVE, 0)
    assert position.sequence == sequence  # nothing signed before can serve again


def test_registration_is_the_registrars_and_happens_once(district: District) -> None:
    chain, signer = district.chain, address_of(NEW_KEY)
    code, details = refused(lambda: chain.prepare_register(4, signer, 1, sender_key=STRANGER_KEY))
    assert code == "chain.access_control_unauthorized_account"
    assert details["account"] == address_of(STRANGER_KEY).lower()
    assert refused(lambda: chain.prepare_register(1, signer, 1, sender_key=OFFICE_KEY)) == (
        "chain.already_registered",
        {"community": 1},
    )


def test_the_last_administrator_stays(district: District) -> None:
    chain, office, other = district.chain, address_of(OFFICE_KEY), address_of(STRANGER_KEY)

    def dismiss(account: str, key: bytes) -> SignedTransaction:
        return chain.prepare_revoke_role("DEFAULT_ADMIN", account, sender_key=key)

    assert refused(lambda: dismiss(office, OFFICE_KEY)) == (
        "chain.last_admin",
        {"account": office.lower()},
    )
    district.apply(chain.prepare_grant_role("DEFAULT_ADMIN", other, sender_key=OFFICE_KEY))
    district.apply(dismiss(office, STRANGER_KEY))
    assert refused(lambda: dismiss(other, STRANGER_KEY))[0] == "chain.last_admin"


def test_a_council_wallet_may_sign_for_a_community(district: District) -> None:
    """ERC-1271: the signer is a contract. This one says yes to everything, in 41 bytes of code."""
    yes = bytes.fromhex("7f1626ba7e" + "00" * 28 + "5f5260205ff3")
    creation = bytes.fromhex(f"60{len(yes):02x}600a5f3960{len(yes):02x}5ff3") + yes
    made = district.apply(district.chain.prepare(to=None, data=creation, sender_key=STRANGER_KEY))
    assert made.contract_address is not None
    wallet = district.chain.prepare_register(
        4, made.contract_address, LIMIT_MINUTES, sender_key=OFFICE_KEY
    )
    district.apply(wallet)
    batch = district.batch({1: -90, 4: 90})
    own = district.chain.sign_batch(batch, community_key(1))
    district.apply(district.prepare(batch, [own, b"whatever the wallet understands"]))
    assert district.balances(1, 4) == [-90, 90]
    changed = replace(batch, deadline=batch.deadline + 1)
    assert refused(lambda: district.prepare(changed, [own, b""]))[0] == "chain.stale_sequence"
