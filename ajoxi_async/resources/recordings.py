"""Recordings and AI-generated insights (API reference: Core Endpoints, Recordings & AI)."""

from __future__ import annotations

from datetime import datetime
from typing import Unpack

from ajoxi_async.contract import routes
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.download import download
from ajoxi_async.options import CallOptions
from ajoxi_async.pager import Pager
from ajoxi_async.pipeline import Pipeline

__all__ = ["Recordings"]


class Recordings:
    """``client.recordings``."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def list(
        self,
        *,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        agent_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        max_items: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Pager[Recording]:
        """List recordings, newest first: ``async for`` for all, ``await`` for one page.

        Args:
            created_after: aware; recordings made at or after this moment.
            created_before: aware; recordings made before this moment.
            agent_id: only this agent's.
            limit: items a page, 1 to 200, by default 50.
            cursor: where to start.
            max_items: stop after so many.
            **options: see `CallOptions`; they hold for each page.
        """
        query = {
            "created_after": created_after,
            "created_before": created_before,
            "agent_id": agent_id,
            "limit": limit,
            "cursor": cursor,
        }
        return Pager(self._pipeline, routes.RECORDINGS_LIST, query, options, max_items=max_items)

    async def retrieve(self, id: str, **options: Unpack[CallOptions]) -> Recording:
        """Retrieve a single recording with transcript and AI summary.

        Raises:
            NotFoundError: no such recording in the account.
        """
        return await self._pipeline.call(routes.RECORDINGS_RETRIEVE, options, id=id)

    async def download(self, recording: Recording | str, **options: Unpack[CallOptions]) -> bytes:
        """Fetch the audio.

        The API key goes along only to the API's own origin, never to the storage a recording's URL points at.

        Args:
            recording: a recording, or its id.
            **options: see `CallOptions`.

        Raises:
            APIError: it could not be fetched; an `APIResponseValidationError` where the recording has no URL.
        """
        return await download(self._pipeline, recording, options)
