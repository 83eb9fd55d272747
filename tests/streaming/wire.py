"""A server of live transcripts that is a script: the frames it writes, and a connection for each list of them."""

from __future__ import annotations

import msgspec

from ajoxi_async.contract.frames import event_frame
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from tests.client.fakes import ENVELOPE, Headers, ScriptedStream, ScriptedTransport, answer

EVENT_STREAM = Response(200, Headers({"Content-Type": "text/event-stream; charset=utf-8"}), b"")


def segment(position: int, sequence: int, revision: int = 1, *, final: bool = True, text: str = "") -> bytes:
    """The frame of one segment."""
    data = {"sequence": sequence, "revision": revision, "text": text or f"line {sequence}", "is_final": final}
    return event_frame("transcript.segment", msgspec.json.encode(data), str(position))


def completed(position: int, last: int) -> bytes:
    """The frame that ends a transcript."""
    data = {"call_id": "call_1", "transcript_id": "tr_1", "last_sequence": last, "reason": "call_ended"}
    return event_frame("transcript.completed", msgspec.json.encode(data), str(position))


class Connections(ScriptedTransport):
    """Each connection gets the next of the streams; REST calls get `transcript`."""

    def __init__(self, *streams: ScriptedStream, transcript: Response | None = None) -> None:
        super().__init__(transcript or answer(404, ENVELOPE))
        self.streams = list(streams)
        self.opened: list[Request] = []
        self.used: list[ScriptedStream] = []

    def stream(self, request: Request) -> ScriptedStream:
        self.opened.append(request)
        stream = self.streams.pop(0) if len(self.streams) > 1 else self.streams[0]
        self.used.append(stream)
        return stream

    @property
    def resumed_from(self) -> list[str | None]:
        return [request.headers.get("Last-Event-ID") for request in self.opened]


def connection(*pieces: bytes, then: ExchangeError | None = None) -> ScriptedStream:
    """A connection that sends the pieces and then ends, cleanly or not."""
    return ScriptedStream(EVENT_STREAM, pieces, then)
