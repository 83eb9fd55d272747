"""`sign_event`: deliveries for tests of receivers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ajoxi_async import (
    Call,
    CallCompleted,
    ConfigurationError,
    InvalidParameterError,
    SignedEvent,
    WebhookRouter,
    WebhookSignatureError,
    parse_event,
    parse_unverified_event,
    sign_event,
)
from ajoxi_async.contract.codec import DecodeError

SECRET = "whsec_0123456789"
EVENT = CallCompleted(
    id="evt_1", type="call.completed", created_at=datetime(2026, 1, 1, tzinfo=UTC), data=Call(id="call_1")
)


@pytest.mark.parametrize(
    "event",
    [EVENT, EVENT.to_dict(), {"id": "evt_1", "type": "call.completed", "data": EVENT.data}, b'{"id":"evt_1","type":"call.completed","data":{"id":"call_1"}}'],
    ids=["event", "dict", "model in a dict", "bytes"],
)  # fmt: skip
def test_what_is_signed_is_verified(event: object) -> None:
    """Each form of an event becomes a delivery that `parse_event` accepts with the secret, and with no other."""
    signed = sign_event(event, SECRET)  # type: ignore[arg-type]
    parsed = parse_event(signed.body, signed.headers["X-Ajoxi-Signature"], SECRET)
    assert isinstance(parsed, CallCompleted)
    assert parsed.data.id == "call_1"
    with pytest.raises(WebhookSignatureError):
        parse_event(signed.body, signed.signature, "whsec_other")
    # An event that was received is signed with the bytes that came.
    assert sign_event(parsed, SECRET) == signed
    assert SECRET not in repr(signed)


def test_rotation() -> None:
    """Several secrets sign side by side."""
    signed = sign_event(EVENT, ["whsec_new", "whsec_old"])
    for secret in ("whsec_new", "whsec_old"):
        assert parse_event(signed.body, signed.signature, secret).id == "evt_1"


def test_what_cannot_be_signed() -> None:
    """No secret, no JSON and no event are refused."""
    for secret in ("", [], " x", None):
        with pytest.raises(ConfigurationError, match="secret"):
            sign_event(EVENT, secret)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="event"):
        sign_event({"id": float("inf")}, SECRET)
    for wrong in ("text", None, [1]):
        with pytest.raises(InvalidParameterError, match="event"):
            sign_event(wrong, SECRET)  # type: ignore[arg-type]


def test_what_a_queue_brings() -> None:
    """An event that was verified before is decoded by its type, with its bytes; what is no event, or too large, is refused."""
    signed = sign_event(EVENT, SECRET)
    event = parse_unverified_event(signed.body)
    assert event == EVENT
    assert event.raw == signed.body
    assert sign_event(event, SECRET) == signed
    for wrong in (b"", b"[]", b"{}", signed.body[:-1]):
        with pytest.raises(DecodeError):
            parse_unverified_event(wrong)
    with pytest.raises(DecodeError, match="over the limit of 9"):
        parse_unverified_event(signed.body, max_bytes=9)
    with pytest.raises(InvalidParameterError, match="body"):
        parse_unverified_event(signed.body.decode())  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_a_router_takes_it() -> None:
    """The delivery passes a router."""
    signed: SignedEvent = sign_event(EVENT, SECRET)
    assert (await WebhookRouter(SECRET).receive(signed.body, signed.signature)).status == 204
