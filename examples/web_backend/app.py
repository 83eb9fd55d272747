"""The application: ``uvicorn --factory examples.web_backend.app:create_app --timeout-graceful-shutdown 3``.

Settings come from the environment: AJOXI_API_KEY, AJOXI_WEBHOOK_SECRET (of a webhook whose URL leads to ``/webhooks/ajoxi``), and EVENTS,
the file that remembers which events were handled. ``python -m examples.web_backend`` runs it on a sandbox, without settings.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.routing import Route

from ajoxi_async import (
    AsyncAjoxi,
    Call,
    CallCompleted,
    InvalidParameterError,
    NotFoundError,
    TranscriptHub,
    UnprocessableEntityError,
)
from ajoxi_async.hub.starlette import sse_response
from ajoxi_async.webhooks.asgi import WebhookApp
from ajoxi_async.webhooks.logs import SqliteLog
from ajoxi_async.webhooks.router import WebhookRouter

FROM = "+14155550100"


class NewCall(BaseModel):
    """Whom to call."""

    to: str


def client_of(request: Request) -> AsyncAjoxi:
    """The client, for endpoints."""
    client: AsyncAjoxi = request.app.state.client
    return client


def hub_of(request: Request) -> TranscriptHub:
    """The hub of live transcripts, for endpoints."""
    hub: TranscriptHub = request.app.state.hub
    return hub


Client = Annotated[AsyncAjoxi, Depends(client_of)]
Hub = Annotated[TranscriptHub, Depends(hub_of)]


def create_router(client: AsyncAjoxi, secret: str, log: SqliteLog) -> WebhookRouter:
    """What is done when an event comes: once for each event, however often it is delivered, and in whichever worker."""
    router = WebhookRouter(secret, log=log)

    @router.on(CallCompleted)
    async def apologise(event: CallCompleted) -> None:
        call = event.data
        if call.to is not None and call.disposition in {"no_answer", "busy"}:
            await client.messages.send(to=call.to, from_=FROM, body="We tried to reach you. Please call us back.")

    return router


def create_app(client: AsyncAjoxi | None = None, *, secret: str | None = None, events: str | None = None) -> FastAPI:
    """Make the application. Tests give it a client of a sandbox; otherwise it has one by its settings."""
    client = client or AsyncAjoxi()
    log = SqliteLog(events or os.environ.get("EVENTS", "events.db"))
    router = create_router(client, secret or os.environ["AJOXI_WEBHOOK_SECRET"], log)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        with closing(log):
            async with client, client.transcripts.hub() as hub, router:
                app.state.client, app.state.hub = client, hub
                yield

    app = FastAPI(title="Calls", lifespan=lifespan)
    app.routes.append(Route("/webhooks/ajoxi", WebhookApp(router), methods=["POST"]))

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(Path(__file__).with_name("page.html"))

    @app.post("/calls", status_code=201)
    async def place(new: NewCall, client: Client) -> Call:
        try:
            return await client.calls.create(to=new.to, from_=FROM, ai_receptionist=True)
        except (InvalidParameterError, UnprocessableEntityError) as error:
            raise HTTPException(422, error.message) from error

    @app.get("/calls/{id}")
    async def retrieve(id: str, client: Client) -> Call:
        try:
            return await client.calls.retrieve(id)
        except NotFoundError as error:
            raise HTTPException(404) from error

    # An application with users checks here whether this one may listen.
    @app.get("/calls/{id}/transcript")
    async def transcript(id: str, hub: Hub) -> Response:
        return sse_response(hub, id)

    return app
