"""Answers that take long to make, such as pages of many megabytes and transcripts of calls of an hour.

A worker thread makes them from immutable objects while the event loop goes on. Short answers are made at once, since starting a
thread would take longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import frozen

from ajoxi_async.contract import codec
from ajoxi_async.contract.base import Model
from ajoxi_async.contract.codec import PageBody

__all__ = ["LONG_PAGE", "LONG_TALK", "LongAnswer", "encode_answer", "unless_short"]

#: A page with more bytes of packed objects, and a transcript with more seconds of conversation, is made by a thread.
LONG_PAGE, LONG_TALK = 512 * 1024, 900.0

T = TypeVar("T")


@frozen
class LongAnswer(Generic[T]):
    """An answer that is made by calling `make`, in any thread."""

    make: Callable[[], T]


def unless_short(make: Callable[[], T], *, long: bool) -> T | LongAnswer[T]:
    """The result of `make`, or a `LongAnswer` if making it takes long."""
    return LongAnswer(make) if long else make()


def encode_answer(result: Model | PageBody[Model]) -> bytes:
    """The body of an answer."""
    if not isinstance(result, PageBody):
        return codec.encode(result)
    # Each object is encoded by itself, so that other threads can run after each and not only after many megabytes.
    items = b",".join([codec.encode(item) for item in result.data])
    rest = codec.encode({"next_cursor": result.next_cursor, "has_more": result.has_more})
    return b'{"data":[%b],%b' % (items, rest[1:])
