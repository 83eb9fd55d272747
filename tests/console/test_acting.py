"""Acting through the API's own handlers: outside quota, permissions and faults, and without a trace in what the API answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ajoxi_async import AsyncAjoxi

from .page import FROM, TO, signed_in

CALL = {"to": TO, "from": FROM, "ai_receptionist": True}


@pytest.mark.asyncio
async def test_it_works_while_the_api_does_not() -> None:
    """Quota, faults, denied routes and the number for 429 stop requests with the key, and none of the console's."""
    async with signed_in(rate_limit=1) as page:
        sandbox = page.sandbox
        sandbox.faults.add(action="status", match="*")
        page.sandbox._worlds.keys[sandbox.api_key].deny = frozenset({"calls.create"})
        await page.act("POST", "calls", {**CALL, "to": "+15005550160"})
        for _ in range(5):
            await page.act("POST", "calls", CALL)
        assert (await page.act("GET", "calls", status=200))["data"][0]["to"] == TO
        assert [fault.matched for fault in sandbox.faults] == [0]
        assert sandbox.world().quota.admit(0.0)


@pytest.mark.asyncio
async def test_what_it_did_is_logged_and_what_it_looked_at_is_not() -> None:
    """A command has an entry of source console, with the id of its answer and no secret; a GET has none."""
    async with signed_in() as page:
        status, headers, text = await page.raw(
            "POST", "console/as/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": ["call.completed"]},
            {"X-Ajoxi-Console": "1", "Content-Type": "application/json"},
        )  # fmt: skip
        await page.act("GET", "webhooks", status=200)
        await page.act("POST", "calls", {}, status=400)
        first, second = page.sandbox.requests.find(source="console")
        assert (first.id, first.route, first.status) == (headers["X-Request-Id"], "webhooks.create", 201)
        assert (second.route, second.status, second.key_id) == ("calls.create", 400, page.sandbox.keys()[0].id)
        assert first.request_headers["cookie"] == "***"
        secret = json.loads(text)["secret"]
        shown = await page.get(f"requests/{first.id}")
        assert status == 201
        assert secret not in json.dumps(shown)


@pytest.mark.asyncio
async def test_the_ids_of_the_api_do_not_depend_on_it() -> None:
    """Request ids of the API are the same whether the console asked something in between or not."""

    async def asked(console: bool) -> list[Any]:
        async with signed_in(seed=3) as page:
            ids = []
            async with AsyncAjoxi(page.sandbox.api_key, base_url=page.sandbox.base_url) as client:
                for _ in range(3):
                    ids.append((await client.with_raw_response(client.calls.list)()).request_id)
                    if console:
                        await page.act("GET", "calls", status=200)
                        await page.act("POST", "calls", {}, status=400)
            return ids

    assert await asked(console=True) == await asked(console=False)


@pytest.mark.asyncio
async def test_the_world_that_is_meant() -> None:
    """X-Ajoxi-Key names the world by the id of its key, or main; a key itself, a deleted and an unknown one have their answers."""
    async with signed_in(strict_keys=True) as page:
        key = page.sandbox.mint_key(label="ci")
        ci = page.sandbox.keys()[-1].id
        for name, world in (("main", page.sandbox.api_key), (ci, key)):
            status, call = await page.ask("POST", "console/as/v1/calls", CALL, X_Ajoxi_Key=name)
            assert status == 201
            assert page.sandbox.world(world).account.calls.get(call["id"]) is not None
            assert (await page.ask("GET", f"console/as/v1/calls/{call['id']}", X_Ajoxi_Key=name))[0] == 200
        page.sandbox.delete_key(ci)
        for name in (ci, "key_000000000000", "AJX_TEST_other", ""):
            assert (await page.ask("POST", "console/as/v1/calls", CALL, X_Ajoxi_Key=name))[0] == 400


@pytest.mark.asyncio
async def test_latest_is_an_id() -> None:
    """`latest` stands for the newest object, in commands too; where there is none it is not found."""
    async with signed_in() as page:
        for path in ("calls/latest", "recordings/latest", "transcripts/latest"):
            await page.act("GET", path, status=404)
        for path in (
            "requests/latest",
            "deliveries/latest",
            "campaigns/latest",
            "conversations/latest",
            "receivers/latest",
        ):
            assert (await page.ask("GET", path))[0] == 404
        await page.act("POST", "calls", CALL)
        newest = await page.act("POST", "calls", {**CALL, "record": True})
        campaign = {"name": "autumn", "mode": "preview", "contacts": [TO]}
        assert (await page.act("GET", "calls/latest", status=200))["id"] == newest["id"]
        await page.sandbox.clock.advance(1)
        await page.act("POST", "calls/latest/transfer", {"extension": "204"}, status=200)
        made = await page.act("POST", "calls", {"from": FROM, "campaign": campaign})
        assert (await page.get("campaigns/latest"))["id"] == made["id"]
        assert (await page.get("requests/latest?route=calls.transfer"))["status"] == 200


@pytest.mark.asyncio
async def test_what_it_does_not_do() -> None:
    """A live transcript is not streamed, because its reader would take part in the clock; other methods and paths are refused."""
    async with signed_in() as page:
        call = await page.act("POST", "calls", CALL)
        path = f"console/as/v1/transcripts/{call['id']}"
        assert (await page.ask("GET", path, Accept="text/event-stream"))[0] == 403
        for method, path, status in (
            ("PATCH", "console/as/v1/calls", 405), ("GET", "console/as/v1/nothing", 404), ("GET", "console/as/openapi.json", 404),
            ("GET", "console/as/media/rec_1.wav", 404), ("GET", "console/as/v1/../clock", 404), ("POST", "console/feed/feed_0", 404),
        ):  # fmt: skip
            assert (await page.ask(method, path, {} if method == "POST" else None))[0] == status


@pytest.mark.asyncio
async def test_an_answer_that_a_number_loses_is_lost() -> None:
    """The number whose answer is lost ends the connection, as it does for a client, and the log says so."""
    from aiohttp import ClientError

    async with signed_in() as page:
        with pytest.raises(ClientError):
            await page.act("POST", "calls", {**CALL, "to": "+15005550162"})
        (entry,) = page.sandbox.requests.find(source="console")
        assert (entry.status, entry.error) == (None, "the connection was broken on purpose")
        await page.sandbox.clock.advance(91)
        assert len(page.sandbox.world().account.calls) == 1


@pytest.mark.asyncio
async def test_it_is_in_the_file(tmp_path: Any) -> None:
    """What the console did is kept by a sandbox that keeps a file, once it is answered."""
    async with signed_in(db=tmp_path / "sandbox.db") as page:
        call = await page.act("POST", "calls", CALL)
    async with signed_in(db=tmp_path / "sandbox.db") as page:
        assert (await page.act("GET", "calls/latest", status=200))["id"] == call["id"]


@pytest.mark.asyncio
async def test_a_recording_is_played_without_a_trace() -> None:
    """The console plays a recording, whole or in parts, under an address of its own; the log of requests does not show it."""
    async with signed_in() as page:
        await page.act("POST", "calls", {"to": TO, "from": FROM, "record": True})
        await page.sandbox.advance(until_idle=True)
        id = (await page.get("calls?limit=1"))["data"][0]["recording_id"]
        before = (await page.get("requests"))["total"]
        status, shown, whole = await page.raw("GET", f"console/as/media/{id}.wav")
        assert (status, whole[:4]) == (200, b"RIFF")
        assert shown["Cross-Origin-Resource-Policy"] == "same-origin"
        status, shown, part = await page.raw("GET", f"console/as/media/{id}.wav", None, {"Range": "bytes=4-9"})
        assert (status, part) == (206, whole[4:10])
        assert (await page.raw("GET", "console/as/media/rec_nothing.wav"))[0] == 404
        assert (await page.get("requests"))["total"] == before


@pytest.mark.asyncio
async def test_events_tell_their_cause() -> None:
    """An event has the request that it happened in, or the timer; what a method of the sandbox did has none."""
    async with signed_in() as page:
        sandbox = page.sandbox
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            call = await client.calls.create(to=TO, from_=FROM)
        message = sandbox.inbound_message(from_=TO, body="Hello")
        await sandbox.advance(until_idle=True)
        (request,) = (await page.get("requests?route=calls.create"))["data"]
        events = {(one["what"], one["id"]): one["cause"] for one in (await page.get("events"))["data"]}
        assert events["call.started", call.id] == request["id"]
        assert events["call.answered", call.id] == "answer"
        assert events["call.completed", call.id] == "end"
        assert events["message.received", message.id] is None
        of_request = (await page.get(f"events?cause={request['id']}"))["data"]
        assert [one["what"] for one in of_request] == ["call.started"]
