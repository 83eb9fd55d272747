"""How long a stream waits before it is opened again."""

from __future__ import annotations

import pytest

from ajoxi_async.protocol.resume import (
    can_resume_from,
    count_short_connections,
    least_delay,
    reconnect_delay,
    standard_delay,
)


def test_reconnect_delay() -> None:
    """The server's retry doubles up to the cap; the first attempt after progress goes almost at once."""
    assert reconnect_delay(1, 1000, 0.99) < 0.1
    assert [reconnect_delay(n, 1000, 1.0) for n in (2, 3, 4, 5, 6, 50)] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert reconnect_delay(2, None, 1.0) == 1.0
    assert reconnect_delay(9, 86_400_000, 1.0) == 8.0


def test_standard_delay() -> None:
    """The server's retry is waited in full and not much longer; it doubles up to the cap, never below itself."""
    assert standard_delay(1, 3000, 0.0) == 3.0
    assert 3.5 < standard_delay(1, 3000, 1.0) < 3.7
    assert standard_delay(1, None, 0.0) == 1.0
    assert [standard_delay(n, 2000, 0.0) for n in (1, 2, 3, 4, 5, 60)] == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert standard_delay(4, 60_000, 0.0) == 60.0
    assert standard_delay(1, 0, 1.0) == 0.0


def test_failures_are_not_hammered_either() -> None:
    """A retry of nothing doubles from a floor while a server cannot be reached."""
    assert [reconnect_delay(n, 0, 1.0) for n in (2, 3, 4, 50)] == [0.2, 0.4, 0.8, 8.0]
    assert [standard_delay(n, 0, 0.0) for n in (2, 3, 4, 50)] == [0.4, 0.8, 1.6, 30.0]


def _delays(*connections: tuple[float, bool]) -> list[float]:
    """The least delays after connections that lasted so long and brought something new or not."""
    short_connections, delays = 0, []
    for lasted, brought_events in connections:
        short_connections = count_short_connections(short_connections, lasted=lasted, brought_events=brought_events)
        delays.append(least_delay(short_connections, 0.0))
    return delays


def test_a_server_that_hangs_up_at_once_is_not_hammered() -> None:
    """Two may end at once; then there is a least delay, which doubles up to a cap while nothing new comes."""
    assert _delays(*[(0.0, False)] * 10) == [0.0, 0.0, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0, 8.0]
    assert _delays(*[(0.9, True)] * 5) == [0.0, 0.0, 0.2, 0.2, 0.2]
    assert _delays(*[(0.0, False)] * 4, (0.0, True), (0.0, False)) == [0.0, 0.0, 0.2, 0.4, 0.2, 0.4]
    assert least_delay(3, 1.0) == pytest.approx(0.24)
    assert least_delay(100_000, 0.0) == 8.0


def test_a_sound_stream_resumes_at_once() -> None:
    """After a connection that lasted a second there is no least delay, and the count starts again."""
    assert _delays(*[(1.0, False)] * 5) == [0.0] * 5
    assert _delays(*[(0.0, False)] * 5, (1.0, False), (0.0, False))[-2:] == [0.0, 0.0]


@pytest.mark.parametrize(
    "id", ["", "42", "é", "\N{GRINNING FACE}", "a\tb", " a ", "\x85", "\u2028", "x" * 4096, "é" * 2048]
)
def test_what_a_stream_can_resume_from(id: str) -> None:
    """Any text that a header can hold."""
    assert can_resume_from(id)


@pytest.mark.parametrize(
    "id", ["\x00", "a\x01", "\x1b[31m", "\x7f", "a\nb", "\ud83d", "x" * 4097, "é" * 2049, "x" * 100_000]
)
def test_what_no_stream_can_resume_from(id: str) -> None:
    """What a header cannot hold, or no server takes."""
    assert not can_resume_from(id)
