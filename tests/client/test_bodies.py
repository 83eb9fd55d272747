"""What goes into a body, and what stays out of it."""

from __future__ import annotations

import json

import pytest

from ajoxi_async import APIResponseValidationError, InvalidParameterError, SmsConfig

from .fakes import ScriptedTransport, answer, client_on

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("sms", [{"enabled": True}, SmsConfig(enabled=True)], ids=["mapping", "model"])
async def test_what_was_not_given_is_not_sent(sms: object) -> None:
    """Neither a parameter nor a field of a nested object travels as null because it was left out."""
    transport = ScriptedTransport(answer(200, {"id": "num_1"}))
    await client_on(transport).numbers.update("num_1", sms=sms)
    assert json.loads(transport.requests[0].body) == {"sms": {"enabled": True}}


WRONG = [
    ("webhooks.create", {"url": "http://a.example", "events": "call.started"}, "events"),
    ("webhooks.create", {"url": "http://a.example", "events": None}, "events"),
    ("webhooks.create", {"url": "http://a.example", "events": 5}, "events"),
    ("messages.send", {"to": "+14155551234", "from_": "+14155550100", "media_urls": "http://a.example"}, "media_urls"),
    ("calls.create_campaign", {"name": "x", "mode": "power", "contacts": "+14155551234", "from_": "+14155550100"},
     "campaign.contacts"),
    ("calls.create_campaign", {"name": "x", "mode": "power", "contacts": None, "from_": "+14155550100"},
     "campaign.contacts"),
    ("calls.create", {"to": "+14155551234", "from_": "+14155550100", "recrod": True}, "recrod"),
    ("calls.list", {"stauts": "completed"}, "stauts"),
    ("calls.retrieve", {"id": "call_1", "extra_query": {"a": None}}, "extra_query"),
    ("calls.retrieve", {"id": "call_1", "extra_query": ["a"]}, "extra_query"),
    ("calls.retrieve", {"id": "call_1", "extra_headers": ["a"]}, "extra_headers"),
    ("recordings.download", {"recording": None}, "recording"),
    ("recordings.download", {"recording": "rec_1", "tiemout": 5}, "tiemout"),
    ("transcripts.stream", {"id": "call_1", "resume": "5"}, "resume"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "arguments", "param"), WRONG, ids=range(len(WRONG)))
async def test_wrong_arguments(method: str, arguments: dict[str, object], param: str) -> None:
    """What cannot be meant, a misspelt keyword too, is refused by name before anything is sent."""
    transport = ScriptedTransport(answer(200, {"id": "x"}))
    client = client_on(transport)
    resource, _, name = method.partition(".")
    with pytest.raises(InvalidParameterError) as caught:
        called = getattr(getattr(client, resource), name)(**arguments)
        await called
    assert caught.value.param == param
    assert not transport.requests


@pytest.mark.parametrize("url", ["http://[", "http://127.0.0.1:99999/", "http://a.example:x/", "ftp://a.example/", ""])
async def test_recordings_with_an_url_that_cannot_be(url: str) -> None:
    """A recording whose URL cannot be fetched is an error of the server, with its own exception."""
    transport = ScriptedTransport(answer(200, {"id": "rec_1", "url": url}))
    with pytest.raises(APIResponseValidationError):
        await client_on(transport).recordings.download("rec_1")


async def test_download_keeps_the_key_at_home() -> None:
    """The key goes to the API's own origin, and not along with a redirect to another."""
    there = answer(302, b"", {"Location": "https://storage.example/a.wav"})
    transport = ScriptedTransport(
        answer(200, {"id": "rec_1", "url": "https://api.ajoxi.com/media/rec_1.wav"}), there, answer(200, b"RIFF")
    )
    assert await client_on(transport).recordings.download("rec_1") == b"RIFF"
    assert ["Authorization" in request.headers for request in transport.requests] == [True, True, False]
