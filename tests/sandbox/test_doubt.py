"""What leaves a client in doubt: answers that are lost or lie, commands that run later, lists that lag, routes that are down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from ajoxi_async import AsyncAjoxi, InternalServerError, OutcomeUnknownError, RetryPolicy, Sandbox
from ajoxi_async.contract.wire import Request

TO, FROM = "+15005550100", "+14155550100"
STRICT = RetryPolicy(writes="strict")
#: The port of a sandbox with a socket, and of one in memory. Sockets are asyncio's.
PORTS = pytest.mark.parametrize(
    ("port", "anyio_backend"),
    [(None, "asyncio"), (None, "trio"), (0, "asyncio")],
    ids=["memory-asyncio", "memory-trio", "socket"],
)


def client_of(sandbox: Sandbox, **options: Any) -> AsyncAjoxi:
    """A client over the socket, or in memory where there is none."""
    if sandbox.listens:
        return AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url, **options)
    return AsyncAjoxi(sandbox.api_key, transport=sandbox.transport(), **options)


@PORTS
@pytest.mark.anyio
async def test_a_late_commit(port: int | None) -> None:
    """The answer is lost, nothing is there until the moment comes, then one call rings, and `reconcile` adopts it."""
    async with Sandbox(port=port, clock="manual") as sandbox, client_of(sandbox, client_references=True) as client:
        world = sandbox.world()
        fault = sandbox.faults.add(action="commit_late", match="calls.create", when="nth", seconds=120)
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.calls.create(to=TO, from_=FROM, ring_timeout=25, record=True, metadata={"team": "blue"})
        assert fault.fired == 1
        began = world.clock.now()
        for seconds in (0, 60, 59.9):
            await world.clock.advance(seconds)
            assert (await client.calls.reconcile(caught.value)).status == "not_found_yet"
            assert world.rings() == ()
        await world.clock.advance(0.1)
        found = (await client.calls.reconcile(caught.value)).call
        assert found is not None
        assert (found.status, found.metadata["team"]) == ("ringing", "blue")
        assert found.created_at is not None
        assert found.created_at.timestamp() == began + 120
        assert [ring.call_id for ring in world.rings(TO)] == [found.id]
        await world.clock.advance(60)
        assert len((await client.calls.list()).data) == 1
        assert (await client.recordings.list()).data[0].call_id == found.id


@PORTS
@pytest.mark.anyio
async def test_a_late_commit_on_a_real_clock(port: int | None) -> None:
    """`reconcile` finds by number and time what was placed late, without a reference."""
    async with Sandbox(port=port) as sandbox, client_of(sandbox) as client:
        sandbox.faults.add(action="commit_late", match="calls.create", seconds=0.15)
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.calls.create(to=TO, from_=FROM)
        assert (await client.calls.reconcile(caught.value)).call is None
        with anyio.fail_after(5):
            while (found := await client.calls.reconcile(caught.value)).call is None:
                await anyio.sleep(0.02)
        assert found.call.to == TO


@pytest.mark.anyio
async def test_every_post_can_be_late() -> None:
    """Campaigns, messages, numbers, webhooks and transfers happen later as well; what is wrong by itself is refused at once."""
    async with Sandbox(port=None, clock="manual") as sandbox, client_of(sandbox) as client:
        call = await client.calls.create(to="+15005550109", from_=FROM)
        offered = (await client.numbers.search()).data[0].phone_number
        sandbox.faults.add(action="commit_late", seconds=30)
        requests = (
            lambda: client.calls.create_campaign(from_=FROM, name="late", mode="power", contacts=[TO]),
            lambda: client.messages.send(to=TO, from_=FROM, body="é"),
            lambda: client.numbers.provision(phone_number=str(offered)),
            lambda: client.webhooks.create(url="http://127.0.0.1:9/", events=["call.completed"]),
            lambda: client.calls.transfer(call.id, agent_id="agent_7"),
            lambda: client.calls.create(to="+99955501000", from_=FROM),
        )
        for request in requests:
            with pytest.raises(OutcomeUnknownError):
                await request()
        sent = {"Authorization": f"Bearer {sandbox.api_key}"}
        wrong = await sandbox.transport().send(Request("POST", "/v1/calls", sent, b"{}"))
        assert wrong.status == 400
        fired = await sandbox.clock.advance(30)
        assert [one.what for one in fired if one.what == "request.refused"] == ["request.refused"]
        assert len(sandbox.world().campaigns()) == 1
        assert (await client.messages.list()).data[0].body == "é"
        assert offered in {number.phone_number for number in (await client.numbers.search(status="active")).data}
        assert len((await client.webhooks.list()).data) == 1
        assert (await client.calls.retrieve(call.id)).agent_id == "agent_7"


@pytest.mark.anyio
async def test_late_requests_go_with_snapshots_and_restarts(tmp_path: Path) -> None:
    """A restored world places the call again at its moment, a restarted one still does, and a new one does not."""
    file = tmp_path / "worlds.db"
    async with Sandbox(port=None, clock="manual", db=file) as sandbox, client_of(sandbox) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.calls.create(to="+15005550162", from_=FROM)
        assert [(due.kind, due.id) for due in sandbox.world().due()] == [("late_request", None)]
        before = sandbox.snapshot()
        await sandbox.clock.advance(90)
        first = sandbox.world().rings()
        assert len(first) == 1
        sandbox.restore(before)
        assert sandbox.world().rings() == ()
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        await sandbox.clock.advance(90)
        assert sandbox.world().rings() == first
        sandbox.restore(before)
        sandbox.reset()
        await sandbox.clock.advance(90)
        assert sandbox.world().rings() == ()


@pytest.mark.anyio
async def test_an_answer_that_lies() -> None:
    """503 although the call was placed: the documented policy dials twice, the strict one once, and `rings` knows."""
    for policy, rings in ((RetryPolicy(), 2), (STRICT, 1)):
        async with Sandbox(port=None, clock="manual") as sandbox, client_of(sandbox, retry=policy) as client:
            fault = sandbox.faults.add(action="status_after_commit", match="calls.create", when="nth", code="oops")
            if policy is STRICT:
                with pytest.raises(InternalServerError):
                    await client.calls.create(to=TO, from_=FROM)
            else:
                await client.calls.create(to=TO, from_=FROM)
            assert (len(sandbox.world().rings(TO)), fault.fired) == (rings, 1)


@pytest.mark.anyio
async def test_a_refusal_stays_a_refusal() -> None:
    """Where nothing was placed, the answer is the refusal and no 503."""
    async with Sandbox(port=None) as sandbox:
        sandbox.faults.add(action="status_after_commit", match="calls.create", retry_after=3)
        sent = {"Authorization": f"Bearer {sandbox.api_key}"}
        bodies = [
            b'{"to": "+99955501000", "from": "+14155550100"}',
            b'{"to": "+15005550100", "from": "+14155550100"}',
        ]
        answers = [await sandbox.transport().send(Request("POST", "/v1/calls", sent, body)) for body in bodies]
        assert [answer.status for answer in answers] == [422, 503]
        assert answers[1].headers["Retry-After"] == "3"
        assert b"service_unavailable" in answers[1].body


@PORTS
@pytest.mark.anyio
async def test_lists_that_lag(port: int | None) -> None:
    """Lists show an object `seconds` after it was made, pages of them lose nothing, and by its id it is there at once."""
    async with Sandbox(port=port, clock="manual") as sandbox, client_of(sandbox, client_references=True) as client:
        sandbox.faults.add(action="drop_after_commit", match="calls.create", when="nth", n=3)
        sandbox.faults.add(action="list_lag", match="*", seconds=10)
        placed = []
        for _ in range(2):
            placed.append((await client.calls.create(to=TO, from_=FROM)).id)
            await sandbox.clock.advance(4)
        assert (await client.calls.list()).data == ()
        assert (await client.calls.retrieve(placed[0])).id == placed[0]
        await sandbox.clock.advance(2)
        assert [call.id for call in (await client.calls.list()).data] == placed[:1]
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.calls.create(to=TO, from_=FROM)
        await client.messages.send(to=TO, from_=FROM, body="hi")
        await client.webhooks.create(url="http://127.0.0.1:9/", events=["call.started"])
        assert (await client.calls.reconcile(caught.value)).status == "not_found_yet"
        await sandbox.clock.advance(9.999)
        assert len((await client.calls.list()).data) == 2
        assert (await client.messages.list()).data == ()
        assert (await client.webhooks.list()).data == ()
        page = await client.calls.list(limit=1)
        await sandbox.clock.advance(0.001)
        assert (await client.calls.reconcile(caught.value)).status == "found"
        rest = [call.id async for call in client.calls.list(limit=1, cursor=page.next_cursor)]
        assert [page.data[0].id, *rest] == placed[::-1]
        assert len((await client.calls.list()).data) == 3
        assert len((await client.messages.list()).data) == len((await client.webhooks.list()).data) == 1
        assert len((await client.numbers.search(status="active")).data) == 1


@PORTS
@pytest.mark.anyio
async def test_a_route_that_is_down_for_a_while(port: int | None) -> None:
    """From `delay` on, for `seconds` of the world's clock, its route answers 503 and others work; a rewound world is up."""
    async with (
        Sandbox(port=port, clock="manual") as sandbox,
        client_of(sandbox, retry=RetryPolicy(max_retries=0)) as client,
    ):
        before = sandbox.snapshot()
        fault = sandbox.faults.add(action="outage", match="calls.list", delay=10, seconds=60, retry_after=0)
        up = []
        for seconds in (0, 9.999, 0.001, 59.999, 0.001):
            await sandbox.clock.advance(seconds)
            try:
                await client.calls.list()
                up.append(True)
            except InternalServerError as error:
                assert error.status_code == 503
                up.append(False)
            await client.messages.list()
        assert up == [True, True, False, False, True]
        assert fault.matched == fault.fired > 0
        sandbox.restore(before)
        await client.calls.list()


@pytest.mark.asyncio
async def test_doubt_over_http() -> None:
    """The control surface adds these faults and shows when an outage begins; what is wrong is named."""
    async with Sandbox(clock="manual") as sandbox, aiohttp.ClientSession() as session:
        url, headers = f"{sandbox.base_url}/_ajoxi/faults", {"Authorization": f"Bearer {sandbox.control_token}"}

        async def add(**body: Any) -> tuple[int, Any]:
            async with session.post(url, headers=headers, json=body) as answer:
                return answer.status, await answer.json()

        status, shown = await add(action="outage", match="calls.*", delay=30, seconds=5)
        assert (status, shown["begins"], shown["seconds"]) == (201, "2026-01-01T00:00:30.000Z", 5.0)
        assert (await add(action="commit_late"))[1]["seconds"] == 90.0
        assert (await add(action="list_lag"))[1]["seconds"] == 5.0
        assert (await add(action="status_after_commit", status=500))[0] == 201
        status, shown = await add(action="list_lag", match="calls.create")
        assert (status, shown["error"]["param"]) == (400, "match")
