"""The receiver that deliveries are posted to."""

from __future__ import annotations

import time

from ajoxi_async.cli.status import UsageError
from ajoxi_async.contract.headers import CONTENT_TYPE, JSON, SIGNATURE
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.sandbox.delivery.post import NOT_PERMITTED, HttpPost
from ajoxi_async.webhooks import check_secrets

__all__ = ["Target", "check_secret", "taken"]


class Target:
    """The receiver under test."""

    def __init__(self, url: str, remote: bool) -> None:
        self._url, self._post = url, HttpPost(remote=remote)
        self.slowest = 0.0
        self._why = ""
        self._hints = {NOT_PERMITTED: "; other machines only with --allow-remote"}

    async def send(self, body: bytes, signature: str | None) -> int | None:
        """Post a body; returns the status, or None if there was no answer in time."""
        began = time.monotonic()
        sent = {CONTENT_TYPE: JSON} | ({SIGNATURE: signature} if signature else {})
        answer = await self._post(self._url, sent, body)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self._why = answer.error or ""
        return answer.status

    def shown(self, status: int | None) -> str:
        """A status as text, or that there was no answer."""
        if status is not None:
            return str(status)
        return f"no answer ({self._why}{self._hints.get(self._why, '')})"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._post.aclose()


def check_secret(secret: str) -> None:
    """Refuse a secret that cannot sign.

    Raises:
        UsageError: it is no text in the encoding of the system.
    """
    try:
        check_secrets(secret)
    except ConfigurationError:
        raise UsageError("--secret: expected the webhook's secret, as text in the encoding of the system") from None


def taken(status: int | None) -> bool:
    """Whether a status acknowledges a delivery."""
    return status is not None and 200 <= status < 300
