"""How every request is made: wait at the limiter, send, observe the answer, decide about a retry, decode.

Rules:
1. Every attempt waits for a permit of the limiter, so retries cannot exceed the rate limit. Every permit is settled,
   whatever happens.
2. `protocol.retry` alone decides whether to send again.
3. After a 401 the request is sent once more with a fresh token, if the credentials can provide one.
4. A POST that was cancelled after it may have gone out is reported to ``on_outcome_unknown``; the cancellation is then
   raised unchanged.
5. Every POST carries an idempotency key, the same on all its attempts. The API reference does not document such keys, so a
   POST is never sent again because of one.
6. Each attempt logs one debug line under ``ajoxi_async``, and each retry one at INFO (`retry_log`), with secrets and phone
   numbers masked.
7. After the client is closed no call begins and no request is sent again.
8. A call's gate is asked once the attempt has its permit, so that what it checks is true when the request is sent, however
   long the turn was.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
import warnings
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import urlencode

import anyio
import anyio.lowlevel
from attrs import define, evolve, field, frozen

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.base import Params
from ajoxi_async.contract.codec import PageBody
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.headers import IDEMPOTENCY_KEY
from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.routes import Route
from ajoxi_async.contract.wire import ExchangeError, Request, Response, Transport
from ajoxi_async.limits import Limiter
from ajoxi_async.limits.waiting import Signal, wait_for_signal
from ajoxi_async.pipeline.auth import Credentials
from ajoxi_async.pipeline.hooks import Hooks, Watch, call_hook
from ajoxi_async.pipeline.lifetime import Lifetime
from ajoxi_async.pipeline.options import CallOptions, check_options, merge_headers
from ajoxi_async.pipeline.retry_log import log_retry
from ajoxi_async.pipeline.watchlist import Watchlist
from ajoxi_async.protocol import answers, retry
from ajoxi_async.protocol.errors import APITimeoutError, ClientClosedError
from ajoxi_async.protocol.rate import Lane, Permit
from ajoxi_async.protocol.retry import NOT_REPEATABLE, Fate, RetryPolicy, RetryQuota

__all__ = ["AD_HOC", "AjoxiDeprecationWarning", "Pipeline", "last_response"]

#: The name of all routes that this version of the package does not know.
AD_HOC: Final = "request"

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("ajoxi_async")

#: `with_raw_response` sets it to a list, to which the last response of the call is appended.
last_response: ContextVar[list[Response] | None] = ContextVar("ajoxi_async_last_response", default=None)


class AjoxiDeprecationWarning(DeprecationWarning):
    """The API announced that it retires a route (API reference: Versioning)."""


@define
class LatestAnswer:
    """The latest answer of the API, shared by all variants. Its Date header gives the difference of the clocks.

    Attributes:
        heard: its headers, and when it arrived by the pipeline's clock; ``None`` before the first answer.
    """

    heard: tuple[Mapping[str, str], float] | None = None


@frozen(kw_only=True)
class Pipeline:
    """Settings of the client and the objects that its calls share. `variant` changes settings and shares the rest.

    Attributes:
        timeout: seconds for each attempt, from connecting to the last byte.
        lane: of the limiter, unless a call has its own.
        idempotency_header: the header that carries a POST's idempotency key; ``None`` to send none.
        client_references: whether a generated ``client_reference`` is added to the metadata of each call that is created.
    """

    base_url: str
    credentials: Credentials
    transport: Transport = field(repr=False)
    limiter: Limiter = field(repr=False)
    retry: RetryPolicy
    timeout: float | None
    headers: Mapping[str, str]
    lane: Lane = "default"
    idempotency_header: str | None = IDEMPOTENCY_KEY
    client_references: bool = False
    hooks: Hooks | None = None
    quota: RetryQuota = field(repr=False)
    lifetime: Lifetime = field(factory=Lifetime, repr=False, eq=False)
    watchlist: Watchlist = field(factory=Watchlist, repr=False, eq=False)
    latest: LatestAnswer = field(factory=LatestAnswer, repr=False, eq=False)
    #: By route: the time of the next check for a retirement notice. Checking once a second is enough.
    next_retirement_check: dict[str, float] = field(factory=dict, repr=False, eq=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    jitter: Callable[[], float] = field(default=random.random, repr=False)
    sleep: Callable[[float], Any] = field(default=anyio.sleep, repr=False)
    #: Waits for a signal for at most so many seconds.
    wait: Callable[[Signal, float], Awaitable[None]] = field(default=wait_for_signal, repr=False)

    @quota.default
    def _own_quota(self) -> RetryQuota:
        return RetryQuota(self.retry.quota)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client, and what it makes (pagers, streams), cannot be pickled or copied deeply, because its connections and its"
            " limiter belong to this process: make a client where it is used"
        )

    def variant(self, **changes: Any) -> Pipeline:
        """A pipeline with some settings changed."""
        if "retry" in changes:
            changes["quota"] = RetryQuota(changes["retry"].quota)
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
        response = await self.exchange(route, self.request(route, options, id=id, params=params), options, params)
        if route.returns is type(None):
            return None
        try:
            return codec.decode(response.body, route.returns)
        except codec.DecodeError as error:
            raise answers.unexpected_answer(response, str(error), route.name) from None

    async def page(self, route: Route[T], options: CallOptions, query: Params) -> PageBody[T]:
        """Fetch one page of a list."""
        response = await self.exchange(route, self.request(route, options, params=query), options)
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
        has_body: bool = False,
    ) -> Request:
        """Check the parameters and build the request, without Authorization and timeout.

        `has_body` says that the caller of this function puts a JSON object into the request, whatever the route says.
        """
        if options:
            check_options(options, gated=True, has_body=has_body or route.body is not None)
        url = self.base_url + route.path_for(id)
        kind = route.body or route.query
        body = None
        sent = {**self.headers}
        if kind is not None:
            if not isinstance(params, Params):
                params = codec.parse_params(dict(params or {}), kind)
            if route.body is not None:
                extra = options.get("extra_body") if options else None
                body = codec.encode(params if not extra else self._with_extra(params, extra))
                sent[headers.CONTENT_TYPE] = headers.JSON
            elif pairs := codec.to_query(params):
                url = f"{url}?{urlencode(pairs)}"
        if route.method == "POST" and self.idempotency_header is not None:
            sent[self.idempotency_header] = uuid.uuid4().hex
        if options:
            if extra := options.get("extra_query"):
                url = f"{url}{'&' if '?' in url else '?'}{urlencode(list(extra.items()))}"
            if given := options.get("extra_headers"):
                sent = merge_headers(sent, given)
        return Request(route.method, url, sent, body)

    @staticmethod
    def _with_extra(params: Params, extra: Mapping[str, Any]) -> dict[str, Any]:
        """The body of parameters and of `extra`, which may hold only what the parameters class does not know."""
        known = codec.wire_names(type(params))
        for name in extra.keys() & known:
            raise InvalidParameterError("extra_body", f"expected names that the method does not know, got {name!r}")
        codec.encode(dict(extra), "extra_body")  # Its errors are told by its own name.
        return codec.to_wire(params) | dict(extra)

    async def exchange(
        self, route: Route[Any], request: Request, options: CallOptions, params: Mapping[str, Any] | None = None
    ) -> Response:
        """Send a request, again where that is safe, and return its answer of 2xx.

        Args:
            route: names the request in errors, hooks, the log and the limiter.
            request: what `request` has made.
            options: checked.
            params: what the caller gave, for an `OutcomeUnknownError`.

        Raises:
            APIError: see `protocol.errors`.
        """
        limiter, lane, deadline, gate = self.limiter, self.lane, None, None
        if options:
            lane, deadline, gate = options.get("lane") or lane, self._deadline(options), options.get("gate")
        attempt, drawn, fresh_token_used = 0, 0, False
        # When, by our clock, the first attempt was sent that may have been carried out although no success came back.
        perhaps_done_at: float | None = None
        began: float | None = None
        outcome: Response | ExchangeError | None = None
        lifetime = self.lifetime
        if lifetime.closed:
            lifetime.check(route.name)
        watch = None
        if self.hooks is not None:
            watch = Watch(hooks=self.hooks, route=route.name, method=route.method, lane=lane)
        try:
            while True:
                outcome = None
                authorization = self.credentials.at_hand
                if authorization is None:
                    authorization = await self.authorization(route.name, deadline)
                asked = self.clock() if watch is not None else 0.0
                permit = limiter.try_acquire(lane)
                if permit is None:
                    permit = await self.turn(route.name, lane, deadline)
                started = self.clock()
                if deadline is not None and started >= deadline:
                    limiter.give_back(permit)
                    raise APITimeoutError("the time was up before it was sent", route=route.name, attempts=attempt)
                if gate is not None:
                    try:
                        gate()
                    except BaseException:
                        limiter.give_back(permit)
                        raise
                attempt += 1
                if began is None:
                    began = started
                else:  # Copied, because a hook may still hold the request of the attempt before.
                    request = evolve(request, headers={**request.headers}, sent=True)
                request.headers[headers.AUTHORIZATION] = authorization  # type: ignore[index]  # its own, made in `request`
                request.timeout = self.timeout
                if deadline is not None:
                    request.timeout = min(self.timeout or deadline - started, deadline - started)
                if watch is not None:
                    watch.begins(request, attempt, started - asked)
                error_body = None
                wait_for: float | None = None
                try:
                    outcome = await self.transport.send(request)
                except ExchangeError as error:
                    outcome = error
                    (limiter.lost if error.sent else limiter.give_back)(permit)
                except BaseException:
                    if watch is not None:
                        watch.cancelled(request, attempt, self.clock() - started)
                    (limiter.lost if request.sent else limiter.give_back)(permit)
                    if request.sent and perhaps_done_at is None:
                        perhaps_done_at = started
                    raise
                else:
                    self.latest.heard = outcome.headers, self.clock()
                    try:
                        if outcome.status >= 300:
                            wait_for = answers.retry_after_of(outcome)
                            error_body = answers.error_body_of(outcome)
                    finally:
                        limiter.observe(permit, route.name, outcome.status, outcome.headers, wait_for)
                    if started >= self.next_retirement_check.get(route.name, 0.0):
                        self._warn_if_retiring(route, outcome, started)
                    if (seen := last_response.get()) is not None:
                        seen.append(outcome)
                fate = retry.classify(outcome, has_envelope=error_body is not None)
                if logger.isEnabledFor(logging.DEBUG):
                    self._log(route, request, attempt, outcome, self.clock() - started)
                if watch is not None:
                    elapsed = self.clock() - started
                    watch.ended(request, attempt, outcome, fate, elapsed=elapsed, retry_after=wait_for)
                if isinstance(outcome, Response):
                    if fate is Fate.DONE:
                        if self.quota.left < self.quota.capacity:
                            self.quota.earn(drawn)
                        return outcome
                    if outcome.status == 404 and request.method == "DELETE" and perhaps_done_at is not None:
                        return Response(route.status, outcome.headers, b"")
                    if outcome.status == 401 and not fresh_token_used and self.credentials.rejected(authorization):
                        fresh_token_used = True
                        log_retry(
                            route.name,
                            request.method,
                            outcome,
                            attempt=attempt,
                            fate=fate,
                            delay=0.0,
                            retry_after=None,
                        )
                        continue
                if fate in {Fate.UNKNOWN, Fate.GATEWAY} and perhaps_done_at is None:
                    perhaps_done_at = started
                delay = retry.delay_before_retry(
                    self.retry, fate, request.method, attempt=attempt, retry_after=wait_for, jitter=self.jitter()
                )
                if delay is None or lifetime.closed or not self.may_wait(delay, fate, began, deadline):
                    if isinstance(outcome, Response):
                        raise answers.error_from(outcome, error_body, route.name, attempt)
                    if lifetime.closed:
                        # Who cancels a call and closes the client at once wants it cancelled, whichever reached the socket first.
                        await anyio.lowlevel.checkpoint_if_cancelled()
                        raise ClientClosedError(outcome.message, route=route.name, attempts=attempt) from outcome
                    raise answers.no_answer(outcome, route.name, attempt)
                drawn += fate is not Fate.REFUSED
                log_retry(
                    route.name, request.method, outcome, attempt=attempt, fate=fate, delay=delay, retry_after=wait_for
                )
                if watch is not None:
                    watch.retries(attempt, fate, delay, outcome)
                await self.pause(route.name, delay)
        except BaseException as error:
            if perhaps_done_at is None or route.method not in NOT_REPEATABLE:
                raise
            # An earlier attempt of this POST may have been carried out, whatever error ends the call now.
            unknown = answers.outcome_unknown(
                route,
                request,
                outcome,
                params=params,
                idempotency_header=self.idempotency_header,
                sent_at=self._wall(perhaps_done_at),
                sent_on_our_clock=perhaps_done_at,
                heard=self.latest.heard,
                attempts=attempt,
            )
            if self.hooks is not None:
                call_hook(self.hooks.on_outcome_unknown, unknown)
            if not isinstance(error, Exception):
                raise
            raise unknown from (outcome if isinstance(outcome, ExchangeError) else error)

    async def authorization(self, route: str, deadline: float | None) -> str:
        """The value of the Authorization header.

        Raises:
            APITimeoutError: there was no token before the deadline.
            ClientClosedError: the client was closed.
        """
        if self.credentials.at_hand is not None:
            return self.credentials.at_hand
        header = self.lifetime.bound(route, self.credentials.header(self.transport))
        if deadline is None:
            return await header
        try:
            with anyio.fail_after(deadline - self.clock()):
                return await header
        except TimeoutError:
            raise APITimeoutError("no token came in time; nothing was sent", route=route, attempts=0) from None

    async def turn(self, route: str, lane: Lane, deadline: float | None) -> Permit:
        """Wait for a permit of the limiter.

        Raises:
            APITimeoutError: there is none before the deadline.
            ClientClosedError: the client was closed.
        """
        return await self.lifetime.bound(route, self.limiter.acquire(lane, deadline=deadline))

    async def pause(self, route: str, delay: float) -> None:
        """Wait before the next attempt.

        Raises:
            ClientClosedError: the client was closed.
        """
        await self.lifetime.bound(route, self.sleep(delay))

    def _deadline(self, options: CallOptions) -> float | None:
        timeout = options.get("timeout")
        return None if timeout is None else self.clock() + timeout

    def _wall(self, moment: float) -> float:
        return time.time() - (self.clock() - moment)

    def may_wait(self, delay: float, fate: Fate, began: float, deadline: float | None) -> bool:
        """Whether there is time for another attempt and the quota has one left; takes it from the quota."""
        then = self.clock() + delay
        if deadline is not None and then >= deadline:
            return False
        if self.retry.max_elapsed is not None and then - began > self.retry.max_elapsed:
            return False
        return fate is Fate.REFUSED or self.quota.spend()

    def _log(
        self, route: Route[Any], request: Request, attempt: int, outcome: Response | ExchangeError, took: float
    ) -> None:
        if isinstance(outcome, Response):
            seen = f"{outcome.status} {answers.request_id_of(outcome.headers) or '-'}"
        else:
            seen = str(outcome)
        path = request.url.removeprefix(self.base_url)
        line = f"{route.name} {request.method} {path} attempt {attempt}: {seen} in {took * 1000:.1f} ms"
        logger.debug("%s", mask(line))

    def _warn_if_retiring(self, route: Route[Any], response: Response, now: float) -> None:
        notice = answers.retirement_notice(route, response.headers)
        again = notice is None or route.name == AD_HOC  # one name for many routes
        self.next_retirement_check[route.name] = now + 1.0 if again else float("inf")
        if notice is not None:
            try:
                warnings.warn(notice, AjoxiDeprecationWarning, stacklevel=5)
            except (
                AjoxiDeprecationWarning
            ):  # the caller turns warnings into errors, but a write's answer must not be lost
                if route.method == "GET":
                    raise
                logger.warning("%s", notice)
