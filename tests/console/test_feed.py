"""The feed: state and not history, of what the pages show; transcripts of open calls; and that it ends when it should."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox import Timing
from ajoxi_async.sandbox.console.feed import EVERY, SHARE, SharedReads
from ajoxi_async.sandbox.console.interest import EVERYTHING, SECOND, kinds_of, parse
from ajoxi_async.sandbox.console.spoken import Spoken
from ajoxi_async.sandbox.conversation.live_log import LiveLog
from ajoxi_async.sandbox.server.control.surface import ROUTES

from .page import FROM, TO, signed_in

CALL = {"to": TO, "from": FROM, "ai_receptionist": True}


@pytest.mark.asyncio
async def test_a_view_is_sent_when_asked_for_and_when_it_changes() -> None:
    """The first event with a view has its whole answer, the same as a GET; later ones have it only if it changed."""
    async with signed_in() as page, page.feed(views={"list": "calls?limit=5", "hooks": "v1/webhooks"}) as feed:
        state = await feed.until(lambda one: one["views"])
        assert state["views"] == {
            "list": await page.get("calls?limit=5"),
            "hooks": await page.act("GET", "webhooks", status=200),
        }
        call = await page.act("POST", "calls", CALL)
        state = await feed.until(lambda one: one["views"])
        assert state["views"] == {"list": await page.get("calls?limit=5")}
        assert state["views"]["list"]["data"] == [call]
        assert (state["counts"], state["clock"]) == (await page.get("counts"), await page.get("clock"))
        assert feed.event_id == f"{state['epoch']}-{state['seq']}"
        await page.sandbox.clock.advance(0.4)
        state = await feed.until(lambda one: one["views"])
        assert state["views"]["list"]["data"][0]["status"] == "answered"


@pytest.mark.asyncio
async def test_a_new_interest_replaces_the_old_one() -> None:
    """A view that is still wanted is not sent again; one that changed its path under the same name is, and one that is gone is not."""
    async with signed_in() as page, page.feed(views={"a": "calls", "b": "messages", "c": "faults"}) as feed:
        await feed.until(lambda one: len(one["views"]) == 3)
        await feed.show(views={"a": "calls", "b": "messages?limit=1", "d": "numbers-are-not-there", "e": "feed"})
        state = await feed.until(lambda one: one["views"])
        assert sorted(state["views"]) == ["b", "d", "e"]
        assert state["views"]["e"]["error"]["code"] == "invalid_parameter"
        assert state["views"]["d"]["error"]["code"] == "not_found"
        page.sandbox.faults.add(action="latency", seconds=0)
        page.sandbox.inbound_message(from_=TO, body="hi")
        state = await feed.until(lambda one: one["views"])
        assert list(state["views"]) == ["b"]


@pytest.mark.asyncio
async def test_changes_are_folded_into_one_event() -> None:
    """A thousand changes between two events cost one row each at most; too many to count are stale, and the view is right."""
    async with signed_in(rate_limit=None) as page, page.feed(views={"list": "calls?limit=2"}) as feed:
        await feed.until(lambda one: one["views"])
        world = page.sandbox.world()
        for _ in range(2_500):
            world.inbound_call(from_=TO)
        state = await feed.until(lambda one: one["views"])
        assert (state["stale"], state["counts"]["calls"]) == (["call", "ring"], 2_500)
        assert state["views"]["list"]["total"] == 2_500
        world.inbound_call(from_=TO)
        state = await feed.until(lambda one: one["views"])
        assert state["changed"]["call"] == 1


@pytest.mark.asyncio
async def test_a_world_that_is_replaced_is_sent_anew() -> None:
    """After a reset the epoch is another one, everything is stale, and the views are what they are now."""
    async with signed_in() as page, page.feed(views={"list": "calls", "keys": "keys"}) as feed:
        await page.act("POST", "calls", CALL)
        before = await feed.until(lambda one: one["views"].get("list", {}).get("total") == 1)
        await page.ask("POST", "reset", {})
        state = await feed.until(lambda one: one["views"])
        assert state["epoch"] > before["epoch"]
        assert "call" in state["stale"]
        assert (list(state["views"]), state["views"]["list"]["total"]) == (["list"], 0)


@pytest.mark.asyncio
async def test_a_transcript_is_followed_as_the_clock_moves() -> None:
    """An open call is empty until something is said; then each segment comes in its newest revision, once, up to the end."""
    async with signed_in(timing=Timing.human()) as page:
        call = await page.act("POST", "calls", CALL)
        async with page.feed(calls=[call["id"]]) as feed:
            state = await feed.until(lambda one: one["transcripts"])
            assert state["transcripts"] == {call["id"]: {"anew": True, "segments": [], "completed": None}}
            heard: dict[int, Any] = {}
            revisions, completed = [], None
            while completed is None:
                await page.sandbox.clock.advance(2)
                state = await feed.until(lambda one: one["changed"].get("clock"))
                news = state["transcripts"].get(call["id"], {"anew": False, "segments": [], "completed": None})
                assert not news["anew"]
                assert len({one["sequence"] for one in news["segments"]}) == len(news["segments"])
                for segment in news["segments"]:
                    assert segment["revision"] > heard.get(segment["sequence"], {"revision": 0})["revision"]
                    heard[segment["sequence"]] = segment
                    revisions.append(segment["is_final"])
                completed = news["completed"]
            assert completed["last_sequence"] == len(heard)
            assert False in revisions
            transcript = await page.act("GET", f"transcripts/{call['id']}", status=200)
            assert [heard[number]["text"] for number in sorted(heard)] == [
                one["text"] for one in transcript["segments"]
            ]


@pytest.mark.asyncio
async def test_a_transcript_is_typed_while_time_flows() -> None:
    """On a live clock, words come as they are said, although nothing in the world changes; while it is paused, none come."""
    async with signed_in(clock="live=40", timing=Timing.human()) as page:
        call = await page.act("POST", "calls", CALL)
        async with page.feed(calls=[call["id"]]) as feed:
            await feed.until(lambda one: one["transcripts"].get(call["id"], {}).get("segments") and not one["changed"])
            await page.ask("POST", "clock/pause", {})
            await feed.until(lambda one: not one["clock"]["running"])
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(feed.until(lambda one: one["transcripts"]), 0.2)


@pytest.mark.asyncio
async def test_after_a_rewind_a_transcript_begins_anew() -> None:
    """A rewind to a moment at which less was said is told with `anew`, and with what was said by then."""
    async with signed_in(timing=Timing.human()) as page:
        call = await page.act("POST", "calls", CALL)
        await page.sandbox.clock.advance(10)
        async with page.feed(calls=[call["id"]]) as feed:
            before = await feed.until(lambda one: one["transcripts"])
            await page.sandbox.clock.advance(20)
            await feed.until(lambda one: one["transcripts"])
            page.sandbox.rewind(page.sandbox.marks()[-1])
            state = await feed.until(lambda one: one["transcripts"])
            assert state["transcripts"] == before["transcripts"]
            assert state["transcripts"][call["id"]]["anew"]


@pytest.mark.asyncio
async def test_it_ends_with_its_session() -> None:
    """Signing out ends the feeds of this session, not those of others; a request that reconnects is refused."""
    async with signed_in() as page, page.feed() as feed:
        bearer = {"Authorization": f"Bearer {page.sandbox.control_token}"}
        async with page.session.get(f"{page.sandbox.base_url}/_ajoxi/console/feed", headers=bearer) as other:
            await page.ask("DELETE", "console/session")
            while (await feed.next())[0] != "end":
                pass
            assert (await page.ask("POST", f"console/feed/{feed.id}", {}))[0] == 401
            page.sandbox.inbound_call(from_=TO)
            while b'"calls":1' not in await other.content.readline():
                pass


@pytest.mark.asyncio
async def test_it_ends_with_its_world() -> None:
    """When the key of its world is deleted, the stream ends and is not opened again."""
    async with signed_in() as page:
        key = page.sandbox.mint_key()
        page.sandbox.world(key)
        id = page.sandbox.keys()[-1].id
        async with page.feed(id, views={"list": "calls"}) as feed:
            await feed.until(lambda one: one["views"])
            await page.ask("DELETE", f"keys/{id}")
            while (await feed.next())[0] != "end":
                pass
        assert (await page.ask("GET", f"console/feed?world={id}"))[0] == 400
        assert len(page.sandbox._console.feeds) == 0


@pytest.mark.asyncio
async def test_who_comes_back_is_told_everything() -> None:
    """A connection after another one is sent the whole state of its views, also of changes that nobody followed meanwhile."""
    async with signed_in() as page:
        async with page.feed(views={"list": "calls"}) as feed:
            await feed.until(lambda one: one["views"])
        while len(page.sandbox._console.feeds):
            await page.act("POST", "calls", CALL)
            await asyncio.sleep(0.01)
        await page.act("POST", "calls", CALL)
        async with page.feed(views={"list": "calls"}) as feed:
            state = await feed.until(lambda one: one["views"])
            assert state["views"]["list"] == await page.get("calls")


@pytest.mark.asyncio
async def test_two_pages_share_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A view that several feeds show is read once for each state of the world."""
    read: list[str] = []
    async with signed_in() as page:
        control = page.sandbox._console.control
        look = control.look

        async def counted(url: str, key: str) -> Any:
            read.append(url)
            return await look(url, key)

        monkeypatch.setattr(type(control), "look", lambda _, url, key: counted(url, key))
        async with page.feed(views={"a": "calls?limit=7"}) as one, page.feed(views={"b": "calls?limit=7"}) as other:
            await one.until(lambda state: state["views"])
            await other.until(lambda state: state["views"])
            await asyncio.sleep(0.2)
            read.clear()
            page.sandbox.inbound_call(from_=TO)
            states = [await each.until(lambda state: state["views"]) for each in (one, other)]
            assert states[0]["views"]["a"] == states[1]["views"]["b"]
            assert sorted(read) == ["calls?limit=7", "counts"]


@pytest.mark.asyncio
async def test_feeds_that_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One feed more than allowed, and one with a query that it does not take, are refused with a reason."""
    monkeypatch.setattr("ajoxi_async.sandbox.console.console.FEEDS", 2)
    async with signed_in() as page, page.feed(), page.feed():
        assert (await page.ask("GET", "console/feed"))[0] == 429
        monkeypatch.undo()
        for query in ("worlds=main", "&".join(f"a{number}" for number in range(12)), "world=%ff"):
            assert (await page.ask("GET", f"console/feed?{query}"))[0] == 400


@pytest.mark.parametrize(
    "given",
    [{"view": {}}, {"views": []}, {"views": {"a": 1}}, {"views": {"a": "/clock"}}, {"views": {"a": "x" * 2_001}},
     {"views": {"x" * 101: "clock"}}, {"views": dict.fromkeys(map(str, range(61)), "clock")}, {"calls": "call_1"}, {"calls": [1]},
     {"calls": ["c"] * 21}],
    ids=lambda given: str(given)[:40],
)  # fmt: skip
def test_what_is_no_interest(given: dict[str, Any]) -> None:
    """What is of another type, or too much, is refused by name."""
    with pytest.raises(InvalidParameterError):
        parse(given)


def test_every_view_is_followed_by_what_it_shows() -> None:
    """Each GET of the surface has the kinds that change it, and an unknown one is read again after every change."""
    assert kinds_of("unknown/x?y") == EVERYTHING
    assert kinds_of("v1/webhooks?limit=1") == {"webhook"}
    assert kinds_of("deliveries/dlv_1") == {"delivery"}
    for route in ROUTES:
        if route.method == "GET":
            assert kinds_of(route.path) <= EVERYTHING | {SECOND}


def test_the_feeds_of_a_world_share_their_time() -> None:
    """The next round begins after `EVERY`, or later, so that what all events of this one took is at most `SHARE` of the time."""

    async def read(_: str, __: object) -> bytes:
        return b"{}"

    reads = SharedReads(read)
    reads.took(100.0, 100.0001)
    assert reads.next_at == pytest.approx(100.0 + EVERY)
    reads.took(100.001, 100.011)
    assert reads.next_at == pytest.approx(100.0 + 0.0101 / SHARE)
    reads.took(101.0, 101.002)
    assert reads.next_at == pytest.approx(101.0 + max(EVERY, 0.002 / SHARE))
    reads.took(102.0, 112.0)
    assert reads.next_at == pytest.approx(103.0)


def test_segments_in_their_newest_revision() -> None:
    """Of the revisions of a segment up to a moment the newest is told, once, and nothing of what is to come."""

    def frame(sequence: int, revision: int) -> bytes:
        return b'event: transcript.segment\nid: 1\ndata: {"sequence":%d,"revision":%d,"text":"data: \\n"}\n\n' % (
            sequence,
            revision,
        )

    log = LiveLog(
        [1.0, 2.0, 3.0, 4.0],
        [frame(1, 1), frame(1, 2), frame(2, 1), b'event: e\nid: 4\ndata: {"reason":"call_ended"}\n\n'],
    )
    spoken = Spoken()

    def told(moment: float, serial: int = 0) -> list[tuple[int, int]] | None:
        news = spoken.news(log, serial, moment)
        return None if news is None else [(one["sequence"], one["revision"]) for one in news["segments"]]

    assert told(0.5) == []
    assert told(0.9) is None
    assert told(2.0) == [(1, 2)]
    assert (told(2.5), spoken.next_moment(log)) == (None, 3.0)
    assert told(3.0) == [(2, 1)]
    assert told(3.5, serial=1) == [(1, 2), (2, 1)]
    news = spoken.news(log, 1, 9.0)
    assert news is not None
    assert (news["anew"], news["segments"], spoken.next_moment(log)) == (False, [], None)


@pytest.mark.asyncio
async def test_a_feed_ends_when_its_reader_goes_away() -> None:
    """A page that is closed leaves no feed behind, although there is nothing to write to it."""
    async with signed_in() as page:
        console = page.sandbox._console
        async with page.feed(views={"list": "calls"}) as feed:
            await feed.until(lambda one: one["views"])
            assert len(console.feeds) == 1
            feed.response.close()
        with anyio.fail_after(2):
            while len(console.feeds):  # noqa: ASYNC110 - the server learns of it when its loop gets to it
                await asyncio.sleep(0.001)
