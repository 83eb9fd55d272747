"""The URLs that a sandbox gives lead back to it from wherever it was asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import ClientSession

from ajoxi_async import AsyncAjoxi, InvalidParameterError, Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox.server.addresses import origin_of

TO, FROM = "+15005550100", "+14155550100"


async def recorded(sandbox: Sandbox) -> str:
    """The id of a call with a recording."""
    async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
        call = await client.calls.create(to=TO, from_=FROM, record=True)
        await sandbox.clock.advance(until_idle=True)
    return call.id


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
async def test_recordings_are_where_the_api_was(host: str) -> None:
    """Every answer names the host it was asked by, and the audio is found there; a sandbox on 0.0.0.0 has a base URL that works."""
    async with Sandbox(host=host, clock="manual") as sandbox, ClientSession() as session:
        assert sandbox.base_url.startswith("http://127.0.0.1:")
        call_id = await recorded(sandbox)
        port = sandbox.base_url.rpartition(":")[2]
        for name in (f"127.0.0.1:{port}", f"localhost:{port}", "sandbox:80"):
            sent = {"Authorization": f"Bearer {sandbox.api_key}", "Host": name}

            async def ask(path: str, sent: dict[str, str] = sent) -> Any:
                async with session.get(f"http://127.0.0.1:{port}{path}", headers=sent) as response:
                    return await response.json()

            call = await ask(f"/v1/calls/{call_id}")
            (listed,) = (await ask("/v1/recordings"))["data"]
            recording = await ask(f"/v1/recordings/{call['recording_id']}")
            assert call["recording_url"] == f"http://{name}/media/{call['recording_id']}.wav"
            assert listed["url"] == recording["url"] == call["recording_url"]
            assert (await ask("/v1/calls"))["data"][0] == call
        async with session.get(f"{sandbox.base_url}/media/{call['recording_id']}.wav") as response:
            assert response.status == 200


@pytest.mark.asyncio
async def test_a_public_url_counts_for_everybody() -> None:
    """Answers and webhook events have it, whatever the request named."""
    events: list[Any] = []

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        events.append(json.loads(body))
        return 200

    async with Sandbox(host="0.0.0.0", public_url="https://sandbox.example/a/", clock="manual", post=post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            await client.webhooks.create(url="http://127.0.0.1:9/", events=["call.completed", "recording.ready"])
            call = await client.calls.retrieve(await recorded(sandbox))
            url = f"https://sandbox.example/a/media/{call.recording_id}.wav"
            assert call.recording_url == url
            assert [events[0]["data"]["recording_url"], events[1]["data"]["url"]] == [url, url]


@pytest.mark.parametrize(
    "given", ["", "sandbox", "ftp://a", "http://", "http://u:p@a", "http://a?b", "http://a b", "http://a:99999", 7]
)
def test_what_is_no_public_url(given: Any) -> None:
    """It is refused before anything starts, by its name, and a password in it is not repeated."""
    with pytest.raises(InvalidParameterError, match="public_url") as caught:
        Sandbox(public_url=given)
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("host", ["", "a b", 'a"b', "a\r\nb", "user@a", "a/b", "a:b", "é.example", "a" * 300])
def test_a_host_that_is_none(host: str) -> None:
    """An answer never carries what is no host."""
    assert origin_of({"host": host}, None, "http://base") == "http://base"
    assert origin_of({}, None, "http://base") == "http://base"
    assert origin_of({"host": "[::1]:80"}, None, "http://base") == "http://[::1]:80"


@pytest.mark.anyio
async def test_in_memory() -> None:
    """Without a socket and a Host, URLs have the address of the client's own."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        call_id = await recorded(sandbox)
        sent = {"Authorization": f"Bearer {sandbox.api_key}"}
        answer = await sandbox.transport().send(Request("GET", f"/v1/calls/{call_id}", sent))
        assert f'"{sandbox.base_url}/media/rec_'.encode() in answer.body
