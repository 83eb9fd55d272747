"""Finding a call of unknown outcome under clocks that are wrong."""

from __future__ import annotations

import pickle
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from ajoxi_async import OutcomeUnknownError
from ajoxi_async.contract.encoding.times import format_time, parse_time
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from tests.client.fakes import Headers, SteppedClock, client_on

pytestmark = pytest.mark.anyio

TO, FROM = "+14155551234", "+14155550100"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


class World:
    """Real time, which passes by sleeping only, and an API whose answers to POST are lost.

    Attributes:
        ours: seconds by which the wall clock of this machine is ahead.
        theirs: seconds by which the server's is.
    """

    def __init__(self, *, ours: float = 0.0, theirs: float = 0.0, dates: bool = True, places: bool = True) -> None:
        self.clock = SteppedClock()
        self.ours, self.theirs = ours, theirs
        self.dates, self.places = dates, places
        self.calls: list[dict[str, Any]] = []
        self.asked: list[dict[str, list[str]]] = []

    def passes(self, seconds: float) -> None:
        self.clock.now += seconds

    def wall(self) -> float:
        return NOON + self.clock.now + self.ours

    def server_time(self) -> datetime:
        return datetime.fromtimestamp(NOON + self.clock.now + self.theirs, UTC)

    def place(self, to: str = TO) -> None:
        call = {"id": f"call_{len(self.calls)}", "to": to, "from": FROM, "direction": "outbound"}
        self.calls.insert(0, {**call, "created_at": format_time(self.server_time())})

    async def send(self, request: Request) -> Response:
        if request.method == "POST":
            if self.places:
                self.place()
            raise ExchangeError("cut", sent=True)
        query = parse_qs(urlsplit(request.url).query)
        self.asked.append(query)
        data = [call for call in self.calls if self._within(query, call["created_at"])]
        head = {"Date": format_datetime(self.server_time(), usegmt=True)} if self.dates else {}
        self.passes(0.2)
        return Response(200, Headers(head), msgspec.json.encode({"data": data, "next_cursor": None}))

    @staticmethod
    def _within(query: dict[str, list[str]], created_at: str) -> bool:
        after, before = query.get("created_after", [""])[0], query.get("created_before", ["~"])[0]
        assert after == "" or parse_time(after)
        return after <= created_at < before

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a world's wall clock in place of this machine's, and make a client in it."""

    def client_in(world: World) -> Any:
        monkeypatch.setattr(time, "time", world.wall)
        return client_on(world, clock=world.clock)

    return client_in


async def _unknown(client: Any) -> OutcomeUnknownError:
    with pytest.raises(OutcomeUnknownError) as caught:
        await client.calls.create(to=TO, from_=FROM)
    return caught.value


SKEWS = [0.0, 2.0, -2.0, 200.0, -200.0, 900.0, -900.0, 3 * DAY, -3 * DAY, 400 * DAY, -400 * DAY]


@pytest.mark.parametrize("heard_before", [True, False])
@pytest.mark.parametrize("skew", SKEWS)
async def test_a_wrong_clock_does_not_hide_a_call_that_was_placed(run: Any, skew: float, heard_before: bool) -> None:
    """Whatever our clock or the server's says, the call is found, with at most one search more."""
    for world in (World(ours=skew), World(theirs=skew)):
        client = run(world)
        if heard_before:
            await client.calls.list()
            world.passes(60)
        error = await _unknown(client)
        world.passes(30)
        before = len(world.asked)
        found = await client.calls.reconcile(error)
        assert (found.status, found.call.id) == ("found", "call_0")
        assert len(world.asked) - before == (1 if heard_before or abs(skew) < 10 else 2)


@pytest.mark.parametrize("skew", SKEWS)
async def test_a_wrong_clock_does_not_find_another_call(run: Any, skew: float) -> None:
    """A call to the same number that was placed where our wrong clock points is not taken for it."""
    world = World(places=False)
    client = run(world)
    world.theirs = 2 * skew
    world.place()
    world.theirs, world.ours = skew, 0.0
    if skew:
        world.place()  # now by our clock, were it right
        world.theirs = 0.0
        world.ours = skew
    world.passes(7200)
    found = await client.calls.reconcile(await _unknown(client))
    assert found.status == "not_found_yet"


@pytest.mark.parametrize("step", [600.0, -600.0, 5 * DAY, -5 * DAY])
@pytest.mark.parametrize("heard_before", [True, False])
async def test_a_clock_that_is_set_between_sending_and_looking(run: Any, step: float, heard_before: bool) -> None:
    """The age of the request comes from the monotonic clock, which cannot be set."""
    world = World()
    client = run(world)
    if heard_before:
        await client.calls.list()
    error = await _unknown(client)
    world.ours += step
    world.passes(120)
    assert (await client.calls.reconcile(error)).status == "found"


async def test_a_machine_that_slept_in_between(run: Any) -> None:
    """The monotonic clock stops while a machine sleeps; then the wall clock gives the age."""
    world = World()
    client = run(world)
    error = await _unknown(client)
    world.ours, world.theirs = 7200.0, 7200.0
    assert (await client.calls.reconcile(error)).status == "found"


@pytest.mark.parametrize("skew", SKEWS)
async def test_an_error_that_was_pickled_on_another_machine(run: Any, skew: float) -> None:
    """It carries the server's time of its sending, so that neither machine's clock matters."""
    world = World(ours=skew)
    client = run(world)
    await client.calls.list()
    error = pickle.loads(pickle.dumps(await _unknown(client)))
    assert error.sent_on_our_clock is None
    world.passes(60)
    elsewhere = World(ours=-skew / 3)
    elsewhere.calls = world.calls
    elsewhere.clock.now = world.clock.now
    other = run(elsewhere)
    other._adopt(other._pipeline.variant(clock=lambda: 5.0))
    found = await other.calls.reconcile(error)
    assert found.status == "found"


@pytest.mark.parametrize("skew", [900.0, -900.0, 3 * DAY])
async def test_an_error_of_another_machine_that_never_heard_an_answer(run: Any, skew: float) -> None:
    """Two wall clocks alone do not say that a call was not placed: the latest calls are looked through."""
    world = World(ours=skew)
    error = pickle.loads(pickle.dumps(await _unknown(run(world))))
    assert error.server_sent_at is None
    elsewhere = World()
    elsewhere.calls = world.calls
    found = await run(elsewhere).calls.reconcile(error)
    assert (found.status, found.call, len(found.candidates)) == ("unclear", None, 1)
    elsewhere.calls = []
    assert (await run(elsewhere).calls.reconcile(error)).status == "not_found_yet"


@pytest.mark.parametrize("skew", SKEWS)
async def test_without_a_date_no_clock_is_trusted(run: Any, skew: float) -> None:
    """Where the server does not tell its time, a call outside of our window is not overlooked, and not claimed either."""
    world = World(ours=skew, dates=False)
    client = run(world)
    found = await client.calls.reconcile(await _unknown(client))
    assert found.status == ("found" if abs(skew) < 300 else "unclear")
    assert [call.id for call in found.candidates] == ["call_0"]


async def test_a_date_that_cannot_be_read_is_none(run: Any) -> None:
    """A Date of a server that does not know the time counts as absent, and nothing fails."""
    world = World(dates=False, ours=900.0)
    client = run(world)
    error = await _unknown(client)
    inner = world.send

    async def send(request: Request) -> Response:
        answer = await inner(request)
        return Response(200, Headers({"Date": "yesterday \udcff"}), answer.body)

    world.send = send  # type: ignore[method-assign]
    assert (await client.calls.reconcile(error)).status == "unclear"


async def test_several_that_match(run: Any) -> None:
    """Two calls with the same numbers at the same time are several, whatever the clocks say."""
    world = World(ours=3600.0)
    client = run(world)
    error = await _unknown(client)
    world.place()
    world.place("+14155559999")
    found = await client.calls.reconcile(error)
    assert (found.status, len(found.candidates)) == ("several", 2)


@pytest.mark.parametrize("sent_at", [None, -1e18, 1e18, 0.0])
async def test_an_error_with_an_impossible_time(run: Any, sent_at: float | None) -> None:
    """No time at all, or one beyond the calendar, is searched for as well as can be."""
    world = World()
    client = run(world)
    error = await _unknown(client)
    error.sent_at = sent_at
    assert (await client.calls.reconcile(error)).status == "found"
    error.sent_on_our_clock = None
    assert (await client.calls.reconcile(error)).status in {"found", "unclear"}


async def test_with_raw_response_of_reconcile(run: Any) -> None:
    """The responses that were looked at are the caller's to see as well."""
    world = World()
    client = run(world)
    error = await _unknown(client)
    raw = await client.with_raw_response(client.calls.reconcile)(error)
    assert raw.data.status == "found"
    assert "Date" not in raw.headers or raw.headers.get("Date")


async def test_the_latest_calls_are_looked_through_and_no_more(run: Any) -> None:
    """Without a time a thousand calls are enough, so that an account of millions is not listed to its end."""
    world = World(ours=DAY, dates=False, places=False)
    client = run(world)
    error = await _unknown(client)
    page = [{"id": f"call_{n}", "to": "+14155559999", "from": FROM} for n in range(200)]
    asked = 0

    async def send(request: Request) -> Response:
        nonlocal asked
        asked += "created_after" not in request.url
        more = "created_after" not in request.url
        body = {"data": page if more else [], "next_cursor": f"c{asked}" if more else None}
        return Response(200, Headers(), msgspec.json.encode(body))

    world.send = send  # type: ignore[method-assign]
    assert (await client.calls.reconcile(error)).status == "not_found_yet"
    assert asked == 5
