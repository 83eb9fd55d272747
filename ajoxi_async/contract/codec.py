"""The one codec: bytes and parsed JSON to models and parameters, and back.

Rules:
1. Nothing is coerced: a string is not a number and ``null`` is not ``"None"``. What does not fit is a `DecodeError`
   that says where.
2. A model keeps what it does not know in ``extra``; ``null`` in a field whose default is not ``None`` counts as missing.
3. Parameters refuse what they do not know, and what is wrong with them is an `InvalidParameterError`.
4. What is JSON says `contract.parsing`, how times travel `contract.times`, what callers may give `contract.given`.

cattrs dispatches; the structuring itself is msgspec's `convert`, which builds frozen attrs classes in C, about three
times as fast as generated Python and without silent coercion.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import attrs
import cattrs
import msgspec
from cattrs.gen import make_dict_unstructure_fn, override

from ajoxi_async.contract.base import Model, OpenEnum, Params
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.given import exact
from ajoxi_async.contract.parsing import DecodeError, parse_json
from ajoxi_async.contract.times import format_time, parse_time
from ajoxi_async.contract.webhooks import EVENT_CLASSES, Event, UnknownEvent

__all__ = [
    "DecodeError",
    "PageBody",
    "converter",
    "decode",
    "decode_event",
    "decode_page",
    "encode",
    "format_time",
    "parse_json",
    "parse_params",
    "parse_query",
    "to_query",
    "to_wire",
    "wire_name",
]

T = TypeVar("T")
P = TypeVar("P", bound=Params)


#: ``from`` is a keyword of Python, and ``timeout`` is left to the waiting for an answer.
_WIRE_NAMES = {"from_": "from", "ring_timeout": "timeout"}


def wire_name(field: str) -> str:
    """The name of a field as it travels."""
    return _WIRE_NAMES.get(field, field)


def _nested(hint: Any) -> type[Any] | None:
    """The model or parameters class inside a field's type, if there is one."""
    for part in (hint, *get_args(hint)):
        if isinstance(part, type) and issubclass(part, (Model, Params)):
            return part
    return None


def _is_many(hint: Any) -> bool:
    return get_origin(hint) is tuple or any(get_origin(arg) is tuple for arg in get_args(hint))


def _maker(default: Any) -> Callable[[], Any]:
    return default.factory if isinstance(default, attrs.Factory) else lambda: default  # type: ignore[arg-type]


def _find_times(cls: type[Any]) -> frozenset[str]:
    # Not by `attrs.fields`: cattrs resolves the types there, in place, at the first use of a class.
    return frozenset(
        name
        for name, hint in get_type_hints(cls).items()
        if any(isinstance(part, type) and issubclass(part, datetime) for part in (hint, *get_args(hint)))
    )


_times: Callable[[Any], frozenset[str]] = cache(_find_times)

Prepare = Callable[[Any, str], Any]


def _build_preparer(cls: type[Any], strict: bool = False, odd_times: bool = True) -> Prepare:
    """Build what makes a parsed body ready for `convert`: renames, unknown fields, missing values, nested objects.

    Unknown fields are refused by parameters, and by models inside of them (`strict`). Times that msgspec reads otherwise
    than `contract.times` are read here (`odd_times`).
    """
    hints = get_type_hints(cls, include_extras=False)
    is_model = issubclass(cls, Model)
    strict = strict or not is_model
    fields = [f for f in attrs.fields(cls) if not (is_model and f.name in {"extra", "raw"})]
    size = len(fields)
    # Every field is given to `convert`: one that is missing costs it more than the merge with what stands for it.
    blank: dict[str, Any] = {wire_name(f.name): None for f in fields if f.default is not attrs.NOTHING}
    renamed = [(wire_name(f.name), f.name) for f in fields if f.name != wire_name(f.name)]
    # One whose default is None takes null as it is.
    filled = [(f.name, _maker(f.default)) for f in fields if f.default is not None and f.default is not attrs.NOTHING]
    nested = [
        (f.name, _preparer(inner, strict, odd_times), _is_many(hints[f.name]))
        for f in fields
        if (inner := _nested(hints[f.name])) is not None
    ]
    times = tuple(sorted(_times(cls))) if odd_times else ()
    known = frozenset(wire_name(f.name) for f in fields)

    def prepare(value: Any, path: str) -> Any:
        if type(value) is not dict:
            return _rebuild(value, cls, path) if strict and is_model and isinstance(value, cls) else value
        body = blank | value
        extra: dict[str, Any] = {}
        if len(body) != size and not known.issuperset(body):
            extra = {key: body.pop(key) for key in value if key not in known}
            if strict:
                name = f"{path}{next(iter(extra))}"
                raise InvalidParameterError(
                    name[:100], f"no such parameter; expected one of {', '.join(sorted(known))}"
                )
        if is_model:
            body["extra"] = extra
        for wire, name in renamed:
            if wire in body:
                body[name] = body.pop(wire)
        for name, make in filled:
            if body[name] is None:
                body[name] = make()
        for name in times:
            if type(text := body.get(name)) is str:
                body[name] = parse_time(text) or text
        for name, prepare_inner, many in nested:
            inner = body.get(name)
            if inner:
                body[name] = (
                    [prepare_inner(item, f"{path}{name}.") for item in inner]
                    if many and type(inner) is list
                    else prepare_inner(inner, f"{path}{name}.")
                )
        return body

    return prepare


_preparer: Callable[..., Prepare] = cache(_build_preparer)


def _rebuild(value: Any, cls: type[Any], path: str) -> Any:
    """Check a model that a caller made: its class checks nothing, since it is made for what the API sends."""
    name = path.rstrip(".")
    try:
        return _structure_model(exact(to_wire(value), name), cls)
    except DecodeError as error:
        raise InvalidParameterError(name, str(error)) from None


def _structure_model(value: Any, cls: type[T], odd_times: bool = True) -> T:
    try:
        return msgspec.convert(_preparer(cls, False, odd_times)(value, ""), cls)
    except msgspec.ValidationError as error:
        if not odd_times:
            return _structure_model(value, cls)
        raise DecodeError(f"not a {cls.__name__}: {error}") from None


#: msgspec rounds what is finer than microseconds. What else it does not know of times, second 60, it refuses.
_has_fine_times = re.compile(rb"\.\d{7}").search


_PATH = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<name>\w+)`")


def _choices(cls: type[Any], path: str) -> tuple[str, ...]:
    """The values of the `Literal` at a path of parameters, such as ``campaign.mode``."""
    hint: Any = cls
    for name in path.split("."):
        hint = get_type_hints(_nested(hint) or object).get(name.partition("[")[0])
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
    if text.startswith("Invalid enum value") and (choices := _choices(cls, path)):
        text = f"expected one of {', '.join(map(repr, choices))}, got {text.removeprefix('Invalid enum value ')}"
    return InvalidParameterError(path or "body", text)


_SURROGATE = re.compile(r"[\ud800-\udfff]")
_HALF_A_PAIR = "expected text, got half of a surrogate pair"


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
    given = {wire_name(key): item for key, item in value.items() if item is not None}
    if len(given) != sum(item is not None for item in value.values()):
        twice = next(key for key in value if wire_name(key) != key and wire_name(key) in value)
        raise InvalidParameterError(twice, f"expected once, not as {wire_name(twice)!r} as well")
    if not parsed:
        given = {name: exact(item, name) for name, item in given.items()}
    try:
        return msgspec.convert(_preparer(cls)(given, ""), cls, strict=strict)
    except UnicodeEncodeError:
        raise InvalidParameterError("body", _HALF_A_PAIR) from None
    except msgspec.ValidationError as error:
        raise _parameter_error(error, cls) from None


def _pick_event(value: Any, _: Any = None) -> Event:
    kind = value.get("type") if type(value) is dict else None
    return _structure_model(value, EVENT_CLASSES.get(kind, UnknownEvent) if isinstance(kind, str) else UnknownEvent)


def _make_unstructure(cls: type[Any]) -> Callable[[Any], dict[str, Any]]:
    is_model = issubclass(cls, Model)
    overrides = {
        f.name: override(rename=wire_name(f.name), omit=is_model and f.name in {"extra", "raw"})
        for f in attrs.fields(cls)
    }
    plain = make_dict_unstructure_fn(cls, converter, **overrides)  # type: ignore[arg-type]
    if is_model:
        return lambda obj: plain(obj) | exact(obj.extra, "extra") if obj.extra else plain(obj)
    return lambda obj: _given(plain(obj))


def _given(body: dict[str, Any]) -> dict[str, Any]:
    # What a caller did not give is not sent, inside of nested objects either: null there would mean "take it away".
    return {key: _given(item) if type(item) is dict else item for key, item in body.items() if item is not None}


converter: cattrs.Converter = cattrs.Converter()
converter.register_structure_hook_func(lambda cls: isinstance(cls, type) and issubclass(cls, Model), _structure_model)
converter.register_structure_hook(Event, _pick_event)
converter.register_structure_hook_func(lambda cls: isinstance(cls, type) and issubclass(cls, Params), parse_params)
converter.register_unstructure_hook_factory(
    lambda cls: isinstance(cls, type) and issubclass(cls, (Model, Params)), _make_unstructure
)
converter.register_unstructure_hook(datetime, format_time)
converter.register_unstructure_hook(OpenEnum, lambda member: getattr(member, "value", member))


@attrs.frozen
class PageBody(typing.Generic[T]):
    """One page of a list as it travels (API reference: Pagination)."""

    data: tuple[T, ...]
    next_cursor: str | None
    has_more: bool


def decode(body: bytes, cls: type[T]) -> T:
    """Decode a response body into a model."""
    return _structure_model(parse_json(body), cls, _has_fine_times(body) is not None)


def _structure_items(items: list[Any], cls: type[T], odd_times: bool) -> tuple[T, ...]:
    prepare = _preparer(cls, False, odd_times)
    try:
        return msgspec.convert([prepare(item, "") for item in items], tuple[cls, ...])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        if not odd_times:
            return _structure_items(items, cls, odd_times=True)
        raise DecodeError(f"not a page of {cls.__name__}: {error}") from None


def decode_page(body: bytes, cls: type[T]) -> PageBody[T]:
    """Decode one page of a list. ``has_more`` missing is derived from ``next_cursor``, the rule of the reference."""
    page = parse_json(body)
    if type(page) is not dict or type(page.get("data")) is not list:
        raise DecodeError("not a page: expected an object with a list `data`")
    data = _structure_items(page["data"], cls, _has_fine_times(body) is not None)
    cursor = page.get("next_cursor")
    if cursor is not None and type(cursor) is not str:
        raise DecodeError("not a page: `next_cursor` is neither a string nor null")
    return PageBody(data, cursor or None, bool(cursor))


def decode_event(body: bytes) -> Event:
    """Decode the body of a webhook delivery, keeping the bytes as ``raw``."""
    return attrs.evolve(_pick_event(parse_json(body)), raw=body)


def to_wire(obj: Model | Params) -> dict[str, Any]:
    """Turn a model or parameters into what JSON can hold."""
    return converter.unstructure(obj)  # type: ignore[no-any-return]


def encode(obj: Any) -> bytes:
    """Serialise a model, parameters, or anything JSON can hold.

    Raises:
        InvalidParameterError: a text holds half of a surrogate pair, which UTF-8 cannot carry, or `Model.extra` something
            that JSON cannot.
    """
    try:
        return msgspec.json.encode(to_wire(obj) if isinstance(obj, (Model, Params)) else obj)
    except UnicodeEncodeError:
        raise InvalidParameterError("body", _HALF_A_PAIR) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidParameterError("body", f"expected what JSON can hold: {error}") from None


def to_query(params: Params) -> list[tuple[str, str]]:
    """Turn parameters into query pairs; an object becomes ``name[key]``, true and false are lower case.

    Raises:
        InvalidParameterError: a text holds half of a surrogate pair, which UTF-8 cannot carry.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in to_wire(params).items():
        if isinstance(value, dict):
            pairs.extend((f"{name}[{key}]", str(item)) for key, item in value.items())
        elif isinstance(value, bool):
            pairs.append((name, str(value).lower()))
        else:
            pairs.append((name, str(value)))
    for name, value in pairs:
        if _SURROGATE.search(name) or _SURROGATE.search(value):
            raise InvalidParameterError(name.partition("[")[0], _HALF_A_PAIR)
    return pairs


_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_OBJECT_KEY = re.compile(r"(?P<name>\w+)\[(?P<key>[^\[\]]+)\]")


def parse_query(pairs: list[tuple[str, str]], cls: type[P]) -> P:
    """Build parameters from query pairs, the inverse of `to_query`.

    Raises:
        InvalidParameterError: also for a parameter given twice, for a time that is only a number, and for a value that
            would mean that the filter was not given.
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
    for name in _times(cls) & query.keys():
        if not _DATE.match(str(query[name])):
            raise InvalidParameterError(name, "expected an RFC 3339 time such as '2026-11-23T09:30:00Z'")
    params = parse_params(query, cls, strict=False, parsed=True)
    for name, value in query.items():
        if getattr(params, name) is None:
            raise InvalidParameterError(name, f"expected a value, got {value!r}")
    return params
