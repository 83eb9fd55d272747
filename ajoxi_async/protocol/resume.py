"""Where a stream resumes, and how long it waits before it is opened again.

Rules:
1. An event id is sent in a header (``Last-Event-ID``). If a header cannot hold an id, the stream resumes at the id before
   it, and the server repeats the events after that.
2. A server that hangs up at once is not called again and again without a pause, however short its ``retry``. From the third
   connection in a row that ended at once, connections are at least `LEAST` seconds apart, and the distance doubles while
   they bring nothing new. After a longer connection the server's ``retry`` alone counts.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["can_resume_from", "count_short_connections", "least_delay", "reconnect_delay", "standard_delay"]

#: A connection that lasted fewer seconds than this counts as one that ended at once.
SHORT_CONNECTION: Final = 1.0
#: Least seconds between two connections after several that ended at once.
LEAST: Final = 0.2
#: How many connections in a row may end at once before rule 2 applies. A load balancer that restarts closes a few.
_FREE = 2

#: Longest id, in UTF-8 bytes. Most servers accept header lines of 8 KiB, and some no more for all headers together.
_LONGEST_ID = 4096
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


def can_resume_from(id: str) -> bool:
    """Whether a header can hold an event id: no control characters but tabs, no half of a surrogate pair, 4 KiB at most."""
    if len(id) <= 1024 and id.isprintable():
        return True
    return not _UNFIT.search(id) and len(id.encode()) <= _LONGEST_ID


def count_short_connections(before: int, *, lasted: float, brought_events: bool) -> int:
    """How many connections in a row ended at once, for `least_delay`, when another one has ended.

    Args:
        before: the count before this connection.
        lasted: seconds from its opening to its end.
        brought_events: whether it brought a new event; then the delay does not grow.
    """
    if lasted >= SHORT_CONNECTION:
        return 0
    return min(before, _FREE) + 1 if brought_events else before + 1


def least_delay(short_connections: int, jitter: float, *, cap: float = 8.0) -> float:
    """Least seconds before the next connection (rule 2); jitter adds up to a fifth.

    Args:
        short_connections: connections in a row that ended at once, see `count_short_connections`.
        jitter: a random number from [0, 1).
        cap: seconds.
    """
    more = short_connections - _FREE
    return 0.0 if more <= 0 else min(cap, LEAST * 2.0 ** min(more - 1, 16)) * (1 + 0.2 * jitter)


def reconnect_delay(failures: int, server_retry_ms: int | None, jitter: float, *, cap: float = 8.0) -> float:
    """Seconds before a live transcript is opened again.

    The server's ``retry`` (1 s by default) doubles with each failure up to `cap`, with full jitter. The first attempt after
    progress follows within a tenth of a second, since most lost connections are due to a restart of the server.

    Args:
        failures: since the last progress, 1 or more.
        server_retry_ms: the stream's ``retry`` in milliseconds.
        jitter: a random number from [0, 1).
        cap: seconds.
    """
    if failures <= 1:
        return jitter * 0.1
    base = 1.0 if server_retry_ms is None else max(server_retry_ms / 1000, LEAST)
    return jitter * min(cap, base * 2.0 ** min(failures - 2, 16))


def standard_delay(failures: int, server_retry_ms: int | None, jitter: float, *, cap: float = 30.0) -> float:
    """Seconds before any event stream is opened again, as the HTML standard has it (9.2.3).

    The server's ``retry`` (1 s by default) is waited in full, plus up to a fifth of it at random, so that a thousand readers
    do not return at the same moment. Failures to connect double it up to `cap`.

    Args:
        failures: since a connection was last open, 1 or more.
        server_retry_ms: the stream's ``retry`` in milliseconds.
        jitter: a random number from [0, 1).
        cap: seconds; a longer ``retry`` is waited in full nevertheless.
    """
    base = 1.0 if server_retry_ms is None else max(server_retry_ms / 1000, LEAST if failures > 1 else 0.0)
    return max(base, min(cap, base * 2.0 ** min(failures - 1, 16))) * (1 + 0.2 * jitter)
