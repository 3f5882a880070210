"""How often one address or one account may knock: so that nobody guesses, floods, or starves us.

Counted in this process, in tokens that flow back evenly: who stays below a limit never notices it.
Programs with a token of the operator's are not limited: the operator gave it, and can take it back.
"""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from node.kernel.errors import DomainError
from node.web import refusals
from node.web.session import SAFE_METHODS, AnyRequest, caller

SLACK_SECONDS = 0.001  # what adding up many small steps may be off by
KEYS_MAX = 50_000  # remembered at once; the oldest that owe nothing are forgotten first


class TooManyRequests(DomainError):
    code = "web.too_many_requests"
    message = "That was too often ({limit}). Please wait {seconds} seconds, then try again."
    retryable = True


refusals.STATUS["web.too_many_requests"] = 429


@dataclass(frozen=True)
class Limit:
    """`times` within `seconds`, all at once if need be."""

    name: str
    times: int
    seconds: float


SIGN_IN_ADDRESS = Limit("sign-in from one address", 60, 60.0)  # a whole house behind one router
ANONYMOUS_ADDRESS = Limit("writing from one address without signing in", 60, 60.0)
ACCOUNT_WRITES = Limit("writing by one account", 600, 60.0)
SIGN_IN_PATHS = frozenset({"/sign-in", "/api/sessions"})


@dataclass
class Limiter:
    """Who has knocked how often; `seconds` is a clock that never goes back."""

    seconds: Callable[[], float] = time.monotonic
    _free_at: dict[tuple[str, str], float] = field(default_factory=dict)

    def admit(self, limit: Limit, key: str) -> None:
        """Count one knock; raises TooManyRequests with the seconds until the next may come."""
        now, step = self.seconds(), limit.seconds / limit.times
        place = (limit.name, hashlib.sha256(key.encode()).hexdigest()[:32])
        due = max(self._free_at.get(place, now), now)
        wait_seconds = due + step - (now + limit.seconds)
        if wait_seconds > SLACK_SECONDS:
            raise TooManyRequests(limit=limit.name, seconds=max(1, math.ceil(wait_seconds)))
        if len(self._free_at) >= KEYS_MAX and place not in self._free_at:
            self._forget(now)
        self._free_at[place] = due + step

    def _forget(self, now: float) -> None:
        kept = {place: due for place, due in self._free_at.items() if due > now}
        self._free_at = kept if len(kept) < KEYS_MAX else {}


def admit(limiter: Limiter, request: AnyRequest) -> None:
    """Before every handler: what changes something is counted for its account, else its address."""
    if request.method in SAFE_METHODS:
        return
    address = request.client.host if request.client else ""
    if request.scope["path"] in SIGN_IN_PATHS:
        limiter.admit(SIGN_IN_ADDRESS, address)
        return
    try:
        who = caller(request)
    except DomainError:
        limiter.admit(ANONYMOUS_ADDRESS, address)
        raise
    if not who.is_known:
        limiter.admit(ANONYMOUS_ADDRESS, address)
    elif who.resident_id is not None:
        limiter.admit(ACCOUNT_WRITES, str(who.resident_id))
