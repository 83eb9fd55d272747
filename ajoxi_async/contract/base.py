"""What every model and every set of parameters is made of.

Rules:
1. Models are frozen attrs classes with slots. Any field but ``id`` may be missing; unknown fields are kept in
   ``extra``; unknown enum values are values (compare with ``==``).
2. Parameters are frozen attrs classes, too; they refuse what cannot be right, naming the parameter. The rules stand in
   the types of their fields and in ``rules``: see `contract.rules`.
3. ``from`` is a keyword of Python: fields are called ``from_`` and travel as ``from``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, ClassVar

import attrs
import msgspec
from attrs import field, frozen

from ajoxi_async.contract.encoding.structuring import converter, register, to_wire
from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.open_enum import OpenEnum
from ajoxi_async.contract.rules import GroupRule, field_checks

__all__ = ["Model", "OpenEnum", "Params", "Resource", "Time", "metadata_field"]

#: An aware datetime; RFC 3339 in UTC with milliseconds on the wire.
Time = Annotated[datetime, msgspec.Meta(tz=True)]


def metadata_field() -> Any:
    """An object of strings, empty by default. Left out of the hash, for a dict has none."""
    return field(factory=dict, hash=False)


@frozen(kw_only=True, repr=False)
class Model:
    """An object the API sent.

    Attributes:
        extra: fields of the body that this version of the package does not know, as parsed.
    """

    extra: dict[str, Any] = metadata_field()

    def to_dict(self) -> dict[str, Any]:
        """Return the object as the JSON-ready body it travels as, unknown fields included."""
        return to_wire(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        """Let pydantic, and FastAPI with it, take and return models as they travel; see `contract.encoding.pydantic`."""
        from ajoxi_async.contract.encoding.pydantic import core_schema_of

        return core_schema_of(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, _core_schema: Any, _handler: Any) -> dict[str, Any]:
        """Describe the model for pydantic as the published document does."""
        from ajoxi_async.contract.encoding.schemas import schema_of

        return schema_of(cls)

    def __repr__(self) -> str:
        shown = (
            f"{a.name}={'***' if a.name == 'secret' else repr(getattr(self, a.name))}"
            for a in attrs.fields(type(self))
            if a.name not in {"extra", "raw"} and getattr(self, a.name) not in (None, (), {})
        )
        return mask(f"{type(self).__name__}({', '.join(shown)})")

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        from ajoxi_async.contract.display import rich_pairs

        return rich_pairs(self)

    def _repr_html_(self) -> str:
        from ajoxi_async.contract.display import html_of_one

        return html_of_one(self)


@frozen(kw_only=True, repr=False)
class Resource(Model):
    """An object with an identity."""

    id: str


@frozen(kw_only=True, repr=False)
class Params:
    """What a caller gives to an endpoint. It checks itself by the rules of its fields' types and by those of the class.

    Attributes:
        rules: which parameters may be given together.
        path: what stands before the names of its fields in errors, such as ``campaign.``.
    """

    rules: ClassVar[tuple[GroupRule, ...]] = ()
    path: ClassVar[str] = ""

    def __attrs_post_init__(self) -> None:
        for name, check in field_checks(type(self)):
            value = getattr(self, name)
            if value is not None:  # most are not given
                check(self.path + name, value)
        if self.rules:
            given = {f.name: getattr(self, f.name) for f in attrs.fields(type(self))}
            for rule in self.rules:
                rule.check(given)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shown()})"

    def __rich_repr__(self) -> Iterator[str]:
        # Without it, rich would print the fields themselves, in tracebacks too.
        yield self._shown()

    def _shown(self) -> str:
        return mask(str(attrs.asdict(self, recurse=False)))


converter.register_unstructure_hook(OpenEnum, lambda member: getattr(member, "value", member))
register(Model)
register(Params)
