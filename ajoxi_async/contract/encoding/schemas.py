"""JSON schemas of models, from their classes and docstrings; those of requests are in `contract.request_schemas`.

Rules:
1. Answers are open: fields and enum values may be added by a newer server.
2. Fields have their names on the wire, and no defaults: what is missing is missing.
"""

from __future__ import annotations

import enum
import inspect
from typing import Any, Final, get_args, get_type_hints

import msgspec

from ajoxi_async.contract.encoding.structuring import NOT_SENT, nested_class, wire_name

__all__ = ["REFERENCE", "describe", "schema_of", "summary"]

#: Where a schema stands in an OpenAPI document.
REFERENCE: Final = "#/components/schemas/{name}"


def summary(cls: Any) -> str:
    """The docstring of a class."""
    return inspect.getdoc(cls) or ""


def describe(schema: dict[str, Any], cls: type[Any] | None) -> dict[str, Any]:
    """Make what msgspec says of a class what travels, by the rules above. `cls` is ``None`` where there is no class."""
    schema = dict(schema)
    if cls is not None and issubclass(cls, enum.Enum):
        return {"description": summary(cls), "anyOf": [{"enum": schema["enum"]}, {"type": "string"}]}
    schema["properties"] = {
        wire_name(field): {key: value for key, value in inner.items() if key != "default"}
        for field, inner in schema.get("properties", {}).items()
        if field not in NOT_SENT
    }
    schema["required"] = [wire_name(field) for field in schema.get("required", [])]
    if not schema["required"]:
        del schema["required"]
    schema["description"] = summary(cls) if cls is not None else schema.get("description", "")
    return schema


def schema_of(model: type[Any]) -> dict[str, Any]:
    """One model's schema, with everything it refers to inside of it, for documents that have no such components."""
    _, found = msgspec.json.schema_components([model], ref_template=REFERENCE)
    classes = {cls.__name__: cls for cls in _classes_in(model)}

    def inlined(schema: Any) -> Any:
        if isinstance(schema, list):
            return [inlined(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return inlined(describe(found[name], classes.get(name)))
        return {key: inlined(value) for key, value in schema.items()}

    return {"title": model.__name__, **inlined({"$ref": REFERENCE.format(name=model.__name__)})}


def _classes_in(model: type[Any]) -> set[type[Any]]:
    """A model, and the models and enums that its fields hold."""
    found = {model}
    for hint in get_type_hints(model).values():
        if (inner := nested_class(hint)) is not None:
            found |= _classes_in(inner)
        found.update(part for part in (hint, *get_args(hint)) if isinstance(part, type) and issubclass(part, enum.Enum))
    return found
