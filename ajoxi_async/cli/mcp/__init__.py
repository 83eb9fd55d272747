"""``ajoxi mcp``: the API as tools for an agent, by the Model Context Protocol over standard input and output.

Rules:
1. Without a key the tools act on an embedded sandbox, in which no phone rings. A key comes from ``--profile`` or ``AJOXI_API_KEY``, never
   from the command line, because every user of a machine can read the command lines of its processes. The profile that other
   commands use by default is not taken: an agent gets an account only if it was named.
2. With a live key, a tool that changes anything asks the user first (`mcp.server`). Tools that read do not ask.
3. Standard output belongs to the protocol; everything for people goes to standard error. A host that has gone ends the command as the
   reader of a pipe ends any other.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from ajoxi_async.cli.output import OutputError, check_open, discard_the_rest, warn
from ajoxi_async.cli.status import UsageError, report
from ajoxi_async.protocol.errors import AjoxiError, ConfigurationError

if TYPE_CHECKING:
    from ajoxi_async.client import AsyncAjoxi

__all__ = ["check_installed", "run"]


def run(options: argparse.Namespace) -> int:
    """Serve until standard input ends; return the exit status."""
    import anyio

    try:
        if options.sandbox and options.profile is not None:
            raise UsageError("--sandbox: the sandbox takes no --profile; give one of them")
        check_installed()
        check_open()
        if sys.stdin is None:
            raise ConfigurationError("mcp: expected the agent on standard input, which is closed")
        anyio.run(_serve, options)
    except AjoxiError as error:
        return report(error)
    except ExceptionGroup as group:
        if (failed := _of_output(group)) is None:
            raise
        discard_the_rest()
        raise OutputError(failed) from None
    return 0


def _of_output(group: ExceptionGroup[Exception]) -> OSError | None:
    """Why standard output cannot be written, if that is all: the requests of the client raise errors of its own."""
    found, others = group.split(OSError)
    inner: object = found
    while isinstance(inner, ExceptionGroup):
        inner = inner.exceptions[0]
    return inner if others is None and isinstance(inner, OSError) else None


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
    from ajoxi_async.cli.keys.choice import open_client
    from ajoxi_async.client import AsyncAjoxi

    if options.sandbox or (options.profile is None and not os.environ.get("AJOXI_API_KEY", "").strip()):
        from ajoxi_async.sandbox import Sandbox

        sandbox = await stack.enter_async_context(Sandbox(port=None, seed=options.seed))
        warn("mcp: on an embedded sandbox; no phone rings")
        client = AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url, transport=sandbox.transport())
    else:
        client = open_client(options)
        asks = "; each change asks first" if client.mode == "live" else ""
        warn(f"mcp: {client.mode} mode, on {client.base_url}{asks}")
    return await stack.enter_async_context(client)
