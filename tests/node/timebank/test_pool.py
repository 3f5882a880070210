"""The donation pool: only what one owns goes in, only what is in it comes out, and why is kept."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import BadInput, IdReused, NotAllowed, NotFound
from node.kernel.ids import derived_id, new_id
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.cap import HOLDING_MAX_MINUTES, pool_account
from node.ledger.model import Unit
from node.ledger.refusals import InsufficientBalance
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from node.timebank import api, pages, pool, rules, service
from node.timebank.model import PoolMovement
from node.timebank.refusals import GrantsUsedUp, NotOwned
from node.timebank.service import Actor
from node.web import language
from tests.node.timebank.conftest import CLERK, ELDER, NEIGHBOUR, STRANGER
from tests.node.web.client import house_at, key


def earn(database: Database, clock: VirtualClock, resident_id: UUID, minutes: int) -> None:
    """Minutes out of the stranger's credit, or from nowhere where that is too little."""
    payer = ledger.house_account("source", Unit.MINUTES)

    def command(session: Any) -> None:
        ledger.open_account(
            session,
            account_id=payer,
            unit=Unit.MINUTES,
            kind="house",
            owner="source",
            floor=-1_000_000,
        )
        ledger.transfer(
            session,
            clock,
            entry_id=new_id(),
            payer_id=payer,
            payee_id=ledger.resident_account(resident_id, Unit.MINUTES),
            amount=minutes,
            reason="test",
        )

    database.do(command)


def donate(
    database: Database, clock: VirtualClock, minutes: int, name: str = "gift"
) -> PoolMovement:
    return database.do(
        lambda session: pool.donate(
            session,
            clock,
            donation_id=derived_id(name),
            resident_id=NEIGHBOUR,
            minutes=minutes,
            recorded_by=CLERK,
        )
    )


def grant(
    database: Database,
    clock: VirtualClock,
    minutes: int,
    name: str = "grant",
    *,
    to: UUID = ELDER,
    need: str = "lives_alone",
) -> PoolMovement:
    return database.do(
        lambda session: pool.grant(
            session,
            clock,
            grant_id=derived_id(name),
            resident_id=to,
            minutes=minutes,
            need=need,
            granted_by=STRANGER,
        )
    )


def minutes_of(database: Database, resident_id: UUID) -> int:
    with database.read() as session:
        return ledger.balance(session, ledger.resident_account(resident_id, Unit.MINUTES))


def test_minutes_go_from_a_neighbour_through_the_pool_to_an_elder(
    database: Database, clock: VirtualClock
) -> None:
    earn(database, clock, NEIGHBOUR, 120)
    for _ in range(2):
        assert donate(database, clock, 100).recorded_by == CLERK
    for _ in range(2):
        granted = grant(database, clock, 60)
    assert (granted.need, granted.recorded_by) == ("lives_alone", STRANGER)
    assert minutes_of(database, NEIGHBOUR) == 20
    assert minutes_of(database, ELDER) == 60
    with database.read() as session:
        assert pool.pool_minutes(session) == 40
        assert len(pool.movements(session).rows) == 2
        since = clock.now()
        all_given = pool.figures(session, rules.PoolAct.DONATE, since=since)
        all_granted = pool.figures(session, rules.PoolAct.GRANT, since=since)
        assert (tuple(all_given), tuple(all_granted)) == ((100, 1), (60, 1))
        assert audit_ledger(session).ok
    with pytest.raises(IdReused):
        donate(database, clock, 99)


def test_credit_is_not_given_away(database: Database, clock: VirtualClock) -> None:
    with pytest.raises(NotOwned):
        donate(database, clock, 1)
    earn(database, clock, NEIGHBOUR, 30)
    with pytest.raises(NotOwned, match="30"):
        donate(database, clock, 31)


def test_the_pool_grants_what_it_has(database: Database, clock: VirtualClock) -> None:
    with pytest.raises(InsufficientBalance):
        grant(database, clock, 1)


def test_who_grants_says_why_and_not_to_themselves(database: Database, clock: VirtualClock) -> None:
    earn(database, clock, NEIGHBOUR, 100)
    donate(database, clock, 100)
    with pytest.raises(BadInput):
        grant(database, clock, 10, need="a friend of mine")
    with pytest.raises(NotAllowed):
        grant(database, clock, 10, to=STRANGER)
    with pytest.raises(NotFound):
        grant(database, clock, 10, to=new_id())


@pytest.mark.parametrize("minutes", [0, -5, rules.POOL_MINUTES_MAX + 1])
def test_nonsense_is_refused(database: Database, clock: VirtualClock, minutes: int) -> None:
    for act in (donate, grant):
        with pytest.raises(BadInput):
            act(database, clock, minutes)


def test_one_resident_gets_so_much_a_month(database: Database, clock: VirtualClock) -> None:
    earn(database, clock, NEIGHBOUR, 3_000)
    donate(database, clock, 3_000)
    grant(database, clock, rules.GRANTS_A_MONTH_MINUTES)
    with pytest.raises(GrantsUsedUp):
        grant(database, clock, 1, "more")
    grant(database, clock, 1, "another", to=NEIGHBOUR)
    clock.advance(timedelta(days=rules.GRANT_MONTH_DAYS))
    grant(database, clock, 1, "next month")


def test_what_is_earned_above_the_cap_goes_to_the_pool(
    database: Database, clock: VirtualClock
) -> None:
    earn(database, clock, NEIGHBOUR, HOLDING_MAX_MINUTES - 15)
    exchange_id = new_id()

    def help_elder(session: Any) -> None:
        service.request(
            session,
            clock,
            exchange_id=exchange_id,
            provider_id=NEIGHBOUR,
            receiver_id=ELDER,
            service="companionship",
            minutes=60,
        )
        service.accept(session, clock, exchange_id=exchange_id, actor=Actor(NEIGHBOUR))
        service.deliver(session, clock, exchange_id=exchange_id, minutes=60, actor=Actor(NEIGHBOUR))
        for one in (ELDER, NEIGHBOUR):
            service.confirm(session, clock, exchange_id=exchange_id, actor=Actor(one))

    database.do(help_elder)
    assert minutes_of(database, NEIGHBOUR) == HOLDING_MAX_MINUTES
    with database.read() as session:
        assert ledger.balance(session, pool_account()) == 45
        assert audit_ledger(session).ok


def test_the_pool_over_http(tmp_path: Path) -> None:
    with house_at(tmp_path, [*api.routes, *pages.routes, *residents_routes]) as house:
        giver, elder = house.resident("Giver"), house.resident("Elder")
        earn(house.database, house.clock, giver, 90)
        own = house.signed_in(giver)
        body = {"resident_id": str(giver), "minutes": 60}
        given = house.client.post("/api/timebank/donations", json=body, headers=own | key())
        assert given.status_code == 201
        worker = house.bearer(Role.SOCIAL_WORKER)
        wanted = {"resident_id": str(elder), "minutes": 40, "need": "illness"}
        for headers, status in ((own, 403), (worker, 201)):
            answer = house.client.post("/api/timebank/grants", json=wanted, headers=headers | key())
            assert answer.status_code == status
        assert house.client.get("/api/timebank/pool", headers=own).json() == {"minutes": 20}
        catalogue = {one["code"]: one for one in house.client.get("/api/timebank/services").json()}
        assert catalogue["personal_care"]["training"] == "certified"
        assert catalogue["lifting"]["people"] == 2


def test_the_pools_page(tmp_path: Path) -> None:
    with house_at(tmp_path, [*pages.routes, *residents_routes]) as house:
        giver = house.resident("Giver")
        house.resident("Old Zhou")
        worker = house.resident("Worker", Role.SOCIAL_WORKER)
        earn(house.database, house.clock, giver, 90)
        house.open_browser(giver)
        form = {"minutes": "60", "form_id": str(new_id())}
        path = "/timebank/pool"
        assert house.post_form(f"{path}/donate", page=path, **form).status_code == 303
        too_much = house.post_form(f"{path}/donate", page=path, minutes="31")
        assert too_much.status_code == 422
        assert "Grant minutes" not in house.client.get(path).text
        refused = house.post_form(f"{path}/grant", page=path, granted="1", need="illness")
        assert refused.status_code == 403
        house.open_browser(worker)
        wanted = {"phone": house.phone(2), "granted": "30", "need": "lives_alone"}
        assert house.post_form(f"{path}/grant", page=path, **wanted).status_code == 303
        shown = house.client.get(path).text
        assert "Old Zhou" in shown
        assert "lives alone" in shown
        wrong = house.post_form(f"{path}/grant", page=path, **(wanted | {"phone": "13999999999"}))
        assert wrong.status_code == 422
        house.open_browser()
        assert "Old Zhou" not in house.client.get(path).text


def test_the_catalogue_is_said_in_chinese_too() -> None:
    words = language.load()
    for kind in rules.SERVICES.values():
        assert words.get(kind.title), kind.title
        assert words.get(kind.standard), kind.standard
