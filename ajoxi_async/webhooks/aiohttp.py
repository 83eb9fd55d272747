"""A receiver of webhooks for aiohttp.

    app.router.add_post("/ajoxi", webhook_handler(secret, on_event))
    app.router.add_post("/ajoxi", router_handler(router))

Rules:
1. 2xx within 15 seconds is success, and after anything else the event is delivered again for up to 24 hours (API reference:
   Webhooks; the 15 seconds are an assumption of this package).
2. The body is read once, as raw bytes, and is parsed only after its signature was verified.
3. When a handler raises, the answer is 500, so that the event comes again, and the error is logged with secrets and phone
   numbers masked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Literal

from aiohttp import web

from ajoxi_async.contract.headers import JSON, SIGNATURE
from ajoxi_async.contract.webhooks import Event
from ajoxi_async.webhooks import MAX_BYTES
from ajoxi_async.webhooks.router import Receipt, WebhookRouter

__all__ = ["SENDER_GONE", "open_router", "router_handler", "webhook_handler"]

#: What reading a body raises if its sender went away before its end, or broke off its framing.
SENDER_GONE: Final = (ConnectionError, web.RequestPayloadError)


async def _read(request: web.Request, max_bytes: int) -> bytes | None:
    """The raw body, or ``None`` if it is larger than `max_bytes`."""
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


def router_handler(router: WebhookRouter) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Make a handler of aiohttp that passes deliveries to a router; a ``web.HTTPException`` of a handler is the answer.

    After one of 2xx the event counts as handled, after any other one it is handled again when it is delivered again.

    Let `open_router` open the router together with the application, for background handlers.
    """

    async def handle(request: web.Request) -> web.Response:
        try:
            body = await _read(request, router.max_bytes)
        except SENDER_GONE:
            return _response(Receipt(400))  # which nobody hears
        if body is None:
            receipt = router.too_large()
        else:
            signature = ",".join(request.headers.getall(SIGNATURE, ()))
            receipt = await router.receive(body, signature, passing=(web.HTTPException,))
        return _response(receipt)

    return handle


def _response(receipt: Receipt) -> web.Response:
    if not receipt.body:
        return web.Response(status=receipt.status)
    return web.Response(status=receipt.status, body=receipt.body, content_type=JSON)


def open_router(router: WebhookRouter) -> Callable[[web.Application], AsyncIterator[None]]:
    """For ``app.cleanup_ctx``: open the router with the application, and wait for background handlers when it ends."""

    async def context(_app: web.Application) -> AsyncIterator[None]:
        async with router:
            yield

    return context


class _NoLog:
    """A log that remembers nothing, because the caller's function deduplicates."""

    async def claim(self, id: str, owner: str) -> Literal["new"]:
        return "new"

    async def done(self, id: str) -> None:
        """Nothing is remembered."""

    async def release(self, id: str, owner: str) -> None:
        """Nothing is remembered."""


def webhook_handler(
    secret: str | Sequence[str], on_event: Callable[[Event], Awaitable[object]], *, max_bytes: int = MAX_BYTES
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Make a handler of aiohttp that verifies deliveries and passes every event to one function.

    It answers 204 when `on_event` returned; 400 when the signature is missing or wrong, or the body is not an event; 413
    when the body is too large; 500 when `on_event` raised, so that the event is delivered again. Error bodies have the form
    of the API's own. A ``web.HTTPException`` raised by `on_event` is the answer.

    Args:
        secret: the webhook's secret, or several while it is rotated.
        on_event: called with each event, possibly more than once with the same one: deduplicate on its ``id``, or use a
            `WebhookRouter`.
        max_bytes: the largest body that is accepted, whatever the application's ``client_max_size``.

    Raises:
        ConfigurationError: there is no secret or an empty one, or `max_bytes` is below 1. Raised here, not per delivery.

    The rules are the API reference's (Webhooks; Errors & status codes).
    """
    router = WebhookRouter(secret, log=_NoLog(), max_bytes=max_bytes)
    router.fallback(on_event)
    return router_handler(router)
