"""Receiving webhooks: is this delivery from Ajoxi, and what happened?

Rules:
1. ``X-Ajoxi-Signature`` is HMAC-SHA256 over the raw request body, keyed with the webhook's secret, and compared in
   constant time (API reference: Webhooks; FAQ). The bytes as received are what was signed: a body that was parsed and
   serialised again is another body.
2. While a secret is rotated, the header may hold several signatures and the receiver several secrets; one match is
   enough.
3. Deliveries come at least once and in any order, over up to 24 hours, with the same bytes each time: deduplicate on
   the event's ``id``. There is no time in the signature, so there is no replay window to check.

Nothing here does I/O. `ajoxi_async.webhooks.aiohttp` has a ready receiver.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ajoxi_async.contract import signing
from ajoxi_async.contract.codec import DecodeError, decode_event
from ajoxi_async.contract.headers import SIGNATURE
from ajoxi_async.contract.webhooks import Event
from ajoxi_async.protocol.errors import ConfigurationError, WebhookSignatureError

__all__ = ["MAX_BYTES", "DecodeError", "WebhookSignatureError", "parse_event", "verify_webhook"]

#: The largest body that is taken, in bytes; a transcript of a long call stays well below.
MAX_BYTES: Final = 1024 * 1024


def check_secrets(secret: str | Sequence[str]) -> tuple[str, ...]:
    """Return the secrets as a tuple.

    Raises:
        ConfigurationError: there is none, or one is empty: an empty key would let anybody sign.
    """
    secrets = (secret,) if isinstance(secret, str) else tuple(secret or ())
    if not secrets or not all(isinstance(one, str) and one.strip() for one in secrets):
        raise ConfigurationError(
            "secret: expected the webhook's secret, or several while it is rotated; got none or an empty one"
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
        ConfigurationError: there is no secret, or an empty one. It is a ``ValueError``.
        TypeError: `body` is not bytes, or `signature` is not text.

    The rule is the API reference's (Webhooks): HMAC-SHA256 over the raw request body, compared constant-time.
    """
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"body: expected the raw bytes of the request, got {type(body).__name__}; the bytes are what was signed, and"
            " a body that was decoded or parsed cannot be turned back into them"
        )
    if not isinstance(signature, str) and signature is not None:
        raise TypeError(f"signature: expected the text of the header {SIGNATURE}, got {type(signature).__name__}")
    secrets = check_secrets(secret)
    if not signature or not signature.strip():
        raise WebhookSignatureError(f"the delivery has no {SIGNATURE} header")
    body = bytes(body)
    if len(body) > max_bytes:
        raise WebhookSignatureError(f"the body has {len(body)} bytes, over the limit of {max_bytes}")
    if not signing.matches(body, signature, secrets):
        raise WebhookSignatureError(
            "no signature matches: either the secret is another webhook's, or the body is not the raw bytes as received"
        )


def parse_event(
    body: bytes, signature: str | None, secret: str | Sequence[str], *, max_bytes: int = MAX_BYTES
) -> Event:
    """Verify a delivery and decode its event.

    Args:
        body: the raw bytes of the request, exactly as received.
        signature: the value of ``X-Ajoxi-Signature``; ``None`` where the header is missing.
        secret: the webhook's secret, or several while it is rotated.
        max_bytes: the largest body that is taken.

    Returns:
        The event by its type: `CallStarted`, `CallAnswered`, `CallCompleted`, `MessageReceived`, `MessageDelivered`,
        `RecordingReady`, `TranscriptReady` (API reference: Webhooks), or `UnknownEvent` for a type this version does not
        know. ``raw`` holds the body.

    Raises:
        WebhookSignatureError: as in `verify_webhook`.
        DecodeError: the delivery is signed, and is no event.
        ConfigurationError: there is no secret, or an empty one.
        TypeError: `body` is not bytes, or `signature` is not text.
    """
    verify_webhook(body, signature, secret, max_bytes=max_bytes)
    return decode_event(bytes(body))
