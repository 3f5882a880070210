"""What a lying office, or somebody between it and a node, asks of a node, and is refused."""

import copy
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.errors import ForecastError
from federation.secagg import fixed_point
from federation.secagg.adverts import DELEGATION, Identity, SignedAdvert, claimed, signed
from federation.secagg.member import Member
from federation.secagg.refusals import (
    AdvertForged,
    IdentityUnreadable,
    QuorumTooSmall,
    RosterRefused,
    RoundRepeated,
    SharesForged,
    StepOutOfOrder,
    SurvivorsRefused,
)
from federation.secagg.vault import locked
from node.forecast import identity as nodes_side
from tests.federation.secure_sums import ABOUT, Circle, contribution

NAMES = ["c0", "c1", "c2", "c3", "c4"]


@pytest.fixture
def circle(tmp_path: Path) -> Circle:
    return Circle(tmp_path / "ids", 5)


@pytest.fixture
def masked(circle: Circle) -> Circle:
    circle.share().deliver().mask(1, NAMES)
    return circle


def words(round_number: int = 1) -> np.ndarray:
    return fixed_point.encoded(contribution("c0", round_number))


def test_both_secrets_of_one_node_are_never_given(masked: Circle) -> None:
    """First c4 is said to have survived, then to be lost: any order, any node."""
    node = masked.members["c0"]
    given = node.unmask(1, NAMES)
    assert set(given) == set(NAMES)
    with pytest.raises(RoundRepeated):
        node.unmask(1, ["c0", "c1", "c2", "c3"])
    with pytest.raises(RoundRepeated):
        node.unmask(1, NAMES)


def test_one_answer_holds_one_secret_of_each(masked: Circle) -> None:
    node = masked.members["c0"]
    of_c4, of_c1 = list(node.shares["c4"]), list(node.shares["c1"])
    given = node.unmask(1, ["c0", "c1", "c2", "c3"])
    assert given["c4"] == of_c4[0], "of a lost node the share of its pairwise key"
    assert given["c1"] == of_c1[1], "of a survivor the share of its own mask"


def test_two_stories_for_two_halves_free_nothing(masked: Circle) -> None:
    """Each node answers once, so of five the office cannot fill two quorums of four."""
    stories = [NAMES, ["c0", "c1", "c2", "c3"]]
    own, pairwise = 0, 0
    for index, name in enumerate(NAMES[:4]):
        given = masked.members[name].unmask(1, stories[index % 2])
        own += index % 2 == 0 and "c4" in given
        pairwise += index % 2 == 1 and "c4" in given
    assert max(own, pairwise) < masked.office.quorum


@pytest.mark.parametrize(
    "survivors",
    [
        ["c0", "c1", "c2"],  # fewer than the quorum
        ["c1", "c2", "c3", "c4"],  # the node itself is said to be lost
        ["c0", "c1", "c2", "c2", "c3"],  # one twice
        ["c0", "c1", "c2", "c3", "c9"],  # a stranger
        [],
    ],
)
def test_odd_sets_of_survivors_are_refused(masked: Circle, survivors: list[str]) -> None:
    node = masked.members["c0"]
    before = node.to_bytes()
    with pytest.raises(SurvivorsRefused):
        node.unmask(1, survivors)
    assert node.to_bytes() == before


@pytest.mark.parametrize("quorum", [0, 1, 2, 3, 6])
def test_a_quorum_that_is_none_is_refused(circle: Circle, quorum: int) -> None:
    with pytest.raises(QuorumTooSmall):
        circle.members["c0"].share(
            circle.office.offered, quorum=quorum, members=circle.identities["c0"].members
        )


def test_a_larger_quorum_is_the_offices_choice(tmp_path: Path) -> None:
    circle = Circle(tmp_path, 5, quorum=5).share().deliver()
    circle.mask(1, NAMES)
    with pytest.raises(SurvivorsRefused, match="quorum of 5"):
        circle.members["c0"].unmask(1, NAMES[:4])


def test_a_round_is_masked_once_whoever_takes_part(masked: Circle) -> None:
    for participants in (NAMES, NAMES[:4]):
        with pytest.raises(RoundRepeated):
            masked.members["c0"].mask(1, participants, words(), about=ABOUT)


@pytest.mark.parametrize(
    "participants",
    [["c0", "c1", "c2"], ["c1", "c2", "c3", "c4"], [*NAMES, "c9"], [*NAMES, "c1"], ["c0"], []],
)
def test_odd_participants_are_refused(circle: Circle, participants: list[str]) -> None:
    circle.share().deliver()
    with pytest.raises(StepOutOfOrder):
        circle.members["c0"].mask(1, participants, words(), about=ABOUT)
    assert circle.members["c0"].rounds[0].key_seed is not None


@pytest.mark.parametrize("round_number", [-1, 0, 3])
def test_there_are_no_other_rounds(masked: Circle, round_number: int) -> None:
    node = masked.members["c0"]
    with pytest.raises(StepOutOfOrder):
        node.mask(round_number, NAMES, words(), about=ABOUT)
    with pytest.raises(StepOutOfOrder):
        node.unmask(round_number, NAMES)


def test_steps_come_in_their_order(circle: Circle) -> None:
    node = circle.members["c0"]
    with pytest.raises(StepOutOfOrder):
        node.mask(1, NAMES, words(), about=ABOUT)
    with pytest.raises(StepOutOfOrder):
        node.unmask(1, NAMES)
    circle.share()
    with pytest.raises(StepOutOfOrder, match="no shares came from"):
        node.mask(1, NAMES, words(), about=ABOUT)
    with pytest.raises(StepOutOfOrder, match="once"):
        node.share(circle.office.offered, quorum=4, members=circle.identities["c0"].members)


def resigned(circle: Circle, name: str, key: Ed25519PrivateKey, **changes: object) -> SignedAdvert:
    advert = claimed(circle.members[name].advert)
    return signed(replace(advert, **changes), key=key)  # type: ignore[arg-type] # tests' freedom


def test_keys_that_somebody_swapped_are_noticed(circle: Circle, tmp_path: Path) -> None:
    node, members = circle.members["c0"], circle.identities["c0"].members
    others = [circle.members[name].advert for name in NAMES[:4]]
    key, mine = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    forged = {
        "another training key": resigned(circle, "c4", key, training_key=public),
        "vouched for by a stranger": resigned(
            circle,
            "c4",
            key,
            training_key=public,
            delegation=mine.sign(DELEGATION + b"c4\0" + public),
        ),
        "vouched for by another member": resigned(
            circle, "c4", circle.identities["c3"].training_key, community="c4"
        ),
        "other keys under the old signature": replace(
            circle.members["c4"].advert, payload=circle.members["c3"].advert.payload
        ),
        "a stranger": resigned(circle, "c4", key, community="c9"),
        "nothing": SignedAdvert(b"{}", bytes(64)),
    }
    for advert in forged.values():
        with pytest.raises(AdvertForged):
            copy.deepcopy(node).share([*others, advert], quorum=4, members=members)


def test_odd_rosters_are_refused(circle: Circle) -> None:
    node, members = circle.members["c0"], circle.identities["c0"].members
    adverts = [circle.members[name].advert for name in NAMES]
    other_run = Member.begin(circle.identities["c4"], run="2", rounds=2).advert
    shorter = Member.begin(circle.identities["c4"], run="1", rounds=1).advert
    for offered in (
        adverts[:3],  # too few to hide in
        adverts[1:],  # without the node itself
        [*adverts, adverts[4]],
        [*adverts[:4], other_run],
        [*adverts[:4], shorter],
    ):
        with pytest.raises(RosterRefused):
            node.share(offered, quorum=4, members=members)
    replayed = Member.begin(circle.identities["c0"], run="1", rounds=2).advert
    with pytest.raises(RosterRefused, match="own keys"):
        node.share([replayed, *adverts[1:]], quorum=4, members=members)


def test_shares_are_from_whom_they_say_and_for_this_roster(tmp_path: Path) -> None:
    circle = Circle(tmp_path, 5).share()
    node = circle.members["c0"]
    boxes = circle.office.boxes_for("c0")
    meant_for_c1 = circle.office.boxes_for("c1")["c2"]
    damaged = boxes["c2"][:-1] + bytes([boxes["c2"][-1] ^ 1])
    for box in (boxes["c1"], meant_for_c1, damaged, b""):
        with pytest.raises(SharesForged):
            copy.deepcopy(node).accept({"c2": box})
    with pytest.raises(SharesForged):
        node.accept({"c9": boxes["c2"]})


def test_nodes_that_saw_other_rosters_cannot_read_each_other(tmp_path: Path) -> None:
    """The office shows c0 a roster without c4, to pass it off as lost to some and not to others."""
    circle = Circle(tmp_path, 5)
    members = circle.identities["c0"].members
    adverts = [circle.members[name].advert for name in NAMES]
    circle.members["c0"].share(adverts[:4], quorum=4, members=members)
    boxes = circle.members["c1"].share(adverts, quorum=4, members=members)
    with pytest.raises(SharesForged):
        circle.members["c0"].accept({"c1": boxes["c0"]})


def test_a_node_asked_twice_at_the_same_moment_answers_once(tmp_path: Path) -> None:
    """Two processes of the app, as Flower may start them: the vault lets one in at a time."""
    circle = Circle(tmp_path / "ids", 5).share().deliver()
    circle.mask(1, NAMES)
    with locked(tmp_path / "vault", run="1") as vault:
        vault.begin(circle.members["c0"])
    answers: list[object] = []

    def process(survivors: list[str]) -> None:
        try:
            with locked(tmp_path / "vault", run="1") as vault:
                member = vault.member()
                shares = member.unmask(1, survivors)
                vault.keep(member)
            answers.append(shares)
        except ForecastError as refusal:
            answers.append(refusal)

    threads = [Thread(target=process, args=(names,)) for names in (NAMES, NAMES[:4])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(type(one).__name__ for one in answers) == ["RoundRepeated", "dict"]


def test_a_run_is_begun_once_and_its_number_names_no_file(tmp_path: Path) -> None:
    circle = Circle(tmp_path / "ids", 4)
    with locked(tmp_path / "vault", run="../../7") as vault:
        vault.begin(circle.members["c0"])
        with pytest.raises(RoundRepeated):
            vault.begin(circle.members["c1"])
    assert vault.path.parent == tmp_path / "vault"
    with locked(tmp_path / "vault", run="8") as vault, pytest.raises(StepOutOfOrder):
        vault.member()


def test_the_key_that_signs_messages_is_never_shown(tmp_path: Path) -> None:
    signing_key = Ed25519PrivateKey.generate()
    path = tmp_path / "flower" / "identity.json"
    nodes_side.write_identity(path, community="c0", signing_key=signing_key, members={})
    assert signing_key.private_bytes_raw().hex() not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert nodes_side.DELEGATION == DELEGATION
    for content in (b"", b"{}", b"[]", b'{"training_seed": 1}'):
        path.write_bytes(content)
        with pytest.raises(IdentityUnreadable):
            Identity.load(path)
    with pytest.raises(IdentityUnreadable):
        Identity.load(tmp_path / "missing")
