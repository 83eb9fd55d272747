"""How long a stream waits before it is opened again."""

from __future__ import annotations

from ajoxi_async.protocol.resume import reconnect_delay, standard_delay


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
