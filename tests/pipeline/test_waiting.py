"""Waiting for calls, messages and recordings by asking the API: how often, about what, and how waits end."""

from __future__ import annotations

import pickle
import re
import threading
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.lowlevel
import pytest

from ajoxi_async import (
    AsyncAjoxi,
    Call,
    ClientClosedError,
    InvalidParameterError,
    Message,
    NotFoundError,
    PermissionDeniedError,
    Recording,
    WaitTimeoutError,
)
from ajoxi_async.contract.encoding.times import parse_time
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.pipeline import waiting
from ajoxi_async.protocol import waits
from tests.client.fakes import ENVELOPE, ScriptedTransport, SteppedClock, answer, client_on, lost

pytestmark = pytest.mark.anyio


class VirtualTime(SteppedClock):
    """Time that moves to the next moment for which a task waits, once all tasks wait."""

    def __init__(self) -> None:
        super().__init__()
        self._due: dict[anyio.CancelScope, float] = {}

    async def wait(self, signal: Any, seconds: float) -> None:
        with anyio.CancelScope() as scope:
            self._due[scope] = self.now + seconds
            try:
                await signal.wait()
            finally:
                del self._due[scope]

    async def run(self) -> None:
        while True:
            for _ in range(30):
                await anyio.lowlevel.checkpoint()
            if self._due:
                self.now = max(self.now, min(self._due.values()))
                for scope in [scope for scope, moment in self._due.items() if moment <= self.now]:
                    scope.cancel()


@pytest.fixture
async def clock() -> AsyncIterator[VirtualTime]:
    time = VirtualTime()
    async with anyio.create_task_group() as group:
        group.start_soon(time.run)
        yield time
        group.cancel_scope.cancel()


STEPS = ("ringing", "answered", "completed")


class Office(ScriptedTransport):
    """Calls, messages and recordings, each of which is over at a moment of a virtual clock. Calls are answered halfway.

    `over` has the moment by id, in the order in which the objects were made.
    """

    def __init__(self, clock: SteppedClock, over: dict[str, float], *, faults: dict[int, Any] = {}) -> None:
        super().__init__(self.reply)
        self.clock, self.began = clock, clock.now
        self.over = over
        self.faults = faults
        self.asked: list[tuple[float, str]] = []

    def state(self, id: str) -> dict[str, Any]:
        share = (self.clock.now - self.began) / self.over[id]
        made = f"2026-11-26T09:{list(self.over).index(id) // 60 % 60:02d}:{list(self.over).index(id) % 60:02d}.000Z"
        if id.startswith("msg_"):
            return {"id": id, "status": "sent" if share < 1 else "failed", "created_at": made}
        if id.startswith("rec_"):
            return {"id": id, "call_id": f"call_of_{id}", "url": "https://x.example/a.wav", "created_at": made}
        return {"id": id, "status": STEPS[min(2, int(share * 2))], "created_at": made}

    def reply(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        self.asked.append((self.clock.now, f"{parts.path}?{parts.query}"))
        fault = self.faults.get(len(self.asked))
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return fault
        _, _, kind, *rest = parts.path.split("/")
        there = [id for id in self.over if id.startswith(kind[:3]) or (kind == "messages" and id.startswith("msg"))]
        if kind == "recordings":
            there = [id for id in there if self.clock.now - self.began >= self.over[id]]
        if rest:
            return answer(200, self.state(rest[0])) if rest[0] in there else answer(404, ENVELOPE)
        query = parse_qs(parts.query)
        after = query.get("created_after", [""])[0]
        rows = [self.state(id) for id in reversed(there)]
        rows = [
            row for row in rows if parse_time(row["created_at"]) >= (parse_time(after) or parse_time(row["created_at"]))
        ]
        start, size = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
        following = str(start + size) if start + size < len(rows) else None
        return answer(
            200, {"data": rows[start : start + size], "next_cursor": following, "has_more": following is not None}
        )

    def gaps(self) -> list[float]:
        moments = [moment for moment, _ in self.asked]
        return [later - sooner for sooner, later in zip(moments, moments[1:])]


async def test_one_call_is_asked_for_by_its_id(clock: VirtualTime) -> None:
    """At once, then every two seconds at most, then less often; the call comes as it is."""
    office = Office(clock, {"call_1": 100.0})
    call = await client_on(office, clock=clock).calls.wait("call_1", timeout=None)
    assert (call.id, call.status) == ("call_1", "completed")
    assert {what for _, what in office.asked} == {"/v1/calls/call_1?"}
    gaps = office.gaps()
    assert office.asked[0][0] - 1000.0 < 0.1
    assert gaps[0] == pytest.approx(2.0)
    assert gaps == sorted(gaps)
    assert all(2.0 - 1e-6 <= gap <= 30 for gap in gaps)
    # A change is learnt at most a fifth late.
    assert clock.now - 1000.0 < 125
    assert len(office.asked) < 20


async def test_until_answered(clock: VirtualTime) -> None:
    """The wait is over when the call is answered, halfway; an ended call ends it too, and one already known ends at once."""
    client = client_on(Office(clock, {"call_1": 60.0}), clock=clock)
    assert (await client.calls.wait("call_1", until="answered")).status == "answered"
    assert clock.now - 1000.0 < 45
    ended = Call(id="call_9", status="completed", disposition="busy")  # type: ignore[arg-type]
    assert await client.calls.wait(ended, until="answered") is ended
    assert await client.calls.wait(ended) is ended


@pytest.mark.parametrize("until", ["ended", None, [], 5])
async def test_until_what_never_comes(clock: VirtualTime, until: Any) -> None:
    """A state that is none is refused by the parameter's name, before anything is sent and before a call is placed."""
    office = Office(clock, {"call_1": 60.0})
    calls = client_on(office, clock=clock).calls
    with pytest.raises(InvalidParameterError, match="^until: expected"):
        await calls.wait("call_1", until=until)
    with pytest.raises(InvalidParameterError, match="^until: expected"):
        await calls.create_and_wait(to="+14155551234", from_="+14155550100", until=until)
    assert not office.asked


@pytest.mark.parametrize(("amount", "pages"), [(2, 1), (150, 1), (450, 3)])
async def test_all_waits_by_one_list(clock: VirtualTime, amount: int, pages: int) -> None:
    """However many waits there are, there is one request at most in two seconds, a page of 200 for all of them."""
    office = Office(clock, {f"call_{number}": 7.0 for number in range(amount)})
    client = client_on(office, clock=clock)
    done: list[str] = []

    async def wait(id: str) -> None:
        done.append((await client.calls.wait(id, timeout=None)).id)

    async with anyio.create_task_group() as group:
        for id in office.over:
            group.start_soon(wait, id)
    assert sorted(done) == sorted(office.over)
    assert all(gap >= 2.0 - 1e-6 for gap in office.gaps())
    lists = [what for _, what in office.asked if what.startswith("/v1/calls?")]
    assert len(lists) == len(office.asked)
    assert len([what for what in lists if "cursor" not in what]) >= 1
    assert len(office.asked) <= 4 * pages + 1


async def test_kinds_take_turns(clock: VirtualTime) -> None:
    """Calls, messages and recordings share the one request in two seconds, each in its turn."""
    office = Office(clock, {"call_1": 12.0, "msg_1": 12.0, "rec_1": 12.0})
    client = client_on(office, clock=clock)
    found: list[Any] = []

    async def note(wait: Any, id: str) -> None:
        found.append(await wait(id))

    async with anyio.create_task_group() as group:
        group.start_soon(note, client.calls.wait, "call_1")
        group.start_soon(note, client.messages.wait, "msg_1")
        group.start_soon(note, client.recordings.wait, "rec_1")
    assert {type(one) for one in found} == {Call, Message, Recording}
    assert next(one for one in found if isinstance(one, Message)).status == "failed"
    assert all(gap >= 2.0 - 1e-6 for gap in office.gaps())
    assert [re.split(r"[/?]", what)[2] for _, what in office.asked[:3]].count("calls") == 1


async def test_a_call_that_is_not_among_the_newest(clock: VirtualTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on none of the newest pages is asked for by its id, in turns with the list."""
    monkeypatch.setattr(waiting, "PAGES", 1)
    over = {"call_old": 40.0} | {f"call_n{number}": 1e9 for number in range(220)} | {"call_new": 30.0}
    office = Office(clock, over)
    client = client_on(office, clock=clock)
    ended: list[str] = []

    async def wait(id: str) -> None:
        ended.append((await client.calls.wait(id, timeout=None)).id)

    async with anyio.create_task_group() as group:
        for id in ("call_old", "call_new"):
            group.start_soon(wait, id)
    assert ended == ["call_new", "call_old"]
    assert "/v1/calls/call_old?" in [what for _, what in office.asked]
    assert all(gap >= 2.0 - 1e-6 for gap in office.gaps())


async def test_recordings(clock: VirtualTime) -> None:
    """A recording is waited for before it exists, by its own id, its call's id, or the call."""
    for given in ("rec_1", "call_of_rec_1", Call(id="call_of_rec_1"), Call(id="call_7", recording_id="rec_1")):
        office = Office(clock, {"rec_1": 9.0})
        assert (await client_on(office, clock=clock).recordings.wait(given)).id == "rec_1"
        assert 9.0 <= clock.now - office.began < 13


async def test_time_runs_out(clock: VirtualTime) -> None:
    """The error is typed, has what is known, and pickles; the wait took its time and no more."""
    client = client_on(Office(clock, {"call_1": 1e6}), clock=clock)
    with pytest.raises(
        WaitTimeoutError, match=r"call call_1 was not completed within 9 s; its last known status is ringing"
    ) as caught:
        await client.calls.wait("call_1", timeout=9)
    assert clock.now - 1000.0 == pytest.approx(9.0)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.id, error.until, error.timeout, error.last.status) == ("call_1", "completed", 9.0, "ringing")
    with pytest.raises(WaitTimeoutError, match="nothing is known of it"):
        await client.messages.wait("msg_7", timeout=3)
    assert not client._pipeline.watchlist._waits


async def test_create_and_wait(clock: VirtualTime) -> None:
    """The call is placed and waited for in one time limit; the error of a wait that was too short has the call."""

    class Placing(Office):
        def reply(self, request: Request) -> Response:
            return (
                answer(201, {"id": "call_1", "status": "ringing"})
                if request.method == "POST"
                else super().reply(request)
            )

    numbers = {"to": "+14155551234", "from_": "+14155550100"}
    office = Placing(clock, {"call_1": 20.0})
    client = client_on(office, clock=clock)
    assert (await client.calls.create_and_wait(**numbers, lane="interactive")).status == "completed"
    office = Placing(clock, {"call_1": 1e6})
    with pytest.raises(WaitTimeoutError) as caught:
        await client_on(office, clock=clock).calls.create_and_wait(**numbers, until="answered", timeout=5)
    assert caught.value.id == caught.value.last.id == "call_1"
    for wrong in ({"until": "busy"}, {"until": ["busy"]}, {"timeout": -1}, {"ring": 3}):
        office = Placing(clock, {})
        with pytest.raises(InvalidParameterError):
            await client_on(office, clock=clock).calls.create_and_wait(**numbers, **wrong)
        assert not office.requests


async def test_what_cannot_be_right() -> None:
    """A wrong id, state or time is refused before anything is sent."""
    office = Office(SteppedClock(), {})
    client = client_on(office)
    wrong: list[tuple[str, Any, dict[str, Any]]] = [
        ("id", client.calls.wait, {"id": ""}),
        ("id", client.calls.wait, {"id": 7}),
        ("id", client.calls.wait, {"id": Message(id="msg_1")}),
        ("id", client.messages.wait, {"id": ".."}),
        ("until", client.calls.wait, {"id": "call_1", "until": "ringing"}),
        ("timeout", client.calls.wait, {"id": "call_1", "timeout": 0}),
        ("timeout", client.recordings.wait, {"id": "rec_1", "timeout": "5"}),
        ("timeout", client.recordings.wait, {"id": "rec_1", "timeout": float("nan")}),
    ]
    for param, method, arguments in wrong:
        with pytest.raises(InvalidParameterError) as caught:
            await method(**arguments)
        assert caught.value.param == param
    assert not office.requests


async def test_a_call_that_does_not_exist(clock: VirtualTime) -> None:
    """Its wait ends with the API's own error, and others go on."""
    client = client_on(Office(clock, {"call_1": 20.0}), clock=clock)
    with pytest.raises(NotFoundError):
        await client.calls.wait("call_0")
    ended: list[Any] = []

    async def wait(id: str) -> None:
        try:
            ended.append(await client.calls.wait(id))
        except NotFoundError as error:
            ended.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(wait, "call_0")
        group.start_soon(wait, "call_1")
    assert {type(one) for one in ended} == {Call, NotFoundError}


async def test_a_call_that_is_late(clock: VirtualTime) -> None:
    """A 404 does not end the wait for a call that is known to exist; a cursor that is refused begins the list again."""
    office = Office(clock, {"call_1": 20.0}, faults={1: answer(404, ENVELOPE), 2: answer(404, ENVELOPE)})
    call = await client_on(office, clock=clock).calls.wait(Call(id="call_1", status="ringing"))  # type: ignore[arg-type]
    assert call.status == "completed"
    office = Office(clock, {f"call_{number}": 30.0 for number in range(300)}, faults={2: answer(400, ENVELOPE)})
    client = client_on(office, clock=clock)
    async with anyio.create_task_group() as group:
        for id in office.over:
            group.start_soon(client.calls.wait, id)
    assert "cursor" in office.asked[1][1]
    assert "cursor" not in office.asked[2][1]


async def test_failures(clock: VirtualTime) -> None:
    """A failure that may pass is passed over; one that would repeat ends all waits, each with an error of its own."""
    faults = dict(enumerate([answer(500, ENVELOPE)] * 3 + [lost(sent=True)] * 3, 1))
    office = Office(clock, {"call_1": 20.0}, faults=faults)
    assert (await client_on(office, clock=clock).calls.wait("call_1")).status == "completed"
    # An outage does not multiply the requests.
    assert len(office.asked) > 6
    assert all(gap >= 2.0 - 1e-6 for gap in office.gaps())
    client = client_on(Office(clock, {"call_1": 20.0}, faults={2: answer(403, ENVELOPE)}), clock=clock)
    errors: list[Exception] = []

    async def wait() -> None:
        with pytest.raises(PermissionDeniedError) as caught:
            await client.calls.wait("call_1")
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(wait)
    assert len({id(error) for error in errors}) == 3


def slowly(client: AsyncAjoxi) -> AsyncAjoxi:
    """In real time again."""
    fresh = AsyncAjoxi("AJX_TEST_x", transport=client._pipeline.transport)
    return fresh


async def test_closing_ends_waits() -> None:
    """Closing the client ends a wait at once, while it sleeps and while its request is under way."""
    for stuck in (False, True):

        class Slow(Office):
            async def send(self, request: Request) -> Response:
                if stuck:
                    await anyio.sleep_forever()
                return await super().send(request)

        client = slowly(client_on(Slow(SteppedClock(), {"call_1": 1e6})))

        async def close() -> None:
            await anyio.sleep(0.1)
            await client.aclose()

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(close)
                with pytest.raises(ClientClosedError):
                    await client.calls.wait("call_1")
        with pytest.raises(ClientClosedError):
            await client.calls.wait("call_1")


async def test_the_task_that_asks_may_end() -> None:
    """A wait that is cancelled while it asks for all leaves no gap: another one asks, in its time."""
    entered = anyio.Event()

    class FirstIsStuck(Office):
        async def send(self, request: Request) -> Response:
            if not entered.is_set():
                entered.set()
                await anyio.sleep_forever()
            return await super().send(request)

    clock = SteppedClock()
    clock.now += 1e6
    office = FirstIsStuck(clock, {"call_1": 1e-6})
    client = slowly(client_on(office))
    ended: list[Call] = []

    async def wait(scope: anyio.CancelScope) -> None:
        with scope:
            ended.append(await client.calls.wait("call_1", timeout=30))

    first, second = anyio.CancelScope(), anyio.CancelScope()
    office.clock.now += 1
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(wait, first)
            await entered.wait()
            group.start_soon(wait, second)
            await anyio.sleep(0.05)
            first.cancel()
    assert [call.status for call in ended] == ["completed"]


async def test_variants_ask_together(clock: VirtualTime) -> None:
    """Variants of one key share the request; another key has its own."""
    office = Office(clock, {f"call_{number}": 9.0 for number in range(4)})
    client = client_on(office, clock=clock)
    variants = [client.with_options(timeout=number + 1) for number in range(4)]
    async with anyio.create_task_group() as group:
        for number, variant in enumerate(variants):
            group.start_soon(variant.calls.wait, f"call_{number}")
    assert all(gap >= 2.0 - 1e-6 for gap in office.gaps())
    watchlist = client._pipeline.watchlist
    assert len(watchlist.lookers) <= 1
    clock.now += 60
    await client.calls.wait(Call(id="call_9", status="completed"))  # type: ignore[arg-type]
    assert not watchlist.lookers


def test_threads() -> None:
    """Waits in several event loops are ended by one request of whichever loop."""
    clock = SteppedClock()
    clock.now += 10
    office = Office(clock, {"call_1": 1e-6, "call_2": 1e-6})
    clock.now += 1
    client = slowly(client_on(office))
    ended: list[str] = []

    async def wait(id: str) -> None:
        ended.append((await client.calls.wait(id, timeout=30)).id)

    threads = [
        threading.Thread(target=anyio.run, args=(wait, f"call_{number}"), kwargs={"backend": backend})
        for number, backend in enumerate(["asyncio", "trio"], 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(ended) == ["call_1", "call_2"]
    assert 1 <= len(office.asked) <= 2


def test_pure_rules() -> None:
    """The state that is further on counts, whichever came last; an unknown state ends nothing."""
    ringing, done = Call(id="c", status="ringing"), Call(id="c", status="completed")  # type: ignore[arg-type]
    strange = Call(id="c", status="parked")  # type: ignore[arg-type]
    assert waits.further(done, ringing) is done
    assert waits.further(ringing, done) is done
    assert not waits.is_over(strange, "answered")
    assert not waits.is_over(Recording(id="rec_1"), "ready")
    assert [waits.pause_between_looks(age) for age in (0, 10, 50, 1e9)] == [2.0, 2.0, 10.0, 30.0]
