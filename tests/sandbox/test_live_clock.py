"""The live clock: time flows by itself, can be paused, changes its speed, and jumps.

Most of it runs on trio's mock clock, on which real seconds pass in no time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from ajoxi_async import AsyncAjoxi, InvalidParameterError, Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import LiveClock, Timing
from ajoxi_async.sandbox.time.live import STEP

TO, FROM = "+15005550100", "+14155550100"


def on_mock_clock(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on trio with a clock that jumps whenever everybody sleeps."""
    trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))


def live_sandbox(speed: float = 1.0, **options: Any) -> Sandbox:
    return Sandbox(port=None, rate_limit=None, clock=LiveClock(speed=speed, wall=trio.current_time), **options)


async def ask(sandbox: Sandbox, path: str, body: bytes | None = None) -> Any:
    headers = {"Authorization": f"Bearer {sandbox.api_key}"}
    return await sandbox.transport().send(Request("POST" if body else "GET", path, headers, body))


def test_time_flows_at_its_speed() -> None:
    """A second of the wall is `speed` seconds, to the millisecond and without drift; things happen when they are due."""

    async def test() -> None:
        async with live_sandbox(10.0) as sandbox:
            began = sandbox.clock.now()
            await trio.sleep(0)
            call = sandbox.inbound_call(from_=TO)
            for seconds, status in ((0.03, "ringing"), (0.02, "answered"), (0.2, "answered"), (0.1, "completed")):
                await trio.sleep(seconds + STEP * 0.01)
                found = sandbox.world().account.calls.get(call.id)
                assert found is not None
                assert found.status == status
            await trio.sleep(100)
            assert sandbox.clock.now() - began == pytest.approx(10 * (100.35 + 4 * STEP * 0.01), abs=0.0021)

    on_mock_clock(test)


def test_pause_and_resume() -> None:
    """A paused clock stands still for as long as it is paused, and goes on from there at the speed it is told."""

    async def test() -> None:
        async with live_sandbox() as sandbox:
            began = sandbox.clock.now()
            await trio.sleep(1)
            sandbox.pause()
            sandbox.pause()
            paused = sandbox.clock.now()
            assert paused - began == pytest.approx(1, abs=0.002)
            sandbox.inbound_call(from_=TO)
            await trio.sleep(1000)
            assert (sandbox.clock.now(), len(sandbox.due())) == (paused, 1)
            sandbox.resume(speed=2.5)
            await trio.sleep(2)
            assert sandbox.clock.now() - paused == pytest.approx(5, abs=0.002)
            sandbox.resume()
            await trio.sleep(2)
            assert sandbox.clock.now() - paused == pytest.approx(10, abs=0.003)
            assert sandbox.due() == ()

    on_mock_clock(test)


def test_a_jump_while_it_flows() -> None:
    """`advance` works while time flows and while it is paused; the wall's time that it takes is not flowed as well."""

    async def slow(url: str, headers: dict[str, str], body: bytes) -> int:
        await trio.sleep(5)
        return 200

    async def test() -> None:
        async with live_sandbox(post=slow) as sandbox:
            await ask(sandbox, "/v1/webhooks", b'{"url": "http://127.0.0.1:9/", "events": ["call.completed"]}')
            began = sandbox.clock.now()
            await trio.sleep(3)
            sandbox.inbound_call(from_=TO)
            fired = await sandbox.advance(60)
            assert [one.what for one in fired][:3] == ["call.answered", "call.completed", "delivery.succeeded"]
            assert sandbox.clock.now() - began == pytest.approx(63, abs=0.002)
            await trio.sleep(1)
            sandbox.pause()
            assert sandbox.clock.now() - began == pytest.approx(64, abs=0.003)
            await sandbox.advance(60)
            assert sandbox.clock.now() - began == pytest.approx(124, abs=0.003)

    on_mock_clock(test)


def test_a_delivery_holds_time() -> None:
    """While a receiver does not answer, time stands at the instant of the event, and does not hurry afterwards."""

    async def slow(url: str, headers: dict[str, str], body: bytes) -> int:
        moments.append(sandbox.clock.now())
        await trio.sleep(10)
        moments.append(sandbox.clock.now())
        return 200

    moments: list[float] = []
    sandbox = live_sandbox(post=slow)

    async def test() -> None:
        async with sandbox:
            await ask(sandbox, "/v1/webhooks", b'{"url": "http://127.0.0.1:9/", "events": ["call.answered"]}')
            call = sandbox.inbound_call(from_=TO)
            assert call.created_at is not None
            await trio.sleep(12)
            assert moments == [pytest.approx(call.created_at.timestamp() + 0.4, abs=0.001)] * 2
            assert sandbox.clock.now() - moments[0] == pytest.approx(1.6, abs=0.3)

    on_mock_clock(test)


def test_a_world_in_which_nothing_is_due_costs_nothing() -> None:
    """Time passes without a single step where nothing is due, and is right whenever somebody looks."""

    async def test() -> None:
        looked = 0

        def wall() -> float:
            nonlocal looked
            looked += 1
            return trio.current_time()

        async with Sandbox(port=None, clock=LiveClock(wall=wall)) as sandbox:
            began = sandbox.clock.now()
            await trio.sleep(1)
            looked = 0
            await trio.sleep(1_000_000)
            assert looked == 0
            assert sandbox.clock.now() - began == pytest.approx(1_000_001, abs=0.01)

    on_mock_clock(test)


def test_a_suspended_machine() -> None:
    """Time that passed while the machine did not run is lost but for a quarter of a second: nothing hurries to catch up."""
    mock = trio.testing.MockClock(autojump_threshold=0)

    async def test() -> None:
        async with live_sandbox(timing=Timing(talk=60)) as sandbox:
            began = sandbox.clock.now()
            call = sandbox.inbound_call(from_=TO)
            await trio.sleep(1)
            mock.jump(3600)
            await trio.sleep(1)
            found = sandbox.world().account.calls.get(call.id)
            assert found is not None
            assert found.status == "completed"
            assert sandbox.clock.now() - began == pytest.approx(60.4 + 0.25 + 1, abs=0.1)

    trio.run(test, clock=mock)


def test_closing_stops_the_flow() -> None:
    """A sandbox that is closed has no time that passes; opened again, it goes on where it stood."""

    async def test() -> None:
        sandbox = live_sandbox()
        began = sandbox.clock.now()
        async with sandbox:
            await trio.sleep(5)
        stood = sandbox.clock.now()
        await trio.sleep(100)
        assert (sandbox.clock.now(), stood - began) == (stood, pytest.approx(5, abs=0.002))
        async with sandbox:
            await trio.sleep(5)
            assert sandbox.clock.now() - stood == pytest.approx(5, abs=0.002)

    on_mock_clock(test)


def test_a_rewind_while_it_flows() -> None:
    """After a rewind time flows on from the mark, as fast as before, and what is due comes once."""

    async def test() -> None:
        async with live_sandbox(2.0) as sandbox:
            call = sandbox.inbound_call(from_=TO)
            await trio.sleep(0.5)
            moment = sandbox.clock.now()
            await sandbox.advance(3600)
            sandbox.rewind(sandbox.marks()[-1])
            assert sandbox.clock.now() == moment
            await trio.sleep(0.1)
            assert sandbox.clock.now() - moment == pytest.approx(0.2, abs=0.002)
            found = sandbox.world().account.calls.get(call.id)
            assert found is not None
            assert found.status == "answered"
            await trio.sleep(10)
            assert len(sandbox.world().rings()) == 1

    on_mock_clock(test)


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan"), 2_000_000])
def test_speeds_that_cannot_be(speed: float) -> None:
    """A speed is above 0 and at most a million, and a clock that was told another goes on as it was."""
    with pytest.raises(InvalidParameterError, match="speed: expected above 0"):
        LiveClock(speed=speed)
    clock = LiveClock()
    clock.pause()
    with pytest.raises(InvalidParameterError, match="speed"):
        clock.resume(speed=speed)
    assert (clock.speed, clock.running) == (1.0, False)


@pytest.mark.parametrize("mode", ["real", "speed=2", "manual", "auto"])
def test_only_a_live_clock_is_paused(mode: str) -> None:
    """Other clocks say which one can be paused."""
    sandbox = Sandbox(port=None, clock=mode)
    for act in (sandbox.pause, sandbox.resume):
        with pytest.raises(InvalidParameterError, match="clock: expected clock='live'"):
            act()


def test_the_end_of_time() -> None:
    """A clock stops before moments that cannot be told on the wire."""

    async def test() -> None:
        async with live_sandbox(1_000_000) as sandbox:
            await trio.sleep(10_000_000)
            assert sandbox.clock.now() == 253_370_764_800.0
            with pytest.raises(InvalidParameterError, match="9999"):
                await sandbox.advance(1)

    on_mock_clock(test)


async def record(sandbox: Sandbox, digest: Any, path: str, body: bytes | None = None) -> None:
    answer = await ask(sandbox, path, body)
    digest.update(answer.body)


def trace_of(sandbox: Sandbox, posted: list[bytes]) -> str:
    account = sandbox.world().account
    digest = hashlib.sha256()
    for store in (account.calls, account.messages, account.recordings):
        for item in store.newest_first():
            digest.update(repr(item).encode())
    for body in posted:
        digest.update(body)
    digest.update(repr([(one.at, one.status) for one in sandbox.world().deliveries()]).encode())
    return digest.hexdigest()


def test_the_flow_is_what_an_advance_is() -> None:
    """The same commands at the same moments give the same bytes on a live clock that flows and on a manual one."""
    posted: list[bytes] = []

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        posted.append(headers["X-Ajoxi-Signature"].encode() + body)
        return 500 if len(body) % 3 else 200

    async def command(sandbox: Sandbox, number: int) -> None:
        if number % 2:
            sandbox.inbound_message(from_=TO, body=str(number))
        else:
            await ask(
                sandbox, "/v1/calls", b'{"to": "+1212555%04d", "from": "%s", "record": true}' % (number, FROM.encode())
            )

    moments: list[float] = []
    traces = []

    async def live() -> None:
        async with live_sandbox(3.0, post=post, seed=5) as sandbox:
            sandbox.world().account.media_url = "http://x"
            await ask(
                sandbox,
                "/v1/webhooks",
                b'{"url": "http://127.0.0.1:9/", "events": ["call.completed", "message.received"]}',
            )
            for number in range(30):
                await trio.sleep(0.037 * (number % 7))
                if number == 10:
                    sandbox.pause()
                if number == 13:
                    sandbox.resume(speed=7)
                if number == 20:
                    await sandbox.advance(1000.0)
                moments.append(sandbox.clock.now())
                await command(sandbox, number)
            await trio.sleep(20)
            moments.append(sandbox.clock.now())
            traces.append(trace_of(sandbox, posted))

    async def manual() -> None:
        posted.clear()
        async with Sandbox(port=None, clock="manual", post=post, seed=5, rate_limit=None) as sandbox:
            sandbox.world().account.media_url = "http://x"
            await ask(
                sandbox,
                "/v1/webhooks",
                b'{"url": "http://127.0.0.1:9/", "events": ["call.completed", "message.received"]}',
            )
            for number, moment in enumerate(moments[:-1]):
                await sandbox.advance(to=moment)
                await command(sandbox, number)
            await sandbox.advance(to=moments[-1])
            traces.append(trace_of(sandbox, posted))

    on_mock_clock(live)
    trio.run(manual)
    assert len(posted) > 30
    assert traces[0] == traces[1]


@pytest.mark.anyio
async def test_on_the_wall() -> None:
    """On either event loop, with the machine's own clock: a call that is streamed is spoken while time flows."""
    async with Sandbox(port=None, clock="live=100") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            call = await client.calls.create(to=TO, from_=FROM)
            with anyio.fail_after(20):
                async with client.transcripts.stream(call.id) as live:
                    spoken = [segment async for segment in live]
            assert len(spoken) > 10
            assert (await client.calls.retrieve(call.id)).status == "completed"


def test_a_file_goes_on_where_it_stood(tmp_path: Path) -> None:
    """A live world that is kept in a file goes on at the moment of its last change, and what was due then still happens."""

    async def test() -> None:
        file = tmp_path / "worlds.db"
        async with live_sandbox(db=file) as sandbox:
            await trio.sleep(7)
            call = sandbox.inbound_call(from_=TO)
            await sandbox.world().save()
            stood = sandbox.clock.now()
        async with live_sandbox(db=file) as sandbox:
            assert sandbox.clock.now() - stood < 0.01
            with trio.fail_after(1000):
                while sandbox.due():
                    await trio.sleep(0.5)
            found = sandbox.world().account.calls.get(call.id)
            assert found is not None
            assert found.duration == 3

    trio.run(test, clock=trio.testing.MockClock(rate=50))
