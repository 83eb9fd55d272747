"""Answers that take long to make are made by a thread, and are what the event loop itself would have answered."""

from __future__ import annotations

import json
import threading
from typing import Any

import anyio
import pytest

from ajoxi_async import AsyncAjoxi, LocalLimiter, Sandbox
from ajoxi_async.contract import codec
from ajoxi_async.contract.base import Model
from ajoxi_async.contract.codec import PageBody
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox import Timing
from ajoxi_async.sandbox.conversation import live_log
from ajoxi_async.sandbox.server import handlers, live_transcript, long_answers
from ajoxi_async.sandbox.server.long_answers import encode_answer

FROM = "+14155550100"

pytestmark = pytest.mark.anyio


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the threads that make answers, ``main`` for that of the event loop."""
    seen: set[str] = set()
    made = long_answers.encode_answer

    def encode(result: Model | PageBody[Model]) -> bytes:
        main = threading.current_thread() is threading.main_thread()
        seen.add("main" if main else "worker")
        return made(result)

    monkeypatch.setattr("ajoxi_async.sandbox.server.app.encode_answer", encode)
    return seen


async def get(sandbox: Sandbox, path: str) -> Any:
    request = Request("GET", path, {"Authorization": f"Bearer {sandbox.api_key}"}, None)
    answer = await sandbox.transport().send(request)
    assert isinstance(answer, Response)
    assert answer.status == 200
    return answer.body


async def test_a_page_of_megabytes(threads: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of calls with all the metadata they may have comes from a thread, with the bytes of a short one."""
    async with Sandbox(port=None, clock="manual", rate_limit=None) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport(), limiter=LocalLimiter(None)) as client:
            for number in range(40):
                big = {f"{key:02d}{number}": "\N{GRINNING FACE}" * 500 for key in range(20)}
                await client.calls.create(to="+14155551234", from_=FROM, metadata=big)
        threads.clear()
        short = await get(sandbox, "/v1/calls?limit=2")
        assert threads == {"main"}
        long = await get(sandbox, "/v1/calls?limit=40")
        assert threads == {"main", "worker"}
        assert json.loads(long)["data"][:2] == json.loads(short)["data"]
        monkeypatch.setattr(handlers, "LONG_PAGE", 10**9)
        threads.clear()
        assert await get(sandbox, "/v1/calls?limit=40") == long
        assert threads == {"main"}


async def test_the_transcript_of_a_long_call(threads: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Transcript, recording and live log of a call of an hour come from a thread, with the same bytes as without."""
    async with Sandbox(port=None, clock="manual", rate_limit=None, timing=Timing(talk=3600)) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            call = await client.calls.create(to="+15005550100", from_=FROM, record=True)
            await sandbox.clock.advance(until_idle=True)
            call = await client.calls.retrieve(call.id)
        paths = [f"/v1/transcripts/{call.id}", f"/v1/recordings/{call.recording_id}"]
        threads.clear()
        made = [await get(sandbox, path) for path in paths]
        assert threads == {"worker"}
        account = sandbox.world().account
        logs = [await live_transcript.LiveLogs().of(account, call) for _ in range(2)]
        assert logs[0] is not None
        assert logs[1] is not None
        monkeypatch.setattr(handlers, "LONG_TALK", 10**9)
        threads.clear()
        assert [await get(sandbox, path) for path in paths] == made
        assert threads == {"main"}
        plain = live_log.log_of(call, 3600.0)
        assert plain is not None
        assert [log.frames for log in logs if log] == [plain.frames] * 2
        assert len(json.loads(made[0])["segments"]) > 1_000


async def test_a_long_log_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred readers who come at once for the live log of a long call get one log, worked out once."""
    async with Sandbox(port=None, clock="manual", timing=Timing(talk=3600)) as sandbox:
        sandbox.seed_calls(5)
        account = sandbox.world().account
        call = next(call for call in account.calls.newest_first() if call.answered_at is not None)
        made = []

        def log_of(*given: Any) -> live_log.LiveLog | None:
            made.append(given)
            return live_log.log_of(*given)

        monkeypatch.setattr(live_transcript, "log_of", log_of)
        logs, got = live_transcript.LiveLogs(), []

        async def read() -> None:
            got.append(await logs.of(account, call))

        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(read)
        assert len(made) == 1
        assert len({id(log) for log in got}) == 1


@pytest.mark.parametrize("cursor", [None, "abc"])
def test_pages_are_as_published(cursor: str | None) -> None:
    """A page that is put together from its items has the bytes of one that is written as a whole."""
    sandbox = Sandbox(port=None)
    sandbox.seed_calls(3)
    for items in ((), tuple(sandbox.world().account.calls.newest_first())):
        whole = {"data": [codec.to_wire(item) for item in items], "next_cursor": cursor, "has_more": cursor is not None}
        assert encode_answer(PageBody(items, cursor, cursor is not None)) == codec.encode(whole)
