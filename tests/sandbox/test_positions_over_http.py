"""Lists of the control surface by position: rows, totals, and versions that say when to ask again."""

from __future__ import annotations

import pytest

from ajoxi_async import AsyncAjoxi
from ajoxi_async.contract.codec import format_time

from .test_control import surface

TO, FROM = "+15005550100", "+14155550100"


@pytest.mark.asyncio
async def test_rows_of_calls() -> None:
    """Rows anywhere in a list of calls, filtered or not, are those that paging through the API gives, with their total."""
    async with (
        surface(rate_limit=None) as (sandbox, ask),
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        sandbox.seed_calls(500)
        await client.calls.create(to=TO, from_=FROM, metadata={"team": "blue"})
        everything = [call async for call in client.calls.list(limit=200)]
        for at, limit in ((0, 60), (430, 60), (500, 200), (501, 10)):
            _, page = await ask("GET", f"calls?at={at}&limit={limit}")
            assert page["total"] == 501
            assert [row["id"] for row in page["data"]] == [call.id for call in everything[at : at + limit]]
        wanted = [call.id for call in everything if call.disposition == "no_answer"]
        _, page = await ask("GET", "calls?disposition=no_answer&limit=200")
        assert (page["total"], [row["id"] for row in page["data"]]) == (len(wanted), wanted[:200])
        _, page = await ask("GET", "calls?metadata[team]=blue&status=ringing&direction=outbound")
        assert (page["total"], page["data"]) == (1, [everything[0].to_dict()])
        assert everything[100].created_at is not None
        since = format_time(everything[100].created_at)
        assert (await ask("GET", f"calls?created_after={since}&limit=1"))[1]["total"] == 101


@pytest.mark.asyncio
async def test_versions() -> None:
    """A list's version is the same until something in it changes, and another one after a reset or a restore."""
    async with surface() as (sandbox, ask):
        versions = []
        snapshot = sandbox.snapshot()

        async def look() -> None:
            versions.append((await ask("GET", "calls"))[1]["version"])

        await look()
        sandbox.inbound_message(from_=TO, body="hi")
        await look()
        assert versions[0] == versions[1]
        sandbox.inbound_call(from_=TO)
        await look()
        await sandbox.clock.advance(until_event="call.answered")
        await look()
        sandbox.restore(snapshot)
        await look()
        sandbox.reset()
        await look()
        assert len(set(versions)) == 5


@pytest.mark.asyncio
async def test_rows_of_messages_and_recordings() -> None:
    """Messages by status and conversation, recordings by date; what no filter can be is refused by name."""
    async with (
        surface(rate_limit=None) as (sandbox, ask),
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        sent = [await client.messages.send(to=TO, from_=FROM, body=str(n)) for n in range(3)]
        sandbox.inbound_message(from_="+15005550101", body="hi")
        await client.calls.create(to=TO, from_=FROM, record=True)
        _, page = await ask("GET", f"messages?conversation_id={sent[0].conversation_id}&at=1&limit=1")
        assert (page["total"], [row["id"] for row in page["data"]]) == (3, [sent[1].id])
        assert (await ask("GET", "messages?status=received"))[1]["total"] == 1
        assert (await ask("GET", "messages?direction=outbound&channel=sms&limit=1"))[1]["total"] == 3
        await sandbox.clock.advance(until_idle=True)
        _, page = await ask("GET", "recordings?created_after=2026-01-01T00:00:00Z")
        assert (page["total"], len(page["data"])) == (1, 1)
        assert (await ask("GET", "recordings?created_before=2026-01-01T00:00:00Z"))[1]["total"] == 0
        for path, param in (
            ("messages?status=lost", "status"), ("calls?colour=1", "colour"), ("calls?at=x", "at"), ("calls?at=-1", "at"),
            ("calls?limit=201", "limit"), ("recordings?created_after=1", "created_after"), ("requests?at=-1", "at"),
        ):  # fmt: skip
            code, refused = await ask("GET", path)
            assert (code, refused["error"]["param"]) == (400, param), path


@pytest.mark.asyncio
async def test_rows_of_requests() -> None:
    """The newest request first, filtered, without bodies; one of them with both sides and no key; and the log made empty."""
    async with (
        surface(rate_limit=None) as (sandbox, ask),
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        call = await client.calls.create(to=TO, from_=FROM)
        for _ in range(5):
            await client.calls.list(limit=3)
        _, page = await ask("GET", "requests?at=4&limit=5")
        assert (page["total"], [row["route"] for row in page["data"]]) == (6, ["calls.list", "calls.create"])
        _, page = await ask("GET", f"requests?route=calls.*&status=2xx&method=POST&key_id={sandbox.world().id}")
        (row,) = page["data"]
        assert (row["source"], row["status"], row["faults"], "request_body" in row) == ("api", 201, [], False)
        _, one = await ask("GET", f"requests/{row['id']}")
        assert TO in one["request_body"]
        assert call.id in one["response_body"]
        assert sandbox.api_key not in str(one)
        assert (await ask("GET", "requests/req_0"))[0] == 404
        assert (await ask("DELETE", "requests"))[0] == 200
        _, empty = await ask("GET", "requests")
        assert (empty["total"], empty["data"], empty["version"] == page["version"]) == (0, [], False)
