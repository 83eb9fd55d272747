"""Mistakes that type checkers must find; `make lint` fails where one of these comments is not needed."""

from __future__ import annotations

from ajoxi_async import AsyncAjoxi


# fmt: off
async def wrong_calls(client: AsyncAjoxi) -> None:
    """A parameter that is missing, one that does not exist (ty sees no keywords of a TypedDict), one of the wrong type."""
    await client.calls.create(to="+14155551234")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # ty: ignore[missing-argument]  # pyrefly: ignore[missing-argument]
    await client.calls.retrieve("call_1", tiemout=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # pyrefly: ignore[unexpected-keyword]
    await client.calls.retrieve(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # ty: ignore[invalid-argument-type]  # pyrefly: ignore[bad-argument-type]
