"""The application on a sandbox, on this machine: ``python -m examples.web_backend [--port PORT]``."""

from __future__ import annotations

import argparse
from contextlib import suppress
from tempfile import TemporaryDirectory

import anyio
import uvicorn

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.sandbox import Timing
from examples.web_backend.app import create_app


async def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m examples.web_backend")
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    with TemporaryDirectory() as folder:
        async with Sandbox(timing=Timing(ring=1.0, talk=30.0)) as sandbox:
            client = AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url)
            webhook = await client.webhooks.create(
                url=f"http://127.0.0.1:{port}/webhooks/ajoxi", events=["call.completed"]
            )
            app = create_app(client, secret=webhook.secret, events=f"{folder}/events.db")
            print(f"http://127.0.0.1:{port}/ - the line of +15005550101 is not answered: it gets a text message")
            settings = uvicorn.Config(
                app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1
            )
            await uvicorn.Server(settings).serve()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        anyio.run(main)
