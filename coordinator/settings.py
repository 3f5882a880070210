"""Where an office keeps its things, and every setting with its unit. Made once, in cli.py."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from coordinator.refusals import OfficeMissing, OfficeUnreadable

DEFAULT_CHAIN_ID = 20_260  # the embedded devchain's
DEFAULT_DEBT_LIMIT_MINUTES = 6_000
DEFAULT_COUNT_EPSILON = 1.0
PROTECTIONS = ("auto", "secure", "mean", "trimmed-mean", "median")  # as federation/plan.py
DEBT_LIMIT_MINUTES_MAX = 2**24 - 1  # the contract's uint24
DEFAULT_PORTS = {"enrol": 7400, "member": 7401, "http": 7402, "superlink": 7403}
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Place:
    """The files of an office."""

    directory: Path

    @property
    def configuration(self) -> Path:
        return self.directory / "office.json"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.directory / 'office.sqlite'}"

    @property
    def keys(self) -> Path:
        return self.directory / "keys"

    @property
    def authority_key(self) -> Path:
        return self.keys / "ca.key"

    @property
    def relay_key(self) -> Path:
        return self.keys / "relay.key"

    @property
    def server_key(self) -> Path:
        return self.keys / "server.key"

    @property
    def authority_certificate(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def server_certificate(self) -> Path:
        return self.directory / "server.pem"

    @property
    def models(self) -> Path:
        return self.directory / "models"

    @property
    def bundles(self) -> Path:
        """The training apps that nodes were ever asked to run, under their hashes."""
        return self.directory / "bundles"

    @property
    def accuracy(self) -> Path:
        """What noise cost in a comparison that the office made itself."""
        return self.directory / "accuracy.json"

    @property
    def superlink(self) -> Path:
        return self.directory / "superlink"

    @property
    def training_keys(self) -> Path:
        return self.directory / "training-keys"

    @property
    def serving_lock(self) -> Path:
        return self.directory / "serving.lock"


@dataclass(frozen=True)
class Address:
    """HOST:PORT to listen on; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Office:
    """What `init` fixed."""

    name: str
    rpc_url: str | None = None
    chain_id: int = DEFAULT_CHAIN_ID
    debt_limit_minutes: int = DEFAULT_DEBT_LIMIT_MINUTES
    count_epsilon: float = DEFAULT_COUNT_EPSILON  # what a training promises each resident
    protection: str = "auto"  # of the updates: sums only, from four communities on


@dataclass(frozen=True)
class Settings:
    """One serving office: what it is, where it listens, and its limits."""

    place: Place
    office: Office
    enrol: Address
    member: Address
    http: Address
    superlink: Address | None  # None: this office offers no training
    public_host: str | None = None  # how nodes reach us, if not by the host we listen on
    message_bytes_max: int = 16 * 1024 * 1024
    connection_streams_max: int = 200
    ask_again_ms: int = 500  # how often a joining node asks whether it was approved
    work_poll_seconds: float = 0.5  # how soon work asked for by another command is seen
    chain_pause_seconds: float = 2.0  # before a chain that did not answer is asked again
    confirmations: int = 1  # blocks on top of nothing: enough where blocks are final
    final_depth_blocks: int = 64  # a settled batch is looked at again until so many lie on it
    attempts_max: int = 8  # proposals of one round
    stop_grace_seconds: float = 5.0
    batch_look_back_blocks: int = 100_000

    def office_now(self) -> Office:
        """As its file says now: an officer may have changed it while we serve."""
        return read_office(self.place) if self.place.configuration.exists() else self.office

    def reachable(self, address: Address) -> str:
        """The address as the directory tells it to nodes."""
        return f"{self.public_host or address.host}:{address.port}"


def write_office(office: Office) -> bytes:
    """The content of office.json."""
    return json.dumps(asdict(office), ensure_ascii=False, indent=2).encode() + b"\n"


def read_office(place: Place) -> Office:
    """What `init` wrote; refused with a sentence if there is no office or it cannot be read."""
    if not place.configuration.exists():
        raise OfficeMissing(directory=str(place.directory))
    try:
        return Office(**json.loads(place.configuration.read_text(encoding="utf-8")))
    except OSError as error:
        problem = error.strerror or "unreadable"
        raise OfficeUnreadable(path=str(place.configuration), problem=problem) from error
    except (ValueError, TypeError) as error:
        raise OfficeUnreadable(path=str(place.configuration), problem="it is damaged") from error
