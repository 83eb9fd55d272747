"""A `WebhookRouter` as a view of Django, under ASGI and WSGI alike.

    urlpatterns = [path("webhooks/ajoxi", webhook_view(router))]

The view is exempt from the CSRF check, for deliveries carry a signature instead. A middleware that reads the request as a
stream leaves no body to verify: Django raises ``RawPostDataException`` then, which is answered 500 and logged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from ajoxi_async.contract.headers import JSON, SIGNATURE
from ajoxi_async.webhooks.router import WebhookRouter

__all__ = ["webhook_view"]


def webhook_view(router: WebhookRouter) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Make the view.

    Args:
        router: what deliveries are passed to. Under WSGI, and unless it is opened in the application's lifespan, its
            background handlers run before the answer.
    """

    async def view(request: HttpRequest) -> HttpResponse:
        receipt = await router.receive(request.body, request.headers.get(SIGNATURE))
        return HttpResponse(receipt.body, status=receipt.status, content_type=JSON if receipt.body else None)

    return cast("Callable[[HttpRequest], Awaitable[HttpResponse]]", csrf_exempt(require_POST(view)))
