"""Merkle trees, netting, ids, signatures: properties of the kernel's pure parts."""

import pickle
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from node.kernel import merkle, signing
from node.kernel.clock import SystemClock, VirtualClock
from node.kernel.db import Moment
from node.kernel.ids import CODE_ALPHABET, derived_id, id_of, new_code, new_id, read_id
from node.kernel.netting import Claim, net_positions

leaf_lists = st.lists(st.binary(max_size=40), min_size=1, max_size=33, unique=True)
names = st.sampled_from(["plum", "jade", "willow", "lotus", "cedar"])
claims = st.lists(
    st.builds(Claim, names, names, st.integers(1, 10_000)).filter(
        lambda claim: claim.debtor != claim.creditor
    ),
    max_size=30,
)


@given(leaf_lists, st.data())
def test_every_leaf_is_proven_and_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    root, steps = merkle.root(leaves), merkle.proof(leaves, index)
    assert merkle.is_proven(leaves[index], steps, root)
    other = data.draw(st.binary(max_size=40).filter(lambda leaf: leaf != leaves[index]))
    assert not merkle.is_proven(other, steps, root)
    assert not merkle.is_proven(leaves[index], steps, merkle.root([*leaves, b"one more, unseen"]))
    if steps:
        assert not merkle.is_proven(leaves[index], steps[:-1], root)


@given(leaf_lists)
def test_a_root_stands_for_order_and_content(leaves: list[bytes]) -> None:
    root = merkle.root(leaves)
    assert len(root) == 32
    assert merkle.root([*leaves, leaves[-1]]) != root, "a leaf said twice is another tree"
    if len(leaves) > 1:
        assert merkle.root(leaves[::-1]) != root
        inner = b"".join(merkle.leaf_hash(leaf) for leaf in leaves[:2])
        assert merkle.root([inner, *leaves[2:]]) != root, "a node cannot pass as a leaf"


def test_the_root_of_nothing_is_known() -> None:
    assert merkle.root([]) == merkle.EMPTY_ROOT


@given(claims)
def test_positions_sum_to_zero_and_name_nobody_for_nothing(owed: list[Claim]) -> None:
    positions = net_positions(owed)
    assert sum(positions.values()) == 0
    assert all(positions.values())
    assert list(positions) == sorted(positions)


@given(claims, claims)
def test_netting_is_additive(first: list[Claim], second: list[Claim]) -> None:
    parts = [net_positions(first), net_positions(second)]
    together = net_positions([*first, *second])
    for name in {*parts[0], *parts[1], *together}:
        assert together.get(name, 0) == sum(part.get(name, 0) for part in parts)
    assert net_positions([*second, *first]) == together


@given(claims)
def test_claims_and_their_mirror_cancel(owed: list[Claim]) -> None:
    mirror = [Claim(claim.creditor, claim.debtor, claim.minutes) for claim in owed]
    assert net_positions([*owed, *mirror]) == {}


@pytest.mark.parametrize("claim", [Claim("a", "a", 1), Claim("a", "b", 0), Claim("a", "b", -1)])
def test_a_senseless_claim_is_our_bug(claim: Claim) -> None:
    with pytest.raises(AssertionError):
        net_positions([claim])


def test_new_ids_are_version_7_and_rise_with_time() -> None:
    ids = [new_id() for _ in range(200)]
    assert len(set(ids)) == len(ids)
    assert all((one.version, one.variant) == (7, "specified in RFC 4122") for one in ids)
    times = [one.int >> 80 for one in ids]
    assert all(earlier <= later for earlier, later in pairwise(times))


@given(st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_derived_ids_are_the_same_for_ever(parts: list[str]) -> None:
    assert derived_id(*parts) == derived_id(*parts) != derived_id(*parts, "more")


@given(st.uuids())
def test_an_id_made_the_short_way_is_an_id_like_any_other(known: UUID) -> None:
    for made in (id_of(known.int), read_id(str(known)), read_id(known.hex), read_id(known.urn)):
        assert made == known
        assert (hash(made), str(made), made.bytes, made.is_safe) == (
            hash(known),
            str(known),
            known.bytes,
            known.is_safe,
        )
        assert pickle.loads(pickle.dumps(made)) == known  # noqa: S301 (our own)


@pytest.mark.parametrize("text", ["", "x", "g" * 32, "{" + "1" * 31, "1" * 33, "-" * 32])
def test_what_is_no_id_is_refused_as_the_class_does(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_id(text)
    with pytest.raises(ValueError, match=r"."):
        UUID(text)


def test_a_derived_id_does_not_depend_on_the_machine() -> None:
    assert derived_id("pass", 1) == UUID("a6099c7a-fcae-5b19-baac-496933d5d60c")


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))])))
def test_a_moment_is_kept_in_a_file_as_sqlalchemy_writes_it(moment: datetime) -> None:
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        return
    to_file = Moment().bind_processor(sqlite.dialect())
    from_file = Moment().result_processor(sqlite.dialect(), None)
    assert to_file is not None
    assert from_file is not None
    assert to_file(moment) == utc.replace(tzinfo=None).isoformat(" ", "microseconds")
    assert from_file(to_file(moment)) == moment


def test_codes_are_read_aloud_without_doubt() -> None:
    codes = {new_code() for _ in range(200)}
    assert len(codes) == 200
    assert {len(code) for code in codes} == {8}
    assert set("".join(codes)) <= set(CODE_ALPHABET)
    assert not set(CODE_ALPHABET) & set("01IOLU")


@settings(max_examples=30)
@given(st.binary(max_size=200), st.binary(min_size=1, max_size=8))
def test_a_signature_is_for_these_bytes_this_key_and_this_purpose(
    payload: bytes, more: bytes
) -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public, stranger = (one.public_key().public_bytes_raw() for one in (key, other))
    signature = signing.sign(key, context=signing.MESSAGE, payload=payload)

    def holds(key: bytes, context: bytes, payload: bytes, signature: bytes) -> bool:
        return signing.verify(key, context=context, payload=payload, signature=signature)

    assert holds(public, signing.MESSAGE, payload, signature)
    assert not holds(stranger, signing.MESSAGE, payload, signature)
    assert not holds(public, signing.STATEMENT, payload, signature)
    assert not holds(public, signing.MESSAGE, payload + more, signature)
    assert not holds(public, signing.MESSAGE, payload, signature[:-1])
    assert not holds(public[:-1], signing.MESSAGE, payload, signature)


def test_no_purpose_begins_another() -> None:
    purposes = [signing.MESSAGE, signing.STATEMENT, signing.ENROLMENT]
    for one in purposes:
        assert [other for other in purposes if other.startswith(one)] == [one]


def test_clocks_are_aware_and_virtual_time_never_goes_back() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
    clock = VirtualClock()
    before = clock.now()
    clock.advance(timedelta(hours=1))
    assert clock.now() - before == timedelta(hours=1)
    with pytest.raises(AssertionError):
        clock.advance(timedelta(seconds=-1))
