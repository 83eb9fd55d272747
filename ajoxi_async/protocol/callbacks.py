"""Telling async functions from plain ones, so that a wrong callback is refused when it is given.

Rules:
1. A function is checked when it is given. A plain handler would do its work and then fail at ``await None``, so that the
   event is delivered and handled again and again. An async callback that is called but not awaited would never run.
2. Async are: a coroutine function, a partial or a bound method of one, an object with an async ``__call__``, a function that
   is marked as a coroutine function, and a function that wraps one of these with `functools.wraps`.
3. What an object with a plain ``__call__`` returns is unknown before it is called. Such an object passes the check, and the
   caller inspects the result.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

__all__ = ["why_not_async", "why_not_plain"]

#: Most wrappers that are followed, because a proxy may have a `__wrapped__` without end.
_DEEPEST: Final = 50
#: Python 3.11's mark of functions that count as coroutine functions; later versions have `inspect.markcoroutinefunction`.
_MARK: Final = getattr(asyncio.coroutines, "_is_coroutine", None)


def _bare(function: Any) -> Any:
    """The function that a partial, a bound method or a static method calls."""
    while isinstance(function, (partial, MethodType, staticmethod)):
        function = function.func if isinstance(function, partial) else function.__func__
    return function


def _layers(function: Any) -> Iterator[Any]:
    """A function and the functions that it wraps, from the outside in."""
    for _ in range(_DEEPEST):
        yield (function := _bare(function))
        function = getattr(function, "__wrapped__", None)
        if function is None:
            return


def _makes_coroutines(function: Any) -> bool:
    if inspect.iscoroutinefunction(function) or (
        _MARK is not None and getattr(function, "_is_coroutine", None) is _MARK
    ):
        return True
    # types.coroutine, of a generator function
    return isinstance(function, FunctionType) and bool(function.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _call_of(function: Any) -> Any:
    """The ``__call__`` of an object that is neither a function nor a class."""
    return (
        None if isinstance(function, (type, FunctionType)) else inspect.getattr_static(type(function), "__call__", None)
    )


def _is_async(function: Any) -> bool:
    return _makes_coroutines(function) or _makes_coroutines(_call_of(function))


def _generator(function: Any) -> str | None:
    for one in (function, _call_of(function)):
        if inspect.isasyncgenfunction(one):
            return "an async generator, whose body runs only when it is iterated"
        if inspect.isgeneratorfunction(one) and not _makes_coroutines(one):
            return "a generator, whose body runs only when it is iterated"
    return None


def why_not_async(function: object) -> str | None:
    """Describe a function that is not async; ``None`` if it is, or if that is unknown before it is called."""
    if not callable(function):
        return type(function).__name__ if function is not None else "None"
    bare = _bare(function)
    if isinstance(bare, type):
        return f"the class {bare.__name__}"
    if (generator := _generator(bare)) is not None:
        return generator
    if any(_is_async(layer) for layer in _layers(function)):
        return None
    if isinstance(bare, (FunctionType, BuiltinFunctionType)):
        return f"{bare.__name__}, which is not async"
    return None


def why_not_plain(function: object) -> str | None:
    """Describe a function that does not run when it is called without await; ``None`` if it is a plain function."""
    if not callable(function):
        return type(function).__name__ if function is not None else "None"
    bare = _bare(function)
    if _is_async(bare):
        return "an async function, which would never run"
    return _generator(bare)
