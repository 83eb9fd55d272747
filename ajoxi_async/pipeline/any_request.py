"""`AsyncAjoxi.request`: requests to endpoints that this version of the package does not know.

Rules:
1. They pass the same loop as all others: the limiter, the credentials, the retries, the hooks, the log. In errors, hooks and
   the limiter their route is called ``request``.
2. POST and PATCH are never sent again once they may have been received.
3. What is given is checked as far as it can be: the path, JSON, the query. The rest is the API's to judge.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping
from typing import Any, Final, get_args, get_origin
from urllib.parse import unquote_plus, urlencode

from attrs import evolve

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.base import Model
from ajoxi_async.contract.encoding.exact_values import exact
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.routes import Route
from ajoxi_async.contract.wire import Response
from ajoxi_async.pipeline.options import CallOptions, check_path
from ajoxi_async.pipeline.pager import Page
from ajoxi_async.pipeline.pipeline import AD_HOC, Pipeline
from ajoxi_async.protocol import answers

__all__ = ["any_request"]

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_BODILESS: Final = frozenset({"GET", "HEAD"})
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:\s*;[ -~]*)?", re.ASCII)


async def any_request(
    pipeline: Pipeline,
    method: str,
    path: str,
    options: CallOptions,
    *,
    body: Any,
    query: Mapping[str, Any] | None,
    returns: Any,
    content_type: str | None,
) -> Any:
    """See `AsyncAjoxi.request`."""
    verb = exact(method).upper() if isinstance(method, str) else method
    if verb not in METHODS:
        raise InvalidParameterError("method", f"expected one of {', '.join(METHODS)}, got {method!r:.40}")
    path = check_path(path)
    item = _item_of(returns)
    if body is not None and verb in _BODILESS:
        raise InvalidParameterError("body", f"expected none: a {verb} has no body")
    pairs = _pairs(query)
    target = f"{path}{'&' if '?' in path else '?'}{urlencode(pairs)}" if pairs else path
    whole: Route[Any] = Route(AD_HOC, verb, target, 200, object)
    takes_extra = isinstance(body, Mapping) or (body is None and verb not in _BODILESS)
    request = pipeline.request(whole, options, has_body=takes_extra)
    request.body, kind = _content(body, options, content_type)
    if kind is not None:
        request.headers = {**request.headers, headers.CONTENT_TYPE: kind}
    # Without the query, which may hold phone numbers.
    route = evolve(whole, path=path.partition("?")[0])
    params = body if isinstance(body, Mapping) else None
    response = await pipeline.exchange(route, request, options, params)
    if item is None:
        return _decoded(response, verb, returns)
    page = _decoded(response, verb, returns, item)

    def fetch(cursor: str) -> Awaitable[Any]:
        # In place of the cursor that this request had, wherever it was given.
        after = {**(query or {}), "cursor": cursor}
        following = {**options}
        if extra := options.get("extra_query"):
            following["extra_query"] = {name: value for name, value in extra.items() if name != "cursor"}
        return any_request(
            pipeline,
            verb,
            _without_cursor(path),
            following,  # type: ignore[arg-type]  # of the same keys
            body=body,
            query=after,
            returns=returns,
            content_type=content_type,
        )

    return Page(page.data, page.next_cursor, page.has_more, fetch)


def _without_cursor(path: str) -> str:
    """A path without the parameter ``cursor`` in its query."""
    base, _, query = path.partition("?")
    kept = [pair for pair in query.split("&") if pair and unquote_plus(pair.partition("=")[0]) != "cursor"]
    return f"{base}?{'&'.join(kept)}" if kept else base


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Model)


def _item_of(returns: Any) -> type[Model] | None:
    """The model of the items of a page, where a page is asked for."""
    if get_origin(returns) is Page and _is_model(item := get_args(returns)[0]):
        return item  # type: ignore[no-any-return]
    if returns is not None and returns is not bytes and not _is_model(returns):
        raise InvalidParameterError(
            "returns", f"expected a model such as Call, Page[Call], bytes, or None for parsed JSON, got {returns!r:.60}"
        )
    return None


def _content(body: Any, options: CallOptions, content_type: str | None) -> tuple[bytes | None, str | None]:
    """The bytes of the body and their media type."""
    if content_type is not None and (not isinstance(content_type, str) or not _MEDIA_TYPE.fullmatch(content_type)):
        raise InvalidParameterError("content_type", f"expected a media type, got {content_type!r:.40}")
    if isinstance(body, (bytes, bytearray, memoryview)):
        if content_type is None:
            raise InvalidParameterError("content_type", "expected the media type of the bytes in `body`")
        return bytes(body), content_type
    if content_type is not None:
        raise InvalidParameterError("content_type", "expected none: a body that is not bytes is sent as JSON")
    if extra := options.get("extra_body"):
        body = {**(body or {}), **extra}
    if body is None:
        return None, None
    return codec.encode(codec.json_value(body, "body")), headers.JSON


def _pairs(query: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if query is None:
        return []
    if not isinstance(query, Mapping):
        raise InvalidParameterError("query", f"expected values by name, got {type(query).__name__}")
    pairs: list[tuple[str, str]] = []
    for name, value in codec.json_value(query, "query").items():
        if isinstance(value, dict):
            pairs += [(f"{name}[{key}]", item) for key, item in value.items()]
        else:
            pairs += [(name, item) for item in (value if isinstance(value, list) else [value])]
    if any(isinstance(item, (dict, list)) for _, item in pairs):
        raise InvalidParameterError("query", "expected values, lists of values, and objects of values")
    return codec.query_pairs([(name, item) for name, item in pairs if item is not None])


def _decoded(response: Response, method: str, returns: Any, item: type[Model] | None = None) -> Any:
    if returns is bytes:
        return response.body
    if returns is None and (not response.body or method == "HEAD"):
        return None
    try:
        if item is not None:
            return codec.decode_page(response.body, item)
        return codec.parse_json(response.body) if returns is None else codec.decode(response.body, returns)
    except codec.DecodeError as error:
        raise answers.unexpected_answer(response, str(error), AD_HOC) from None
