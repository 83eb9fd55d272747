"""What a client waits for and what webhooks told it, shared by the client and all its variants.

Rules:
1. Waits belong to any event loops in any threads. Whoever learns a state, from an event or from an answer, offers it here, and
   the waits that it ends are woken in their own loops.
2. Events are remembered by the id of their object, the latest `MOST_HEARD`, so that a wait that begins after its event ends
   at once.
3. A forked child waits for nothing: the waits are its parent's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, Protocol

import anyio

from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.webhooks import CallCompleted, Event
from ajoxi_async.limits.waiting import Signal, call_in, make_signal
from ajoxi_async.protocol.waits import TRUST, Kind, Until, further, is_over, last_look
from ajoxi_async.runtime.forks import renew_in_child

__all__ = ["Router", "Wait", "Watchlist"]

#: How many objects are remembered of events, and how many that were created while the client listened.
MOST_HEARD: Final = 2000

Key = tuple[str, str]


class Router(Protocol):
    """A source of verified events, such as a `WebhookRouter`."""

    def add_listener(self, listener: Callable[[Event], object], /) -> None:
        """Call a plain function with every event from now on."""

    def remove_listener(self, listener: Callable[[Event], object], /) -> None:
        """Do not call it any more."""


class Wait:
    """One task that waits for a state of an object.

    Attributes:
        polls_from: the moment from which on the API may be asked about it.
        looked_at: when the API was last asked about it; 0 before that.
        deep: whether it was on none of the newest pages, so that it is asked for by its id.
        state: the furthest state that is known.
        over: whether that is the state it waits for.
        error: why it cannot go on.
    """

    def __init__(self, kind: Kind, id: str, until: Until, began: float, span: float | None) -> None:
        self.kind, self.id, self.until = kind, id, until
        self.began, self.span = began, span
        self.deadline = None if span is None else began + span
        self.polls_from = self.looked_at = 0.0
        self.deep: bool = False
        self.state: Resource | None = None
        self.over = False
        self.error: Exception | None = None
        self._signal: Signal | None = None
        self._scope: anyio.CancelScope | None = None
        self.home: Any = make_signal().home

    def trust(self, now: float) -> None:
        """Leave it to webhooks for a while."""
        self.polls_from = now + TRUST
        if self.deadline is not None and self.span is not None:
            self.polls_from = min(self.polls_from, last_look(self.deadline, self.span))

    def take(self, state: Resource) -> None:
        """Note a state. Called with the watchlist's lock held."""
        self.state = further(self.state, state)
        if is_over(self.state, self.until) and not self.over:
            self.over = True
            self._wake()

    def fail(self, error: Exception) -> None:
        """End it with an error. Called with the watchlist's lock held."""
        self.error = error
        self._wake()

    def _wake(self) -> None:
        if self._signal is not None:
            self._signal.set()
        if self._scope is not None:
            call_in(self.home, self._scope.cancel)

    def arm(self) -> Signal | None:
        """A signal that the end of the wait sets; ``None`` if it has ended. Called with the watchlist's lock held."""
        self._signal = None if self.over or self.error is not None else make_signal()
        return self._signal

    @contextmanager
    def interrupts(self, scope: anyio.CancelScope) -> Iterator[None]:
        """While the block runs, the end of the wait cancels `scope`."""
        self._scope = scope
        try:
            if self.over or self.error is not None:
                scope.cancel()
            yield
        finally:
            self._scope = None


def _keys(state: Resource) -> tuple[Key, ...]:
    """Under what a state is waited for; a recording also by its call."""
    if isinstance(state, Call):
        return (("call", state.id),)
    if isinstance(state, Message):
        return (("message", state.id),)
    if isinstance(state, Recording):
        own = ("recording", state.id)
        return (own, ("recording", state.call_id)) if state.call_id is not None else (own,)
    return ()


class Watchlist:
    """See the rules above.

    Attributes:
        listening: whether events of webhooks reach this client.
        lookers: what asks the API, by the limiter of an account; see `pipeline.waiting`.
    """

    def __init__(self) -> None:
        self.listening: bool = False
        self._routers: list[Router] = []
        self._heard: dict[Key, Resource] = {}
        self._expected: dict[Key, None] = {}
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """See rule 3."""
        self.lock: Lock = Lock()
        self._waits: dict[Key, dict[Wait, None]] = {}
        self.lookers: dict[Any, Any] = {}

    # Webhooks.

    def listen_to(self, router: Router) -> None:
        """Take the events of a router. A second time has no effect."""
        if not any(known is router for known in self._routers):
            self._routers.append(router)
            router.add_listener(self.hear)
        self.listening = True

    def stop_listening(self) -> None:
        """Leave all routers."""
        self.listening = False
        while self._routers:
            self._routers.pop().remove_listener(self.hear)

    def hear(self, event: Event) -> None:
        """Take an event. Any thread may call this."""
        state = getattr(event, "data", None)
        if not isinstance(state, (Call, Message, Recording)):
            return
        with self.lock:
            for key in _keys(state):
                _remember(self._heard, key, further(self._heard.get(key), state))
            if isinstance(event, CallCompleted) and event.data.recording_id is not None:
                _remember(self._expected, ("recording", event.data.recording_id), None)
            self._offer(state)

    def expect(self, kind: Kind, id: str) -> None:
        """Note an object that was created while the client listens, so that all its events will be heard."""
        with self.lock:
            _remember(self._expected, (kind, id), None)

    def knows(self, kind: Kind, id: str) -> bool:
        """Whether events will tell of an object: it was created while the client listened, or one told of it already."""
        keys = [(kind, id), ("call", id)] if kind == "recording" else [(kind, id)]
        return self.listening and any(key in self._expected or key in self._heard for key in keys)

    # Waits.

    @contextmanager
    def listed(self, wait: Wait, known: Resource | None) -> Iterator[None]:
        """Keep a wait in the list while the block runs. `known` is the state that its task knows already."""
        key = (wait.kind, wait.id)
        with self.lock:
            self._waits.setdefault(key, {})[wait] = None
            for state in (known, self._heard.get(key)):
                if state is not None:
                    wait.take(state)
        try:
            yield
        finally:
            with self.lock:
                same = self._waits.get(key, {})
                same.pop(wait, None)
                if not same:
                    self._waits.pop(key, None)

    def offer(self, state: Resource) -> None:
        """Tell all waits for an object its state."""
        with self.lock:
            self._offer(state)

    def _offer(self, state: Resource) -> None:
        for key in _keys(state):
            for wait in self._waits.get(key, ()):
                wait.take(state)


def _remember(book: dict[Key, Any], key: Key, value: Any) -> None:
    book.pop(key, None)
    book[key] = value
    if len(book) > MOST_HEARD:
        del book[next(iter(book))]
