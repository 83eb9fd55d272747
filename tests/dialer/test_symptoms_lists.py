"""What users report of lists that lag or cannot be read, of races at the wire, and of an API that is down. Each test is one report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve

from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.dialer import Ledger, Retry
from ajoxi_async.dialer.dialing import sweep
from ajoxi_async.dialer.rules.machine import AttemptState
from ajoxi_async.dialer.storage.statements import looks

from .scene import FROM, magic, people, run, running, scene, until

pytestmark = pytest.mark.anyio
NEVER = 10**14


@define(eq=False)
class Lists:
    """A transport that may change the lists of calls: `edit` gets the request's URL and the calls of a page."""

    inner: Any
    edit: Callable[[str, list[Any]], list[Any]]
    rewrite: Callable[[str], str] = str

    async def send(self, request: Request) -> Response:
        url = request.url
        if request.method != "GET" or "/v1/calls" not in url or "/v1/calls/" in url:
            return await self.inner.send(request)
        response = await self.inner.send(evolve(request, url=self.rewrite(url)))
        page = json.loads(response.body)
        page["data"] = self.edit(url, page["data"])
        return evolve(response, body=json.dumps(page).encode())

    def stream(self, request: Request) -> Any:
        return self.inner.stream(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_released_by_a_list_that_is_older_than_its_witness(tmp_path: Path) -> None:
    """A call that the list shows for the first time together with the witness is found, and its contact is not called again."""
    number, witness = people(1)[0], people(1, first=1)[0]
    async with scene(tmp_path, clock="manual") as here:
        here.sandbox.faults.add(action="drop_after_commit", match="calls.create", when="nth", n=1)
        hidden = [True]

        def edit(url: str, calls: list[Any]) -> list[Any]:
            if "metadata" not in url and here.posts(witness):
                hidden.clear()  # The list is up to date from now on.
            return [call for call in calls if not hidden]

        here.wire.inner = Lists(here.wire.inner, edit)
        campaign = await here.campaign([number], unknown="release", attempts=3)
        async with running(campaign, until_settled=None) as seen:
            await until(lambda: seen and seen[-1].contacts["unknown"])
            for _ in range(5):
                await here.clock.advance(320)
            await here.client.calls.create(to=witness, from_=FROM)
            await here.clock.advance(3600)
            await until(lambda: seen[-1].over)
            await here.clock.advance(3600)
        assert not hidden
        assert here.rings(number) == len(here.posts(number)) == 1
        assert await here.rows("SELECT state FROM attempt") == [(AttemptState.ENDED,)]


async def test_released_by_a_list_that_was_not_read_to_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API that does not filter by metadata, and calls of others on all pages that are read: nothing was looked at, nor released."""
    number = people(1)[0]
    monkeypatch.setattr(sweep, "MAX_PAGE", 3)
    monkeypatch.setattr(sweep, "_PAGES_OF_TIME", 2)
    async with scene(tmp_path, clock="manual") as here:
        here.sandbox.faults.add(action="drop_after_commit", match="calls.create", when="nth", n=1)

        def edit(url: str, calls: list[Any]) -> list[Any]:
            return [{**call, "metadata": {}} for call in calls]

        def rewrite(url: str) -> str:
            kept = [part for part in url.partition("?")[2].split("&") if "metadata" not in part]
            return f"{url.partition('?')[0]}?{'&'.join(kept)}"

        here.wire.inner = Lists(here.wire.inner, edit, rewrite)
        campaign = await here.campaign([number], unknown="release", attempts=3)
        async with running(campaign, until_settled=None) as seen:
            await until(lambda: seen and seen[-1].contacts["unknown"])
            for other in people(8, first=1):
                await here.client.calls.create(to=other, from_=FROM)
            for _ in range(4):
                await here.clock.advance(1200)
            for other in people(8, first=9):  # These would be witnesses.
                await here.client.calls.create(to=other, from_=FROM)
            for _ in range(4):
                await here.clock.advance(1200)
            assert seen[-1].contacts["unknown"] == 1
        assert here.rings(number) == len(here.posts(number)) == 1


async def test_an_old_call_that_the_sweep_cannot_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open call with more calls of others before it than are read at once was not looked at: it stays due, and is found next."""
    monkeypatch.setattr(sweep, "MAX_PAGE", 6)
    old, *new = people(6)
    async with scene(tmp_path, clock="manual") as here:
        async with running(await here.campaign([old])):
            await until(lambda: here.posts(old))
        for other in people(30, first=20):
            await here.client.calls.create(to=other, from_=FROM)
            await here.clock.advance(0.01)
        await here.campaign(new)
        campaign = await here.campaign()
        async with running(campaign) as seen:
            await until(lambda: all(map(here.posts, new)) and seen and seen[-1].contacts["open"] == 6)
            run_, row = campaign._run, campaign.row
            assert run_ is not None
            found = await here.ledger.read(lambda db: looks.due(db, row.id, NEVER, 10))
            await run_.running.write(lambda db, _: db.execute("UPDATE attempt SET next_look = ?", (NEVER,)))
            await here.clock.advance(600)
            ended = "SELECT number FROM attempt WHERE state = 2 ORDER BY number"
            assert await run_._sweeper._look_open(found)
            assert await here.rows(ended) == [(int(number[1:]),) for number in new]
            assert await here.rows("SELECT looked, next_look FROM attempt WHERE state = 1") == [(0, NEVER)]
            assert await run_._sweeper._look_open([one for one in found if f"+{one.number}" == old])
            assert len(await here.rows(ended)) == 6


async def test_a_number_is_forbidden_while_its_intent_is_written(tmp_path: Path) -> None:
    """Do-not-call that is carried out after an intent is durable and before its task has run keeps the call from being sent."""
    number = people(1)[0]
    async with scene(tmp_path) as here, Ledger(here.path) as other:
        campaign = await here.campaign([number])
        remote = await here.campaign(ledger=other)
        write = here.ledger.write
        asked: list[str] = []

        async def writes(work: Any) -> Any:
            result = await write(work)
            intents = await here.rows("SELECT number FROM attempt WHERE state = 0")
            if intents and not asked:  # The dispatcher has not heard of it yet.
                asked.append(number)
                await remote.do_not_call(number)
                await campaign._run._control.look()  # type: ignore[union-attr]
            return result

        here.ledger.write = writes  # type: ignore[method-assign]
        last = await run(campaign)
        assert asked
        assert not here.wire.posts
        assert last.contacts["suppressed"] == 1


async def test_a_storm_of_errors_puts_everybody_in_doubt(tmp_path: Path) -> None:
    """While each answer is a 503, dialling waits longer and longer, up to a minute: ten minutes put few attempts in doubt."""
    numbers = people(120)
    async with scene(tmp_path) as here:
        here.sandbox.faults.add(action="outage", match="calls.create", seconds=600, status=503)
        last = await run(await here.campaign(numbers))
        in_doubt = last.contacts["unknown"]
        assert last.contacts["done"] == len(numbers) - in_doubt
        moments = sorted(post.at for post in here.wire.posts[:in_doubt])
        after = [moment for moment in moments if moment > moments[0]]
        assert len(after) == len(set(after)) < 20  # One for each wait.
        assert max(later - earlier for earlier, later in zip(moments, moments[1:], strict=False)) <= 61
        assert (await here.audit()).faults == []


async def test_a_person_dials_on_while_the_api_is_down(tmp_path: Path) -> None:
    """In preview as well, after three answers in doubt nothing is sent for a second, then one call, then nothing for two seconds."""
    numbers = iter(people(9))
    async with scene(tmp_path, clock="manual") as here:
        here.sandbox.faults.add(action="outage", match="calls.create", seconds=600, status=503)
        campaign = await here.campaign(people(9), mode="preview")
        async with running(campaign) as seen:
            await until(lambda: campaign.runs and seen)
            assert [await campaign.dial(next(numbers)) for _ in range(4)] == [True, True, True, False]
            await here.clock.advance(1)
            assert [await campaign.dial(next(numbers)) for _ in range(2)] == [True, False]
            await here.clock.advance(1)
            assert not await campaign.dial(next(numbers))


async def test_an_api_that_answers_nobody_is_asked_by_everybody(tmp_path: Path) -> None:
    """What was never sent because nobody listens is dialled when somebody does, and costs no attempt."""
    number = magic(102)
    async with scene(tmp_path) as here:
        down = [True]
        send = here.wire.inner.send

        async def fails(request: Request) -> Response:
            from ajoxi_async.contract.wire import ExchangeError

            if down and request.method == "POST":
                if len(here.wire.posts) >= 4:
                    down.clear()
                raise ExchangeError("nobody listens", sent=False)
            return await send(request)

        here.wire.inner.send = fails
        last = await run(await here.campaign([number], attempts=2, retry={"busy": Retry(60)}))
        assert last.contacts["exhausted"] == 1
        assert here.rings(number) == 2
        gaps = [later.at - earlier.at for earlier, later in zip(here.wire.posts, here.wire.posts[1:], strict=False)]
        assert [round(gap) for gap in gaps[:4]] == [1, 2, 4, 8]
        begun = Counter(int(str(post.reference).rpartition(".")[2]) for post in here.wire.posts)
        assert dict(await here.rows("SELECT n, sent FROM attempt")) == begun
