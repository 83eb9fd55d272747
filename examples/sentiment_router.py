"""Transfers calls to a senior agent as soon as the customer's sentiment falls: ``python -m examples.sentiment_router``.

With AJOXI_API_KEY it follows the calls of the account until it is stopped. Without, it runs on the embedded sandbox, in which an angry
customer and a contented one are talking.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, suppress

import anyio

from ajoxi_async import AjoxiError, AsyncAjoxi, Sandbox, Speaker
from ajoxi_async.sandbox import Timing

SENIOR = os.environ.get("SENIOR_AGENT", "agent_5e21a0c4")
TOO_LOW = -0.5  # of -1 to 1


async def follow(client: AsyncAjoxi, call_id: str) -> None:
    """Transfer a call when its customer is unhappy. A transfer of unknown outcome is not repeated: it could ring two agents."""
    try:
        async with client.transcripts.stream(call_id, interim=False) as live:
            async for segment in live:
                if segment.speaker == Speaker.CUSTOMER and (segment.sentiment or 0.0) < TOO_LOW:
                    await client.calls.transfer(call_id, agent_id=SENIOR)
                    print(f'{call_id}: transferred to a senior agent after "{segment.text}" ({segment.sentiment})')
                    return
        print(f"{call_id}: ended well")
    except AjoxiError as error:
        print(f"{call_id}: {error}")


async def route(client: AsyncAjoxi, amount: float = float("inf")) -> None:
    """Follow every call that is answered; ends after an amount of calls."""
    known: set[str] = set()
    async with anyio.create_task_group() as tasks:
        while len(known) < amount:
            async for call in client.calls.list(status="answered"):
                if call.id not in known:
                    known.add(call.id)
                    tasks.start_soon(follow, client, call.id)
            await anyio.sleep(1)


async def main() -> None:
    """Route the calls of the account, or two calls of a sandbox."""
    async with AsyncExitStack() as stack:
        if os.environ.get("AJOXI_API_KEY"):
            await route(await stack.enter_async_context(AsyncAjoxi()))
        else:
            sandbox = await stack.enter_async_context(Sandbox(timing=Timing(talk=4.0)))
            client = await stack.enter_async_context(AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url))
            for customer in ("+15005550124", "+15005550100"):
                await client.calls.create(to=customer, from_="+14155550100")
            await route(client, amount=2)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        anyio.run(main)
