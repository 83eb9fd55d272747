"""The same fixtures for tests that pytest-asyncio runs; imported only where it is there.

pytest-asyncio sets a fixture up in one task and tears it down in another, which no task group survives; so a task of its
own enters and leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import pytest
import pytest_asyncio

from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.sandbox import Sandbox
from ajoxi_async.testing import open_client, open_sandbox

T = TypeVar("T")


@asynccontextmanager
async def _hosted(entered: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    opened: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def host() -> None:
        try:
            async with entered as value:
                opened.set_result(value)
                await done.wait()
        except BaseException as error:
            if opened.done():
                raise
            opened.set_exception(error)

    task = asyncio.create_task(host())
    try:
        yield await opened
    finally:
        done.set()
        await task


@pytest_asyncio.fixture
async def _ajoxi_sandbox_on_asyncio(request: pytest.FixtureRequest) -> Any:
    async with _hosted(open_sandbox(request, listens=True)) as sandbox:
        yield sandbox


@pytest_asyncio.fixture
async def _ajoxi_client_on_asyncio(ajoxi_sandbox: Sandbox) -> AsyncIterator[AsyncAjoxi]:
    async with _hosted(open_client(ajoxi_sandbox)) as client:
        yield client
