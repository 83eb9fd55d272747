"""A receiver of webhooks for aiohttp.

    app.router.add_post("/ajoxi", webhook_handler(secret, on_event))

Rules:
1. 2xx within 15 seconds is success, and anything else is delivered again for up to 24 hours (API reference: Webhooks;
   the 15 seconds are ours): do long work elsewhere, and deduplicate on the event's ``id``.
2. The body is read once, as raw bytes, and is parsed only after its signature was verified.
3. What `on_event` raises is answered with 500, so that the event comes again, and logged with secrets and phone numbers
   masked.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from ajoxi_async.contract.codec import DecodeError, encode
from ajoxi_async.contract.errors import error_body
from ajoxi_async.contract.headers import JSON, SIGNATURE
from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.webhooks import Event
from ajoxi_async.protocol.errors import ConfigurationError, WebhookSignatureError
from ajoxi_async.webhooks import MAX_BYTES, check_secrets, parse_event

__all__ = ["webhook_handler"]

logger = logging.getLogger("ajoxi_async.webhooks")


def _error(status: int, code: str, message: str, param: str | None = None) -> web.Response:
    return web.Response(status=status, body=encode(error_body(code, message, param)), content_type=JSON)


async def _read(request: web.Request, max_bytes: int) -> bytes | None:
    """The raw body, or ``None`` where it is larger than `max_bytes`."""
    if (request.content_length or 0) > max_bytes:
        return None
    try:
        request = request.clone(client_max_size=max_bytes)
    except RuntimeError:
        pass  # a middleware has read the body: the request keeps its bytes
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return None
    return body if len(body) <= max_bytes else None


def webhook_handler(
    secret: str | Sequence[str], on_event: Callable[[Event], Awaitable[object]], *, max_bytes: int = MAX_BYTES
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Make a handler of aiohttp that verifies deliveries and passes on their events.

    It answers 204 when `on_event` returned; 400 when the signature is missing or wrong, or the body is no event; 413
    when the body is too large; 500 when `on_event` raised, so that the event is delivered again. Errors have the shape
    of the API's own. A ``web.HTTPException`` raised by `on_event` is the answer.

    Args:
        secret: the webhook's secret, or several while it is rotated.
        on_event: called with each event, possibly more than once with the same one: deduplicate on its ``id``.
        max_bytes: the largest body that is taken, whatever the application's ``client_max_size``.

    Raises:
        ConfigurationError: there is no secret or an empty one, or `max_bytes` is below 1. Raised here, not per delivery.

    The rules are the API reference's (Webhooks; Errors & status codes).
    """
    secrets = check_secrets(secret)
    if max_bytes < 1:
        raise ConfigurationError(f"max_bytes: expected 1 or more, got {max_bytes}")

    async def handle(request: web.Request) -> web.Response:
        body = await _read(request, max_bytes)
        if body is None:
            logger.warning("webhook refused: the body is over %d bytes", max_bytes)
            return _error(413, "invalid_parameter", f"The body is over {max_bytes} bytes.")
        signature = ",".join(request.headers.getall(SIGNATURE, ()))
        try:
            event = parse_event(body, signature, secrets, max_bytes=max_bytes)
        except WebhookSignatureError as error:
            logger.warning("webhook refused: %s", error)
            if not signature:
                return _error(400, "missing_parameter", "The signature is missing.", SIGNATURE)
            return _error(400, "invalid_parameter", "The signature does not match.", SIGNATURE)
        except DecodeError as error:
            logger.error("webhook is signed, and no event: %s", error)
            return _error(400, "invalid_json", "The body is not an event.")
        try:
            await on_event(event)
        except web.HTTPException:
            raise
        except Exception:
            # The traceback is masked as text, for a log handler would print the exception as it is.
            logger.error("webhook %s failed: %s", mask(repr(event.id)), mask(traceback.format_exc()))
            return _error(500, "internal_error", "The event could not be handled.")
        return web.Response(status=204)

    return handle
