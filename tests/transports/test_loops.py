"""One client in any number of event loops, threads and forked processes."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import socket
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
import trio
import uvloop

from ajoxi_async import AsyncAjoxi, ClientClosedError, LocalLimiter, RetryPolicy, StreamInterruptedError
from ajoxi_async.runtime.forks import renew_in_child
from ajoxi_async.transports import EngineTransport

from .sockets import answering, read_request, received, serving

CALL = b'{"id":"call_1","status":"ringing"}'
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(CALL), CALL)
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(number: int) -> bytes:
    """An event of a stream, in a chunk."""
    data = b"id: %d\ndata: x\n\n" % number
    return b"%x\r\n%s\r\n" % (len(data), data)


def serve(connection: socket.socket, number: int) -> None:
    """Answer every request with a call, and a stream with an event and then silence."""
    while data := read_request(connection):
        if b"text/event-stream" in data:
            connection.sendall(STREAM + event(1))
            connection.settimeout(20)
            connection.recv(1)
            return
        connection.sendall(ANSWER)


@pytest.fixture
def url() -> Iterator[str]:
    """A server that answers every request with a call."""
    with serving(serve) as (url, _):
        yield url


def client_of(url: str, **settings: Any) -> AsyncAjoxi:
    """A client that does not try again and is not held back."""
    return AsyncAjoxi(
        "AJX_TEST_x", base_url=url, retry=RetryPolicy(max_retries=0), limiter=LocalLimiter(None), timeout=10, **settings
    )


async def create(client: AsyncAjoxi) -> str:
    """Place a call."""
    return (await client.calls.create(to="+14155551234", from_="+14155550100")).id


def posts() -> int:
    """How many POSTs the server has read."""
    return sum(request.startswith(b"POST") for request in received)


RUNNERS: dict[str, Callable[..., Any]] = {
    "asyncio": lambda work, *args: asyncio.run(work(*args)),
    "trio": trio.run,
    "uvloop": lambda work, *args: uvloop.run(work(*args)),
}


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[list[Any]]:
    """What was warned of or logged as an error, the collector's words included; empty at the end of the test."""
    seen: list[Any] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        # As in pyproject.toml: httpx and httpcore leave their own generators to the collector.
        warnings.filterwarnings("ignore", "Async generator 'http(x|core)", ResourceWarning)
        unraisable: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.unraisablehook", unraisable.append)
            yield seen
            gc.collect()
    seen += [f"{one.category.__name__}: {one.message}" for one in warned]
    seen += [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    seen += unraisable
    assert seen == []


@pytest.mark.parametrize("streaming", [False, True], ids=["calls", "with a stream open"])
def test_eight_threads_of_fifty_loops_place_four_hundred_calls(url: str, streaming: bool, told: list[Any]) -> None:
    """Eight threads that run a loop for each of fifty calls, as Django's async_to_sync does: 400 answers to 400 POSTs."""
    client = client_of(url)

    async def one() -> str:
        if not streaming:
            return await create(client)
        async with client.events("GET", "/v1/transcripts/call_1") as events:
            assert (await anext(events)).id == "1"
            return await create(client)

    def thread(number: int) -> list[str]:
        run = RUNNERS[list(RUNNERS)[number % 3]]
        return [run(one) for _ in range(50)]

    with ThreadPoolExecutor(8) as pool:
        answered = [id for ids in pool.map(thread, range(8)) for id in ids]
    assert Counter(answered) == {"call_1": 400}
    assert posts() == 400
    asyncio.run(client.aclose())


def test_loops_that_run_at_once_share_a_client(url: str, told: list[Any]) -> None:
    """Loops of asyncio, uvloop and trio that run side by side in threads use one client many times each."""
    client = client_of(url)

    async def many() -> None:
        for _ in range(10):
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(create, client)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: RUNNERS[list(RUNNERS)[number % 3]](many), range(6)))
    assert posts() == 600
    asyncio.run(client.aclose())


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_loop_that_ends_leaves_no_warning(url: str, runner: str, told: list[Any]) -> None:
    """`asyncio.run` for each call leaves neither "Unclosed connector" nor a ResourceWarning, nor a connection."""
    client = client_of(url)
    for _ in range(5):
        assert RUNNERS[runner](create, client) == "call_1"
    transport = client._pipeline.transport
    assert isinstance(transport, EngineTransport)
    assert not transport._engines


def test_a_loop_that_is_merely_closed_leaves_no_warning(url: str, told: list[Any]) -> None:
    """A loop that was closed without shutting down its generators is given up when the client is used again or dropped."""
    client = client_of(url)
    for _ in range(3):
        loop = asyncio.new_event_loop()  # uvloop itself warns of open connections when it is closed like this
        assert loop.run_until_complete(create(client)) == "call_1"
        loop.close()
    assert len(client._pipeline.transport._engines) == 1  # type: ignore[attr-defined]
    del client


def test_a_client_that_is_dropped_in_a_running_loop_closes_its_connections(told: list[Any]) -> None:
    """A client that was dropped without being closed is closed by the garbage collector, without a warning."""
    gone = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(ANSWER)
        if connection.recv(1) == b"":
            gone.set()

    with serving(serve) as (url, _):

        async def main() -> None:
            await create(client_of(url))
            for _ in range(100):
                gc.collect()
                await asyncio.sleep(0.01)
                if gone.is_set():
                    return

        asyncio.run(main())
        assert gone.is_set()


def in_child(work: Callable[[], object]) -> int:
    """Run something in a forked child; returns its exit status, 9 where it raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking a process with threads, which is the point
        pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        status = 9
        try:
            work()
            gc.collect()
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def in_thread(runner: str, work: Callable[..., Any], *args: Any) -> None:
    """Run a loop in a thread: trio takes a child's main thread for the one that runs the parent's."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(RUNNERS[runner], work, *args).result(10)


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_child_forked_from_a_task_uses_connections_of_its_own(runner: str) -> None:
    """A fork within a task: the child's requests leave on new connections, and the parent's kept one goes on working."""
    connections: list[int] = []

    def serve(connection: socket.socket, number: int) -> None:
        while read_request(connection):
            connections.append(number)
            connection.sendall(ANSWER)

    with serving(serve) as (url, _):

        async def parent() -> None:
            client = client_of(url)
            async with client:
                await create(client)
                assert in_child(lambda: [in_thread("asyncio", create, client), in_thread("trio", create, client)]) == 0
                with anyio.fail_after(5):
                    await create(client)

        RUNNERS[runner](parent)
    # uvloop makes its selector anew in a child, and the parent may find its kept connection gone: it takes another one.
    assert connections[:3] == [1, 2, 3]
    assert connections[3] in ({1, 4} if runner == "uvloop" else {1})


def test_a_child_that_closes_the_client_leaves_the_parents_alone(url: str) -> None:
    """A forked child that closes its client ends nothing of the parent's, whose streams go on."""

    async def parent() -> None:
        async with client_of(url) as client, client.events("GET", "/v1/transcripts/call_1") as events:
            await anext(events)
            reading = asyncio.ensure_future(anext(events))
            waiting = asyncio.ensure_future(client._pipeline.pause("test", 60))
            await asyncio.sleep(0.05)
            assert in_child(lambda: in_thread("asyncio", client.aclose)) == 0
            await asyncio.sleep(0.05)
            assert not reading.done()
            assert not waiting.done()
            assert await create(client) == "call_1"
            for task in (reading, waiting):
                task.cancel()
            await asyncio.gather(reading, waiting, return_exceptions=True)

    asyncio.run(parent())


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_fork_disturbs_no_stream_and_no_call_under_way(runner: str) -> None:
    """What the parent is reading when it forks goes on, whether or not the child uses the client."""
    go = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        data = read_request(connection)
        if b"text/event-stream" in data:
            connection.sendall(STREAM + event(1))
            go.wait(5)
            connection.sendall(event(2))
            connection.recv(1)
        else:
            go.wait(5)
            connection.sendall(ANSWER)

    with serving(serve) as (url, _):

        async def parent() -> None:
            ends: list[str] = []
            async with client_of(url) as client, client.events("GET", "/v1/transcripts/call_1") as events:
                await anext(events)

                async def call() -> None:
                    ends.append(await create(client))

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(call)
                    while len(received) < 2:
                        await anyio.sleep(0.001)
                    assert in_child(lambda: None) == 0
                    go.set()
                    with anyio.fail_after(3):
                        assert (await anext(events)).id == "2"
            assert ends == ["call_1"]

        RUNNERS[runner](parent)


def test_one_owner_that_fails_keeps_no_other_from_being_renewed(caplog: pytest.LogCaptureFixture) -> None:
    """In a forked child everything is renewed, though renewing one thing fails."""

    class Owner:
        def __init__(self, *, fails: bool) -> None:
            self.fails, self.renewed = fails, False
            renew_in_child(self)

        def renew(self) -> None:
            if self.fails:
                raise ZeroDivisionError
            self.renewed = True

    owners = [Owner(fails=number % 2 == 0) for number in range(10)]

    def check() -> None:
        assert all(owner.renewed for owner in owners if not owner.fails)

    assert in_child(check) == 0


@pytest.mark.parametrize("waits", [False, True], ids=["ends at once", "waits first"])
def test_a_client_for_each_trio_run(url: str, waits: bool, told: list[Any]) -> None:
    """A client that is made in a run, and dropped with it unclosed, neither breaks the run nor leaves a warning."""

    async def main() -> None:
        client = client_of(url)
        assert await create(client) == "call_1"
        del client
        if waits:
            await anyio.sleep(0.01)

    for _ in range(15):
        trio.run(main)


def test_a_forked_child_does_not_hold_the_parents_connections_open() -> None:
    """The server sees the end of a connection that the parent closes while a forked child lives on."""
    gone = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(ANSWER)
        if connection.recv(1) == b"":
            gone.set()

    with serving(serve) as (url, _):

        async def parent() -> None:
            client = client_of(url)
            await create(client)
            context = multiprocessing.get_context("fork")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                child = context.Process(target=signal.pause)
                child.start()
            try:
                await client.aclose()
                assert await asyncio.to_thread(gone.wait, 5)
            finally:
                child.kill()
                child.join()

        asyncio.run(parent())


def test_closing_in_one_loop_ends_streams_in_others(url: str, told: list[Any]) -> None:
    """`aclose` in one thread ends at once what other threads' loops read, with the checkpoint; nothing begins after it."""
    client = client_of(url)
    ends: list[BaseException] = []
    reading = threading.Barrier(4)

    async def follow() -> None:
        try:
            async with client.events("GET", "/v1/transcripts/call_1") as events:
                await anext(events)
                await anyio.to_thread.run_sync(reading.wait, 10)
                await anext(events)
        except BaseException as error:
            ends.append(error)

    threads = [threading.Thread(target=RUNNERS[runner], args=(follow,)) for runner in RUNNERS]
    for thread in threads:
        thread.start()
    reading.wait(10)
    asyncio.run(client.aclose())
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert [type(error) for error in ends] == [StreamInterruptedError] * 3
    assert {error.last_event_id for error in ends if isinstance(error, StreamInterruptedError)} == {"1"}
    for run in RUNNERS.values():
        with pytest.raises(ClientClosedError):
            run(create, client)


def test_engines_of_ended_loops_are_not_kept() -> None:
    """A hundred loops leave neither engines nor open sockets behind; the server may have some to close yet."""
    with serving(answering(ANSWER)) as (url, _):
        client = client_of(url)
        asyncio.run(create(client))
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(100):
            asyncio.run(create(client))
        assert len(os.listdir("/proc/self/fd")) <= before + 20


@pytest.mark.parametrize("turns", range(1, 6))
def test_a_loop_that_ends_while_a_task_closes_the_client(turns: int) -> None:
    """`asyncio.run`, which cancels the task that closes a client, leaves no session of it open."""

    async def main(url: str) -> None:
        client = AsyncAjoxi("AJX_TEST_key", base_url=url, limiter=LocalLimiter(None))
        await client.calls.retrieve("call_1")
        events = client.events("GET", "/v1/events")
        await events.__aenter__()
        await anext(events)
        background.append(asyncio.ensure_future(client.aclose()))
        for _ in range(turns):
            await asyncio.sleep(0)

    background: list[asyncio.Future[None]] = []
    with serving(serve) as (url, _), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        asyncio.run(main(url))
        gc.collect()
    assert [str(one.message) for one in warned] == []
