"""A secret vote from its trustees' keys to a recount, with the real belenios-tool."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from node.council import api, belenios, pages, rules, sealing
from node.council.belenios import Key
from node.council.electorates import Choice
from node.council.model import Ballot
from node.council.model_secret import SealedBallot, Trustee, VotingCode
from node.council.refusals import SecretRefused
from node.kernel.ids import new_id
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from recount.archive import examine
from tests.node.web.client import ClientHouse, house_at, key

needs_tool = pytest.mark.belenios
CHOICES = ("yes", "yes", "no", "abstain")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    routes = [*api.routes, *pages.routes, *residents_routes]
    with house_at(tmp_path, routes, [pages.card]) as house:
        yield house


class Secret:
    """One secret motion, said over HTTP."""

    def __init__(self, house: ClientHouse, *, voters: int = 4) -> None:
        self.house = house
        self.voters = [house.resident(f"V{number}") for number in range(voters)]
        self.secretary = house.bearer(Role.SECRETARY)
        body = {"title": "Who speaks for us", "text": "Aunt Wang.", "is_secret": True}
        made = house.client.post("/api/council/motions", json=body, headers=self.secretary | key())
        self.motion = made.json()["id"]

    def say(self, act: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
        path = f"/api/council/motions/{self.motion}/{act}"
        fresh = {"Idempotency-Key": str(body.pop("id", new_id()))}
        return self.house.client.post(
            path, json=body or None, headers=(headers or self.secretary) | fresh
        )

    def add_trustee(self, made: Key, name: str = "Notary") -> Any:
        return self.say("trustees", name=name, public_key=made.public)

    def open(self) -> None:
        for step in ("screening", "publicity", "assembly"):
            if step == "assembly":
                self.house.clock.advance(rules.PUBLICITY_TIME_MIN)
            answer = self.say("step", to=step)
            assert answer.status_code == 200, answer.json()

    def cast(self, voter: UUID, choice: str, **more: Any) -> Any:
        return self.say("ballots", self.house.signed_in(voter), choice=choice, **more)

    def shown(self) -> Any:
        return self.house.client.get(f"/api/council/motions/{self.motion}").json()

    def share(self, trustee_id: str, private_key: str) -> Any:
        path = f"/api/council/trustees/{trustee_id}/share"
        return self.house.client.post(
            path, json={"private_key": private_key}, headers=self.secretary
        )


@needs_tool
def test_a_secret_vote_from_keys_to_recount(house: ClientHouse) -> None:
    vote, made = Secret(house), belenios.make_key()
    trustee = vote.add_trustee(made).json()["id"]
    vote.open()
    first = new_id()
    receipts = [
        vote.cast(voter, choice, **({"id": first} if number == 0 else {})).json()["receipt"]
        for number, (voter, choice) in enumerate(zip(vote.voters, CHOICES, strict=True))
    ]
    assert vote.cast(vote.voters[0], "yes", id=first).json()["receipt"] == receipts[0]
    assert vote.cast(vote.voters[0], "no").json()["code"] == "council.already_voted"
    with house.database.read() as session:
        assert set(session.scalars(select(Ballot.choice))) == {None}
        assert len(session.scalars(select(VotingCode)).all()) == 0
        kept = session.scalars(select(SealedBallot.content)).all()
    assert not any(word in ballot for ballot in kept for word in ('"yes"', '"no"', "abstain"))
    counting = vote.say("close").json()
    assert (counting["is_being_counted"], "tally" in counting) == (True, False)
    assert vote.say("close").json()["is_being_counted"]
    refused = vote.share(trustee, belenios.make_key().private)
    assert (refused.status_code, refused.json()["code"]) == (409, "council.secret_refused")
    assert vote.share(trustee, made.private).json()["has_shared"]
    closed = vote.shown()["votes"][0]
    assert closed["tally"] == {"yes": 2, "no": 1, "abstain": 1, "quorum": True, "carried": False}
    check_recount(vote, closed["id"], receipts)
    with house.database.read() as session:
        assert set(session.scalars(select(Trustee.private_key))) == {None}


def check_recount(vote: Secret, vote_id: str, receipts: list[str]) -> None:
    """Belenios proves the sum, and an archive with one ballot less does not fit."""
    client, headers = vote.house.client, vote.house.signed_in(vote.voters[0])
    trackers = client.get(f"/api/council/votes/{vote_id}/trackers").json()
    assert sorted(receipts) == sorted(trackers)
    raw = client.get(f"/api/council/votes/{vote_id}/archive", headers=headers).content
    found = examine(raw)
    assert found.fits, [check for check in found.checks if not check.holds]
    assert {choice: heads for choice, (heads, _) in found.tally.items()} == {
        "yes": 2,
        "no": 1,
        "abstain": 1,
    }
    page = client.get(f"/council/motions/{vote.motion}/secret").text
    opened = json.loads(json.loads(raw)["archive"])["election"]["sha256"]
    assert opened in page
    envelope = json.loads(raw)
    content = json.loads(envelope["archive"])
    content["ballots"].pop()
    content["election"]["sha256"] = "0" * 64
    envelope["archive"] = json.dumps(content)
    checks = {one.name: one.holds for one in examine(json.dumps(envelope).encode()).checks}
    assert (checks["no_more_ballots_than_voters"], checks["election"]) == (False, False)


@needs_tool
def test_a_voter_may_encrypt_on_a_machine_of_their_own(house: ClientHouse, tmp_path: Path) -> None:
    vote, made = Secret(house, voters=2), belenios.make_key()
    trustee = vote.add_trustee(made).json()["id"]
    vote.open()
    mine, asked = house.signed_in(vote.voters[0]), new_id()
    code = vote.say("codes", mine, id=asked).json()["code"]
    assert vote.say("codes", mine, id=asked).json()["code"] == code
    other = vote.say("codes", house.signed_in(vote.voters[1]), id=asked)
    assert other.json()["code"] == "kernel.id_reused"
    assert vote.cast(vote.voters[0], "no").json()["code"] == "council.already_voted"
    vote_id = vote.shown()["votes"][0]["id"]
    ballot = encrypted_at_home(house, vote_id, code, tmp_path / "home")
    for strange in ("{}", "[]", "x" * 50_000, ballot.replace(vote_id[:4], "0000")[:-40] + '"}'):
        assert vote.say("sealed-ballots", {}, ballot=strange).status_code == 409
    put = new_id()
    receipt = vote.say("sealed-ballots", {}, ballot=ballot, id=put)
    assert receipt.json()["receipt"] == belenios.tracker(ballot)
    assert vote.say("sealed-ballots", {}, ballot=ballot, id=put).json() == receipt.json()
    assert vote.say("sealed-ballots", {}, ballot=ballot).json()["code"] == "council.secret_refused"
    vote.cast(vote.voters[1], "yes")
    vote.say("close")
    vote.share(trustee, made.private)
    tally = vote.shown()["votes"][0]["tally"]
    assert (tally["yes"], tally["no"], tally["carried"]) == (1, 1, False)


def encrypted_at_home(house: ClientHouse, vote_id: str, code: str, folder: Path) -> str:
    """What the page tells a voter to type."""
    folder.mkdir()
    election = house.client.get(f"/api/council/votes/{vote_id}/belenios")
    name = election.headers["content-disposition"].split('"')[1]
    (folder / name).write_bytes(election.content)
    (folder / "code").write_text(code)
    (folder / "choice").write_text("[[0,1,0]]")
    argv = ["belenios-tool", "election", "generate-ballot", "--privcred", "code"]
    done = subprocess.run(
        [*argv, "--ballot", "choice"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "BELENIOS_USE_URANDOM": "1"},
    )
    return done.stdout.strip()


@needs_tool
def test_nobody_opens_a_secret_vote_with_the_node_as_its_only_guard(house: ClientHouse) -> None:
    vote = Secret(house, voters=2)
    for step in ("screening", "publicity"):
        vote.say("step", to=step)
    house.clock.advance(rules.PUBLICITY_TIME_MIN)
    assert vote.say("step", to="assembly").json()["code"] == "council.trustees_missing"
    bad = vote.say("trustees", name="Notary", public_key="not a key")
    assert (bad.status_code, bad.json()["code"]) == (400, "kernel.bad_input")


def test_without_the_tool_a_secret_vote_is_refused_with_a_sentence(
    house: ClientHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    vote = Secret(house, voters=2)
    monkeypatch.setenv("PATH", "/nonexistent")
    for step in ("screening", "publicity"):
        vote.say("step", to=step)
    house.clock.advance(rules.PUBLICITY_TIME_MIN)
    refused = vote.say("step", to="assembly")
    assert (refused.status_code, refused.json()["code"]) == (409, "council.secret_tool_missing")
    assert "apt install belenios-tool" in refused.json()["title"]
    assert vote.shown()["step"] == "publicity"


@needs_tool
def test_the_clock_closes_a_secret_vote_and_the_node_does_its_part(house: ClientHouse) -> None:
    vote, made = Secret(house, voters=2), belenios.make_key()
    trustee = vote.add_trustee(made).json()["id"]
    vote.open()
    for voter in vote.voters:
        vote.cast(voter, "yes")
    house.clock.advance(rules.VOTING_TIME)
    asyncio.run(sealing.tend(house))
    asyncio.run(sealing.tend(house))
    path = f"/api/council/motions/{vote.motion}/trustees"
    assert [one["has_shared"] for one in house.client.get(path).json()] == [True, False]
    vote.share(trustee, made.private)
    assert vote.shown()["votes"][0]["tally"]["yes"] == 2


@needs_tool
def test_pages_of_a_secret_vote(house: ClientHouse) -> None:
    vote = Secret(house, voters=1)
    clerk = house.resident("Clerk", Role.SECRETARY)
    house.open_browser(clerk)
    path = f"/council/motions/{vote.motion}"
    shown = house.post_form(f"{path}/trustee-key", page=path).text
    assert "Private key: for me alone" in shown
    made = belenios.make_key()
    form = {"name": "Notary", "public_key": made.public, "form_id": str(new_id())}
    assert house.post_form(f"{path}/trustees", page=path, **form).status_code == 303
    vote.open()
    for voter in (*vote.voters, clerk):
        house.open_browser(voter)
        choose = {"choice": "yes", "form_id": str(new_id())}
        assert "Is this right?" in house.post_form(f"{path}/ballot", page=path, **choose).text
        done = house.post_form(f"{path}/ballot", page=path, sure="yes", **choose)
        assert "What you chose is encrypted" in done.text
    house.post_form(f"{path}/close", page=path)
    shown = house.client.get(f"{path}/secret").text
    share = shown.split('action="/council/trustees/')[1].split('"')[0]
    wrong = house.post_form(f"/council/trustees/{share}", page=path, private_key="nonsense")
    assert wrong.status_code == 409
    right = house.post_form(f"/council/trustees/{share}", page=path, private_key=made.private)
    assert right.status_code == 303
    assert "Carried" in house.client.get(path).text


@needs_tool
def test_the_tools_own_archive_and_ours_agree() -> None:
    keys = [belenios.make_key() for _ in range(2)]
    made = belenios.prepare(voters=12, public_keys=[one.public for one in keys])
    choices = [Choice.YES] * 5 + [Choice.NO] * 4 + [Choice.ABSTAIN] * 3
    ballots = [
        belenios.seal(uuid=made.uuid, base=made.base, code=code, choice=choice)
        for code, choice in zip(made.codes, choices, strict=True)
    ]
    sealed = belenios.end(uuid=made.uuid, base=made.base, ballots=ballots)
    shares = [
        json.dumps(
            {
                "number": number,
                "share": belenios.decrypt(
                    uuid=made.uuid, sealed=sealed, private_key=one.private, number=number
                ),
            }
        )
        for number, one in enumerate(keys, 1)
    ]
    _, heads = belenios.open_sum(uuid=made.uuid, sealed=sealed, shares=shares)
    assert heads == {Choice.YES: 5, Choice.NO: 4, Choice.ABSTAIN: 3}
    belenios.check_key(keys[0])
    for private in (keys[1].private, "nonsense", "", "9" * 9_000):
        with pytest.raises(SecretRefused):
            belenios.check_key(Key(keys[0].public, private))
