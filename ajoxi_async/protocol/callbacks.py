"""Which functions can be an async handler, and which a plain callback.

Rules:
1. A function is judged where it is given: a plain handler would do its work and then fail at ``await None``, so that the
   event is delivered and handled again and again; an async callback that is only called would never run.
2. Async is a coroutine function, a partial or a bound method of one, an object with an async ``__call__``, what is marked
   as a coroutine function, and what wraps one of these by `functools.wraps`.
3. What an object with a plain ``__call__`` returns cannot be known before it is called: such an object passes here, and
   whoever calls it looks at the answer.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

__all__ = ["why_not_async", "why_not_plain"]

#: How many wrappers are looked through: a proxy may claim to wrap another one for ever.
_DEEPEST: Final = 50
#: How Python 3.11 marks what is no coroutine function by itself; later versions have `inspect.markcoroutinefunction`.
_MARK: Final = getattr(asyncio.coroutines, "_is_coroutine", None)


def _bare(function: Any) -> Any:
    """What a partial, a bound method or a static method calls."""
    while isinstance(function, (partial, MethodType, staticmethod)):
        function = function.func if isinstance(function, partial) else function.__func__
    return function


def _layers(function: Any) -> Iterator[Any]:
    """What is called, and what that wraps, from the outside in."""
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
    """Say what a function is that cannot be awaited when it is called; ``None`` where it can, or it cannot be told."""
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
    """Say what a function is that does not run when it is only called; ``None`` where it does."""
    if not callable(function):
        return type(function).__name__ if function is not None else "None"
    bare = _bare(function)
    if _is_async(bare):
        return "an async function, which would never run"
    return _generator(bare)
