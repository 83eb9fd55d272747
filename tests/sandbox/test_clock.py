"""The sandbox's time: nothing is jumped over, and what was started at an instant is over before time goes on."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from aiohttp import web

from ajoxi_async import AsyncAjoxi, InvalidParameterError, Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import AutoClock, Fired, LiveClock, NeverHappenedError, RealClock, VirtualClock
from ajoxi_async.sandbox.state.deliveries import SCHEDULE
from ajoxi_async.sandbox.time.modes import clock_of

TO, FROM = "+15005550100", "+14155550100"


class Receiver:
    """A real HTTP server that answers what it is told to."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.got: list[tuple[str, bytes]] = []

    async def __aenter__(self) -> Receiver:
        self._runner = web.ServerRunner(web.Server(self._take))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.BaseRequest) -> web.Response:
        self.got.append((request.headers["X-Ajoxi-Signature"], await request.read()))
        return web.Response(status=self.status, text="no")


@pytest.mark.anyio
async def test_advance_returns_what_happened_in_order() -> None:
    """A call's whole life in one advance: every transition at its own instant, in order."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            began = sandbox.clock.now()
            call = await client.calls.create(to=TO, from_=FROM, record=True)
            fired = await sandbox.clock.advance(10)
            assert sandbox.clock.now() == began + 10
    assert [(one.what, round(one.at.timestamp() - began, 3)) for one in fired] == [
        ("call.answered", 0.4), ("call.completed", 3.4), ("recording.ready", 3.7), ("transcript.ready", 3.7),
    ]  # fmt: skip
    assert fired[0].id == call.id


@pytest.mark.anyio
async def test_an_async_until_event_is_refused() -> None:
    """Its answer would be a coroutine, which counts as true: the first event of any kind would stop the time."""

    async def completed(one: Fired) -> bool:
        return one.what == "call.completed"

    async with Sandbox(port=None, clock="manual") as sandbox:
        with pytest.raises(InvalidParameterError, match="until_event: expected .* got an async function"):
            await sandbox.clock.advance(until_event=completed)  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_until_event() -> None:
    """Time stops at the instant of the event, by type or by a function; what does not come is an error."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            first = await client.calls.create(to=TO, from_=FROM)
            await sandbox.clock.advance(1)
            second = await client.calls.create(to=TO, from_=FROM)
            await sandbox.clock.advance(until_event="call.completed")
            assert [(await client.calls.retrieve(call.id)).status for call in (first, second)] == [
                "completed", "answered",
            ]  # fmt: skip
            fired = await sandbox.clock.advance(until_event=lambda one: one.id == second.id)
            assert fired[-1].what == "call.completed"
            with pytest.raises(NeverHappenedError, match="until_event") as caught:
                await sandbox.clock.advance(until_event="call.completed")
            assert caught.value.fired == []


@pytest.mark.anyio
async def test_to_and_until_idle() -> None:
    """`to` is a moment; `until_idle` stops with the last thing that is due."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await sandbox.clock.advance(to=datetime(2026, 3, 1, tzinfo=UTC))
            assert sandbox.clock.now() == datetime(2026, 3, 1, tzinfo=UTC).timestamp()
            await client.messages.send(to=TO, from_=FROM, body="hi")
            fired = await sandbox.clock.advance(until_idle=True)
            assert [one.what for one in fired] == ["message.sent", "message.delivered"]
            assert sandbox.clock.now() == pytest.approx(fired[-1].at.timestamp(), abs=0.001)
            assert await sandbox.clock.advance(until_idle=True) == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    "given", [{}, {"seconds": 1, "until_idle": True}, {"seconds": -1}, {"to": 5}, {"seconds": float("nan")}], ids=str
)
async def test_what_cannot_be_advanced(given: dict[str, Any]) -> None:
    """Exactly one goal, and none in the past."""
    with pytest.raises(InvalidParameterError):
        await VirtualClock().advance(**given)


@pytest.mark.anyio
async def test_real_time_cannot_be_advanced() -> None:
    """The refusal says what to choose instead."""
    with pytest.raises(InvalidParameterError, match="manual"):
        await RealClock().advance(1)


def test_modes() -> None:
    """Five modes by name, and no other."""
    assert [type(clock_of(mode)) for mode in ("real", "speed=60", "live", "live=60", "manual", "auto")] == [
        RealClock, RealClock, LiveClock, LiveClock, VirtualClock, AutoClock,
    ]  # fmt: skip
    for mode in (
        "",
        "fast",
        "speed",
        "speed=0",
        "speed=x",
        "speed=inf",
        "speed=nan",
        "slow=2",
        "real=2",
        "live=0",
        "live=x",
        "live=",
    ):
        with pytest.raises(InvalidParameterError, match="clock"):
            clock_of(mode)
    with pytest.raises(InvalidParameterError, match="clock"):
        Sandbox(clock="slow")


@pytest.mark.anyio
async def test_auto_jumps_by_itself() -> None:
    """A day of life passes by itself once nobody is busy, and each status can be seen on the way."""
    async with Sandbox(port=None, clock="auto") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            before = sandbox.clock.now()
            call = await client.calls.create(to="+15005550120", from_=FROM)
            with anyio.fail_after(5):
                while not (await client.recordings.list()).data:
                    await anyio.sleep(0.001)
            assert (await client.calls.retrieve(call.id)).status == "completed"
            assert sandbox.clock.now() - before > 600


@pytest.mark.anyio
async def test_each_key_has_its_own_time() -> None:
    """Advancing one world leaves the others where they were; a clock that is given is shared."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        other = sandbox.world(sandbox.mint_key())
        before = other.clock.now()
        await sandbox.clock.advance(60)
        assert (other.clock.now(), sandbox.clock.now()) == (before, before + 60)
    clock = VirtualClock()
    async with Sandbox(port=None, clock=clock) as sandbox:
        other = sandbox.world(sandbox.mint_key())
        other.inbound_message(from_=TO, body="hi")
        other.inbound_call(from_=TO)
        assert [one.what for one in await sandbox.clock.advance(60)][:2] == ["call.answered", "call.completed"]


@pytest.mark.anyio
async def test_a_reader_is_woken_at_every_instant() -> None:
    """A live transcript that is read while time is advanced gets every event, the last one included."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            call = await client.calls.create(to=TO, from_=FROM)
            seen = []

            async def read() -> None:
                async with client.transcripts.stream(call.id) as live:
                    async for segment in live:
                        seen.append((sandbox.clock.now(), segment))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                while not sandbox.clock._waiting:
                    await anyio.lowlevel.checkpoint()
                with anyio.fail_after(5):
                    await sandbox.clock.advance(60)
    moments = [moment for moment, _ in seen]
    assert len(set(moments)) == len(seen) > 10
    assert moments == sorted(moments)


async def ask(sandbox: Sandbox, path: str, body: bytes | None = None) -> Any:
    """Send a request in memory."""
    headers = {"Authorization": f"Bearer {sandbox.api_key}"}
    return await sandbox.transport().send(Request("POST" if body else "GET", path, headers, body))


@pytest.mark.asyncio
async def test_a_delivery_s_whole_life_over_loopback() -> None:
    """Eleven attempts over 24 hours to the dead letter, through real HTTP; the advance tells them all."""
    async with Receiver(500) as receiver, Sandbox(port=None, clock="manual") as sandbox:
        body = b'{"url": "%s", "events": ["message.received"]}' % receiver.url.encode()
        await ask(sandbox, "/v1/webhooks", body)
        for _ in range(3):
            sandbox.inbound_message(from_=TO, body="hi")
            moment = sandbox.clock.now()
            fired = await sandbox.clock.advance(until_idle=True)
        assert [round(one.at.timestamp() - moment) for one in fired] == list(SCHEDULE)[-len(fired) :]
        assert {one.what for one in fired} == {"delivery.failed"}
        assert len(sandbox.dead_letters()) == 3
        assert len(receiver.got) == 33
        assert len(set(receiver.got)) == 3


@pytest.mark.anyio
async def test_ten_thousand_calls() -> None:
    """Of ten thousand calls with all their transitions none is forgotten."""
    contacts = ",".join(f'"+1212{number:07d}"' for number in range(10_000))
    body = f'{{"from": "{FROM}", "campaign": {{"name": "x", "mode": "power", "contacts": [{contacts}]}}}}'
    async with Sandbox(port=None, clock="manual", rate_limit=None) as sandbox:
        assert (await ask(sandbox, "/v1/calls", body.encode())).status == 201
        fired = await sandbox.clock.advance(until_idle=True)
    counts = {what: sum(one.what == what for one in fired) for what in {one.what for one in fired}}
    assert counts["call.started"] == counts["call.completed"] == 10_000
    assert 7_500 < counts["call.answered"] < 8_500


async def trace(seed: int) -> str:
    """The hash of everything that happens to a hundred calls and messages, their deliveries included."""

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        await anyio.lowlevel.checkpoint()
        digest.update(headers["X-Ajoxi-Signature"].encode())
        return 500 if hashlib.sha256(body).digest()[0] % 5 == 0 else 200

    digest = hashlib.sha256()
    async with Sandbox(port=None, clock="manual", seed=seed, rate_limit=None, post=post) as sandbox:
        await ask(
            sandbox, "/v1/webhooks", b'{"url": "http://127.0.0.1:9/", "events": ["call.started", "call.completed"]}'
        )
        for number in range(100):
            await ask(sandbox, "/v1/calls", b'{"to": "+1212%07d", "from": "%s"}' % (number, FROM.encode()))
            await ask(
                sandbox, "/v1/messages", b'{"to": "+1212%07d", "from": "%s", "body": "x"}' % (number, FROM.encode())
            )
        fired: list[Fired] = await sandbox.clock.advance(until_idle=True)
    for one in fired:
        digest.update(repr(one).encode())
    assert len(fired) > 500
    return digest.hexdigest()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_same_seed_gives_the_same_trace(loop: str) -> None:
    """The whole trace, signatures and retries included, depends on the seed alone, on either loop."""
    pytest.importorskip("uvloop")
    first = anyio.run(trace, 7, backend_options={"use_uvloop": loop == "uvloop"})
    assert first == anyio.run(trace, 7)
    assert first != anyio.run(trace, 8)


@pytest.mark.anyio
async def test_an_advance_that_is_cancelled() -> None:
    """Whoever stops waiting leaves the clock as usable as before, and the next advance tells its own story only."""
    go_on, scope = anyio.Event(), anyio.CancelScope()

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        scope.cancel()
        await go_on.wait()
        return 200

    async with Sandbox(port=None, clock="manual", post=post) as sandbox:
        await ask(sandbox, "/v1/webhooks", b'{"url": "http://127.0.0.1:9/", "events": ["call.completed"]}')
        await ask(sandbox, "/v1/calls", f'{{"to": "{TO}", "from": "{FROM}"}}'.encode())
        with scope:
            await sandbox.clock.advance(60)
        assert scope.cancelled_caught
        await ask(sandbox, "/v1/messages", f'{{"to": "{TO}", "from": "{FROM}", "body": "x"}}'.encode())
        go_on.set()
        assert [one.what for one in await sandbox.clock.advance(60)] == ["message.sent", "message.delivered"]
        assert len(sandbox.world().deliveries()) == 1


@pytest.mark.anyio
async def test_advances_wait_for_each_other() -> None:
    """Two advances at once add up, and each event is told once."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        before = sandbox.clock.now()
        await ask(sandbox, "/v1/calls", f'{{"to": "{TO}", "from": "{FROM}"}}'.encode())
        told: list[str] = []

        async def advance() -> None:
            told.extend(one.what for one in await sandbox.clock.advance(2))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(advance)
            tasks.start_soon(advance)
        assert told == ["call.answered", "call.completed"]
        assert sandbox.clock.now() == before + 4
