"""The keys of a sandbox and the world of each.

Rules:
1. A minted key may use every route but those that were denied to it.
2. Any other well-formed key is accepted as well, unless `strict_keys`.
3. A key's world is made when it is first used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Collection

from attrs import define, field, frozen

from ajoxi_async.contract.routes import ROUTES
from ajoxi_async.protocol.credentials import Mode
from ajoxi_async.sandbox.world import World

__all__ = ["Key", "Worlds", "mode_of"]

_KEY = re.compile(r"AJX_(?P<mode>LIVE|TEST)_[\x21-\x7e]{1,200}")


@frozen
class Key:
    """A minted key; `deny` holds the names of routes that answer it 403."""

    mode: Mode
    deny: frozenset[str] = frozenset()


@define(eq=False)
class Worlds:
    """All keys and worlds of one sandbox.

    Attributes:
        seed: decides the keys that are minted.
        rate_limit: requests a second of each key; ``None`` for no limit.
        strict_keys: whether minted keys alone are accepted.
        new_world: makes the world of a key.
        save: returns once every change so far is in the journal; ``None`` without a journal.
        keys: the minted keys.
        by_key: the worlds that were made so far.
    """

    seed: int
    rate_limit: int | None
    strict_keys: bool
    new_world: Callable[[str], World]
    save: Callable[[], Awaitable[None]] | None = None
    keys: dict[str, Key] = field(factory=dict, init=False)
    by_key: dict[str, World] = field(factory=dict, init=False)

    def of(self, key: str) -> World:
        """The world of a key, made when it is first asked for."""
        if key not in self.by_key:
            self.by_key[key] = self.new_world(key)
        return self.by_key[key]

    def accepts(self, key: str) -> bool:
        """Whether requests with this key are answered."""
        return _KEY.fullmatch(key) is not None and (not self.strict_keys or key in self.keys)

    def denies(self, key: str, route: str) -> bool:
        """Whether a key may not use a route."""
        return key in self.keys and route in self.keys[key].deny

    def mint(self, mode: Mode, deny: Collection[str]) -> str:
        """Make a key.

        Raises:
            ValueError: `deny` names a route that does not exist.
        """
        unknown = set(deny) - ROUTES.keys()
        if unknown:
            raise ValueError(f"deny: no such route: {', '.join(sorted(unknown))}")
        noise = hashlib.sha256(f"{self.seed}/key/{len(self.keys)}".encode()).hexdigest()[:24]
        key = f"AJX_{mode.upper()}_{noise}"
        self.keys[key] = Key(mode, frozenset(deny))
        return key


def mode_of(key: str) -> Mode:
    """The mode that a key's prefix names."""
    return "live" if key.startswith("AJX_LIVE_") else "test"
