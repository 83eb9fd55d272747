"""Which fields of an answer are shown.

Rules:
1. ``--fields`` names fields as they travel, and ``routing.kind`` a field of a field. A name that no such answer can have is refused
   before anything is sent.
2. A table of a list has the fields of `COLUMNS`, the most important first: those at the end are left out if the terminal is too
   narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ajoxi_async.cli.status import UsageError

__all__ = ["COLUMNS", "chosen_fields", "value_of"]

#: The columns of a table, by the model of its rows.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "Call": ("id", "status", "disposition", "from", "to", "duration", "created_at", "direction", "agent_id"),
    "Number": ("id", "phone_number", "status", "type", "country", "capabilities", "routing", "created_at"),
    "Message": ("id", "status", "from", "to", "body", "created_at", "direction", "channel", "segments"),
    "Recording": ("id", "call_id", "duration", "size", "created_at", "agent_id", "content_type"),
    "Webhook": ("id", "status", "url", "events", "created_at"),
}


def chosen_fields(typed: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """The fields of ``--fields``; empty if it was not given.

    Args:
        typed: what was typed.
        known: the fields that an answer can have.

    Raises:
        UsageError: one of them is none of an answer.
    """
    if typed is None:
        return ()
    names = tuple(name.strip() for name in typed.split(",") if name.strip())
    if not names:
        raise UsageError("--fields: expected names with commas between them")
    for name in names:
        if name.partition(".")[0] not in known:
            raise UsageError(f"--fields: expected some of {', '.join(known)}, got {name[:60]!r}")
    return names


def value_of(item: Mapping[str, Any], name: str) -> Any:
    """The value of a field, or of a field of a field; ``None`` if it is not there."""
    if name in item:
        return item[name]
    found: Any = item
    for part in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found
