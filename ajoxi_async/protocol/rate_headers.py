"""Reading the rate limit's headers, whatever gateways make of them. Pure.

Rules:
1. The number is the first item of the list: ``100``, ``" 100 "``, ``"100"`` in quotes, ``100.0`` and ``100, 100;w=1`` all
   say 100; so does a header that came twice and was joined.
2. Anything else is unreadable, and what was believed before stays. That includes a sign, a unit (``100/s``), a policy of
   another window than a second (``100;w=60``) and more than ten digits. A limit of 0 would be a key that may do nothing:
   no server means that.
3. A success without X-RateLimit-Limit means that there is no cap (Enterprise; API reference: Rate limits). Once a limit was
   announced it takes `_MISSING` of them in a row: a single one may be the answer of a proxy or of a cache, and lifting the
   cap lets everything go that waits. Errors without the header say nothing.
"""

from __future__ import annotations

import math
import re
from typing import Final

from attrs import define, field

__all__ = ["LimitHeader", "pause_after", "read_number"]

#: Successes without the header, in a row, after which a limit that was announced is gone.
_MISSING: Final = 3
#: Equal to no header: the next one is read, whatever it says.
_NONE_YET: Final = "\0"
#: The longest pause a 429 may impose, and the one it imposes without a Retry-After, in seconds.
_LONGEST_PAUSE, _USUAL_PAUSE = 60.0, 1.0

# At most ten digits: the seconds since the epoch are.
_NUMBER: Final = re.compile(r"\s*(\"?)\s*([0-9]+)(\.[0-9]*)?\s*\1\s*(?:[,;].*)?", re.DOTALL)
_DIGITS: Final = 10
_WINDOW: Final = re.compile(r"\s*\"?\s*([0-9]{1,10})[^,]*;\s*w\s*=\s*\"?([0-9]+)")


def read_number(text: str | None) -> int | None:
    """The whole number that a header says first, ``None`` for none."""
    if text is None:
        return None
    if len(text) <= 10 and text.isascii() and text.isdigit():  # as nearly every header is
        return int(text)
    found = _NUMBER.fullmatch(text)
    return None if found is None or len(found[2]) > _DIGITS else int(found[2])


def _per_second(text: str) -> int | None:
    number = read_number(text)
    if number is not None and ";" in text:
        for item in text.split(","):
            policy = _WINDOW.match(item)
            if policy is not None and int(policy[1]) == number and policy[2].lstrip("0") != "1":
                return None
    return number


def pause_after(retry_after: float | None) -> float:
    """Seconds that a 429 stops everybody for; what its Retry-After cannot mean counts as none."""
    if retry_after is None or math.isnan(retry_after) or retry_after < 0:
        return _USUAL_PAUSE
    return min(retry_after, _LONGEST_PAUSE)


@define
class LimitHeader:
    """The limit, as X-RateLimit-Limit has it.

    Attributes:
        limit: requests a second, or ``None`` for no cap at all.
        seen: the header that changes nothing when it comes again.
    """

    limit: int | None
    seen: str | None = field(init=False, default=_NONE_YET)
    _announced: bool = field(init=False, default=False)
    _missing: int = field(init=False, default=0)

    def hear(self, text: str | None, status: int) -> bool:
        """Read the header of an answer; returns whether it said what the limit is."""
        number = None
        if text is not None:
            self._missing, self.seen = 0, text
            number = _per_second(text)
            if not number:
                return False
            self._announced = True
        elif 200 <= status < 300:
            self._missing += 1
            if self._announced and self._missing < _MISSING:
                self.seen = _NONE_YET  # any header that comes now ends the row
                return False
            self.seen = None
        else:
            return False
        self.limit = number
        return True
