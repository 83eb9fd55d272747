"""Five ways a server may count, six ways a network may jitter, and a client between them, all in virtual time.

The client under test is anything with `ask(now) -> float`: 0 when a request may go now, else the seconds to wait. It
hears of every response. Arrivals are counted as the server sees them.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import Any, NamedTuple, Protocol

LIMIT = 100


class Counter(Protocol):
    """How a server counts: whether it admits a request that arrives now, and how many are left."""

    def admit(self, now: float) -> bool: ...

    def remaining(self, now: float) -> int: ...


class FixedWindow:
    """So many from one full second to the next."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit, self.window, self.count = limit, -1, 0

    def admit(self, now: float) -> bool:
        if int(now) != self.window:
            self.window, self.count = int(now), 0
        self.count += 1
        return self.count <= self.limit

    def remaining(self, now: float) -> int:
        return max(0, self.limit - self.count)


class SlidingLog:
    """So many in any second, by a log of each."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.log: deque[float] = deque()

    def admit(self, now: float) -> bool:
        while self.log and self.log[0] <= now - 1:
            self.log.popleft()
        if len(self.log) >= self.limit:
            return False
        self.log.append(now)
        return True

    def remaining(self, now: float) -> int:
        return self.limit - len(self.log)


class SlidingCounter:
    """This window's count and the last one's, weighted by how much of it the last second still holds."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit, self.window, self.count, self.before = limit, -1, 0, 0

    def admit(self, now: float) -> bool:
        if int(now) != self.window:
            self.before = self.count if int(now) == self.window + 1 else 0
            self.window, self.count = int(now), 0
        if self.count + self.before * (1 - now % 1) >= self.limit:
            return False
        self.count += 1
        return True

    def remaining(self, now: float) -> int:
        return max(0, int(self.limit - self.count - self.before * (1 - now % 1)))


class Bucket:
    """A bucket of `burst` tokens, refilled at the limit: a token bucket, or GCRA, which is the same thing."""

    def __init__(self, limit: int = LIMIT, burst: int = LIMIT) -> None:
        self.limit, self.burst = limit, burst
        self.tokens, self.at = float(burst), 0.0

    def admit(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.limit)
        self.at = now
        # A hair under one token is one: sums of hundredths are not exact.
        if self.tokens < 1 - 1e-6:
            return False
        self.tokens -= 1
        return True

    def remaining(self, now: float) -> int:
        return int(self.limit * self.tokens / self.burst)


COUNTERS: Mapping[str, Callable[[], Counter]] = {
    "fixed window": FixedWindow,
    "sliding log": SlidingLog,
    "sliding counter": SlidingCounter,
    "token bucket": Bucket,
    "GCRA, burst 10": lambda: Bucket(burst=10),
}


class Leg(NamedTuple):
    """Seconds on the way to the server, in it, and back."""

    out: float
    inside: float
    back: float


Jitter = Callable[[random.Random, float], Leg]

_WAY = 0.01


def freezing(every: float, *, first: float = 0.5) -> Jitter:
    """The network freezes for 80 ms every so many seconds, first at `first`, and delayed requests arrive together."""

    def leg(rng: random.Random, now: float) -> Leg:
        phase = (now - first) % every
        return Leg(_WAY + max(0.0, 0.08 - phase), 0.0, _WAY)

    return leg


JITTERS: Mapping[str, Jitter] = {
    "none": lambda rng, now: Leg(_WAY, 0, _WAY),
    "uniform 0-10 ms": lambda rng, now: Leg(_WAY + rng.uniform(0, 0.01), 0, _WAY),
    "exponential 5 ms": lambda rng, now: Leg(_WAY + rng.expovariate(1 / 0.005), 0, _WAY),
    "exponential 20 ms": lambda rng, now: Leg(_WAY + rng.expovariate(1 / 0.02), 0, _WAY),
    "freezes of 80 ms, bunched": freezing(every=3),
    "server time varies by 50 ms": lambda rng, now: Leg(_WAY, rng.uniform(0, 0.1), _WAY),
}


class Outcome(NamedTuple):
    """What a run showed.

    Attributes:
        most: arrivals in the fullest sliding second.
        mean: arrivals a second.
        refused: 429 answers a minute.
        excess: mean seconds of a round trip over the shortest.
    """

    most: int
    mean: float
    refused: float
    excess: float


class Client(Protocol):
    """What is tested."""

    def ask(self, now: float) -> float: ...

    def send(self, now: float) -> Any: ...

    def hear(self, sent: Any, now: float, status: int, headers: Mapping[str, str]) -> None: ...


def most_in_a_second(arrivals: list[float]) -> int:
    """The fullest half-open sliding second."""
    return max((bisect_right(arrivals, at + 1 - 1e-9) - index for index, at in enumerate(arrivals)), default=0)


def run(
    client: Client,
    counter: Counter,
    jitter: Jitter,
    *,
    seconds: float = 20.0,
    workers: int = 300,
    skew: float = 0.0,
    foreign: Callable[[float], float] = lambda now: 0.0,
    seed: int = 1,
    announced: int | None = None,
) -> Outcome:
    """Let `workers` send as fast as the client lets them; `foreign` is how many a second others send with the key."""
    rng = random.Random(seed)
    events: list[tuple[float, int, str, Any]] = []
    number, idle, now = 0, workers, 0.0
    arrivals: list[float] = []
    trips: list[float] = []
    refused = 0

    def plan(at: float, kind: str, what: Any) -> None:
        nonlocal number
        number += 1
        heappush(events, (at, number, kind, what))

    plan(0.0, "ask", None)
    if foreign(0.0) or foreign(seconds):
        plan(0.0, "foreign", None)
    asked_for = 0.0
    while events:
        now, _, kind, what = heappop(events)
        if now > seconds:
            break
        if kind == "arrive":
            sent, leg, left = what
            arrivals.append(now)
            admitted = counter.admit(now)
            answer = {
                "X-RateLimit-Limit": str(announced or LIMIT),
                "X-RateLimit-Remaining": str(counter.remaining(now)),
                "X-RateLimit-Reset": str(math.ceil(1_790_000_000 + skew + now + 1e-9)),
                "Route": "slow" if leg.inside > 1 else "quick",
                **({} if admitted else {"Retry-After": "1"}),
            }
            refused += not admitted
            plan(now + leg.inside + leg.back, "hear", (sent, 200 if admitted else 429, answer, left))
        elif kind == "foreign":
            pace = foreign(now)
            if pace:
                counter.admit(now)
            plan(now + (1 / pace if pace else 0.1), "foreign", None)
            continue
        elif kind == "hear":
            sent, status, answer, left = what
            trips.append(now - left)
            client.hear(sent, now, status, answer)
            idle += 1
        elif now < asked_for - 1e-12:
            continue  # a timer that was set anew
        while idle and (wait := client.ask(now)) <= 0:
            leg = jitter(rng, now)
            plan(now + leg.out, "arrive", (client.send(now), leg, now))
            idle -= 1
        else:
            if idle and math.isfinite(wait):
                asked_for = now + max(wait, 1e-6)
                plan(asked_for, "ask", None)
    settled = [at for at in arrivals if at > 2]
    return Outcome(
        most_in_a_second(arrivals),
        len(settled) / (seconds - 2),
        refused * 60 / seconds,
        sum(trips) / len(trips) - min(trips) if trips else 0.0,
    )
