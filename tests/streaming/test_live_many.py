"""Many calls at once: fair, bounded, and each on its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from ajoxi_async import (
    AsyncAjoxi,
    ConfigurationError,
    InvalidParameterError,
    NotFoundError,
    StreamInterruptedError,
    StreamItem,
)
from ajoxi_async.contract.wire import Request
from tests.client.fakes import ENVELOPE, ScriptedStream, answer, client_on
from tests.streaming.wire import EVENT_STREAM, Connections, completed, connection, segment

pytestmark = pytest.mark.anyio


class Calls(Connections):
    """A script for each call, by its id."""

    def __init__(self, **calls: list[ScriptedStream]) -> None:
        super().__init__()
        self.calls = calls

    def stream(self, request: Request) -> ScriptedStream:
        self.opened.append(request)
        self.used.append(self.calls[request.url.rpartition("/")[2]].pop(0))
        return self.used[-1]


class Counted(ScriptedStream):
    """A connection that counts the pieces it was asked for, and stays open."""

    asked = 0

    async def _read(self) -> Any:
        for piece in self.pieces:
            await anyio.lowlevel.checkpoint()
            self.asked += 1
            yield piece
        await anyio.sleep_forever()


def flood(amount: int) -> Counted:
    """A call that says everything at once."""
    return Counted(EVENT_STREAM, [segment(n, n) for n in range(1, amount + 1)] + [completed(amount + 1, amount)])


def told(items: list[StreamItem], id: str) -> list[int | None]:
    """What one call said: sequences, and ``None`` for its end."""
    return [item.segment and item.segment.sequence for item in items if item.call_id == id]


async def test_all_of_them() -> None:
    """Each call comes whole and in its order, and says when it is complete; then it ends."""
    calls = {
        f"call_{n}": [connection(*(segment(k, k) for k in range(1, n + 1)), completed(n + 1, n))] for n in range(9)
    }
    async with client_on(Calls(**calls)).transcripts.stream_many(calls.keys()) as many:
        items = [item async for item in many]
        assert many.call_ids == ()
    for n in range(9):
        assert told(items, f"call_{n}") == [*range(1, n + 1), None]
    last = {item.call_id: item for item in items if item.done}
    assert all(item.error is None for item in last.values())
    assert last["call_5"].last_event_id == "6"


async def test_one_that_fails() -> None:
    """A call that fails is an item with its error; the others go on."""
    wire = Calls(call_0=[ScriptedStream(answer(404, ENVELOPE))], call_1=[connection(segment(1, 1), completed(2, 1))])
    async with client_on(wire).transcripts.stream_many(["call_0", "call_1"]) as many:
        items = [item async for item in many]
    failed = next(item for item in items if item.call_id == "call_0")
    assert isinstance(failed.error, NotFoundError)
    assert failed.done
    assert told(items, "call_1") == [1, None]


async def test_a_flood_delays_nobody() -> None:
    """However much one call has to say, every other call is heard once in each round."""
    wire = Calls(
        flood=[flood(3000)],
        **{f"call_{n}": [connection(segment(1, 1), segment(2, 2), completed(3, 2))] for n in range(5)},
    )
    async with client_on(wire).transcripts.stream_many(wire.calls.keys()) as many:
        await anyio.wait_all_tasks_blocked()
        first = Counter([(await anext(many)).call_id for _ in range(18)])
        assert first["flood"] <= 4
        assert sum(first.values()) == 18
        rest = [item async for item in many]
    assert len(rest) == 3001 + 15 - 18


async def test_a_full_buffer_holds_its_call_back() -> None:
    """Nothing more is read of a call whose buffer is full, and nothing is dropped."""
    stream = flood(100)
    async with client_on(Calls(call=[stream])).transcripts.stream_many(["call"], max_buffer=10) as many:
        await anyio.wait_all_tasks_blocked()
        assert stream.asked == 11
        await anext(many)
        await anyio.wait_all_tasks_blocked()
        assert stream.asked == 12
        assert told([item async for item in many], "call") == [*range(2, 101), None]


async def test_coalescing() -> None:
    """Where it overflows, superseded interims make room; finals and the latest interims never go."""
    pieces = []
    for sequence in range(1, 9):
        pieces += [segment(len(pieces) + k, sequence, k, final=False, text="x" * k) for k in range(1, 50)]
        pieces += [segment(len(pieces) + 1, sequence, 50, text="final")]
    pieces += [segment(len(pieces) + k, 9, k, final=False, text="y" * k) for k in range(1, 50)]
    stream = Counted(EVENT_STREAM, pieces)
    async with client_on(Calls(call=[stream])).transcripts.stream_many(
        ["call"], max_buffer=10, overflow="coalesce"
    ) as many:
        await anyio.wait_all_tasks_blocked()
        many.add("call")
        seen = []
        with anyio.move_on_after(0):
            while True:
                seen.append((await anext(many)).segment)
    assert stream.asked == len(pieces)
    finals = [line.sequence for line in seen if line is not None and line.is_final]
    assert finals == list(range(1, 9))
    assert len(seen) <= 10
    assert seen[-1] is not None
    assert (seen[-1].sequence, seen[-1].revision) == (9, 49)


async def test_nothing_is_dropped_while_there_is_room() -> None:
    """``coalesce`` drops superseded interims only where the buffer is full."""
    pieces = [segment(k, 1, k, final=False, text="x" * k) for k in range(1, 6)] + [completed(6, 1)]
    async with client_on(Calls(call=[Counted(EVENT_STREAM, pieces)])).transcripts.stream_many(
        ["call"], max_buffer=10, overflow="coalesce"
    ) as many:
        await anyio.wait_all_tasks_blocked()
        revisions = [(await anext(many)).segment.revision for _ in range(5)]
    assert revisions == [1, 2, 3, 4, 5]


async def test_come_and_go() -> None:
    """Calls are added and discarded while it runs; what a discarded one had waiting is dropped, and its socket closed."""
    wire = Calls(
        call_0=[connection(segment(1, 1), segment(2, 2), completed(3, 2))],
        call_1=[flood(500)],
        call_2=[connection(segment(7, 2), completed(8, 2))],
    )
    async with client_on(wire).transcripts.stream_many() as many:
        many.add("call_0")
        many.add("call_0")
        many.add("call_1")
        await anyio.wait_all_tasks_blocked()
        many.discard("call_1")
        many.discard("call_1")
        many.discard("call_9")
        many.add("call_2", resume_from="6")
        assert many.call_ids == ("call_0", "call_2")
        items = [item async for item in many]
    assert told(items, "call_0") == [1, 2, None]
    assert told(items, "call_1") == []
    assert told(items, "call_2") == [2, None]
    assert all(stream.closed for stream in wire.used)
    assert wire.opened[-1].headers.get("Last-Event-ID") == "6"


async def test_discarded_while_its_buffer_had_room_again() -> None:
    """A call that is discarded in the moment its reader may go on says nothing more."""
    async with client_on(Calls(call=[flood(50)])).transcripts.stream_many(["call"], max_buffer=1) as many:
        await anyio.wait_all_tasks_blocked()
        await anext(many)
        many.discard("call")
        await anyio.wait_all_tasks_blocked()
        assert [item async for item in many] == []


async def test_it_waits_for_the_first_call() -> None:
    """Without a call it waits for one; discarding the last one ends it."""
    wire = Calls(call_0=[connection(segment(1, 1), completed(2, 1))])
    async with client_on(wire).transcripts.stream_many() as many, anyio.create_task_group() as tasks:
        seen: list[StreamItem] = []

        async def read() -> None:
            seen.extend([item async for item in many])

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        assert seen == []
        many.add("call_0")
    assert told(seen, "call_0") == [1, None]


@pytest.mark.parametrize("leave", ["break", "raise", "cancel"])
async def test_leaving(leave: str) -> None:
    """By whatever way the block is left, every socket is closed and no exception is wrapped."""
    wire = Calls(**{f"call_{n}": [flood(5000)] for n in range(5)})

    async def read() -> None:
        async with client_on(wire).transcripts.stream_many(wire.calls.keys()) as many:
            async for _ in many:
                if leave == "break":
                    break
                if leave == "raise":
                    raise ZeroDivisionError
                scope.cancel()
                await anyio.sleep_forever()

    with anyio.fail_after(5), anyio.CancelScope() as scope:
        if leave == "raise":
            with pytest.raises(ZeroDivisionError):
                await read()
        else:
            await read()
    assert len(wire.used) == 5
    assert all(stream.closed for stream in wire.used)


async def test_outside_of_its_block() -> None:
    """Calls can be added only inside the block, and only by their ids."""
    many = client_on(Calls()).transcripts.stream_many()
    async with many:
        with pytest.raises(InvalidParameterError, match="^id: expected the id of a call, got list"):
            many.add(["call_1"])  # type: ignore[arg-type]
    many = client_on(Calls()).transcripts.stream_many()
    with pytest.raises(ConfigurationError, match="async with"):
        many.add("call_1")


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"max_buffer": 0}, "max_buffer"),
        ({"max_buffer": True}, "max_buffer"),
        ({"overflow": "drop"}, "overflow"),
        ({"overflow": ["drop"]}, "overflow"),
        ({"ids": "call_1"}, "ids"),
        ({"ids": 5}, "ids"),
        ({"ids": [""]}, "id"),
        ({"ids": [["call_1"]]}, "id"),
        ({"idle_timeout": 0, "ids": ["call_1"]}, "idle_timeout"),
        ({"timeout": 1, "ids": ["call_1"]}, "timeout"),
    ],
)
async def test_what_cannot_be(wrong: dict[str, Any], name: str) -> None:
    """Nonsense is refused by name before anything is opened."""
    with pytest.raises(InvalidParameterError) as caught:
        client_on(Calls()).transcripts.stream_many(**wrong)
    assert caught.value.param == name


@pytest.mark.parametrize("client", [client_on])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncios_own_timeout(client: Callable[..., AsyncAjoxi]) -> None:
    """`asyncio.timeout` around it ends in a TimeoutError as ever."""

    class Held(ScriptedStream):
        async def _read(self) -> Any:
            await anyio.sleep_forever()
            yield b""

    wire = Calls(call=[Held(EVENT_STREAM)])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), client(wire).transcripts.stream_many(["call"]) as many:
            await anext(many)
    assert wire.used[0].closed


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_token_provider_that_awaits_what_was_cancelled() -> None:
    """Nobody has cancelled the call's task: its failure is an item, and the other calls go on."""
    asked = 0

    async def token() -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise asyncio.CancelledError
        return "AJX_TEST_token"

    calls = Calls(call_1=[flood(1)], call_2=[flood(1)])
    client = AsyncAjoxi(token_provider=token, transport=calls, allow_live=True)
    with anyio.fail_after(20):
        async with client.transcripts.stream_many(["call_1", "call_2"]) as lives:
            items = [item async for item in lives]
    assert sorted(len([item for item in items if item.call_id == id]) for id in ("call_1", "call_2")) == [1, 2]
    assert [type(item.error) for item in items if item.error is not None] == [RuntimeError]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_program_that_cancels_every_task() -> None:
    """Whoever cancels the tasks of the block itself ends its calls with an error, and the iterator does not wait for ever."""
    calls = Calls(call_1=[Counted(EVENT_STREAM, [segment(1, 1)])], call_2=[flood(1)])
    with anyio.fail_after(20):
        async with client_on(calls).transcripts.stream_many(["call_1"]) as lives:
            assert (await anext(lives)).segment is not None
            for task in asyncio.all_tasks():
                if task.get_name() == "ajoxi_async tasks":
                    task.cancel()
            await anyio.wait_all_tasks_blocked()
            lives.add("call_2")
            items = [item async for item in lives]
    assert [(item.call_id, type(item.error)) for item in items] == [
        ("call_1", StreamInterruptedError),
        ("call_2", StreamInterruptedError),
    ]
