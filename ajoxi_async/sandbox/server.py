"""The sandbox behind a socket: aiohttp.web, and nothing but translation."""

from __future__ import annotations

from aiohttp import web

from ajoxi_async.contract import headers
from ajoxi_async.contract.codec import encode
from ajoxi_async.contract.errors import error_body
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox.app import MAX_BODY, App

__all__ = ["Server"]


class Server:
    """One listening socket."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port."""
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        body: bytes | None = None
        if incoming.can_read_body:
            body = await _read(incoming)
            if body is None:
                oversized = encode(error_body("invalid_parameter", f"a body over {MAX_BODY} bytes is not taken"))
                refused = web.Response(status=400, body=oversized, headers={headers.CONTENT_TYPE: headers.JSON})
                # What is left of the body is not read, so the connection cannot be used again.
                refused.force_close()
                return refused
        answer = await self._app.handle(Request(incoming.method, incoming.rel_url.raw_path_qs, incoming.headers, body))
        if isinstance(answer, Response):
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body or None)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(incoming)
        try:
            async for chunk in answer.chunks:
                await response.write(chunk)
            await response.write_eof()
        finally:
            await answer.chunks.aclose()  # type: ignore[attr-defined]
        return response


async def _read(incoming: web.BaseRequest) -> bytes | None:
    """The body, or `None` where it is over the limit."""
    body = bytearray()
    async for chunk in incoming.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)
