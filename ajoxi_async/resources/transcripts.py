"""Transcripts, whole and live (API reference: Core Endpoints, Recordings & AI)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Unpack

from ajoxi_async.contract import routes
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.transcripts import Transcript
from ajoxi_async.hub.transcript_hub import TranscriptHub
from ajoxi_async.pipeline.options import CallOptions
from ajoxi_async.pipeline.pipeline import Pipeline
from ajoxi_async.protocol.resume import reconnect_delay
from ajoxi_async.streaming.event_source import EventSource, Rules, StreamState, check_event_id, check_seconds
from ajoxi_async.streaming.live import LiveTranscript
from ajoxi_async.streaming.live_many import LiveTranscripts, Overflow

__all__ = ["Transcripts"]


class Transcripts:
    """``client.transcripts``."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def retrieve(self, id: str, **options: Unpack[CallOptions]) -> Transcript:
        """Retrieve the full transcript of a call or recording.

        Args:
            id: of a transcript, a call or a recording.
            **options: see `CallOptions`.

        Raises:
            NotFoundError: no such transcript in the account.
        """
        return await self._pipeline.call(routes.TRANSCRIPTS_RETRIEVE, options, id=id)

    def stream(
        self,
        id: str,
        *,
        resume_from: str | None = None,
        interim: bool = True,
        idle_timeout: float = 25.0,
        max_outage: float = 60.0,
        on_state: Callable[[StreamState], object] | None = None,
        **options: Unpack[CallOptions],
    ) -> LiveTranscript:
        """Follow a call's transcript as it is spoken, reconnecting as needed.

            async with client.transcripts.stream(call.id) as live:
                async for segment in live:
                    print(segment.speaker, segment.text)

        Args:
            id: of a call, a transcript or a recording; a finished one is replayed and completes.
            resume_from: `LiveTranscript.last_event_id` of an earlier stream.
            interim: whether segments that are not final yet are delivered as well.
            idle_timeout: seconds without a byte after which the connection counts as dead; the server sends at least
                a comment every 10 s.
            max_outage: seconds without progress after which it gives up.
            on_state: called with ``"live"``, ``"stalled"``, ``"resuming"`` or ``"ended"`` when the state changes.
            **options: see `CallOptions`; ``timeout`` does not apply to a stream and is refused.

        Raises:
            StreamInterruptedError: the connection was lost and not resumed within `max_outage`; the error has the last event
                id.
            StreamProtocolError: the server ended the stream with an error, or sent something else than a transcript.
            TranscriptGapError: final segments are missing and could not be fetched.
        """
        if options.get("timeout") is not None:
            raise InvalidParameterError("timeout", "a live stream has none; see idle_timeout and max_outage")
        check_event_id(resume_from=resume_from)
        check_seconds(idle_timeout=idle_timeout, max_outage=max_outage)
        pipeline = self._pipeline.variant(lane=options["lane"]) if options.get("lane") else self._pipeline
        source = EventSource(
            pipeline,
            self._pipeline.request(routes.TRANSCRIPTS_STREAM, options, id=id),
            Rules(
                name=f"the live transcript of {id}",
                route=routes.TRANSCRIPTS_STREAM.name,
                delay=reconnect_delay,
                # After these statuses the stream tries again; 400, 401, 403, 404 and 422 end it.
                waited_out=lambda status: status == 429 or status >= 500,
                idle_timeout=idle_timeout,
                max_outage=max_outage,
            ),
            last_event_id=resume_from,
            on_state=on_state,
        )
        return LiveTranscript(self._pipeline, id, options, source, interim=interim, max_outage=max_outage)

    def stream_many(
        self,
        ids: Iterable[str] = (),
        *,
        max_buffer: int = 1000,
        overflow: Overflow = "block",
        interim: bool = True,
        idle_timeout: float = 25.0,
        max_outage: float = 60.0,
        **options: Unpack[CallOptions],
    ) -> LiveTranscripts:
        """Follow many calls at once, as one iterator that takes from each in turn.

            async with client.transcripts.stream_many(ids) as many:
                async for item in many:
                    print(item.call_id, item.segment or item.error or "complete")

        Calls can be added and discarded while it runs. It ends when every call has ended; before the first call is added it
        waits.

        Args:
            ids: of calls, as for `stream`.
            max_buffer: most items of one call that wait for the consumer.
            overflow: what happens when a buffer is full: with ``"block"`` the call's connection waits, with ``"coalesce"``
                interims that a later revision has replaced are dropped first.
            interim: as for `stream`.
            idle_timeout: as for `stream`.
            max_outage: as for `stream`.
            **options: see `CallOptions`; ``timeout`` is of no use here and refused.

        Raises:
            InvalidParameterError: before anything is opened. What goes wrong with a call later is an item.
        """

        def opened(id: str, resume_from: str | None) -> LiveTranscript:
            return self.stream(
                id,
                resume_from=resume_from,
                interim=interim,
                idle_timeout=idle_timeout,
                max_outage=max_outage,
                **options,
            )

        return LiveTranscripts(opened, ids, max_buffer=max_buffer, overflow=overflow)

    def hub(
        self,
        *,
        linger: float = 30.0,
        keep_alive: float = 15.0,
        send_timeout: float | None = 60.0,
        idle_timeout: float = 25.0,
        max_outage: float = 60.0,
        **options: Unpack[CallOptions],
    ) -> TranscriptHub:
        """Share live transcripts: one stream for each call, however many browsers and tasks follow it.

            async with client.transcripts.hub() as hub:
                async with hub.watch(call.id) as live:
                    async for segment in live:
                        print(segment.speaker, segment.text)

        Open one for the lifetime of an application, and use it on that event loop. `ajoxi_async.hub` has responses for web frameworks.

        Args:
            linger: seconds for which a call is followed after its last consumer has left, for those who come back.
            keep_alive: seconds without a segment after which a response sends a sign of life, since proxies end silent connections.
            send_timeout: seconds after which a browser that takes nothing is disconnected; ``None`` waits for ever.
            idle_timeout: as for `stream`.
            max_outage: as for `stream`.
            **options: see `CallOptions`; ``timeout`` is of no use here and refused.

        Raises:
            InvalidParameterError: before anything is opened. What goes wrong with a call later is raised to its consumers.
        """

        def opened(id: str) -> LiveTranscript:
            return self.stream(id, idle_timeout=idle_timeout, max_outage=max_outage, **options)

        # Whatever is wrong with the settings is raised here, and not to the first consumer.
        opened("call_1")
        return TranscriptHub(
            opened, self._pipeline.lifetime, linger=linger, keep_alive=keep_alive, send_timeout=send_timeout
        )
