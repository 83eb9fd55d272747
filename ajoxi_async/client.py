"""`AsyncAjoxi`: settings, lifetime, and the resources."""

from __future__ import annotations

import logging
import os
import platform
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from types import EllipsisType, TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, Unpack, overload

import anyio
from attrs import frozen

from ajoxi_async.contract import headers
from ajoxi_async.contract.encoding.exact_values import exact, integer, seconds
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.wire import Response, Transport
from ajoxi_async.limits import Limiter
from ajoxi_async.limits.shared import shared_limiter
from ajoxi_async.pipeline.any_request import any_request
from ajoxi_async.pipeline.auth import ApiKey, ClientCredentials, Credentials, ProvidedToken, TokenProvider, budget_of
from ajoxi_async.pipeline.hooks import Hooks, combine
from ajoxi_async.pipeline.options import CallOptions, check_headers, merge_headers
from ajoxi_async.pipeline.pipeline import Pipeline, last_response
from ajoxi_async.pipeline.watchlist import Router
from ajoxi_async.protocol.answers import request_id_of
from ajoxi_async.protocol.credentials import Mode, check_base_url, check_live, check_proxy, key_mode
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.protocol.rate import Lane, check_lane
from ajoxi_async.protocol.retry import RetryPolicy
from ajoxi_async.resources.calls import Calls
from ajoxi_async.resources.messages import Messages
from ajoxi_async.resources.numbers import Numbers
from ajoxi_async.resources.recordings import Recordings
from ajoxi_async.resources.transcripts import Transcripts
from ajoxi_async.resources.webhooks import Webhooks
from ajoxi_async.runtime.whole import whole
from ajoxi_async.streaming.events import EventStream, open_events
from ajoxi_async.transports import EngineTransport, TransportSettings
from ajoxi_async.transports.settings import check_session
from ajoxi_async.version import VERSION

__all__ = ["AsyncAjoxi", "RawResponse"]

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

DEFAULT_TIMEOUT = 30.0
#: Longest time that closing takes, in seconds. A peer that does not answer the end of a TLS connection would block it.
_CLOSING = 5.0


@frozen(repr=False)
class RawResponse(Generic[T]):
    """What a call returned, and the response it came in.

    Attributes:
        data: what the method returns.
        status_code: HTTP status.
        headers: of the response, looked up without regard to case.
        body: the bytes of the response.
        request_id: ``X-Request-Id``.
    """

    data: T
    status_code: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str | None

    def __reduce__(self) -> tuple[Any, ...]:
        from multidict import CIMultiDict

        # The headers of aiohttp are a view, which cannot be pickled.
        return RawResponse, (
            self.data,
            self.status_code,
            CIMultiDict(self.headers.items()),
            self.body,
            self.request_id,
        )

    def __repr__(self) -> str:
        return f"RawResponse({self.status_code}, request_id={self.request_id!r}, data={self.data!r})"

    def __rich_repr__(self) -> Iterator[object]:
        yield from (self.status_code, ("request_id", self.request_id), ("data", self.data))


_USER_AGENT = f"ajoxi-async/{VERSION} python/{platform.python_version()}"


def _set_up_logging(level: str | None) -> None:
    if not level:
        return
    logger = logging.getLogger("ajoxi_async")
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ConfigurationError(f"AJOXI_LOG: expected a level such as 'debug' or 'info', got {level[:20]!r}")
    logger.setLevel(number)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)


class _Resource(Generic[R]):
    """The attribute for one resource.

    On an instance it is the resource. On the class it is the resource's class, so that a mock with the client as its spec
    has the resource's methods.
    """

    def __init__(self, kind: Callable[[Pipeline], R]) -> None:
        self._kind = kind

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, client: None, owner: type) -> type[R]: ...
    @overload
    def __get__(self, client: AsyncAjoxi, owner: type) -> R: ...
    def __get__(self, client: AsyncAjoxi | None, owner: type) -> Any:
        if client is None:
            return self._kind
        # Stored in the instance, where Python finds it from now on without calling this method.
        resource = client.__dict__[self._name] = self._kind(client._pipeline)
        return resource


class AsyncAjoxi:
    """The Ajoxi API, for asyncio and trio.

        async with AsyncAjoxi() as client:
            call = await client.calls.create(to="+14155551234", from_="+14155550100", ai_receptionist=True)

    Nothing is opened before the first call. One client serves any number of tasks, event loops (asyncio and trio), threads
    and forked processes: connections belong to a loop, the rate limit's budget to all. Close it with `aclose` or by leaving
    its ``async with`` block, once; it cannot be opened again. The connections of a loop that ends, as at the end of
    `asyncio.run`, are closed with it.

    Args:
        api_key: ``AJX_TEST_...`` or ``AJX_LIVE_...``; by default ``AJOXI_API_KEY``.
        base_url: by default ``AJOXI_BASE_URL``, else https://api.ajoxi.com.
        webhook_secret: kept for `ajoxi_async.webhooks`; by default ``AJOXI_WEBHOOK_SECRET``.
        token_provider: in place of a key: `ClientCredentials`, or any ``async () -> str`` returning a bearer token.
        mode: whether the tokens of a token provider are for test or live mode. A key's own prefix says which mode it has.
        allow_live: permit live mode inside a pytest run or where ``CI`` is set.
        timeout: seconds for each attempt; ``None`` waits for ever. A call's own ``timeout`` bounds the whole call.
        retry: how often and how long a failed request is sent again.
        limiter: by default one for all clients of the key in this process, of 100 requests a second, the cap of standard
            accounts.
        lane: of the limiter: ``interactive`` goes before ``default``, which goes before ``bulk``.
        client_references: add a generated ``client_reference`` to the metadata of each call that is created, so that
            `Calls.reconcile` can find the call again.
        idempotency_header: the header that carries a POST's idempotency key; ``None`` to send none. The API reference does
            not document idempotency keys, so the client never sends a POST again because of one.
        hooks: what to call at each request, response, retry and 429.
        default_headers: sent with every request.
        transport: your own `contract.wire.Transport`, the sandbox's in-memory one for instance.
        session: your own ``aiohttp.ClientSession``, ``httpx.AsyncClient`` or ``httpx2.AsyncClient``. Its connections, proxy,
            TLS settings, default headers and hooks are used; redirects, authentication, cookies, timeouts and
            ``raise_for_status`` are the client's own. The session is never changed or closed, and serves one event loop.
        proxy: URL of an HTTP proxy.
        tls: a TLS context in place of the default one, which trusts what OpenSSL trusts (``SSL_CERT_FILE`` included).
        trust_env: whether the proxy variables of the environment count. A .netrc never does.
        max_connections: most connections REST calls hold at once in one event loop.

    Attributes:
        mode: ``"test"`` or ``"live"``.

    Raises:
        ConfigurationError: a key, URL or setting cannot be right.
    """

    calls = _Resource(Calls)
    numbers = _Resource(Numbers)
    messages = _Resource(Messages)
    recordings = _Resource(Recordings)
    transcripts = _Resource(Transcripts)
    webhooks = _Resource(Webhooks)
    # Also set on the class, because `create_autospec` reads nothing but the class.
    mode: Mode = "live"
    webhook_secret: str | None = None

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        webhook_secret: str | None = None,
        token_provider: TokenProvider | ClientCredentials | None = None,
        mode: Mode = "live",
        allow_live: bool = False,
        timeout: float | None = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = None,
        limiter: Limiter | None = None,
        lane: Lane = "default",
        client_references: bool = False,
        idempotency_header: str | None = headers.IDEMPOTENCY_KEY,
        hooks: Hooks | Sequence[Hooks] | None = None,
        default_headers: Mapping[str, str] | None = None,
        transport: Transport | None = None,
        session: Any = None,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        trust_env: bool = False,
        max_connections: int = 100,
    ) -> None:
        env = os.environ
        api_key, base_url, webhook_secret, proxy = map(exact, (api_key, base_url, webhook_secret, proxy))
        _set_up_logging(env.get("AJOXI_LOG"))
        url = check_base_url(base_url or env.get("AJOXI_BASE_URL") or headers.DEFAULT_BASE_URL)
        credentials, self.mode = self._credentials(api_key, token_provider, mode, env)
        if self.mode == "live":
            check_live(url, env, allow_live=allow_live)
        timeout = _timeout(timeout)
        if transport is not None and (session, proxy, tls, trust_env) != (None, None, None, False):
            raise ConfigurationError("transport: give either a transport, or session, proxy, tls and trust_env")
        if session is not None and (proxy, tls, trust_env) != (None, None, False):
            raise ConfigurationError("session: proxy, tls and trust_env are settings of the session itself")
        if proxy is not None:
            check_proxy(proxy)
        for name, given, kind in (("tls", tls, ssl.SSLContext), ("retry", retry, RetryPolicy)):
            if given is not None and not isinstance(given, kind):
                raise ConfigurationError(f"{name}: expected {kind.__name__}, got {type(given).__name__}")
        if transport is not None and not any(hasattr(transport, name) for name in ("send", "stream")):
            raise ConfigurationError(f"transport: expected a Transport, got {type(transport).__name__}")
        if limiter is not None:
            _check_limiter(limiter)
        if session is not None:
            check_session(session)
        connections = integer(max_connections)
        if connections is None or connections < 1:
            raise ConfigurationError(f"max_connections: expected 1 or more, got {max_connections!r:.40}")
        if default_headers is not None:
            check_headers(default_headers, "default_headers")
        check_lane(lane)
        if idempotency_header is not None:
            name = exact(idempotency_header)
            if not isinstance(name, str):
                raise InvalidParameterError("idempotency_header", f"expected the name of a header, got {name!r:.40}")
            check_headers({name: ""}, "idempotency_header")
        if webhook_secret is not None and not isinstance(webhook_secret, str):
            raise ConfigurationError(f"webhook_secret: expected text, got {type(webhook_secret).__name__}")
        self._allow_live, self._own_limiter, self._own_transport = allow_live, limiter is not None, transport
        self.webhook_secret = webhook_secret or env.get("AJOXI_WEBHOOK_SECRET") or None
        engine = transport or EngineTransport(
            TransportSettings(proxy=proxy, tls=tls, trust_env=trust_env, max_connections=connections, session=session)
        )
        self._adopt(
            Pipeline(
                base_url=url,
                credentials=credentials,
                transport=engine,
                limiter=limiter
                or self._limiter_of(api_key or env.get("AJOXI_API_KEY"), url, token_provider, transport),
                retry=retry or RetryPolicy(),
                lane=lane,
                client_references=client_references,
                idempotency_header=idempotency_header,
                hooks=_hooks(hooks),
                timeout=timeout,
                headers=merge_headers({"User-Agent": _USER_AGENT, "Accept": headers.JSON}, default_headers or {}),
            )
        )

    @staticmethod
    def _credentials(
        api_key: str | None,
        provider: TokenProvider | ClientCredentials | None,
        mode: Mode,
        env: Mapping[str, str],
    ) -> tuple[Credentials, Mode]:
        if provider is None:
            key = api_key or env.get("AJOXI_API_KEY")
            known = key_mode(key)
            return ApiKey(key or ""), known
        if api_key is not None:
            raise ConfigurationError("api_key: give either a key or a token_provider")
        if mode not in ("test", "live"):  # no set, in which a list would be looked up with a TypeError
            raise ConfigurationError(f"mode: expected 'test' or 'live', got {mode!r:.40}")
        if isinstance(provider, ClientCredentials):
            return provider, mode
        if not callable(provider):
            raise ConfigurationError("token_provider: expected an async function that returns a token")
        return ProvidedToken(provider), mode

    @staticmethod
    def _limiter_of(
        key: str | None,
        url: str,
        provider: TokenProvider | ClientCredentials | None,
        transport: Transport | None,
    ) -> Limiter:
        # A caller's own transport may lead to another API than the one at the URL, so it has a budget of its own.
        return shared_limiter(url, (key or "") if provider is None else budget_of(provider), owner=transport)

    def _adopt(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.calls = Calls(pipeline)
        self.numbers = Numbers(pipeline)
        self.messages = Messages(pipeline)
        self.recordings = Recordings(pipeline)
        self.transcripts = Transcripts(pipeline)
        self.webhooks = Webhooks(pipeline)

    @property
    def base_url(self) -> str:
        """Where requests go, without a trailing slash."""
        return self._pipeline.base_url

    @property
    def limiter(self) -> Limiter:
        """The limiter that every attempt waits for; ``limiter.snapshot()`` gives its state."""
        return self._pipeline.limiter

    @property
    def retry(self) -> RetryPolicy:
        """How often and how long a failed request is sent again; ``with_options(retry=...)`` makes a variant."""
        return self._pipeline.retry

    def with_options(
        self,
        *,
        api_key: str | None = None,
        limiter: Limiter | None = None,
        timeout: float | EllipsisType | None = ...,
        retry: RetryPolicy | None = None,
        lane: Lane | None = None,
        hooks: Hooks | Sequence[Hooks] | None = None,
        default_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """A client with other settings that shares connections and, unless it has another key, the budget with this one.

        Any number of accounts can use one pool of connections: each key has a limiter of its own, which is the same one for
        all clients of the key in this process. A variant costs some microseconds, so it may be made for each request.

        Args:
            api_key: of another account. Mode and limiter are then the key's own; retries are counted together.
            limiter: in place of this client's. Needed with another `api_key` if this client was given a limiter, since that
                one counts the requests of its own key.
            timeout: seconds for each attempt.
            retry: the new retry policy; the variant has a quota of retries of its own.
            lane: of the limiter: ``interactive``, ``default`` or ``bulk``.
            hooks: in place of this client's.
            default_headers: sent besides this client's own.

        Returns:
            A variant; closing either closes the connections of both.

        Raises:
            ConfigurationError: a key or setting cannot be right.
        """
        changes: dict[str, Any] = {}
        mode, own_limiter = self.mode, self._own_limiter
        if limiter is not None:
            changes["limiter"], own_limiter = _check_limiter(limiter), True
        if api_key is not None:
            api_key = exact(api_key)
            mode = key_mode(api_key)
            if mode == "live":
                check_live(self.base_url, os.environ, allow_live=self._allow_live)
            credentials = ApiKey(api_key)
            if credentials.at_hand != self._pipeline.credentials.at_hand:
                if self._own_limiter and limiter is None:
                    raise ConfigurationError(
                        "limiter: the client's own counts the requests of its key; give the other key one of its own"
                    )
                changes["credentials"] = credentials
                if limiter is None:
                    changes["limiter"] = self._limiter_of(api_key, self.base_url, None, self._own_transport)
        if timeout is not ...:
            changes["timeout"] = _timeout(timeout)
        if retry is not None:
            if not isinstance(retry, RetryPolicy):
                raise ConfigurationError(f"retry: expected RetryPolicy, got {type(retry).__name__}")
            changes["retry"] = retry
        if lane is not None:
            check_lane(lane)
            changes["lane"] = lane
        if hooks is not None:
            changes["hooks"] = _hooks(hooks)
        if default_headers is not None:
            check_headers(default_headers, "default_headers")
            changes["headers"] = merge_headers(self._pipeline.headers, default_headers)
        # A subclass may have attributes of its own, and an `__init__` that takes something else.
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.mode, other._own_limiter = mode, own_limiter
        other._adopt(self._pipeline.variant(**changes))
        return other

    def with_raw_response(self, method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[RawResponse[T]]]:
        """Turn a method into one that also returns the response: ``with_raw_response(client.calls.retrieve)(id)``."""

        async def call(*args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
            seen: list[Response] = []
            token = last_response.set(seen)
            try:
                data = await method(*args, **kwargs)
            finally:
                last_response.reset(token)
            if not seen:
                raise InvalidParameterError("method", "expected a method of this client that makes a request")
            last = seen[-1]
            return RawResponse(data, last.status, last.headers, last.body, request_id_of(last.headers))

        return call

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = ...,
        query: Mapping[str, Any] | None = ...,
        returns: None = ...,
        content_type: str | None = ...,
        **options: Unpack[CallOptions],
    ) -> Any: ...
    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = ...,
        query: Mapping[str, Any] | None = ...,
        returns: type[T],
        content_type: str | None = ...,
        **options: Unpack[CallOptions],
    ) -> T: ...
    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        returns: Any = None,
        content_type: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Make a request that this version of the package has no method for.

            fax = await client.request("POST", "/v1/faxes", body={"to": "+14155551234", "media_url": url})

        It waits for its turn, is retried, raises and is logged as any other request. A POST or PATCH that may have been
        received is never sent again.

        Args:
            method: GET, HEAD, POST, PUT, PATCH or DELETE.
            path: below `base_url`, beginning with a slash; it may have a query. Quote what you put into it
                (`urllib.parse.quote` with ``safe=""``).
            body: what JSON can hold, models and aware times included; or bytes with their `content_type`.
            query: values by name; ``None`` is left out, a list is repeated, an object becomes ``name[key]``.
            returns: a model such as `Call` or `Page[Call]`; ``bytes`` for the body as it is; ``None`` for parsed JSON, which
                is ``None`` for an empty body.
            content_type: the media type of a body of bytes.
            **options: see `CallOptions`.

        Raises:
            InvalidParameterError: before anything is sent.
            APIError: as any call; its `route` is ``"request"``.
            OutcomeUnknownError: a POST or PATCH may or may not have been carried out.
        """
        return await any_request(
            self._pipeline, method, path, options, body=body, query=query, returns=returns, content_type=content_type
        )

    def events(
        self,
        method: str,
        path: str,
        *,
        reconnect: bool = True,
        last_event_id: str | None = None,
        idle_timeout: float | None = 60.0,
        max_outage: float = 60.0,
        **options: Unpack[CallOptions],
    ) -> EventStream:
        """Read any event stream of the API as raw events, whatever its data is.

            async with client.events("GET", "/v1/transcripts/call_1") as events:
                async for event in events:
                    print(event.event, event.data, event.id, event.retry)

        Args:
            method: ``"GET"``.
            path: below `base_url`, beginning with a slash; it may have a query.
            reconnect: whether to connect again after a connection has ended, as the HTML standard says: after the server's
                ``retry``, from the last event delivered, until the server answers 204. When False, the stream ends with
                the response.
            last_event_id: where to resume.
            idle_timeout: seconds without a byte after which the connection counts as lost; ``None`` waits for ever.
            max_outage: seconds without a connection after which it gives up.
            **options: see `CallOptions`; ``timeout`` does not apply to a stream and is refused.

        Raises:
            InvalidParameterError: before anything is opened.
            APIStatusError: the server answered with anything but 200 or 204; not tried again, as the standard says.
            APIResponseValidationError: the answer is not an event stream.
            StreamInterruptedError: the connection was lost and could not be resumed within `max_outage`; the error has the
                last event id.
            StreamProtocolError: an event is over 4 MiB.
        """
        return open_events(
            self._pipeline,
            method,
            path,
            options,
            reconnect=reconnect,
            last_event_id=last_event_id,
            idle_timeout=idle_timeout,
            max_outage=max_outage,
        )

    def listen_to(self, router: Router) -> None:
        """Let the events of a `WebhookRouter` wake `calls.wait`, `messages.wait` and `recordings.wait`.

        The router's deliveries have to reach this process. An event that goes to another one, or is lost, is made up for by
        asking the API, but later. The client and all its variants listen, until one of them is closed.

        Raises:
            ConfigurationError: `router` is not a router.
        """
        if not callable(getattr(router, "add_listener", None)) or isinstance(router, type):
            raise ConfigurationError(f"router: expected a WebhookRouter, got {type(router).__name__}")
        self._pipeline.lifetime.check()
        self._pipeline.watchlist.listen_to(router)

    async def aclose(self) -> None:
        """Close the client and its variants in all event loops. It cannot be opened again. Idempotent; callable from any task.

        Calls and streams that are under way end at once: with `ClientClosedError`, with `OutcomeUnknownError` where a write
        may have been carried out, or with `StreamInterruptedError`, which has the last event id. Connections of other event
        loops are closed in those loops.
        """
        self._pipeline.watchlist.stop_listening()
        self._pipeline.lifetime.close()
        # Whole, so that a cancelled task that leaves its block still closes its connections.
        await whole(self._close_connections())

    async def _close_connections(self) -> None:
        with anyio.move_on_after(_CLOSING):
            await self._pipeline.transport.aclose()

    async def __aenter__(self) -> Self:
        self._pipeline.lifetime.check()
        if isinstance(self._pipeline.transport, EngineTransport):
            self._pipeline.transport.prepare()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # Also that of a client whose constructor has raised, for a traceback that shows locals.
        pipeline = self.__dict__.get("_pipeline")
        return f"{type(self).__name__}(mode={self.mode!r}, base_url={pipeline and pipeline.base_url!r})"


def _hooks(given: Hooks | Sequence[Hooks] | None) -> Hooks | None:
    if given is not None and not isinstance(given, (Hooks, Iterable)):
        raise ConfigurationError(f"hooks: expected Hooks, or a sequence of them, got {type(given).__name__}")
    several = [given] if isinstance(given, Hooks) else list(given or ())
    if not all(isinstance(one, Hooks) for one in several):
        raise ConfigurationError("hooks: expected Hooks, or a sequence of them")
    return combine(several) if several else None


def _check_limiter(given: Limiter) -> Limiter:
    if not hasattr(given, "try_acquire"):
        raise ConfigurationError(f"limiter: expected a Limiter, got {type(given).__name__}")
    return given


def _timeout(given: Any) -> float | None:
    if given is None:
        return None
    number = seconds(given)
    if number is None or not 0 < number < float("inf"):
        raise ConfigurationError(f"timeout: expected seconds above 0 or None, got {given!r:.40}")
    return number
