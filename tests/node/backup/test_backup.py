"""A backup is the node: taken while it writes, opened only by its key, restored with its books."""

import csv
import json
import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from node import migrations, settings
from node.backup import archive, marks, restore
from node.backup.age import CannotOpen, Damaged, Passphrase, RecoveryKey
from node.backup.export import SECRET_TABLES, export
from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.errors import BadInput
from node.kernel.ids import derived_id, new_id
from node.ledger import service as ledger
from node.ledger.model import JournalEntry, Unit
from node.residents import service as residents

KEY = RecoveryKey.new()
SMALL, LARGE = derived_id("test", "small"), derived_id("test", "large")
CLOCK = VirtualClock()


@pytest.fixture
def house(tmp_path: Path) -> settings.Settings:
    """A node with two purses, a resident and a key file."""
    made = settings.create(tmp_path / "plum", name="梅园", database="")
    migrations.migrate(made.database_url)
    (made.directory / "keys").mkdir()
    (made.directory / "keys" / "signing.key").write_bytes(b"secret")
    (made.directory / "flower").mkdir()
    (made.directory / "flower" / "vault").write_bytes(b"half a run")
    database = Database(made.database_url, clock=CLOCK)
    database.do(prepare)
    pay(database, 3)
    database.close()
    return made


def prepare(session: Session) -> None:
    for account_id, floor in ((SMALL, -1_000_000), (LARGE, 0)):
        ledger.open_account(
            session, account_id=account_id, unit=Unit.POINTS, kind="test", owner="t", floor=floor
        )
    residents.join(session, CLOCK, resident_id=new_id(), name="Lin, Mei", phone="13900001111")


def pay(database: Database, times: int) -> None:
    for _ in range(times):
        database.do(
            partial(
                ledger.transfer,
                clock=CLOCK,
                entry_id=new_id(),
                payer_id=SMALL,
                payee_id=LARGE,
                amount=1,
                reason="test",
            )
        )


def entries(directory: Path) -> int:
    engine = open_engine(settings.load(directory).database_url, read_only=True)
    with Session(engine) as session:
        count = session.scalar(select(func.count()).select_from(JournalEntry))
    engine.dispose()
    return count or 0


def backed_up(house: settings.Settings, tmp_path: Path) -> Path:
    to = tmp_path / "backup.age"
    archive.make(house, CLOCK, to=to, keys=[KEY])
    return to


def test_what_was_in_the_folder_comes_back(house: settings.Settings, tmp_path: Path) -> None:
    file = backed_up(house, tmp_path)
    assert b"13900001111" not in file.read_bytes()
    manifest = restore.restore(file, tmp_path / "again", CLOCK, key=KEY)
    assert manifest.entries == 3 == entries(tmp_path / "again")
    assert (tmp_path / "again" / "keys" / "signing.key").read_bytes() == b"secret"
    assert not (tmp_path / "again" / "flower").exists(), "half a training run is worse than none"
    assert settings.load(tmp_path / "again").name == "梅园"
    assert (tmp_path / "again").stat().st_mode & 0o777 == 0o700
    mark = marks.restored(tmp_path / "again")
    assert mark is not None
    assert (mark.entries, mark.taken_at) == (3, CLOCK.now())
    assert marks.restored(house.directory) is None
    assert list(house.directory.glob(".backup-*")) == [], "nothing unencrypted stays behind"


def test_the_node_goes_on_writing_meanwhile(house: settings.Settings, tmp_path: Path) -> None:
    database = Database(house.database_url, clock=CLOCK)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            pay(database, 1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        file = backed_up(house, tmp_path)
    finally:
        stop.set()
        writer.join()
        database.close()
    manifest = restore.restore(file, tmp_path / "again", CLOCK, key=KEY)
    assert 3 <= manifest.entries == entries(tmp_path / "again") <= entries(house.directory)


def test_only_the_key_opens_it(house: settings.Settings, tmp_path: Path) -> None:
    file = backed_up(house, tmp_path)
    for key in (RecoveryKey.new(), RecoveryKey.read(KEY.public_text), Passphrase("x" * 20)):
        with pytest.raises(CannotOpen):
            restore.restore(file, tmp_path / "again", CLOCK, key=key)
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("place", [0, 400, -1])
def test_a_changed_backup_restores_nothing(
    house: settings.Settings, tmp_path: Path, place: int
) -> None:
    file = backed_up(house, tmp_path)
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises((Damaged, CannotOpen)):
        restore.restore(file, tmp_path / "again", CLOCK, key=KEY)
    assert [path.name for path in tmp_path.iterdir()] != []
    assert not (tmp_path / "again").exists()
    assert not list(tmp_path.glob(".again*"))


def test_nothing_is_ever_overwritten(house: settings.Settings, tmp_path: Path) -> None:
    file = backed_up(house, tmp_path)
    with pytest.raises(archive.FileExists):
        archive.make(house, CLOCK, to=file, keys=[KEY])
    with pytest.raises(restore.NotEmpty):
        restore.restore(file, house.directory, CLOCK, key=KEY)
    with pytest.raises(BadInput):
        restore.restore(tmp_path / "none", tmp_path / "again", CLOCK, key=KEY)
    assert entries(house.directory) == 3


def test_books_that_do_not_fit_are_no_backup(house: settings.Settings, tmp_path: Path) -> None:
    engine = open_engine(house.database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE account SET balance = balance + 1"))
    engine.dispose()
    with pytest.raises(archive.NotVerified):
        backed_up(house, tmp_path)
    assert list(tmp_path.glob("*backup*")) == []
    assert not (house.directory / marks.LAST_BACKUP_FILE).exists()


def test_the_database_may_lie_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.sqlite"
    made = settings.create(tmp_path / "plum", name="梅园", database=f"sqlite:///{elsewhere}")
    migrations.migrate(made.database_url)
    file = backed_up(made, tmp_path)
    elsewhere.unlink()
    restore.restore(file, tmp_path / "again", CLOCK, key=KEY)
    assert settings.load(tmp_path / "again").database == ""
    assert entries(tmp_path / "again") == 0


def test_an_export_has_every_table_but_the_secrets(
    house: settings.Settings, tmp_path: Path
) -> None:
    counts = export(house, CLOCK, to=tmp_path / "open")
    declared = {table.name for table in Base.metadata.sorted_tables}
    assert set(counts) == declared - SECRET_TABLES
    assert {path.stem for path in (tmp_path / "open" / "tables").glob("*.csv")} == set(counts)
    with (tmp_path / "open" / "tables" / "resident.csv").open(encoding="utf-8") as file:
        [person] = csv.DictReader(file)
    assert (person["name"], person["phone"]) == ("Lin, Mei", "13900001111")
    schema = json.loads((tmp_path / "open" / "schema.json").read_text(encoding="utf-8"))
    assert schema["posting"]["columns"]["account_id"]["refers_to"] == ["account.id"]
    assert "balance" in (tmp_path / "open" / "README.md").read_text(encoding="utf-8")
    with pytest.raises(restore.NotEmpty):
        export(house, CLOCK, to=tmp_path / "open")


def test_each_kind_of_database_is_backed_up_and_restored(tmp_path: Path, database_url: str) -> None:
    is_file = database_url.startswith("sqlite")
    made = settings.create(tmp_path / "plum", name="梅园", database=database_url)
    migrations.migrate(database_url)
    database = Database(database_url, clock=CLOCK)
    database.do(prepare)
    pay(database, 2)
    database.close()
    file = backed_up(made, tmp_path)
    wrong = "postgresql+psycopg://nobody@/nothing" if is_file else ""
    with pytest.raises(BadInput):  # a file needs no server, and a dump needs one
        restore.restore(file, tmp_path / "again", CLOCK, key=KEY, database=wrong)
    if not is_file:
        engine = open_engine(database_url)
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        engine.dispose()
    there = "" if is_file else database_url
    manifest = restore.restore(file, tmp_path / "again", CLOCK, key=KEY, database=there)
    assert manifest.entries == 2 == entries(tmp_path / "again")


def test_a_mark_says_when_it_was(tmp_path: Path) -> None:
    mark = marks.Restored(new_id(), datetime(2026, 1, 1, tzinfo=UTC), CLOCK.now(), 3, "ab")
    (tmp_path / marks.RESTORED_FILE).write_bytes(msgspec.json.encode(mark))
    assert marks.restored(tmp_path) == mark
    marks.caught_up(tmp_path)
    assert marks.restored(tmp_path) is None
