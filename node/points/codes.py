"""The rotating on-site code: six digits that only the screen at the place can know, for a minute.

RFC 6238 (TOTP) with SHA-256: whoever types a fitting code was there a moment ago, or was told by
somebody who is. A place's position would be a weaker sign, and a face is nobody's business here.
"""

import hashlib
import hmac
from datetime import datetime

STEP_SECONDS = 30  # a new code comes this often
STEPS_ACCEPTED = 4  # the newest codes that still count: two minutes for slow fingers
CODE_DIGITS = 6
TRIES_MAX = 5  # wrong codes of one resident at one gathering, before they must wait
TRIES_PAUSE_SECONDS = 600


def code_at(secret: str, moment: datetime, *, digits: int = CODE_DIGITS) -> str:
    """The code that the screen shows at this moment."""
    return _code(secret, _step(moment), digits)


def fits(secret: str, typed: str, moment: datetime) -> bool:
    """Was this code on the screen within the last two minutes? Spaces do not matter."""
    code = "".join(typed.split())
    now = _step(moment)
    # All are compared, whichever fits: the time it takes tells nothing.
    found = [
        hmac.compare_digest(code.encode(), _code(secret, now - back, CODE_DIGITS).encode())
        for back in range(STEPS_ACCEPTED)
    ]
    return any(found)


def seconds_left(moment: datetime) -> int:
    """How long the code of this moment stays on the screen: when to load it again."""
    return STEP_SECONDS - int(moment.timestamp()) % STEP_SECONDS


def _step(moment: datetime) -> int:
    return int(moment.timestamp()) // STEP_SECONDS


def _code(secret: str, step: int, digits: int) -> str:
    digest = hmac.new(secret.encode(), step.to_bytes(8, "big"), hashlib.sha256).digest()
    start = digest[-1] & 0x0F
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)
