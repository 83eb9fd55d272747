"""What a sandbox knows of a key.

Rules:
1. A key is named by its id, which tells keys apart and does not tell the key. The key itself is shown when it is minted and
   never again.
2. When a key was made and last used is told by the wall clock: keys belong to the sandbox, and its worlds have clocks of
   their own.
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

#: How ids of keys begin. No key begins like this.
ID_PREFIX = "key_"


def key_id(key: str) -> str:
    """The id under which a key and its world are listed: it tells keys apart and does not tell the key."""
    return f"{ID_PREFIX}{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def mode_of(key: str) -> Mode:
    """The mode that a key's prefix names."""
    return "live" if key.startswith("AJX_LIVE_") else "test"


@frozen(kw_only=True)
class KeyReport:
    """A key as lists show it.

    Attributes:
        id: names it wherever a key is meant.
        key: its public prefix, with the rest replaced.
        label: what whoever minted it wrote.
        mode: ``test`` or ``live``.
        deny: the routes that answer it 403.
        minted: whether the sandbox made it, as opposed to a well-formed key that somebody came with.
        created_at: when it was minted, or first used, by the wall clock.
        last_used_at: when the last request came with it, by the wall clock; ``None`` where none did.
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
    """One key, minted or come with.

    Attributes:
        text: the key itself.
        deny: names of routes that answer it 403.
        label: what whoever minted it wrote.
        minted: whether the sandbox made it.
        created_at: seconds since the epoch.
        last_used_at: of the last request, in seconds since the epoch.
        deleted: whether it is refused from now on.
        kept: whether its world never has to make room for others.
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
    """The mode of a key.

    Raises:
        InvalidParameterError: there is no such mode.
    """
    if mode not in get_args(Mode):
        raise InvalidParameterError("mode", f"expected {' or '.join(get_args(Mode))}")
    return mode


def checked_deny(deny: Collection[str]) -> frozenset[str]:
    """The names of routes that a key is to be denied.

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
