"""Transcripts, and the events of a live one (API reference: Recordings & AI; FAQ: Server-Sent Events)."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from ajoxi_async.contract.base import Model, OpenEnum, Resource

__all__ = ["Segment", "Speaker", "Transcript", "TranscriptCompleted", "TranscriptStatus", "Word"]

#: Event types of a live transcript.
SEGMENT_EVENT: Final = "transcript.segment"
COMPLETED_EVENT: Final = "transcript.completed"
ERROR_EVENT: Final = "error"


class Speaker(OpenEnum):
    """Who is speaking."""

    AGENT = "agent"
    CUSTOMER = "customer"
    AI = "ai"


class TranscriptStatus(OpenEnum):
    """Whether more segments may come."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


@frozen(kw_only=True, repr=False)
class Word(Model):
    """One word; ``start`` and ``end`` in seconds from the answer, ``confidence`` 0 to 1."""

    text: str | None = None
    start: float | None = None
    end: float | None = None
    confidence: float | None = None


@frozen(kw_only=True, repr=False)
class Segment(Model):
    """One stretch of one speaker.

    ``sequence`` counts from 1. A higher ``revision`` of the same sequence replaces a lower one; one above a final is a
    correction. ``start`` and ``end`` are seconds from the answer; ``sentiment`` is -1 to 1.
    """

    sequence: int
    revision: int = 1
    channel: int | None = None
    speaker: Speaker | None = None
    text: str = ""
    start: float | None = None
    end: float | None = None
    confidence: float | None = None
    is_final: bool = True
    sentiment: float | None = None
    words: tuple[Word, ...] = ()


@frozen(kw_only=True, repr=False)
class Transcript(Resource):
    """What was said in a call. ``language`` is BCP 47."""

    call_id: str | None = None
    recording_id: str | None = None
    status: TranscriptStatus | None = None
    language: str | None = None
    segments: tuple[Segment, ...] = ()
    ai_summary: str | None = None


@frozen(kw_only=True, repr=False)
class TranscriptCompleted(Model):
    """The end of a live transcript: finals 1 to ``last_sequence`` were sent, and nothing more comes."""

    call_id: str | None = None
    transcript_id: str | None = None
    last_sequence: int | None = None
    reason: str | None = None
