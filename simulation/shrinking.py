"""From a history that fails to the shortest one that fails in the same way, told in words.

Stories and faults are taken away in halves, then in quarters, as long as the same invariant still
breaks. Nothing else changes when one of them goes: each throws its own dice (faults.py).
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from typing import TypeVar

from simulation.faults import Faults
from simulation.scenario import DAYS_MAX, Scenario
from simulation.town import Town
from simulation.world import Outcome, simulate

T = TypeVar("T")
Try = Callable[[Scenario], Outcome]


class _Search:
    """The shortest failing history so far, and how many more may be tried."""

    def __init__(self, first: Outcome, live: Try, runs: int) -> None:
        assert first.history.violation is not None, "there is nothing to make shorter"
        self.best = first
        self._kind = first.history.violation.kind
        self._live = live
        self._runs_left = runs

    def attempt(self, scenario: Scenario) -> bool:
        """Whether this scenario fails in the same way; if so it is the best."""
        if self._runs_left <= 0:
            return False
        self._runs_left -= 1
        outcome = self._live(scenario)
        violation = outcome.history.violation
        if violation is None or violation.kind != self._kind:
            return False
        self.best = outcome
        return True

    def without(self, candidates: Sequence[T], make: Callable[[Set[T]], Scenario]) -> None:
        """Leave out as many candidates as possible: all, then halves, down to single ones."""
        kept, size = list(candidates), len(candidates)
        while size >= 1 and kept and self._runs_left > 0:
            start = 0
            while start < len(kept):
                rest = kept[:start] + kept[start + size :]
                if self.attempt(make(set(candidates) - set(rest))):
                    kept = rest
                else:
                    start += size
            size //= 2


def shorten(first: Outcome, *, town_kind: type[Town] = Town, runs: int) -> Outcome:
    """The shortest history found that fails as `first` did."""
    search = _Search(first, lambda scenario: simulate(scenario, town_kind=town_kind), runs)
    _end_at_violation(search)
    search.attempt(replace(search.best.scenario, days_between_rounds=DAYS_MAX))
    for kind in Faults.kinds():
        scenario = search.best.scenario
        if getattr(scenario.faults, kind):
            search.attempt(replace(scenario, faults=replace(scenario.faults, **{kind: 0.0})))
    _leave_out_stories(search)
    _spare_faults(search)
    _leave_out_stories(search)
    _end_at_violation(search)
    return search.best


def told(outcome: Outcome) -> str:
    """The story in words: its events in order, and what broke at the end."""
    violation, scenario = outcome.history.violation, outcome.scenario
    assert violation is not None, "a good history needs no telling"
    lines = [
        f"seed {scenario.seed}, faults {scenario.faults}, {len(outcome.history.events)} steps:"
    ]
    lines += [f"{number:4}. {event}" for number, event in enumerate(outcome.history.events, 1)]
    return "\n".join(lines)


def _end_at_violation(search: _Search) -> None:
    """No day is lived after the one on which it broke."""
    scenario, events = search.best.scenario, search.best.history.events
    days = max(1, (events[-1].at - events[0].at).days + 1)
    if days < scenario.days:
        search.attempt(replace(scenario, days=days))


def _leave_out_stories(search: _Search) -> None:
    scenario = search.best.scenario
    present = [one for one in range(scenario.story_count) if one not in scenario.left_out_stories]
    search.without(
        present,
        lambda gone: replace(scenario, left_out_stories=scenario.left_out_stories | gone),
    )


def _spare_faults(search: _Search) -> None:
    scenario = search.best.scenario
    search.without(
        list(dict.fromkeys(search.best.fired)),
        lambda gone: replace(scenario, spared_faults=scenario.spared_faults | gone),
    )
