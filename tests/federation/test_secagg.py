"""The secure sum without Flower: right whoever is lost and whenever, and made of good masks."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from federation.secagg import fixed_point
from federation.secagg.adverts import least_quorum
from federation.secagg.fixed_point import EXAMPLES_MAX, MEMBERS_MAX, STEP, VALUE_ABS_MAX
from federation.secagg.member import Member
from federation.secagg.primitives import derived, mask_stream, new_seed, recovered, split
from federation.secagg.refusals import SecretLost
from federation.secagg.vault import locked
from tests.federation.secure_sums import Circle, assert_is_mean_of

STAYS, BEFORE_SHARE, BEFORE_MASK, BEFORE_UNMASK = range(4)


@pytest.mark.parametrize("members", [4, 5, 6])
def test_every_pattern_of_losses_gives_the_right_mean_or_none(members: int, tmp_path: Path) -> None:
    """All 4^n fates; a member lost before it advertises makes it a run of fewer members."""
    start = Circle(tmp_path, members).share()
    quorum, names = start.office.quorum, list(start.members)
    sums = 0
    masked_circles: dict[tuple[str, ...], tuple[Circle, dict[str, np.ndarray]]] = {}
    for fates in product(range(4), repeat=members):
        fate = dict(zip(names, fates, strict=True))
        dealers = tuple(name for name in names if fate[name] > BEFORE_SHARE or not fate[name])
        survivors = [name for name in dealers if fate[name] in (STAYS, BEFORE_UNMASK)]
        answering = [name for name in survivors if fate[name] == STAYS]
        if len(answering) < quorum:
            continue  # what then is refused: test_secagg_lies.py
        if dealers not in masked_circles:
            fresh = start.copied()
            for name in set(names) - set(dealers):
                forget_dealer(fresh, name)
            fresh.deliver()
            masked_circles[dealers] = fresh, fresh.mask(1, dealers)
        circle, all_masked = masked_circles[dealers]
        circle = circle.copied()
        masked = {name: all_masked[name] for name in survivors}
        shares = {name: circle.members[name].unmask(1, survivors) for name in answering}
        assert_is_mean_of(circle.total(1, masked, shares, dealers), survivors, 1)
        masked = circle.mask(2, answering)  # the next round, of those who are left
        shares = {name: circle.members[name].unmask(2, answering) for name in answering}
        assert_is_mean_of(circle.total(2, masked, shares, answering), answering, 2)
        sums += 1
    spare = members - quorum
    ways = {1: 1 + 3 * members, 2: 1 + 3 * members + 9 * members * (members - 1) // 2}
    assert sums == ways[spare]


def forget_dealer(circle: Circle, name: str) -> None:
    """As if the member had been lost before it dealt."""
    circle.office._have_dealt.discard(name)
    for boxes in circle.office._boxes.values():
        boxes.pop(name, None)


def test_what_a_round_reveals_of_a_lost_node_says_nothing_of_another_round(
    tmp_path: Path,
) -> None:
    circle = Circle(tmp_path, 4).share().deliver()
    names = circle.office.dealers
    masked = circle.mask(1, names)
    del masked["c0"]
    shares = {name: circle.members[name].unmask(1, list(masked)) for name in masked}
    assert_is_mean_of(circle.total(1, masked, shares, names), masked, 1)
    masked = circle.mask(2, names)  # it is back
    shares = {name: circle.members[name].unmask(2, list(masked)) for name in masked}
    assert_is_mean_of(circle.total(2, masked, shares, names), names, 2)


def test_a_member_is_the_same_after_it_was_put_away(tmp_path: Path) -> None:
    circle = Circle(tmp_path / "ids", 4)

    def put_away() -> None:
        circle.members = {
            name: Member.from_bytes(member.to_bytes()) for name, member in circle.members.items()
        }

    put_away()
    circle.share()
    put_away()
    circle.deliver()
    put_away()
    masked = circle.mask(1, circle.office.dealers)
    put_away()
    shares = {name: circle.members[name].unmask(1, list(masked)) for name in masked}
    put_away()
    assert_is_mean_of(circle.total(1, masked, shares, circle.office.dealers), masked, 1)


def test_a_round_leaves_no_secret_of_its_own_behind(tmp_path: Path) -> None:
    circle = Circle(tmp_path, 4, rounds=2).share().deliver()
    member = circle.members["c1"]
    seeds = [member.rounds[0].key_seed, member.rounds[0].mask_seed]
    held = [part for parts in member.shares.values() for part in parts[:2]]
    masked = circle.mask(1, circle.office.dealers)
    member.unmask(1, list(masked))
    kept = member.to_bytes().decode()
    for secret in (*seeds, *held):
        assert secret
        assert secret.hex() not in kept


def test_no_log_can_hold_a_secret(tmp_path: Path) -> None:
    member = Circle(tmp_path, 4).share().deliver().members["c0"]
    shown = repr(member) + str(member)
    held = [part for parts in member.shares.values() for part in parts]
    seeds = [seed for one in member.rounds for seed in (one.key_seed, one.mask_seed)]
    for secret in (member.exchange_seed, *held, *seeds):
        assert secret is not None
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


def test_a_wrong_share_spoils_nothing_while_a_quorum_is_right(tmp_path: Path) -> None:
    circle = Circle(tmp_path, 6).share().deliver()
    names = circle.office.dealers
    masked = circle.mask(1, names)
    del masked["c3"]
    shares = {name: dict(circle.members[name].unmask(1, list(masked))) for name in masked}
    shares["c0"] = {owner: new_seed() for owner in shares["c0"]}
    assert_is_mean_of(circle.total(1, masked, shares, names), masked, 1)
    shares["c1"] = {owner: new_seed() for owner in shares["c1"]}
    with pytest.raises(SecretLost):
        circle.total(1, masked, shares, names)


def test_the_vault_keeps_a_run_until_its_last_round(tmp_path: Path) -> None:
    circle = Circle(tmp_path / "ids", 4, rounds=1).share().deliver()
    folder = tmp_path / "vault"
    with locked(folder, run="1") as vault:
        vault.begin(circle.members["c0"])
    assert vault.path.stat().st_mode & 0o777 == 0o600
    masked = circle.mask(1, circle.office.dealers)
    circle.members["c0"].unmask(1, list(masked))
    with locked(folder, run="1") as vault:
        vault.keep(circle.members["c0"])
        assert not vault.path.exists()


def test_masks_are_uniform_differ_and_repeat_only_with_their_key() -> None:
    key, other = derived(bytes(32), purpose=b"a"), derived(bytes(32), purpose=b"b")
    words = mask_stream(key, 100_000)
    assert (words == mask_stream(key, 100_000)).all()
    assert (words[:10] == mask_stream(key, 10)).all()
    assert len(np.intersect1d(words, mask_stream(other, 100_000))) == 0
    for byte in range(8):
        counts = np.bincount((words >> np.uint64(8 * byte)).astype(np.uint8), minlength=256)
        expected = len(words) / 256
        assert float(((counts - expected) ** 2 / expected).sum()) < 400  # 255 ± 23
    flips = [
        np.unpackbits(np.frombuffer(np.bitwise_xor(words[:1000], changed).tobytes(), np.uint8))
        for changed in (mask_stream(bytes([key[0] ^ 1]) + key[1:], 1000),)
    ]
    assert 0.49 < float(flips[0].mean()) < 0.51, "one bit of the key changes half of the mask"


@given(some.binary(min_size=16, max_size=16), some.integers(3, 9), some.data())
def test_a_quorum_of_shares_gives_the_seed_back_and_fewer_nothing(
    seed: bytes, holders: int, data: some.DataObject
) -> None:
    quorum = least_quorum(holders)
    shares = dict(enumerate(split(seed, quorum=quorum, holders=holders)))
    chosen = data.draw(some.permutations(range(holders)))
    enough = {holder: shares[holder] for holder in chosen[:quorum]}
    assert recovered(enough, quorum=quorum, fits=lambda found: found == seed) == seed
    fewer = {holder: shares[holder] for holder in chosen[: quorum - 1]}
    assert recovered(fewer, quorum=quorum, fits=lambda _: True) is None


def test_no_two_quorums_are_disjoint_even_if_nearly_a_third_lie() -> None:
    for members in range(4, MEMBERS_MAX + 1):
        liars = max(0, -(-members // 3) - 1)
        assert 2 * least_quorum(members) > members + liars


@given(
    some.lists(some.floats(-VALUE_ABS_MAX, VALUE_ABS_MAX), min_size=1, max_size=5),
    some.integers(1, EXAMPLES_MAX),
)
def test_numbers_come_back_to_within_half_a_step(values: list[float], examples: int) -> None:
    row = np.array(values)
    words = fixed_point.encoded(fixed_point.Contribution(row, examples, 0.5, True))
    back = fixed_point.decoded(words, members=1)
    assert back is not None
    assert (np.abs(back.mean - row) <= STEP / 2 * (1 + 1e-9)).all()
    assert (back.examples, back.loss, back.clipped) == (examples, 0.5, 1)


def test_the_largest_sum_does_not_wrap() -> None:
    row = np.array([VALUE_ABS_MAX, -VALUE_ABS_MAX])
    loss = -fixed_point.LOSS_ABS_MAX
    each = fixed_point.encoded(fixed_point.Contribution(row, EXAMPLES_MAX, loss, True))
    total = fixed_point.decoded(
        np.sum([each] * MEMBERS_MAX, axis=0, dtype=np.uint64), members=MEMBERS_MAX
    )
    assert total is not None
    np.testing.assert_array_equal(total.mean, row)
    assert (total.loss, total.clipped) == (loss, MEMBERS_MAX)


@given(some.lists(some.floats(-1e6, 1e6), min_size=1, max_size=8), some.floats(0.01, 50))
def test_no_update_is_longer_than_its_bound(values: list[float], norm_max: float) -> None:
    row = np.array(values)
    bounded, is_clipped = fixed_point.clipped_to(row, norm_max=norm_max)
    assert float(np.linalg.norm(bounded)) <= norm_max * (1 + 1e-9)
    assert is_clipped == bool(np.linalg.norm(row) > norm_max)
