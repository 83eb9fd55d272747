"""The pure parts of the sandbox: ids, lists, quota, segments, script, plans, clock."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.calls import Call, Disposition
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.numbers import NumberProvision, Port
from ajoxi_async.contract.sms_segments import count_segments
from ajoxi_async.sandbox import RealClock, Sandbox, VirtualClock
from ajoxi_async.sandbox.conversation import script
from ajoxi_async.sandbox.conversation.audio import wav, wav_size
from ajoxi_async.sandbox.outcomes.plans import plan_for
from ajoxi_async.sandbox.outcomes.timing import Timing
from ajoxi_async.sandbox.quota import Quota
from ajoxi_async.sandbox.state import actions, inventory, numbers
from ajoxi_async.sandbox.state.ids import Minter
from ajoxi_async.sandbox.state.lists.cursors import decode_cursor, encode_cursor
from ajoxi_async.sandbox.state.lists.store import Store


def test_ids_never_collide() -> None:
    """A hundred thousand ids of one kind are all different, and of eight or more hex digits."""
    minter = Minter("seed")
    ids = [minter.mint("call") for _ in range(100_000)]
    assert len(set(ids)) == len(ids)
    assert all(len(id) == len("call_") + 10 for id in ids)


def test_ids_follow_the_seed() -> None:
    """The same seed gives the same ids, another one others."""
    assert [Minter("a").mint("call") for _ in range(3)] == [Minter("a").mint("call") for _ in range(3)]
    assert Minter("a").mint("call") != Minter("b").mint("call")
    assert Minter("a").mint("call")[5:] != Minter("a").mint("msg")[4:]


def fill(count: int) -> Store[Resource]:
    """A store of items that are indexed by parity and by last digit."""
    store: Store[Resource] = Store(lambda item: [("parity", str(int(item.id) % 2)), ("digit", str(int(item.id) % 10))])
    for number in range(count):
        store.add(Resource(id=str(number)))
    return store


@given(st.integers(0, 60), st.integers(1, 20), st.lists(st.integers(0, 5), max_size=30))
def test_cursors_are_stable_under_inserts(count: int, limit: int, inserts: list[int]) -> None:
    """Whatever arrives while a list is paged through, nothing that was there is skipped or repeated."""
    store, seen, cursor = fill(count), [], None
    for extra in [*inserts, *[0] * 100]:
        page = store.pick(limit=limit, cursor=cursor, filters="").page()
        seen += [item.id for item in page.data]
        cursor = page.next_cursor
        assert page.has_more == (cursor is not None)
        if cursor is None:
            break
        for _ in range(extra):
            store.add(Resource(id=str(len(store))))
    assert seen == [str(number) for number in reversed(range(count))]


@given(st.integers(0, 200), st.integers(1, 7))
def test_indexed_filters(count: int, limit: int) -> None:
    """An indexed filter finds what a look at everything would."""
    store, seen, cursor = fill(count), [], None
    while True:
        page = store.pick(limit=limit, cursor=cursor, filters="x", keys=[("parity", "1"), ("digit", "3")]).page()
        seen += [item.id for item in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [str(number) for number in reversed(range(count)) if number % 10 == 3]


def test_page_1000_costs_what_page_1_costs() -> None:
    """A page looks at its own items and one more, however far back it lies."""
    store = fill(100_000)
    looked_at = 0

    def accept(_: Resource) -> bool:
        nonlocal looked_at
        looked_at += 1
        return True

    for position in (100_000, 50_000, 100):
        looked_at = 0
        store.pick(limit=50, cursor=encode_cursor(position, ""), filters="", accept=accept).page()
        assert looked_at == 51
    looked_at = 0
    store.pick(limit=50, cursor=None, filters="", keys=[("digit", "3")], accept=accept).page()
    assert looked_at == 51


@given(st.text(max_size=30))
def test_made_up_cursors(cursor: str) -> None:
    """A cursor that this list did not make is refused by name, whatever it is."""
    with pytest.raises(InvalidParameterError, match="cursor"):
        decode_cursor(cursor, "filters")


def test_cursor_of_other_filters() -> None:
    """A cursor belongs to its filters."""
    cursor = encode_cursor(7, "status=completed")
    assert decode_cursor(cursor, "status=completed") == 7
    with pytest.raises(InvalidParameterError):
        decode_cursor(cursor, "status=ringing")


@given(st.integers(1, 20), st.lists(st.floats(0, 3), max_size=200))
def test_quota_is_exact(limit: int, moments: list[float]) -> None:
    """No sliding second holds more than the limit, and nobody is refused while there is room."""
    quota, admitted = Quota(limit), list[float]()
    for moment in sorted(moments):
        recent = [before for before in admitted if before > moment - 1.0]
        assert quota.admit(moment) == (len(recent) < limit)
        if len(recent) < limit:
            admitted.append(moment)


def test_quota_headers() -> None:
    """Limit, what remains of it, and the second in which all of it is free again."""
    quota = Quota(3)
    assert quota.headers(10.0, 1000.0) == {
        "X-RateLimit-Limit": "3", "X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "1000",
    }  # fmt: skip
    quota.admit(10.0)
    quota.admit(10.5)
    assert quota.headers(10.5, 1000.5) == {
        "X-RateLimit-Limit": "3", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "1002",
    }  # fmt: skip
    assert Quota(None).headers(0.0, 0.0) == {}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3),
        ("€" * 80, 1), ("€" * 81, 2), ("a" * 152 + "€" + "a" * 152, 3),
        ("ä" * 160, 1), ("Ω" * 160, 1), ("ы" * 70, 1), ("ы" * 71, 2), ("ы" * 134, 2), ("ы" * 135, 3),
        ("😀" * 35, 1), ("😀" * 36, 2), ("ы" * 66 + "😀" + "ы" * 60, 2), ("`", 1), ("`" * 71, 2),
    ],
)  # fmt: skip
def test_segments(text: str, parts: int) -> None:
    """GSM-7 in parts of 160 or 153, UCS-2 in parts of 70 or 67; no character is split."""
    assert count_segments(text) == parts


@pytest.mark.parametrize("wrong", [None, 7, b"hello"])
def test_segments_of_no_text(wrong: Any) -> None:
    """What is not text is refused by name."""
    with pytest.raises(InvalidParameterError, match="text"):
        count_segments(wrong)


def test_population() -> None:
    """Ordinary numbers behave like a population, each always the same way; the reference's own is answered."""
    timing = Timing()

    def ending(number: str, seed: int = 0) -> Disposition:
        return plan_for(Call(id="call_1", to=number), seed, timing).disposition

    numbers = [f"+1212{number:07d}" for number in range(2000)]
    share = Counter(map(ending, numbers))
    assert 0.65 < share[Disposition.ANSWERED] / 2000 < 0.75
    assert set(share) == set(Disposition) - {Disposition.CANCELED}
    assert [ending(number) for number in numbers] == [ending(number) for number in numbers]
    assert [ending(number, 1) for number in numbers] != [ending(number) for number in numbers]
    assert ending("+14155551234") == ending("ext:204") == Disposition.ANSWERED


@given(st.text(min_size=1, max_size=12), st.floats(0.1, 600), st.booleans())
def test_script(call_id: str, talk: float, ai: bool) -> None:
    """The live transcript of any call is in order of time, has contiguous finals, and rising revisions."""
    told = script.updates(call_id, talk, ai=ai)
    assert [update.at for update in told] == sorted(update.at for update in told)
    assert all(0 <= update.at < 1 for update in told)
    finals = script.segments(call_id, talk, ai=ai)
    assert [segment.sequence for segment in finals] == list(range(1, len(finals) + 1))
    for sequence in range(1, len(finals) + 1):
        revisions = [u.segment.revision for u in told if u.segment.sequence == sequence]
        assert revisions == sorted(set(revisions))
    assert script.updates(call_id, talk, ai=ai) == told


def test_inventory() -> None:
    """Numbers on offer are all different, and the same for the same seed."""
    numbers = inventory.build(0)
    assert len({number.phone_number for number in numbers}) == len({number.id for number in numbers}) == len(numbers)
    assert inventory.build(0) == numbers
    assert inventory.build(1) != numbers


@pytest.mark.parametrize("seconds", [0, 3, 600])
def test_media(seconds: int) -> None:
    """A recording's size is the size of its file."""
    assert len(wav(seconds)) == wav_size(seconds)


@pytest.mark.anyio
async def test_virtual_time_stops_at_every_instant() -> None:
    """`advance` wakes whoever waits, in order, each at his own instant."""
    clock = VirtualClock(start=0.0)
    woken: list[tuple[float, int]] = []

    async def wait(moment: float, number: int) -> None:
        await clock.wait_until(moment)
        woken.append((clock.now(), number))
        if number == 1:
            await clock.wait_until(moment + 1)
            woken.append((clock.now(), 9))

    async with anyio.create_task_group() as tasks:
        for moment, number in ((5.0, 3), (1.0, 1), (4.0, 2)):
            tasks.start_soon(wait, moment, number)
        await clock.advance(4.5)
        assert woken == [(1.0, 1), (2.0, 9), (4.0, 2)]
        assert clock.now() == 4.5
        await clock.advance(10)
    assert woken[-1] == (5.0, 3)


def test_speed() -> None:
    """A real clock may run fast, but not backwards or not at all."""
    fast = RealClock(speed=1_000_000)
    first = fast.now()
    assert fast.now() > first
    with pytest.raises(ValueError, match="speed"):
        RealClock(speed=0)


@pytest.mark.parametrize("part", [0.0, 0.0004, 0.0005, 0.0006, 0.000999])
def test_a_number_is_ported_in_at_any_part_of_a_millisecond(part: float) -> None:
    """A number that is ported in becomes active, whichever way the moment at which it was asked for is rounded."""
    account = Sandbox(port=None, clock="manual").world().account
    port = Port(carrier="Oldtel", account_number="42", authorized_by="J. Doe")
    asked = 1_795_665_413.2 + part
    number = numbers.provision(account, NumberProvision(phone_number="+12125550123", port=port), asked)
    actions.run_due(account, asked + account.timing.porting)
    found = account.numbers.get(number.id)
    assert found is not None
    assert found.status == "active"
