"""Which functions can be awaited when they are called, and which run when they are only called."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from asgiref.sync import markcoroutinefunction, sync_to_async

from ajoxi_async.protocol.callbacks import why_not_async, why_not_plain


async def coroutine(event: object) -> None:
    """An async function."""


def plain(event: object) -> None:
    """A function without `async`."""


def generator(event: object) -> Iterator[int]:
    """A generator function."""
    yield 1


async def async_generator(event: object) -> AsyncIterator[int]:
    """An async generator function."""
    yield 1


@types.coroutine
def old_coroutine(event: object) -> Iterator[int]:
    """A coroutine as it was written before `async`."""
    yield 1


class Async:
    """An object with an async call, and methods of each kind."""

    async def __call__(self, event: object) -> None:
        """Called."""

    async def method(self, event: object) -> None:
        """An async method."""

    def plain(self, event: object) -> None:
        """A plain method."""

    @staticmethod
    async def static(event: object) -> None:
        """Async without an object."""

    @classmethod
    async def of_class(cls, event: object) -> None:
        """Async of the class."""


class Plain:
    """An object with a plain call: what it returns is not known before."""

    def __call__(self, event: object) -> None:
        """Called."""


class Generates:
    """An object whose call is an async generator."""

    async def __call__(self, event: object) -> AsyncIterator[int]:
        yield 1


class Proxy:
    """An object whose `__wrapped__` never ends."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, event: object) -> None:
        """Called."""


@functools.wraps(coroutine)
def wrapper(event: object) -> Any:
    """A plain function around an async one."""
    return coroutine(event)


@functools.wraps(coroutine)
async def wrapping_generator(event: object) -> AsyncIterator[int]:
    """An async generator around an async function."""
    yield 1


@functools.wraps(plain)
async def made_async(event: object) -> None:
    """An async function around a plain one."""


@pytest.mark.parametrize(
    "function",
    [
        coroutine,
        old_coroutine,
        wrapper,
        made_async,
        functools.wraps(made_async)(lambda event: made_async(event)),
        functools.partial(coroutine),
        functools.partial(functools.partial(wrapper)),
        Async(),
        functools.partial(Async()),
        Async().method,
        functools.partial(Async().method),
        Async.static,
        Async().of_class,
        staticmethod(coroutine),
        markcoroutinefunction(lambda event: coroutine(event)),
        sync_to_async(plain),
        AsyncMock(),
        functools.singledispatch(coroutine),
        Plain(),
        Proxy(),
    ],
)
def test_can_be_awaited(function: Any) -> None:
    """Async functions of all kinds pass, and so do objects whose result is unknown before they are called."""
    assert why_not_async(function) is None


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (plain, "plain, which is not async"),
        (lambda event: None, "<lambda>, which is not async"),
        (lambda event: coroutine(event), "not async"),
        (functools.partial(plain), "not async"),
        (functools.partial(functools.partial(plain), 1), "not async"),
        (Async().plain, "not async"),
        (staticmethod(plain), "not async"),
        ([].append, "append, which is not async"),
        (print, "print, which is not async"),
        (functools.wraps(plain)(lambda event: plain(event)), "not async"),
        (generator, "a generator"),
        (async_generator, "an async generator"),
        (functools.partial(async_generator), "an async generator"),
        (wrapping_generator, "an async generator"),
        (Generates(), "an async generator"),
        (contextmanager(generator), "not async"),
        (asynccontextmanager(async_generator), "not async"),
        (Async, "the class Async"),
        (functools.partial(Async), "the class Async"),
        (dict, "the class dict"),
        (None, "None"),
        ("coroutine", "str"),
    ],
)
def test_cannot_be_awaited(function: Any, why: str) -> None:
    """What would fail at `await`, or never run, is named."""
    assert why in (why_not_async(function) or "")


@pytest.mark.parametrize(
    "function", [plain, [].append, print, Plain(), functools.partial(plain), Mock(), wrapper, dict]
)
def test_runs_when_it_is_called(function: Any) -> None:
    """A plain callback in all of its shapes passes, also one that starts something async by itself."""
    assert why_not_plain(function) is None


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (coroutine, "an async function"),
        (functools.partial(coroutine), "an async function"),
        (old_coroutine, "an async function"),
        (Async(), "an async function"),
        (Async().method, "an async function"),
        (AsyncMock(), "an async function"),
        (sync_to_async(plain), "an async function"),
        (generator, "a generator"),
        (async_generator, "an async generator"),
        (Generates(), "an async generator"),
        (None, "None"),
        ("plain", "str"),
    ],
)
def test_does_not_run_when_it_is_called(function: Any, why: str) -> None:
    """An async function or a generator as a plain callback would do nothing: it is named."""
    assert why in (why_not_plain(function) or "")


@pytest.mark.skipif(not hasattr(inspect, "markcoroutinefunction"), reason="Python 3.12")
def test_marked() -> None:
    """The standard library's mark counts."""
    assert why_not_async(inspect.markcoroutinefunction(lambda event: coroutine(event))) is None  # type: ignore[attr-defined]
