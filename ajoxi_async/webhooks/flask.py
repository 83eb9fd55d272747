"""A `WebhookRouter` as a view of Flask.

    app.add_url_rule("/webhooks/ajoxi", view_func=webhook_view(router), methods=["POST"])

Rules:
1. Each delivery is handled in an event loop of its own (`ajoxi_async.webhooks.blocking`), in the worker that received it.
   Background handlers run before the answer.
2. At most the router's ``max_bytes`` of a body are read, whatever the application's own limits.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Request, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from ajoxi_async.contract.headers import JSON, SIGNATURE
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.webhooks.blocking import run
from ajoxi_async.webhooks.router import Receipt, WebhookRouter
from ajoxi_async.webhooks.wsgi import TooLarge, read_without_length

__all__ = ["webhook_view"]


def webhook_view(router: WebhookRouter, *, endpoint: str = "ajoxi_webhook") -> Callable[[], Response]:
    """Make the view.

    Args:
        router: receives the deliveries.
        endpoint: the name of the view, which Flask requires to be unique.

    Raises:
        ConfigurationError: Flask is older than 3.1, which cannot bound the body of one request.
    """
    if getattr(Request.max_content_length, "fset", None) is None:
        raise ConfigurationError("flask: expected 3.1 or newer, which can bound the body of one request")

    def receive() -> Receipt:
        try:
            body = _body(router.max_bytes)
        except (RequestEntityTooLarge, TooLarge):
            return router.too_large()
        return run(router.receive, body, request.headers.get(SIGNATURE))

    def view() -> Response:
        receipt = receive()
        return Response(receipt.body, status=receipt.status, content_type=JSON if receipt.body else None)

    view.__name__ = endpoint
    return view


def _body(max_bytes: int) -> bytes:
    # One byte more than the limit, because Flask silently cuts a body at the limit if the server marks its end.
    request.max_content_length = max_bytes + 1
    # cache=True, so that other code that reads the body gets the same bytes.
    body = request.get_data(cache=True, parse_form_data=False)
    if len(body) > max_bytes:
        raise TooLarge
    # Flask gives an empty body if neither a length nor the server says where it ends.
    return body or read_without_length(request.environ, max_bytes)
