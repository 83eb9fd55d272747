"""The faults of a world, and which of them strike. Pure: `applying` and the delivery queues carry them out.

Rules:
1. A fault is looked up by what it matches: the name of a route for faults of answers and streams (``calls.create``,
   ``calls.*``), the type of an event for faults of webhooks (``call.completed``). The patterns are those of a shell.
2. ``when`` counts the matches of the fault itself: ``nth`` strikes at the n-th and never again, ``every`` at each n-th,
   ``times`` at the first n, ``probability`` at a share of them, drawn by seed.
3. ``status``, ``rate_limit_storm``, ``outage``, ``drop_before`` and ``reset`` strike before the command runs: nothing is
   committed. ``latency`` waits before it. ``drop_after_commit``, ``status_after_commit``, ``truncate``, ``malformed`` and
   ``slow`` strike after it. ``commit_late`` ends the connection before it, and lets it run later.
4. ``commit_late`` matches routes that create objects (POST), and ``list_lag`` routes that list objects. An ``outage`` matches no
   request before it begins and after it ended.
5. Every fault counts its matches and its strikes, so that a test can assert that it fired.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from itertools import count
from typing import Any, Literal, get_args

from attrs import asdict, define, field

from ajoxi_async.contract.codec import format_time
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.routes import ROUTES, Route
from ajoxi_async.contract.webhooks import EventType
from ajoxi_async.sandbox.time.moments import at

__all__ = ["SECONDS", "Action", "Fault", "Faults", "When", "names_of"]

When = Literal["nth", "every", "times", "probability"]
Action = Literal[
    "status",
    "latency",
    "drop_before",
    "drop_after_commit",
    "status_after_commit",
    "commit_late",
    "reset",
    "truncate",
    "malformed",
    "slow",
    "rate_limit_storm",
    "outage",
    "list_lag",
    "sse_cut",
    "webhook_duplicate",
    "webhook_reorder",
    "webhook_bad_signature",
]

#: The routes that list created objects. A list of the numbers on offer shows no lag.
LISTS = ("calls.list", "messages.list", "recordings.list", "webhooks.list", "numbers.search")
#: The form of an error code.
_CODE = re.compile(r"[\x21-\x7e]{1,100}")
#: The longest time of a fault, in seconds.
_LONGEST = 86_400
#: The seconds of each action if none are given.
SECONDS = {
    "latency": 1.0,
    "slow": 1.0,
    "rate_limit_storm": 1.0,
    "webhook_reorder": 10.0,
    "commit_late": 90.0,
    "list_lag": 5.0,
    "outage": 60.0,
}


@define(kw_only=True)
class Fault:
    """One fault. Made by `Faults.add`, which says what the fields mean.

    Attributes:
        matched: how many requests or events matched it.
        fired: how often it struck.
        begins: the first moment of an outage on the world's clock, in seconds since the epoch.
    """

    id: str
    match: str
    when: When
    n: int
    p: float
    action: Action
    status: int
    code: str | None
    retry_after: int | None
    seconds: float
    events: int
    matched: int = 0
    fired: int = 0
    begins: float | None = None
    #: The end of a storm, in monotonic seconds.
    until: float = field(default=0.0, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON shows it."""
        shown = asdict(self)
        del shown["until"]
        if self.begins is not None:
            shown["begins"] = format_time(at(self.begins))
        return shown


@define(eq=False)
class Faults:
    """The faults of one world.

    Attributes:
        seed: decides the draws of ``probability``.
        now: returns the present moment of the world's clock.
        changed: called with the id of a fault that is added, removed or matched.
    """

    seed: int = 0
    now: Callable[[], float] = lambda: 0.0
    changed: Callable[[str], None] | None = field(default=None, init=False)
    _faults: dict[str, Fault] = field(factory=dict, init=False)
    _ids: count[int] = field(factory=lambda: count(1), init=False)
    _random: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(f"{self.seed}/faults")

    def __len__(self) -> int:
        return len(self._faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._faults.values()))

    def add(
        self,
        *,
        action: Action,
        match: str = "*",
        when: When = "every",
        n: int = 1,
        p: float = 0.5,
        status: int = 503,
        code: str | None = None,
        retry_after: int | None = None,
        seconds: float | None = None,
        delay: float | None = None,
        events: int = 1,
    ) -> Fault:
        """Add a fault.

        Args:
            action: what goes wrong.
            match: where: a route (``calls.*``), for ``webhook_...`` actions an event type.
            when: which of the matches; with `n`, or `p`.
            n: of ``nth``, ``every`` and ``times``; from 1.
            p: of ``probability``; 0 to 1.
            status: of ``status``, ``status_after_commit`` and ``outage``: the HTTP status, 400 to 599.
            code: of the same: the error code; otherwise one that fits.
            retry_after: of the same and ``rate_limit_storm``: seconds in Retry-After.
            seconds: of ``latency`` and ``slow``: real seconds, for the wire is real; of ``rate_limit_storm``: real seconds
                for which every match is refused; of all others, seconds on the world's clock: of ``webhook_reorder``, by
                which the first attempt is late, so that what happens later is delivered earlier; of ``commit_late``, after
                which the command runs; of ``list_lag``, after which lists show new objects; of ``outage``, how long it
                lasts.
            delay: of ``outage``: seconds on the world's clock from now to its beginning; at once unless given.
            events: of ``sse_cut``: segments after which the stream is cut.

        Returns:
            The fault, whose `fired` a test can look at.

        Raises:
            InvalidParameterError: an argument is wrong; the error names it.
        """
        _one_of("action", action, get_args(Action))
        _one_of("when", when, get_args(When))
        # A pattern that matches nothing is refused: the fault would never strike, and a test would pass without testing it.
        _check(
            "match",
            isinstance(match, str) and any(fnmatchcase(name, match) for name in names_of(action)),
            f"expected a pattern such as 'calls.*', that matches one of {', '.join(names_of(action))}",
        )
        _check("n", type(n) is int and n >= 1, "expected 1 or more")
        _check("p", _number(p) and 0 <= p <= 1, "expected 0 to 1")
        _check("status", type(status) is int and 400 <= status <= 599, "expected 400 to 599")
        _check("code", code is None or (isinstance(code, str) and _CODE.fullmatch(code)), "expected an error code")
        _check(
            "retry_after", retry_after is None or (type(retry_after) is int and retry_after >= 0), "expected seconds"
        )
        _check(
            "seconds", seconds is None or (_number(seconds) and 0 <= seconds <= _LONGEST), f"expected 0 to {_LONGEST}"
        )
        _check(
            "delay",
            delay is None or (action == "outage" and _number(delay) and 0 <= delay <= _LONGEST),
            f"expected 0 to {_LONGEST}, of an outage alone",
        )
        _check("events", type(events) is int and events >= 1, "expected 1 or more")
        fault = Fault(
            id=f"fault_{next(self._ids)}",
            match=match,
            when=when,
            n=n,
            p=p,
            action=action,
            status=status,
            code=code,
            retry_after=retry_after,
            seconds=SECONDS.get(action, 0.0) if seconds is None else float(seconds),
            events=events,
            begins=self.now() + (delay or 0) if action == "outage" else None,
        )
        self._faults[fault.id] = fault
        self._tell(fault.id)
        return fault

    def remove(self, id: str) -> None:
        """Remove a fault.

        Raises:
            KeyError: there is no fault of this id.
        """
        del self._faults[id]
        self._tell(id)

    def clear(self) -> None:
        """Remove every fault."""
        removed = list(self._faults)
        self._faults.clear()
        for id in removed:
            self._tell(id)

    def _tell(self, id: str) -> None:
        if self.changed is not None:
            self.changed(id)

    def of_answers(self, route: str, moment: float) -> list[Fault]:
        """The faults that strike a request, in the order in which they were added. `moment` is monotonic."""
        struck = []
        for fault in self._faults.values():
            if route not in _answers(fault.action) or not fnmatchcase(route, fault.match):
                continue
            if fault.begins is not None and not fault.begins <= self.now() < fault.begins + fault.seconds:
                continue
            if moment < fault.until:
                fault.matched += 1
                fault.fired += 1
                self._tell(fault.id)
                struck.append(fault)
            elif self._strikes(fault):
                if fault.action == "rate_limit_storm":
                    fault.until = moment + fault.seconds
                struck.append(fault)
        return struck

    def first(self, action: Action, name: str) -> Fault | None:
        """The fault of a kind that strikes a stream or an event, if one does."""
        for fault in self._faults.values():
            if fault.action == action and fnmatchcase(name, fault.match) and self._strikes(fault):
                return fault
        return None

    def delay(self, event: str) -> float:
        """Seconds by which an event is delivered late."""
        fault = self.first("webhook_reorder", event) if self._faults else None
        return fault.seconds if fault is not None else 0.0

    def _strikes(self, fault: Fault) -> bool:
        fault.matched += 1
        strikes = {
            "nth": fault.matched == fault.n,
            "every": fault.matched % fault.n == 0,
            "times": fault.matched <= fault.n,
            "probability": fault.when == "probability" and self._random.random() < fault.p,
        }[fault.when]
        fault.fired += strikes
        self._tell(fault.id)
        return strikes


@cache
def names_of(action: Action) -> tuple[str, ...]:
    """The names that a fault of this action can match."""
    if action.startswith("webhook_"):
        return tuple(EventType)
    fits: Callable[[Route[Any]], bool] = {
        "sse_cut": lambda route: route.streaming,
        "commit_late": lambda route: route.method == "POST",
        "list_lag": lambda route: route.name in LISTS,
    }.get(action, lambda _: True)
    return tuple(name for name, route in ROUTES.items() if fits(route))


@cache
def _answers(action: Action) -> frozenset[str]:
    """The routes at whose answers a fault of this action strikes."""
    return frozenset() if action.startswith("webhook_") or action == "sse_cut" else frozenset(names_of(action))


def _number(value: object) -> bool:
    return type(value) in {int, float}


def _check(param: str, right: object, why: str) -> None:
    if not right:
        raise InvalidParameterError(param, why)


def _one_of(param: str, value: object, allowed: tuple[str, ...]) -> None:
    _check(param, value in allowed, f"expected one of {', '.join(allowed)}, got {str(value)[:40]!r}")
