"""Long advances: they give the event loop its turn, tell how far they are, can be stopped, and may be cut into steps."""

from __future__ import annotations

import gc
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ajoxi_async import InvalidParameterError, Sandbox
from ajoxi_async.contract.messages import MessageSend
from ajoxi_async.contract.webhooks import WebhookCreate
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import (
    AdvanceProgress,
    AdvanceStoppedError,
    AutoClock,
    Fired,
    LiveClock,
    NeverHappenedError,
    Timing,
    VirtualClock,
)  # fmt: skip
from ajoxi_async.sandbox.state import messages, webhooks
from ajoxi_async.sandbox.time.goals import span_text
from ajoxi_async.sandbox.time.moments import at
from ajoxi_async.sandbox.time.timers import Timer, Timers

TO, FROM = "+15005550100", "+14155550100"
CLOCKS: dict[str, Callable[[], VirtualClock]] = {
    "manual": VirtualClock,
    # One that would jump by itself only after the test.
    "auto": lambda: AutoClock(pause=3600),
    "live": lambda: paused(),
}


def paused() -> LiveClock:
    clock = LiveClock()
    clock.pause()
    return clock


def sandbox_on(clock: str, **options: Any) -> Sandbox:
    return Sandbox(**{"port": None, "rate_limit": None, "clock": CLOCKS[clock](), **options})


async def ask(sandbox: Sandbox, path: str, body: bytes | None = None) -> Any:
    headers = {"Authorization": f"Bearer {sandbox.api_key}"}
    return await sandbox.transport().send(Request("POST" if body else "GET", path, headers, body))


async def watched(work: Callable[[], Awaitable[Any]]) -> tuple[int, float]:
    """Do something and return how often another task had its turn meanwhile, and the longest processor time between two turns."""
    turns: list[float] = []

    async def watch() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            turns.append(time.process_time())

    # The collector walks whatever the other tests left behind, which is not the advance's time.
    gc.disable()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await anyio.lowlevel.checkpoint()
            await work()
            tasks.cancel_scope.cancel()
    finally:
        gc.enable()
    return len(turns), max(after - before for before, after in zip(turns, turns[1:], strict=False))


@pytest.mark.anyio
@pytest.mark.parametrize("clock", CLOCKS)
async def test_much_at_one_instant(clock: str) -> None:
    """Thousands of things at one instant, and their deliveries by a post that waits for nothing, leave the loop its turn."""

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        return 500

    async with sandbox_on(clock, post=post, timing=Timing(sms_sent=0)) as sandbox:
        await ask(sandbox, "/v1/webhooks", b'{"url": "http://127.0.0.1:9/", "events": ["message.delivered"]}')
        account = sandbox.world().account
        for number in range(2_000):
            message = messages.send(account, MessageSend(to=TO, from_=FROM, body=str(number)), sandbox.clock.now())
        assert message.id
        turns, longest = await watched(lambda: sandbox.advance(3))
        assert len(sandbox.world().deliveries()) == 1_000
        assert len(sandbox.world().pending()) == 2_000
    assert turns > 100
    # The bar is 10 ms, on a quiet machine.
    assert longest < 0.05


@pytest.mark.anyio
@pytest.mark.parametrize("clock", CLOCKS)
async def test_many_instants(clock: str) -> None:
    """An advance over thousands of instants at which nothing is posted leaves the loop its turn as well."""
    async with sandbox_on(clock) as sandbox:
        for number in range(1_000):
            sandbox.world().account.later(sandbox.clock.now() + number, "return", "call_x", None)
        await sandbox.advance(1)
        turns, longest = await watched(lambda: sandbox.advance(2_000))
    assert turns >= 2
    assert longest < 0.05


@pytest.mark.anyio
async def test_requests_meanwhile() -> None:
    """A request that comes while time is advanced is answered, as of the instant that was reached."""
    async with sandbox_on("manual") as sandbox:
        began = sandbox.clock.now()
        for number in range(20_000):
            sandbox.world().account.later(began + number, "return", "call_x", None)
        created = []

        async def place() -> None:
            answer = await ask(sandbox, "/v1/calls", b'{"to": "%s", "from": "%s"}' % (TO.encode(), FROM.encode()))
            created.append(json.loads(answer.body)["created_at"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place)
            fired = await sandbox.advance(30_000)
        assert [one.what for one in fired][-2:] == ["call.answered", "call.completed"]
        assert len(created) == 1


@pytest.mark.anyio
async def test_progress() -> None:
    """The callback is told of each instant and of the end, and the clock says the same meanwhile."""
    async with sandbox_on("manual") as sandbox:
        began = at(sandbox.clock.now())
        sandbox.inbound_call(from_=TO)
        told: list[AdvanceProgress] = []
        seen = []

        def tell(progress: AdvanceProgress) -> None:
            told.append(progress)
            seen.append(sandbox.clock.progress)

        await sandbox.advance(60, progress=tell)
        assert told == seen
        assert sandbox.clock.progress is None
        assert {(one.began, one.end) for one in told} == {(began, at(sandbox.clock.now()))}
        assert [((one.now - began).total_seconds(), one.instants) for one in told] == [
            (0.4, 1), (3.4, 2), (3.7, 3), (60, 3),
        ]  # fmt: skip
        sandbox.inbound_call(from_=TO)
        await sandbox.advance(until_event="call.completed", progress=tell)
        assert (told[-1].end, told[-1].instants) == (None, 2)


@pytest.mark.anyio
async def test_progress_that_cannot_be() -> None:
    """A function that would not run is refused before time moves; what it raises ends the advance at an instant."""

    async def late(progress: AdvanceProgress) -> None: ...

    def fails(progress: AdvanceProgress) -> None:
        raise LookupError("no")

    async with sandbox_on("manual") as sandbox:
        began = sandbox.clock.now()
        with pytest.raises(InvalidParameterError, match="progress: expected a plain function"):
            await sandbox.advance(60, progress=late)
        sandbox.inbound_call(from_=TO)
        with pytest.raises(LookupError):
            await sandbox.advance(60, progress=fails)
        assert sandbox.clock.now() == began + 0.4
        assert sandbox.clock.progress is None
        assert [one.what for one in await sandbox.advance(60)][0] == "call.completed"


@pytest.mark.anyio
@pytest.mark.parametrize("clock", CLOCKS)
async def test_an_advance_is_stopped(clock: str) -> None:
    """It ends at the instant that was reached, though a receiver hangs; the error tells what happened, and time goes on later."""
    asked, go_on = anyio.Event(), anyio.Event()

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        asked.set()
        await go_on.wait()
        return 200

    async with sandbox_on(clock, post=post) as sandbox:
        await ask(sandbox, "/v1/webhooks", b'{"url": "http://127.0.0.1:9/", "events": ["call.answered"]}')
        began = sandbox.clock.now()
        assert not sandbox.stop_advance()
        sandbox.inbound_call(from_=TO)
        stopped: list[AdvanceStoppedError] = []

        async def advance() -> None:
            with pytest.raises(AdvanceStoppedError) as caught:
                await sandbox.advance(3600)
            stopped.append(caught.value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(advance)
            tasks.start_soon(advance)
            await asked.wait()
            assert sandbox.stop_advance()
        assert [[one.what for one in error.fired] for error in stopped] in (
            [["call.answered"], []], [[], ["call.answered"]],
        )  # fmt: skip
        assert sandbox.clock.now() == began + 0.4
        assert (sandbox.jumps()[-1].stopped, len(sandbox.jumps())) == (True, 1)
        go_on.set()
        assert [one.what for one in await sandbox.advance(10)] == [
            "call.completed", "recording.ready", "transcript.ready",
        ]  # fmt: skip
        (attempt,) = sandbox.world().deliveries()
        assert attempt.succeeded


@pytest.mark.anyio
async def test_stopped_in_the_middle_of_an_instant() -> None:
    """What is due at the instant of a stop, or of a cancellation, is carried out all the same, and nothing later is."""
    async with sandbox_on("manual") as sandbox:
        now = sandbox.clock.now()
        account = sandbox.world().account
        for number in range(5_000):
            messages.send(account, MessageSend(to=TO, from_=FROM, body=str(number)), now)
        with anyio.CancelScope() as scope:
            account.on_fired = lambda _: scope.cancel()
            await sandbox.advance(60)
        assert scope.cancelled_caught
        assert sandbox.clock.now() == now + account.timing.sms_sent
        with anyio.fail_after(10):
            while sandbox.due(amount=1)[0].kind == "message_sent":
                await anyio.lowlevel.checkpoint()
        assert (len(sandbox.due(0, 10_000)), account.next_due) == (5_000, now + 0.1 + 0.3)
        assert sandbox.clock.now() == now + account.timing.sms_sent


@pytest.mark.anyio
@pytest.mark.parametrize("clock", CLOCKS)
async def test_to_the_next(clock: str) -> None:
    """Time stops at each moment at which something is due; where nothing is, that is said."""
    async with sandbox_on(clock) as sandbox:
        began = sandbox.clock.now()
        sandbox.inbound_call(from_=TO)
        passed = []
        for _ in range(3):
            fired = await sandbox.advance_to_next()
            passed.append((round(sandbox.clock.now() - began, 3), fired[0].what))
        assert passed == [(0.4, "call.answered"), (3.4, "call.completed"), (3.7, "recording.ready")]
        with pytest.raises(NeverHappenedError, match="nothing is due"):
            await sandbox.advance_to_next()


@pytest.mark.anyio
async def test_what_is_due() -> None:
    """What is due is listed in its order, by position, and what fired is not in it any more."""
    async with sandbox_on("manual") as sandbox:
        call = sandbox.inbound_call(from_=TO)
        message = json.loads(
            (
                await ask(
                    sandbox, "/v1/messages", b'{"to": "%s", "from": "%s", "body": "x"}' % (TO.encode(), FROM.encode())
                )
            ).body
        )
        assert [(one.kind, one.id, (one.at - at(sandbox.clock.now())).total_seconds()) for one in sandbox.due()] == [
            ("message_sent", message["id"], 0.1), ("answer", call.id, 0.4),
        ]  # fmt: skip
        assert [one.kind for one in sandbox.due(1, 5)] == ["answer"]
        assert sandbox.due(20_000, 5) == ()
        for start, amount, name in ((-1, 5, "start"), (0, -1, "amount")):
            with pytest.raises(InvalidParameterError, match=f"{name}: expected 0 or more"):
                sandbox.due(start, amount)
        await sandbox.advance(0.2)
        assert {one.kind for one in sandbox.due()} == {"answer", "message_delivered"}


@given(st.lists(st.floats(0, 10)), st.integers(0, 60), st.integers(0, 60))
def test_any_window_of_the_timers(moments: list[float], start: int, amount: int) -> None:
    """A window of the timers is that part of all timers in order."""
    timers = Timers()
    for order, moment in enumerate(moments):
        timers.add(Timer(moment, order, "ring"))
    assert timers.first(start, amount) == timers.all()[start : start + amount]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.25, "0.25 s"), (59, "59 s"), (60, "1 min"), (90.7, "1 min 30 s"), (3_600, "1 h"), (85_955, "23 h 52 min"),
        (86_400, "24 h"), (172_800, "2 d"), (176_400, "2 d 1 h"), (172_860, "2 d"),
    ],
)  # fmt: skip
def test_spans(seconds: float, text: str) -> None:
    """A span is told by its two largest units."""
    assert span_text(seconds) == text


# Steps


class Trace:
    """A world that is driven by commands at given moments, and every byte that it brings forth."""

    def __init__(self, clock: str, seed: int, *, rewinds: bool = False, whole: bool = True) -> None:
        self.rewinds, self.whole = rewinds, whole
        self.digest = hashlib.sha256()
        self.posted: list[bytes] = []
        self.fired: list[Fired] = []
        self.sandbox = sandbox_on(clock, seed=seed, post=self._post)
        self.streamed: dict[str, bytearray] = {}

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        self.posted.append(headers["X-Ajoxi-Signature"].encode() + body)
        await anyio.lowlevel.checkpoint()
        kind = hashlib.sha256(body).digest()[0] % 50
        return 410 if kind == 0 else 500 if kind < 20 else 204

    async def _read(self, id: str) -> None:
        headers = {"Authorization": f"Bearer {self.sandbox.api_key}", "Accept": "text/event-stream"}
        taken = self.streamed[id] = bytearray()
        request = Request("GET", f"/v1/transcripts/{id}", headers, None)
        async with self.sandbox.transport().stream(request) as answer:
            assert answer.status == 200
            async for piece in answer.chunks():
                taken += piece

    async def run(self, commands: list[tuple[float, int]], stops: list[float], end: float) -> str:
        began = self.sandbox.clock.now()
        async with self.sandbox as sandbox, anyio.create_task_group() as readers:
            account = sandbox.world().account
            account.media_url = "http://recordings"
            await ask(
                sandbox,
                "/v1/webhooks",
                b'{"url": "http://127.0.0.1:9/", "events": ["call.started", "call.completed", "message.received"]}',
            )
            await ask(
                sandbox,
                "/v1/webhooks",
                b'{"url": "http://127.0.0.1:8/", "events": ["call.completed", "message.delivered"]}',
            )
            points = sorted([(moment, 1, number) for moment, number in commands] + [(moment, 0, 0) for moment in stops])
            for moment, is_command, number in points:
                before = sandbox.clock.now()
                fired = await sandbox.advance(to=began + moment)
                if self.rewinds and not is_command and sandbox.clock.now() > before:
                    sandbox.rewind(sandbox.marks()[-1])
                    assert await sandbox.advance(to=began + moment) == fired
                self.fired += fired
                if is_command:
                    await self._command(number, readers)
            self.fired += await sandbox.advance(to=began + end)
            readers.cancel_scope.cancel()
            world = sandbox.world()
            for store in world.account.stores.values():
                for item in store.newest_first():
                    self.digest.update(repr(item).encode())
            log = [(one.at, one.number, one.status, one.excerpt) for one in world.deliveries()]
            parts: list[Any] = [
                log,
                world.pending(),
                world.dead_letters(),
                world.rings(),
                self.fired,
                sandbox.due(0, 10_000),
            ]
            if self.whole:
                parts += [self.posted, self.streamed]
            for part in parts:
                self.digest.update(repr(part).encode())
        return self.digest.hexdigest()

    async def _command(self, number: int, readers: Any) -> None:
        sandbox, phone = self.sandbox, b"+1212555%04d" % (number % 50)
        kind = number % 6
        if kind == 0:
            sandbox.inbound_message(from_=TO, body=str(number))
        elif kind == 1:
            await ask(sandbox, "/v1/messages", b'{"to": "%s", "from": "%s", "body": "x"}' % (phone, FROM.encode()))
        elif kind == 2:
            contacts = b", ".join(b'"+1212555%04d"' % (number % 1000 + n) for n in range(5))
            await ask(
                sandbox,
                "/v1/calls",
                b'{"from": "%s", "campaign": {"name": "x", "mode": "power", "contacts": [%s]}}'
                % (FROM.encode(), contacts),
            )
        else:
            answer = await ask(
                sandbox, "/v1/calls", b'{"to": "%s", "from": "%s", "record": true}' % (phone, FROM.encode())
            )
            if kind == 3:
                readers.start_soon(self._read, json.loads(answer.body)["id"])
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()


_moment = st.one_of(st.floats(0, 30), st.floats(0, 100_000), st.sampled_from([0.4, 3.4, 5.0, 35.0]))


@pytest.mark.parametrize("clock", CLOCKS)
@given(
    seed=st.integers(0, 5),
    commands=st.lists(st.tuples(_moment, st.integers(0, 1_000)), min_size=1, max_size=8),
    stops=st.lists(_moment, max_size=12),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_odd_steps_are_one_step(clock: str, seed: int, commands: list[tuple[float, int]], stops: list[float]) -> None:
    """The same seed and the same commands at the same moments give the same bytes, advanced at once or in any steps, on each
    clock: calls, messages, recordings, live transcripts, deliveries, what fired and what is due."""
    at_once = anyio.run(Trace("manual", seed).run, commands, [], 100_000.0)
    assert anyio.run(Trace(clock, seed).run, commands, stops, 100_000.0) == at_once


@given(
    seed=st.integers(0, 5),
    commands=st.lists(st.tuples(_moment, st.integers(0, 1_000)), min_size=1, max_size=8),
    stops=st.lists(_moment, min_size=1, max_size=6),
)
# Two endpoints are due at one instant, and after the rewind the other one is used first.
@example(seed=0, commands=[(0.0, 208), (5.0, 15), (3.4, 0)], stops=[1.0])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rewinds_leave_no_trace(seed: int, commands: list[tuple[float, int]], stops: list[float]) -> None:
    """A world that is rewound after some steps, and goes on, ends as one that never was: objects, the log, what fired and is due.

    Not compared are what receivers and readers got before a rewind, which nothing takes back.
    """
    straight = anyio.run(Trace("manual", seed, whole=False).run, commands, stops, 100_000.0)
    assert anyio.run(Trace("manual", seed, rewinds=True, whole=False).run, commands, stops, 100_000.0) == straight


def test_jumping_by_itself_is_what_an_advance_is() -> None:
    """The same commands at the first moment give the same on a clock that jumps by itself and on one that is advanced."""

    async def run(clock: VirtualClock) -> list[Any]:
        posted: list[bytes] = []

        async def post(url: str, headers: dict[str, str], body: bytes) -> int:
            posted.append(headers["X-Ajoxi-Signature"].encode() + body)
            await anyio.lowlevel.checkpoint()
            return 500 if len(body) % 2 else 200

        async with Sandbox(port=None, clock=clock, seed=3, post=post) as sandbox:
            world = sandbox.world()
            webhooks.create(
                world.account,
                WebhookCreate(url="http://127.0.0.1:9/", events=("call.completed", "message.received")),
                sandbox.clock.now(),
            )
            for number in range(20):
                world.inbound_call(from_=f"+1212555{number:04d}")
                world.inbound_message(from_=f"+1212555{number:04d}", body=str(number))
            if not isinstance(clock, AutoClock):
                await sandbox.advance(until_idle=True)
            with anyio.fail_after(20):
                while sandbox.due() or world.pending():
                    await anyio.sleep(0.001)
            account = world.account
            return [posted, list(account.calls.newest_first()), [(one.at, one.status) for one in world.deliveries()]]

    assert anyio.run(run, AutoClock(pause=0)) == anyio.run(run, VirtualClock())
