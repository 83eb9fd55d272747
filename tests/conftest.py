"""What every test has: both backends of anyio, and a network that ends at this machine."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


@pytest.fixture(
    params=[pytest.param(("asyncio", {}), id="asyncio"), pytest.param(("trio", {}), id="trio")],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Every test of the `anyio` mark runs on both."""
    return request.param


@pytest.fixture(scope="session")
def missing() -> Callable[[str], None]:
    """Skip a test for what is not installed; fail it where nothing may be skipped, as in CI."""

    def end(what: str) -> None:
        if os.environ.get("AJOXI_NO_SKIP"):
            pytest.fail(f"needs {what}", pytrace=False)
        pytest.skip(f"needs {what}")

    return end


def _refuse_strangers(sock: socket.socket, address: Any) -> None:
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    host = str(address[0]).partition("%")[0]
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        pytest.fail(f"a test tried to reach {host}: tests stay on the loopback interface", pytrace=False)


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that leaves this machine fails the test."""

    def connect(self: socket.socket, address: Any) -> None:
        _refuse_strangers(self, address)
        _connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_strangers(self, address)
        return _connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
