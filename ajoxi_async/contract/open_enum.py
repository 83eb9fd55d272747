"""String enums that take values they do not know yet."""

from __future__ import annotations

import enum
from typing import Any, Self

__all__ = ["OpenEnum"]


class OpenEnum(enum.StrEnum):
    """A string enum that takes values it does not know yet: a newer server must not break an older client."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    def __reduce_ex__(self, proto: Any) -> tuple[Any, ...]:
        return type(self), (self.value,)

    @property
    def known(self) -> bool:
        """Whether this version of the package knows the value."""
        return self.value in type(self)._value2member_map_
