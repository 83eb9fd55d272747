"""The keys of a sandbox and the world of each.

Rules:
1. A minted key may use every route except those that were denied to it.
2. Any other well-formed key is accepted as well, unless `strict_keys` is set.
3. A key's world is made when the key is first used.
4. At most `max_worlds` worlds of keys that were not minted are kept. To make room for a new one, the idle world whose key was
   used longest ago is dropped with everything in it. A world is idle if no request to it is being answered, its time is not
   being advanced, nothing of it is being streamed or posted, and no subscriber follows its changes. While none is idle, there
   may be more than `max_worlds`. Worlds of minted keys and worlds that Python code asked for by key are never dropped.
5. When a key is deleted, its world is dropped and its streams end. The key is refused from then on and is never minted again.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Collection, Iterator

from attrs import define, field

from ajoxi_async.protocol.credentials import Mode
from ajoxi_async.sandbox.keys import ID_PREFIX, Key, checked_deny, checked_mode, key_id
from ajoxi_async.sandbox.labels import checked_label
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.world import World

__all__ = ["MAIN", "MAX_WORLDS", "Worlds"]

#: The default of `max_worlds`.
MAX_WORLDS = 1_000
#: The name of the sandbox's own key and of its world.
MAIN = "main"
#: Seconds by which the time of a key's last use may be late in the journal, so that not every request writes it.
_USE_GRAIN = 60.0
_KEY = re.compile(r"AJX_(?P<mode>LIVE|TEST)_[\x21-\x7e]{1,200}")


# Its repr would show the keys.
@define(eq=False, repr=False)
class Worlds:
    """All keys and worlds of one sandbox.

    Attributes:
        seed: determines the keys that are minted.
        rate_limit: requests per second for each key; ``None`` for no limit.
        strict_keys: whether only minted keys are accepted.
        new_world: makes the world of a key.
        max_worlds: see rule 4.
        save: returns once every change so far is in the journal; ``None`` without a journal.
        wall: the wall clock, in seconds since the epoch.
        keys: the record of each key, by the key's text: minted keys, keys that requests were sent with, and deleted keys.
        by_key: the worlds that exist, by key.
        own_key: the sandbox's own key, which cannot be deleted.
        unsaved: texts of the keys that changed since the journal last wrote; ``None`` without a journal.
        watched: the worlds whose changes are followed by at least one subscriber.
    """

    seed: int
    rate_limit: int | None
    strict_keys: bool
    new_world: Callable[[str], World]
    max_worlds: int = MAX_WORLDS
    save: Callable[[], Awaitable[None]] | None = None
    wall: Callable[[], float] = time.time
    keys: dict[str, Key] = field(factory=dict, init=False)
    by_key: dict[str, World] = field(factory=dict, init=False)
    own_key: str = field(default="", init=False)
    unsaved: dict[str, None] | None = field(default=None, init=False)
    watched: dict[str, World] = field(factory=dict, init=False)
    _noted_uses: dict[str, float] = field(factory=dict, init=False)

    def __rich_repr__(self) -> Iterator[object]:
        yield from ()  # Otherwise rich shows all fields.

    # Worlds

    def of(self, key: str, *, keep: bool = False) -> World:
        """The world of a key. It is made if it does not exist yet.

        Args:
            key: the key itself.
            keep: whether the world is never dropped to make room for others.

        Raises:
            Refusal: the key was deleted.
        """
        record = self.keys.get(key)
        if record is None:
            record = self.keys[key] = Key(text=key, minted=False, created_at=self.wall())
            self.changed(key)
        if record.deleted:
            raise Refusal("not_found", f"the key {record.id} was deleted")
        record.kept = record.kept or keep
        world = self.by_key.get(key)
        if world is None:
            if not record.kept:
                self._make_room()
            world = self.by_key[key] = self.new_world(key)
        return world

    def admit(self, key: str, moment: float) -> World | None:
        """The world of the key that a request was sent with; ``None`` if the key is refused.

        Args:
            key: the key itself.
            moment: when the request came, by the wall clock, in seconds since the epoch.
        """
        if not self.accepts(key):
            return None
        world = self.by_key.get(key) or self.of(key)
        self.keys[key].last_used_at = moment
        if self.unsaved is not None and moment >= self._noted_uses.get(key, 0.0) + _USE_GRAIN:
            self._noted_uses[key] = moment
            self.changed(key)
        return world

    def accepts(self, key: str) -> bool:
        """Whether requests with this key are answered."""
        known = self.keys.get(key)
        if known is not None:
            return not known.deleted and (known.minted or not self.strict_keys)
        return not self.strict_keys and _KEY.fullmatch(key) is not None

    def denies(self, key: str, route: str) -> bool:
        """Whether a key may not use a route."""
        return route in self.keys[key].deny

    def _make_room(self) -> None:
        """Drop worlds until there is room for one more; see rule 4."""
        droppable = [key for key in self.by_key if not self.keys[key].kept]
        surplus = len(droppable) - self.max_worlds + 1
        if surplus <= 0:
            return
        idle = [key for key in droppable if not self.by_key[key].in_use]
        idle.sort(key=lambda key: self.keys[key].last_used_at or self.keys[key].created_at)
        for key in idle[:surplus]:
            self._drop(key)
            del self.keys[key]

    def _drop(self, key: str) -> None:
        world = self.by_key.pop(key, None)
        if world is not None:
            world.end()
        self._noted_uses.pop(key, None)
        self.changed(key)

    # Keys

    def listed(self) -> list[Key]:
        """The keys that are accepted, in the order in which they were minted or first used."""
        return [key for key in self.keys.values() if self.accepts(key.text)]

    def named(self, name: str) -> str:
        """Return the key that `name` identifies.

        Args:
            name: a key, which is returned as it is, or the id of one, or ``main`` for the sandbox's own.

        Raises:
            Refusal: no accepted key has this id.
        """
        if name == MAIN:
            return self.own_key
        if not name.startswith(ID_PREFIX):
            return name
        for key in self.listed():
            if key.id == name:
                return key.text
        raise Refusal("not_found", f"no key {name[:60]}")

    def mint(self, mode: Mode, deny: Collection[str], label: str = "") -> str:
        """Make a key.

        Raises:
            InvalidParameterError: there is no such mode, `deny` names a route that does not exist, or `label` cannot be shown.
        """
        number = sum(key.minted for key in self.keys.values())
        noise = hashlib.sha256(f"{self.seed}/key/{number}".encode()).hexdigest()[:24]
        key = f"AJX_{checked_mode(mode).upper()}_{noise}"
        self.keys[key] = Key(text=key, deny=checked_deny(deny), label=checked_label(label), created_at=self.wall())
        self.changed(key)
        return key

    def delete(self, name: str) -> None:
        """Refuse a key from now on and drop its world.

        Args:
            name: the key's id, or the key itself.

        Raises:
            Refusal: there is no such key, or it is the sandbox's own.
        """
        text = self.named(name)
        key = self.keys.get(text)
        if key is None or key.deleted:
            raise Refusal("not_found", f"no key {key_id(text)}")
        if text == self.own_key:
            raise Refusal("invalid_state", "the sandbox's own key cannot be deleted")
        key.deleted = True
        self._drop(text)

    def changed(self, key: str) -> None:
        """Note that a key was made, used, deleted or forgotten."""
        if self.unsaved is not None:
            self.unsaved[key] = None
        if self.watched:
            self.mark("key", key_id(key))

    def mark(self, kind: str, id: str) -> None:
        """Mark an object of the whole sandbox as changed, for the subscribers of every world."""
        for world in self.watched.values():
            world.feed.mark(kind, id)

    def note_uses(self) -> None:
        """Have the journal write when each key was last used."""
        for text, key in self.keys.items():
            if key.last_used_at is not None and self._noted_uses.get(text) != key.last_used_at:
                self._noted_uses[text] = key.last_used_at
                self.changed(text)
