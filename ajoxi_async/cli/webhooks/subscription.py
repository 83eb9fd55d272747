"""The subscription that ``webhooks listen --public-url`` makes, and removes when it ends.

Rule: it is removed however the command ends, except by SIGKILL. If it cannot be removed, standard error names it.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

import anyio

from ajoxi_async.cli.keys.choice import open_client
from ajoxi_async.cli.output import warn
from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.contract.webhooks import EventType, Webhook

__all__ = ["subscribed"]

#: Seconds that removing may take.
_REMOVING: Final = 10.0


@asynccontextmanager
async def subscribed(options: argparse.Namespace, types: Collection[str] | None) -> AsyncIterator[Webhook]:
    """A subscription for as long as the block lasts.

    Args:
        options: what was typed.
        types: the types of events; ``None`` for all.

    Raises:
        AjoxiError: there is no key, or it could not be subscribed.
    """
    events = [event.value for event in EventType if types is None or event.value in types]
    async with open_client(options) as client:
        async for other in client.webhooks.list():
            if other.url == options.public_url:
                warn(f"{other.id} delivers to {options.public_url} as well, so that what comes may come twice")
        made = await client.webhooks.create(url=options.public_url, events=events)
        try:
            yield made
        finally:
            # Shielded, so that a command that is cancelled removes it as well.
            with anyio.CancelScope(shield=True):
                await _remove(client, made.id)


async def _remove(client: AsyncAjoxi, id: str) -> None:
    try:
        await client.webhooks.delete(id, timeout=_REMOVING)
    except AjoxiError as error:
        warn(f"{id} is still subscribed, remove it with `ajoxi webhooks delete {id}`: {error}")
