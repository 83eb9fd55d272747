"""One key's budget shared by any number of processes and machines, through Redis or Valkey (``ajoxi-async[redis]``).

Rules:
1. What is handed out is *send times*, one interval apart, and not tokens: however many a process takes at once, its
   requests go out one interval apart. The pace is 1 % under the limit, so that a request may be a whole interval late and
   no sliding second holds more than the limit. Later than `LATEST` it does not go out at all, but waits for another time.
2. Redis keeps the schedule in one hash and by its own clock; ``schedule.lua`` is all that touches it. Its clock is mapped to ours
   by the answer that was fastest.
3. Lanes: each gets the next time there is, but only while that is no further ahead than the lane's `AHEAD`: so
   interactive calls never find a long schedule. A lane that got nothing for ten intervals is served all the same.
4. A process that cannot be served is told when to come back; these moments are one interval apart as well, so that
   processes are served in turn, each with one round trip a call.
5. Of all that wait in a process one, the leader, asks. There is no background task.
6. Without Redis a process goes by a local share of the limit, 90 % of it through the last known number of workers. It
   begins after every live lease has run out, and says so once in the log. When Redis is back, empty or not, the schedule
   begins only after every process has noticed.
7. A worker that alone is cut off from Redis takes its local share on top of what the others do: at most 90 % of one
   worker's part. Nobody can tell that from outside.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from importlib.resources import files
from threading import Lock
from typing import Any, Final

import anyio
import anyio.to_thread
from attrs import define, frozen

from ajoxi_async.contract import headers
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.limits import LimiterSnapshot, too_late
from ajoxi_async.limits.waiting import Queue, Waiter, make_signal, seconds_left
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.protocol.rate import Lane, Permit, check_lane

__all__ = ["RedisLimiter"]

logger: logging.Logger = logging.getLogger("ajoxi_async")

#: Seconds after its time at which a request does not go out any more.
LATEST: Final = 0.008
#: Seconds for which interactive, default and bulk calls may be scheduled ahead. No lease lives longer than the first.
AHEAD: Final = (0.2, 0.060, 0.040)
#: Seconds a socket of ours waits for Redis, seconds any client may take, and seconds between looks while it is gone.
SOCKET_TIMEOUT, PATIENCE, LOOK_EVERY = 0.25, 0.3, 0.1
#: Seconds after Redis failed at which the local share begins, and for which that is scheduled ahead.
LEASES_RUN_OUT, LOCAL_AHEAD = 0.25, 0.2
#: Seconds after which a schedule that was lost, or not used by anybody, begins: all have looked and used up their share.
HOLD: Final = PATIENCE + LOOK_EVERY + LOCAL_AHEAD + 0.05
#: Seconds for which a number of workers is remembered: a Redis that has just begun knows of few.
WORKERS_FOR: Final = 15.0
#: The part of the limit that is used without Redis.
LOCAL_SHARE: Final = 0.9

SCRIPT: Final = files("ajoxi_async.limits").joinpath("schedule.lua").read_text("utf-8")


@frozen
class _Answer:
    """Send times on our clock, and when to ask again for what was not given."""

    times: Sequence[float]
    come_back: float


@define
class _Clock:
    """Redis's clock less ours, by the fastest of the last answers."""

    _samples: deque[tuple[float, float]]

    @property
    def round_trip(self) -> float:
        """The shortest seen, in seconds; a guess while none was."""
        return min(self._samples)[0] if self._samples else 0.01

    def note(self, theirs: float, asked: float, answered: float) -> None:
        self._samples.append((answered - asked, theirs - (asked + answered) / 2))

    @property
    def offset(self) -> float:
        """What to take off Redis's time; nothing while it is not known, for then nothing was given."""
        return min(self._samples)[1] if self._samples else 0.0


class RedisLimiter:
    """A `Limiter` for many processes. Give the same `redis` and `key` to each of them.

        limiter = RedisLimiter("redis://localhost:6379", key="AJX_LIVE_...")
        client = AsyncAjoxi("AJX_LIVE_...", limiter=limiter)

    Redis is asked from a worker thread, so it serves asyncio and trio alike.

    Args:
        redis: a URL, or a ``redis.Redis`` (or ``RedisCluster``) of your own. One that takes longer than 0.3 s, for its own
            retries or for want of a timeout, counts as gone meanwhile.
        key: the API key whose budget it is; only a digest of it goes to Redis.
        limit: requests a second until the server says otherwise.
        workers: how many there are taken to be by one that has never reached Redis.

    Raises:
        ConfigurationError: redis-py is not installed.
        InvalidParameterError: `limit` is not a whole number of at least 2, `workers` of at least 1, or `key` is empty.
    """

    def __init__(self, redis: Any, *, key: str, limit: int = headers.DEFAULT_RATE, workers: int = 8) -> None:
        try:
            import redis as library
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise ConfigurationError("RedisLimiter needs redis-py: pip install 'ajoxi-async[redis]'") from None
        if type(limit) is not int or limit < 2:
            raise InvalidParameterError("limit", f"expected requests a second, 2 or more, got {limit!r}")
        if type(workers) is not int or workers < 1:
            raise InvalidParameterError("workers", f"expected 1 or more, got {workers!r}")
        if not isinstance(key, str) or not key:
            raise InvalidParameterError("key", "expected the API key")
        if isinstance(redis, str):
            redis = library.Redis.from_url(
                redis, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=SOCKET_TIMEOUT, retry=Retry(NoBackoff(), 0)
            )
        self._failures = (library.RedisError, OSError)  # a TimeoutError is an OSError
        #: Whether a question is under way; one that took too long is left to end by itself.
        self._asking = False
        self._script = redis.register_script(SCRIPT)
        self._name = f"ajoxi:{{{blake2b(key.encode(), digest_size=12).hexdigest()}}}"
        self._worker = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._limit = self._default = limit
        self._uncapped = False
        self._lock = Lock()
        self._queue = Queue()
        self._leader: Waiter | None = None
        self._clock = _Clock(deque(maxlen=64))
        self._spare: list[float] = []
        self._ticket = 0.0
        self._announced = 0
        self._pause = 0.0
        self._workers = workers
        self._known_workers: deque[tuple[float, int]] = deque()
        self._refused_at = float("-inf")
        # Without Redis: since when, the next local time, and when to look for Redis again.
        self._gone_since: float | None = None
        self._local_next = 0.0
        self._look_at = 0.0
        self._granted = self._delayed = self._refused = self._forfeited = self._asked = 0

    def try_acquire(self, lane: Lane = "default") -> Permit | None:
        """See `Limiter`. There is never a turn without asking Redis, unless there is no cap."""
        return Permit(lane, time.monotonic(), holds=False) if self._uncapped else None

    async def acquire(self, lane: Lane = "default", *, deadline: float | None = None) -> Permit:
        """See `Limiter`."""
        check_lane(lane)
        began = time.monotonic()
        while True:
            at = await self._send_time(lane, deadline)
            try:
                await anyio.sleep(max(0.0, at - time.monotonic()))
            except BaseException:
                with self._lock:
                    self._return(at)
                raise
            now = time.monotonic()
            if now - at <= LATEST:
                self._granted += 1
                self._delayed += now - began > LATEST
                return Permit(lane, now, holds=False)
            self._forfeited += 1

    async def _send_time(self, lane: Lane, deadline: float | None) -> float:
        """Wait until a send time is ours; it may lie in the future."""
        waiter = Waiter(lane)
        with self._lock:
            left = seconds_left(time.monotonic(), deadline)
            self._queue.add(waiter)
            if self._leader is None:
                self._leader = waiter
            elif lane == "interactive":
                self._leader.signal.set()  # it asks at once
        try:
            while waiter.turn is None:
                seconds = await self._lead(waiter) if self._leader is waiter else None
                if waiter.turn is None:
                    if left < float("inf"):
                        remaining = seconds_left(time.monotonic(), deadline)
                        if remaining <= 0:
                            raise too_late(self._expected(lane), remaining)
                        seconds = remaining if seconds is None else min(seconds, remaining)
                    with anyio.move_on_after(seconds):
                        await waiter.signal.wait()
            now, at = time.monotonic(), waiter.turn.taken_at
            if left < float("inf") and at - now > (remaining := seconds_left(now, deadline)):
                raise too_late(at - now, remaining)
            waiter.turn = None
            return at
        finally:
            with self._lock:
                self._queue.discard(waiter)
                if waiter.turn is not None:
                    self._return(waiter.turn.taken_at)
                if self._leader is waiter:
                    self._leader = self._queue.last()
                    if self._leader is not None:
                        self._leader.signal.set()

    def _expected(self, lane: Lane) -> float:
        return self._queue.ahead_of(lane) * self._workers / self._limit

    async def _lead(self, leader: Waiter) -> float:
        """Give the send times there are to those who wait, asking for more; returns seconds until to ask again."""
        leader.signal = make_signal()
        now = time.monotonic()
        with self._lock:
            spare, self._spare = self._spare, []
            self._assign([at for at in spare if at > now])
            counts = self._queue.counts()
        if leader.turn is not None:
            return 0.0
        # The others are to hear of a 429 at once.
        if counts["interactive"] == 0 and self._ticket > now and self._pause == 0.0:
            return self._ticket - now
        answer = await self._ask(counts)
        with self._lock:
            self._assign(answer.times)
            self._ticket = answer.come_back
        return max(0.0, answer.come_back - time.monotonic()) if self._queue else 0.0

    def _assign(self, times: Sequence[float]) -> None:
        for at in sorted(times):
            lane = self._queue.next_lane()
            if lane is None:
                self._spare.append(at)
                continue
            waiter = self._queue.pop(lane)
            waiter.turn = Permit(lane, at, holds=False)
            if waiter is not self._leader:
                waiter.signal.set()

    def _return(self, at: float) -> None:
        """A send time will not be used: somebody here may have it, or Redis gets it back with the next question."""
        self._spare.append(at)
        if self._leader is not None:
            self._leader.signal.set()

    # Asking.

    async def _ask(self, counts: Mapping[Lane, int]) -> _Answer:
        now = time.monotonic()
        if self._gone_since is not None and (now < self._look_at or self._asking):
            return self._ask_locally(now, sum(counts.values()))
        with self._lock:
            refunds, self._spare = self._spare, []
        offset, trip = self._clock.offset, self._clock.round_trip
        arguments = [
            self._worker,
            counts["interactive"],
            counts["default"],
            counts["bulk"],
            self._announced,
            round(max(0.0, self._pause - now) * 1e6),
            int(self._gone_since is not None),
            round((self._ticket + offset) * 1e6) if self._ticket > now else 0,
            self._default,
            round((1.5 * trip + 0.001) * 1e6),
            round(HOLD * 1e6),
            *(round(seconds * 1e6) for seconds in AHEAD),
            ",".join(str(round((at + offset) * 1e6)) for at in refunds if at > now),
        ]
        self._asked += 1
        try:
            answered = await self._run_script(arguments)
        except self._failures as error:
            return self._without_redis(counts, error)
        then = time.monotonic()
        theirs, come, workers, self._limit, times = answered
        self._note_workers(then, workers)
        self._clock.note(int(theirs) / 1e6, now, then)
        self._announced, self._pause = 0, 0.0
        if self._gone_since is not None:
            logger.warning("Redis is back after %.1f s; the rate limit is shared again", then - self._gone_since)
            self._gone_since = None
        offset = self._clock.offset
        split = [int(at) / 1e6 - offset for at in times.decode().split(",") if at]
        return _Answer(split, int(come) / 1e6 - offset if int(come) else 0.0)

    async def _run_script(self, arguments: list[Any]) -> Any:
        def run() -> Any:
            try:
                return self._script(keys=[self._name], args=arguments)
            finally:
                self._asking = False

        self._asking = True
        # Whoever asks asks for all: cancelling one of them does not take the answer from the others.
        with anyio.CancelScope(shield=True), anyio.fail_after(PATIENCE):
            return await anyio.to_thread.run_sync(run, abandon_on_cancel=True)

    def _note_workers(self, now: float, workers: int) -> None:
        known = self._known_workers
        known.append((now, workers))
        while known[0][0] < now - WORKERS_FOR:
            known.popleft()
        self._workers = max(number for _, number in known)

    def _without_redis(self, counts: Mapping[Lane, int], error: Exception) -> _Answer:
        now = time.monotonic()
        if self._gone_since is None:
            logger.warning(
                "Redis is gone (%s); until it is back each of %d workers keeps to its own part of the rate limit",
                type(error).__name__,
                self._workers,
            )
            self._gone_since = now
            self._local_next = now + LEASES_RUN_OUT
        self._look_at = now + LOOK_EVERY
        return self._ask_locally(now, sum(counts.values()))

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
        """See `Limiter`. A new limit goes to Redis with the next question, a 429's pause at once where anybody waits."""
        announced = answer.get(headers.RATE_LIMIT, "")
        if 200 <= status < 300:
            self._uncapped = not announced
        if announced.isascii() and announced.isdigit() and 2 <= int(announced[:10]) != self._limit:
            self._announced = self._limit = int(announced[:10])
        if status == 429:
            self._refused += 1
            now = time.monotonic()
            if turn.taken_at > self._refused_at:
                self._refused_at = now
                self._pause = now + min(1.0 if retry_after is None else retry_after, 60.0)
                self._local_next = max(self._local_next, self._pause)
                if self._leader is not None:
                    self._leader.signal.set()

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
