"""One live transcript for any number of consumers: `TranscriptHub`, and responses for web frameworks.

`ajoxi_async.hub.starlette` (FastAPI as well), `.aiohttp`, `.litestar`, `.quart` and `.django` each have `sse_response`, and all but
Django's, which has no WebSockets, `serve_websocket`. `ajoxi_async.hub.asgi` has both for any ASGI application.
"""
