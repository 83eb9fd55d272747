"""The arithmetic of staying under the cap (API reference: Rate limits). No waiting is done here, and no clock is read.

Rules:
1. A closed loop. There are as many slots as requests are allowed in a second. A slot is taken when a request may go and
   held until the request that took it must have *arrived* a second ago, as far as the response can tell: until
   ``received - floor + 1 s``, where `floor` is the shortest round trip of its route. Two requests that share a slot then
   arrive a second apart whatever the network does between, so no sliding second at the server holds more than the limit.
   What it costs is the *mean* excess of the round trips over their floor, not the worst one.
2. Floors are per route, so that an endpoint that is always slow costs nothing, up to a second. An endpoint whose own time
   varies does cost: from outside, a slow server and a slow network look alike, and to guess wrong is to break the cap.
   For the same reason a request gives its slot free while it is still away only when it has been away for a second
   and longer than the network ever took, and a request sent after it was answered: then it is not the network that
   stands still. (The kernel's TCP round trip tells no more: it ends at a proxy, and not where requests are counted.)
3. A pacer in front keeps requests apart, for servers that count by buckets or windows: see `pacer`.
4. A request whose arrival is not known (cancelled, timed out, cut off) holds its slot for a second and the largest excess
   seen. One that was never sent gives it back at once.
5. ``X-RateLimit-Limit`` is the limit, as `rate_headers` reads it; it is believed only from the answer to a later request
   than the one believed before.
6. ``X-RateLimit-Remaining`` never gates: near zero is the healthy state of a key in full use. What others use of the key
   is inferred from it: see `share`.
7. A 429 stops everything until its Retry-After, once for all requests that were in flight together, then lets requests
   out at half the pace for a second, and lowers our share of the limit for a while.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush, nsmallest
from itertools import chain, islice
from typing import Final, Literal

from attrs import define, field

from ajoxi_async.contract import headers
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.protocol.pacer import PERIOD, TICK, Pacer
from ajoxi_async.protocol.rate_headers import LimitHeader, pause_after, read_number
from ajoxi_async.protocol.share import Share

__all__ = ["LANES", "Budget", "Lane", "Permit", "check_lane"]

Lane = Literal["interactive", "default", "bulk"]

#: From the first to be served to the last.
LANES: Final[tuple[Lane, ...]] = ("interactive", "default", "bulk")

#: Added to it: clocks tick, and a request that arrives exactly a second later is one too many for some.
GUARD: Final = 0.001
#: Round trips after which the shortest one is forgotten, in two steps: paths change.
_MEMORY: Final = 2000
#: Requests a second that one process may have sent before it heard of a limit.
_COUNTABLE: Final = 5000
#: Round trips after which the shortest is taken for what it is.
_ENOUGH: Final = 50
#: Seconds between looks at X-RateLimit-Remaining and at the excess: at full pace, every answer's.
_COUNT_EVERY: Final = 0.005
#: Seconds of a 429's pause that hold for the clients that come after the last one that met it.
_INHERITED: Final = 2.0


def check_lane(lane: Lane) -> None:
    """Refuse what is no lane."""
    if lane not in LANES:
        raise InvalidParameterError("lane", f"expected one of {', '.join(LANES)}, got {lane!r}")


@define(eq=False)
class Permit:
    """Leave to send one request.

    Attributes:
        lane: whose turn it was.
        taken_at: when it was given, in seconds on the caller's clock.
        holds: whether it holds a slot.
    """

    lane: Lane
    taken_at: float
    holds: bool


@define
class _RoundTrip:
    """What is known of the round trips of one route, in seconds."""

    floor: float = 0.0
    largest: float = 0.0
    count: int = 0
    _lowest: float = float("inf")
    _lowest_before: float = float("inf")
    _mean: float = 0.0

    def note(self, took: float) -> None:
        self.count = count = self.count + 1
        excess = took - self._lowest
        if excess < 0 or count % 16 == 0 or count < _ENOUGH:
            self._learn(took)
        elif excess > self.largest:
            self.largest = excess
        self._mean += (took - self._mean) / min(_MEMORY, count)

    def _learn(self, took: float) -> None:
        count = self.count
        if count % _MEMORY == 0:
            self._lowest_before, self._lowest = self._lowest, took
            self.largest = 0.0
        self._lowest = min(self._lowest, took)
        lowest = min(self._lowest, self._lowest_before)
        self.largest = max(self.largest, took - lowest)
        # The shortest of few is longer than the shortest there is, by about the mean excess over their number; and
        # a few in a row may all have been held up by the same thing.
        mean = self._mean if count > 1 else took
        self.floor = max(0.0, lowest * min(1.0, count / _ENOUGH) - 4 * max(0.0, mean - lowest) / count)


@define
class Budget:
    """State of one key's budget. Times are seconds on the caller's clock, which must not go back.

    Attributes:
        limit: requests a second, or ``None`` for no cap at all.
        refused: 429 answers seen.
    """

    limit: int | None = headers.DEFAULT_RATE
    refused: int = field(init=False, default=0)
    _share: Share = field(init=False, factory=Share)
    _slots: int = field(init=False, default=0)
    #: Slots nobody holds; below zero while slots are still held that a lower limit does away with.
    _free: int = field(init=False, default=0)
    _pacer: Pacer = field(init=False, factory=Pacer)
    #: When held slots are free again: in order as far as answers come in order, and a heap of the others.
    _cooling: deque[float] = field(init=False, factory=deque)
    _cooling_too: list[float] = field(init=False, factory=list)
    #: Turns of requests that are away, in the order of leaving.
    _away: dict[Permit, None] = field(init=False, factory=dict)
    _paused_until: float = field(init=False, default=float("-inf"))
    _refused_at: float = field(init=False, default=float("-inf"))
    #: What the server announces, the header that says nothing new, and the start of the request believed last.
    _header: LimitHeader = field(init=False)
    _limit_text: str | None = field(init=False)
    _believed: float = field(init=False, default=float("-inf"))
    _latest_answered: float = field(init=False, default=float("-inf"))
    _trips: dict[str, _RoundTrip] = field(init=False, factory=dict)
    #: Counting what others use is worth no more than this much time.
    _count_at: float = field(init=False, default=float("-inf"))

    def __attrs_post_init__(self) -> None:
        self._header = LimitHeader(self.limit)
        self._limit_text = self._header.seen
        self._resize()

    # Taking and giving back.

    def take(self, now: float, lane: Lane = "default") -> Permit | None:
        """Take a turn if there is one now."""
        if now < self._paused_until:
            return None
        if self.limit is None:
            return Permit(lane, now, False)
        cooling = self._cooling
        if self._cooling_too or (cooling and cooling[0] <= now + TICK):
            self._cool(now + TICK)
        if self._free < 1 and not self._recall(now):
            self._pacer.starve()
            return None
        if not self._pacer.take(now, self._free):
            return None
        self._free -= 1
        turn = Permit(lane, now, True)
        self._away[turn] = None
        return turn

    def wait(self, now: float) -> float:
        """Seconds until `take` can succeed if nothing else happens; infinite while every slot is away."""
        paused = self._paused_until - now
        if self.limit is None:
            return max(0.0, paused)
        self._cool(now + TICK)
        paced = self._pacer.wait(now, self._free)
        slot = 0.0
        if self._free < 1:
            # Slots that a lowered limit takes away are not to be had, however soon they cool.
            owed = 1 - self._free
            soonest = nsmallest(owed, chain(islice(self._cooling, owed), self._cooling_too))
            slot = soonest[-1] - now if len(soonest) == owed else float("inf")
            if self._free == 0:
                slot = min(slot, self._recalled_at() - now)
        wait = max(paused, paced, slot)
        return wait if wait > TICK else 0.0

    def give_back(self, turn: Permit) -> None:
        """Return the turn of a request that was never sent."""
        if self._away.pop(turn, turn) is None and turn.holds:
            turn.holds = False
            self._free += 1
            self._pacer.give_back()

    def lost(self, turn: Permit, now: float) -> None:
        """The request went out, and when it arrived will not be known."""
        if self._away.pop(turn, turn) is None and turn.holds:
            turn.holds = False
            heappush(self._cooling_too, now + PERIOD + GUARD + self._patience())

    def abandon(self, now: float) -> None:
        """Nobody will settle the turns that are away: the process was forked, or whoever took them is gone."""
        for turn in list(self._away):
            self.lost(turn, now)
        # A fork may have come between two steps of another thread, so the free slots are counted anew.
        self._free = self._slots - len(self._cooling) - len(self._cooling_too)
        self._resize()

    def shorten_pause(self) -> None:
        """Let a 429's pause end `_INHERITED` seconds after the 429, for whoever met it is gone."""
        if self._paused_until > self._refused_at + _INHERITED:
            self._paused_until = self._refused_at + _INHERITED
            self._pacer.restart(self._paused_until, gently=True)

    def _answered(self, turn: Permit, now: float, route: str) -> float:
        """A response came in; returns the seconds it took."""
        sent_at = turn.taken_at
        took = now - sent_at
        trip = self._trips.get(route)
        if trip is None:
            trip = self._trips[route] = _RoundTrip()
        trip.note(took)
        self._latest_answered = max(self._latest_answered, sent_at)
        if turn.holds:
            turn.holds = False
            if self._away.pop(turn, turn) is None:
                free_at = now - trip.floor + (PERIOD + GUARD)
                if not self._cooling or free_at >= self._cooling[-1]:
                    self._cooling.append(free_at)
                else:
                    heappush(self._cooling_too, free_at)
        return took

    def _cool(self, now: float) -> None:
        cooling = self._cooling
        while cooling and cooling[0] <= now:
            cooling.popleft()
            self._free += 1
        while self._cooling_too and self._cooling_too[0] <= now:
            heappop(self._cooling_too)
            self._free += 1

    def _patience(self) -> float:
        """The largest excess of the network, as the steadiest route has seen it; a second while nothing is known."""
        known = [trip.largest for trip in self._trips.values() if trip.count >= 50]
        return min(1.0, max(0.25, min(known))) if known else 1.0

    def _recalled_at(self) -> float:
        oldest = next(iter(self._away), None)
        if oldest is None or oldest.taken_at >= self._latest_answered:
            return float("inf")
        return oldest.taken_at + PERIOD + self._patience()

    def _recall(self, now: float) -> bool:
        """Free the slot of a request that is away for the server's sake and not the network's."""
        if self._free < 0 or self._recalled_at() > now + TICK:
            return False
        oldest = next(iter(self._away))
        del self._away[oldest]
        oldest.holds = False
        self._free += 1
        return True

    @property
    def in_use(self) -> int:
        """Slots held: requests that are away, and those that may have arrived less than a second ago."""
        return self._slots - self._free

    @property
    def pace(self) -> float:
        """Requests a second that go out at most; infinite without a cap."""
        return 1 / self._pacer.interval if self.limit is not None else float("inf")

    # Learning from answers.

    def observe(
        self,
        turn: Permit,
        now: float,
        status: int,
        answer: Mapping[str, str],
        *,
        route: str,
        retry_after: float | None = None,
    ) -> None:
        """A response came in that answered `turn`; learn from when it came and from its headers."""
        took = self._answered(turn, now, route)
        text = answer.get(headers.RATE_LIMIT)
        if text != self._limit_text and turn.taken_at >= self._believed:
            self._hear_limit(text, now, status)
        self._believed = max(self._believed, turn.taken_at)
        if status == 429:
            self._refuse(turn, now, retry_after)
        elif now >= self._count_at and self.limit is not None:
            self._count_at = now + _COUNT_EVERY
            self._pacer.note(took - self._trips[route].floor)
            self._count(answer, self.limit, now, took)

    def _hear_limit(self, text: str | None, now: float, status: int) -> None:
        if self._header.hear(text, status) and self._header.limit != self.limit:
            self._set_limit(self._header.limit, now)
        self._limit_text = self._header.seen

    def _set_limit(self, limit: int | None, now: float) -> None:
        if self.limit is None:
            # What was sent without counting may have arrived just now; not that anybody sends more than thousands.
            slots = limit or 0
            held = slots if slots <= _COUNTABLE else 0
            self._cooling = deque(now + PERIOD * (part + 1) / held for part in range(held))
            self._slots, self._free = slots, slots - held
            self._pacer.restart(now)
        self.limit = limit
        self._resize()

    def _resize(self) -> None:
        if self.limit is None:
            self._slots = self._free = 0
            self._cooling.clear()
            self._cooling_too.clear()
            for turn in self._away:
                turn.holds = False
            self._away.clear()
            return
        slots = max(1, int(self.limit * self._share.part))
        self._free += slots - self._slots
        self._slots = slots
        self._pacer.resize(slots)

    def _refuse(self, turn: Permit, now: float, retry_after: float | None) -> None:
        self.refused += 1
        if turn.taken_at <= self._refused_at:
            return  # it was in flight together with one that was refused before
        self._refused_at = now
        self._paused_until = now + pause_after(retry_after)
        self._pacer.restart(self._paused_until, gently=True)
        if self.limit is not None:
            self._share.refused(now, self._paused_until)
            self._resize()

    def _count(self, answer: Mapping[str, str], limit: int, now: float, took: float) -> None:
        reset, remaining = read_number(answer.get(headers.RATE_RESET)), read_number(answer.get(headers.RATE_REMAINING))
        if reset is None or remaining is None:
            return
        # Ours that the server may have counted: all that hold a slot, and those whose slot came free on the way back.
        ours = self.in_use + limit * took
        if self._share.count(reset, limit - remaining, ours, limit, now):
            self._resize()
