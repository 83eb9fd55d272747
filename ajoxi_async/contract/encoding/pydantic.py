"""Models as types of pydantic, so that FastAPI can take and return them and a ``BaseModel`` can have them as fields.

Rules:
1. What goes in and out is what the API sends: wire names (``from``), times as text, unknown fields kept.
2. pydantic is not a dependency. pydantic itself calls this module, so it is installed then.
3. The JSON schema is that of the published document, with everything it refers to inside of it.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import core_schema

from ajoxi_async.contract.encoding.parsing import DecodeError
from ajoxi_async.contract.encoding.structuring import converter, to_wire

__all__ = ["core_schema_of"]


def core_schema_of(cls: type[Any]) -> core_schema.CoreSchema:
    """How pydantic validates and serialises a model."""

    def validate(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise ValueError(f"expected a {cls.__name__} or its JSON object, got {type(value).__name__}")  # noqa: TRY004
        try:
            return converter.structure(value, cls)
        except DecodeError as error:
            raise ValueError(str(error)) from None

    return core_schema.no_info_plain_validator_function(
        validate, serialization=core_schema.plain_serializer_function_ser_schema(to_wire)
    )
