"""Numbers: search, provision, port, configure and release (API reference: Core Endpoints, Numbers)."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from ajoxi_async.contract import checks
from ajoxi_async.contract.base import Model, OpenEnum, Params, Resource, Time
from ajoxi_async.contract.errors import InvalidParameterError

__all__ = [
    "CallerId",
    "Capability",
    "Number",
    "NumberProvision",
    "NumberSearch",
    "NumberStatus",
    "NumberType",
    "NumberUpdate",
    "Port",
    "Routing",
    "RoutingKind",
    "SmsConfig",
]


class NumberType(OpenEnum):
    """Local, toll-free or international."""

    LOCAL = "local"
    TOLL_FREE = "toll_free"
    INTERNATIONAL = "international"


class Capability(OpenEnum):
    """What a number can carry."""

    VOICE = "voice"
    SMS = "sms"
    MMS = "mms"
    FAX = "fax"


class NumberStatus(OpenEnum):
    """Whose a number is: nobody's, the account's, on its way in, given back."""

    AVAILABLE = "available"
    ACTIVE = "active"
    PORTING = "porting"
    RELEASED = "released"


class RoutingKind(OpenEnum):
    """Where a number's inbound calls go."""

    AGENT = "agent"
    EXTENSION = "extension"
    QUEUE = "queue"
    AI_RECEPTIONIST = "ai_receptionist"
    FORWARD = "forward"


@frozen(kw_only=True, repr=False)
class Routing(Model):
    """Where inbound calls go; ``target`` is an agent, extension, queue or number, as ``kind`` says."""

    kind: RoutingKind | None = None
    target: str | None = None


@frozen(kw_only=True, repr=False)
class CallerId(Model):
    """The name shown to who is called."""

    name: str | None = None


@frozen(kw_only=True, repr=False)
class SmsConfig(Model):
    """Whether a number takes text messages, and where they are forwarded."""

    enabled: bool | None = None
    forward_to: str | None = None


@frozen(kw_only=True, repr=False)
class Number(Resource):
    """A phone number. ``country`` is ISO 3166-1 alpha-2."""

    phone_number: str | None = None
    type: NumberType | None = None
    country: str | None = None
    region: str | None = None
    capabilities: tuple[Capability, ...] = ()
    status: NumberStatus | None = None
    routing: Routing | None = None
    caller_id: CallerId | None = None
    sms: SmsConfig | None = None
    created_at: Time | None = None


def _check_routing(routing: Routing | None) -> None:
    if routing is None:
        return
    if routing.kind is None:
        raise InvalidParameterError("routing.kind", "expected a kind of routing", missing=True)
    checks.known("routing.kind", routing.kind)
    if routing.kind == RoutingKind.FORWARD:
        checks.phone("routing.target", routing.target or "")
    elif routing.kind != RoutingKind.AI_RECEPTIONIST and not routing.target:
        raise InvalidParameterError("routing.target", f"expected a target for {routing.kind}", missing=True)


@frozen(kw_only=True, repr=False)
class Port(Params):
    """What the losing carrier needs to let a number go."""

    carrier: str
    account_number: str
    authorized_by: str

    def __attrs_post_init__(self) -> None:
        for name in ("carrier", "account_number", "authorized_by"):
            checks.text(f"port.{name}", getattr(self, name), 200)


@frozen(kw_only=True, repr=False)
class NumberProvision(Params):
    """The number to take, or to port in, and how it is configured from the start."""

    phone_number: str
    routing: Routing | None = None
    caller_id: CallerId | None = None
    sms: SmsConfig | None = None
    port: Port | None = None

    def __attrs_post_init__(self) -> None:
        checks.phone("phone_number", self.phone_number)
        _check_routing(self.routing)


@frozen(kw_only=True, repr=False)
class NumberUpdate(Params):
    """What is changed on a number; what is not given stays."""

    routing: Routing | None = None
    caller_id: CallerId | None = None
    sms: SmsConfig | None = None

    def __attrs_post_init__(self) -> None:
        checks.at_least_one(routing=self.routing, caller_id=self.caller_id, sms=self.sms)
        _check_routing(self.routing)


@frozen(kw_only=True, repr=False)
class NumberSearch(Params):
    """Which numbers to list; ``status`` is ``available`` unless given, ``active`` lists the account's own."""

    type: NumberType | None = None
    country: str | None = None
    area_code: str | None = None
    contains: str | None = None
    capability: Capability | None = None
    status: Literal["available", "active", "porting", "released"] | None = None
    limit: int | None = None
    cursor: str | None = None

    def __attrs_post_init__(self) -> None:
        checks.page_limit(self.limit)
        checks.known("type", self.type)
        checks.known("capability", self.capability)
        if self.country is not None and not (
            len(self.country) == 2 and self.country.isascii() and self.country.isalpha() and self.country.isupper()
        ):
            raise InvalidParameterError("country", f"expected an ISO 3166-1 code such as 'US', got {self.country!r}")
        for name in ("area_code", "contains"):
            value = getattr(self, name)
            if value is not None and not (value.isascii() and value.isdigit() and len(value) <= 15):
                raise InvalidParameterError(name, f"expected 1 to 15 digits, got {value!r}")
