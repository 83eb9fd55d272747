"""A `WebhookRouter` as an ASGI application, alone or inside of another one.

    app.add_route("/webhooks/ajoxi", WebhookApp(router), methods=["POST"])      # FastAPI
    Route("/webhooks/ajoxi", WebhookApp(router), methods=["POST"])              # Starlette
    asgi("/webhooks/ajoxi", is_mount=True, copy_scope=True)(WebhookApp(router))  # Litestar

Add it as a route in FastAPI and Starlette and do not mount it: a mount redirects its own path to the one with a slash, and
the platform does not follow redirects.

When it is served alone, its lifespan opens the router. Inside of another application it gets no lifespan events: open the
router in that application's lifespan (``async with router: yield``), or its background handlers run before the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ajoxi_async.contract.headers import JSON, SIGNATURE
from ajoxi_async.webhooks.router import Receipt, WebhookRouter

__all__ = ["WebhookApp"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_SIGNATURE = SIGNATURE.lower().encode()


class WebhookApp:
    """The application.

    Args:
        router: receives the deliveries.
    """

    def __init__(self, router: WebhookRouter) -> None:
        self._router = router

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await _answer(await self._take(scope, receive), send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # before it is accepted: the server answers 403
        else:
            raise RuntimeError(f"webhooks come over http, not {scope['type']}")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._router:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _take(self, scope: MutableMapping[str, Any], receive: Receive) -> Receipt:
        if scope["method"] != "POST":
            return Receipt(405)
        if any(self._router.announced_too_large(length) for length in _values(scope, b"content-length")):
            return self._router.too_large()
        pieces, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return Receipt(400)
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self._router.max_bytes:
                return self._router.too_large()
            if not message.get("more_body", False):
                break
        # In HTTP several fields of one name are equal to one field with the values joined by commas.
        return await self._router.receive(b"".join(pieces), ",".join(_values(scope, _SIGNATURE)))


def _values(scope: MutableMapping[str, Any], name: bytes) -> list[str]:
    return [value.decode("latin-1") for given, value in scope["headers"] if given.lower() == name]


async def _answer(receipt: Receipt, send: Send) -> None:
    headers = [(b"content-length", str(len(receipt.body)).encode())] if receipt.status != 204 else []
    if receipt.body:
        headers.append((b"content-type", JSON.encode()))
    if receipt.status == 405:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": receipt.status, "headers": headers})
    await send({"type": "http.response.body", "body": receipt.body})
