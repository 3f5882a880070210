"""Green where it is well and red where somebody must look; the page, the API, and the command."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from contracts.terms import ChainRefused
from node import settings
from node.backup.marks import LAST_BACKUP_FILE, RESTORED_FILE
from node.health import checks, pages
from node.health.checks import Health
from node.kernel.clock import SystemClock
from node.kernel.db import Database
from node.kernel.errors import DomainError, IdReused
from node.kernel.ids import new_id
from node.outbox.model import OUTBOX
from node.residents.rules import Role
from node.settlement import alarms
from node.settlement.alarms import Alarm
from node.settlement.model import ChainAlarm
from node.settlement.rules import WRONG, BatchWrong
from node.web import language
from tests.node.commands import linli, make_node
from tests.node.web.client import ClientHouse, HouseSettingsForTests, house_at
from tests.node.web.test_words import PLACES

RAISED: dict[Alarm, alarms.Figures] = {
    Alarm.RECOVERY_ANNOUNCED: {"signer": "0xTHIEF", "from_when": "2027-01-15 08:00 UTC"},
    Alarm.SIGNER_CHANGED: {"number": 1, "signer": "0xTHIEF"},
    Alarm.WATCH_STUCK: alarms.why_stuck(BatchWrong("office_shows_another"), b"r" * 32),
}
ROUND = f"0x{'72' * 32}"
DETAILS = {
    "en": (
        "0xTHIEF, good from 2027-01-15 08:00 UTC on",
        "number 1, 0xTHIEF",
        f"the office shows another one than the chain has (settlement.batch_wrong, batch {ROUND})",
    ),
    "zh": (
        "0xTHIEF，2027-01-15 08:00 UTC 起生效",
        "编号 1，0xTHIEF",
        f"片区办公室给出的批次与链上的不是同一批（settlement.batch_wrong，批次 {ROUND}）",
    ),
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, pages.routes) as house:
        yield house


def look(house: ClientHouse, *, has_chain: bool = False) -> dict[str, Health]:
    place = checks.Place(house.settings.directory, None, has_chain, house.clock.now())
    with house.database.read() as session:
        return {one.name: one for one in checks.look(session, place)}


def backed_up(house: ClientHouse, *, ago: timedelta) -> None:
    at = (house.clock.now() - ago).isoformat()
    (house.settings.directory / LAST_BACKUP_FILE).write_text(json.dumps({"at": at}))


def test_a_new_node_wants_a_backup_and_no_more(house: ClientHouse) -> None:
    wrong = {name for name, one in look(house).items() if one.is_well is False}
    assert wrong == {"backup"}
    backed_up(house, ago=timedelta(hours=3))
    assert look(house)["backup"].is_well
    assert "3 hours" in look(house)["backup"].sentence
    backed_up(house, ago=timedelta(days=3))
    assert look(house)["backup"].is_well is False


def test_a_silent_neighbour_is_named(house: ClientHouse) -> None:
    row = {
        "id": new_id(),
        "recipient": "c02",
        "kind": "PresentPass",
        "payload": b"",
        "signature": b"",
        "state": "waiting",
        "attempts": 3,
        "created_at": house.clock.now(),
        "next_attempt_at": house.clock.now(),
    }
    house.database.do(lambda session: session.execute(insert(OUTBOX), [row]))
    assert look(house)["neighbours"].is_well is not False
    house.clock.advance(timedelta(hours=5))
    found = look(house)["neighbours"]
    assert (found.is_well, found.details["peer"], found.details["hours"]) == (False, "c02", 5)


def test_the_chain_a_restore_and_the_clock(house: ClientHouse) -> None:
    assert look(house)["chain"].is_well is None
    assert look(house, has_chain=True)["chain"].is_well
    raise_alarms(house)
    assert look(house, has_chain=True)["chain"].is_well is False
    (house.settings.directory / RESTORED_FILE).write_text(
        json.dumps(
            {
                "id": str(new_id()),
                "taken_at": "2026-01-01T00:00:00Z",
                "restored_at": "2026-01-01T00:00:00Z",
                "entries": 0,
                "head": "",
            }
        )
    )
    assert look(house)["restored"].is_well is False


def raise_alarms(house: ClientHouse) -> None:
    def command(session: Session) -> None:
        for kind, figures in RAISED.items():
            alarms.raise_alarm(session, house.clock, kind, figures)
            house.clock.advance(timedelta(minutes=1))

    house.database.do(command)


@dataclass(frozen=True)
class SettlesOnChain(HouseSettingsForTests):
    rpc: str = "http://127.0.0.1:8545"


def test_each_alarm_is_a_red_line_with_what_to_do_until_it_is_over(house: ClientHouse) -> None:
    house.settings = SettlesOnChain(house.settings.directory)
    house.open_browser(house.resident("Sun", Role.OPERATOR))
    assert "The chain raises no alarm" in house.client.get("/health").text
    raise_alarms(house)
    backed_up(house, ago=timedelta(hours=1))
    shown, zh = (house.client.get(f"/health?lang={one}").text for one in ("en", "zh"))
    assert shown.count("! look at this") == zh.count("! 请处理") == len(RAISED)
    assert "telephone the office now and keep the node running" in shown
    assert "what we sign counts for nothing there" in shown
    assert "linli-node pass-over" in shown
    assert "请马上打电话给片区办公室" in zh
    assert "我们的签名在链上不算数" in zh
    assert all(detail in shown for detail in DETAILS["en"])
    assert all(detail in zh for detail in DETAILS["zh"])
    assert not any(detail in zh for detail in DETAILS["en"])
    for kind in RAISED:
        house.database.do(partial(alarms.is_over, kind=kind))
    assert "Yes. Nothing needs you now." in house.client.get("/health?lang=en").text


def test_programs_read_each_alarm_by_its_code(house: ClientHouse) -> None:
    house.settings = SettlesOnChain(house.settings.directory)
    raise_alarms(house)
    headers = house.bearer(Role.OPERATOR)
    checked = house.client.get("/api/health", headers=headers).json()["checks"]
    raised = [one for one in checked if one["check"] == "chain"]
    assert [(one["alarm"], one["is_well"]) for one in raised] == [(k, False) for k in RAISED]
    assert all("{" not in one["sentence"] for one in raised)
    assert [one["detail"] for one in raised] == list(DETAILS["en"])
    assert (raised[-1]["code"], raised[-1]["round"]) == ("settlement.batch_wrong", ROUND)
    said = house.client.get("/api/metrics", headers=headers).text
    assert said.count('check="chain"') == said.count('linli_check_ok{check="chain"} 0') == 1


def test_every_alarm_is_said_in_chinese_as_well() -> None:
    assert set(alarms.SENTENCES) == set(Alarm) == set(RAISED)
    said = [*alarms.SENTENCES.values(), *alarms.DETAILS.values(), alarms.STUCK_AT]
    said += [*alarms.WHY.values(), alarms.NO_WORDS, *WRONG.values()]
    words = language.load()
    for sentence in said:
        assert PLACES.findall(sentence) == PLACES.findall(words.get(sentence, "")), sentence


@pytest.mark.parametrize(
    ("refusal", "english", "chinese"),
    [
        (
            BatchWrong("wrong_sequence", expected=4, found=3),
            "is 4, it says 3",
            "是 4，批次里写的是 3",
        ),
        (ChainRefused("chain.no_contract", "0xNONE"), "no contract at", "该地址上没有合约（chain"),
        (ChainRefused("chain.paused", "Paused."), "no words yet (chain.paused)", "原因不明（chain"),
        (IdReused(id="x7"), "The id x7 was used before", "编号 x7 已用于"),
    ],
)
def test_why_the_watch_is_stuck_is_said_in_the_readers_words(
    house: ClientHouse, refusal: ChainRefused | DomainError, english: str, chinese: str
) -> None:
    house.settings = SettlesOnChain(house.settings.directory)
    figures = alarms.why_stuck(refusal, None)
    house.database.do(
        lambda session: alarms.raise_alarm(session, house.clock, Alarm.WATCH_STUCK, figures)
    )
    house.open_browser(house.resident("Sun", Role.OPERATOR))
    assert english in house.client.get("/health?lang=en").text
    zh = house.client.get("/health?lang=zh").text
    assert chinese in zh
    assert english not in zh


def test_an_alarm_of_an_earlier_version_is_shown_as_it_was_kept(house: ClientHouse) -> None:
    row = ChainAlarm(
        kind=Alarm.SIGNER_CHANGED.value, detail="number 1, 0xOLD", since=house.clock.now()
    )
    house.database.do(lambda session: session.add(row))
    assert "(number 1, 0xOLD)" in look(house, has_chain=True)["chain"].sentence


def test_the_page_says_it_in_words(house: ClientHouse) -> None:
    house.open_browser(house.resident("Sun", Role.OPERATOR))
    shown = house.client.get("/health").text
    assert "No. Look at what is marked below." in shown
    assert "There is no backup yet" in shown
    backed_up(house, ago=timedelta(hours=1))
    assert "Yes. Nothing needs you now." in house.client.get("/health").text
    assert "一切正常吗" in house.client.get("/health?lang=zh").text
    house.open_browser(house.resident("Wang", Role.CLERK))
    assert house.client.get("/health").status_code == 403


def test_programs_get_json_and_metrics_without_names(house: ClientHouse) -> None:
    backed_up(house, ago=timedelta(hours=1))
    headers = house.bearer(Role.OPERATOR)
    assert house.client.get("/api/health", headers=headers).json()["is_well"]
    said = house.client.get("/api/metrics", headers=headers)
    assert said.headers["content-type"].startswith("text/plain")
    assert 'linli_check_ok{check="backup"} 1' in said.text
    assert "linli_outbox_waiting_messages 0" in said.text
    assert house.client.get("/api/metrics").status_code == 401


def test_the_command_tells_monitors(tmp_path: Path) -> None:
    directory = make_node(tmp_path / "plum")
    asked = linli("node", "health", directory, "--json")
    assert (asked.status, asked.code) == (2, "health.not_well")
    assert asked.json["is_well"] is False
    said = json.dumps({"at": SystemClock().now().isoformat()})
    (directory / LAST_BACKUP_FILE).write_text(said)
    fine = linli("node", "health", directory)
    assert fine.status == 0
    assert "ok   backup" in fine.output


def test_the_command_names_each_alarm(tmp_path: Path) -> None:
    directory = make_node(tmp_path / "plum")
    path = directory / "node.toml"
    content = path.read_text(encoding="utf-8")
    path.write_text(content.replace('rpc = ""', 'rpc = "http://127.0.0.1:8545"'), encoding="utf-8")
    database = Database(settings.load(directory).database_url, clock=SystemClock())
    database.do(
        lambda session: alarms.raise_alarm(
            session, SystemClock(), Alarm.SIGNER_CHANGED, RAISED[Alarm.SIGNER_CHANGED]
        )
    )
    database.close()
    asked = linli("node", "health", directory, "--json")
    assert (asked.status, asked.code) == (2, "health.not_well")
    [found] = [one for one in asked.json["checks"] if one["check"] == "chain"]
    assert (found["is_well"], found["alarm"]) == (False, "signer_changed")
    assert "(number 1, 0xTHIEF)" in found["sentence"]
    assert "Telephone the office" in found["sentence"]
