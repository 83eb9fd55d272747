"""Recordings and AI-generated insights (API reference: Core Endpoints, Recordings & AI)."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Unpack

from ajoxi_async.contract import routes
from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.pipeline.download import MOST_IN_MEMORY, AudioStream, Progress, download, download_to, stream
from ajoxi_async.pipeline.options import CallOptions
from ajoxi_async.pipeline.pager import Pager
from ajoxi_async.pipeline.pipeline import Pipeline
from ajoxi_async.pipeline.waiting import wait_for

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

    async def wait(self, id: str | Recording | Call, *, timeout: float | None = 600.0) -> Recording:
        """Wait until a recording can be downloaded; how, and at whose cost, as `Calls.wait`.

        Args:
            id: the recording's id, or its call or the call's id. It need not exist yet.
            timeout: seconds, or ``None`` to wait for ever.

        Returns:
            The recording. `retrieve` it for its transcript and summary.

        Raises:
            WaitTimeoutError: the time is up: the call was not recorded, for instance.
            ClientClosedError: the client was closed.
        """
        return await wait_for(self._pipeline, "recording", id, until="ready", timeout=timeout, returns=Recording)

    async def download(
        self, recording: Recording | str, *, max_bytes: int = MOST_IN_MEMORY, **options: Unpack[CallOptions]
    ) -> bytes:
        """Fetch the audio into memory.

        After a lost connection or a 5xx the download continues at the byte that was reached, under the retry rules of any
        GET: see ``docs/recordings.md``. The API key is sent to the API's own origin only, never to the storage that a
        recording's URL names.

        Args:
            recording: a recording, or its id.
            max_bytes: the most bytes that are kept in memory, by default 256 MiB.
            **options: see `CallOptions`; ``timeout`` bounds the whole download, the client's own ``timeout`` bounds
                connecting and each wait for the next bytes. ``extra_headers`` go to the API only.

        Raises:
            APIError: it could not be fetched; an `APIResponseValidationError` if the recording has no URL, or its file is
                not of the stated size.
            DownloadError: it is larger than `max_bytes`; `download_to` and `stream` accept any size.
        """
        return await download(self._pipeline, recording, options, max_bytes=max_bytes)

    async def download_to(
        self,
        recording: Recording | str,
        path: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        **options: Unpack[CallOptions],
    ) -> int:
        """Fetch the audio into a file, which appears only when it is complete.

        The bytes are written to a hidden file beside the target, which is renamed to the target when it is complete and
        synced to the disk; until then an older file of that name stays. After a failure or cancellation the hidden file is
        removed.

        Args:
            recording: a recording, or its id.
            path: of the file; its directory exists.
            progress: a plain function, called with the bytes received and the total (``None`` while unknown) after each
                piece. The first number is smaller than before if the download had to start again. An exception of it ends
                the download.
            **options: as for `download`.

        Returns:
            The bytes of the file.

        Raises:
            APIError: it could not be fetched.
            DownloadFileError: the file cannot be written, with ``errno``; the path is checked before anything is sent.
        """
        return await download_to(self._pipeline, recording, path, options, progress=progress)

    def stream(self, recording: Recording | str, **options: Unpack[CallOptions]) -> AudioStream:
        """Read the audio piece by piece as it arrives.

            async with client.recordings.stream(recording) as audio:
                async for chunk in audio:
                    player.write(chunk)

        Args:
            recording: a recording, or its id.
            **options: as for `download`.

        Raises:
            InvalidParameterError: raised by this call.
            APIError: raised on entering and on reading: it could not be fetched.
            DownloadError: raised on reading: the connection was lost, and the server cannot confirm that the rest belongs to
                the same file.
        """
        return stream(self._pipeline, recording, options)
