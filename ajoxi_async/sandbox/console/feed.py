"""The console's feed: what the pages of one browser show, as server-sent events that follow the changes of a world.

Rules:
1. It sends state, not history: a view is read when it is written, so that changes meanwhile are folded into it. A reader that is
   slow, or stalls, costs nothing but its connection.
2. The first change after a quiet period is sent at once. While changes go on, the feeds of a world write at the same moments, every
   `EVERY` seconds, or less often so that they take at most `SHARE` of the time.
3. An answer that two pages show is read and encoded once for the same state of the world.
4. Each event has the clock and the counts of the world. Its id is ``EPOCH-SEQ``. A reader that connects again is sent the whole
   state of its views, so that nothing is missing, whatever its last event was; another epoch says that the world was replaced.
5. Reading changes nothing in the world, and takes no part in its clock.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final

import anyio
import msgspec
from attrs import define, field

from ajoxi_async.contract import codec
from ajoxi_async.contract.frames import event_frame, retry_frame
from ajoxi_async.sandbox.console.interest import EVERYTHING, SECOND, Interest, kinds_of
from ajoxi_async.sandbox.console.spoken import Spoken
from ajoxi_async.sandbox.conversation.live_log import LiveLog
from ajoxi_async.sandbox.feed.changes import Changes
from ajoxi_async.sandbox.server.control.time import clock_json
from ajoxi_async.sandbox.server.live_transcript import LiveLogs
from ajoxi_async.sandbox.time.live import LiveClock
from ajoxi_async.sandbox.time.real import RealClock
from ajoxi_async.sandbox.world import World

__all__ = ["EVERY", "SHARE", "Feed", "SharedReads"]

#: The shortest time between two events, in real seconds.
EVERY: Final = 0.05
#: Of the time, at most this part is spent by all feeds of a world, so that the API keeps its rate.
SHARE: Final = 0.0125
_LONGEST_PAUSE: Final = 1.0
#: Real seconds after which the clock is sent although nothing changed.
_HEARTBEAT: Final = 10.0
_RECONNECT_MS: Final = 1_000
#: The shortest time until a call is listened to again, in real seconds.
_LISTEN: Final = 0.02
#: zlib's: fast, and with gzip's header.
_LEVEL, _GZIP = 1, 31
#: Answers that the feeds of a world share.
_KEPT: Final = 100

#: Answers a GET, given its path and query and a world, as JSON.
Read = Callable[[str, World], Awaitable[bytes]]


@define(eq=False)
class SharedReads:
    """The answers that feeds of one world share as long as one of them is open.

    Attributes:
        read: answers a GET.
        logs: the live logs of open calls.
        next_at: when the next round of events begins, by `time.perf_counter`.
    """

    read: Read
    logs: LiveLogs = field(factory=lambda: LiveLogs(most_events=50_000))
    next_at: float = field(default=0.0, init=False)
    _answers: dict[str, tuple[tuple[int, int], bytes]] = field(factory=dict, init=False)
    #: The present round of events: when it began, and what its events took.
    _began: float = field(default=0.0, init=False)
    _spent: float = field(default=0.0, init=False)

    def took(self, began: float, ended: float) -> None:
        """Note that an event was made between two moments of `time.perf_counter`."""
        if began >= self.next_at:
            self._began, self._spent = began, 0.0
        self._spent += ended - began
        self.next_at = self._began + min(_LONGEST_PAUSE, max(EVERY, self._spent / SHARE))

    async def next_round(self) -> None:
        """Wait until the next round of events."""
        # Feeds that write later in a round put off the next one.
        while (pause := self.next_at - time.perf_counter()) > 0:  # noqa: ASYNC110 - it is the time that is waited for
            await anyio.sleep(pause)

    async def get(self, url: str, world: World, state: tuple[int, int]) -> bytes:
        """The answer to a GET in a state of the world, which is named by epoch and number of changes."""
        known = self._answers.get(url)
        if known is not None and known[0] == state:
            return known[1]
        answer = await self.read(url, world)
        if len(self._answers) >= _KEPT:
            self._answers.clear()
        self._answers[url] = state, answer
        return answer


@define(eq=False, repr=False)
class Feed:
    """One connection.

    Attributes:
        world: the world that it follows.
        reads: what it shares with the other feeds of this world.
        session: the session that it belongs to; ``None`` if it was opened with the control token.
        in_use: called before each event; returns whether the feed's session goes on.
        packed: whether the events are written in gzip's format.
        id: names it in requests that change its interest.
    """

    world: World
    reads: SharedReads
    session: bytes | None
    in_use: Callable[[], bool]
    packed: bool = False
    id: str = field(factory=lambda: f"feed_{secrets.token_hex(8)}", init=False)
    _interest: Interest = field(factory=Interest, init=False)
    _sent: dict[str, tuple[str, bytes]] = field(factory=dict, init=False)
    _spoken: dict[str, Spoken] = field(factory=dict, init=False)
    _woken: anyio.Event = field(factory=anyio.Event, init=False)
    _ended: bool = field(default=False, init=False)
    _next_second: float = field(default=0.0, init=False)

    def show(self, interest: Interest) -> None:
        """Follow something else from now on."""
        self._interest = interest
        self._sent = {name: sent for name, sent in self._sent.items() if interest.views.get(name) == sent[0]}
        self._spoken = {id: self._spoken.get(id) or Spoken() for id in interest.calls}
        self._wake()

    def end(self) -> None:
        """Send nothing more."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        self._woken.set()

    async def events(self) -> AsyncGenerator[bytes]:
        """The events, until the feed or the world ends."""
        held = self.world.feed.subscribe(EVERYTHING, self._wake)
        packer = zlib.compressobj(_LEVEL, wbits=_GZIP) if self.packed else None
        try:
            hello = event_frame("hello", codec.encode({"feed": self.id, "world": self.world.id}))
            yield _packed(packer, retry_frame(_RECONNECT_MS) + hello)
            stale = EVERYTHING
            while not (self._ended or held.ended) and self.in_use():
                began = time.perf_counter()
                batch = self.world.feed.take(held)
                self._woken = anyio.Event()
                event = _packed(packer, await self._event(batch, stale))
                self.reads.took(began, time.perf_counter())
                yield event
                stale = frozenset()
                await self.reads.next_round()
                with anyio.move_on_after(await self._patience()):
                    if not self.world.feed.has(held):
                        await self._woken.wait()
        finally:
            self.world.feed.unsubscribe(held)

    async def _event(self, batch: Changes, stale: frozenset[str]) -> bytes:
        touched = frozenset(batch.changed) | batch.stale | stale | self._seconds()
        state = batch.epoch, batch.seq
        # What is awaited comes first, so that the clock is not older than the views.
        views = await self._views(touched, state)
        transcripts = await self._transcripts()
        counts = await self.reads.get("counts", self.world, state)
        shown: dict[str, Any] = {
            "epoch": batch.epoch,
            "seq": batch.seq,
            "clock": clock_json(self.world),
            "counts": msgspec.Raw(counts),
            "changed": {kind: len(ids) for kind, ids in batch.changed.items()},
            "stale": sorted(batch.stale | stale),
            "views": views,
            "transcripts": transcripts,
        }
        return event_frame("state", codec.encode(shown), f"{batch.epoch}-{batch.seq}")

    def _seconds(self) -> frozenset[str]:
        """`SECOND`, if a second has passed since it was last returned."""
        now = time.monotonic()
        if now < self._next_second:
            return frozenset()
        self._next_second = now + 1.0
        return frozenset({SECOND})

    async def _views(self, touched: frozenset[str], state: tuple[int, int]) -> dict[str, msgspec.Raw]:
        """The views whose answer has changed, by their names."""
        views = {}
        for name, url in self._interest.views.items():
            if name in self._sent and not kinds_of(url) & touched:
                continue
            shared = SECOND not in kinds_of(url)
            answer = await (self.reads.get(url, self.world, state) if shared else self.reads.read(url, self.world))
            # The page may want something else by now; then this answer would mislead it.
            if self._interest.views.get(name) == url and self._sent.get(name) != (url, answer):
                views[name] = msgspec.Raw(answer)
                self._sent[name] = url, answer
        return views

    async def _transcripts(self) -> dict[str, dict[str, Any]]:
        """What was said in open calls since the last event, by their ids."""
        heard = {}
        for id, spoken in list(self._spoken.items()):
            log, serial = await self._log(id)
            news = spoken.news(log, serial, self.world.clock.now())
            if news is not None:
                heard[id] = news
        return heard

    async def _log(self, call_id: str) -> tuple[LiveLog | None, int]:
        await self.world.whole()
        account = self.world.account
        call = account.calls.get(call_id)
        return await self.reads.logs.of(account, call) if call is not None else None, account.serial

    async def _patience(self) -> float:
        """Real seconds after which an event is due although nothing was changed."""
        speed = _speed(self.world)
        patience = 1.0 if self._interest.every_second else _HEARTBEAT
        for id, spoken in list(self._spoken.items()) if speed else ():
            log, _ = await self._log(id)
            moment = spoken.next_moment(log)
            if moment is not None:
                patience = min(patience, max(_LISTEN, (moment - self.world.clock.now()) / speed))
        return patience


def _speed(world: World) -> float:
    """How many seconds pass by themselves in one real second; 0 if time moves only when it is told to."""
    clock = world.clock
    if isinstance(clock, LiveClock):
        return clock.speed if clock.running else 0.0
    return clock.speed if isinstance(clock, RealClock) else 0.0


def _packed(packer: Any, event: bytes) -> bytes:
    """An event as it is written: as it is, or so packed that it can be read at once."""
    return event if packer is None else packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)
