"""One key's budget shared by any number of processes and machines, through Redis or Valkey (``ajoxi-async[redis]``).

Rules:
1. What is handed out is *send times*, one interval apart, and not tokens: however many a process takes at once, its
   requests go out one interval apart. The pace is 1 % under the limit, so that a request may be a whole interval late and
   no sliding second holds more than the limit. Later than `LATEST` it does not go out at all, but waits for another time.
2. Redis keeps the schedule in one hash and by its own clock; ``schedule.lua`` is all that touches it. `redis_clock` maps its
   clock to ours.
3. Lanes: each gets the next time there is, but only while that is no further ahead than the lane's `AHEAD`: so
   interactive calls never find a long schedule. A lane that got nothing for ten intervals is served all the same.
4. A process that cannot be served is told when to come back; these moments are one interval apart as well, so that
   processes are served in turn, each with one round trip a call.
5. A thread of the limiter's own asks for all that wait in the process, whatever loops they wait in, so that no loop that
   stands still holds up another. It ends `LINGER` seconds after the last that waited. A time that nobody fetches within
   `FETCH` seconds goes to somebody else; the waiters of that loop are passed over until it runs again.
6. Without Redis a process goes by a local share of the limit, 90 % of it through the last known number of workers. It
   begins after every live lease has run out, and the reason is logged. Redis is asked again all the time, whatever the
   reason was. When it is back, empty or not, the schedule begins only after every process has noticed.
7. A worker that alone is cut off from Redis takes its local share on top of what the others do: at most 90 % of one
   worker's part. Nobody can tell that from outside.
8. A forked child is a worker of its own, with its own thread and connections, and an empty queue.
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
from ajoxi_async.limits.redis_line import Line, make_client, reason_of
from ajoxi_async.limits.waiting import Queue, Waiter, make_signal, seconds_left
from ajoxi_async.protocol.errors import APIConnectionError
from ajoxi_async.protocol.rate import Lane, Permit, check_lane
from ajoxi_async.protocol.rate_headers import LimitHeader, pause_after
from ajoxi_async.runtime.forks import renew_in_child

__all__ = ["RedisLimiter"]

logger: logging.Logger = logging.getLogger("ajoxi_async")

#: Seconds after its time at which a request does not go out any more.
LATEST: Final = 0.008
#: Seconds for which interactive, default and bulk calls may be scheduled ahead. No lease lives longer than the first.
AHEAD: Final = (0.2, 0.060, 0.040)
#: Seconds a client may take for an answer, and seconds between looks while Redis is gone.
PATIENCE, LOOK_EVERY = 0.3, 0.1
#: Seconds after Redis failed at which the local share begins, and for which that is scheduled ahead.
LEASES_RUN_OUT, LOCAL_AHEAD = 0.25, 0.2
#: Seconds after which a schedule that was lost, or not used by anybody, begins: all have looked and used up their share.
HOLD: Final = PATIENCE + LOOK_EVERY + LOCAL_AHEAD + 0.05
#: Seconds for which a number of workers is remembered: a Redis that has just begun knows of few.
WORKERS_FOR: Final = 15.0
#: The part of the limit that is used without Redis.
LOCAL_SHARE: Final = 0.9
#: Seconds in which a waiter whose loop runs has fetched its time, and for which an idle thread stays.
FETCH, LINGER = 0.05, 2.0
#: Seconds after which another reason is logged, and after which a refusal is logged again.
TELL_EVERY, REPEAT_EVERY = 5.0, 60.0

SCRIPT: Final = files("ajoxi_async.limits").joinpath("schedule.lua").read_bytes()


@frozen
class _Answer:
    """Send times on our clock, and when to ask again for what was not given."""

    times: Sequence[float]
    come_back: float


class RedisLimiter:
    """A `Limiter` for many processes. Give the same `redis` and `key` to each of them.

        limiter = RedisLimiter("redis://localhost:6379", key="AJX_LIVE_...")
        client = AsyncAjoxi("AJX_LIVE_...", limiter=limiter)

    Redis is asked from a thread of its own, so it serves any number of loops, of asyncio and trio alike.

    Args:
        redis: a URL, or a ``redis.Redis`` (or ``RedisCluster``) of your own. One that takes longer than 0.3 s, for its own
            retries or for want of a timeout, counts as gone meanwhile.
        key: the API key whose budget it is; only a digest of it goes to Redis.
        limit: requests a second until the server says otherwise.
        workers: how many there are taken to be by one that has never reached Redis.

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
        # Without Redis: since when, the next local time, when to look for Redis again, and what was logged when.
        self._gone_since: float | None = None
        self._local_next = self._look_at = 0.0
        self._told, self._told_at = "", 0.0
        self._granted = self._delayed = self._refused = self._forfeited = self._asked = 0
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self._worker = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._client = make_client(self._redis)
        self._script = self._client.register_script(SCRIPT)
        self._line = Line()
        self._lock = Lock()
        #: Something to do for the thread.
        self._changed = Condition(self._lock)
        self._serving = False
        self._queue = Queue()
        #: Times that were given and not fetched yet, and when they were given.
        self._given: dict[Waiter, float] = {}
        self._spare: list[float] = []
        self._ticket = 0.0
        #: Whether somebody waits who is not to wait for the ticket, and whether a pause is to be told to the others.
        self._hurry = self._untold = False
        self._announced = 0

    def renew(self) -> None:
        """Become a worker of its own in a forked child."""
        self._begin()

    def try_acquire(self, lane: Lane = "default") -> Permit | None:
        """See `Limiter`. There is never a turn without asking Redis, unless there is no cap."""
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
        """Wait until a send time is ours; it may lie in the future."""
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
                    self._hurry |= lane == "interactive"
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
        """A send time will not be used: somebody here may have it, or Redis gets it back with the next question."""
        self._spare.append(at)
        self._changed.notify_all()

    # The thread. Whatever begins with an underscore and asks for no lock is called with it.

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
                self._hurry = False
            try:
                answer = self._ask(counts)
            except Exception:  # a fault of ours, which is not to leave those who wait without an answer for ever
                logger.exception("the rate limit's thread failed")
                self._look_at = time.monotonic() + LOOK_EVERY
                answer = self._ask_locally(time.monotonic(), sum(counts.values()))
            with self._lock:
                self._assign(answer.times)
                self._ticket = answer.come_back

    def _wait_for_work(self) -> bool:
        """Wait until Redis is to be asked; returns False when nobody has waited for a while."""
        idle_until: float | None = None
        while True:
            now = time.monotonic()
            self._take_back(now)
            spare, self._spare = self._spare, []
            self._assign([at for at in spare if at > now])
            ready = self._queue.ready()
            if self._untold and self._gone_since is None:
                return True  # the others are to hear of a 429 at once
            if any(ready.values()):
                if now >= self._ticket or (self._hurry and ready["interactive"]):
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
        """Take the times back that nobody fetched, for their loops stand still."""
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

    # Asking. The lock is not held.

    def _ask(self, counts: Mapping[Lane, int]) -> _Answer:
        now = time.monotonic()
        if self._gone_since is not None and (now < self._look_at or self._line.busy):
            return self._ask_locally(now, sum(counts.values()))
        with self._lock:
            refunds, self._spare = self._spare, []
            announced, pause, untold = self._announced, self._pause, self._untold
        offset, trip = self._clock.offset, self._clock.round_trip
        arguments = [
            self._worker,
            counts["interactive"],
            counts["default"],
            counts["bulk"],
            announced,
            round(max(0.0, pause - now) * 1e6) if untold else 0,
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
            answered = self._line.ask(lambda: script(keys=[name], args=sent), PATIENCE)
            then = time.monotonic()
            theirs, come, workers, limit = (int(number) for number in answered[:4])
            times = [int(at) / 1e6 for at in (_text(answered[4])).split(",") if at]
        except BaseException as error:
            return self._without_redis(sum(counts.values()), error)
        jumped = self._clock.note(theirs / 1e6, now, then)
        self._note_workers(then, workers)
        with self._lock:
            self._limit = limit
            if self._announced == announced:
                self._announced = 0
            if self._pause == pause:
                self._untold = False
            if jumped:
                self._spare.clear()
        if self._gone_since is not None:
            logger.warning("Redis is back after %.1f s; the rate limit is shared again", then - self._gone_since)
            self._gone_since = None
        offset = self._clock.offset
        # After a jump the moment to come back was reckoned with the wrong ticket: ask again at once.
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
        since = now - self._told_at
        if (
            self._gone_since is None
            or (reason != self._told and since >= TELL_EVERY)
            or (refused and since >= REPEAT_EVERY)
        ):
            self._told, self._told_at = reason, now
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
        # Not in step with the others, who began at the same moment.
        first = max(self._local_next, now)
        times: list[float] = []
        while len(times) < wanted and first < now + LOCAL_AHEAD:
            times.append(first)
            first += step
        self._local_next = first
        return _Answer(times, min(self._look_at, max(now, first - LOCAL_AHEAD)))

    # Learning.

    def observe(
        self, turn: Permit, route: str, status: int, answer: Mapping[str, str], retry_after: float | None
    ) -> None:
        """See `Limiter`. A new limit goes to Redis with the next question, a 429's pause at once."""
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
                    self._untold = True
                    try:
                        self._wake()
                    except APIConnectionError:  # the next that waits says so
                        pass

    def lost(self, turn: Permit) -> None:
        """See `Limiter`. A send time that was used is used."""

    def give_back(self, turn: Permit) -> None:
        """See `Limiter`. Its time is past."""

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
    """An answer of a client that decodes, or of one that does not."""
    return answer if isinstance(answer, str) else answer.decode()
