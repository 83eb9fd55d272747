"""The JSON Schemas of requests, made from the types of the parameters' fields and the rules in them.

Rules:
1. The schemas of requests are closed: they do not allow unknown names and enum values, which the sandbox refuses as well. The
   schemas of answers are open. A model that is part of requests and answers, such as `Routing`, therefore has a second schema
   for requests, `RoutingRequest`.
2. ``null`` in a body counts as not given, at the top level and in a model. A query string cannot contain it.
3. The year of a time is 1 or later, since Python has no year 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import attrs

from ajoxi_async.contract.base import Model, Params
from ajoxi_async.contract.encoding.schemas import REFERENCE, summary
from ajoxi_async.contract.encoding.structuring import wire_name
from ajoxi_async.contract.open_enum import OpenEnum
from ajoxi_async.contract.rules import Form, Rule, combined, without_none

__all__ = ["body_schemas", "query_schemas"]

_NULL = {"type": "null"}
_SIMPLE = {str: "string", bool: "boolean", int: "integer", float: "number"}
_TIME = {"type": "string", "format": "date-time", "pattern": "^([1-9]|0[1-9]|00[1-9]|000[1-9])"}


def body_schemas(cls: type[Params]) -> dict[str, dict[str, Any]]:
    """The schemas of a request body and of every object in it, by their names among the document's components."""
    found: dict[str, dict[str, Any]] = {}
    _add_object(cls, {}, found)
    return found


def query_schemas(cls: type[Params]) -> dict[str, dict[str, Any]]:
    """The schema of each parameter of a query string, by its name on the wire."""
    hints = _hints(cls)
    return {wire_name(name): _schema_of(without_none(hint), {}) for name, hint in hints.items()}


def _hints(cls: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {f.name: hints[f.name] for f in attrs.fields(cls) if not (issubclass(cls, Model) and f.name == "extra")}


def _component(cls: type[Any]) -> str:
    return cls.__name__ if issubclass(cls, Params) else f"{cls.__name__}Request"


def _add_object(cls: type[Any], rules: Mapping[str, Any], found: dict[str, dict[str, Any]]) -> str:
    """Add the schema of an object to `found`, and return its name."""
    name = _component(cls)
    if name in found:
        return name
    found[name] = {}  # an object that contains objects of its own type finds this entry and does not recurse
    properties, required = {}, []
    defaults = {f.name: f.default for f in attrs.fields(cls)}
    for field, hint in _hints(cls).items():
        inner = _schema_of(without_none(hint), found)
        if defaults[field] is attrs.NOTHING:
            required.append(wire_name(field))
        else:
            inner = {"anyOf": [inner, _NULL]}
        properties[wire_name(field)] = inner
    found[name] = {
        "title": name,
        "description": summary(cls),
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
        **rules,
    }
    if issubclass(cls, Params) and cls.rules:
        # If the combinations exclude each other, "oneOf" says so, which readers and tools understand better than "anyOf".
        forms = combined(cls.rules)
        exclusive = all(one.given & other.absent for one in forms for other in forms if one != other)
        found[name]["oneOf" if exclusive else "anyOf"] = [_form(form, properties) for form in forms]
    return name


def _form(form: Form, properties: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {name: properties[wire_name(name)]["anyOf"][0].get("type", "object") for name in sorted(form.given)}
    given = {wire_name(name): {"type": kind} for name, kind in kinds.items()}
    absent = {wire_name(name): _NULL for name in sorted(form.absent)}
    return {"required": list(given), "properties": given | absent}


def _schema_of(hint: Any, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The schema of a type. The schemas of objects in it are added to `found`."""
    rules: dict[str, Any] = {}
    if get_origin(hint) is Annotated:
        for extra in hint.__metadata__:
            rules |= extra.schema if isinstance(extra, Rule) else {}
        hint = hint.__origin__
    if isinstance(hint, type) and issubclass(hint, (Model, Params)):
        return {"$ref": REFERENCE.format(name=_add_object(hint, rules, found))}
    return _plain(hint, found) | rules


def _plain(hint: Any, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    origin = get_origin(hint)
    if origin is tuple:
        return {"type": "array", "items": _schema_of(get_args(hint)[0], found)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of(get_args(hint)[1], found)}
    if origin is Literal:
        return {"type": "string", "enum": list(get_args(hint))}
    if issubclass(hint, OpenEnum):
        return {"type": "string", "enum": [member.value for member in hint], "description": summary(hint)}
    if issubclass(hint, datetime):
        return dict(_TIME)
    return {"type": _SIMPLE[hint]}
