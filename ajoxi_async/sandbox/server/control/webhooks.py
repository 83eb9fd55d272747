"""The control surface's routes that show webhooks, each with what became of its deliveries.

The API's own list has no counts. Those of attempts are of the log, which keeps the last thousand of each webhook.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio.lowlevel

from ajoxi_async.contract.webhooks import Webhook
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.control.lists import Window, listed, window_of
from ajoxi_async.sandbox.server.control.request import ControlRequest, Route
from ajoxi_async.sandbox.server.shown import time_text
from ajoxi_async.sandbox.state.account import Account

__all__ = ["ROUTES"]

#: Deliveries that are counted without a pause: a few milliseconds.
_AT_ONCE = 5_000


async def _list(_: object, request: ControlRequest) -> Any:
    """GET webhooks: by position, with their counts."""
    start, amount = window_of(request.query(Window))
    world = request.world
    account, version = world.account, f"{world.epoch}.{world.account.webhooks.version}"
    rows = account.webhooks.rows(start, amount)
    states = await _states(account)
    return listed([_shown(account, webhook, states) for webhook in rows.items], start, rows.total, version)


async def _one(_: object, request: ControlRequest) -> Any:
    """GET webhooks/{id}."""
    account = request.world.account
    webhook = account.webhooks.get(request.id)
    if webhook is None:
        raise Refusal("not_found", f"no webhook {request.id[:60]}")
    return _shown(account, webhook, await _states(account))


async def _states(account: Account) -> dict[str, Counter[str]]:
    """How many deliveries of each webhook are in each state."""
    states: dict[str, Counter[str]] = {}
    held = list(account.deliveries.values())
    for first in range(0, len(held), _AT_ONCE):
        for delivery in held[first : first + _AT_ONCE]:
            counted = states.setdefault(delivery.webhook_id, Counter())
            counted[delivery.state] += 1
            counted["failing"] += delivery.state == "pending" and delivery.attempts > 0
        await anyio.lowlevel.checkpoint()
    return states


def _shown(account: Account, webhook: Webhook, states: dict[str, Counter[str]]) -> dict[str, Any]:
    counted = states.get(webhook.id, Counter())
    attempts = account.delivery_log.of(webhook.id)
    old = next((secret.until for secret in account.secrets.get(webhook.id, ()) if secret.until is not None), None)
    return {
        **webhook.to_dict(),
        "deliveries": {state: counted[state] for state in ("pending", "failing", "delivered", "dead", "dropped")},
        "attempts": {"made": len(attempts), "succeeded": sum(attempt.succeeded for attempt in attempts)},
        "old_secret_until": time_text(old) if old is not None else None,
    }


ROUTES = (
    Route("GET", "webhooks", _list),
    Route("GET", "webhooks/{id}", _one),
)
