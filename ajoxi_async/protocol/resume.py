"""How long a stream waits before it is opened again."""

from __future__ import annotations

__all__ = ["reconnect_delay", "standard_delay"]


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
    base = 1.0 if server_retry_ms is None else server_retry_ms / 1000
    return jitter * (0.1 if failures <= 1 else min(cap, base * 2.0 ** min(failures - 2, 16)))


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
    base = 1.0 if server_retry_ms is None else server_retry_ms / 1000
    return max(base, min(cap, base * 2.0 ** min(failures - 1, 16))) * (1 + 0.2 * jitter)
