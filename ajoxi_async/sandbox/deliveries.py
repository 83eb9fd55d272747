"""Webhook deliveries (API reference: Webhooks).

Rules:
1. A delivery is the event's body, the same bytes on every attempt, signed with the webhook's secret.
2. 2xx within 15 s is success. A redirect is a failure; 410 disables the webhook and ends the delivery.
3. Otherwise it is tried again at the moments of `SCHEDULE`, on the sandbox's clock, for up to 24 hours; after the last
   attempt it is moved to the dead letters.
4. Deliveries go to loopback only, unless `allow_remote` is set: a sandbox is no way to post to strangers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from attrs import define, field, frozen

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.signing import sign
from ajoxi_async.contract.webhooks import WebhookStatus
from ajoxi_async.sandbox.world import Account, Emitted, at

__all__ = ["SCHEDULE", "Deliveries", "Delivery", "Post", "post_with_httpx"]

#: Seconds after the event at which attempts are made.
SCHEDULE = (0, 5, 35, 155, 755, 2_555, 6_155, 13_355, 27_755, 49_355, 85_955)
ANSWER_SECONDS = 15.0

#: Posts a body and returns the status, or None where no answer came.
Post = Callable[[str, dict[str, str], bytes], Awaitable[int | None]]


@frozen
class Delivery:
    """One event for one webhook."""

    webhook_id: str
    event_id: str
    body: bytes
    emitted_at: float


@define(eq=False)
class Deliveries:
    """Deliveries of one account. `start` begins an attempt and does not wait for it."""

    account: Account
    start: Callable[[Delivery, int], None]
    post: Post
    allow_remote: bool
    dead_letters: list[Delivery] = field(factory=list, init=False)

    def pick_up(self) -> None:
        """Begin the deliveries of what was emitted."""
        account = self.account
        while account.outbox:
            event = account.outbox.popleft()
            body = None
            for webhook in account.webhooks.newest_first():
                if webhook.status == WebhookStatus.ENABLED and event.type in webhook.events:
                    body = body or body_of(event, account.mode)
                    self.start(Delivery(webhook.id, event.id, body, event.moment), 0)

    async def attempt(self, delivery: Delivery, number: int) -> None:
        """Make one attempt and see to what follows from it."""
        webhook = self.account.webhooks.get(delivery.webhook_id)
        if webhook is None or webhook.status != WebhookStatus.ENABLED or webhook.url is None:
            return
        secret = self.account.secrets[webhook.id]
        sent = {headers.CONTENT_TYPE: headers.JSON, headers.SIGNATURE: sign(delivery.body, [secret])}
        allowed = self.allow_remote or _is_loopback(urlsplit(webhook.url).hostname or "")
        status = await self.post(webhook.url, sent, delivery.body) if allowed else None
        if status is not None and 200 <= status < 300:
            return
        if status == 410:
            self.account.disable(webhook.id)
        elif number + 1 < len(SCHEDULE):
            following = delivery.emitted_at + SCHEDULE[number + 1]
            self.account.later(following, lambda _: self.start(delivery, number + 1))
        else:
            self.dead_letters.append(delivery)


def body_of(event: Emitted, mode: str) -> bytes:
    """The body of an event, which every attempt sends."""
    return codec.encode(
        {
            "id": event.id,
            "type": str(event.type),
            "created_at": codec.format_time(at(event.moment)),
            "mode": mode,
            "data": codec.to_wire(event.data),
        }
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def post_with_httpx(url: str, sent: dict[str, str], body: bytes) -> int | None:
    """Post a body, on asyncio or trio, and return the status; no redirect is followed and no proxy asked."""
    import httpx

    try:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False, verify=False) as client:  # noqa: S501 - test endpoints sign their own certificates
            return (await client.post(url, content=body, headers=sent)).status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        return None
