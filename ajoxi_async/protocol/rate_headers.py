"""Reading the headers of the rate limit, in the forms that gateways give them. Pure.

Rules:
1. The first item of the list is the number: ``100``, ``" 100 "``, ``"100"`` in quotes, ``100.0`` and ``100, 100;w=1`` all
   mean 100, and so does a header that came twice and was joined.
2. Anything else is unreadable, and the limit stays as it was. That includes a sign, a unit (``100/s``), a window other than
   a second (``100;w=60``), more than ten digits, and a limit of 0, which would allow no request at all.
3. A success without X-RateLimit-Limit means that there is no cap (Enterprise; API reference: Rate limits). After a limit was
   announced, `_MISSING` such answers in a row are needed: a single one may come from a proxy or a cache, and without a cap
   all waiting requests would be sent at once. Errors without the header mean nothing.
"""

from __future__ import annotations

import math
import re
from typing import Final

from attrs import define, field

__all__ = ["LimitHeader", "pause_after", "read_number"]

#: Successes in a row without the header, after which an announced limit no longer applies.
_MISSING: Final = 3
#: A value that equals no header, so that the next header is read whatever it holds.
_NONE_YET: Final = "\0"
#: The longest pause a 429 may impose, and the one it imposes without a Retry-After, in seconds.
_LONGEST_PAUSE, _USUAL_PAUSE = 60.0, 1.0

# At most ten digits, which the seconds since the epoch have.
_NUMBER: Final = re.compile(r"\s*(\"?)\s*([0-9]+)(\.[0-9]*)?\s*\1\s*(?:[,;].*)?", re.DOTALL)
_DIGITS: Final = 10
_WINDOW: Final = re.compile(r"\s*\"?\s*([0-9]{1,10})[^,]*;\s*w\s*=\s*\"?([0-9]+)")


def read_number(text: str | None) -> int | None:
    """The first whole number of a header; ``None`` if there is none."""
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
    """Seconds for which a 429 stops all requests. A Retry-After that cannot be right counts as missing."""
    if retry_after is None or math.isnan(retry_after) or retry_after < 0:
        return _USUAL_PAUSE
    return min(retry_after, _LONGEST_PAUSE)


@define
class LimitHeader:
    """The limit as X-RateLimit-Limit states it.

    Attributes:
        limit: requests a second, or ``None`` for no cap at all.
        seen: the last header; the same header again changes nothing.
    """

    limit: int | None
    seen: str | None = field(init=False, default=_NONE_YET)
    _announced: bool = field(init=False, default=False)
    _missing: int = field(init=False, default=0)

    def hear(self, text: str | None, status: int) -> bool:
        """Read the header of an answer; returns whether it states the limit."""
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
                self.seen = _NONE_YET  # any header ends the series of answers without one
                return False
            self.seen = None
        else:
            return False
        self.limit = number
        return True
