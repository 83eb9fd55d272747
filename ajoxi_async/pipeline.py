"""The one road of every request: turn at the limiter, send, observe, decode, decide about a retry, round again.

Rules:
1. Every attempt passes the limiter, so retries cannot break the cap.
2. Whether to send again is `protocol.retry`'s to say, and nobody else's.
3. A 401 is answered by a fresh token once, where there is one to be had.
4. One debug line an attempt, under ``ajoxi_async``; secrets and phone numbers masked.
"""

from __future__ import annotations

import logging
import random
import time
import warnings
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar
from urllib.parse import urlencode

import anyio
from attrs import evolve, field, frozen

from ajoxi_async.auth import Credentials
from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.base import Params
from ajoxi_async.contract.codec import PageBody
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.routes import Route
from ajoxi_async.contract.wire import ExchangeError, Request, Response, Transport
from ajoxi_async.limits.local import Limiter
from ajoxi_async.options import CallOptions, check_options
from ajoxi_async.protocol import answers, retry
from ajoxi_async.protocol.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    OutcomeUnknownError,
)
from ajoxi_async.protocol.retry import Fate, RetryPolicy

__all__ = ["AjoxiDeprecationWarning", "Pipeline", "last_response"]

T = TypeVar("T")

logger = logging.getLogger("ajoxi_async")

#: Set by `with_raw_response` to a list that receives the response a call ended with.
last_response: ContextVar[list[Response] | None] = ContextVar("ajoxi_async_last_response", default=None)


class AjoxiDeprecationWarning(DeprecationWarning):
    """The API announced that it retires a route (API reference: Versioning)."""


@frozen(kw_only=True)
class Pipeline:
    """Settings and shared parts of the road. `evolve` makes a variant that shares the pool and the budget.

    Attributes:
        timeout: seconds for each attempt, from connecting to the last byte.
    """

    base_url: str
    credentials: Credentials
    transport: Transport = field(repr=False)
    limiter: Limiter = field(repr=False)
    retry: RetryPolicy
    timeout: float | None
    headers: Mapping[str, str]
    warned: set[str] = field(factory=set, repr=False, eq=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    jitter: Callable[[], float] = field(default=random.random, repr=False)
    sleep: Callable[[float], Any] = field(default=anyio.sleep, repr=False)

    def variant(self, **changes: Any) -> Pipeline:
        """The same road with other settings."""
        return evolve(self, **changes)

    async def call(
        self,
        route: Route[T],
        options: CallOptions,
        *,
        id: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> T:
        """Make one call and decode its answer.

        Raises:
            InvalidParameterError: before anything is sent.
            APIError: see `protocol.errors`.
        """
        response = await self._exchange(route, self.request(route, options, id=id, params=params), options)
        if route.returns is type(None):
            return None
        try:
            return codec.decode(response.body, route.returns)
        except codec.DecodeError as error:
            raise answers.unexpected_answer(response, str(error), route.name) from None

    async def page(self, route: Route[T], options: CallOptions, query: Params) -> PageBody[T]:
        """Fetch one page of a list."""
        response = await self._exchange(route, self.request(route, options, params=query), options)
        try:
            return codec.decode_page(response.body, route.returns)
        except codec.DecodeError as error:
            raise answers.unexpected_answer(response, str(error), route.name) from None

    def request(
        self,
        route: Route[Any],
        options: CallOptions,
        *,
        id: str | None = None,
        params: Mapping[str, Any] | Params | None = None,
    ) -> Request:
        """Check the parameters and build the request, without Authorization and timeout."""
        if options:
            check_options(options)
        url = self.base_url + route.path_for(id)
        kind = route.body or route.query
        if kind is not None and not isinstance(params, Params):
            params = codec.parse_params(dict(params or {}), kind)
        body = None
        sent = self.headers
        if route.body is not None:
            body = codec.encode(params)
            sent = {**sent, headers.CONTENT_TYPE: headers.JSON}
        pairs = codec.to_query(params) if route.query is not None and isinstance(params, Params) else []
        if extra := options.get("extra_query"):
            pairs.extend(extra.items())
        if pairs:
            url = f"{url}?{urlencode(pairs)}"
        if given := options.get("extra_headers"):
            sent = {**sent, **given}
        return Request(route.method, url, sent, body)

    async def _exchange(self, route: Route[Any], request: Request, options: CallOptions) -> Response:
        deadline = self._deadline(options)
        attempt, fresh_token_used = 0, False
        # When the first attempt left that may have been carried out although no success came back.
        perhaps_done_at: float | None = None
        while True:
            attempt += 1
            authorization = await self.credentials.header(self.transport)
            if not self.limiter.try_acquire():
                await self.limiter.acquire(deadline=deadline)
            started = self.clock()
            timeout = self.timeout if deadline is None else min(self.timeout or deadline, deadline - started)
            outgoing = Request(
                request.method,
                request.url,
                {**request.headers, headers.AUTHORIZATION: authorization},
                request.body,
                timeout,
            )
            outcome: Response | ExchangeError
            error_body = None
            wait_for: float | None = None
            wall = time.time()
            try:
                outcome = await self.transport.send(outgoing)
            except ExchangeError as error:
                outcome = error
                if not error.sent:
                    self.limiter.give_back()
            else:
                if outcome.status >= 300:
                    wait_for = answers.retry_after_of(outcome)
                    error_body = answers.error_body_of(outcome)
                self.limiter.observe(outcome.status, outcome.headers, wait_for)
                self._warn_if_retiring(route, outcome)
            if logger.isEnabledFor(logging.DEBUG):
                self._log(route, request, attempt, outcome, self.clock() - started)
            fate = retry.classify(outcome, has_envelope=error_body is not None)
            if isinstance(outcome, Response):
                if (seen := last_response.get()) is not None:
                    seen.append(outcome)
                if fate is Fate.DONE:
                    return outcome
                if outcome.status == 404 and request.method == "DELETE" and perhaps_done_at is not None:
                    return Response(route.status, outcome.headers, b"")
                if outcome.status == 401 and not fresh_token_used and self.credentials.rejected(authorization):
                    fresh_token_used = True
                    continue
            if fate in {Fate.UNKNOWN, Fate.GATEWAY}:
                perhaps_done_at = perhaps_done_at or wall
            delay = retry.delay_before_retry(
                self.retry, fate, request.method, attempt=attempt, retry_after=wait_for, jitter=self.jitter()
            )
            if delay is None or (deadline is not None and self.clock() + delay >= deadline):
                raise self._failure(route, outcome, error_body, attempt, perhaps_done_at)
            await self.sleep(delay)

    def _deadline(self, options: CallOptions) -> float | None:
        timeout = options.get("timeout")
        if timeout is None:
            return None
        if not isinstance(timeout, (int, float)) or not timeout > 0:
            raise InvalidParameterError("timeout", f"expected seconds above 0, got {timeout!r}")
        return self.clock() + timeout

    def _failure(
        self,
        route: Route[Any],
        outcome: Response | ExchangeError,
        error_body: answers.ErrorBody | None,
        attempts: int,
        perhaps_done_at: float | None,
    ) -> APIError:
        if route.method == "POST" and perhaps_done_at is not None:
            unknown = OutcomeUnknownError(
                f"{route.method} {route.path} may or may not have been carried out: {outcome}",
                route=route.name,
                status_code=outcome.status if isinstance(outcome, Response) else None,
                request_id=outcome.headers.get(headers.REQUEST_ID) if isinstance(outcome, Response) else None,
                attempts=attempts,
            )
            unknown.method, unknown.sent_at = route.method, perhaps_done_at
            unknown.__cause__ = outcome if isinstance(outcome, ExchangeError) else None
            return unknown
        if isinstance(outcome, Response):
            return answers.error_from(outcome, error_body, route.name, attempts)
        kind = APITimeoutError if outcome.timeout else APIConnectionError
        failure = kind(outcome.message, route=route.name, attempts=attempts)
        failure.__cause__ = outcome
        return failure

    def _log(
        self, route: Route[Any], request: Request, attempt: int, outcome: Response | ExchangeError, took: float
    ) -> None:
        if isinstance(outcome, Response):
            seen = f"{outcome.status} {outcome.headers.get(headers.REQUEST_ID, '-')}"
        else:
            seen = str(outcome)
        path = request.url.removeprefix(self.base_url)
        line = f"{route.name} {request.method} {path} attempt {attempt}: {seen} in {took * 1000:.1f} ms"
        logger.debug("%s", mask(line))

    def _warn_if_retiring(self, route: Route[Any], response: Response) -> None:
        if route.name in self.warned:
            return
        notice = answers.retirement_notice(route, response.headers)
        if notice is not None:
            self.warned.add(route.name)
            warnings.warn(notice, AjoxiDeprecationWarning, stacklevel=5)
