"""What every call takes besides its own parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, TypedDict

from ajoxi_async.contract.codec import json_value
from ajoxi_async.contract.encoding.exact_values import exact, is_unicode, seconds
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.protocol.callbacks import why_not_plain
from ajoxi_async.protocol.rate import Lane, check_lane

__all__ = ["CallOptions", "SendOptions", "as_list", "check_headers", "check_options", "check_path", "merge_headers"]


class SendOptions(TypedDict, total=False):
    """Options of one call whose method has a ``timeout`` parameter of its own.

    Attributes:
        lane: of the limiter: ``interactive`` goes before ``default``, which goes before ``bulk``.
        extra_headers: sent besides the client's own.
        extra_query: query parameters this version of the package does not know.
        extra_body: members of the JSON body that this version does not know, beside the method's own parameters. Methods that
            send no body refuse it.
        gate: a plain function, called before each attempt when its turn at the limiter has come and before anything is sent. If
            it raises, the request is not sent, its permit is given back, and the error is raised. Requests and lists have it,
            streams and downloads do not.
    """

    lane: Lane | None
    extra_headers: Mapping[str, str] | None
    extra_query: Mapping[str, str] | None
    extra_body: Mapping[str, Any] | None
    gate: Callable[[], object] | None


class CallOptions(SendOptions, total=False):
    """Options of one call, besides those of `SendOptions`.

    Attributes:
        timeout: seconds for the whole call: its turn at the limiter, every attempt and the waits between them. Without
            it only the client's own `timeout` counts, which bounds each attempt, so that a bulk job may queue for long.
    """

    timeout: float | None


#: Classes of callable objects that were found to be plain. Of functions each is looked at, which takes as long as a small request.
_plain_gates: set[type] = set()
_OF_ANY_KIND = (FunctionType, MethodType, BuiltinFunctionType, partial, type)
_NAMES = SendOptions.__annotations__.keys() | CallOptions.__annotations__.keys()


def check_options(options: CallOptions, *, gated: bool = False, has_body: bool = False) -> None:
    """Refuse keywords that are not options, and values that cannot be right.

    Python does not check the names of a TypedDict, and a misspelt option must not be ignored. Values of subclasses are
    replaced in `options` by the builtin values they stand for (`contract.encoding.exact_values`).

    Args:
        options: what the caller gave.
        gated: whether a gate has an effect here.
        has_body: whether the request has a JSON object as its body.
    """
    for name in options.keys() - _NAMES:
        raise InvalidParameterError(name, "no such parameter")
    if (timeout := options.get("timeout")) is not None:
        number = seconds(timeout)
        if number is None or not 0 < number < float("inf"):
            raise InvalidParameterError("timeout", f"expected seconds above 0, got {timeout!r:.40}")
        options["timeout"] = number
    if (gate := options.get("gate")) is not None:
        if not gated:
            raise InvalidParameterError("gate", "expected none: a stream and a download have no gate")
        if type(gate) not in _plain_gates:
            if why := why_not_plain(gate):
                raise InvalidParameterError("gate", f"expected a plain function, got {why}")
            if not isinstance(gate, _OF_ANY_KIND):
                _plain_gates.add(type(gate))
    lane = options.get("lane")
    if lane is not None:
        check_lane(lane)
    if (query := options.get("extra_query")) is not None:
        if not isinstance(query, Mapping) or not all(isinstance(part, str) for pair in query.items() for part in pair):
            raise InvalidParameterError("extra_query", "expected strings by name")
        if not all(is_unicode(part) for pair in query.items() for part in pair):
            raise InvalidParameterError("extra_query", "expected Unicode text, got half of a surrogate pair")
        options["extra_query"] = exact(query, "extra_query")
    if (extra := options.get("extra_body")) is not None:
        if not has_body:
            raise InvalidParameterError("extra_body", "expected none: the request has no JSON object to add it to")
        if not isinstance(extra, Mapping):
            raise InvalidParameterError("extra_body", f"expected values by name, got {type(extra).__name__}")
        options["extra_body"] = json_value(extra, "extra_body")
    if (given := options.get("extra_headers")) is not None:
        check_headers(given)
        options["extra_headers"] = exact(given, "extra_headers")


def as_list(value: Any) -> Any:
    """Turn an iterable of values into a list. A string, bytes or a mapping is returned unchanged; a later check refuses it."""
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) else value


#: Headers that only the client sets: overriding them would leak a key or break the framing of the message.
_RESERVED = frozenset(
    {"authorization", "connection", "content-length", "content-type", "expect", "host", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)


#: The characters of a path and its query (RFC 3986).
_PATH = re.compile(r"/(?!/)(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
#: A segment that stands for this or the parent's level: servers and proxies resolve it, so it leads to another endpoint.
_DOT_SEGMENT = re.compile(r"/(?:\.|%2[Ee]){1,2}(?=/|$)")


def check_path(path: object) -> str:
    """Refuse what is not a path below the base URL, with a query or without.

    Raises:
        InvalidParameterError: it has other characters than a path may have, or a dot segment.
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise InvalidParameterError("path", f"expected a path such as '/v1/calls/call_1', got {path!r:.40}")
    if _DOT_SEGMENT.search(path.partition("?")[0]):
        raise InvalidParameterError("path", "expected no segment that is '.' or '..'")
    return str.__str__(path)


def merge_headers(base: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """`base` with the headers `given` in place of those of the same name, compared without regard to case."""
    names = {name.lower() for name in given}
    return {name: value for name, value in base.items() if name.lower() not in names} | dict(given)


def check_headers(given: Mapping[str, str], param: str = "extra_headers") -> None:
    """Refuse headers that cannot be sent, or that only the client sets. `param` is the name of the parameter, for the error."""
    if not isinstance(given, Mapping):
        raise InvalidParameterError(param, "expected strings by name")
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidParameterError(param, "expected strings")
        if name.lower() in _RESERVED:
            raise InvalidParameterError(param, f"{name} is set by the client")
        token = name.replace("-", "").replace("_", "")
        if not (token.isascii() and token.isalnum()) or not value.isprintable() or not value.isascii():
            raise InvalidParameterError(param, f"expected a printable ASCII header, got {name[:40]!r}")
