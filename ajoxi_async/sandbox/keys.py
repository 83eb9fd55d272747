"""The record that a sandbox keeps of each key.

Rules:
1. A key is listed under an id, a hash from which the key cannot be derived. The key itself is shown once, when it is minted.
2. The times at which a key was made and last used are times of the wall clock, because a key belongs to the whole sandbox,
   and each world has a clock of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import get_args

from attrs import define, field, frozen

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.routes import ROUTES
from ajoxi_async.protocol.credentials import Mode
from ajoxi_async.sandbox.time.moments import at

__all__ = ["ID_PREFIX", "Key", "KeyReport", "checked_deny", "checked_mode", "key_id", "mode_of"]

#: The prefix of key ids. No key has this prefix, so that an id cannot be mistaken for a key.
ID_PREFIX = "key_"


def key_id(key: str) -> str:
    """The id under which a key and its world are listed: a hash from which the key cannot be derived."""
    return f"{ID_PREFIX}{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def mode_of(key: str) -> Mode:
    """The mode that a key's prefix names."""
    return "live" if key.startswith("AJX_LIVE_") else "test"


@frozen(kw_only=True)
class KeyReport:
    """A key as lists show it.

    Attributes:
        id: identifies the key. `Sandbox.world`, `Sandbox.delete_key` and the control surface accept it in place of the key.
        key: the key's public prefix, with the rest replaced.
        label: the label that was given when the key was minted.
        mode: ``test`` or ``live``.
        deny: the routes that answer 403 to this key.
        minted: whether the sandbox minted it. ``False`` for another well-formed key that a request was sent with.
        created_at: when it was minted or first used, by the wall clock.
        last_used_at: when the last request was sent with it, by the wall clock; ``None`` if it was never used.
    """

    id: str
    key: str
    label: str
    mode: Mode
    deny: tuple[str, ...]
    minted: bool
    created_at: datetime
    last_used_at: datetime | None


@define(eq=False, kw_only=True)
class Key:
    """One key: minted by the sandbox, or first seen in a request.

    Attributes:
        text: the key itself.
        deny: names of the routes that answer 403 to this key.
        label: the label that was given when the key was minted.
        minted: whether the sandbox minted it.
        created_at: seconds since the epoch.
        last_used_at: when the last request was sent with it, in seconds since the epoch.
        deleted: whether it was deleted, so that requests with it are refused.
        kept: whether its world is never dropped to make room for others.
    """

    text: str = field(repr=False)
    deny: frozenset[str] = frozenset()
    label: str = ""
    minted: bool = True
    created_at: float = 0.0
    last_used_at: float | None = None
    deleted: bool = False
    kept: bool = False
    id: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.id = key_id(self.text)
        self.kept = self.kept or self.minted

    def report(self) -> KeyReport:
        """The key as lists show it."""
        mode = mode_of(self.text)
        return KeyReport(
            id=self.id,
            key=f"AJX_{mode.upper()}_***",
            label=self.label,
            mode=mode,
            deny=tuple(sorted(self.deny)),
            minted=self.minted,
            created_at=at(self.created_at),
            last_used_at=at(self.last_used_at) if self.last_used_at is not None else None,
        )


def checked_mode(mode: Mode) -> Mode:
    """Check the mode of a key to be minted.

    Raises:
        InvalidParameterError: there is no such mode.
    """
    if mode not in get_args(Mode):
        raise InvalidParameterError("mode", f"expected {' or '.join(get_args(Mode))}")
    return mode


def checked_deny(deny: Collection[str]) -> frozenset[str]:
    """Check the names of the routes that a key may not use.

    Raises:
        InvalidParameterError: there is no such route.
    """
    try:
        unknown = set(() if isinstance(deny, str) else deny) - ROUTES.keys()
    except TypeError:
        unknown = None
    if unknown is None or isinstance(deny, str):
        raise InvalidParameterError("deny", "expected names of routes, such as {'numbers.provision'}")
    if unknown:
        raise InvalidParameterError("deny", f"no such route: {', '.join(sorted(map(str, unknown)))[:200]}")
    return frozenset(deny)
