"""The budget of a rate limit: when the next request may be sent (API reference: Rate limits). Pure; no clock is read.

Rules:
1. The limiter is a closed loop with as many slots as requests are allowed in a second. A request takes a slot when it is
   sent. The slot is free again when the request must have *arrived* at least a second ago, as far as the response tells: at
   ``received - floor + 1 s``, where `floor` is the shortest round trip of its route. Two requests that use a slot one after
   the other then arrive at least a second apart whatever the network does, so no sliding second at the server holds more
   than the limit. The cost is the *mean* excess of the round trips over their floor, not the worst one.
2. Floors are kept by route, so that an endpoint that is always slow costs nothing, up to a second. An endpoint whose own
   time varies does cost: from outside, a slow server and a slow network look alike, and a wrong guess would exceed the limit.
   For the same reason the slot of a request without an answer is freed only when the request has been under way for a second
   plus the longest delay of the network so far, and a request that was sent later has been answered. Then the network is not
   what delays it. (The kernel's TCP round trip does not help: it ends at a proxy, not where requests are counted.)
3. A pacer keeps requests apart, for servers that count by buckets or windows: see `pacer`.
4. A request whose arrival is unknown (cancelled, timed out, connection lost) keeps its slot for a second plus the largest
   excess so far. A request that was not sent gives it back at once.
5. ``X-RateLimit-Limit`` is the limit, as `rate_headers` reads it. It counts only in the answer to a request that was sent
   later than the one whose answer counted before.
6. ``X-RateLimit-Remaining`` never stops a request, because a key in full use is always near zero. It is used to infer what
   others use of the key: see `share`.
7. A 429 stops all requests until its Retry-After, once for all requests that were under way together. After it, requests go
   out at half the pace for a second, and this client's share of the limit is lower for a while.
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

#: From the lane that is served first to the one that is served last.
LANES: Final[tuple[Lane, ...]] = ("interactive", "default", "bulk")

#: Seconds added to the second, because clocks are not exact and some servers count a request exactly a second later.
GUARD: Final = 0.001
#: Round trips after which the shortest one is forgotten, in two steps, because network paths change.
_MEMORY: Final = 2000
#: Requests a second that one process can have sent before it learned of a limit.
_COUNTABLE: Final = 5000
#: Number of round trips after which the shortest one is used as the floor without a correction.
_ENOUGH: Final = 50
#: Least seconds between two answers whose X-RateLimit-Remaining and excess are used.
_COUNT_EVERY: Final = 0.005
#: Seconds after a 429 for which its pause applies to clients that are made after the last one that met it was closed.
_INHERITED: Final = 2.0


def check_lane(lane: Lane) -> None:
    """Check the name of a lane.

    Raises:
        InvalidParameterError: there is no such lane.
    """
    if lane not in LANES:
        raise InvalidParameterError("lane", f"expected one of {', '.join(LANES)}, got {lane!r}")


@define(eq=False)
class Permit:
    """Permission to send one request.

    Attributes:
        lane: in which it was waited for.
        taken_at: when it was given, in seconds on the caller's clock.
        holds: whether it holds a slot.
    """

    lane: Lane
    taken_at: float
    holds: bool


@define
class _RoundTrip:
    """The shortest round trip of one route and the largest excess over it, in seconds."""

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
        # The shortest of a few round trips is above the true minimum by about the mean excess divided by their number, and
        # a few in a row may all have been delayed by the same cause.
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
    #: Free slots. Negative while more slots are held than a lowered limit allows.
    _free: int = field(init=False, default=0)
    _pacer: Pacer = field(init=False, factory=Pacer)
    #: When held slots are free again: a queue for those that are in order, and a heap for the others.
    _cooling: deque[float] = field(init=False, factory=deque)
    _cooling_unordered: list[float] = field(init=False, factory=list)
    #: Permits of requests that are under way, in the order of sending.
    _away: dict[Permit, None] = field(init=False, factory=dict)
    _paused_until: float = field(init=False, default=float("-inf"))
    _refused_at: float = field(init=False, default=float("-inf"))
    #: The limit as the server announces it, the header text that changes nothing, and when the request was sent whose answer
    #: counted last.
    _header: LimitHeader = field(init=False)
    _limit_text: str | None = field(init=False)
    _believed: float = field(init=False, default=float("-inf"))
    _latest_answered: float = field(init=False, default=float("-inf"))
    _trips: dict[str, _RoundTrip] = field(init=False, factory=dict)
    #: When X-RateLimit-Remaining is read again.
    _count_at: float = field(init=False, default=float("-inf"))

    def __attrs_post_init__(self) -> None:
        self._header = LimitHeader(self.limit)
        self._limit_text = self._header.seen
        self._resize()

    # Taking and giving back.

    def take(self, now: float, lane: Lane = "default") -> Permit | None:
        """Take a permit if a request may be sent now."""
        if now < self._paused_until:
            return None
        if self.limit is None:
            return Permit(lane, now, False)
        cooling = self._cooling
        if self._cooling_unordered or (cooling and cooling[0] <= now + TICK):
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
        """Seconds until `take` can succeed if no answer comes; infinite while every slot's request is under way."""
        paused = self._paused_until - now
        if self.limit is None:
            return max(0.0, paused)
        self._cool(now + TICK)
        paced = self._pacer.wait(now, self._free)
        slot = 0.0
        if self._free < 1:
            # Slots beyond a lowered limit do not become free, however soon their requests are a second old.
            missing = 1 - self._free
            soonest = nsmallest(missing, chain(islice(self._cooling, missing), self._cooling_unordered))
            slot = soonest[-1] - now if len(soonest) == missing else float("inf")
            if self._free == 0:
                slot = min(slot, self._recalled_at() - now)
        wait = max(paused, paced, slot)
        return wait if wait > TICK else 0.0

    def give_back(self, turn: Permit) -> None:
        """Give back the permit of a request that was not sent."""
        if self._away.pop(turn, turn) is None and turn.holds:
            turn.holds = False
            self._free += 1
            self._pacer.give_back()

    def lost(self, turn: Permit, now: float) -> None:
        """Settle the permit of a request that went out and whose arrival will not be known."""
        if self._away.pop(turn, turn) is None and turn.holds:
            turn.holds = False
            heappush(self._cooling_unordered, now + PERIOD + GUARD + self._patience())

    def abandon(self, now: float) -> None:
        """Settle all permits, because their requests were the parent's before a fork, or their client is gone."""
        for turn in list(self._away):
            self.lost(turn, now)
        # The fork may have happened between two steps of another thread, so the free slots are counted again.
        self._free = self._slots - len(self._cooling) - len(self._cooling_unordered)
        self._resize()

    def shorten_pause(self) -> None:
        """Let a 429's pause end `_INHERITED` seconds after the 429, because the client that met it is gone."""
        if self._paused_until > self._refused_at + _INHERITED:
            self._paused_until = self._refused_at + _INHERITED
            self._pacer.restart(self._paused_until, slow_start=True)

    def _answered(self, turn: Permit, now: float, route: str) -> float:
        """Settle the permit of an answered request; returns the seconds that it took."""
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
                    heappush(self._cooling_unordered, free_at)
        return took

    def _cool(self, now: float) -> None:
        cooling = self._cooling
        while cooling and cooling[0] <= now:
            cooling.popleft()
            self._free += 1
        while self._cooling_unordered and self._cooling_unordered[0] <= now:
            heappop(self._cooling_unordered)
            self._free += 1

    def _patience(self) -> float:
        """The largest excess of the route on which it is smallest, from 0.25 s to 1 s; 1 s while too little is known."""
        known = [trip.largest for trip in self._trips.values() if trip.count >= 50]
        return min(1.0, max(0.25, min(known))) if known else 1.0

    def _recalled_at(self) -> float:
        oldest = next(iter(self._away), None)
        if oldest is None or oldest.taken_at >= self._latest_answered:
            return float("inf")
        return oldest.taken_at + PERIOD + self._patience()

    def _recall(self, now: float) -> bool:
        """Free the slot of a request that the server, and not the network, delays (rule 2)."""
        if self._free < 0 or self._recalled_at() > now + TICK:
            return False
        oldest = next(iter(self._away))
        del self._away[oldest]
        oldest.holds = False
        self._free += 1
        return True

    @property
    def in_use(self) -> int:
        """Slots held by requests that are under way or may have arrived less than a second ago."""
        return self._slots - self._free

    @property
    def pace(self) -> float:
        """Most requests a second that go out; infinite without a cap."""
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
        """Settle the permit of an answered request, and use the time and the headers of the answer."""
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
            # Requests that were sent while there was no cap may have arrived just now, up to `_COUNTABLE` of them.
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
            self._cooling_unordered.clear()
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
            return  # it was under way together with a request that was refused before
        self._refused_at = now
        self._paused_until = now + pause_after(retry_after)
        self._pacer.restart(self._paused_until, slow_start=True)
        if self.limit is not None:
            self._share.refused(now, self._paused_until)
            self._resize()

    def _count(self, answer: Mapping[str, str], limit: int, now: float, took: float) -> None:
        reset, remaining = read_number(answer.get(headers.RATE_RESET)), read_number(answer.get(headers.RATE_REMAINING))
        if reset is None or remaining is None:
            return
        # Own requests that the server may have counted: all that hold a slot, and those whose slot became free while this
        # answer was on its way.
        ours = self.in_use + limit * took
        if self._share.count(reset, limit - remaining, ours, limit, now):
            self._resize()
