"""Where a stream resumes, and how long it waits before it is opened again.

Rules:
1. An id travels in a header (``Last-Event-ID``), so one that a header cannot hold is no checkpoint: the one before it
   stays, and the server repeats what came after that.
2. A server that hangs up at once is not called again at once for ever, however short its ``retry``: from the third
   connection in a row that ended at once they are at least `LEAST` seconds apart, and twice as far each time while they
   bring nothing new. A stream that was sound resumes at the server's word.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["can_resume_from", "count_hasty", "least_delay", "reconnect_delay", "standard_delay"]

#: Seconds: a connection that did not last as long ended at once.
HASTY: Final = 1.0
#: Seconds between two connections where several before them ended at once.
LEAST: Final = 0.2
#: How many may end at once in a row before rule 2 counts: a load balancer that is being restarted cuts some.
_FREE = 2

#: UTF-8 bytes of an id. Servers take 8 KiB of a header line, mostly, and some no more than that of all headers together.
_LONGEST_ID = 4096
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


def can_resume_from(id: str) -> bool:
    """Whether a header can hold an event id: no control characters but tabs, no half of a surrogate pair, 4 KiB at most."""
    if len(id) <= 1024 and id.isprintable():
        return True
    return not _UNFIT.search(id) and len(id.encode()) <= _LONGEST_ID


def count_hasty(before: int, *, lasted: float, news: bool) -> int:
    """How many connections in a row ended at once, for `least_delay`, when another one has ended.

    Args:
        before: what was counted until then.
        lasted: seconds from its opening to its end.
        news: whether it brought anything new; then the delay does not grow.
    """
    if lasted >= HASTY:
        return 0
    return min(before, _FREE) + 1 if news else before + 1


def least_delay(hasty: int, jitter: float, *, cap: float = 8.0) -> float:
    """Seconds at least before the next connection (rule 2), with a fifth of it more by jitter.

    Args:
        hasty: connections in a row that ended at once, see `count_hasty`.
        jitter: a draw from [0, 1).
        cap: seconds.
    """
    more = hasty - _FREE
    return 0.0 if more <= 0 else min(cap, LEAST * 2.0 ** min(more - 1, 16)) * (1 + 0.2 * jitter)


def reconnect_delay(failures: int, server_retry_ms: int | None, jitter: float, *, cap: float = 8.0) -> float:
    """Seconds before a live transcript is opened again.

    The server's ``retry`` (1 s where it gave none) doubles with each failure up to `cap`, with full jitter; the first
    attempt after progress goes at once, within a tenth of a second, since a cut is most often a restart.

    Args:
        failures: since the last progress, 1 or more.
        server_retry_ms: the stream's ``retry`` in milliseconds.
        jitter: a draw from [0, 1).
        cap: seconds.
    """
    if failures <= 1:
        return jitter * 0.1
    base = 1.0 if server_retry_ms is None else max(server_retry_ms / 1000, LEAST)
    return jitter * min(cap, base * 2.0 ** min(failures - 2, 16))


def standard_delay(failures: int, server_retry_ms: int | None, jitter: float, *, cap: float = 30.0) -> float:
    """Seconds before any event stream is opened again, as the HTML standard has it (9.2.3).

    The server's ``retry`` (1 s where it gave none) is waited in full, and a fifth of it more by jitter, so that a
    thousand readers do not come back at once; failures to connect double it up to `cap`.

    Args:
        failures: since a connection was last open, 1 or more.
        server_retry_ms: the stream's ``retry`` in milliseconds.
        jitter: a draw from [0, 1).
        cap: seconds; a ``retry`` above it is waited nevertheless.
    """
    base = 1.0 if server_retry_ms is None else max(server_retry_ms / 1000, LEAST if failures > 1 else 0.0)
    return max(base, min(cap, base * 2.0 ** min(failures - 1, 16))) * (1 + 0.2 * jitter)
