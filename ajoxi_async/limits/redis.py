"""One key's budget shared by any number of processes and machines, through Redis or Valkey (``ajoxi-async[redis]``).

Rules:
1. The limiter hands out *send times* one interval apart, not tokens: however many a process takes at once, its requests go
   out one interval apart. The pace is 1 % below the limit, so that a request may be a whole interval late without any
   sliding second holding more than the limit. A request that is late by more than `LATEST` waits for another send time.
2. Redis keeps the schedule in one hash and by its own clock. Only ``schedule.lua`` changes it. `redis_clock` converts
   between Redis's clock and the local one.
3. A lane gets the next free send time only while that is no further ahead than the lane's `AHEAD`, so that interactive
   calls never meet a long schedule. A lane that got nothing for ten intervals gets one in any case.
4. A process that gets no send time is told when to ask again. These moments are one interval apart as well, so that
   processes are served in turn, each with one round trip a call.
5. A thread of the limiter asks Redis for all waiting calls of the process, whatever their event loops, so that a blocked
   loop does not delay the others. It ends `LINGER` seconds after the last call has waited. A send time that is not fetched
   within `FETCH` seconds goes to another call; the waiters of that loop are skipped until it runs again.
6. While Redis is unreachable, a process uses its local share: 90 % of the limit divided by the last known number of workers.
   The local share begins after every lease has expired, and the reason is logged. Redis is asked again all the time,
   whatever the reason. When it is back, empty or not, the schedule begins only after every process has noticed.
7. A worker that is the only one without Redis uses its local share in addition to what the others send: at most 90 % of one
   worker's share more than the limit. The other workers cannot detect this.
8. A forked child is a worker of its own, with its own thread and connections and an empty queue.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from importlib.resources import files
from threading import Condition, Lock
from typing import Any, Final

import anyio
from attrs import frozen

from ajoxi_async.contract import headers
from ajoxi_async.contract.encoding.exact_values import integer
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.limits import LimiterSnapshot, too_late
from ajoxi_async.limits.redis_clock import RedisClock
from ajoxi_async.limits.redis_requests import RequestThread, make_client, reason_of
from ajoxi_async.limits.waiting import Queue, Waiter, make_signal, seconds_left
from ajoxi_async.protocol.errors import APIConnectionError
from ajoxi_async.protocol.rate import Lane, Permit, check_lane
from ajoxi_async.protocol.rate_headers import LimitHeader, pause_after
from ajoxi_async.runtime.forks import renew_in_child

__all__ = ["RedisLimiter"]

logger: logging.Logger = logging.getLogger("ajoxi_async")

#: A request that is more seconds late than this is not sent, but waits for another send time.
LATEST: Final = 0.008
#: Seconds for which interactive, default and bulk calls may be scheduled ahead. No lease lasts longer than the first.
AHEAD: Final = (0.2, 0.060, 0.040)
#: Seconds to wait for an answer of Redis, and seconds between attempts while Redis is unreachable.
PATIENCE, LOOK_EVERY = 0.3, 0.1
#: Seconds from a failure of Redis to the beginning of the local share, and for which that is scheduled ahead.
LEASES_RUN_OUT, LOCAL_AHEAD = 0.25, 0.2
#: Seconds before a lost or unused schedule begins. By then every process has noticed and has used up its local share.
HOLD: Final = PATIENCE + LOOK_EVERY + LOCAL_AHEAD + 0.05
#: Seconds for which the number of workers is remembered, because a Redis that has just started knows of few.
WORKERS_FOR: Final = 15.0
#: The part of the limit that all processes together use without Redis.
LOCAL_SHARE: Final = 0.9
#: Seconds within which a waiter has to fetch its send time, and after which an idle thread ends.
FETCH, LINGER = 0.05, 2.0
#: Seconds after which another reason is logged, and after which a refusal is logged again.
TELL_EVERY, REPEAT_EVERY = 5.0, 60.0

SCRIPT: Final = files("ajoxi_async.limits").joinpath("schedule.lua").read_bytes()


@frozen
class _Answer:
    """Send times by the local clock, and when to ask again for those that were not given."""

    times: Sequence[float]
    come_back: float


class RedisLimiter:
    """A `Limiter` for many processes. Give the same `redis` and `key` to each of them.

        limiter = RedisLimiter("redis://localhost:6379", key="AJX_LIVE_...")
        client = AsyncAjoxi("AJX_LIVE_...", limiter=limiter)

    It asks Redis in a thread of its own, so one limiter serves any number of event loops, of asyncio and trio alike.

    Args:
        redis: a URL, or a ``redis.Redis`` (or ``RedisCluster``) of your own. While a client takes longer than 0.3 s, because
            of its own retries or a missing timeout, Redis counts as unreachable.
        key: the API key whose budget it is; only a digest of it is sent to Redis.
        limit: requests a second until the server says otherwise.
        workers: the number of processes to assume before Redis was reached for the first time.

    Raises:
        ConfigurationError: redis-py is not installed, or `redis` is neither a client nor a URL that can be right.
        InvalidParameterError: `limit` is not a whole number of at least 2, `workers` of at least 1, or `key` is empty.
    """

    def __init__(self, redis: Any, *, key: str, limit: int = headers.DEFAULT_RATE, workers: int = 8) -> None:
        rate, count = integer(limit), integer(workers)
        if rate is None or rate < 2:
            raise InvalidParameterError("limit", f"expected requests a second, 2 or more, got {limit!r}")
        if count is None or count < 1:
            raise InvalidParameterError("workers", f"expected 1 or more, got {workers!r}")
        limit, workers = rate, count
        if not isinstance(key, str) or not key:
            raise InvalidParameterError("key", "expected the API key")
        self._redis = redis
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
        self._name = f"ajoxi:{{{digest}}}"
        self._limit = self._default = limit
        self._header = LimitHeader(limit)
        self._uncapped = False
        self._believed = self._refused_at = float("-inf")
        self._clock = RedisClock()
        self._pause = 0.0
        self._workers = workers
        self._known_workers: deque[tuple[float, int]] = deque()
        # While Redis is unreachable: since when, the next local send time, when to try Redis again, and what was logged when.
        self._gone_since: float | None = None
        self._local_next = self._look_at = 0.0
        self._logged_reason, self._logged_at = "", 0.0
        self._granted = self._delayed = self._refused = self._forfeited = self._asked = 0
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self._worker = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._client = make_client(self._redis)
        self._script = self._client.register_script(SCRIPT)
        self._requests = RequestThread()
        self._lock = Lock()
        #: Notified when there is work for the thread.
        self._changed = Condition(self._lock)
        self._serving = False
        self._queue = Queue()
        #: Waiters with a send time that they have not fetched yet, and when it was given.
        self._given: dict[Waiter, float] = {}
        self._spare: list[float] = []
        self._ticket = 0.0
        #: Whether to ask before the time Redis named (`_ticket`), and whether a 429's pause is still to be sent to Redis.
        self._ask_at_once = self._pause_unsent = False
        self._announced = 0

    def renew(self) -> None:
        """Become a worker of its own in a forked child."""
        self._begin()

    def try_acquire(self, lane: Lane = "default") -> Permit | None:
        """See `Limiter`. Without asking Redis there is a permit only when there is no cap."""
        return Permit(lane, time.monotonic(), holds=False) if self._uncapped else None

    async def acquire(self, lane: Lane = "default", *, deadline: float | None = None) -> Permit:
        """See `Limiter`."""
        check_lane(lane)
        began = time.monotonic()
        while True:
            turn = self.try_acquire(lane)
            if turn is not None:
                return turn
            at = await self._send_time(lane, deadline)
            try:
                await anyio.sleep(max(0.0, at - time.monotonic()))
            except BaseException:
                with self._lock:
                    self._return(at)
                raise
            now = time.monotonic()
            with self._lock:
                if now - at <= LATEST:
                    self._granted += 1
                    self._delayed += now - began > LATEST
                    return Permit(lane, now, holds=False)
                self._forfeited += 1

    async def _send_time(self, lane: Lane, deadline: float | None) -> float:
        """Wait for a send time, which may lie in the future."""
        waiter = Waiter(lane)
        with self._lock:
            self._queue.add(waiter)
        try:
            while True:
                left = seconds_left(time.monotonic(), deadline)
                with self._lock:
                    self._queue.stalled.discard(waiter.signal.home)
                    if waiter.turn is not None:
                        at = waiter.turn.taken_at
                        if (wait := at - time.monotonic()) > left:
                            raise too_late(wait, left)
                        waiter.turn = None
                        return at
                    if left <= 0:
                        raise too_late(self._queue.ahead_of(lane) * self._workers / self._limit, left)
                    self._ask_at_once |= lane == "interactive"
                    self._wake()
                if left < float("inf"):
                    with anyio.move_on_after(left):
                        await waiter.signal.wait()
                else:
                    await waiter.signal.wait()
                with self._lock:
                    if waiter.turn is None:
                        waiter.signal = make_signal()
        finally:
            with self._lock:
                self._queue.discard(waiter)
                self._queue.stalled.discard(waiter.signal.home)
                self._given.pop(waiter, None)
                if waiter.turn is not None:
                    self._return(waiter.turn.taken_at)

    def _return(self, at: float) -> None:
        """Give back a send time. Another waiter of this process gets it, or Redis with the next request."""
        self._spare.append(at)
        self._changed.notify_all()

    # The thread. Private methods that do not take the lock are called while it is held.

    def _wake(self) -> None:
        if self._serving:
            self._changed.notify_all()
            return
        try:
            threading.Thread(target=self._serve, name="ajoxi-limiter", daemon=True).start()
        except RuntimeError as error:
            raise APIConnectionError(f"the limiter cannot start a thread: {error}; nothing was sent") from None
        self._serving = True

    def _serve(self) -> None:
        while True:
            with self._lock:
                if not self._wait_for_work():
                    self._serving = False
                    return
                counts = self._queue.ready()
                self._ask_at_once = False
            try:
                answer = self._ask(counts)
            except Exception:  # a bug in the limiter must not leave the waiting calls without an answer for ever
                logger.exception("the rate limit's thread failed")
                self._look_at = time.monotonic() + LOOK_EVERY
                answer = self._ask_locally(time.monotonic(), sum(counts.values()))
            with self._lock:
                self._assign(answer.times)
                self._ticket = answer.come_back

    def _wait_for_work(self) -> bool:
        """Wait until Redis is to be asked; returns False after no call has waited for `LINGER` seconds."""
        idle_until: float | None = None
        while True:
            now = time.monotonic()
            self._take_back(now)
            spare, self._spare = self._spare, []
            self._assign([at for at in spare if at > now])
            ready = self._queue.ready()
            if self._pause_unsent and self._gone_since is None:
                return True  # the other processes have to learn of a 429 at once
            if any(ready.values()):
                if now >= self._ticket or (self._ask_at_once and ready["interactive"]):
                    return True
                idle_until, wait = None, self._ticket - now
            else:
                idle_until = idle_until or now + LINGER
                wait = idle_until - now
                if wait <= 0 and not self._given:
                    return False
            self._changed.wait(min(wait, FETCH) if self._given else wait)

    def _assign(self, times: Sequence[float]) -> None:
        now = time.monotonic()
        for at in sorted(times):
            waiter = self._queue.next()
            while waiter is not None and waiter.signal.ended():
                self._queue.discard_all(waiter.signal.home)
                waiter = self._queue.next()
            if waiter is None:
                self._spare.append(at)
                continue
            self._queue.pop(waiter)
            waiter.turn = Permit(waiter.lane, at, holds=False)
            self._given[waiter] = now
            waiter.signal.set()

    def _take_back(self, now: float) -> None:
        """Take back send times that were not fetched, because their loops are blocked."""
        late = [waiter for waiter, given_at in self._given.items() if given_at <= now - FETCH]
        for waiter in late:
            del self._given[waiter]
            if waiter.turn is not None:
                self._spare.append(waiter.turn.taken_at)
                waiter.turn = None
        self._queue.put_back(late)
        for waiter in late:
            if waiter.signal.ended():
                self._queue.discard_all(waiter.signal.home)
            else:
                self._queue.stalled.add(waiter.signal.home)

    # Asking Redis. The lock is not held.

    def _ask(self, counts: Mapping[Lane, int]) -> _Answer:
        now = time.monotonic()
        if self._gone_since is not None and (now < self._look_at or self._requests.busy):
            return self._ask_locally(now, sum(counts.values()))
        with self._lock:
            refunds, self._spare = self._spare, []
            announced, pause, pause_unsent = self._announced, self._pause, self._pause_unsent
        offset, trip = self._clock.offset, self._clock.round_trip
        arguments = [
            self._worker,
            counts["interactive"],
            counts["default"],
            counts["bulk"],
            announced,
            round(max(0.0, pause - now) * 1e6) if pause_unsent else 0,
            int(self._gone_since is not None),
            round((self._ticket + offset) * 1e6) if self._ticket > now else 0,
            self._default,
            round((1.5 * trip + 0.001) * 1e6),
            round(HOLD * 1e6),
            *(round(seconds * 1e6) for seconds in AHEAD),
            ",".join(str(round((at + offset) * 1e6)) for at in refunds if at > now),
        ]
        self._asked += 1
        name, sent, script = self._name.encode(), [str(argument).encode() for argument in arguments], self._script
        try:
            answered = self._requests.ask(lambda: script(keys=[name], args=sent), PATIENCE)
            then = time.monotonic()
            redis_time, come, workers, limit = (int(number) for number in answered[:4])
            times = [int(at) / 1e6 for at in (_text(answered[4])).split(",") if at]
        except BaseException as error:
            return self._without_redis(sum(counts.values()), error)
        jumped = self._clock.note(redis_time / 1e6, now, then)
        self._note_workers(then, workers)
        with self._lock:
            self._limit = limit
            if self._announced == announced:
                self._announced = 0
            if self._pause == pause:
                self._pause_unsent = False
            if jumped:
                self._spare.clear()
        if self._gone_since is not None:
            logger.warning("Redis is back after %.1f s; the rate limit is shared again", then - self._gone_since)
            self._gone_since = None
        offset = self._clock.offset
        # After a jump of a clock the time to ask again was computed from a wrong ticket, so ask again at once.
        return _Answer([at - offset for at in times], come / 1e6 - offset if come and not jumped else 0.0)

    def _note_workers(self, now: float, workers: int) -> None:
        known = self._known_workers
        known.append((now, workers))
        while known[0][0] < now - WORKERS_FOR:
            known.popleft()
        self._workers = max(number for _, number in known)

    def _without_redis(self, wanted: int, error: BaseException) -> _Answer:
        now = time.monotonic()
        refused, reason = reason_of(error, self._client)
        since = now - self._logged_at
        if (
            self._gone_since is None
            or (reason != self._logged_reason and since >= TELL_EVERY)
            or (refused and since >= REPEAT_EVERY)
        ):
            self._logged_reason, self._logged_at = reason, now
            logger.log(
                logging.ERROR if refused else logging.WARNING,
                "Redis %s (%s); until it is back each of %d workers keeps to its own part of the rate limit",
                "refuses to share the rate limit" if refused else "is gone",
                reason,
                self._workers,
            )
        if self._gone_since is None:
            self._gone_since = now
            self._local_next = max(self._pause, now + LEASES_RUN_OUT)
        self._look_at = now + LOOK_EVERY
        return self._ask_locally(now, wanted)

    def _ask_locally(self, now: float, wanted: int) -> _Answer:
        step = self._workers / (self._limit * LOCAL_SHARE)
        first = max(self._local_next, now)
        times: list[float] = []
        while len(times) < wanted and first < now + LOCAL_AHEAD:
            times.append(first)
            first += step
        self._local_next = first
        return _Answer(times, min(self._look_at, max(now, first - LOCAL_AHEAD)))

    # Settling permits.

    def observe(
        self, turn: Permit, route: str, status: int, answer: Mapping[str, str], retry_after: float | None
    ) -> None:
        """See `Limiter`. A new limit is sent to Redis with the next request, the pause of a 429 at once."""
        with self._lock:
            text = answer.get(headers.RATE_LIMIT)
            if turn.taken_at >= self._believed:
                self._believed = turn.taken_at
                if self._header.hear(text, status):
                    limit = self._header.limit
                    self._uncapped = limit is None
                    if limit is not None and limit != self._limit:
                        self._announced = self._limit = limit
            if status == 429:
                self._refused += 1
                if turn.taken_at > self._refused_at:
                    self._refused_at = time.monotonic()
                    self._pause = self._refused_at + pause_after(retry_after)
                    self._local_next = max(self._local_next, self._pause)
                    self._pause_unsent = True
                    try:
                        self._wake()
                    except APIConnectionError:  # the next call that waits raises it
                        pass

    def lost(self, turn: Permit) -> None:
        """See `Limiter`. Nothing to do: the send time was used."""

    def give_back(self, turn: Permit) -> None:
        """See `Limiter`. Nothing to do: the send time has passed."""

    def snapshot(self) -> LimiterSnapshot:
        """See `Limiter`."""
        with self._lock:
            shared = self._gone_since is None
            return LimiterSnapshot(
                limit=self._limit,
                pace=self._limit * 0.99 if shared else self._limit * LOCAL_SHARE / self._workers,
                in_use=0,
                waiting=self._queue.counts(),
                next_free=max(0.0, self._ticket - time.monotonic()),
                granted=self._granted,
                delayed=self._delayed,
                refused=self._refused,
            )


def _text(answer: str | bytes) -> str:
    """An answer as text, whether the client decodes answers or not."""
    return answer if isinstance(answer, str) else answer.decode()
