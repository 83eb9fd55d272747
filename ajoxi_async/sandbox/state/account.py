"""The state of one account: what its API key sees. No I/O, no waiting, no wall clock, no randomness.

The commands and transitions of each resource are functions in a file of their own (`calls`, `numbers`, `messages`, ...).
They take the account and the present moment, change the account or raise `Refusal`, and return what the API answers.

Rules:
1. Future events are timers in one heap. `actions.run_due` carries out the timers that are due.
2. A transition emits its webhook event, which becomes deliveries at once: see `deliveries`.
3. The same seed and the same commands at the same moments give the same ids, cursors and bodies.
4. The numbers involved and the seed decide, when a call is placed, how it will end: see `plan_for`.
5. All objects kept here are immutable, so that a snapshot copies only the containers.
6. Code that changes the account calls `mark_changed`, so that the journal writes only what changed, and the change feed of the
   world learns of it.
"""

from __future__ import annotations

import copy
import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any

from attrs import define, field

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.numbers import Number
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.webhooks import Webhook
from ajoxi_async.protocol.credentials import Mode
from ajoxi_async.sandbox.faults.faults import Faults
from ajoxi_async.sandbox.outcomes.settings import Settings, changed
from ajoxi_async.sandbox.outcomes.timing import Timing
from ajoxi_async.sandbox.state import inventory
from ajoxi_async.sandbox.state.campaign_records import CampaignRecord, Progress
from ajoxi_async.sandbox.state.delivery_log import DeliveryLog
from ajoxi_async.sandbox.state.flags import Flags
from ajoxi_async.sandbox.state.ids import Minter
from ajoxi_async.sandbox.state.lists import kinds
from ajoxi_async.sandbox.state.lists.store import Store
from ajoxi_async.sandbox.state.rings import Rings
from ajoxi_async.sandbox.state.steps import Unfinished
from ajoxi_async.sandbox.state.webhook_records import Delivery, Secret
from ajoxi_async.sandbox.time.moments import at
from ajoxi_async.sandbox.time.timers import Fired, Timer, Timers

__all__ = ["Account"]

_serials = count()

#: The fields that `copy` copies; everything else is shared or set anew.
_CONTAINERS = (
    "calls",
    "messages",
    "recordings",
    "numbers",
    "webhooks",
    "number_ids",
    "opted_out",
    "to_record",
    "tripped",
    "lines",
    "with_agent",
    "abandoned",
    "waiting",
    "progress",
    "configured",
    "secrets",
    "deliveries",
    "delivery_log",
    "campaigns",
    "rings",
    "minter",
    "timers",
)


# Its repr would show secrets, and the API key, from which the ids are derived.
@define(eq=False, repr=False)
class Account:
    """All objects and timers of one API key.

    Attributes:
        seed: the seed of the sandbox; together with `key_seed` it determines every id and secret.
        media_url: the URL under which the audio of recordings is served.
        created_at: seconds since the epoch.
        settings: the settings of the sandbox, overridden by those in `configured`.
        configured: the settings that were changed for this world: see `World.configure`.
        number_ids: ids of the account's numbers, by phone number.
        opted_out: phone numbers that texted STOP.
        to_record: ids of calls that are to be recorded.
        lines: ids of calls of campaigns with agents that were dialled and not answered yet: see `agents`.
        with_agent: ids of calls in which an agent of the world talks.
        abandoned: ids of calls that were answered when no agent was free.
        waiting: ids of calls that are to ring as soon as the capacity allows it, the next one first.
        progress: the progress of the campaigns that do not ring by themselves, the oldest first: see `dialling`.
        tripped: one-time effects of magic numbers that are under way: see `magic_effects`.
        secrets: the secrets of each webhook, the newest first.
        campaigns: the campaigns by their ids, the oldest first.
        rings: every time a phone rang.
        deliveries: all pending and dead deliveries, and the last finished ones, in the order in which they were made.
        delivery_log: the last attempts and the last finished deliveries of each webhook.
        due_deliveries: ids of deliveries that are due. `DeliveryQueues` takes them from here and posts them.
        posting: ids of deliveries that are due or being posted. They have no timer.
        replaced: whether its world has another account by now, so that work on this one can stop.
        unsaved: kind and id of what changed since the journal last wrote, in order; ``None`` without a journal.
        serial: a number that differs between this account, its copies and the one after a reset, which share their ids.
        on_changed: called with kind and id of each change: see `watch`.
        on_fired: called with each event.
        history: takes moment, type, object's id and cause of each event, if the world keeps them.
        cause: what is being carried out: the id of a request, or the name of a timer's action; empty for everything else.
        unfinished: a command that is being carried out in steps, if there is one.
    """

    seed: int
    mode: Mode
    key_seed: str
    timing: Timing
    media_url: str
    created_at: float
    faults: Faults = field(factory=Faults)
    settings: Settings = field(factory=Settings)
    configured: dict[str, Any] = field(factory=dict, init=False)
    calls: Store[Call] = field(factory=kinds.calls, init=False)
    messages: Store[Message] = field(factory=kinds.messages, init=False)
    recordings: Store[Recording] = field(factory=kinds.recordings, init=False)
    numbers: Store[Number] = field(factory=kinds.numbers, init=False)
    webhooks: Store[Webhook] = field(factory=Store, init=False)
    number_ids: dict[str, str] = field(factory=dict, init=False)
    opted_out: Flags = field(factory=Flags, init=False)
    to_record: Flags = field(factory=Flags, init=False)
    tripped: Flags = field(factory=Flags, init=False)
    lines: Flags = field(factory=Flags, init=False)
    with_agent: Flags = field(factory=Flags, init=False)
    abandoned: Flags = field(factory=Flags, init=False)
    waiting: dict[str, None] = field(factory=dict, init=False)
    progress: dict[str, Progress] = field(factory=dict, init=False)
    secrets: dict[str, tuple[Secret, ...]] = field(factory=dict, init=False)
    deliveries: dict[str, Delivery] = field(factory=dict, init=False)
    campaigns: dict[str, CampaignRecord] = field(factory=dict, init=False)
    rings: Rings = field(factory=Rings, init=False)
    delivery_log: DeliveryLog = field(factory=DeliveryLog, init=False)
    due_deliveries: deque[str] = field(factory=deque, init=False)
    posting: set[str] = field(factory=set, init=False)
    replaced: bool = field(default=False, init=False)
    minter: Minter = field(init=False)
    timers: Timers = field(factory=Timers, init=False)
    unsaved: dict[tuple[str, str], None] | None = field(default=None, init=False)
    serial: int = field(factory=_serials.__next__, init=False)
    on_changed: Callable[[str, str], None] | None = field(default=None, init=False)
    on_fired: Callable[[Fired], None] | None = field(default=None, init=False)
    history: deque[tuple[float, str, str, str]] | None = field(default=None, init=False)
    cause: str = field(default="", init=False)
    unfinished: Unfinished[Any] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.minter = Minter(f"{self.seed}/{self.key_seed}")

    def __rich_repr__(self) -> Iterator[object]:
        yield from ()  # Otherwise rich shows all fields.

    def copy(self) -> Account:
        """Copy the state. Changes of the copy are not reported, and the journal does not write it."""
        twin = copy.copy(self)
        for name in _CONTAINERS:
            setattr(twin, name, getattr(self, name).copy())
        twin.due_deliveries = deque()
        twin.unsaved, twin.on_changed, twin.on_fired, twin.history, twin.unfinished = None, None, None, None, None
        twin.serial, twin.replaced, twin.cause = next(_serials), False, ""
        # A delivery that is being posted has no timer. It is not being posted for the copy, so that it is due again there.
        twin.posting = set()
        for id in self.posting:
            if (delivery := self.deliveries.get(id)) is not None and delivery.state == "pending":
                twin.timers.add(delivery.timer())
        return twin

    def rebuild_lookups(self) -> None:
        """Rebuild the lookups that the journal does not keep."""
        self.number_ids = {number.phone_number or "": number.id for number in self.numbers.newest_first()}
        over = [one for one in self.deliveries.values() if one.state in {"delivered", "dropped"}]
        for one in sorted(over, key=lambda one: one.ended_at or 0.0):
            self.delivery_log.ended(one.webhook_id, one.id)

    @property
    def inventory(self) -> tuple[Number, ...]:
        """The numbers on offer. They are made when they are first read, since most tests never read them."""
        return inventory.build(self.seed)

    @property
    def stores(self) -> dict[str, Store[Any]]:
        """The lists, by the kind under which the journal writes their objects."""
        return {
            "call": self.calls,
            "message": self.messages,
            "recording": self.recordings,
            "number": self.numbers,
            "webhook": self.webhooks,
        }

    # Settings

    def configure(self, given: Mapping[str, Any]) -> None:
        """Change settings of this account; those that are not given keep their values.

        Raises:
            InvalidParameterError: there is no such setting, or it is out of its range; nothing is changed.
        """
        self.settings = changed(self.settings, given)
        self.configured = {**self.configured, **{name: getattr(self.settings, name) for name in given}}
        self.mark_changed("settings", "")

    # Ids and secrets

    def mint(self, prefix: str) -> str:
        """Make a new id, such as ``call_8f2a1b3c5d``."""
        if self.unsaved is not None:
            self.unsaved["minted", prefix] = None
        return self.minter.mint(prefix)

    def mint_many(self, prefix: str, amount: int) -> list[str]:
        """Make several new ids: the same that repeated calls of `mint` would make."""
        self.mark_unsaved("minted", prefix)
        return self.minter.mint_many(prefix, amount)

    def derive_secret(self, *parts: str) -> str:
        """Derive a webhook secret from the seed and `parts`."""
        return f"whsec_{hashlib.sha256('/'.join((str(self.seed), self.key_seed, *parts)).encode()).hexdigest()[:48]}"

    # Changes

    def track_changes(self) -> None:
        """Collect changes in `unsaved` from now on, for the journal."""
        self.unsaved = {}
        self._listen()

    def watch(self, on_changed: Callable[[str, str], None] | None) -> None:
        """Call a function with kind and id of each change from now on; with ``None``, call nothing."""
        self.on_changed = on_changed
        self._listen()

    def _listen(self) -> None:
        listener = self.on_changed if self.unsaved is None else self.mark_changed
        for kind, store in self.stores.items():
            store.changed = partial(listener, kind) if listener is not None else None

    def mark_changed(self, kind: str, id: str) -> None:
        """Report to the journal and to `on_changed` that an object was added, changed or removed."""
        if self.unsaved is not None:
            self.unsaved[kind, id] = None
        if self.on_changed is not None:
            self.on_changed(kind, id)

    def mark_unsaved(self, kind: str, id: str) -> None:
        """Report a change to the journal only."""
        if self.unsaved is not None:
            self.unsaved[kind, id] = None

    def mark_counted(self, kind: str, id: str) -> None:
        """Report to `on_changed` only that what belongs to an object changed, its counts or secrets; the object itself did not."""
        if self.on_changed is not None:
            self.on_changed(kind, id)

    def rang(self, number: str, call_id: str, moment: float) -> None:
        """Note that a phone rang."""
        if self.unsaved is not None or self.on_changed is not None:
            self.mark_changed("ring", str(len(self.rings)))
        self.rings.add(number, call_id, moment)

    def set_flag(self, kind: str, id: str, on: bool) -> None:
        """Put an id into one of the sets, such as `opted_out` or `to_record`, or take it out."""
        flags: Flags = getattr(self, kind)
        if on != (id in flags):
            (flags.add if on else flags.discard)(id)
            self.mark_changed(kind, id)

    # Time

    def later(self, moment: float, action: str, *args: str | None) -> None:
        """Set a timer: at `moment`, the action of this name in `actions` is called with `args`."""
        timer = Timer(moment, self.timers.order(), action, args)
        self.timers.add(timer)
        if self.unsaved is not None:
            self.unsaved["timer", str(timer.order)] = None

    @property
    def next_due(self) -> float | None:
        """The moment of the next timer."""
        return self.timers.next_due

    def fired(self, what: str, id: str, moment: float) -> None:
        """Report an event to `on_fired` and to `history`."""
        if self.history is not None:
            self.history.append((moment, what, id, self.cause))
        if self.on_fired is not None:
            self.on_fired(Fired(at(moment), what, id))
