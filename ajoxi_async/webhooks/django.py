"""A `WebhookRouter` as a view of Django, under ASGI and WSGI.

    urlpatterns = [path("webhooks/ajoxi", webhook_view(router))]

Rules:
1. The view is exempt from the CSRF check, because deliveries carry a signature instead.
2. It is a plain view that calls the router with ``async_to_sync``: under ASGI the router runs in the server's loop, where it
   can be open, and under WSGI in a loop of the request. Under gevent and eventlet neither an async view nor
   ``async_to_sync`` works, because greenlets share a thread, which can have only one running loop. There the router runs in
   `ajoxi_async.webhooks.greenlets`, and database connections that its handlers opened are closed at the end.
3. A body is read up to the router's ``max_bytes``. Under ASGI Django itself has written it to a temporary file before.
4. After a middleware that reads the request as a stream there is no body to verify. Django then raises
   ``RawPostDataException``, which is answered 500 and logged.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.wsgi import WSGIRequest
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from ajoxi_async.contract.headers import JSON, SIGNATURE
from ajoxi_async.webhooks.blocking import own_loop, run
from ajoxi_async.webhooks.greenlets import sharing
from ajoxi_async.webhooks.router import Receipt, WebhookRouter
from ajoxi_async.webhooks.wsgi import TooLarge, read_without_length

__all__ = ["webhook_view"]


def webhook_view(router: WebhookRouter) -> Callable[[HttpRequest], HttpResponse]:
    """Make the view.

    Args:
        router: receives the deliveries. Under WSGI, and unless it is opened in the application's lifespan, its background
            handlers run before the answer.
    """

    def receive(request: HttpRequest) -> Receipt:
        try:
            body = _body(request, router)
        except (TooLarge, RequestDataTooBig):
            return router.too_large()
        except OSError:  # Django's UnreadablePostError, or the server's own: the sender is gone
            return Receipt(400)
        signature = request.headers.get(SIGNATURE)
        if sharing() is not None:
            return run(_receive, router, body, signature)
        return own_loop(partial(async_to_sync(router.receive), body, signature))

    def view(request: HttpRequest) -> HttpResponse:
        receipt = receive(request)
        return HttpResponse(receipt.body, status=receipt.status, content_type=JSON if receipt.body else None)

    return cast("Callable[[HttpRequest], HttpResponse]", csrf_exempt(require_POST(view)))


async def _receive(router: WebhookRouter, body: bytes, signature: str | None) -> Receipt:
    # Calls of handlers with sync_to_async, such as queries, run in a thread of this delivery's own.
    async with ThreadSensitiveContext():
        try:
            return await router.receive(body, signature)
        finally:
            await sync_to_async(connections.close_all)()


def _body(request: HttpRequest, router: WebhookRouter) -> bytes:
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if router.announced_too_large(length):
        raise TooLarge
    if length:
        body: bytes = request.body
    elif isinstance(request, WSGIRequest):
        # Django gives an empty body if there is no length.
        body = request.body or read_without_length(request.environ, router.max_bytes)
    else:
        body = request.read(router.max_bytes + 1)
    if len(body) > router.max_bytes:
        raise TooLarge
    return body
