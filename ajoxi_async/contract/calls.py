"""Calls: place, list, transfer and retrieve (API reference: Core Endpoints, Calls)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from attrs import frozen

from ajoxi_async.contract.base import OpenEnum, Params, Resource, Time, metadata_field
from ajoxi_async.contract.checks import AgentId, Destination, Metadata, OwnPhone, PageLimit, Phone
from ajoxi_async.contract.rules import Bounds, Count, ExactlyOne, Length, Pattern

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

RingSeconds = Annotated[int, Bounds(1, 600)]
Extension = Annotated[str, Pattern("[0-9]+", "digits such as '204'")]


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

    to: Destination
    from_: OwnPhone
    ai_receptionist: bool | None = None
    record: bool | None = None
    ring_timeout: RingSeconds | None = None
    metadata: Metadata | None = None
    agent_id: AgentId | None = None


@frozen(kw_only=True, repr=False)
class CampaignSpec(Params):
    """What a dialer campaign dials, and how (API reference: dialer campaign; Outbound Dialer modes)."""

    path: ClassVar[str] = "campaign."

    name: Annotated[str, Length(200)]
    mode: Literal["preview", "power", "predictive"]
    contacts: Annotated[tuple[Phone, ...], Count(1, 10_000)]


@frozen(kw_only=True, repr=False)
class CampaignCreate(Params):
    """A dialer campaign, triggered on the endpoint of calls."""

    from_: OwnPhone
    campaign: CampaignSpec
    ai_receptionist: bool | None = None
    record: bool | None = None
    ring_timeout: RingSeconds | None = None
    metadata: Metadata | None = None
    agent_id: AgentId | None = None


@frozen(kw_only=True, repr=False)
class CallTransfer(Params):
    """Where an active call goes: to an agent, an extension, or a number."""

    rules: ClassVar = (ExactlyOne(("agent_id", "extension", "to")),)

    agent_id: AgentId | None = None
    extension: Extension | None = None
    to: Destination | None = None


@frozen(kw_only=True, repr=False)
class CallList(Params):
    """Filters and page of a list of calls."""

    created_after: Time | None = None
    created_before: Time | None = None
    status: CallStatus | None = None
    direction: Direction | None = None
    campaign_id: str | None = None
    metadata: Metadata | None = None
    limit: PageLimit | None = None
    cursor: str | None = None
