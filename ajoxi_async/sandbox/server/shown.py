"""How the control surface shows records that are not objects of the API: as JSON objects, with moments in RFC 3339."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import fields

from ajoxi_async.contract import codec
from ajoxi_async.sandbox.time.moments import at

__all__ = ["as_json", "time_text"]

#: The fields that contain moments, in seconds since the epoch.
_MOMENTS = frozenset({"since", "due", "created_at", "ended_at"})


def time_text(moment: float) -> str:
    """A moment, in seconds since the epoch, as text."""
    return codec.format_time(at(moment))


def as_json(items: Iterable[Any]) -> list[dict[str, Any]]:
    """Records as JSON objects with all their fields, except `order`, which only timers use."""
    return [{f.name: _value(item, f.name) for f in fields(type(item)) if f.name != "order"} for item in items]


def _value(item: Any, name: str) -> Any:
    value = getattr(item, name)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, datetime):
        return codec.format_time(value)
    if name in _MOMENTS and value is not None:
        return time_text(value)
    return dict(value) if isinstance(value, Mapping) else value
