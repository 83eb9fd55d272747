"""Webhook subscriptions (API reference: Webhooks). Receiving deliveries is `ajoxi_async.webhooks`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from ajoxi_async.contract import routes
from ajoxi_async.contract.webhooks import EventType, Webhook
from ajoxi_async.pipeline.options import CallOptions, as_list
from ajoxi_async.pipeline.pager import Pager
from ajoxi_async.pipeline.pipeline import Pipeline

__all__ = ["Webhooks"]


class Webhooks:
    """``client.webhooks``."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def create(self, *, url: str, events: Sequence[EventType | str], **options: Unpack[CallOptions]) -> Webhook:
        """Subscribe to one or more events. The answer, and no later one, holds the signing ``secret``.

        Args:
            url: absolute http or https URL that takes POST.
            events: event types; ``call.start`` is taken for ``call.started``.
            **options: see `CallOptions`.

        Raises:
            OutcomeUnknownError: the subscription may or may not have been made; list them to see.
        """
        return await self._pipeline.call(
            routes.WEBHOOKS_CREATE, options, params={"url": url, "events": as_list(events)}
        )

    def list(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        max_items: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Pager[Webhook]:
        """List subscriptions, newest first: ``async for`` for all, ``await`` for one page.

        Args:
            limit: items a page, 1 to 200, by default 50.
            cursor: where to start.
            max_items: stop after so many.
            **options: see `CallOptions`; they hold for each page.
        """
        query = {"limit": limit, "cursor": cursor}
        return Pager(self._pipeline, routes.WEBHOOKS_LIST, query, options, max_items=max_items)

    async def delete(self, id: str, **options: Unpack[CallOptions]) -> None:
        """Remove a subscription.

        Raises:
            NotFoundError: no such subscription in the account.
        """
        await self._pipeline.call(routes.WEBHOOKS_DELETE, options, id=id)
