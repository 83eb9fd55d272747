"""Waiting for calls, messages and recordings: woken by webhooks, or by one list request for all waits of an account.

Rules:
1. When to ask the API says `protocol.waits`. There is no background task: whichever waiting task finds that a request is due
   makes it, for all waits of its account. If that task ends meanwhile, another one makes the next.
2. A single wait is asked for by its id where the API has a method for this, several by the newest pages of the list, 200 items
   each and one page a request. What is not on the first `PAGES` pages is asked for by its id afterwards.
3. A failure that may pass (no connection, 5xx, 429) only delays: the next request is its retry. An error that every further request would have ends the
   waits. A call that does not exist is such an error for its own wait.
4. Closing the client ends every wait at once.
"""

from __future__ import annotations

import copy
import logging
from datetime import timedelta
from typing import Any, Final, TypeVar

import anyio
from attrs import define, field

from ajoxi_async.contract import routes
from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.codec import parse_params
from ajoxi_async.contract.encoding.exact_values import exact, seconds
from ajoxi_async.contract.errors import AjoxiError, InvalidParameterError
from ajoxi_async.contract.headers import MAX_PAGE
from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.routes import Route
from ajoxi_async.pipeline.pipeline import Pipeline
from ajoxi_async.pipeline.watchlist import Wait, Watchlist
from ajoxi_async.protocol.errors import (
    APIConnectionError,
    BadRequestError,
    ClientClosedError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    WaitTimeoutError,
)
from ajoxi_async.protocol.retry import RetryPolicy
from ajoxi_async.protocol.waits import LEAST, Kind, Until, pause_between_looks

__all__ = ["wait_for"]

logger: logging.Logger = logging.getLogger("ajoxi_async")

R = TypeVar("R", Call, Message, Recording)

#: Seconds for which the first request waits for other waits that begin at the same time.
_GATHER: Final = 0.05
#: Pages of a list that are read for one round of the waits.
PAGES: Final = 5
#: A request that has taken so many seconds does not keep others from being made.
_STUCK: Final = 90.0
_LISTS: dict[Kind, Route[Any]] = {
    "call": routes.CALLS_LIST,
    "message": routes.MESSAGES_LIST,
    "recording": routes.RECORDINGS_LIST,
}
_RETRIEVE: dict[Kind, Route[Any]] = {"call": routes.CALLS_RETRIEVE, "recording": routes.RECORDINGS_RETRIEVE}
_MODELS: dict[Kind, type[Resource]] = {"call": Call, "message": Message, "recording": Recording}


async def wait_for(
    pipeline: Pipeline, kind: Kind, given: Resource | str, *, until: Until, timeout: float | None, returns: type[R]
) -> R:
    """Wait until an object has the state `until`.

    Args:
        pipeline: of the client.
        kind: of the object.
        given: the object, or its id.
        until: see `protocol.waits`.
        timeout: seconds, or ``None`` to wait for ever.
        returns: the class of the object.

    Raises:
        InvalidParameterError: before anything is sent.
        WaitTimeoutError: the time is up.
        ClientClosedError: the client was closed.
        APIError: the API cannot be asked.
    """
    route = f"{kind}s.wait"
    id, known = _checked(kind, given)
    span = None if timeout is None else seconds(timeout)
    if timeout is not None and (span is None or not 0 < span < float("inf")):
        raise InvalidParameterError("timeout", f"expected seconds above 0, or None, got {timeout!r:.40}")
    pipeline.lifetime.check(route)
    watchlist, clock = pipeline.watchlist, pipeline.clock
    now = clock()
    wait = Wait(kind, id, until, now, span)
    wait.polls_from = now + _GATHER
    if watchlist.knows(kind, id):
        wait.trust(now)
    with anyio.CancelScope() as scope, pipeline.lifetime.ends(scope), watchlist.listed(wait, known):
        looker = _looker(pipeline, wait)
        try:
            while not wait.over:
                if wait.error is not None:
                    raise copy.copy(wait.error)  # other waits raise it as well
                now = clock()
                if wait.deadline is not None and now >= wait.deadline:
                    raise _timed_out(wait)
                due = looker.due(wait, now)
                if due <= now and looker.claim(now):
                    await looker.look(wait)
                else:
                    await _sleep(pipeline, wait, max(due, now + _GATHER), now)
        finally:
            looker.leave(wait)
        if isinstance(wait.state, returns):
            return wait.state
    raise ClientClosedError(f"the client was closed while it waited for {id}", route=route, attempts=0)


def _checked(kind: Kind, given: Resource | str) -> tuple[str, Resource | None]:
    if isinstance(given, _MODELS[kind]):
        return given.id, given
    if kind == "recording" and isinstance(given, Call):
        return given.recording_id or given.id, None
    given = exact(given)
    if not isinstance(given, str):
        raise InvalidParameterError("id", f"expected an id or a {_MODELS[kind].__name__}, got {type(given).__name__}")
    routes.CALLS_RETRIEVE.path_for(given)
    return given, None


def _timed_out(wait: Wait) -> WaitTimeoutError:
    status = getattr(wait.state, "status", None)
    seen = "nothing is known of it" if wait.state is None else f"its last known status is {status}"
    error = WaitTimeoutError(f"{wait.kind} {wait.id} was not {wait.until} within {wait.span:g} s; {seen}")
    error.id, error.until, error.timeout, error.last = wait.id, wait.until, wait.span, wait.state
    return error


async def _sleep(pipeline: Pipeline, wait: Wait, until: float, now: float) -> None:
    with pipeline.watchlist.lock:
        signal = wait.arm()
    if signal is not None:
        until = until if wait.deadline is None else min(until, wait.deadline)
        await pipeline.wait(signal, max(0.0, until - now))


@define
class _Walk:
    """A round through the newest pages of a list."""

    began: float
    query: dict[str, Any]
    cursor: str | None = None
    pages: int = 0
    ended: bool = False


@define(eq=False)
class _Looker:
    """Asks the API for all waits of one account."""

    pipeline: Pipeline
    watchlist: Watchlist
    waits: dict[Wait, None] = field(factory=dict)
    next_at: float = 0.0
    busy_since: float | None = None
    walks: dict[Kind, _Walk] = field(factory=dict)
    looked: dict[Kind, float] = field(factory=dict)
    turns: int = 0

    def due(self, wait: Wait, now: float) -> float:
        """When somebody should ask about a wait."""
        if self.busy_since is not None and now < self.busy_since + _STUCK:
            return max(wait.polls_from, now + LEAST)
        return max(wait.polls_from, self.next_at)

    def claim(self, now: float) -> bool:
        """Take on the next request, unless another task has it."""
        with self.watchlist.lock:
            if now < self.next_at or (self.busy_since is not None and now < self.busy_since + _STUCK):
                return False
            self.busy_since = now
            self.next_at = now + LEAST
            return True

    def leave(self, wait: Wait) -> None:
        """A wait has ended; the looker of the last one is forgotten, once its pause is over."""
        with self.watchlist.lock:
            self.waits.pop(wait, None)
            now, lookers = self.pipeline.clock(), self.watchlist.lookers
            for limiter in [key for key, one in lookers.items() if not one.waits and one.next_at <= now]:
                del lookers[limiter]

    async def look(self, mine: Wait) -> None:
        """Make one request, for the task of `mine`. The end of that wait interrupts it."""
        now = self.pipeline.clock()
        with self.watchlist.lock:
            polled = [wait for wait in self.waits if wait.polls_from <= now]
        kind = min({wait.kind for wait in polled}, key=lambda kind: self.looked.get(kind, 0.0))
        self.looked[kind] = now
        waits = [wait for wait in polled if wait.kind == kind]
        left = float("inf") if mine.deadline is None else mine.deadline - now
        try:
            with anyio.move_on_after(left) as scope, mine.interrupts(scope):
                await self._ask(kind, waits, now)
        except ClientClosedError:
            raise
        except (APIConnectionError, InternalServerError, RateLimitError) as error:
            logger.debug("%s", mask(f"{kind}s.wait: the API could not be asked, and will be again: {error}"))
        except AjoxiError as error:
            with self.watchlist.lock:
                for wait in waits:
                    wait.fail(error)
        finally:
            self._plan(kind, waits, now)

    def _plan(self, kind: Kind, waits: list[Wait], asked: float) -> None:
        """Decide when the next request is due."""
        now = self.pipeline.clock()
        with self.watchlist.lock:
            self.busy_since = None
            pause = pause_between_looks(now - max((wait.began for wait in self.waits), default=now))
            walk = self.walks.get(kind)
            unfinished = walk is not None and not walk.ended
            if unfinished or any(wait.deep and wait.looked_at < now - pause for wait in waits):
                pause = LEAST
            self.next_at = max(self.next_at, now + pause)
            for wait in waits if self.watchlist.listening else ():
                if wait.looked_at >= asked:
                    wait.trust(now)

    async def _ask(self, kind: Kind, waits: list[Wait], now: float) -> None:
        route = _RETRIEVE.get(kind)
        self.turns += 1
        deep = [wait for wait in waits if wait.deep]
        alone = waits if len(waits) == 1 and _has_an_id(waits[0]) else []
        if route is not None and (alone or (deep and (len(deep) == len(waits) or self.turns % 2))):
            wait = min(deep or alone, key=lambda wait: wait.looked_at)
            wait.looked_at = now
            await self._retrieve(wait, route)
        else:
            await self._list(kind, [wait for wait in waits if not wait.deep], now)

    async def _retrieve(self, wait: Wait, route: Route[Any]) -> None:
        try:
            self.watchlist.offer(await self.pipeline.call(route, {}, id=wait.id))
        except NotFoundError as error:
            # A call that is known to exist may be late in this part of the API, and the others may come to be.
            if wait.kind == "call" and wait.state is None:
                with self.watchlist.lock:
                    wait.fail(error)

    async def _list(self, kind: Kind, waits: list[Wait], now: float) -> None:
        """Read a page of the newest objects. After the last page of a round, what was on none of them is `deep`."""
        route, walk = _LISTS[kind], self.walks.get(kind)
        if walk is None or walk.ended:
            walk = self.walks[kind] = _Walk(now, _narrowed(kind, waits))
        assert route.query is not None
        query = parse_params({**walk.query, "limit": MAX_PAGE, "cursor": walk.cursor}, route.query)
        try:
            page = await self.pipeline.page(route, {}, query)
        except BadRequestError:
            if walk.cursor is None:
                raise
            del self.walks[kind]  # the cursor is not valid any more: begin again
            return
        walk.pages += 1
        walk.cursor = page.next_cursor
        found = {state.id for state in page.data} | {getattr(state, "call_id", None) for state in page.data}
        for wait in waits:
            if wait.id in found:
                wait.looked_at = now
        # Waits that began during the round may be on pages that were read before, and belong to the next one.
        missed = [wait for wait in waits if wait.looked_at < walk.began and wait.began <= walk.began]
        walk.ended = walk.cursor is None or walk.pages >= PAGES or not missed
        for wait in missed if walk.ended else ():
            wait.looked_at, wait.deep = now, kind in _RETRIEVE and _has_an_id(wait)
        for state in page.data:
            self.watchlist.offer(state)


def _has_an_id(wait: Wait) -> bool:
    """Whether the object can be retrieved by the id of the wait; a recording may be known by its call's."""
    return wait.kind == "call" or (wait.kind == "recording" and not wait.id.startswith("call_"))


def _narrowed(kind: Kind, waits: list[Wait]) -> dict[str, Any]:
    """A filter that leaves out what is older than everything waited for, where that is known."""
    made = [wait.state.created_at if isinstance(wait.state, Call) else None for wait in waits]
    known = [moment for moment in made if moment is not None]
    # A second earlier, since the reference does not say whether the moment itself is included.
    return {"created_after": min(known) - timedelta(seconds=1)} if kind == "call" and len(known) == len(waits) else {}


def _looker(pipeline: Pipeline, wait: Wait) -> _Looker:
    watchlist = pipeline.watchlist
    with watchlist.lock:
        looker: _Looker | None = watchlist.lookers.get(pipeline.limiter)
        if looker is None:
            # The next request is the retry of one that failed.
            once = pipeline.variant(retry=RetryPolicy(max_retries=0))
            looker = watchlist.lookers[pipeline.limiter] = _Looker(once, watchlist)
        looker.waits[wait] = None
    return looker
