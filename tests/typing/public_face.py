"""What type checkers must see of the public face; `make lint` runs four of them over it, nothing executes it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from httpx_sse import ServerSentEvent

from ajoxi_async import (
    AsyncAjoxi,
    AudioStream,
    Call,
    CallCompleted,
    Campaign,
    Event,
    Message,
    Number,
    Page,
    Pager,
    RawResponse,
    Recording,
    Segment,
    SignedEvent,
    StreamItem,
    Transcript,
    TranscriptHub,
    TranscriptSnapshot,
    TranscriptWatcher,
    Turn,
    Webhook,
    WebhookRouter,
    count_segments,
    parse_event,
    sign_event,
)


async def public_face(client: AsyncAjoxi) -> None:
    """Each kind of method, and each way to use it."""
    assert_type(await client.calls.create(to="+14155551234", from_="+14155550100", timeout=5), Call)
    assert_type(
        await client.calls.create_campaign(name="x", mode="power", contacts=["+14155551234"], from_="+1"), Campaign
    )
    assert_type(client.calls.list(), Pager[Call])
    assert_type(await client.calls.list(), Page[Call])
    async for call in client.calls.list(extra_headers={"X-A": "b"}):
        assert_type(call, Call)
        assert_type(call.metadata, dict[str, str])
    async for numbers in client.numbers.search().pages():
        assert_type(numbers.data, tuple[Number, ...])
    page = await client.calls.list()
    assert_type(page[0], Call)
    assert_type(page[1:], tuple[Call, ...])
    assert_type(len(page), int)
    for call in page:
        assert_type(call, Call)
    call = page[0]
    assert_type(await page.next_page(), Page[Call] | None)
    assert_type(await client.calls.list().first(), Call | None)
    assert_type(await client.messages.list().to_list(max_items=5), list[Message])
    assert_type(await client.request("GET", "/v1/x", returns=Call), Call)
    assert_type(await client.request("GET", "/v1/x", query={"a": 1}, returns=Page[Call], timeout=5), Page[Call])
    assert_type(await client.request("POST", "/v1/x", body=b"x", content_type="text/plain", returns=bytes), bytes)
    raw: dict[str, int] = await client.request("POST", "/v1/x", body={"a": [1]})
    assert_type(raw, dict[str, int])
    assert_type(await client.calls.create(to="+1", from_="+1", extra_body={"a": 1}), Call)
    assert_type(await client.calls.wait(call, until="answered", timeout=None), Call)
    assert_type(await client.calls.create_and_wait(to="+1", from_="+1", timeout=5, lane="bulk"), Call)
    assert_type(await client.messages.wait("msg_1"), Message)
    assert_type(await client.recordings.wait(call), Recording)
    assert_type(client.with_options(api_key="AJX_TEST_x"), AsyncAjoxi)
    client.listen_to(WebhookRouter("whsec_x"))
    assert_type(sign_event({"id": "evt_1"}, "whsec_x"), SignedEvent)
    assert_type(count_segments("hi"), int)
    assert_type(await client.recordings.download("rec_1"), bytes)
    assert_type(await client.recordings.download_to("rec_1", Path("a.wav"), progress=print), int)
    async with client.recordings.stream("rec_1") as audio:
        assert_type(audio, AudioStream)
        assert_type(audio.size, int | None)
        async for chunk in audio:
            assert_type(chunk, bytes)
    assert_type(await client.recordings.retrieve("rec_1"), Recording)
    async with client.transcripts.stream("call_1") as live:
        async for segment in live:
            assert_type(segment, Segment)
        assert_type(await live.until_done(), Transcript)
        assert_type(live.turns(), tuple[Turn, ...])
        assert_type(live.snapshot(), TranscriptSnapshot)
        async for event_of_stream in live.events():
            assert_type(event_of_stream, ServerSentEvent)
    async with client.transcripts.stream_many(["call_1"], overflow="coalesce") as many:
        async for item in many:
            assert_type(item, StreamItem)
    async with client.transcripts.hub(linger=5) as hub, hub.watch("call_1", interim=False) as watcher:
        assert_type(hub, TranscriptHub)
        assert_type(watcher, TranscriptWatcher)
        async for segment in watcher:
            assert_type(segment, Segment)
        assert_type(watcher.last_event_id, str)
        assert_type(watcher.snapshot(), TranscriptSnapshot)
    async with client.events("GET", "/v1/transcripts/call_1", reconnect=False) as events:
        async for event_of_stream in events:
            assert_type(event_of_stream, ServerSentEvent)
    assert_type(await client.with_raw_response(client.webhooks.create)(url="http://a", events=[]), RawResponse[Webhook])
    event = parse_event(b"", "", "whsec_x")
    assert_type(event, Event)
    if isinstance(event, CallCompleted):
        assert_type(event.data, Call)
