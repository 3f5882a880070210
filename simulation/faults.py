"""What can go wrong in a simulated district, how often, and a dice that a seed alone decides.

A throw depends on the seed and on what it is about, never on how many throws came before: a history
with one story less, or one fault less, is otherwise the same. That is what lets a failing history
be made shorter.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields

from node.kernel.errors import DomainError


class BadFaults(DomainError):
    code = "simulation.bad_faults"
    message = "--faults: {problem}. Write for example drop=0.1,crash=0.002"


class Died(BaseException):
    """The process that ran this is no more; only its file is left. No rule may catch it."""


@dataclass(frozen=True)
class Faults:
    """How likely each kind of fault is, from 0 (never) to 1 (always)."""

    drop: float = 0.0  # each way of each call between communities: it never arrives
    delay: float = 0.0  # each way of each call: it arrives when nobody waits any more
    duplicate: float = 0.0  # each call: it arrives a second time, up to two days later
    reorder: float = 0.0  # each call: it gathers more, or arrives one by one in another order
    partition: float = 0.0  # each pair, each day: no call passes for some hours
    crash: float = 0.0  # each write and each call, before and after it: the process dies there
    chain: float = 0.0  # each day: the chain stops for hours; each block: it replaces older ones
    lie: float = 0.0  # each community, each day: a community in nobody's control lies to it

    def __post_init__(self) -> None:
        for kind in self.kinds():
            if not 0.0 <= getattr(self, kind) <= 1.0:
                raise BadFaults(problem=f"{kind} is a probability, from 0 to 1")

    @classmethod
    def kinds(cls) -> list[str]:
        """The names of all kinds."""
        return [one.name for one in fields(cls)]

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """From `drop=0.1,crash=0.002`; empty text is a district where nothing goes wrong."""
        found: dict[str, float] = {}
        for part in filter(None, (one.strip() for one in text.split(","))):
            kind, equals, value = part.partition("=")
            if kind not in cls.kinds() or not equals:
                known = ", ".join(cls.kinds())
                raise BadFaults(problem=f"{part} is not one of {known} with a number")
            try:
                found[kind] = float(value)
            except ValueError as problem:
                raise BadFaults(problem=f"{value} is not a number") from problem
        return cls(**found)

    def __str__(self) -> str:
        rates = ((kind, getattr(self, kind)) for kind in self.kinds())
        return ",".join(f"{kind}={rate:g}" for kind, rate in rates if rate) or "none"


ALL = Faults(
    drop=0.06,
    delay=0.04,
    duplicate=0.06,
    reorder=0.1,
    partition=0.08,
    crash=0.004,
    chain=0.1,
    lie=0.3,
)
"""Every kind at once, each often enough to meet the others."""


PROFILES = (
    ALL,
    Faults(drop=0.2, delay=0.1, duplicate=0.2, reorder=0.5, partition=0.2),
    Faults(crash=0.02, drop=0.05),
    Faults(crash=0.01, chain=0.5, partition=0.1),
    Faults(lie=1.0, duplicate=0.1, crash=0.002),
)
"""Takes turns in a soak: everything at once, then each corner harder than life."""


@dataclass
class Dice:
    """Throws of one seed. `spared` names single faults that are not to happen this time."""

    seed: int
    faults: Faults
    spared: Collection[str] = frozenset()
    is_calm: bool = False  # from now on nothing goes wrong
    fired: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def happens(self, kind: str, *about: object) -> bool:
        """Whether this fault happens to this one thing."""
        rate: float = getattr(self.faults, kind)
        if self.is_calm or rate == 0.0 or self.throw(kind, *about) >= rate:
            return False
        name = "/".join((kind, *map(str, about)))
        if name in self.spared:
            return False
        self.fired.append(name)
        self.counts[kind] += 1
        return True

    def throw(self, *about: object) -> float:
        """A number from 0 up to 1, the same for the same thing in every history of this seed."""
        text = "/".join(map(str, (self.seed, *about)))
        digest = hashlib.blake2b(text.encode(), digest_size=7).digest()
        return int.from_bytes(digest, "big") / 2**56

    def between(self, low: float, high: float, *about: object) -> float:
        """A number from `low` up to `high`."""
        return low + (high - low) * self.throw(*about)

    def mixed(self, count: int, *about: object) -> Sequence[int]:
        """The numbers from 0 below `count`, in another order."""
        return sorted(range(count), key=lambda number: self.throw(*about, number))
