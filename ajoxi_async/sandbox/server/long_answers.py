"""Answers that take long to make: pages of many megabytes, transcripts of calls of an hour.

A worker thread makes them, from objects that do not change, while the event loop goes on. Short ones are made at once, since
a thread costs more than they do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import frozen

from ajoxi_async.contract import codec
from ajoxi_async.contract.base import Model
from ajoxi_async.contract.codec import PageBody

__all__ = ["LONG_PAGE", "LONG_TALK", "LongAnswer", "encode_answer", "unless_short"]

#: Bytes of packed objects from which on a page is long, and seconds of conversation from which on a transcript is.
LONG_PAGE, LONG_TALK = 512 * 1024, 900.0

T = TypeVar("T")


@frozen
class LongAnswer(Generic[T]):
    """An answer that is still to be made, by calling `make` in any thread."""

    make: Callable[[], T]


def unless_short(make: Callable[[], T], *, long: bool) -> T | LongAnswer[T]:
    """What `make` returns, or where that takes long, a `LongAnswer`."""
    return LongAnswer(make) if long else make()


def encode_answer(result: Model | PageBody[Model]) -> bytes:
    """The body of an answer."""
    if not isinstance(result, PageBody):
        return codec.encode(result)
    # Each by itself: other threads can go on after each, not after many megabytes.
    items = b",".join([codec.encode(item) for item in result.data])
    rest = codec.encode({"next_cursor": result.next_cursor, "has_more": result.has_more})
    return b'{"data":[%b],%b' % (items, rest[1:])
