"""Webhook subscriptions and their secrets (API reference: Webhooks).

After a rotation the old secret signs beside the new one for 24 hours. The signature of the newest secret comes first.
"""

from __future__ import annotations

from attrs import evolve

from ajoxi_async.contract.signing import sign
from ajoxi_async.contract.webhooks import EVENT_ALIASES, EventType, Webhook, WebhookCreate, WebhookStatus
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import deliveries
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.webhook_records import Secret
from ajoxi_async.sandbox.time.moments import at

__all__ = ["ROTATION", "create", "delete", "rotate_secret", "signature"]

#: Seconds for which an old secret still signs after a rotation.
ROTATION = 86_400.0


def create(account: Account, params: WebhookCreate, now: float) -> Webhook:
    """Subscribe an endpoint. The secret is in this answer and in no later one."""
    events = dict.fromkeys(EventType(EVENT_ALIASES.get(event, event)) for event in params.events)
    webhook = Webhook(
        id=account.mint("wh"), url=params.url, events=tuple(events), status=WebhookStatus.ENABLED, created_at=at(now)
    )
    secret = account.derive_secret(webhook.id)
    account.webhooks.add(webhook)
    account.secrets[webhook.id] = (Secret(secret),)
    account.mark_unsaved("secret", webhook.id)
    return evolve(webhook, secret=secret)


def delete(account: Account, id: str) -> None:
    """Remove a subscription, its log, and everything that was still to be delivered to it.

    Raises:
        Refusal: there is no such webhook.
    """
    _require(account, id)
    account.webhooks.remove(id)
    del account.secrets[id]
    account.mark_unsaved("secret", id)
    deliveries.forget_webhook(account, id)


def rotate_secret(account: Account, id: str, now: float) -> str:
    """Give a webhook a new secret and return it. The old one still signs for 24 hours.

    Raises:
        Refusal: there is no such webhook.
    """
    _require(account, id)
    fresh = account.derive_secret(id, account.mint("secret"))
    account.secrets[id] = (Secret(fresh), Secret(account.secrets[id][0].value, now + ROTATION))
    account.mark_unsaved("secret", id)
    account.mark_counted("webhook", id)
    return fresh


def signature(account: Account, id: str, body: bytes, now: float) -> str:
    """Sign a body with every secret of a webhook that is valid at this moment."""
    return sign(body, [s.value for s in account.secrets[id] if s.until is None or now < s.until])


def _require(account: Account, id: str) -> None:
    if account.webhooks.get(id) is None:
        raise Refusal("not_found", f"no webhook {id[:60]}")
