"""What an account keeps of its campaigns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from attrs import frozen

__all__ = ["CampaignRecord", "CampaignReport", "Progress"]


class Progress(NamedTuple):
    """The progress of a campaign whose calls do not ring by themselves.

    Attributes:
        rung: how many of its calls began to ring, or wait for capacity.
        released: how many may ring.
    """

    rung: int
    released: int


@frozen(kw_only=True)
class CampaignRecord:
    """A campaign as it was created.

    Attributes:
        created_at: seconds since the epoch.
        call_ids: its calls, in the order of its contacts.
    """

    id: str
    name: str
    mode: str
    created_at: float
    call_ids: tuple[str, ...]


@frozen(kw_only=True)
class CampaignReport:
    """A campaign and its progress.

    Attributes:
        status: ``queued`` before its first call rings, ``running``, or ``completed`` after its last call ended.
        calls: how many calls it has.
        held: how many of them wait for a release, or for the dialer of the campaign; not those that wait for capacity.
        abandoned: how many were answered when no agent was free. Their disposition is ``answered``, since a person answered.
        by_status: how many of its calls are ``queued``, ``ringing``, ``answered`` and ``completed``, without zeros.
        by_disposition: how many of its ended calls were ``answered``, ``no_answer``, ``busy``, ..., without zeros.
    """

    id: str
    name: str
    mode: str
    created_at: datetime
    status: str
    calls: int
    held: int
    abandoned: int
    by_status: Mapping[str, int]
    by_disposition: Mapping[str, int]
