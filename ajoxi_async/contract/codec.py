"""The one codec: bytes to models, and models and parameters to bytes.

Rules:
1. Nothing is coerced: a string is not a number and ``null`` is not ``"None"``. What does not fit is a `DecodeError`
   that says where.
2. A model keeps what it does not know in ``extra``; ``null`` in a field whose default is not ``None`` counts as missing.
3. Parameters refuse what they do not know, and what is wrong with them is an `InvalidParameterError`.
4. What is JSON says `contract.encoding.parsing`, how times travel `contract.encoding.times`, what callers may give
   `contract.encoding.exact_values`, and how models are built `contract.encoding.structuring`.
"""

from __future__ import annotations

import typing
from typing import Any, TypeVar

import attrs
import msgspec

from ajoxi_async.contract.base import Model, Params
from ajoxi_async.contract.encoding.parsing import MAX_DEPTH, DecodeError, TooDeepError, is_deeper, parse_json
from ajoxi_async.contract.encoding.structuring import converter, structure, structure_many, to_wire, wire_name
from ajoxi_async.contract.encoding.times import format_time
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.parameters import (
    half_a_pair,
    json_value,
    parse_body,
    parse_params,
    parse_query,
    query_pairs,
    to_query,
    wire_names,
)
from ajoxi_async.contract.webhooks import Event, structure_event

__all__ = [
    "DecodeError",
    "PageBody",
    "converter",
    "decode",
    "decode_event",
    "decode_page",
    "encode",
    "format_time",
    "json_value",
    "parse_body",
    "parse_json",
    "parse_params",
    "parse_query",
    "query_pairs",
    "to_query",
    "to_wire",
    "wire_name",
    "wire_names",
]

T = TypeVar("T")


@attrs.frozen
class PageBody(typing.Generic[T]):
    """One page of a list as it travels (API reference: Pagination)."""

    data: tuple[T, ...]
    next_cursor: str | None
    has_more: bool


_PAGE_FIELDS = frozenset(attrs.fields_dict(PageBody))


def decode(body: bytes, cls: type[T]) -> T:
    """Decode a response body into a model."""
    return structure(parse_json(body, any_depth=True), cls, odd_times=False)


def decode_page(body: bytes, cls: type[T]) -> PageBody[T]:
    """Decode one page of a list. ``has_more`` missing is derived from ``next_cursor``, the rule of the reference."""
    page = parse_json(body, any_depth=True)
    if type(page) is not dict or type(page.get("data")) is not list:
        raise DecodeError("not a page: expected an object with a list `data`")
    if not _PAGE_FIELDS.issuperset(page) and is_deeper({**page, "data": None}, MAX_DEPTH):
        raise TooDeepError
    data = structure_many(page["data"], cls)
    cursor = page.get("next_cursor")
    if cursor is not None and type(cursor) is not str:
        raise DecodeError("not a page: `next_cursor` is neither a string nor null")
    return PageBody(data, cursor or None, bool(cursor))


def decode_event(body: bytes) -> Event:
    """Decode the body of a webhook delivery, keeping the bytes as ``raw``.

    Raises:
        DecodeError: it is not an event, or has an empty id: all such events would count as one, which has been handled.
    """
    event = structure_event(parse_json(body))
    if not event.id:
        raise DecodeError("not an event: `id` is empty")
    return attrs.evolve(event, raw=body)


def encode(obj: Any, param: str = "body") -> bytes:
    """Serialise a model, parameters, or anything JSON can hold.

    Args:
        obj: what to serialise.
        param: how errors call what is neither a model nor parameters.

    Raises:
        InvalidParameterError: a text holds half of a surrogate pair, which UTF-8 cannot carry, or `Model.extra` something
            that JSON cannot.
    """
    body = to_wire(obj) if isinstance(obj, (Model, Params)) else obj
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        raise half_a_pair(body, param if body is obj else type(obj)) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidParameterError(param, f"expected what JSON can hold: {error}") from None
