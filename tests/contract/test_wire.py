"""Names and frames, as they are written."""

from __future__ import annotations

import pytest

from ajoxi_async.contract import frames, headers
from ajoxi_async.contract.calls import CallCreate
from ajoxi_async.contract.codec import parse_params
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.wire import Request, Response


def test_the_headers_of_the_reference() -> None:
    """API reference, Rate limits and Webhooks: headers and limits as they are spelled there."""
    assert (headers.RATE_LIMIT, headers.RATE_REMAINING, headers.RATE_RESET) == (
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
    )
    assert (headers.SIGNATURE, headers.RETRY_AFTER) == ("X-Ajoxi-Signature", "Retry-After")
    assert (headers.DEFAULT_RATE, headers.DEFAULT_PAGE, headers.MAX_PAGE) == (100, 50, 200)
    assert headers.DEFAULT_BASE_URL == "https://api.ajoxi.com"


@pytest.mark.parametrize(
    ("frame", "written"),
    [
        (
            frames.event_frame("transcript.segment", b'{"a":1}', "42"),
            b'event: transcript.segment\nid: 42\ndata: {"a":1}\n\n',
        ),
        (frames.event_frame("error", b"{}"), b"event: error\ndata: {}\n\n"),
        (frames.event_frame("x", b"{}", ""), b"event: x\nid: \ndata: {}\n\n"),
        (frames.retry_frame(1000), b"retry: 1000\n\n"),
    ],
)
def test_frames(frame: bytes, written: bytes) -> None:
    """HTML standard, 9.2: fields on lines of their own, and an empty line at the end."""
    assert frame == written


def test_a_heartbeat_is_a_comment() -> None:
    """HTML standard, 9.2.6: a line that starts with a colon is ignored."""
    assert all(line.startswith(b":") for line in frames.HEARTBEAT.split(b"\n") if line)
    assert frames.HEARTBEAT.endswith(b"\n\n")


def test_exchanges_tell_nothing() -> None:
    """The repr of a request holds neither headers nor body nor whole numbers; that of a response no body."""
    url = "https://api.ajoxi.com/v1/calls?to=%2B14155551234"
    request = Request("POST", url, {"Authorization": "Bearer topsecret"}, b"topsecret")
    assert repr(request) == "Request(POST https://api.ajoxi.com/v1/calls?to=%2B1415***34)"
    assert repr(Response(200, {"Set-Cookie": "topsecret"}, b"topsecret")) == "Response(200, 9 bytes)"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"ring_timeout": "\ud800"}, "ring_timeout"),
        ({"from_": "+14155550100"}, "from_"),
        ({"timeout": 30, "ring_timeout": 30}, "ring_timeout"),
    ],
)
def test_parameters_that_cannot_be_meant(given: dict[str, object], name: str) -> None:
    """Half a surrogate pair where no text belongs, and a parameter under both of its names, are refused by name."""
    with pytest.raises(InvalidParameterError) as caught:
        parse_params({"to": "+14155551234", "from": "+14155550100", **given}, CallCreate)
    assert caught.value.param == name
