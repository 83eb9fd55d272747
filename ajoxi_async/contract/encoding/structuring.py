"""Models and parameters as parsed JSON, and back.

Rules:
1. `register` makes the converter know a root class, such as `Model`, and with it all its subclasses.
2. A class with a field ``extra`` is a model: it keeps there what it does not know. Any other class is a set of parameters,
   which refuses what it does not know.
3. ``null`` in a field of a model whose default is not ``None`` counts as missing.
4. A body is nested at most `MAX_DEPTH` levels deep. `convert` refuses whatever is nested deeper than a field's type, so that
   only the values of unknown fields are checked.
5. What is None in parameters is not sent.

cattrs dispatches; the structuring itself is msgspec's `convert`, which builds frozen attrs classes in C, about three
times as fast as generated Python and without silent coercion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
import cattrs
import msgspec
from cattrs.fns import identity
from cattrs.gen import make_dict_unstructure_fn, override

from ajoxi_async.contract.encoding.exact_values import exact
from ajoxi_async.contract.encoding.parsing import MAX_DEPTH, DecodeError, TooDeepError, is_deeper
from ajoxi_async.contract.encoding.times import format_time, parse_time
from ajoxi_async.contract.errors import InvalidParameterError

__all__ = [
    "NOT_SENT",
    "converter",
    "keeps_unknown",
    "nested_class",
    "preparer",
    "register",
    "structure",
    "structure_many",
    "time_fields",
    "to_wire",
    "wire_name",
]

T = TypeVar("T")

#: Fields of models that do not travel under their names: what is unknown, and the bytes of a delivery.
NOT_SENT = frozenset({"extra", "raw"})
#: ``from`` is a keyword of Python, and ``timeout`` of a method is the time to wait for an answer.
_WIRE_NAMES = {"from_": "from", "ring_timeout": "timeout"}


def wire_name(field: str) -> str:
    """The name of a field in JSON and in queries."""
    return _WIRE_NAMES.get(field, field)


def keeps_unknown(cls: type[Any]) -> bool:
    """Whether a class is a model, which keeps unknown fields; parameters refuse them."""
    return any(field.name == "extra" for field in attrs.fields(cls))


def nested_class(hint: Any) -> type[Any] | None:
    """The model or parameters class inside a field's type, if there is one."""
    for part in (hint, *get_args(hint)):
        if isinstance(part, type) and attrs.has(part):
            return part
    return None


def _is_many(hint: Any) -> bool:
    return get_origin(hint) is tuple or any(get_origin(arg) is tuple for arg in get_args(hint))


def _value_of(default: Any) -> Any:
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]


def _find_time_fields(cls: type[Any]) -> frozenset[str]:
    # Not by `attrs.fields`: cattrs resolves the types there, in place, at the first use of a class.
    return frozenset(
        name
        for name, hint in get_type_hints(cls).items()
        if any(isinstance(part, type) and issubclass(part, datetime) for part in (hint, *get_args(hint)))
    )


#: The names of the fields of a class that hold a time.
time_fields: Callable[[Any], frozenset[str]] = cache(_find_time_fields)

#: Takes bodies, the path of their fields, for errors, and the level of the bodies in their document, from 1.
Prepare = Callable[[list[Any], str, int], list[Any]]

#: The length of a time in UTC in microseconds; a time that is not longer has at most these.
_EXACT = len("2026-01-31T09:30:00.123456Z")

#: Stands for what is missing; `convert` copies it.
_EMPTY: dict[str, Any] = {}


def _build_preparer(cls: type[Any], strict: bool = False, odd_times: bool = True) -> Prepare:
    """Build a function that prepares parsed bodies for `convert`: renames, unknown fields, missing values, nested objects.

    With `strict` unknown fields are refused, as for parameters and models inside of them. With `odd_times` all times are read by
    `contract.encoding.times`, and otherwise only the long ones: msgspec rounds what is finer than a microsecond. What else it
    does not know of times, second 60, it refuses.
    """
    hints = get_type_hints(cls, include_extras=False)
    is_model = keeps_unknown(cls)
    strict = strict or not is_model
    fields = [f for f in attrs.fields(cls) if not (is_model and f.name in NOT_SENT)]
    size = len(fields)
    # Missing fields are filled in, because `convert` takes longer for a missing field. It copies the containers among these values.
    blank = {wire_name(f.name): _value_of(f.default) for f in fields if f.default is not attrs.NOTHING}
    renamed = [(wire_name(f.name), f.name) for f in fields if f.name != wire_name(f.name)]
    # A field whose default is None accepts null as it is.
    filled = [
        (f.name, _value_of(f.default)) for f in fields if f.default is not None and f.default is not attrs.NOTHING
    ]
    nested = [
        (f.name, preparer(inner, strict, odd_times), _is_many(hints[f.name]))
        for f in fields
        if (inner := nested_class(hints[f.name])) is not None
    ]
    times = tuple(sorted(time_fields(cls)))
    if not blank.keys() >= set(times):
        raise TypeError(f"{cls.__name__}: a field of a time needs a default")
    short = 0 if odd_times else _EXACT
    known = frozenset(wire_name(f.name) for f in fields)

    # All items in one call, and without comprehensions, which would make its variables slower to read before Python 3.12.
    def prepare(values: list[Any], path: str, level: int) -> list[Any]:
        bodies = []
        extras = []
        # The items of a page mostly have the same names in the same order. Then they lack the same, and adding that to a copy of
        # an item takes half the time of the merge with `blank`.
        names: list[str] | None = None
        missing: dict[str, Any] | None = None
        unknown: Sequence[str] = ()
        alone = len(values) == 1
        for value in values:
            if type(value) is not dict:
                bodies.append(_rebuild(value, cls, path) if strict and is_model and isinstance(value, cls) else value)
                continue
            if alone or [*value] != names:
                names, missing = None if alone else [*value], None
                body = blank | value
                unknown = () if len(body) == size else _unknown_of(value, known)
            else:
                if missing is None:
                    missing = _lacking(blank, value)
                body = value | missing
            if unknown:
                if strict:
                    raise _no_such_parameter(f"{path}{unknown[0]}", known)
                body["extra"] = extra = _take(body, unknown)
                extras.append(extra)
            elif is_model:
                body["extra"] = _EMPTY
            for wire, name in renamed:
                if wire in body:
                    body[name] = body.pop(wire)
            for name, default in filled:
                if body[name] is None:
                    body[name] = default
            for name in times:
                # Nearly all times are short, and so only their length is looked at first.
                try:
                    if len(body[name] or "") <= short:
                        continue
                except TypeError:  # a datetime, or what is no time
                    continue
                if type(text := body[name]) is str:
                    body[name] = parse_time(text) or text
            for name, prepare_inner, many in nested:
                inner = body.get(name)
                if inner:
                    if many and type(inner) is list:
                        body[name] = prepare_inner(inner, f"{path}{name}.", level + 2)
                    else:
                        body[name] = prepare_inner([inner], f"{path}{name}.", level + 1)[0]
            bodies.append(body)
        if extras and is_deeper(extras, MAX_DEPTH + 2 - level):  # the list of them is a level as well
            raise TooDeepError
        return bodies

    return prepare


def _lacking(blank: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    return {name: default for name, default in blank.items() if name not in value}


def _unknown_of(value: dict[str, Any], known: frozenset[str]) -> list[str]:
    return [name for name in value if name not in known]


def _take(body: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: body.pop(name) for name in names}


def _no_such_parameter(name: str, known: frozenset[str]) -> InvalidParameterError:
    return InvalidParameterError(name[:100], f"no such parameter; expected one of {', '.join(sorted(known))}")


#: What prepares the bodies of a class.
preparer: Callable[..., Prepare] = cache(_build_preparer)


def _rebuild(value: Any, cls: type[Any], path: str) -> Any:
    """Check a model that a caller made; the classes of models check nothing, since they are made for answers of the API."""
    name = path.rstrip(".")
    try:
        return structure(exact(to_wire(value), name), cls)
    except DecodeError as error:
        raise InvalidParameterError(name, str(error)) from None


def structure(value: Any, cls: type[T], odd_times: bool = True) -> T:
    """Build a model from parsed JSON.

    Args:
        value: the parsed body.
        cls: the model.
        odd_times: False reads times by msgspec first, which is faster; the result is the same.

    Raises:
        DecodeError: it does not fit.
    """
    try:
        return msgspec.convert(preparer(cls, False, odd_times)([value], "", 1)[0], cls)
    except msgspec.ValidationError as error:
        if not odd_times:
            return structure(value, cls)
        raise DecodeError(f"not a {cls.__name__}: {error}") from None


def structure_many(items: list[Any], cls: type[T], odd_times: bool = False) -> tuple[T, ...]:
    """Build the models of a page's list; see `structure`."""
    try:
        return msgspec.convert(preparer(cls, False, odd_times)(items, "", 3), tuple[cls, ...])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        if not odd_times:
            return structure_many(items, cls, odd_times=True)
        raise DecodeError(f"not a page of {cls.__name__}: {error}") from None


#: Types whose values are written as they are.
_PLAIN = frozenset({bool, float, int, str, type(None)})


def _is_plain(hint: Any) -> bool:
    return hint in _PLAIN or (get_origin(hint) in {UnionType, Union} and _PLAIN.issuperset(get_args(hint)))


def _make_unstructure(cls: type[Any]) -> Callable[[Any], dict[str, Any]]:
    is_model = keeps_unknown(cls)
    hints = get_type_hints(cls)
    overrides = {
        f.name: override(
            rename=wire_name(f.name),
            omit=is_model and f.name in NOT_SENT,
            # Of plain values that may be None, cattrs looks up how to write each one.
            unstruct_hook=identity if _is_plain(hints[f.name]) else None,
        )
        for f in attrs.fields(cls)
    }
    plain = make_dict_unstructure_fn(cls, converter, **overrides)  # type: ignore[arg-type]
    if is_model:
        return lambda obj: plain(obj) | exact(obj.extra, "extra") if obj.extra else plain(obj)
    return lambda obj: _given(plain(obj))


def _given(body: dict[str, Any]) -> dict[str, Any]:
    # Parameters that were not given are not sent, also inside of nested objects, where null would mean "remove it".
    return {key: _given(item) if type(item) is dict else item for key, item in body.items() if item is not None}


converter: cattrs.Converter = cattrs.Converter()
converter.register_unstructure_hook(datetime, format_time)


def register(root: type[Any]) -> None:
    """Make the converter write a class and its subclasses, and read them where they are models."""

    def is_of_root(cls: Any) -> bool:
        return isinstance(cls, type) and issubclass(cls, root)

    converter.register_unstructure_hook_factory(is_of_root, _make_unstructure)
    if keeps_unknown(root):
        converter.register_structure_hook_func(is_of_root, structure)


def to_wire(obj: Any) -> dict[str, Any]:
    """Turn a model or parameters into what JSON can hold."""
    return converter.unstructure(obj)  # type: ignore[no-any-return]
