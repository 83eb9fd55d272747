"""From a delivery to the functions that handle its event, whatever the web framework.

    router = WebhookRouter("whsec_...", log=SqliteLog("events.db"))

    @router.on(CallCompleted)
    async def completed(event: CallCompleted) -> None: ...

Rules:
1. Deliveries come at least once and in any order (API reference: Webhooks): an event is *claimed* by its id before it is
   handled and *done* afterwards, in an `EventLog`. One that is done is acknowledged and not handled again; one that is
   being handled, here or by another worker, is answered 503, so that it comes again should that fail.
2. A handler that raises gives 500 and the claim is given up: the platform delivers again, for up to 24 hours. All of an
   event's handlers run, and all run again.
3. The platform waits 15 seconds for an answer. Handlers that take longer than `answer_within` are answered 503 and go on;
   when they are done the next delivery is acknowledged.
4. A handler registered with ``background=True`` runs after the acknowledgement, while ``async with router`` is open; its
   end waits for the handler, even if it is cancelled. What the handler raises is logged; the platform, which was told 204,
   does not deliver again by itself. Where the router is not open on the event loop that takes the delivery (Flask, a
   mounted ASGI app without its lifespan, a process forked after it was opened) the handler runs before the answer like any other.
5. An event is done when all of its handlers are, those in the background too. If a worker dies before, or one of them
   fails, a delivery that comes again, or that an operator replays, is handled.
6. A router may be opened several times, by the lifespans of nested applications for instance, and on several event loops.
   Each loop has tasks of its own, and the last one to leave on a loop waits for them. Any task of the loop may leave.
7. A log that cannot be asked is answered 503. One that fails after the handlers ran changes nothing about the answer.
8. A handler that is not async is refused when it is registered. An object whose call turns out to return nothing that can
   be awaited has done its work by then: that is logged as an error, and the event is taken as handled, for a failure would
   have it delivered and its work done again.
"""

from __future__ import annotations

import inspect
import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import anyio
from attrs import define, frozen

from ajoxi_async.contract.codec import DecodeError, encode
from ajoxi_async.contract.errors import error_body
from ajoxi_async.contract.headers import SIGNATURE
from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.webhooks import Event, UnknownEvent
from ajoxi_async.protocol.callbacks import why_not_async
from ajoxi_async.protocol.errors import ConfigurationError, WebhookSignatureError
from ajoxi_async.runtime.hosting import TaskHost
from ajoxi_async.runtime.loops import Loop, has_ended, running_loop
from ajoxi_async.webhooks import MAX_BYTES, check_secrets, parse_event
from ajoxi_async.webhooks.logs import EventLog, MemoryLog

__all__ = ["Receipt", "WebhookRouter"]

logger: logging.Logger = logging.getLogger("ajoxi_async.webhooks")

E = TypeVar("E", bound=Event)
Handler = Callable[[Any], Awaitable[object]]

#: Seconds the platform waits for an answer.
PLATFORM_WAITS: Final = 15.0


@frozen
class Receipt:
    """What to answer: an HTTP status, and a body in JSON unless it is empty."""

    status: int
    body: bytes = b""


def _refuse(status: int, code: str, message: str, param: str | None = None) -> Receipt:
    return Receipt(status, encode(error_body(code, message, param)))


_HANDLED: Final = Receipt(204)


def _check_handler(handler: object) -> None:
    if (why := why_not_async(handler)) is not None:
        raise ConfigurationError(f"handler: expected an async function that takes the event, got {why}")


def _check_log(log: object) -> None:
    for name in ("claim", "done", "release"):
        why = "a class" if isinstance(log, type) else why_not_async(getattr(log, name, None))
        if why is not None:
            raise ConfigurationError(
                f"log: expected an EventLog such as SqliteLog(path), whose {name} is async; got {type(log).__name__}: {why}"
            )


@frozen
class _Registered:
    handler: Handler
    background: bool


@define(eq=False)
class _Opening:
    """What `WebhookRouter.__aenter__` opened on one event loop, and how often."""

    tasks: TaskHost
    times: int = 0


class _Outcome:
    """What to answer, once it is known; the first thing that is told counts."""

    def __init__(self, passing: tuple[type[Exception], ...]) -> None:
        self.passing = passing
        self.known = anyio.Event()
        self._told: Receipt | Exception | None = None

    def tell(self, what: Receipt | Exception) -> None:
        if self._told is None:
            self._told = what
            self.known.set()

    def receipt(self) -> Receipt:
        if isinstance(self._told, Exception):
            raise self._told
        return self._told or _refuse(503, "service_unavailable", "The event is still being handled.")


class WebhookRouter:
    """Verifies deliveries, sorts out those that came before, and calls handlers.

    Args:
        secret: the webhook's secret, or several while it is rotated.
        log: what remembers which events were handled; by default the memory of this process.
        tolerance: seconds by which ``created_at`` may differ from now; off by default, for retries come for 24 hours.
        answer_within: seconds after which a delivery whose handlers are still at it is answered.
        max_bytes: the largest body that is taken.

    Raises:
        ConfigurationError: there is no secret or an empty one, a number is out of range, or `log` is no `EventLog`.
    """

    def __init__(
        self,
        secret: str | Sequence[str],
        *,
        log: EventLog | None = None,
        tolerance: float | None = None,
        answer_within: float = 10.0,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._secrets = check_secrets(secret)
        if max_bytes < 1:
            raise ConfigurationError(f"max_bytes: expected 1 or more, got {max_bytes}")
        if not 0 < answer_within < PLATFORM_WAITS:
            raise ConfigurationError(f"answer_within: expected seconds between 0 and {PLATFORM_WAITS:g}")
        self.max_bytes = max_bytes
        self._tolerance = tolerance
        self._answer_within = answer_within
        if log is not None:
            _check_log(log)
        self._log: EventLog = log if log is not None else MemoryLog()
        self._handlers: dict[type[Event], list[_Registered]] = {}
        self._fallback: list[_Registered] = []
        self._openings: dict[Loop, _Opening] = {}

    # Registering.

    def on(
        self, kind: type[E], *, background: bool = False
    ) -> Callable[[Callable[[E], Awaitable[object]]], Callable[[E], Awaitable[object]]]:
        """Register a handler for events of a class; `UnknownEvent` for types this version does not know.

        Args:
            kind: `CallCompleted`, for instance.
            background: see rule 4.

        Raises:
            ConfigurationError: `kind` is no class of events, or the handler is not async.
        """
        if not (isinstance(kind, type) and issubclass(kind, Event)):
            raise ConfigurationError(f"kind: expected a class of events such as CallCompleted, got {kind!r}")

        def register(handler: Callable[[E], Awaitable[object]]) -> Callable[[E], Awaitable[object]]:
            _check_handler(handler)
            self._handlers.setdefault(kind, []).append(_Registered(handler, background))
            return handler

        return register

    def unknown(
        self, handler: Callable[[UnknownEvent], Awaitable[object]]
    ) -> Callable[[UnknownEvent], Awaitable[object]]:
        """Register a handler for types this version does not know: ``on(UnknownEvent)``; raises as `on` does."""
        return self.on(UnknownEvent)(handler)

    def fallback(self, handler: Callable[[Event], Awaitable[object]]) -> Callable[[Event], Awaitable[object]]:
        """Register a handler for events that have no other.

        Raises:
            ConfigurationError: the handler is not async.
        """
        _check_handler(handler)
        self._fallback.append(_Registered(handler, background=False))
        return handler

    # Lifetime.

    async def __aenter__(self) -> Self:
        loop = running_loop()
        for other in list(self._openings):
            if has_ended(other):
                self._openings.pop(other, None)
        opening = self._openings.setdefault(loop, _Opening(TaskHost()))
        opening.times += 1
        try:
            await opening.tasks.open()
        except BaseException:
            await self._leave(loop)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(running_loop())

    async def _leave(self, loop: Loop) -> None:
        opening = self._openings.get(loop)
        if opening is None:
            return
        opening.times -= 1
        if not opening.times:
            # Deliveries that come from here on are handled before their answer.
            del self._openings[loop]
            # What was acknowledged is finished, also when whoever opened the router failed.
            await opening.tasks.aclose(cancel=False)

    # Receiving.

    async def receive(
        self, body: bytes, signature: str | None, *, passing: tuple[type[Exception], ...] = ()
    ) -> Receipt:
        """Take one delivery; see the rules for what is answered.

        Args:
            body: the raw bytes of the request.
            signature: the value of ``X-Ajoxi-Signature``, several joined by commas.
            passing: exceptions of handlers that are the framework's own answers: they are raised on.
        """
        if len(body) > self.max_bytes:
            logger.warning("webhook refused: the body is over %d bytes", self.max_bytes)
            return self.too_large()
        try:
            event = parse_event(body, signature, self._secrets, max_bytes=self.max_bytes, tolerance=self._tolerance)
        except WebhookSignatureError as error:
            logger.warning("webhook refused: %s", error)
            if not signature or not signature.strip():
                return _refuse(400, "missing_parameter", "The signature is missing.", SIGNATURE)
            return _refuse(400, "invalid_parameter", "The signature does not match.", SIGNATURE)
        except DecodeError as error:
            logger.error("webhook is signed, and no event: %s", error)
            return _refuse(400, "invalid_json", "The body is not an event.")
        owner = secrets.token_hex(8)
        try:
            state = await self._log.claim(event.id, owner)
        except Exception:
            _report(event)
            return _refuse(503, "service_unavailable", "The event cannot be handled now.")
        if state == "done":
            return _HANDLED
        if state == "running":
            return _refuse(503, "service_unavailable", "The event is being handled.")
        handlers = self._handlers.get(type(event)) or self._fallback
        outcome, opening = _Outcome(passing), self._openings.get(running_loop())
        if opening is None:
            await self._handle(event, owner, handlers, [], outcome)
            return outcome.receipt()
        now = [one for one in handlers if not one.background]
        later = [one for one in handlers if one.background]
        opening.tasks.start_soon(self._handle, event, owner, now, later, outcome)
        with anyio.move_on_after(self._answer_within):
            await outcome.known.wait()
        return outcome.receipt()

    def announced_too_large(self, length: str | None) -> bool:
        """Whether a Content-Length is over the bound; False for one that is missing or no number, which says nothing."""
        length = (length or "").strip().lstrip("0")
        return length.isdecimal() and (len(length) > 18 or int(length) > self.max_bytes)

    def too_large(self) -> Receipt:
        """The answer to a body that need not be read to its end."""
        return _refuse(413, "invalid_parameter", f"The body is over {self.max_bytes} bytes.")

    async def _handle(
        self, event: Event, owner: str, now: list[_Registered], later: list[_Registered], outcome: _Outcome
    ) -> None:
        """Run the handlers, tell the outcome as soon as it is known, and settle the claim."""
        handled = False
        try:
            failed = await _run(event, now, outcome.passing)
            if failed is None and later:
                outcome.tell(_HANDLED)
                # What was acknowledged is finished, whoever is cancelled.
                with anyio.CancelScope(shield=True):
                    failed = await _run(event, later, ())
            handled = failed is None
        finally:  # also when it was cancelled, where nobody knows how far it came
            await self._settle(event, owner, handled)
        if failed is None:
            outcome.tell(_HANDLED)
        elif isinstance(failed, outcome.passing):
            outcome.tell(failed)
        else:
            outcome.tell(_refuse(500, "internal_error", "The event could not be handled."))

    async def _settle(self, event: Event, owner: str, handled: bool) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await (self._log.done(event.id) if handled else self._log.release(event.id, owner))
            except Exception:
                _report(event)


async def _run(event: Event, handlers: list[_Registered], passing: tuple[type[Exception], ...]) -> Exception | None:
    """Run all handlers, and return what the last one that failed raised."""
    failed: Exception | None = None
    for one in handlers:
        try:
            await _call(one.handler, event)
        except Exception as error:
            failed = error
            if not isinstance(error, passing):
                _report(event)
    return failed


async def _call(handler: Handler, event: Event) -> None:
    answer: Any = handler(event)
    if inspect.isawaitable(answer):
        await answer
    elif inspect.isgenerator(answer) or inspect.isasyncgen(answer):
        raise TypeError(f"the handler returned a {type(answer).__name__}, of which nothing has run: make it async")
    else:
        # It has run; a failure would bring the event, and what the handler does, again.
        logger.error(
            "webhook %s: the handler %s is not async: it returned %s and is taken as done; make it an async function",
            mask(repr(event.id)),
            mask(getattr(handler, "__qualname__", type(handler).__qualname__)),
            type(answer).__name__,
        )


def _report(event: Event) -> None:
    # The traceback is masked as text, for a log handler would print the exception as it is.
    logger.error("webhook %s failed: %s", mask(repr(event.id)), mask(traceback.format_exc()))
