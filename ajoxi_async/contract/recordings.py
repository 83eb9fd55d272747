"""Recordings and AI-generated insights (API reference: Core Endpoints, Recordings & AI)."""

from __future__ import annotations

from attrs import frozen

from ajoxi_async.contract.base import Params, Resource, Time
from ajoxi_async.contract.checks import PageLimit
from ajoxi_async.contract.transcripts import Transcript

__all__ = ["Recording", "RecordingList"]


@frozen(kw_only=True, repr=False)
class Recording(Resource):
    """A call recording; ``duration`` in seconds, ``size`` in bytes, ``sentiment`` -1 to 1.

    ``transcript``, ``ai_summary`` and ``sentiment`` come with a single recording, not in lists.
    """

    call_id: str | None = None
    agent_id: str | None = None
    duration: int | None = None
    url: str | None = None
    content_type: str | None = None
    size: int | None = None
    created_at: Time | None = None
    transcript: Transcript | None = None
    ai_summary: str | None = None
    sentiment: float | None = None


@frozen(kw_only=True, repr=False)
class RecordingList(Params):
    """Filters and page of a list of recordings."""

    created_after: Time | None = None
    created_before: Time | None = None
    agent_id: str | None = None
    limit: PageLimit | None = None
    cursor: str | None = None
