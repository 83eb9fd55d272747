"""The tests' own rule: nothing leaves this machine."""

from __future__ import annotations

import socket
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, ("192.0.2.1", 80)),
        (socket.AF_INET, ("example.com", 80)),
        (socket.AF_INET, ("127.0.0.1.example.com", 80)),
        (socket.AF_INET6, ("2001:db8::1", 80)),
    ],
)
@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_strangers_are_refused(family: socket.AddressFamily, address: Any, method: str) -> None:
    """A connection to another machine fails the test before a packet leaves."""
    with socket.socket(family) as sock:
        sock.settimeout(0.1)
        with pytest.raises(pytest.fail.Exception, match=f"tried to reach {address[0]}"):
            getattr(sock, method)(address)


def test_this_machine_is_reached() -> None:
    """The loopback interface works."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        assert sock.getpeername() == server.getsockname()
