"""Every setting of a node, its unit and its limit: one frozen object, made in cli.py."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from node.kernel.errors import BadInput, DomainError
from node.kernel.files import private_folder, write_new_file

FILE_NAME = "node.toml"
HOST_AND_PORT_DEFAULTS = {"http": "127.0.0.1:8080", "peer": "127.0.0.1:8443"}


class NotANode(DomainError):
    code = "node.not_a_node"
    message = "{directory} holds no node: there is no {file} in it. Make one with linli-node init."


class AlreadyANode(DomainError):
    code = "node.already_a_node"
    message = "{directory} already holds a node. Nothing was changed."


class BadSettings(DomainError):
    code = "node.bad_settings"
    message = "{file} cannot be used: {problem}"


class FolderUnusable(DomainError):
    code = "node.folder_unusable"
    message = "{directory} cannot hold a node: {problem}"


Minutes = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0.2, le=3_600)]
Blocks = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Epsilon = Annotated[float, msgspec.Meta(ge=0.01, le=10)]
People = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1, le=1_000)]


@dataclass(frozen=True)
class Settings:
    """What the operator decides. Amounts are minutes, times are seconds."""

    directory: Path
    name: str  # of the community, as residents read it
    database: str = ""  # URL; empty: SQLite in the directory
    rpc: str = ""  # JSON-RPC address of the settlement chain; empty: receipts wait
    credit_limit_minutes: Minutes = 300  # how far a resident may go below zero
    peer_limit_minutes: Minutes = 3_000  # how much we let any one community owe us
    debt_limit_minutes: Minutes = 6_000  # how much we may owe others, on the chain and before it
    heartbeat_seconds: Seconds = 15.0  # between two questions to the district's office
    chain_seconds: Seconds = 5.0  # between two looks at the chain
    chain_confirmations: Blocks = 1  # from an event's block to the head, before it is booked
    training: bool = True  # take part in the district's training, where it is installed
    approve_own_bundle: bool = True  # run what is installed here without being asked
    tell_errors: bool = False  # tell the office how large our own forecasts' errors are
    sandbox: bool = True  # run training code in bubblewrap only; false: do without, knowingly
    plain_updates: bool = False  # send a model update alone too, where a sum could hide it
    count_epsilon: Epsilon = 1.0  # noise on what training sees; fixed when counting begins
    weekly_limit: AtLeastOne = 3  # requests of one resident and week that training sees; likewise
    requests_per_person: AtLeastOne = 8  # that one person on duty handles in a day
    people_on_duty: People = 0  # on a usual day; 0: not said, so nobody is called for

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.directory / 'node.sqlite'}"

    @property
    def exports(self) -> Path:
        """Where the training export lies: a copy of it is all that Flower's app is shown."""
        return self.directory / "training"

    @property
    def bundles(self) -> Path:
        """What offices asked to run here, and what the operator said to it."""
        return self.directory / "bundles"


WRITTEN = (
    "credit_limit_minutes",
    "peer_limit_minutes",
    "debt_limit_minutes",
    "heartbeat_seconds",
    "chain_seconds",
    "chain_confirmations",
    "training",
    "approve_own_bundle",
    "sandbox",
    "plain_updates",
    "tell_errors",
    "count_epsilon",
    "weekly_limit",
    "requests_per_person",
    "people_on_duty",
)


def create(directory: Path, *, name: str, database: str) -> Settings:
    """Make the node's folder and settings file; raises AlreadyANode rather than touch one."""
    _check_database(database)
    settings = Settings(directory.resolve(), name=_checked_name(name), database=database)
    lines = [
        "# This community's node. linli-node serve reads it at start; times are in seconds.",
        f"name = {json.dumps(settings.name, ensure_ascii=False)}",
        f"database = {json.dumps(database)} # empty: SQLite in this folder",
        'rpc = "" # JSON-RPC address of the settlement chain; empty: receipts wait',
        *(f"{field} = {json.dumps(getattr(settings, field))}" for field in WRITTEN),
    ]
    content = "\n".join(lines) + "\n"
    try:
        private_folder(settings.directory)
        is_new = write_new_file(settings.directory / FILE_NAME, content.encode(), is_private=True)
    except OSError as problem:
        reason = problem.strerror or "unknown"
        raise FolderUnusable(directory=str(directory), problem=reason) from problem
    if not is_new:
        raise AlreadyANode(directory=str(directory))
    return settings


def load(directory: Path) -> Settings:
    """The node's settings; raises NotANode or BadSettings with the line that is wrong."""
    file = directory / FILE_NAME
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise NotANode(directory=str(directory), file=FILE_NAME) from None
    except (OSError, ValueError) as problem:
        raise BadSettings(file=str(file), problem=str(problem)) from problem
    unknown = sorted(set(content) - set(WRITTEN) - {"name", "database", "rpc"})
    if unknown:
        raise BadSettings(file=str(file), problem=f"there is no setting called {unknown[0]}")
    try:
        return msgspec.convert(
            content | {"directory": directory.resolve()}, Settings, dec_hook=lambda _, path: path
        )
    except msgspec.ValidationError as problem:
        raise BadSettings(file=str(file), problem=str(problem)) from problem


def _checked_name(name: str) -> str:
    stripped = name.strip()
    if not 1 <= len(stripped) <= 100 or not stripped.isprintable():
        raise BadInput(field="--name", problem="1 to 100 printable characters are needed")
    return stripped


def _check_database(url: str) -> None:
    """Refuse what would be another database tomorrow, or in another working directory."""
    if not url.startswith("sqlite"):
        return
    file = url.partition("://")[2].partition("?")[0].removeprefix("/")
    if not file.startswith("/"):
        raise BadInput(field="--database", problem="sqlite:////the/whole/path is needed")
