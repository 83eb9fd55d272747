"""A hub and its consumers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
from typing import Any

import anyio
import pytest

from ajoxi_async import (
    AjoxiError,
    AsyncAjoxi,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    InvalidParameterError,
    NotFoundError,
    Sandbox,
    StreamInterruptedError,
    StreamProtocolError,
    TranscriptHub,
)
from ajoxi_async.sandbox import Timing
from tests.client.fakes import ENVELOPE, ScriptedStream, answer, client_on
from tests.hub.upstream import Calls, Speaking, Strange, lost
from tests.streaming.wire import completed, connection, segment

pytestmark = pytest.mark.anyio


async def everything(hub: TranscriptHub, call_id: str = "call_1", **options: Any) -> list[int]:
    """The sequences of the finals that a consumer is given."""
    async with hub.watch(call_id, **options) as live:
        return [said.sequence async for said in live if said.is_final]


async def failure(hub: TranscriptHub, call_id: str = "call_1") -> AjoxiError:
    """The error that a consumer gets."""
    with pytest.raises(AjoxiError) as raised:
        await everything(hub, call_id)
    return raised.value


async def gone(stream: ScriptedStream) -> None:
    """Wait until a connection was closed."""
    with anyio.fail_after(20):
        while not stream.closed:
            await anyio.sleep(0.001)


async def test_many_consumers_of_one_stream() -> None:
    """Consumers that come early, in the middle and at the end all get the whole transcript, from one stream."""
    upstream = Speaking(segment(1, 1, final=False), segment(2, 1, 2))
    calls = Calls(call_1=upstream)
    got: list[list[int]] = []
    async with client_on(calls).transcripts.hub() as hub, anyio.create_task_group() as tasks:

        async def consume(interim: bool) -> None:
            got.append(await everything(hub, interim=interim))

        for number in range(10):
            tasks.start_soon(consume, number % 2 == 0)
        await anyio.wait_all_tasks_blocked()
        assert hub.consumers == {"call_1": 10}
        upstream.say(segment(3, 2, final=False), segment(4, 2, 2))
        await anyio.wait_all_tasks_blocked()
        for _ in range(5):
            tasks.start_soon(consume, True)
        await anyio.wait_all_tasks_blocked()
        upstream.say(segment(5, 3), completed(6, 3))
    assert got == [[1, 2, 3]] * 15
    assert len(calls.opened) == 1
    assert upstream.closed


async def test_the_call_ends_while_somebody_joins() -> None:
    """Whoever joins when the last words come, or afterwards, gets everything and the end."""
    calls = Calls(call_1=connection(*(segment(n, n) for n in range(1, 30)), completed(30, 29)))
    async with client_on(calls).transcripts.hub() as hub, anyio.create_task_group() as tasks:
        got: list[list[int]] = []

        async def consume(turns: int) -> None:
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            got.append(await everything(hub))

        for turns in range(0, 80, 3):
            tasks.start_soon(consume, turns)
    assert got == [list(range(1, 30))] * 27
    assert len(calls.opened) == 1


async def test_one_that_stalls_holds_up_nobody() -> None:
    """A consumer that takes nothing for the whole call gets every final afterwards, and the others wait for nothing."""
    upstream = Speaking(segment(1, 1))
    async with client_on(Calls(call_1=upstream)).transcripts.hub() as hub, hub.watch("call_1") as stalled:
        first = await anext(stalled)
        position = 1
        for sequence in range(2, 200):
            for revision in range(1, 4):
                position += 1
                upstream.say(segment(position, sequence, revision, final=revision == 3))
        upstream.say(completed(position + 1, 199))
        await anyio.wait_all_tasks_blocked()
        assert len(await everything(hub)) == 199
        rest = [said async for said in stalled]
        assert [first.sequence, *(said.sequence for said in rest)] == list(range(1, 200))
        assert all(said.is_final for said in rest)


async def test_resuming() -> None:
    """A consumer that comes again with an id of the hub is given what came after it; with any other id, everything."""
    upstream = Speaking(segment(1, 1), segment(2, 2))
    async with client_on(Calls(call_1=upstream)).transcripts.hub() as hub:
        async with hub.watch("call_1") as live:
            await anext(live)
            id = live.last_event_id
            await anyio.wait_all_tasks_blocked()
            other = live.snapshot()
            assert [said.sequence for said in other.finals] == [1, 2]
            assert [turn.text for turn in live.turns()] == ["line 1 line 2"]
            assert other.last_event_id != id
        upstream.say(segment(3, 3), completed(4, 3))
        async with hub.watch("call_1", last_event_id=id) as live:
            assert live.resumed
            assert [said.sequence async for said in live] == [2, 3]
            end = live.last_event_id
        assert await everything(hub, last_event_id=other.last_event_id) == [3]
        assert await everything(hub, last_event_id=end) == []
        name = id.partition("-")[0]
        for unknown in (
            "1",
            "",
            f"{name}-99",
            f"{name}-1-x",
            name[:8] + "0" * 8 + "-1",
            "é\n\0",
            name + "-" + "9" * 400,
        ):
            async with hub.watch("call_1", last_event_id=unknown) as live:
                assert not live.resumed
                assert [said.sequence async for said in live] == [1, 2, 3]


async def test_lingering() -> None:
    """The stream is kept for those who come back in time, and is closed when nobody has."""
    upstream = Speaking(segment(1, 1))
    calls = Calls(call_1=[upstream, connection(segment(1, 1), completed(2, 1))])
    async with client_on(calls).transcripts.hub(linger=0.3) as hub:
        for _ in range(3):
            async with hub.watch("call_1") as live:
                await anext(live)
            assert hub.consumers == {"call_1": 0}
            await anyio.sleep(0.05)
        assert len(calls.opened) == 1
        await gone(upstream)
        assert hub.consumers == {}
        assert await everything(hub) == [1]
        assert len(calls.opened) == 2


async def test_without_lingering() -> None:
    """With no time to linger the stream is closed as soon as the last consumer has left, and not before."""
    upstream = Speaking(segment(1, 1))
    async with client_on(Calls(call_1=upstream)).transcripts.hub(linger=0) as hub:
        async with hub.watch("call_1") as one:
            await anyio.wait_all_tasks_blocked()
            async with hub.watch("call_1") as other:
                await anext(other)
            await anyio.wait_all_tasks_blocked()
            assert not upstream.closed
            await anext(one)
        await gone(upstream)


async def test_cancelled_while_joining() -> None:
    """Consumers that are cancelled at any point of joining leave nobody behind, and the stream is closed."""
    upstream = Speaking(segment(1, 1))
    async with client_on(Calls(call_1=upstream)).transcripts.hub(linger=0) as hub:
        for turns in range(8):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(everything, hub)
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
            assert not any(hub.consumers.values())
        with anyio.fail_after(20):
            while hub.consumers:
                await anyio.sleep(0.001)


async def test_a_consumer_that_raises() -> None:
    """An exception of a consumer's is its own: it is not wrapped, and the others go on."""
    upstream = Speaking(segment(1, 1))
    async with client_on(Calls(call_1=upstream)).transcripts.hub() as hub, hub.watch("call_1") as other:
        with pytest.raises(ZeroDivisionError):
            async with hub.watch("call_1") as live:
                async for _ in live:
                    1 / 0
        assert hub.consumers == {"call_1": 1}
        upstream.say(completed(2, 1))
        assert [said.sequence async for said in other] == [1]


@pytest.mark.parametrize(("status", "kind"), [(404, NotFoundError), (401, AuthenticationError)])
async def test_the_api_refuses(status: int, kind: type[AjoxiError]) -> None:
    """A refusal reaches every consumer with its type and details, as an exception of its own; the next one asks again."""
    refused, good = ScriptedStream(answer(status, ENVELOPE)), connection(segment(1, 1), completed(2, 1))
    calls = Calls(call_1=[refused, good])
    async with client_on(calls).transcripts.hub() as hub:
        errors: list[AjoxiError] = []
        async with anyio.create_task_group() as tasks:

            async def consume() -> None:
                errors.append(await failure(hub))

            for _ in range(5):
                tasks.start_soon(consume)
        assert len({id(error) for error in errors}) == 5
        for error in errors:
            assert type(error) is kind
            assert (error.status_code, error.code) == (status, "internal_error")  # type: ignore[attr-defined]
        assert len(calls.opened) == 1
        assert hub.consumers == {}
        assert await everything(hub) == [1]


async def test_the_api_is_busy() -> None:
    """429 and lost connections are waited out for all together; one that lasts reaches all as a typed error."""
    busy = ScriptedStream(answer(429, ENVELOPE, {"Retry-After": "2"}))
    calls = Calls(call_1=[busy, lost(), busy, connection(segment(1, 1), completed(2, 1))], call_2=busy)
    async with client_on(calls).transcripts.hub() as hub:
        assert await everything(hub) == [1]
        assert len(calls.opened) == 4
        error = await failure(hub, "call_2")
        assert isinstance(error, StreamInterruptedError)
        assert "429" in str(error)


async def test_what_came_before_an_error_is_given_first() -> None:
    """A stream that fails in the middle: each consumer gets all finals that came, and then the error."""
    wrong = b'event: error\ndata: {"error": {"code": "internal_error", "message": "x"}, "retryable": false}\n\n'
    upstream = Speaking(segment(1, 1))
    async with client_on(Calls(call_1=upstream)).transcripts.hub() as hub:
        async with hub.watch("call_1") as live:
            await live.opened()
            upstream.say(segment(2, 2), segment(3, 3), wrong)
            await anyio.wait_all_tasks_blocked()
            assert [(await anext(live)).sequence for _ in range(3)] == [1, 2, 3]
            for _ in range(2):
                with pytest.raises(StreamProtocolError):
                    await anext(live)


async def test_a_foreign_exception() -> None:
    """What a transport of the caller's own raises reaches consumers as this package's error, with its cause."""
    async with client_on(Calls(call_1=Strange(answer(200)))).transcripts.hub() as hub:
        error = await failure(hub)
        assert isinstance(error, StreamInterruptedError)
        assert isinstance(error.__cause__, KeyError)


async def closed_by(close: str) -> list[Any]:
    """How consumers of three kinds end when the hub or the client is closed: one that waits, one that stalls, one that comes later."""
    calls = Calls(call_1=Speaking(segment(1, 1), segment(2, 2)))
    client = client_on(calls)
    ends: list[Any] = []
    async with client.transcripts.hub() as hub, anyio.create_task_group() as tasks:

        async def wait() -> None:
            ends.append(await failure(hub))

        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        async with hub.watch("call_1") as stalled:
            await anext(stalled)
            with anyio.fail_after(20):
                await (hub if close == "hub" else client).aclose()
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(AjoxiError) as raised:
                    await anext(stalled)
        ends += [raised.value, await failure(hub)]
    assert calls.used[0].closed
    return ends


async def test_closing_the_hub() -> None:
    """Closing the hub ends all consumers at once with a typed error, and who comes later gets it as well."""
    ends = await closed_by("hub")
    assert [type(error) for error in ends] == [StreamInterruptedError] * 3
    assert "hub was closed" in str(ends[0])


async def test_closing_the_client() -> None:
    """Closing the client does the same."""
    ends = await closed_by("client")
    assert [type(error) for error in ends] == [StreamInterruptedError, StreamInterruptedError, ClientClosedError]
    assert "client" in str(ends[0])


async def test_two_hubs() -> None:
    """Two hubs have a stream each, and closing one does not end the other's consumers."""
    first, second = Speaking(segment(1, 1)), Speaking(segment(1, 1))
    calls = Calls(call_1=[first, second])
    client = client_on(calls)
    async with client.transcripts.hub() as one, client.transcripts.hub() as two, two.watch("call_1") as live:
        await anext(live)
        async with one.watch("call_1") as other:
            await anext(other)
            id = other.last_event_id
        await one.aclose()
        assert len(calls.opened) == 2
        assert second.closed
        first.say(completed(2, 1))
        assert [said async for said in live] == []
        async with two.watch("call_1", last_event_id=id) as live:
            assert not live.resumed


async def test_misuse() -> None:
    """What cannot be right is refused by name: settings and ids before anything is sent, blocks where they are entered."""
    calls = Calls(call_1=connection(completed(1, 0)))
    transcripts = client_on(calls).transcripts
    for wrong in (
        {"linger": -1}, {"linger": "1"}, {"linger": float("inf")}, {"keep_alive": 0}, {"send_timeout": 0},
        {"idle_timeout": 0}, {"max_outage": True}, {"timeout": 5}, {"lane": "fast"}, {"lingers": 1},
    ):  # fmt: skip
        with pytest.raises((InvalidParameterError, ConfigurationError), match=next(iter(wrong))):
            transcripts.hub(**wrong)  # type: ignore[arg-type]
    hub = transcripts.hub()
    with pytest.raises(ConfigurationError, match="async with"):
        await everything(hub)
    async with hub:
        for id in (None, 5, ["call_1"], b"call_1"):
            with pytest.raises(InvalidParameterError, match="call_id"):
                hub.watch(id)  # type: ignore[arg-type]
        for id in ("", ".", ".."):
            with pytest.raises(InvalidParameterError, match="id"):
                await everything(hub, id)
        with pytest.raises(InvalidParameterError, match="last_event_id"):
            hub.watch("call_1", last_event_id=1)  # type: ignore[arg-type]
        watcher = hub.watch("call_1")
        with pytest.raises(ConfigurationError, match="async with"):
            await anext(watcher)
        async with watcher:
            with pytest.raises(ConfigurationError, match="once"):
                await watcher.__aenter__()
        assert [said async for said in watcher] == []
        with pytest.raises(ConfigurationError, match="once"):
            await hub.__aenter__()
    with pytest.raises(ConfigurationError, match="once"):
        await hub.__aenter__()
    assert not [request for request in calls.opened if not request.url.endswith("/call_1")]


async def test_left_by_another_task() -> None:
    """A hub that was opened in one task can be closed in another, as fixtures and lifespans do it."""
    hub = client_on(Calls(call_1=connection(segment(1, 1), completed(2, 1)))).transcripts.hub()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.__aenter__)
    assert await everything(hub) == [1]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.aclose)


async def test_the_sandbox() -> None:
    """A call of the sandbox is followed by many from one request, with the words that its transcript has."""
    async with (
        Sandbox(timing=Timing(ring=0.02, talk=0.2), port=None) as sandbox,
        AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client,
        client.transcripts.hub() as hub,
    ):
        call = await client.calls.create(to="+14155551234", from_="+14155550100")
        texts: list[dict[int, str]] = []

        async def consume() -> None:
            async with hub.watch(call.id) as live:
                texts.append({said.sequence: said.text async for said in live if said.is_final})

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(consume)
        whole = {said.sequence: said.text for said in (await client.transcripts.retrieve(call.id)).segments}
        assert texts == [whole] * 20
        assert len([one for one in sandbox.requests if one.route == "transcripts.stream"]) == 1


def test_another_event_loop() -> None:
    """A hub is refused on another event loop than its own; after the end of its loop it can be closed anywhere."""
    hub = client_on(Calls(call_1=Speaking(segment(1, 1)))).transcripts.hub()

    async def elsewhere() -> None:
        for refused in (everything(hub), hub.aclose()):
            with pytest.raises(ConfigurationError, match="event loop"):
                await refused

    async def main() -> None:
        async with hub, hub.watch("call_1") as live:
            await anext(live)
            await asyncio.to_thread(anyio.run, elsewhere)
            await asyncio.to_thread(anyio.run, elsewhere, backend="trio")

    asyncio.run(main())
    left = client_on(Calls(call_1=Speaking(segment(1, 1)))).transcripts.hub()

    async def leave_open() -> None:
        await left.__aenter__()
        await anext(await left.watch("call_1").__aenter__())

    asyncio.run(leave_open())
    asyncio.run(left.aclose())


FORKING = """
import asyncio, os, sys
from ajoxi_async import AsyncAjoxi, ConfigurationError, Sandbox

async def main():
    async with Sandbox(port=None) as sandbox, AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
        async with client.transcripts.hub() as hub:
            call = await client.calls.create(to="+14155551234", from_="+14155550100")
            async with hub.watch(call.id) as live:
                child = os.fork()
                if child == 0:
                    try:
                        async def use():
                            async with hub.watch("call_1"):
                                pass
                        asyncio.run(use())
                    except ConfigurationError as error:
                        os._exit(7 if "fork" in str(error) else 1)
                    os._exit(2)
                print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), hub.consumers[call.id])

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_fork() -> None:
    """In a forked child the parent's hub is refused by name, and the parent's goes on."""
    run = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=30, check=False)
    assert run.stdout.split() == ["7", "1"], run.stderr


async def test_tracebacks_are_each_consumers_own() -> None:
    """The traceback of one consumer's error does not show the frames of another's."""
    async with client_on(Calls(call_1=ScriptedStream(answer(404, ENVELOPE)))).transcripts.hub() as hub:

        async def first_consumer() -> AjoxiError:
            return await failure(hub)

        async def second_consumer() -> AjoxiError:
            return await failure(hub)

        async with hub.watch("call_1") as one, hub.watch("call_1") as two:
            errors = []
            for watcher in (one, two):
                with pytest.raises(NotFoundError) as raised:
                    await anext(watcher)
                errors.append(raised.value)
        shown = "".join(traceback.format_tb(errors[1].__traceback__))
        assert shown.count("in test_tracebacks") == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_token_provider_that_awaits_what_was_cancelled() -> None:
    """Nobody has cancelled the stream: its consumers get an error, and the calls beside it are followed on."""
    asked = 0

    async def token() -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise asyncio.CancelledError
        return "AJX_TEST_token"

    calls = Calls(call_1=Speaking(completed(1, 0)), call_2=Speaking(segment(1, 1), completed(2, 1)))
    client = AsyncAjoxi(token_provider=token, transport=calls, allow_live=True)
    async with client.transcripts.hub() as hub:
        with anyio.fail_after(20):
            assert isinstance(await failure(hub), StreamInterruptedError)
            assert await everything(hub, "call_2") == [1]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_program_that_cancels_every_task() -> None:
    """Whoever cancels the tasks of the hub itself ends its consumers with an error, and a new one does not wait for ever."""
    calls = Calls(call_1=Speaking(segment(1, 1)), call_2=Speaking(segment(1, 1), completed(2, 1)))
    errors: list[AjoxiError] = []

    async def consume() -> None:
        errors.append(await failure(hub))

    with anyio.fail_after(20):
        async with client_on(calls).transcripts.hub() as hub, anyio.create_task_group() as tasks:
            tasks.start_soon(consume)
            await anyio.wait_all_tasks_blocked()
            for task in asyncio.all_tasks():
                if task.get_name() == "ajoxi_async tasks":
                    task.cancel()
            await anyio.wait_all_tasks_blocked()
            errors += [await failure(hub, "call_2"), await failure(hub, "call_2")]
    assert [type(error) for error in errors] == [StreamInterruptedError] * 3
