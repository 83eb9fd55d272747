"""A `WebhookRouter` as a view of Flask.

    app.add_url_rule("/webhooks/ajoxi", view_func=webhook_view(router), methods=["POST"])

Each delivery is handled in an event loop of its own, in the worker that took it; background handlers run before the answer.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
from flask import Response, request

from ajoxi_async.contract.headers import JSON, SIGNATURE
from ajoxi_async.webhooks.router import WebhookRouter

__all__ = ["webhook_view"]


def webhook_view(router: WebhookRouter, *, endpoint: str = "ajoxi_webhook") -> Callable[[], Response]:
    """Make the view.

    Args:
        router: what deliveries are passed to.
        endpoint: the name of the view, by which Flask tells views apart.
    """

    def view() -> Response:
        if (request.content_length or 0) > router.max_bytes:
            receipt = router.too_large()
        else:
            # cache=True: whoever reads it before or after gets the same bytes.
            body = request.get_data(cache=True, parse_form_data=False)
            receipt = anyio.run(router.receive, body, request.headers.get(SIGNATURE))
        return Response(receipt.body, status=receipt.status, content_type=JSON if receipt.body else None)

    view.__name__ = endpoint
    return view
