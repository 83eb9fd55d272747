"""Recording what the API answers, and replaying it: the same to the byte, without secrets, and with its timing."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async import (
    APIConnectionError,
    AsyncAjoxi,
    Call,
    ConfigurationError,
    NotFoundError,
    OutcomeUnknownError,
    ReplayError,
    RetryPolicy,
    Sandbox,
    Segment,
)
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.replay import Recorder, Replayer
from ajoxi_async.replay.cassette import masked
from ajoxi_async.sandbox import StreamFault, Timing
from tests.client.fakes import KEY, ScriptedStream, ScriptedTransport, SteppedClock, answer, lost

pytestmark = pytest.mark.anyio

TO, FROM = "+14155551234", "+14155550100"
REPLAYED = "AJX_TEST_replayed"


def numbers_in(path: Path) -> set[str]:
    """Phone numbers with other digits than zeros in their middle."""
    return {found[0] for found in re.finditer(r"(?:\+|%2B)\d{4}(\d{5})\d{2}", path.read_text()) if found[1] != "00000"}


async def use(client: AsyncAjoxi) -> list[Any]:
    """Calls of every kind, and what they bring."""
    call = await client.calls.create(to=TO, from_=FROM, record=True)
    seen: list[Any] = [call, await client.calls.retrieve(call.id), await client.calls.list().to_list()]
    with pytest.raises(NotFoundError) as caught:
        await client.calls.retrieve("call_unknown")
    seen += [str(caught.value)]
    webhook = await client.webhooks.create(url="http://127.0.0.1/x", events=["call.completed"])
    seen += [webhook.id, await client.webhooks.delete(webhook.id)]
    # A number that came is sent back.
    message = await client.messages.send(to=str(call.to or TO), from_=str(call.from_ or FROM), body="Grüße 😀")
    return [*seen, message]


async def test_the_same_again(tmp_path: Path) -> None:
    """What a recording brings is what was recorded, but for what is masked; every recorded request is used, and no more."""
    path = tmp_path / "new" / "calls.json"
    async with (
        Sandbox(port=None) as sandbox,
        AsyncAjoxi(sandbox.api_key, transport=Recorder(path, sandbox.transport())) as client,
    ):
        first = await use(client)
    replayer = Replayer(path)
    again = await use(AsyncAjoxi(REPLAYED, transport=replayer))
    assert [type(one) for one in again] == [type(one) for one in first]
    assert [masked(repr(one)) for one in again] == [masked(repr(one)) for one in first]
    assert replayer.unused == ()
    text = path.read_text()
    assert sandbox.api_key not in text
    assert not re.search(r"whsec_\w{5}", text)
    assert "Bearer" not in text
    assert not numbers_in(path)
    assert "Grüße 😀" in text


async def test_a_stream_with_three_reconnects(tmp_path: Path) -> None:
    """A transcript that was cut three times comes again cut in the same places, with the same segments."""
    path = tmp_path / "live.json"

    async def follow(client: AsyncAjoxi, id: str) -> tuple[list[Segment], int]:
        async with client.transcripts.stream(id) as live:
            return [segment async for segment in live], live.stats.reconnects

    async with (
        Sandbox(port=None, timing=Timing(ring=0, talk=20), clock="auto") as sandbox,
        AsyncAjoxi(sandbox.api_key, transport=Recorder(path, sandbox.transport())) as client,
    ):
        call = await client.calls.create(to=TO, from_=FROM)
        await client.calls.retrieve(call.id)
        sandbox.disturb_streams(*(StreamFault(cut_after_bytes=size) for size in (700, 900, 1100)))
        first = await follow(client, call.id)
    assert first[1] == 3
    assert first[0]
    replayer = Replayer(path, speed=math.inf)
    client = AsyncAjoxi(REPLAYED, transport=replayer)
    await client.calls.create(to=TO, from_=FROM)
    await client.calls.retrieve(call.id)
    assert await follow(client, call.id) == first
    assert replayer.unused == ()


class Pieces(ScriptedTransport):
    """A stream of these pieces, the next one each time that a clock has moved."""

    def __init__(self, pieces: list[bytes], then: Any = None, kind: str = "text/event-stream") -> None:
        super().__init__(answer(200, None, {"Content-Type": kind}))
        self.pieces, self.then, self.now = pieces, then, 0.0

    def stream(self, request: Request) -> ScriptedStream:
        outer = self

        class Timed(ScriptedStream):
            async def __anext__(self) -> bytes:
                outer.now += 0.1
                return await super().__anext__()

        return Timed(self.script[0], self.pieces, self.then)


async def record(path: Path, transport: Pieces) -> bytes:
    """Read a stream to its end through a recorder."""
    recorder = Recorder(path, transport, clock=lambda: transport.now)
    body = await read(recorder)
    await recorder.aclose()
    return body


async def read(transport: Any, after: list[float] | None = None, clock: Any = None) -> bytes:
    """The bytes of a stream, as far as they come."""
    body = b""
    async with transport.stream(Request("GET", "http://x.example/v1/transcripts/call_1")) as stream:
        assert stream.headers.get("CONTENT-TYPE")
        async for chunk in stream.chunks():
            body += chunk
            if after is not None:
                after.append(clock())
    return body


SSE = [f'id: {n}\ndata: {{"to": "{TO}", "key": "{KEY}"}}\n\n'.encode() for n in range(6)]


async def test_timing(tmp_path: Path) -> None:
    """Pieces come at the seconds at which they came, faster by the factor given, and at once for an infinite one."""
    path = tmp_path / "a.json"
    await record(path, Pieces(SSE))
    assert [piece[0] for piece in json.loads(path.read_text())["exchanges"][0]["outcome"]["pieces"]] == [
        pytest.approx(0.1 * n) for n in range(1, 7)
    ]
    for speed, expected in ((1.0, 0.1), (4.0, 0.025), (0.5, 0.2), (math.inf, 0.0)):
        replayer, clock = Replayer(path, speed=speed), SteppedClock()
        replayer._clock, replayer._sleep = clock, clock.sleep
        after: list[float] = []
        await read(replayer, after, clock)
        assert after == [pytest.approx(1000.0 + expected * n) for n in range(1, 7)]


async def test_no_number_is_split(tmp_path: Path) -> None:
    """However the pieces are cut, within a number, a key, a character, the file has none of them, and the text is whole."""
    whole = b"".join(SSE) + "data: Grüße 😀\n\n".encode()
    masked_whole = masked(whole.decode()).encode()
    for size in range(1, 60, 7):
        path = tmp_path / f"{size}.json"
        await record(path, Pieces([whole[start : start + size] for start in range(0, len(whole), size)]))
        assert not numbers_in(path)
        assert KEY not in path.read_text()
        assert await read(Replayer(path, speed=math.inf)) == masked_whole


async def test_audio(tmp_path: Path) -> None:
    """What is not text comes back to the byte."""
    path = tmp_path / "a.json"
    audio = bytes(range(256)) * 40
    await record(path, Pieces([audio[:999], audio[999:]], kind="audio/wav"))
    assert await read(Replayer(path, speed=math.inf)) == audio


async def test_a_cut_is_a_cut(tmp_path: Path) -> None:
    """A lost connection is lost again, before or after the request was sent, and in the middle of a stream."""
    path = tmp_path / "a.json"
    transport = Pieces(SSE[:2] + [b"data: half"], lost(sent=True, timeout=True))
    recorder = Recorder(path, transport, clock=lambda: transport.now)
    with pytest.raises(Exception, match="the connection broke"):
        await read(recorder)
    await recorder.aclose()
    with pytest.raises(Exception, match="the connection broke") as caught:
        await read(Replayer(path, speed=math.inf))
    assert (caught.value.sent, caught.value.timeout) == (True, True)  # type: ignore[attr-defined]
    assert "data: half" in path.read_text()
    settings: dict[str, Any] = {"retry": RetryPolicy(max_retries=0)}
    for sent, error in ((True, OutcomeUnknownError), (False, APIConnectionError)):
        client = AsyncAjoxi(KEY, transport=Recorder(path, ScriptedTransport(lost(sent=sent))), **settings)
        with pytest.raises(error):
            await client.calls.create(to=TO, from_=FROM)
        await client.aclose()
        with pytest.raises(error):
            await AsyncAjoxi(REPLAYED, transport=Replayer(path), **settings).calls.create(to=TO, from_=FROM)


async def test_what_was_not_recorded(tmp_path: Path) -> None:
    """An error that says what was asked, what there is, and where they differ; a POST is no unknown outcome, and each answer is
    given once."""
    path = tmp_path / "a.json"
    client = AsyncAjoxi(KEY, transport=Recorder(path, ScriptedTransport(answer(201, {"id": "call_1"}))))
    await client.calls.create(to=TO, from_=FROM, metadata={"order": "7"})
    await client.aclose()
    replayed = AsyncAjoxi(REPLAYED, transport=Replayer(path))
    with pytest.raises(ReplayError, match="another body") as caught:
        await replayed.calls.create(to=TO, from_=FROM, metadata={"order": "8"})
    assert TO not in str(caught.value)
    with pytest.raises(ReplayError, match=r"not asked for yet: POST https://api.ajoxi.com/v1/calls"):
        await replayed.calls.retrieve("call_1")
    with pytest.raises(ReplayError):
        async with replayed.transcripts.stream("call_1") as live:
            await anext(live)
    await replayed.calls.create(to=TO, from_=FROM, metadata={"order": "7"})
    with pytest.raises(ReplayError, match="more often"):
        await replayed.calls.create(to=TO, from_=FROM, metadata={"order": "7"})
    assert replayed.limiter.snapshot().in_use <= 1


async def test_references_and_hosts_do_not_count(tmp_path: Path) -> None:
    """A generated client reference is another one each time, and a sandbox has another port; both are replayed."""
    path = tmp_path / "a.json"
    script = ScriptedTransport(answer(201, {"id": "call_1"}))
    client = AsyncAjoxi(KEY, transport=Recorder(path, script), base_url="http://127.0.0.1:1", client_references=True)
    await client.calls.create(to=TO, from_=FROM)
    await client.aclose()
    again = AsyncAjoxi(REPLAYED, transport=Replayer(path), client_references=True)
    assert await again.calls.create(to=TO, from_=FROM) == Call(id="call_1")


async def test_hostile_answers(tmp_path: Path) -> None:
    """Escaped numbers, invalid text, cookies, and URLs that give access: nothing of them is in the file."""
    path = tmp_path / "a.json"
    body = (
        rb'{"id":"call_1","a":"\u002b\u0031415555\u00312\u00334","b":"'
        b"\xff" + TO.encode() + b'","c":"C:\\\\u002b"}'
    )
    signed = "https://s3.example/a.wav?X-Amz-Signature=abc123&X-Amz-Credential=def&x=1"
    headers = {"Set-Cookie": "session=abc123", "Location": signed, "Content-Type": "application/json"}
    recorder = Recorder(path, ScriptedTransport(Response(200, headers, body)))
    client = AsyncAjoxi(KEY, transport=recorder)
    await client.request("GET", "/v1/x", query={"to": TO}, extra_headers={"X-Secret": "abc123"}, returns=bytes)
    await client.aclose()
    text = path.read_text()
    assert "abc123" not in text
    assert "14155551234" not in text
    assert not numbers_in(path)
    replayed = await AsyncAjoxi(REPLAYED, transport=Replayer(path)).request(
        "GET", "/v1/x", query={"to": TO}, returns=bytes
    )
    assert b'"c":"C:\\\\u002b"' in replayed
    assert b"\xff" in replayed


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 9, "exchanges": []}', '{"format": 1, "exchanges": [7]}', "[" * 200_000, None],
)
async def test_files_that_are_none(tmp_path: Path, content: str | None) -> None:
    """A file that is missing, damaged, or of another format is refused at once, by name."""
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"a\.json"):
        Replayer(path)
    for no_path in (5, b"a.json", "\0", str(tmp_path)):
        for kind in (Recorder, Replayer):
            with pytest.raises(ConfigurationError, match="^path: "):
                kind(no_path)  # type: ignore[arg-type]
    for speed in (0, -1, math.nan, "fast"):
        with pytest.raises(ConfigurationError, match="speed"):
            Replayer(path, speed=speed)  # type: ignore[arg-type]
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Recorder(blocked / "a.json", ScriptedTransport(answer())).save()


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        ("request", {"url": "http://["}),
        ("request", {"headers": "x"}),
        ("outcome", {"status": "x"}),
        ("outcome", {"status": None}),
        ("outcome", {"body": {}}),
        ("outcome", {"body": {"base64": "%%"}}),
        ("outcome", {"body": {"latin1": 1}}),
        ("outcome", {"headers": [1]}),
        ("outcome", {"pieces": 1}),
        ("outcome", {"pieces": [[1]]}),
        ("outcome", {"pieces": [["x", "y"]]}),
        ("outcome", {"ended_at": "x"}),
        ("outcome", {"ended": {}}),
    ],
)
async def test_a_damaged_exchange(tmp_path: Path, part: str, damage: dict[str, Any]) -> None:
    """It is named when the file is read, and not by an error of Python's when it is asked for."""
    path = tmp_path / "a.json"
    good = {"request": {"method": "GET", "url": "http://x.example/"}, "outcome": {"status": 200, "body": "{}"}}
    path.write_text(json.dumps({"format": 1, "exchanges": [good, {**good, part: {**good[part], **damage}}]}))
    with pytest.raises(ConfigurationError, match=r"a\.json: exchange 2 is damaged"):
        Replayer(path)


@pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")
async def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    """A link stays one; a pipe or a device is refused before anything is recorded, and left as it is."""
    link, real = tmp_path / "link.json", tmp_path / "real.json"
    link.symlink_to(real)
    Recorder(link, ScriptedTransport(answer())).save()
    assert (link.is_symlink(), real.is_file()) == (True, True)
    os.mkfifo(tmp_path / "pipe")
    for kind in (Recorder, Replayer):
        with pytest.raises(ConfigurationError, match="no regular file"):
            kind(tmp_path / "pipe")


async def test_closing_while_a_piece_is_waited_for(tmp_path: Path) -> None:
    """Another task may close a replayed stream; a reader that is cancelled while it waits loses nothing."""
    path = tmp_path / "a.json"
    await record(path, Pieces(SSE))
    document = json.loads(path.read_text())
    for number, piece in enumerate(document["exchanges"][0]["outcome"]["pieces"]):
        piece[0] = 0.3 + 60 * number
    path.write_text(json.dumps(document))
    replayer = Replayer(path)
    async with replayer.stream(Request("GET", "http://x.example/v1/transcripts/call_1")) as stream:
        chunks = stream.chunks()
        with anyio.move_on_after(0.05):
            await anext(chunks)
        assert b"id: 0" in await anext(chunks)

        async def close() -> None:
            await anyio.sleep(0.05)
            await stream.__aexit__(None, None, None)  # type: ignore[attr-defined]

        async with anyio.create_task_group() as group:
            group.start_soon(close)
            with pytest.raises(Exception, match="closed"):
                await anext(chunks)
