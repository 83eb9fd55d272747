"""One token for all who wait, in whatever loops and threads, whatever becomes of the one that fetches it."""

from __future__ import annotations

import asyncio
import functools
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from ajoxi_async import APIConnectionError, AsyncAjoxi, ClientCredentials
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.limits import flight, shared
from ajoxi_async.limits.shared import shared_limiter
from ajoxi_async.pipeline.auth import budget_of
from tests.client.fakes import answer

TOKEN_URL = "https://id.example/oauth/token"
BACKENDS = ("asyncio", "trio")


class TokenServer:
    """A transport for any loop whose token endpoint takes its time; `hold` is what an answer waits for."""

    def __init__(self, seconds: float = 0.2) -> None:
        self.seconds = seconds
        self.asked = 0
        self.fail = False
        self.began = threading.Event()

    async def send(self, request: Request) -> Response:
        if request.url != TOKEN_URL:
            return answer(200, {"id": "call_1"})
        self.asked += 1
        number = self.asked
        self.began.set()
        await anyio.sleep(self.seconds)
        if self.fail:
            raise ExchangeError("the connection broke", sent=True)
        return answer(200, {"access_token": f"token{number}", "expires_in": 3600})

    async def aclose(self) -> None:
        pass


def credentials() -> ClientCredentials:
    """Credentials that were not used yet."""
    return ClientCredentials(TOKEN_URL, "me", "secret")


def in_threads(work: Callable[[], Any], many: int = 8) -> list[Any]:
    """Run an async function in so many threads, on asyncio and trio in turn; returns what came of each."""
    came: list[Any] = [None] * many

    def run(number: int) -> None:
        try:
            came[number] = anyio.run(work, backend=BACKENDS[number % 2])
        except BaseException as error:
            came[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "it hangs"
    return came


def test_loops_in_threads_share_one_refresh() -> None:
    """Eight threads with a loop each, asyncio and trio, ten calls in each at once: one token is fetched."""
    server, shared_credentials = TokenServer(), credentials()

    async def work() -> int:
        client = AsyncAjoxi(token_provider=shared_credentials, mode="test", transport=server)  # type: ignore[arg-type]
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(client.calls.retrieve, "call_1")
        return 10

    assert in_threads(work) == [10] * 8
    assert server.asked == 1
    assert in_threads(work) == [10] * 8
    assert server.asked == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cancelled_fetch_is_taken_over(backend: str) -> None:
    """When the task that fetches is cancelled, one of those who wait fetches instead, in its own loop or another."""
    server, own = TokenServer(), credentials()
    had: list[str] = []

    async def first() -> None:
        async with anyio.create_task_group() as tasks:

            async def cancelled() -> None:
                with anyio.move_on_after(0.1):
                    await own.header(server)  # type: ignore[arg-type]
                    raise AssertionError("it was cancelled")

            async def beside() -> None:
                had.append(await own.header(server))  # type: ignore[arg-type]

            tasks.start_soon(cancelled)
            await anyio.lowlevel.checkpoint()
            tasks.start_soon(beside)

    async def elsewhere() -> str:
        return await own.header(server)  # type: ignore[arg-type]

    thread = threading.Thread(target=lambda: anyio.run(first, backend=backend))
    thread.start()
    assert server.began.wait(5)
    began = time.monotonic()
    had += in_threads(elsewhere, 2)
    thread.join(5)
    assert had == ["Bearer token2"] * 3
    assert server.asked == 2
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("how", ["closed", "stopped", "blocked"])
def test_a_loop_that_dies_while_it_fetches_hangs_nobody(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiters in other loops notice that the fetching loop has ended or is blocked, and one of them fetches."""
    monkeypatch.setattr(flight, "SILENCE", 0.3)
    server, own = TokenServer(seconds=0.1), credentials()
    loop = asyncio.new_event_loop()
    task = loop.create_task(own.header(server))  # type: ignore[arg-type]
    loop.run_until_complete(asyncio.sleep(0.01))
    assert server.asked == 1
    if how == "closed":
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()

    async def elsewhere() -> str:
        return await own.header(server)  # type: ignore[arg-type]

    began = time.monotonic()
    assert set(in_threads(elsewhere, 4)) == {"Bearer token2"}
    assert time.monotonic() - began < 2
    assert server.asked == 2
    if how != "closed":
        if how == "blocked":
            time.sleep(0.2)
        assert loop.run_until_complete(task) in {"Bearer token1", "Bearer token2"}
        loop.close()


def test_a_slow_token_endpoint_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch that takes longer than a loop may be silent is no dead loop."""
    monkeypatch.setattr(flight, "SILENCE", 0.3)
    monkeypatch.setattr(flight, "CHECK_EVERY", 0.05)
    server, own = TokenServer(seconds=1.0), credentials()

    async def work() -> str:
        return await own.header(server)  # type: ignore[arg-type]

    assert in_threads(work, 4) == ["Bearer token1"] * 4


@pytest.fixture
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once."""
    monkeypatch.setattr("ajoxi_async.pipeline.auth.random.random", lambda: 0.0)


@pytest.mark.anyio
@pytest.mark.usefixtures("_no_backoff")
async def test_a_failed_fetch_fails_all_who_waited_for_it() -> None:
    """A dead token endpoint is asked by one task and not by each that waits; every one has an error of its own."""
    server, own = TokenServer(seconds=0.01), credentials()
    server.fail = True
    errors: list[Exception] = []

    async def work() -> None:
        try:
            await own.header(server)  # type: ignore[arg-type]
        except APIConnectionError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(work)
    assert server.asked == 3
    assert len({id(error) for error in errors}) == 50
    assert {(str(error), type(error.__cause__)) for error in errors} == {(str(errors[0]), ExchangeError)}
    server.fail = False
    assert await own.header(server) == "Bearer token4"  # type: ignore[arg-type]


@pytest.mark.anyio
@pytest.mark.usefixtures("_no_backoff")
async def test_a_broken_transport_fails_only_its_own() -> None:
    """Who waits with a transport of its own does not inherit another's failure, but fetches itself."""
    broken, sound, own = TokenServer(seconds=0.05), TokenServer(seconds=0.05), credentials()
    broken.fail = True
    had: list[str] = []

    async def fails() -> None:
        with pytest.raises(APIConnectionError):
            await own.header(broken)  # type: ignore[arg-type]

    async def waits() -> None:
        had.append(await own.header(sound))  # type: ignore[arg-type]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fails)
        await anyio.lowlevel.checkpoint()
        tasks.start_soon(waits)
        tasks.start_soon(waits)
    assert had == ["Bearer token1"] * 2


@pytest.mark.anyio
async def test_a_token_that_came_in_between_is_taken() -> None:
    """Who becomes the one to fetch looks once more: another may have fetched since it found no token."""
    server, own = TokenServer(seconds=0), credentials()
    first = await own.header(server)  # type: ignore[arg-type]
    assert await own._fetch(server) == first  # type: ignore[arg-type]
    assert server.asked == 1


@pytest.mark.anyio
async def test_a_worker_that_was_given_up_ends_no_other_work() -> None:
    """Who comes back after another has taken over leaves that one's work alone: the next to ask waits for it."""
    shared_work: flight.Flight[int] = flight.Flight()
    ends = [anyio.Event(), anyio.Event()]
    had: list[int] = []

    async def join(number: int) -> None:
        async def work() -> int:
            await ends[number].wait()
            return number

        had.append(await shared_work.join("means", work))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(join, 0)
        await anyio.wait_all_tasks_blocked()
        shared_work._work = None  # as those who wait do when its loop is silent
        tasks.start_soon(join, 1)
        await anyio.wait_all_tasks_blocked()
        ends[0].set()
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(join, 0)
        await anyio.wait_all_tasks_blocked()
        assert had == [0]
        ends[1].set()
    assert had == [0, 1, 1]


@pytest.mark.anyio
async def test_a_token_that_is_stale_at_once_serves_those_who_waited() -> None:
    """`expires_in: 0` means a token for each call, but one for all who waited for the same."""
    own = credentials()

    class Stale(TokenServer):
        async def send(self, request: Request) -> Response:
            await super().send(request)
            return answer(200, {"access_token": "t", "expires_in": 0})

    server = Stale(seconds=0.05)
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(own.header, server)
    assert server.asked == 1
    await own.header(server)  # type: ignore[arg-type]
    assert server.asked == 2


FORK = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import anyio
from ajoxi_async import ClientCredentials
from ajoxi_async.contract.wire import Response

asked, over = threading.Event(), threading.Event()

class Server:
    def __init__(self, answers):
        self.answers = answers
    async def send(self, request):
        asked.set()
        while not self.answers():
            await anyio.sleep(0.01)
        return Response(200, {}, b'{"access_token": "t%d"}' % os.getpid())

own = ClientCredentials("https://id.example/token", "me", "secret")
thread = threading.Thread(target=lambda: anyio.run(own.header, Server(over.is_set)))
thread.start()
asked.wait()
own._refresh._lock.acquire()
child = os.fork()
if child == 0:
    code = 1
    try:
        code = anyio.run(own.header, Server(lambda: True)) != f"Bearer t{os.getpid()}"
    finally:
        os._exit(code)
own._refresh._lock.release()
began = time.monotonic()
while (done := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() - began < 20:
    time.sleep(0.01)
if done[0] == 0:
    os.kill(child, 9)
over.set()
thread.join()
sys.exit(done[0] == 0 or done[1] != 0)
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork on this system")
def test_a_child_forked_during_a_fetch_fetches_itself() -> None:
    """A child fetches itself, although the parent's fetch never ends there and its lock may be held."""
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=50)


def _closure(token: str) -> Any:
    async def provider() -> str:
        return token

    return provider


class _Tokens:
    async def token(self) -> str:
        return "t"

    async def __call__(self) -> str:
        return "t"


async def _with_argument(tenant: str) -> str:
    return tenant


async def _plain() -> str:
    return "t"


def test_a_closure_for_each_client_makes_one_budget() -> None:
    """Providers with the same code share a budget, those with other code or other client ids do not."""
    same: list[tuple[Any, Any]] = [
        (_closure("a"), _closure("b")),
        (_Tokens().token, _Tokens().token),
        (_Tokens(), _Tokens()),
        (functools.partial(_with_argument, "a"), functools.partial(_with_argument, "b")),
        (credentials(), ClientCredentials(TOKEN_URL, "me", "rotated")),
    ]
    names = [{budget_of(provider) for provider in pair} for pair in same]
    assert [len(pair) for pair in names] == [1] * 5
    others: list[Any] = [
        _plain,
        lambda: _plain(),
        lambda: _closure("x")(),
        ClientCredentials(TOKEN_URL, "other", "secret"),
        ClientCredentials("https://id.example/2", "me", "secret"),
    ]
    assert len(set.union(*names, *({budget_of(other)} for other in others))) == 10
    assert not any("secret" in name for pair in names for name in pair)

    transport = TokenServer()
    clients = [
        AsyncAjoxi(token_provider=_closure(f"t{number}"), mode="test", transport=transport)  # type: ignore[arg-type]
        for number in range(3)
    ]
    assert len({id(client.limiter) for client in clients}) == 1


def test_a_function_that_wraps_others_is_not_all_of_them() -> None:
    """What `functools.wraps` wraps is known by itself, and a function that claims to wrap itself is no endless loop."""

    def cached(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapper() -> str:
            return str(await function())

        return wrapper

    assert budget_of(cached(_plain)) == budget_of(_plain)
    assert budget_of(cached(_plain)) != budget_of(cached(_Tokens().token))

    async def endless() -> str:
        return "t"

    endless.__wrapped__ = endless  # type: ignore[attr-defined]
    assert "endless" in budget_of(endless)


def client_of(key: str, **settings: Any) -> AsyncAjoxi:
    """A client that lives for one request."""
    return AsyncAjoxi(f"AJX_TEST_{key}", **settings)


@pytest.fixture
def _quick_collector() -> Iterator[None]:
    """The collector looks at a test's own objects only: what other tests left takes it tenths of a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_quick_collector")
def test_a_client_for_each_request_keeps_the_budget() -> None:
    """Requests of clients that were deleted still count, although the garbage collector has run in between."""
    for _ in range(5):
        limiter = client_of("for_each_request").limiter
        turn = limiter.try_acquire()
        assert turn is not None
        limiter.observe(turn, "calls.list", 200, {"X-RateLimit-Limit": "20"}, None)
        del limiter
        gc.collect()
    assert client_of("for_each_request").limiter.snapshot().in_use >= 3
    assert client_of("for_each_request").limiter.snapshot().limit == 20


@pytest.mark.usefixtures("_quick_collector")
@pytest.mark.parametrize("retry_after", [1.0, 50.0])
def test_a_long_pause_ends_with_the_clients_that_met_it(retry_after: float) -> None:
    """A new client waits out a short Retry-After of those before it, but of a long one two seconds at most."""
    key = f"long_pause_{retry_after:.0f}"

    def left() -> float:
        return client_of(key).limiter.snapshot().next_free

    client = client_of(key)
    turn = client.limiter.try_acquire()
    assert turn is not None
    started = time.monotonic()
    client.limiter.observe(turn, "calls.list", 429, {}, retry_after)
    while_it_is_there = left()
    del client
    gc.collect()
    afterwards = left()
    taken = time.monotonic() - started
    assert retry_after - taken <= while_it_is_there <= retry_after
    assert min(retry_after, 2.0) - taken <= afterwards <= min(retry_after, 2.0)


def test_a_budget_is_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some seconds after its last client the budget of a key starts again, and no more budgets are kept than a bound."""
    now = [1000.0]
    monkeypatch.setattr(shared.time, "monotonic", lambda: now[0])
    table = shared._Shared()
    monkeypatch.setattr(shared, "_shared", table)
    limiter: Any = shared_limiter("key")
    assert limiter.try_acquire() is not None
    del limiter
    gc.collect()
    now[0] += 4.9
    limiter = shared_limiter("key")
    budget = limiter.budget
    assert budget.in_use == 1
    del limiter
    gc.collect()
    now[0] += 5.1
    assert shared_limiter("key").budget is not budget
    now[0] += 5.1
    held = shared_limiter("another")
    assert len(table.entries) == 1
    for number in range(3000):
        shared_limiter(f"key {number}")
    assert len(table.entries) <= shared.MOST + 1
    assert shared_limiter("another") is held


def test_a_budget_ends_with_the_transport_it_belongs_to() -> None:
    """While a transport lives, a client for each request on it keeps its budget; another transport has another."""

    class Bare:
        __slots__ = ()  # no weak references: known only while a client holds it

    for transport in (TokenServer(), Bare()):
        limiter: Any = shared_limiter("key", owner=transport)
        budget = limiter.budget
        assert shared_limiter("key", owner=transport) is limiter
        assert shared_limiter("key", owner=TokenServer()) is not limiter
        assert shared_limiter("key") is not limiter
        del limiter
        gc.collect()
        assert (shared_limiter("key", owner=transport).budget is budget) == isinstance(transport, TokenServer)
    del transport
    count = len(shared._shared.entries)
    server = TokenServer()
    shared_limiter("key of a server", owner=server)
    assert len(shared._shared.entries) == count + 1
    del server
    gc.collect()
    assert len(shared._shared.entries) <= count
