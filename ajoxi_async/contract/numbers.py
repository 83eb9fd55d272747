"""Numbers: search, provision, port, configure and release (API reference: Core Endpoints, Numbers)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from attrs import frozen

from ajoxi_async.contract.base import Model, OpenEnum, Params, Resource, Time
from ajoxi_async.contract.checks import PageLimit, Phone, phone
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.rules import AtLeastOne, Length, Pattern, Rule, known

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


@frozen(eq=False)
class _TargetsByKind(Rule):
    """A routing has a kind that exists, and the target that this kind needs."""

    targets: dict[RoutingKind, Rule | None]

    @property
    def schema(self) -> dict[str, Any]:
        """See `Rule`."""
        return {"required": ["kind"], "oneOf": [self._form(kind, rule) for kind, rule in self.targets.items()]}

    @staticmethod
    def _form(kind: RoutingKind, rule: Rule | None) -> dict[str, Any]:
        form: dict[str, Any] = {"properties": {"kind": {"const": kind.value}}}
        if rule is not None:
            form["properties"]["target"] = {"type": "string", **rule.schema}
            form["required"] = ["target"]
        return form

    def check(self, param: str, value: Routing) -> None:
        """See `Rule`."""
        if value.kind is None:
            raise InvalidParameterError(f"{param}.kind", "expected a kind of routing", missing=True)
        known(f"{param}.kind", value.kind)
        rule = self.targets[value.kind]
        if rule is not None and not value.target:
            raise InvalidParameterError(f"{param}.target", f"expected a target for {value.kind}", missing=True)
        if rule is not None:
            rule(f"{param}.target", value.target)


_NAME = Length(4096)
#: A routing that is given: what its target must be follows from its kind.
GivenRouting = Annotated[
    Routing,
    _TargetsByKind(
        {
            RoutingKind.AGENT: _NAME,
            RoutingKind.EXTENSION: _NAME,
            RoutingKind.QUEUE: _NAME,
            RoutingKind.FORWARD: phone,
            RoutingKind.AI_RECEPTIONIST: None,
        }
    ),
]
_PortText = Annotated[str, Length(200)]
Country = Annotated[str, Pattern("[A-Z]{2}", "an ISO 3166-1 code such as 'US'")]
Digits = Annotated[str, Pattern("[0-9]{1,15}", "1 to 15 digits")]


@frozen(kw_only=True, repr=False)
class Port(Params):
    """What the losing carrier needs to let a number go."""

    path: ClassVar[str] = "port."

    carrier: _PortText
    account_number: _PortText
    authorized_by: _PortText


@frozen(kw_only=True, repr=False)
class NumberProvision(Params):
    """The number to take, or to port in, and how it is configured from the start."""

    phone_number: Phone
    routing: GivenRouting | None = None
    caller_id: CallerId | None = None
    sms: SmsConfig | None = None
    port: Port | None = None


@frozen(kw_only=True, repr=False)
class NumberUpdate(Params):
    """What is changed on a number; what is not given stays."""

    rules: ClassVar = (AtLeastOne(("routing", "caller_id", "sms")),)

    routing: GivenRouting | None = None
    caller_id: CallerId | None = None
    sms: SmsConfig | None = None


@frozen(kw_only=True, repr=False)
class NumberSearch(Params):
    """Which numbers to list; ``status`` is ``available`` unless given, ``active`` lists the account's own."""

    type: NumberType | None = None
    country: Country | None = None
    area_code: Digits | None = None
    contains: Digits | None = None
    capability: Capability | None = None
    status: Literal["available", "active", "porting", "released"] | None = None
    limit: PageLimit | None = None
    cursor: str | None = None
