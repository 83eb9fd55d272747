"""Calls: place, list, transfer and retrieve (API reference: Core Endpoints, Calls)."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from ajoxi_async.contract import checks
from ajoxi_async.contract.base import OpenEnum, Params, Resource, Time, metadata_field
from ajoxi_async.contract.errors import InvalidParameterError

__all__ = [
    "Call",
    "CallCreate",
    "CallList",
    "CallStatus",
    "CallTransfer",
    "Campaign",
    "CampaignCreate",
    "CampaignSpec",
    "Direction",
    "Disposition",
]

RING_SECONDS = (1, 600)
CAMPAIGN_CONTACTS = 10_000


class CallStatus(OpenEnum):
    """Where a call stands in its life."""

    QUEUED = "queued"
    RINGING = "ringing"
    ANSWERED = "answered"
    COMPLETED = "completed"


class Direction(OpenEnum):
    """Who began: the world outside, or the account."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Disposition(OpenEnum):
    """How a completed call ended."""

    ANSWERED = "answered"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    FAILED = "failed"
    CANCELED = "canceled"


@frozen(kw_only=True, repr=False)
class Call(Resource):
    """A voice call. ``duration`` is in seconds, from answer to end."""

    status: CallStatus | None = None
    ai_handler: str | None = None
    direction: Direction | None = None
    from_: str | None = None
    to: str | None = None
    created_at: Time | None = None
    answered_at: Time | None = None
    ended_at: Time | None = None
    duration: int | None = None
    disposition: Disposition | None = None
    agent_id: str | None = None
    campaign_id: str | None = None
    recording_id: str | None = None
    recording_url: str | None = None
    transcript_id: str | None = None
    metadata: dict[str, str] = metadata_field()


@frozen(kw_only=True, repr=False)
class Campaign(Resource):
    """A dialer campaign that was accepted; its calls are listed with ``campaign_id``."""

    status: str | None = None
    calls_queued: int | None = None


@frozen(kw_only=True, repr=False)
class CallCreate(Params):
    """One outbound call. ``ring_timeout``, in seconds, travels as ``timeout``."""

    to: str
    from_: str
    ai_receptionist: bool | None = None
    record: bool | None = None
    ring_timeout: int | None = None
    metadata: dict[str, str] | None = None
    agent_id: str | None = None

    def __attrs_post_init__(self) -> None:
        checks.destination("to", self.to)
        checks.phone("from_", self.from_)
        checks.number_range("ring_timeout", self.ring_timeout, *RING_SECONDS)
        checks.metadata(self.metadata)
        checks.text("agent_id", self.agent_id, 64)


@frozen(kw_only=True, repr=False)
class CampaignSpec(Params):
    """What a dialer campaign dials, and how (API reference: dialer campaign; Outbound Dialer modes)."""

    name: str
    mode: Literal["preview", "power", "predictive"]
    contacts: tuple[str, ...]

    def __attrs_post_init__(self) -> None:
        checks.text("campaign.name", self.name, 200)
        checks.number_range("campaign.contacts", len(self.contacts), 1, CAMPAIGN_CONTACTS)
        for index, contact in enumerate(self.contacts):
            checks.phone(f"campaign.contacts[{index}]", contact)


@frozen(kw_only=True, repr=False)
class CampaignCreate(Params):
    """A dialer campaign, triggered on the endpoint of calls."""

    from_: str
    campaign: CampaignSpec
    ai_receptionist: bool | None = None
    record: bool | None = None
    ring_timeout: int | None = None
    metadata: dict[str, str] | None = None
    agent_id: str | None = None

    def __attrs_post_init__(self) -> None:
        checks.phone("from_", self.from_)
        checks.number_range("ring_timeout", self.ring_timeout, *RING_SECONDS)
        checks.metadata(self.metadata)
        checks.text("agent_id", self.agent_id, 64)


@frozen(kw_only=True, repr=False)
class CallTransfer(Params):
    """Where an active call goes: to an agent, an extension, or a number."""

    agent_id: str | None = None
    extension: str | None = None
    to: str | None = None

    def __attrs_post_init__(self) -> None:
        checks.exactly_one(agent_id=self.agent_id, extension=self.extension, to=self.to)
        checks.text("agent_id", self.agent_id, 64)
        if self.extension is not None and not (self.extension.isascii() and self.extension.isdigit()):
            raise InvalidParameterError("extension", f"expected digits such as '204', got {self.extension!r}")
        if self.to is not None:
            checks.destination("to", self.to)


@frozen(kw_only=True, repr=False)
class CallList(Params):
    """Filters and page of a list of calls."""

    created_after: Time | None = None
    created_before: Time | None = None
    status: CallStatus | None = None
    direction: Direction | None = None
    campaign_id: str | None = None
    metadata: dict[str, str] | None = None
    limit: int | None = None
    cursor: str | None = None

    def __attrs_post_init__(self) -> None:
        checks.page_limit(self.limit)
        checks.metadata(self.metadata)
        for name in ("status", "direction"):
            checks.known(name, getattr(self, name))
