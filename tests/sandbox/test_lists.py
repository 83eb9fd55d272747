"""Lists of the sandbox: every filter and every row answers as a look at each object would, whatever happened before."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ajoxi_async import Sandbox
from ajoxi_async.contract.calls import Call, CallStatus, Direction, Disposition
from ajoxi_async.contract.codec import PageBody
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox import Timing
from ajoxi_async.sandbox.state.ids import Minter
from ajoxi_async.sandbox.state.lists import kinds, positions, store
from ajoxi_async.sandbox.state.lists.cursors import encode_cursor
from ajoxi_async.sandbox.state.lists.index import Index
from ajoxi_async.sandbox.state.lists.pages import Pages
from ajoxi_async.sandbox.state.lists.places import Places

START = datetime(2026, 11, 23, tzinfo=UTC)


def matches(call: Call, keys: list[tuple[str, str]], since: datetime | None, until: datetime | None) -> bool:
    """What a filter means, said once more and plainly."""
    for name, value in keys:
        if name.startswith("metadata["):
            if call.metadata.get(name[len("metadata[") : -1]) != value:
                return False
        elif getattr(call, name) != value:
            return False
    assert call.created_at is not None
    return (since is None or call.created_at >= since) and (until is None or call.created_at < until)


moments = st.integers(-50, 400).map(lambda minutes: START + timedelta(minutes=minutes))
keys = st.lists(
    st.one_of(
        st.tuples(st.just("status"), st.sampled_from([str(status) for status in CallStatus])),
        st.tuples(st.just("direction"), st.sampled_from(["inbound", "outbound"])),
        st.tuples(st.just("disposition"), st.sampled_from([str(one) for one in Disposition])),
        st.tuples(st.just("campaign_id"), st.sampled_from(["camp_1", "camp_2"])),
        st.tuples(st.just("metadata[team]"), st.sampled_from(["a", "b", "", "]=x"])),
        st.tuples(st.just("metadata[a]"), st.sampled_from(["b", "=b"])),
    ),
    max_size=3,
)
filters = st.tuples(keys, st.none() | moments, st.none() | moments)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small sets become large ones, and unpacked objects are packed, after a few steps."""
    make_small(monkeypatch.setattr)


def make_small(set: Callable[[Any, str, Any], None]) -> None:
    set(positions, "SMALL", 6)
    set(store, "OPEN", 8)


class Lists(RuleBasedStateMachine):
    """A list of calls beside a plain one, through everything that happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.was = positions.SMALL, store.OPEN
        make_small(setattr)
        self.store, self.plain = kinds.calls(), dict[str, Call]()
        self.kept: list[tuple[Any, dict[str, Call]]] = []
        self.made = 0

    def teardown(self) -> None:
        positions.SMALL, store.OPEN = self.was

    def new(self, moment: datetime, data: dict[str, Any]) -> Call:
        self.made += 1
        return Call(id=f"call_{self.made}", created_at=moment, **data)

    details = st.fixed_dictionaries(
        {
            "status": st.sampled_from(CallStatus),
            "direction": st.sampled_from(Direction),
            "campaign_id": st.sampled_from([None, "camp_1", "camp_2"]),
            "metadata": st.dictionaries(st.sampled_from(["team", "a", "a]=b"]), st.sampled_from(["a", "b", "", "=b"])),
        }
    )

    @rule(moment=moments, data=details)
    def add(self, moment: datetime, data: dict[str, Any]) -> None:
        call = self.new(moment, data)
        self.store.add(call)
        self.plain[call.id] = call

    @rule(first=moments, amount=st.integers(0, 60), data=details)
    def extend(self, first: datetime, amount: int, data: dict[str, Any]) -> None:
        calls = [self.new(first + timedelta(minutes=n), data) for n in range(amount)]
        self.store.extend(calls)
        self.plain |= {call.id: call for call in calls}

    @precondition(lambda self: self.plain)
    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        call = self.plain[data.draw(st.sampled_from(sorted(self.plain)))]
        changes = {
            "status": data.draw(st.sampled_from(CallStatus)),
            "disposition": data.draw(st.none() | st.sampled_from(Disposition)),
            "transcript_id": data.draw(st.sampled_from([call.transcript_id, f"tr_{call.id}", None])),
            "created_at": data.draw(st.just(call.created_at) | moments),
        }
        self.plain[call.id] = evolve(call, **changes)
        self.store.replace(self.plain[call.id])

    @precondition(lambda self: self.plain)
    @rule(data=st.data(), again=st.booleans())
    def remove(self, data: st.DataObject, again: bool) -> None:
        call = self.plain.pop(data.draw(st.sampled_from(sorted(self.plain))))
        self.store.remove(call.id)
        assert self.store.get(call.id) is None
        if again:
            self.store.add(call)
            self.plain[call.id] = call

    @rule()
    def snapshot(self) -> None:
        self.kept.append((self.store.copy(), self.plain.copy()))

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        kept, plain = data.draw(st.sampled_from(self.kept))
        self.store, self.plain = kept.copy(), plain.copy()

    @rule(given=filters, limit=st.integers(1, 30), start=st.integers(0, 100))
    def compare(self, given: tuple[Any, ...], limit: int, start: int) -> None:
        for held, plain in [(self.store, self.plain), *self.kept[-2:]]:
            agree(held, plain, *given, limit=limit, start=start)

    @invariant()
    def found(self) -> None:
        assert len(self.store) == len(self.plain)
        for id, call in self.plain.items():
            assert self.store.get(id) == call
            if call.transcript_id is not None:
                assert self.store.by_alias(call.transcript_id) == call
        assert self.store.get("call_0") is self.store.by_alias("tr_0") is None


def agree(
    held: store.Store[Call], plain: dict[str, Call], keys: Any, since: Any, until: Any, *, limit: int, start: int
) -> None:
    """Pages, rows and counts of the list are those of a look at each object."""
    wanted = [call for call in reversed(plain.values()) if matches(call, keys, since, until)]
    seen: list[Call] = []
    cursor = None
    while True:
        page = held.pick(limit=limit, cursor=cursor, filters="", keys=keys, since=since, until=until).page()
        assert len(page.data) == limit or not page.has_more
        seen += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == wanted
    rows = held.rows(start, limit, keys=keys, since=since, until=until)
    assert rows.items == tuple(wanted[start : start + limit])
    assert rows.total == held.count(keys=keys, since=since, until=until) == len(wanted)


TestLists = Lists.TestCase
TestLists.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filters, st.lists(filters, max_size=3), st.integers(4000, 4200), st.integers(0, 10**6))
def test_over_block_boundaries(first: Any, more: list[Any], amount: int, seed: int) -> None:
    """A list longer than a block of 4,096 answers like a plain one, also where blocks are out of order."""
    random = Random(seed)
    calls = kinds.calls()
    plain: dict[str, Call] = {}
    for number in range(2 * amount):
        call = Call(
            id=f"call_{number}",
            created_at=START + timedelta(minutes=number / 20 if random.random() < 0.999 else random.randrange(400)),
            status=random.choice(list(CallStatus)),
            direction=random.choice(list(Direction)),
        )
        plain[call.id] = call
    every = list(plain.values())
    calls.extend(every[:5000])
    for call in every[5000:]:
        calls.add(call)
    for call in random.sample(every, 50):
        calls.remove(call.id)
        del plain[call.id]
    for keys, since, until in [first, *more]:
        agree(calls, plain, keys, since, until, limit=1000, start=random.randrange(9000))


def test_ids_with_one_fingerprint() -> None:
    """Ids whose fingerprints are equal are told apart by their objects, and one that was removed hides no other."""

    class Same(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return 5

    places = Places()
    for number in range(40):
        places.add(Same(number), number)
    places.remove(Same("3"), 3)
    assert list(places.candidates(Same("x"))) == [number for number in range(40) if number != 3]
    twin = places.copy()
    twin.add(Same("40"), 40)
    places.remove(Same("4"), 4)
    assert 40 not in places.candidates(Same("x"))
    assert {4, 40} <= set(twin.candidates(Same("x")))


def test_names_and_values_are_kept_apart() -> None:
    """A metadata name and a value are never confused with another pair that reads the same."""
    index = Index()
    index.add([("metadata[a]", "=b"), ("metadata[a]=", "b"), ("x y", "z")], 1)
    assert index.get(("metadata[a]", "=b"))
    assert not index.get(("x", "y z"))
    assert not index.get(("metadata[a", "]=b"))


def test_what_cannot_be_sent_is_refused_before_it_is_kept() -> None:
    """Half of a surrogate pair is refused by name, and the list is as it was."""
    calls = kinds.calls()
    with pytest.raises(InvalidParameterError, match="surrogate"):
        calls.add(Call(id="call_1", metadata={"a": "\ud800"}))
    with pytest.raises(InvalidParameterError, match="surrogate"):
        calls.extend([Call(id="call_1"), Call(id="call_2", to="\ud800")])
    assert len(calls) == 0
    assert calls.get("call_1") is None
    assert calls.pick(limit=5, cursor=None, filters="").page().data == ()


def test_a_number_taken_back_is_listed_once() -> None:
    """A number that is released and provisioned again has the same id, and stands in the list once."""
    from ajoxi_async.contract.numbers import NumberProvision
    from ajoxi_async.sandbox.state import numbers

    account = Sandbox(port=None).world().account
    wanted = account.inventory[0].phone_number or ""
    for _ in range(3):
        number = numbers.provision(account, NumberProvision(phone_number=wanted), 0.0)
        assert [each.id for each in account.numbers.newest_first()].count(number.id) == 1
        assert account.numbers.count(keys=[("status", "active")]) == 2
        numbers.release(account, number.id)
    assert account.numbers.count(keys=[("status", "active")]) == 1


@given(
    st.sampled_from(["", "1", "15", "415", "4155", "155550", "0100", "999"]), st.sampled_from(["", "4", "415", "41555"])
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_own_numbers_by_digits(contains: str, area_code: str) -> None:
    """One's own numbers are found by their digits, however few are asked for, as among the numbers on offer."""
    from ajoxi_async.contract.numbers import NumberProvision, NumberSearch
    from ajoxi_async.sandbox.server.handlers import Command, search_numbers
    from ajoxi_async.sandbox.state import numbers

    account = Sandbox(port=None).world().account
    for offered in account.inventory[::40]:
        numbers.provision(account, NumberProvision(phone_number=offered.phone_number or ""), 0.0)
    params = NumberSearch(status="active", contains=contains or None, area_code=area_code or None, country="US")
    found = search_numbers(Command(account, 0.0, "", params))
    assert isinstance(found, PageBody)
    assert [number.id for number in found.data] == [
        number.id
        for number in account.numbers.newest_first()
        if number.country == "US"
        and contains in (number.phone_number or "")[1:]
        and (number.phone_number or "").startswith(f"+1{area_code}")
    ]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
@pytest.mark.parametrize("many", [0, 500])
async def test_filters_after_a_reload(
    tmp_path: Path, anyio_backend: str, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sandbox opened again from its file answers every filter as before, transitions of open calls included.

    It is the same whether few changes are written at a time or many.
    """
    monkeypatch.setattr("ajoxi_async.sandbox.storage.journal._MANY", many)
    path = tmp_path / "worlds.db"

    def shown(sandbox: Sandbox) -> dict[str, list[str]]:
        calls = sandbox.world().account.calls
        return {
            f"{name}={value}": [call.id for call in calls.rows(0, 1000, keys=[(name, value)]).items]
            for name, value in [
                *(("status", str(status)) for status in CallStatus),
                *(("disposition", str(one)) for one in Disposition),
                ("direction", "inbound"),
                ("direction", "outbound"),
            ]
        }

    async with Sandbox(port=None, clock="manual", db=path) as sandbox:
        sandbox.seed_calls(50)
        for step in range(12):
            sandbox.inbound_call(from_="+14155551234")
            await sandbox.clock.advance(seconds=step / 10)
        before = shown(sandbox)
        later = sandbox.clock.now() + 100
    async with Sandbox(port=None, clock="manual", db=path) as sandbox:
        assert shown(sandbox) == before
        assert before["status=answered"]
        await sandbox.clock.advance(to=datetime.fromtimestamp(later, UTC))
        assert len(shown(sandbox)["status=completed"]) == 62


@pytest.mark.usefixtures("large")
def test_settled_calls_cost_the_collector_nothing() -> None:
    """Thirty thousand more finished calls add next to nothing to what the garbage collector has to look at."""
    sandbox = Sandbox(port=None, clock="manual")
    sandbox.seed_calls(10_000)
    gc.collect()
    before = len(gc.get_objects())
    sandbox.seed_calls(30_000)
    gc.collect()
    gc.collect()
    assert len(gc.get_objects()) - before < 5_000


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "SMALL", 1024)
    monkeypatch.setattr(store, "OPEN", 16_384)


@pytest.mark.usefixtures("large")
def test_no_filter_looks_at_everything() -> None:
    """With many calls held, each filter answers in milliseconds: first page, deep page, nothing found, rows by number."""
    sandbox = Sandbox(port=None, clock="manual")
    sandbox.seed_calls(70_000)
    calls = sandbox.world().account.calls
    *_, oldest = calls.newest_first()
    middle = calls.rows(35_000, 1).items[0].created_at
    asked: list[dict[str, Any]] = [
        {"keys": [("status", "queued")]},
        {"keys": [("direction", "inbound")]},
        {"keys": [("disposition", "failed"), ("disposition", "busy")]},
        {"keys": [("metadata[a]", "b")]},
        {"until": oldest.created_at},
        {"until": middle, "keys": [("disposition", "busy")]},
        {"since": middle, "until": middle},
    ]
    for one in asked:
        took = []
        for _ in range(5):
            began = time.process_time()
            calls.pick(limit=50, cursor=None, filters="", **one).page()
            calls.rows(52_300, 60, **one)
            took.append(time.process_time() - began)
        assert min(took) < 0.01, one
    began = time.process_time()
    kept = sandbox.snapshot()
    sandbox.restore(kept)
    assert time.process_time() - began < 0.05


@pytest.mark.usefixtures("large")
def test_a_page_after_a_cursor_begins_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page looks at the blocks of positions from its cursor on and at none before it, and stops once it is full."""
    sandbox = Sandbox(port=None, clock="manual")
    sandbox.seed_calls(60_000)
    calls = sandbox.world().account.calls
    looked: list[int] = []
    bits_of = store.bits_of

    def counted(held: positions.Positions, block: int) -> int:
        looked.append(block)
        return bits_of(held, block)

    monkeypatch.setattr(store, "bits_of", counted)
    for cursor, blocks in [(None, {14}), (30_000, {7}), (60, {0})]:
        looked.clear()
        after = encode_cursor(cursor, "") if cursor is not None else None
        page = calls.pick(limit=50, cursor=after, filters="", keys=[("direction", "outbound")]).page()
        assert len(page.data) == 50
        assert set(looked) == blocks


@pytest.mark.usefixtures("large")
def test_a_past_that_was_filled_many_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that were added in several runs are searched by their dates run by run, not one by one."""
    sandbox = Sandbox(port=None, clock="manual")
    for _ in range(12):
        sandbox.seed_calls(1_000)
    calls = sandbox.world().account.calls
    looked: list[int] = []
    moment = Pages.moment

    def counted(self: Pages[Call], position: int) -> datetime:
        looked.append(position)
        return moment(self, position)

    monkeypatch.setattr(Pages, "moment", counted)
    since = calls.rows(500, 1).items[0].created_at
    assert since is not None
    until = since + timedelta(minutes=10)
    assert calls.count(since=since, until=until) == 120
    assert len(looked) < 500
    assert len(calls.pick(limit=200, cursor=None, filters="", since=since, until=until).page().data) == 120


def test_many_ids_are_those_of_one_by_one() -> None:
    """Ids that are made many at a time are the ones that would have been made one by one, and the next ones go on."""
    one, many = Minter("seed"), Minter("seed")
    assert many.mint_many("call", 20) + [many.mint("call")] == [one.mint("call") for _ in range(21)]
    assert many.mint_many("tr", 0) == []
    assert many.mint("tr") == one.mint("tr")


def test_seeded_calls_are_a_minute_apart() -> None:
    """The past ends a minute before now, each call a minute after the one before, with the spans of the timing."""
    sandbox = Sandbox(port=None, clock="manual", timing=Timing(ring=2.25, talk=61.5))
    sandbox.seed_calls(2_500)
    calls = list(sandbox.world().account.calls.newest_first())
    now = datetime.fromtimestamp(sandbox.clock.now(), UTC)
    assert [call.created_at for call in calls] == [now - timedelta(minutes=n) for n in range(1, 2_501)]
    for call in calls:
        assert call.created_at is not None
        assert call.ended_at is not None
        answered = call.transcript_id is not None
        assert call.answered_at == (call.created_at + timedelta(seconds=2.25) if answered else None)
        assert call.ended_at - call.created_at == timedelta(seconds=63.75 if answered else 2.25)
        assert call.duration == (62 if answered else 0)
