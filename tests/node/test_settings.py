"""node.toml: written once, read strictly, and never half."""

import stat
from dataclasses import fields
from pathlib import Path

import pytest

from node import settings
from node.kernel.errors import BadInput
from node.settings import AlreadyANode, BadSettings, FolderUnusable, NotANode, Settings


def written(directory: Path, content: str) -> Path:
    (directory / settings.FILE_NAME).write_text(content, encoding="utf-8")
    return directory


@pytest.mark.parametrize("name", ["梅园", 'The "Plum" \\ Court', "a = b # c", "🏡 Lane's"])
def test_what_is_written_is_what_is_read(tmp_path: Path, name: str) -> None:
    made = settings.create(tmp_path / "plum", name=name, database="")
    assert settings.load(tmp_path / "plum") == made
    assert made.name == name
    assert made.database_url == f"sqlite:///{tmp_path}/plum/node.sqlite"


def test_the_file_shows_every_setting(tmp_path: Path) -> None:
    settings.create(tmp_path, name="x", database="")
    content = (tmp_path / settings.FILE_NAME).read_text(encoding="utf-8")
    for field in fields(Settings):
        assert field.name == "directory" or f"\n{field.name} = " in content


def test_nobody_else_may_read_the_folder(tmp_path: Path) -> None:
    settings.create(tmp_path / "plum", name="x", database="postgresql+psycopg://linli:secret@h/d")
    assert stat.S_IMODE((tmp_path / "plum").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "plum" / settings.FILE_NAME).stat().st_mode) == 0o600


def test_left_out_settings_have_defaults(tmp_path: Path) -> None:
    found = settings.load(written(tmp_path, 'name = "x"\n'))
    assert found == Settings(tmp_path, name="x")
    assert found.exports == tmp_path / "training"


def test_a_relative_folder_is_found_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, 'name = "x"\n')
    monkeypatch.chdir(tmp_path)
    assert settings.load(Path()).database_url == f"sqlite:///{tmp_path}/node.sqlite"


@pytest.mark.parametrize(
    "line",
    [
        "credit_limit_minutes = -1",
        "credit_limit_minutes = 1.5",
        "peer_limit_minutes = 1_000_001",
        'debt_limit_minutes = "6000"',
        "heartbeat_seconds = 0.1",
        "heartbeat_seconds = nan",
        "chain_seconds = 3601",
        "chain_confirmations = -1",
        'training = "yes"',
        "rpc = 8545",
        "colour = 1",
        'directory = "/elsewhere"',
        "name = [",
    ],
)
def test_a_line_that_cannot_be(tmp_path: Path, line: str) -> None:
    with pytest.raises(BadSettings) as refusal:
        settings.load(written(tmp_path, f'name = "x"\n{line}\n'))
    assert settings.FILE_NAME in str(refusal.value)


def test_folders_that_hold_no_node(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for directory in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(NotANode):
            settings.load(directory)


def test_a_node_is_never_written_over(tmp_path: Path) -> None:
    settings.create(tmp_path, name="first", database="")
    with pytest.raises(AlreadyANode):
        settings.create(tmp_path, name="second", database="")
    assert settings.load(tmp_path).name == "first"
    assert [path.name for path in tmp_path.iterdir()] == [settings.FILE_NAME]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderUnusable):
        settings.create(tmp_path / "file" / "plum", name="x", database="")


@pytest.mark.parametrize("name", ["", "\t", "x" * 101, "a\nb", "a\x7fb", "\udcff"])
def test_a_name_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput):
        settings.create(tmp_path / "plum", name=name, database="")
    assert not (tmp_path / "plum").exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///x.sqlite", "sqlite:///:memory:"])
def test_a_database_that_depends_on_where_one_stands(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadInput):
        settings.create(tmp_path / "plum", name="x", database=url)
