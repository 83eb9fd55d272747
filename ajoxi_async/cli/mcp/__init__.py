"""``ajoxi mcp``: the API as tools for an agent, by the Model Context Protocol over standard input and output.

Rules:
1. Without a key the tools act on an embedded sandbox, in which no phone rings. The key comes from ``AJOXI_API_KEY`` only, because
   every user of a machine can read the command lines of its processes.
2. With a live key, a tool that changes anything asks the user first (`mcp.server`). Tools that read do not ask.
3. Standard output belongs to the protocol; everything for people goes to standard error.
"""

from __future__ import annotations

import argparse
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from ajoxi_async.cli.output import warn
from ajoxi_async.protocol.errors import ConfigurationError

if TYPE_CHECKING:
    from ajoxi_async.client import AsyncAjoxi

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``mcp``."""
    parser = commands.add_parser("mcp", help="the API as tools for an agent, over standard input and output")
    parser.add_argument("--sandbox", action="store_true", help="use the embedded sandbox even if AJOXI_API_KEY is set")
    parser.add_argument("--read-only", action="store_true", help="offer only tools that change nothing")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the sandbox: same seed, same ids (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until standard input ends; return the exit status."""
    import anyio

    try:
        check_installed()
        anyio.run(_serve, options)
    except ConfigurationError as error:
        warn(str(error))
        return 1
    return 0


def check_installed() -> None:
    """Find out whether the package ``mcp`` can be imported.

    Raises:
        ConfigurationError: it is not installed, or is older than 2.
    """
    try:
        from mcp.server.lowlevel import Server  # noqa: F401
        from mcp_types import InputRequiredResult  # noqa: F401 - the first version that has it is 2
    except ImportError:
        raise ConfigurationError("mcp: version 2 or newer is needed; install 'ajoxi-async[mcp]'") from None


async def _serve(options: argparse.Namespace) -> None:
    from ajoxi_async.cli.mcp.server import serve

    async with AsyncExitStack() as stack:
        client = await _open_client(options, stack)
        await serve(client, read_only=options.read_only)


async def _open_client(options: argparse.Namespace, stack: AsyncExitStack) -> AsyncAjoxi:
    from ajoxi_async.client import AsyncAjoxi

    if options.sandbox or not os.environ.get("AJOXI_API_KEY"):
        from ajoxi_async.sandbox import Sandbox

        sandbox = await stack.enter_async_context(Sandbox(port=None, seed=options.seed))
        warn("mcp: on an embedded sandbox; no phone rings")
        client = AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url, transport=sandbox.transport())
    else:
        client = AsyncAjoxi()
        asks = "; each change asks first" if client.mode == "live" else ""
        warn(f"mcp: {client.mode} mode, on {client.base_url}{asks}")
    return await stack.enter_async_context(client)
