"""PostgreSQL for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .cut_proxy import CutProxy
from .postgres_server import INSTALL, PostgresServer, find_binaries


@pytest.fixture(scope="session")
def running_postgres(missing: Callable[[str], None]) -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        missing(INSTALL)
        return
    server = PostgresServer(binaries)
    yield server
    server.remove()


@pytest.fixture
def postgres(running_postgres: PostgresServer) -> PostgresServer:
    """A server that runs, whatever the test before has done to it."""
    running_postgres.start()
    return running_postgres


@pytest.fixture
def line(postgres: PostgresServer) -> Iterator[CutProxy]:
    """A line to the server that can be cut."""
    proxy = CutProxy(postgres.port)
    yield proxy
    proxy.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger may be made: what holds for one database holds for both."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    return str(request.getfixturevalue("postgres").new_database())
