"""Hooks: plain functions of the caller that are called with an event for each attempt of a request.

Rules:
1. A hook is called in the task of the call, between its steps. It is not awaited and should return quickly. An async
   function would never run, so `Hooks` refuses it.
2. An exception in a hook is logged; the call goes on.
3. Events hold no key and no body. Paths and messages are masked where they are printed.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from attrs import Attribute, Factory, field, frozen

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.masking import mask, shown
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.pipeline.options import check_headers, merge_headers
from ajoxi_async.protocol.answers import request_id_of
from ajoxi_async.protocol.callbacks import why_not_plain
from ajoxi_async.protocol.errors import ConfigurationError, OutcomeUnknownError
from ajoxi_async.protocol.rate import Lane
from ajoxi_async.protocol.retry import Fate

__all__ = ["Hooks", "RateLimitedEvent", "RequestEvent", "ResponseEvent", "RetryEvent", "Watch", "call_hook", "combine"]

_calls = count(1)

#: Characters of an error that are logged.
_LONGEST = 1000

logger: logging.Logger = logging.getLogger("ajoxi_async")


@frozen(kw_only=True)
class RequestEvent:
    """An attempt is about to be sent.

    Attributes:
        call: the same number for all attempts of one call.
        route: the client's method, such as ``calls.create``.
        url: as sent; its query may hold phone numbers.
        attempt: from 1.
        lane: of the limiter.
        waited: seconds the attempt waited for its turn.
        headers: a dict to which the hook adds headers that are to be sent as well, such as ``traceparent``.
    """

    call: int
    route: str
    method: str
    url: str = field(repr=mask)
    attempt: int
    lane: Lane
    waited: float
    headers: dict[str, str] = Factory(dict)


@frozen(kw_only=True)
class ResponseEvent:
    """An attempt has ended.

    Attributes:
        status: of the response, or ``None`` when there was no response.
        error: why there was no response, masked.
        elapsed: seconds since it was sent.
    """

    call: int
    route: str
    method: str
    url: str = field(repr=mask)
    attempt: int
    fate: Fate
    status: int | None
    request_id: str | None
    error: str | None
    elapsed: float


@frozen(kw_only=True)
class RetryEvent:
    """The request will be sent again after `delay` seconds, besides its wait for a turn. `attempt` is the one that failed.

    Attributes:
        status: of its response, or ``None`` when there was no response.
        error: why there was no response, masked.
    """

    call: int
    route: str
    attempt: int
    fate: Fate
    delay: float
    status: int | None = None
    error: str | None = None


@frozen(kw_only=True)
class RateLimitedEvent:
    """The API answered 429; `retry_after` is in seconds, ``None`` where it did not say."""

    call: int
    route: str
    attempt: int
    retry_after: float | None


Hook = Callable[[Any], object]


def _check_hook(_hooks: object, attribute: Attribute[Any], hook: object) -> None:
    if hook is not None and (why := why_not_plain(hook)) is not None:
        raise ConfigurationError(f"{attribute.name}: expected a plain function, got {why}")


@frozen(kw_only=True)
class Hooks:
    """What is called when; give it to the client as ``hooks=``.

    Attributes:
        on_request: before each attempt.
        on_response: after each attempt, whether it succeeded or failed.
        on_retry: before the wait for another attempt.
        on_rate_limited: at each 429.
        on_outcome_unknown: when it is unknown whether a POST was carried out. The error is also raised, except where the
            task was cancelled after the request had gone out: then this hook is the only report.

    Raises:
        ConfigurationError: one is not a plain function: it cannot be called, or is async.
    """

    on_request: Callable[[RequestEvent], object] | None = field(default=None, validator=_check_hook)
    on_response: Callable[[ResponseEvent], object] | None = field(default=None, validator=_check_hook)
    on_retry: Callable[[RetryEvent], object] | None = field(default=None, validator=_check_hook)
    on_rate_limited: Callable[[RateLimitedEvent], object] | None = field(default=None, validator=_check_hook)
    on_outcome_unknown: Callable[[OutcomeUnknownError], object] | None = field(default=None, validator=_check_hook)


def call_hook(hook: Hook | None, event: object) -> None:
    """Call a hook, if there is one."""
    if hook is None:
        return
    try:
        answer = hook(event)
    except Exception as error:
        logger.error("a hook failed: %s", shown(f"{type(error).__name__}: {error}", _LONGEST))
    else:
        if inspect.iscoroutine(answer):
            answer.close()
            logger.error("a hook is async and did not run: expected a plain function, got %s", type(hook).__name__)


@frozen(kw_only=True)
class Watch:
    """Calls the hooks for the attempts of one call."""

    hooks: Hooks
    route: str
    method: str
    lane: Lane
    call: int = Factory(lambda: next(_calls))

    def begins(self, request: Request, attempt: int, waited: float) -> None:
        """An attempt is about to be sent. Headers that a hook adds are sent with it."""
        event = RequestEvent(
            call=self.call,
            route=self.route,
            method=self.method,
            url=request.url,
            attempt=attempt,
            lane=self.lane,
            waited=waited,
        )
        call_hook(self.hooks.on_request, event)
        try:
            check_headers(event.headers)
        except InvalidParameterError as error:
            logger.error("headers of a hook are left out: %s", error)
        else:
            if event.headers:
                request.headers = merge_headers(request.headers, event.headers)

    def ended(
        self,
        request: Request,
        attempt: int,
        outcome: Response | ExchangeError,
        fate: Fate,
        *,
        elapsed: float,
        retry_after: float | None,
    ) -> None:
        """An attempt has ended."""
        response = outcome if isinstance(outcome, Response) else None
        event = ResponseEvent(
            call=self.call,
            route=self.route,
            method=self.method,
            url=request.url,
            attempt=attempt,
            fate=fate,
            status=response.status if response else None,
            request_id=request_id_of(response.headers) if response else None,
            error=None if response else str(outcome),
            elapsed=elapsed,
        )
        call_hook(self.hooks.on_response, event)
        if fate is Fate.REFUSED:
            call_hook(
                self.hooks.on_rate_limited,
                RateLimitedEvent(call=self.call, route=self.route, attempt=attempt, retry_after=retry_after),
            )

    def cancelled(self, request: Request, attempt: int, elapsed: float) -> None:
        """An attempt was cancelled."""
        fate = Fate.UNKNOWN if request.sent else Fate.NOT_SENT
        self.ended(
            request,
            attempt,
            ExchangeError("cancelled", sent=request.sent),
            fate,
            elapsed=elapsed,
            retry_after=None,
        )

    def retries(self, attempt: int, fate: Fate, delay: float, outcome: Response | ExchangeError) -> None:
        """There will be another attempt."""
        status = outcome.status if isinstance(outcome, Response) else None
        error = None if isinstance(outcome, Response) else str(outcome)
        event = RetryEvent(
            call=self.call, route=self.route, attempt=attempt, fate=fate, delay=delay, status=status, error=error
        )
        call_hook(self.hooks.on_retry, event)


def combine(several: Iterable[Hooks]) -> Hooks:
    """One set of hooks that calls several in turn."""
    hooks = tuple(several)
    if len(hooks) == 1:
        return hooks[0]

    def all_of(name: str) -> Hook | None:
        found = [hook for group in hooks if (hook := getattr(group, name)) is not None]

        def call(event: object) -> None:
            for hook in found:
                call_hook(hook, event)

        return call if found else None

    return Hooks(
        on_request=all_of("on_request"),
        on_response=all_of("on_response"),
        on_retry=all_of("on_retry"),
        on_rate_limited=all_of("on_rate_limited"),
        on_outcome_unknown=all_of("on_outcome_unknown"),
    )
