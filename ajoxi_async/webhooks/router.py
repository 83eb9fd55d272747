"""`WebhookRouter`: verifies deliveries, deduplicates them and calls the handlers of their events, for any web framework.

    router = WebhookRouter("whsec_...", log=SqliteLog("events.db"))

    @router.on(CallCompleted)
    async def completed(event: CallCompleted) -> None: ...

Rules:
1. Deliveries come at least once and in any order (API reference: Webhooks). An event is *claimed* by its id in an `EventLog`
   before it is handled, and marked *done* afterwards. A delivery of an event that is done is acknowledged and not handled
   again. A delivery of an event that is being handled, here or by another worker, is answered 503, so that it comes again in
   case that fails.
2. When a handler raises, the answer is 500 and the claim is released: the platform delivers again, for up to 24 hours. All
   handlers of an event run, and all run again. So it is when a handler awaits a task that was cancelled. What is no `Exception`
   leaves `receive`; other events are handled on.
3. The platform waits 15 seconds for an answer. If handlers take longer than `answer_within`, the answer is 503 and they
   continue; when they are done, the next delivery is acknowledged.
4. A handler registered with ``background=True`` runs after the acknowledgement, while ``async with router`` is open. Leaving
   the block waits for the handler, even when the leaving task is cancelled. An exception of the handler is logged; the
   platform got a 204 and does not deliver again by itself. If the router is not open on the event loop of the delivery (Flask,
   a mounted ASGI app without its lifespan, a process forked after it was opened), the handler runs before the answer like
   any other.
5. An event is done when all of its handlers are, including those in the background. If a worker dies before, or a handler
   fails, the next delivery of the event is handled again, also one that an operator replays.
6. A router may be opened several times, for instance by the lifespans of nested applications, and on several event loops.
   Each loop has tasks of its own, and the last task to leave the router on a loop waits for them. Any task of the loop may
   leave.
7. If the log cannot be read or written, the answer is 503. A log that fails, or takes long, after the handlers ran does not change
   the answer.
8. A handler that is not async is refused when it is registered. If the call of an object returns nothing that can be awaited,
   its work is done already: this is logged as an error, and the event counts as handled, because after a failure it would be
   delivered, and the work done, again.
9. Listeners (`WebhookRouter.add_listener`) see every verified event at once, before it is claimed and each time that it is
   delivered. They have no part in the answer.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable, Sequence, Sized
from types import TracebackType
from typing import Any, Final, Self, TypeVar, get_args

import anyio
from attrs import define, frozen

from ajoxi_async.contract.codec import DecodeError, encode
from ajoxi_async.contract.encoding.exact_values import seconds
from ajoxi_async.contract.errors import error_body
from ajoxi_async.contract.headers import SIGNATURE
from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.webhooks import Event, UnknownEvent
from ajoxi_async.protocol.callbacks import why_not_async, why_not_plain
from ajoxi_async.protocol.errors import ConfigurationError, WebhookSignatureError
from ajoxi_async.runtime.cancellation import stray_cancellation_fails
from ajoxi_async.runtime.hosting import TaskHost
from ajoxi_async.runtime.loops import Loop, has_ended, running_loop
from ajoxi_async.runtime.whole import whole
from ajoxi_async.webhooks import MAX_BYTES, check_max_bytes, check_secrets, check_tolerance, parse_event
from ajoxi_async.webhooks.logs import Claim, EventLog, MemoryLog

__all__ = ["Receipt", "WebhookRouter"]

logger: logging.Logger = logging.getLogger("ajoxi_async.webhooks")

E = TypeVar("E", bound=Event)
Handler = Callable[[Any], Awaitable[object]]

#: Seconds that the platform waits for an answer.
PLATFORM_WAITS: Final = 15.0


@frozen
class Receipt:
    """The answer to a delivery: an HTTP status, and a JSON body unless it is empty."""

    status: int
    body: bytes = b""


def _refuse(status: int, code: str, message: str, param: str | None = None) -> Receipt:
    return Receipt(status, encode(error_body(code, message, param)))


_HANDLED: Final = Receipt(204)
_NOT_NOW: Final = _refuse(503, "service_unavailable", "The event cannot be handled now.")
_FAILED: Final = _refuse(500, "internal_error", "The event could not be handled.")
_CLAIMS: Final = get_args(Claim)


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
    """The task group that a router has on one event loop, and how often the router was opened there."""

    tasks: TaskHost
    times: int = 0


class _Outcome:
    """The answer to a delivery, once it is known. It can be set several times; the first value counts.

    Attributes:
        expected: the answer once the log has noted what became of the event. It is given without waiting for a slow log any longer.
    """

    def __init__(self, passing: tuple[type[Exception], ...]) -> None:
        self.passing = passing
        self.known = anyio.Event()
        self.expected: Receipt | Exception | None = None
        self._answer: Receipt | BaseException | None = None

    def set_answer(self, answer: Receipt | BaseException) -> None:
        if self._answer is None:
            self._answer = answer
            self.known.set()

    def receipt(self) -> Receipt:
        answer = self._answer or self.expected
        if isinstance(answer, BaseException):
            raise answer
        return answer or _refuse(503, "service_unavailable", "The event is still being handled.")


class WebhookRouter:
    """Verifies deliveries, acknowledges repeated ones, and calls the handlers of the others.

    Args:
        secret: the webhook's secret, or several while it is rotated.
        log: remembers which events were handled; by default in the memory of this process.
        tolerance: seconds by which ``created_at`` may differ from now; off by default, because retries come for 24 hours.
        answer_within: seconds after which a delivery is answered although its handlers still run.
        max_bytes: the largest body that is accepted.

    Raises:
        ConfigurationError: there is no secret or an empty one, a number is out of range, or `log` is not an `EventLog`.
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
        self.max_bytes = check_max_bytes(max_bytes)
        self._tolerance = check_tolerance(tolerance)
        self._answer_within = seconds(answer_within) or 0.0
        if not 0 < self._answer_within < PLATFORM_WAITS:
            raise ConfigurationError(f"answer_within: expected seconds between 0 and {PLATFORM_WAITS:g}")
        if log is not None:
            _check_log(log)
        self._log: EventLog = log if log is not None else MemoryLog()
        self._handlers: dict[type[Event], list[_Registered]] = {}
        self._fallback: list[_Registered] = []
        self._openings: dict[Loop, _Opening] = {}
        self._listeners: tuple[Callable[[Event], object], ...] = ()

    # Registering.

    def on(
        self, kind: type[E], *, background: bool = False
    ) -> Callable[[Callable[[E], Awaitable[object]]], Callable[[E], Awaitable[object]]]:
        """Register a handler for events of a class; `UnknownEvent` for types this version does not know.

        Args:
            kind: `CallCompleted`, for instance.
            background: see rule 4.

        Raises:
            ConfigurationError: `kind` is not a class of events, or the handler is not async.
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
        """Register a handler for event types that this version does not know, as ``on(UnknownEvent)`` does."""
        return self.on(UnknownEvent)(handler)

    def fallback(self, handler: Callable[[Event], Awaitable[object]]) -> Callable[[Event], Awaitable[object]]:
        """Register a handler for events that have no other handler.

        Raises:
            ConfigurationError: the handler is not async.
        """
        _check_handler(handler)
        self._fallback.append(_Registered(handler, background=False))
        return handler

    def add_listener(self, listener: Callable[[Event], object]) -> None:
        """Call a plain function with every verified event, as `AsyncAjoxi.listen_to` does (rule 9).

        It runs in the event loop of the delivery and should return quickly. An exception of it is logged.

        Raises:
            ConfigurationError: it is not a plain function.
        """
        if (why := why_not_plain(listener)) is not None:
            raise ConfigurationError(f"listener: expected a plain function, got {why}")
        if listener not in self._listeners:
            self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Callable[[Event], object]) -> None:
        """Do not call a listener any more."""
        self._listeners = tuple(known for known in self._listeners if known != listener)

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
            # From here on, background handlers of new deliveries run before the answer.
            del self._openings[loop]
            # Acknowledged events are handled to the end, also when the block was left with an error.
            await opening.tasks.aclose(cancel=False)

    # Receiving.

    async def receive(
        self, body: bytes, signature: str | None, *, passing: tuple[type[Exception], ...] = ()
    ) -> Receipt:
        """Handle one delivery. The rules above say what is answered.

        Args:
            body: the raw bytes of the request.
            signature: the value of ``X-Ajoxi-Signature``, several joined by commas.
            passing: exceptions of handlers that are the framework's own answers; they are raised again. With a ``status`` of 2xx the
                event counts as handled.

        Raises:
            InvalidParameterError: `body` is not bytes, or `signature` is not text.
        """
        if isinstance(body, Sized) and len(body) > self.max_bytes:
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
            logger.error("webhook is signed, but is not an event: %s", error)
            return _refuse(400, "invalid_json", "The body is not an event.")
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                _report(event)
        owner = secrets.token_hex(8)
        try:
            with stray_cancellation_fails():
                state = await self._log.claim(event.id, owner)
            if state not in _CLAIMS:
                raise TypeError(f"the log's claim returned {state!r:.40}, and not one of {_CLAIMS}")
        except Exception:
            _report(event)
            return _NOT_NOW
        except BaseException:
            # Cancelled: the claim may have been made all the same, and nobody would handle the event while it holds.
            await whole(self._settle(event, owner, handled=False))
            raise
        if state == "done":
            return _HANDLED
        if state == "running":
            return _refuse(503, "service_unavailable", "The event is being handled.")
        handlers = self._handlers.get(type(event)) or self._fallback
        outcome, opening = _Outcome(passing), self._openings.get(running_loop())
        if opening is None or not opening.tasks.is_running:
            await self._handle(event, owner, handlers, [], outcome)
            return outcome.receipt()
        now = [handler for handler in handlers if not handler.background]
        later = [handler for handler in handlers if handler.background]
        opening.tasks.start_soon(self._handle_apart, event, owner, now, later, outcome)
        with anyio.move_on_after(self._answer_within):
            await outcome.known.wait()
        return outcome.receipt()

    def announced_too_large(self, length: str | None) -> bool:
        """Whether a Content-Length is over `max_bytes`; False if it is missing or not a number."""
        length = (length or "").strip().lstrip("0")
        return length.isdecimal() and (len(length) > 18 or int(length) > self.max_bytes)

    def too_large(self) -> Receipt:
        """The answer to a body that is too large; it need not be read to its end."""
        return _refuse(413, "invalid_parameter", f"The body is over {self.max_bytes} bytes.")

    async def _handle_apart(
        self, event: Event, owner: str, now: list[_Registered], later: list[_Registered], outcome: _Outcome
    ) -> None:
        """`_handle` in the router's task group, whose other tasks have to go on whatever a handler raises."""
        try:
            await self._handle(event, owner, now, later, outcome)
        except asyncio.CancelledError:
            outcome.set_answer(_NOT_NOW)
        except (KeyboardInterrupt, SystemExit, anyio.get_cancelled_exc_class()):
            raise
        except BaseException as error:
            _report(event)
            outcome.set_answer(error)

    async def _handle(
        self, event: Event, owner: str, now: list[_Registered], later: list[_Registered], outcome: _Outcome
    ) -> None:
        """Run the handlers, set the outcome as soon as it is known, and mark the event as done or release it."""
        handled = False
        try:
            failed, answer = await _run(event, now, outcome.passing)
            if failed is None and later:
                outcome.set_answer(answer)
                # Shielded, because an acknowledged event has to be handled to the end.
                with anyio.CancelScope(shield=True):
                    failed, _ = await _run(event, later, ())
            handled = failed is None
            if failed is not None:
                answer = failed if isinstance(failed, outcome.passing) else _FAILED
            outcome.expected = answer
        finally:  # also after a cancellation, when it is unknown which handlers have finished
            await whole(self._settle(event, owner, handled=handled))
        outcome.set_answer(answer)

    async def _settle(self, event: Event, owner: str, *, handled: bool) -> None:
        try:
            with stray_cancellation_fails():
                await (self._log.done(event.id) if handled else self._log.release(event.id, owner))
        except Exception:
            _report(event)


async def _run(
    event: Event, handlers: list[_Registered], passing: tuple[type[Exception], ...]
) -> tuple[Exception | None, Receipt | Exception]:
    """Run all handlers; returns the exception of the last one that failed, and the answer if none did."""
    failed: Exception | None = None
    answer: Receipt | Exception = _HANDLED
    for registered in handlers:
        try:
            with stray_cancellation_fails():
                await _call(registered.handler, event)
        except Exception as error:
            if isinstance(error, passing) and _acknowledges(error):
                answer = error
                continue
            failed = error
            if not isinstance(error, passing):
                _report(event)
    return failed, answer


def _acknowledges(answer: Exception) -> bool:
    """Whether an answer of the framework's own, such as aiohttp's ``HTTPAccepted``, is one after which nothing is delivered again."""
    status = getattr(answer, "status", None)
    return isinstance(status, int) and 200 <= status < 300


async def _call(handler: Handler, event: Event) -> None:
    answer: Any = handler(event)
    if inspect.isawaitable(answer):
        await answer
    elif inspect.isgenerator(answer) or inspect.isasyncgen(answer):
        raise TypeError(f"the handler returned a {type(answer).__name__}, which has not run: make the handler async")
    else:
        # It has run, and after a failure the event would be delivered and the handler would run again.
        logger.error(
            "webhook %s: the handler %s is not async: it returned %s and counts as done; make it an async function",
            mask(repr(event.id)),
            mask(getattr(handler, "__qualname__", type(handler).__qualname__)),
            type(answer).__name__,
        )


def _report(event: Event) -> None:
    # The traceback is masked as text, because a log handler would print the exception without masking.
    logger.error("webhook %s failed: %s", mask(repr(event.id)), mask(traceback.format_exc()))
