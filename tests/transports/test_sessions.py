"""A session of the caller's own, whatever it is set to: our rules hold, or it is refused."""

from __future__ import annotations

import asyncio
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx
import httpx2
import pytest

from ajoxi_async import (
    APIConnectionError,
    AsyncAjoxi,
    ConfigurationError,
    LocalLimiter,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    RetryPolicy,
    UnprocessableEntityError,
)

from .sockets import answering, read_request, received, server, serving

pytestmark = pytest.mark.anyio

FAMILIES = {"httpx": httpx, "httpx2": httpx2}


def reply(status: str, body: bytes = b'{"id":"call_1","status":"ringing"}', *lines: bytes) -> bytes:
    """An answer with a JSON body."""
    head = [
        b"HTTP/1.1 " + status.encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *lines,
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


ERROR = b'{"error":{"code":"not_found","message":"no"}}'


@asynccontextmanager
async def client_over(url: str, session: Any, **settings: Any) -> AsyncIterator[AsyncAjoxi]:
    """A client over a session, which is closed afterwards and must not have been closed by the client."""
    retry = settings.pop("retry", RetryPolicy(base=0.001, cap=0.002))
    client = AsyncAjoxi(
        "AJX_TEST_key", base_url=url, session=session, retry=retry, limiter=LocalLimiter(None), **settings
    )
    async with session:
        async with client:
            yield client
        assert not (session.closed if isinstance(session, aiohttp.ClientSession) else session.is_closed)


async def create(client: AsyncAjoxi) -> str:
    """Place a call."""
    return (await client.calls.create(to="+14155551234", from_="+14155550100")).id


async def veto(*_: Any) -> None:
    """A hook that raises."""
    raise ZeroDivisionError("a hook's own error")


async def raise_for_status(response: Any) -> None:
    """The hook that is in httpx's own documentation."""
    response.raise_for_status()


SESSIONS: dict[str, Callable[[], Any]] = {
    "aiohttp raise_for_status": lambda: aiohttp.ClientSession(raise_for_status=True),
    "aiohttp raise_for_status function": lambda: aiohttp.ClientSession(raise_for_status=veto),
    "aiohttp auto_decompress": lambda: aiohttp.ClientSession(auto_decompress=False),
    "aiohttp timeout": lambda: aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.000001)),
    "aiohttp headers": lambda: aiohttp.ClientSession(
        headers={"Authorization": "Basic x", "Content-Type": "text/plain", "Host": "elsewhere", "X-Own": "1"}
    ),
    "aiohttp auth": lambda: aiohttp.ClientSession(auth=aiohttp.BasicAuth("user", "password")),
    "aiohttp cookies": lambda: aiohttp.ClientSession(cookies={"a": "b"}, cookie_jar=aiohttp.CookieJar(unsafe=True)),
    "aiohttp base_url": lambda: aiohttp.ClientSession(base_url="http://elsewhere.invalid/v9/"),
    "aiohttp trust_env": lambda: aiohttp.ClientSession(trust_env=True),
} | {
    f"{name} {what}": (lambda library=library, settings=settings: library.AsyncClient(**settings))  # type: ignore[misc]
    for name, library in FAMILIES.items()
    for what, settings in {
        "follow_redirects": {"follow_redirects": True},
        "auth": {"auth": ("user", "password")},
        "params": {"params": {"a": "b"}},
        "base_url": {"base_url": "http://elsewhere.invalid/v9/"},
        "cookies": {"cookies": {"a": "b"}},
        "headers": {"headers": {"Authorization": "Basic x", "Content-Type": "text/plain", "X-Own": "1"}},
        "response hooks": {"event_hooks": {"response": [veto]}},
        "raise_for_status": {"event_hooks": {"response": [raise_for_status]}},
        "timeout": {"timeout": 0.000001},
    }.items()
}


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """What makes one of the sessions."""

    def make() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of auth, which aiohttp will drop
            return SESSIONS[request.param]()

    return make


#: Each on asyncio, and those of httpx on trio as well.
every_session = pytest.mark.parametrize(
    ("anyio_backend", "session"),
    [
        pytest.param(backend, name, id=f"{name}-{backend}")
        for name in SESSIONS
        for backend in ("asyncio", "trio")
        if backend == "asyncio" or not name.startswith("aiohttp")
    ],
    indirect=["session"],
)


@pytest.fixture(autouse=True)
def _netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .netrc that knows the server."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login user password secret\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@every_session
async def test_a_session_changes_no_request_and_no_answer(session: Callable[[], Any]) -> None:
    """The key, the body and the answer are the client's, whatever the session's settings; its other headers are sent."""
    async with server(answering(reply("201 Created"), reply("200 OK"))) as (url, got):
        async with client_over(url, session()) as client:
            assert await create(client) == "call_1"
            assert (await client.calls.retrieve("call_1")).id == "call_1"
    assert len(got) == 2
    for request in got:
        lines = request.lower().split(b"\r\n")
        assert lines.count(b"authorization: bearer ajx_test_key") == 1
        assert sum(line.startswith(b"authorization:") for line in lines) == 1
        assert sum(line.startswith(b"cookie:") for line in lines) == 0
        assert b"/v1/calls" in lines[0]
        assert b"?" not in lines[0]
        assert sum(line.startswith(b"host: 127.0.0.1") for line in lines) == 1
    assert got[0].lower().count(b"content-type: application/json") == 1


@every_session
@pytest.mark.parametrize(
    ("status", "kind", "sent"),
    [("404 Not Found", NotFoundError, 1), ("422 No", UnprocessableEntityError, 1), ("429 Slow", RateLimitError, 1)],
)
async def test_a_session_changes_no_error(session: Callable[[], Any], status: str, kind: type, sent: int) -> None:
    """Errors of the API are the client's exceptions, and are retried as usual."""
    async with server(answering(*[reply(status, ERROR)] * 3)) as (url, got):
        async with client_over(url, session(), retry=RetryPolicy(max_retries=0)) as client:
            with pytest.raises(kind):
                await create(client)
    assert len(got) == sent


@every_session
@pytest.mark.parametrize("status", ["302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_session_follows_no_redirect(session: Callable[[], Any], status: str) -> None:
    """A redirected POST is neither repeated elsewhere nor turned into a GET."""
    async with server(answering(reply(status, b"{}", b"Location: /v1/calls/call_9"), reply("200 OK"))) as (url, got):
        async with client_over(url, session()) as client:
            with pytest.raises(Exception) as caught:
                await create(client)
    assert len(got) == 1
    assert type(caught.value).__module__.startswith("ajoxi_async")


@every_session
async def test_a_session_tells_what_was_sent(session: Callable[[], Any]) -> None:
    """A dropped POST is an unknown outcome and sent once; a refused connection is none and tried again."""
    async with server(answering(b"")) as (url, got):
        async with client_over(url, session()) as client:
            with pytest.raises(OutcomeUnknownError):
                await create(client)
    assert len(got) == 1
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with client_over(nowhere, session()) as client:
            with pytest.raises(APIConnectionError):
                await create(client)


@pytest.mark.parametrize("library", FAMILIES.values(), ids=FAMILIES)
async def test_a_request_hook_that_raises_is_no_unknown_outcome(library: Any) -> None:
    """An exception of a request hook becomes the client's error, and nothing was sent."""
    session = library.AsyncClient(event_hooks={"request": [veto]})
    async with server(answering(reply("201 Created"))) as (url, got):
        async with client_over(url, session) as client:
            with pytest.raises(APIConnectionError, match="a hook's own error"):
                await create(client)
    assert got == []


@pytest.mark.parametrize("library", FAMILIES.values(), ids=FAMILIES)
async def test_a_transport_that_repeats_requests_is_stopped(library: Any) -> None:
    """A session's transport that tries again by itself does not send a POST twice."""

    class Again(library.AsyncHTTPTransport):  # type: ignore[misc,name-defined]
        async def handle_async_request(self, request: Any) -> Any:
            for _ in range(3):
                try:
                    return await super().handle_async_request(request)
                except library.TransportError:
                    continue
            return await super().handle_async_request(request)

    async with server(answering(b"")) as (url, got):
        async with client_over(url, library.AsyncClient(transport=Again())) as client:
            with pytest.raises(OutcomeUnknownError):
                await create(client)
    assert len(got) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_middleware_that_repeats_requests_is_stopped() -> None:
    """A middleware of an aiohttp session that tries again does not send a POST twice; others work."""
    seen: list[str] = []

    async def again(request: Any, handler: Any) -> Any:
        seen.append(request.method)
        try:
            return await handler(request)
        except aiohttp.ClientError:
            return await handler(request)

    async with server(answering(b"")) as (url, got):
        async with client_over(url, aiohttp.ClientSession(middlewares=(again,))) as client:
            with pytest.raises(OutcomeUnknownError):
                await create(client)
    assert (len(got), seen) == (1, ["POST"])


@every_session
async def test_a_session_that_is_closed_meanwhile(session: Callable[[], Any]) -> None:
    """A session that its owner has closed is refused by name, at the next request and in the constructor; nothing is retried."""
    async with server(answering(reply("201 Created"))) as (url, got):
        own = session()
        client = AsyncAjoxi("AJX_TEST_key", base_url=url, session=own)
        async with own:
            await create(client)
        with pytest.raises(ConfigurationError, match="session: it was closed"):
            await create(client)
        with pytest.raises(ConfigurationError, match="session: it was closed"):
            async with client.transcripts.stream("call_1"):
                pass
        await client.aclose()
        with pytest.raises(ConfigurationError, match="session: it is closed"):
            AsyncAjoxi("AJX_TEST_key", base_url=url, session=own)
    assert len(got) == 1


def test_an_aiohttp_session_on_trio() -> None:
    """An aiohttp session on trio is refused by name, before anything is sent."""
    import trio

    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    loop = asyncio.new_event_loop()
    session = loop.run_until_complete(make())

    async def main() -> None:
        client = AsyncAjoxi("AJX_TEST_key", base_url="http://127.0.0.1:9", session=session)
        with pytest.raises(ConfigurationError, match="asyncio only"):
            await create(client)
        with pytest.raises(ConfigurationError, match="asyncio only"):
            async with client:
                pass

    trio.run(main)
    loop.run_until_complete(session.close())
    loop.close()


@pytest.mark.parametrize("name", ["aiohttp", "httpx", "httpx2"])
def test_a_session_of_another_loop(name: str) -> None:
    """A session whose connections are in another loop is refused by name, and works on in its own."""

    async def place(client: AsyncAjoxi) -> None:
        await create(client)

    async def main() -> None:
        session: Any = aiohttp.ClientSession() if name == "aiohttp" else FAMILIES[name].AsyncClient()
        async with server(answering(reply("201 Created"), reply("201 Created"))) as (url, got), session:
            client = AsyncAjoxi("AJX_TEST_key", base_url=url, session=session)
            await create(client)

            def elsewhere() -> None:
                with pytest.raises(ConfigurationError, match="another event loop"):
                    asyncio.run(place(client))

            await anyio.to_thread.run_sync(elsewhere)
            await create(client)
            assert len(got) == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    "session", [object(), "session", 1, httpx.Client(), aiohttp.ClientTimeout(), httpx.AsyncClient, httpx2.Client()]
)
def test_what_is_no_session(session: Any) -> None:
    """What is no asynchronous session is refused by the constructor."""
    with pytest.raises(ConfigurationError, match="session: expected"):
        AsyncAjoxi("AJX_TEST_key", session=session)


@every_session
async def test_streams_over_a_session(session: Callable[[], Any]) -> None:
    """A live stream over a session of any kind ends with the client, and leaves the session as it was."""

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nid: 1\ndata: x\n\n"
        )
        connection.recv(1)

    async with server(serve) as (url, _):
        async with client_over(url, session()) as client:
            async with client.events("GET", "/v1/transcripts/call_1", reconnect=False) as events:
                assert (await anext(events)).data == "x"
    assert len(received) == 1


@pytest.mark.parametrize("engine", ["own", "session"])
async def test_a_netrc_never_replaces_the_key(engine: str, anyio_backend_name: str) -> None:
    """With `trust_env` a .netrc that knows the host changes nothing; a proxy of the environment is used."""
    with socket.create_server(("127.0.0.1", 0)) as proxy, pytest.MonkeyPatch.context() as patch:
        async with server(answering(reply("201 Created"), reply("201 Created"))) as (url, got):
            if engine == "own":
                client = AsyncAjoxi("AJX_TEST_key", base_url=url, trust_env=True)
                async with client:
                    await create(client)
            elif anyio_backend_name == "asyncio":
                async with client_over(url, aiohttp.ClientSession(trust_env=True)) as client:
                    await create(client)
            else:
                async with client_over(url, httpx.AsyncClient(trust_env=True)) as client:
                    await create(client)
            assert b"Bearer AJX_TEST_key" in got[0]
            patch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
            patch.delenv("no_proxy", raising=False)
            patch.delenv("NO_PROXY", raising=False)
            proxied: list[bytes] = []

            def be_proxy() -> None:
                connection, _ = proxy.accept()
                proxied.append(read_request(connection))
                connection.sendall(reply("201 Created"))
                connection.close()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, be_proxy)
                async with AsyncAjoxi("AJX_TEST_key", base_url=url, trust_env=True) as client:
                    await create(client)
            assert proxied[0].startswith(b"POST http://127.0.0.1:")


@pytest.mark.parametrize("library", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize(
    "failure", ["ReadTimeout", "ReadError", "RemoteProtocolError", "ConnectTimeout", "ZeroDivisionError"]
)
async def test_a_transport_that_does_not_say_when_it_sends(library: Any, failure: str) -> None:
    """Over a mock, an application or another library's transport, what was handed over counts as sent."""
    seen: list[str] = []

    def handle(request: Any) -> Any:
        seen.append(request.method)
        raise ZeroDivisionError if failure == "ZeroDivisionError" else getattr(library, failure)("no")

    session = library.AsyncClient(transport=library.MockTransport(handle))
    async with client_over("http://127.0.0.1:9", session) as client:
        with pytest.raises(OutcomeUnknownError):
            await create(client)
    assert seen == ["POST"]


async def _read_by_a_middleware(request: Any, handler: Any) -> Any:
    response = await handler(request)
    await response.read()
    return response


async def _raises_after_the_answer(request: Any, handler: Any) -> Any:
    await handler(request)
    raise ZeroDivisionError("a middleware's own error")


async def _reads_by_a_trace(session: Any, context: Any, params: Any) -> None:
    await params.response.text()


def _traced(hook: Any) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(hook)
    return aiohttp.ClientSession(trace_configs=[trace])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: aiohttp.ClientSession(middlewares=(_read_by_a_middleware,)),
        lambda: aiohttp.ClientSession(middlewares=(_raises_after_the_answer,)),
        lambda: _traced(_reads_by_a_trace),
        lambda: _traced(veto),
        lambda: httpx.AsyncClient(event_hooks={"response": [lambda response: response.aread()]}),
    ],
    ids=["middleware reads", "middleware raises", "trace reads", "trace raises", "httpx hook reads"],
)
@pytest.mark.parametrize("length", [36, 200_000])
async def test_code_of_a_session_that_meets_the_answer_first(make: Callable[[], Any], length: int) -> None:
    """An answer that a session's own code has read, or raised after, is an answer: no POST becomes unknown by logging."""
    body = b'{"id":"call_1","status":"ringing"}'.ljust(length)
    async with server(answering(reply("201 Created", body))) as (url, got):
        async with client_over(url, make()) as client:
            assert await create(client) == "call_1"
    assert len(got) == 1


@pytest.mark.parametrize("engine", ["proxy", "session"])
async def test_the_password_of_a_proxy_is_not_told(engine: str, anyio_backend_name: str) -> None:
    """A proxy that refuses shows its user and password in no message, repr or traceback."""
    import pickle
    import traceback

    def refuse(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with server(refuse) as (url, _):
        proxy = url.replace("//", "//user:s3cr3t@")
        if engine == "proxy":
            client = AsyncAjoxi(
                "AJX_TEST_x", base_url="https://api.invalid", proxy=proxy, retry=RetryPolicy(max_retries=0)
            )
            session = None
        elif anyio_backend_name == "asyncio":
            session = aiohttp.ClientSession(proxy=proxy)
            client = AsyncAjoxi(
                "AJX_TEST_x", base_url="https://api.invalid", session=session, retry=RetryPolicy(max_retries=0)
            )
        else:
            session = httpx.AsyncClient(proxy=proxy)
            client = AsyncAjoxi(
                "AJX_TEST_x", base_url="https://api.invalid", session=session, retry=RetryPolicy(max_retries=0)
            )
        async with client:
            with pytest.raises(APIConnectionError) as caught:
                await create(client)
        if isinstance(session, aiohttp.ClientSession):
            await session.close()
        elif session is not None:
            await session.aclose()
    shown = [str(caught.value), repr(caught.value), "".join(traceback.format_exception(caught.value))]
    assert not any("s3cr3t" in text for text in shown)
    assert b"s3cr3t" not in pickle.dumps(caught.value)
    assert "s3cr3t" not in repr(client._pipeline.transport._settings)  # type: ignore[attr-defined]


def _trace_that_fails(where: str) -> aiohttp.ClientSession:
    if where == "context":

        def make_context(trace_request_ctx: Any = None) -> Any:
            raise KeyError("a context's own error")

        return aiohttp.ClientSession(trace_configs=[aiohttp.TraceConfig(trace_config_ctx_factory=make_context)])
    trace = aiohttp.TraceConfig()
    getattr(trace, where).append(veto)
    return aiohttp.ClientSession(trace_configs=[trace])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("where", ["context", "on_request_start", "on_connection_create_start"])
async def test_a_trace_that_raises_before_anything_is_sent_is_no_unknown_outcome(where: str) -> None:
    """An exception of a trace before aiohttp writes the request becomes the client's error, and nothing was sent."""
    async with server(answering(reply("201 Created"))) as (url, got):
        async with client_over(url, _trace_that_fails(where)) as client:
            with pytest.raises(APIConnectionError, match="own error"):
                await create(client)
    assert got == []


#: What makes a session of each library with these headers.
WITH_HEADERS = {
    "aiohttp": lambda headers: aiohttp.ClientSession(headers=headers),
    "httpx": lambda headers: httpx.AsyncClient(headers=headers),
    "httpx2": lambda headers: httpx2.AsyncClient(headers=headers),
}
#: Each on asyncio, and those of httpx on trio as well.
each_library = pytest.mark.parametrize(
    ("anyio_backend", "library"),
    [
        (backend, name)
        for name in WITH_HEADERS
        for backend in ("asyncio", "trio")
        if backend == "asyncio" or name != "aiohttp"
    ],
)


@each_library
@pytest.mark.parametrize("header", [("X-Own", "a\r\nX-Other: b"), ("X-Own", "a\0"), ("X Own", "a")])
async def test_a_session_with_a_header_that_cannot_be_sent_is_no_unknown_outcome(
    library: str, header: tuple[str, str]
) -> None:
    """A header of the session that no request can have is refused by name before anything is sent."""
    async with server(answering(reply("201 Created"))) as (url, got):
        async with client_over(url, WITH_HEADERS[library](dict([header]))) as client:
            with pytest.raises(ConfigurationError, match="session: its header 'X.Own' has characters"):
                await create(client)
            with pytest.raises(ConfigurationError, match="session: its header 'X.Own' has characters"):
                async with client.events("GET", "/v1/calls"):
                    pass
    assert got == []


@each_library
async def test_a_session_with_odd_headers_that_can_be_sent(library: str) -> None:
    """White space around a value is not sent, and a value that is not ASCII is sent as the session has it."""
    own: Any = {"X-Spaced": " a b\t"} | ({"X-Own": "é"} if library == "aiohttp" else {b"X-Own": "é".encode()})
    async with server(answering(reply("201 Created"))) as (url, got):
        async with client_over(url, WITH_HEADERS[library](own)) as client:
            await create(client)
    lines = got[0].lower().split(b"\r\n")
    assert "x-own: é".encode() in lines
    assert b"x-spaced: a b" in lines


@pytest.mark.parametrize("library", FAMILIES.values(), ids=FAMILIES)
async def test_a_subclass_that_repeats_requests_is_stopped(library: Any) -> None:
    """A session whose `send` tries again sends no POST twice, although its transport does not report what it sends."""

    class Again(library.AsyncClient):  # type: ignore[misc,name-defined]
        async def send(self, request: Any, **options: Any) -> Any:
            try:
                return await super().send(request, **options)
            except library.TransportError:
                return await super().send(request, **options)

    seen: list[str] = []

    def lose(request: Any) -> Any:
        seen.append(request.method)
        raise library.ReadError("lost")

    async with client_over("http://127.0.0.1:9", Again(transport=library.MockTransport(lose))) as client:
        with pytest.raises(OutcomeUnknownError):
            await create(client)
    assert seen == ["POST"]


@pytest.mark.parametrize("library", FAMILIES.values(), ids=FAMILIES)
async def test_what_waits_for_a_connection_when_the_session_is_closed(library: Any) -> None:
    """A request that waits while the owner closes the session is not sent afterwards, over a connection that nobody closes."""
    arrived, closed = threading.Event(), threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        arrived.set()
        closed.wait(5)

    errors: list[Exception] = []

    async def place(client: AsyncAjoxi) -> None:
        try:
            await create(client)
        except Exception as error:
            errors.append(error)

    async with server(serve) as (url, got):
        session = library.AsyncClient(limits=library.Limits(max_connections=1))
        async with AsyncAjoxi("AJX_TEST_key", base_url=url, session=session, limiter=LocalLimiter(None)) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(place, client)
                await anyio.to_thread.run_sync(arrived.wait, 5)
                tasks.start_soon(place, client)
                await anyio.wait_all_tasks_blocked()
                await session.aclose()
                closed.set()
    assert len(got) == 1
    assert {type(error) for error in errors} == {OutcomeUnknownError, ConfigurationError}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("library", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("kept", [True, False])
async def test_a_task_that_is_cancelled_at_any_moment_leaves_no_connection_in_use(library: Any, kept: bool) -> None:
    """`task.cancel()`, which httpcore does not hold off, leaves no connection in the session's pool that nobody can use."""

    def serve(connection: socket.socket, number: int) -> None:
        while read_request(connection):
            connection.sendall(reply("200 OK"))

    async def stream(client: AsyncAjoxi) -> None:
        async with client.recordings.stream("rec_1") as audio:
            async for _ in audio:
                pass

    with serving(serve) as (url, _):
        session = library.AsyncClient(limits=library.Limits(max_keepalive_connections=int(kept)))
        pool = session._transport._pool
        async with client_over(url, session, retry=RetryPolicy(max_retries=0)) as client:
            for turns in range(60):
                for work in (client.calls.retrieve("call_1"), stream(client)):
                    task = asyncio.ensure_future(work)
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
                    in_use = [one for one in pool.connections if not one.is_idle() and not one.is_closed()]
                    assert (in_use, pool._requests) == ([], [])
                    task.cancelled() or task.exception()


@pytest.mark.parametrize("library", FAMILIES.values(), ids=FAMILIES)
async def test_an_answer_that_cannot_be_closed(library: Any, caplog: pytest.LogCaptureFixture) -> None:
    """An exception of a transport that closes an answer is logged: the answer has come, and no POST becomes unknown by it."""

    class Stuck(library.AsyncByteStream):  # type: ignore[misc,name-defined]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'{"id":"call_1","status":"ringing"}'

        async def aclose(self) -> None:
            raise ZeroDivisionError("a transport's own error")

    def handle(request: Any) -> Any:
        kind = "text/event-stream" if request.method == "GET" else "application/json"
        return library.Response(200, headers={"Content-Type": kind}, stream=Stuck())

    session = library.AsyncClient(transport=library.MockTransport(handle))
    async with client_over("http://127.0.0.1:9", session) as client:
        assert await create(client) == "call_1"
        async with client.events("GET", "/v1/events", reconnect=False):
            pass
    assert caplog.text.count("a transport's own error") == 2
