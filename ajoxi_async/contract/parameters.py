"""Parameters from what callers give, from bodies and from query strings, and as query strings.

Rules:
1. Nothing is coerced but in a query string, where everything is text: there ``"5"`` is a number.
2. What is wrong is an `InvalidParameterError`, which names the parameter and says what would be right.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from math import isfinite
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

import attrs
import msgspec

from ajoxi_async.contract.base import Model, Params
from ajoxi_async.contract.encoding.exact_values import exact
from ajoxi_async.contract.encoding.structuring import (
    converter,
    nested_class,
    preparer,
    time_fields,
    to_wire,
    wire_name,
)
from ajoxi_async.contract.encoding.times import format_time, is_date_time
from ajoxi_async.contract.errors import InvalidParameterError

__all__ = [
    "half_a_pair",
    "json_value",
    "parse_body",
    "parse_params",
    "parse_query",
    "query_pairs",
    "to_query",
    "wire_names",
]

P = TypeVar("P", bound=Params)

#: Types of parsed values that can be subscripted.
_PARSED = frozenset({str, list, dict})

_PATH = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<name>\w+)`")


def _choices(cls: type[Any], path: str) -> tuple[str, ...]:
    """The values of the `Literal` at a path of parameters, such as ``campaign.mode``."""
    hint: Any = cls
    for name in path.split("."):
        hint = get_type_hints(nested_class(hint) or object).get(name.partition("[")[0])
    literals = [part for part in (hint, *get_args(hint)) if get_origin(part) is typing.Literal]
    return get_args(literals[0]) if literals else ()


def _parameter_error(error: msgspec.ValidationError, cls: type[Any]) -> InvalidParameterError:
    """Say a `convert` failure in the words of the caller: which parameter, and what would be right."""
    if isinstance(error.__cause__, InvalidParameterError):
        return error.__cause__
    text = str(error)
    at = _PATH.search(text)
    path = at["path"] if at else ""
    text = _PATH.sub("", text).replace("`", "").replace("Expected", "expected")
    missing = _MISSING.search(str(error))
    if missing:
        return InvalidParameterError(f"{path}.{missing['name']}".lstrip("."), "required", missing=True)
    if "RFC3339" in text:
        text = A_TIME
    if text.startswith("Invalid enum value") and (choices := _choices(cls, path)):
        text = f"expected one of {', '.join(map(repr, choices))}, got {text.removeprefix('Invalid enum value ')}"
    return InvalidParameterError(path or "body", text)


def _find_wire_names(cls: type[Any]) -> frozenset[str]:
    return frozenset(wire_name(f.name) for f in attrs.fields(cls))


#: The names of a class's parameters as they travel.
wire_names: Callable[[Any], frozenset[str]] = cache(_find_wire_names)

_SURROGATE = re.compile(r"[\ud800-\udfff]")
#: What is wrong with a text that UTF-8 cannot carry.
_HALF_A_PAIR: Final = "expected text, got half of a surrogate pair"
#: What a time is, where something else was given.
A_TIME: Final = "expected an RFC 3339 time with its timezone, such as '2026-11-23T09:30:00Z'"


def _place_of_half(value: Any, path: str) -> str | None:
    """Where in a value a text is that UTF-8 cannot carry; ``None`` if there is none."""
    if isinstance(value, str):
        return path if _SURROGATE.search(value) else None
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        if any(isinstance(name, str) and _SURROGATE.search(name) for name in value):
            return path
        inner = ((f"{path}.{name}", item) for name, item in value.items())
    elif isinstance(value, (list, tuple)):
        inner = ((f"{path}[{index}]", item) for index, item in enumerate(value))
    return next((found for name, item in inner if (found := _place_of_half(item, name)) is not None), None)


def half_a_pair(given: Any, of: type[Any] | str) -> InvalidParameterError:
    """The error of a text that holds half of a surrogate pair, which UTF-8 cannot carry.

    Args:
        given: what holds the text.
        of: the class of parameters or model whose members these are by their names on the wire; or the name of what is given.
    """
    if isinstance(of, str):
        place = _place_of_half(given, of)
    else:
        places = (_place_of_half(given.get(wire_name(one.name)), one.name) for one in attrs.fields(of))
        place = next(filter(None, places), None)
    return InvalidParameterError(place or "body", _HALF_A_PAIR)


def parse_params(value: Mapping[str, Any], cls: type[P], *, strict: bool = True, parsed: bool = False) -> P:
    """Build parameters from keyword arguments or from a parsed request body.

    Args:
        value: names as on the wire or as in Python; ``None`` counts as not given at the top.
        cls: the parameters class.
        strict: False for query strings, where ``"5"`` is a number.
        parsed: whether the value comes from the parser, so that it is made of builtins and nothing else.

    Raises:
        InvalidParameterError: naming the parameter and what would be right.
    """
    if type(value) is not dict:
        raise InvalidParameterError("body", f"expected a JSON object, got {type(value).__name__}")
    known = wire_names(cls)
    # A name that nobody knows is refused whatever its value is: it is left in for `preparer`.
    taken = [(wire_name(key), item) for key, item in value.items() if item is not None or wire_name(key) not in known]
    given = dict(taken)
    if len(given) != len(taken):
        twice = next(key for key in value if wire_name(key) != key and wire_name(key) in value)
        raise InvalidParameterError(twice, f"expected once, not as {wire_name(twice)!r} as well")
    if not parsed:
        given = {name: exact(item, name) for name, item in given.items()}
    return _convert(given, cls, strict)


def _convert(given: dict[str, Any], cls: type[P], strict: bool) -> P:
    try:
        return msgspec.convert(preparer(cls)([given], "", 1)[0], cls, strict=strict)
    except UnicodeEncodeError:
        raise half_a_pair(given, cls) from None
    except msgspec.ValidationError as error:
        raise _parameter_error(error, cls) from None
    except (AttributeError, TypeError):
        # msgspec takes whatever can be subscripted for a mapping (UserString, re.Match), and fails on its methods.
        strange = (name for name, item in given.items() if type(item) not in _PARSED and hasattr(item, "__getitem__"))
        name = next(strange, "body")
        raise InvalidParameterError(
            name, f"expected what JSON can hold, got {type(given.get(name)).__name__}"
        ) from None


def parse_body(body: Any, cls: type[P]) -> P:
    """Build parameters from a parsed request body, as the published document describes it.

    Names are those of the wire only, and a number without a fraction is an integer however it is written (``30.0``).

    Raises:
        InvalidParameterError: naming the parameter and what would be right.
    """
    if type(body) is not dict:
        raise InvalidParameterError("body", f"expected a JSON object, got {type(body).__name__}")
    known = wire_names(cls)
    if not known.issuperset(body):
        name = next(name for name in body if name not in known)
        raise InvalidParameterError(name[:100], f"no such parameter; expected one of {', '.join(sorted(known))}")
    given = {
        name: int(item) if type(item) is float and item.is_integer() else item
        for name, item in body.items()
        if item is not None
    }
    return _convert(given, cls, strict=True)


converter.register_structure_hook_func(lambda cls: isinstance(cls, type) and issubclass(cls, Params), parse_params)


def to_query(params: Params) -> list[tuple[str, str]]:
    """Turn parameters into query pairs; an object becomes ``name[key]``, true and false are lower case.

    Raises:
        InvalidParameterError: a text holds half of a surrogate pair, which UTF-8 cannot carry.
    """
    given: list[tuple[str, Any]] = []
    for name, value in to_wire(params).items():
        if isinstance(value, dict):
            given.extend((f"{name}[{key}]", item) for key, item in value.items())
        else:
            given.append((name, value))
    return query_pairs(given)


def query_pairs(given: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Turn names and single values into query pairs; true and false are lower case.

    Raises:
        InvalidParameterError: a text holds half of a surrogate pair, which UTF-8 cannot carry.
    """
    pairs = [(name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in given]
    for name, value in pairs:
        if _SURROGATE.search(name) or _SURROGATE.search(value):
            raise InvalidParameterError(name.partition("[")[0], _HALF_A_PAIR)
    return pairs


def json_value(value: Any, param: str) -> Any:
    """Turn what a caller gave, models and aware times in it included, into what JSON can hold.

    Raises:
        InvalidParameterError: JSON cannot hold it: a number that is not finite, a time without its timezone, bytes, a set of
            names that are not text.
    """
    return _json_value(exact(value, param), param)


def _json_value(value: Any, param: str) -> Any:
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise InvalidParameterError(param, "expected text as the names of an object's members")
        return {name: _json_value(item, param) for name, item in value.items()}
    if isinstance(value, list):
        return [_json_value(item, param) for item in value]
    if isinstance(value, (Model, Params)):
        return to_wire(value)
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidParameterError(param, "expected a time with its timezone")
        return format_time(value)
    if isinstance(value, Enum):
        return _json_value(exact(value.value, param), param)
    if not isinstance(value, (str, int, float, type(None))) or (isinstance(value, float) and not isfinite(value)):
        raise InvalidParameterError(param, f"expected what JSON can hold, got {value!r:.40}")
    return value


_OBJECT_KEY = re.compile(r"(?P<name>\w+)\[(?P<key>[^\[\]]+)\]")


def parse_query(pairs: list[tuple[str, str]], cls: type[P]) -> P:
    """Build parameters from query pairs, the inverse of `to_query`.

    Raises:
        InvalidParameterError: also for a parameter given twice, for a time that is no ``date-time`` of RFC 3339, and for a
            value that would mean that the filter was not given.
    """
    query: dict[str, Any] = {}
    for name, value in pairs:
        if bracket := _OBJECT_KEY.fullmatch(name):
            target, key = query.setdefault(bracket["name"], {}), bracket["key"]
            name = bracket["name"]
        else:
            target, key = query, name
        if type(target) is not dict or key in target:
            raise InvalidParameterError(name[:100], "expected once")
        target[key] = value
    for name in time_fields(cls) & query.keys():
        if not is_date_time(str(query[name])):
            raise InvalidParameterError(name, A_TIME)
    params = parse_params(query, cls, strict=False, parsed=True)
    for name, value in query.items():
        if getattr(params, name) is None:
            raise InvalidParameterError(name, f"expected a value, got {value!r}")
    return params
