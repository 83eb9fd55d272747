"""Receiving webhooks: verifying the signature of a delivery and decoding its event.

Rules:
1. ``X-Ajoxi-Signature`` is HMAC-SHA256 over the raw request body, keyed with the webhook's secret, and compared in
   constant time (API reference: Webhooks; FAQ). The signature covers the bytes as received: a body that was parsed and
   serialised again does not match. A body that a gateway compressed or encoded is refused, and the error says what to undo.
   It is never undone silently, because the signature is the only proof of the bytes.
2. While a secret is rotated, the header may hold several signatures and the receiver several secrets; one match is
   enough.
3. Deliveries come at least once and in any order, over up to 24 hours, with the same bytes each time: deduplicate on
   the event's ``id``. The signature contains no time. `tolerance` compares ``created_at`` with the clock and refuses late
   deliveries; it is off by default.

`sign_event` is the other side, for tests of receivers. Nothing here does I/O. `WebhookRouter` (`ajoxi_async.webhooks.router`) deduplicates and calls handlers. The modules named
after web frameworks pass requests to it.
"""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final

from attrs import frozen

from ajoxi_async.contract import signing
from ajoxi_async.contract.codec import DecodeError, decode_event, encode, json_value, parse_json
from ajoxi_async.contract.encoding.exact_values import integer, is_unicode, seconds
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.headers import CONTENT_TYPE, JSON, SIGNATURE
from ajoxi_async.contract.webhooks import Event
from ajoxi_async.protocol.errors import ConfigurationError, WebhookSignatureError

__all__ = [
    "MAX_BYTES",
    "DecodeError",
    "SignedEvent",
    "WebhookSignatureError",
    "parse_event",
    "parse_unverified_event",
    "sign_event",
    "verify_webhook",
]

#: Largest body that is accepted, in bytes. The transcript of a long call is much smaller.
MAX_BYTES: Final = 1024 * 1024
#: The first bytes of a body compressed with gzip.
_GZIP: Final = b"\x1f\x8b"


def check_secrets(secret: str | Sequence[str]) -> tuple[str, ...]:
    """Return the secrets as a tuple.

    Raises:
        ConfigurationError: there is none, or one is empty (an empty key would let anybody sign), is not text, holds what
            UTF-8 cannot carry (an environment variable of other bytes), or has white space around it, which happens when it
            is read from a file.
    """
    several = not isinstance(secret, (str, bytes, Mapping)) and isinstance(secret, Iterable)
    secrets: tuple[Any, ...] = tuple(secret) if several else () if secret is None else (secret,)
    wrong = "none" if not secrets else ""
    for each in secrets:
        if not isinstance(each, str):
            wrong = type(each).__name__
        elif each != each.strip() or not each:
            wrong = "one with white space around it" if each.strip() else "an empty one"
        elif not is_unicode(each):
            wrong = "one that is not valid Unicode"
    if wrong:
        raise ConfigurationError(
            f"secret: expected the webhook's secret as text, or several while it is rotated; got {wrong}"
        )
    return secrets


def verify_webhook(
    body: bytes, signature: str | None, secret: str | Sequence[str], *, max_bytes: int = MAX_BYTES
) -> None:
    """Check that a delivery was signed with the webhook's secret; return nothing if it was.

    Args:
        body: the raw bytes of the request, exactly as received.
        signature: the value of ``X-Ajoxi-Signature``; ``None`` where the header is missing. Hex in any case, an optional
            ``sha256=`` prefix, and several signatures separated by commas are taken.
        secret: the webhook's secret, or several while it is rotated.
        max_bytes: the largest body that is taken.

    Raises:
        WebhookSignatureError: the header is missing, no signature matches, or the body is too large. Answer 400 and do
            nothing. The error holds neither the secret, nor the signature, nor the body.
        ConfigurationError: there is no secret, or an empty one, or a number is out of range. It is a ``ValueError``.
        InvalidParameterError: `body` is not bytes, or `signature` is not text.

    The rule is the API reference's (Webhooks): HMAC-SHA256 over the raw request body, compared constant-time.
    """
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise InvalidParameterError(
            "body",
            f"expected the raw bytes of the request, got {type(body).__name__}; the bytes are what was signed, and a body that"
            " was decoded or parsed cannot be turned back into them",
        )
    if not isinstance(signature, str) and signature is not None:
        raise InvalidParameterError(
            "signature", f"expected the text of the header {SIGNATURE}, got {type(signature).__name__}"
        )
    secrets, max_bytes = check_secrets(secret), check_max_bytes(max_bytes)
    if not signature or not signature.strip():
        raise WebhookSignatureError(f"the delivery has no {SIGNATURE} header")
    body = bytes(body)
    if len(body) > max_bytes:
        raise WebhookSignatureError(f"the body has {len(body)} bytes, over the limit of {max_bytes}")
    if not signing.matches(body, signature, secrets):
        raise WebhookSignatureError(f"no signature matches: {_diagnose(body, signature, secrets)}")


def _unwrapped(body: bytes) -> Iterator[tuple[bytes, str]]:
    """The forms that the body may have had before a gateway changed it, each with what the receiver has to undo."""
    if (inner := _decompressed(body)) is not None:
        yield inner, "the body is compressed (Content-Encoding: gzip): decompress it"
    if (inner := _from_base64(body)) is not None:
        yield inner, "the body is base64, as API Gateway and Lambda deliver it (isBase64Encoded): decode it"
        if (twice := _decompressed(inner)) is not None:
            yield (
                twice,
                "the body is base64 of a compressed one (isBase64Encoded, Content-Encoding): decode and decompress it",
            )
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(given, str):
        yield given.encode("utf-8", "replace"), "the body was serialised as text inside of JSON: decode it once"
    elif isinstance(given, dict) and isinstance(text := given.get("body"), str):
        again = text.encode("utf-8", "replace")
        yield again, 'the body is the gateway\'s whole event: take its "body"'
        if (inner := _from_base64(again)) is not None:
            yield inner, 'the body is the gateway\'s whole event: take its "body", which is base64, and decode it'


def _decompressed(body: bytes) -> bytes | None:
    """Decompress a gzip or zlib body to at most `MAX_BYTES`, because a small one may decompress to gigabytes."""
    if not body.startswith((_GZIP, b"\x78")):
        return None
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, MAX_BYTES)
    except zlib.error:
        return None


def _from_base64(body: bytes) -> bytes | None:
    try:
        return base64.b64decode(body.strip(), validate=True) or None
    except ValueError:
        return None


def _diagnose(body: bytes, signature: str, secrets: tuple[str, ...]) -> str:
    """Find a likely reason why the signature of a body does not match, for the error message."""
    if not body:
        return (
            "the body is empty; if it was not sent so, code before the receiver has read it, such as a parser of forms"
        )
    if signing.matches(body.strip(), signature, secrets):
        return "white space was added around the body on its way; take the bytes as the platform sent them"
    for inner, what in _unwrapped(body):
        if signing.matches(inner, signature, secrets):
            return f"{what} before verifying"
    if body.startswith(_GZIP):
        return "the body is compressed with gzip, and what was signed is not in it; take the bytes as the platform sent them"
    try:
        parsed = parse_json(body, strict=True)
    except DecodeError:
        parsed = None
    for separators, ascii_only in product(((",", ":"), (", ", ": ")), (False, True)):
        again = json.dumps(parsed, separators=separators, ensure_ascii=ascii_only).encode("utf-8", "replace")
        if parsed is not None and signing.matches(again, signature, secrets):
            return "the body was parsed and serialised again; take the raw bytes of the request"
    return "either the secret is another webhook's, or the body is not the raw bytes as received"


def check_tolerance(tolerance: float | None) -> float | None:
    """Return the seconds by which ``created_at`` may differ from the clock, as a float.

    Raises:
        ConfigurationError: it is not a number above 0.
    """
    if tolerance is None:
        return None
    span = seconds(tolerance)
    if span is None or not span > 0:
        raise ConfigurationError(f"tolerance: expected seconds above 0, got {tolerance!r:.40}")
    return span


def check_max_bytes(max_bytes: int) -> int:
    """Return the largest size of a body.

    Raises:
        ConfigurationError: it is not a whole number of at least 1.
    """
    most = integer(max_bytes)
    if most is None or most < 1:
        raise ConfigurationError(f"max_bytes: expected 1 or more, got {max_bytes!r:.40}")
    return most


def _check_age(event: Event, tolerance: float | None, clock: Callable[[], float]) -> None:
    if tolerance is None:
        return
    if event.created_at is None:
        raise WebhookSignatureError("the event has no created_at to compare with the clock")
    age = clock() - event.created_at.timestamp()
    if abs(age) > tolerance:
        raise WebhookSignatureError(f"created_at differs from the clock by {age:.0f} s, over the tolerance")


def parse_event(
    body: bytes,
    signature: str | None,
    secret: str | Sequence[str],
    *,
    max_bytes: int = MAX_BYTES,
    tolerance: float | None = None,
    clock: Callable[[], float] = time.time,
) -> Event:
    """Verify a delivery and decode its event.

    Args:
        body: the raw bytes of the request, exactly as received.
        signature: the value of ``X-Ajoxi-Signature``; ``None`` where the header is missing.
        secret: the webhook's secret, or several while it is rotated.
        max_bytes: the largest body that is taken.
        tolerance: seconds by which ``created_at`` may differ from `clock`. Off by default, because a delivery may be retried
            for up to 24 hours.
        clock: seconds since the epoch.

    Returns:
        The event by its type: `CallStarted`, `CallAnswered`, `CallCompleted`, `MessageReceived`, `MessageDelivered`,
        `RecordingReady`, `TranscriptReady` (API reference: Webhooks), or `UnknownEvent` for a type this version does not
        know. ``raw`` holds the body.

    Raises:
        WebhookSignatureError: as in `verify_webhook`, or ``created_at`` is outside of the tolerance.
        DecodeError: the delivery is signed, but is not an event.
        ConfigurationError: there is no secret, or an empty one, or a number is out of range.
        InvalidParameterError: `body` is not bytes, or `signature` is not text.
    """
    tolerance = check_tolerance(tolerance)
    verify_webhook(body, signature, secret, max_bytes=max_bytes)
    event = decode_event(bytes(body))
    _check_age(event, tolerance, clock)
    return event


def parse_unverified_event(body: bytes, *, max_bytes: int = MAX_BYTES) -> Event:
    """Decode an event without looking at its signature, where something else has verified it: a queue, an event bridge.

    Never use it for what a request from outside brings: anybody could have written it.

    Args:
        body: the raw bytes of the delivery, which ``raw`` of the event holds.
        max_bytes: the largest body that is taken.

    Raises:
        DecodeError: it is not an event, or too large.
        ConfigurationError: `max_bytes` is out of range.
        InvalidParameterError: `body` is not bytes.
    """
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise InvalidParameterError("body", f"expected the raw bytes of the delivery, got {type(body).__name__}")
    body = bytes(body)
    if len(body) > check_max_bytes(max_bytes):
        raise DecodeError(f"the body has {len(body)} bytes, over the limit of {max_bytes}")
    return decode_event(body)


@frozen(repr=False)
class SignedEvent:
    """A delivery as the platform would post it.

    Attributes:
        body: the bytes that were signed; send them unchanged.
        signature: the value of ``X-Ajoxi-Signature``.
    """

    body: bytes
    signature: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers to post with the body."""
        return {CONTENT_TYPE: JSON, SIGNATURE: self.signature}

    def __repr__(self) -> str:
        return f"SignedEvent({len(self.body)} bytes)"

    def __rich_repr__(self) -> Iterator[str]:
        yield f"{len(self.body)} bytes"


def sign_event(event: Event | Mapping[str, Any] | bytes, secret: str | Sequence[str]) -> SignedEvent:
    """Sign an event as the platform signs its deliveries, to test a receiver.

        signed = sign_event({"id": "evt_1", "type": "call.completed", "data": {"id": "call_1"}}, "whsec_...")
        response = client.post("/webhooks/ajoxi", content=signed.body, headers=signed.headers)

    Args:
        event: an `Event`; what JSON can hold; or the bytes of a body. An event that was received keeps its bytes.
        secret: the webhook's secret; several sign as while a secret is rotated.

    Raises:
        InvalidParameterError: JSON cannot hold it.
        ConfigurationError: there is no secret, or an empty one.
        InvalidParameterError: `event` is none of these.
    """
    secrets = check_secrets(secret)
    if isinstance(event, Event):
        body = event.raw or encode(event)
    elif isinstance(event, Mapping):
        body = encode(json_value(event, "event"))
    elif isinstance(event, (bytes, bytearray, memoryview)):
        body = bytes(event)
    else:
        raise InvalidParameterError("event", f"expected an Event, an object or bytes, got {type(event).__name__}")
    return SignedEvent(body, signing.sign(body, secrets))
