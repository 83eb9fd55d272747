"""Parameters: what is refused before anything is sent, and in which words."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async.contract import checks, codec
from ajoxi_async.contract.base import Params
from ajoxi_async.contract.calls import (
    CallCreate,
    CallList,
    CallStatus,
    CallTransfer,
    CampaignCreate,
    CampaignSpec,
    Direction,
)
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.messages import Channel, MessageList, MessageSend
from ajoxi_async.contract.numbers import (
    Capability,
    NumberProvision,
    NumberSearch,
    NumberType,
    NumberUpdate,
    Routing,
    RoutingKind,
)
from ajoxi_async.contract.recordings import RecordingList
from ajoxi_async.contract.routes import ROUTES, Route
from ajoxi_async.contract.rules import AtLeastOne, ExactlyOne, Length, known
from ajoxi_async.contract.webhooks import WebhookCreate, WebhookList

TO, FROM = "+14155551234", "+14155550100"
CALL: dict[str, Any] = {"to": TO, "from": FROM}
CAMPAIGN: dict[str, Any] = {"name": "spring", "mode": "power", "contacts": [TO]}
PORT = {"carrier": "Acme", "account_number": "77", "authorized_by": "Ada"}


def refused(param: str, why: str = "") -> Any:
    """Expect an `InvalidParameterError` that names the parameter and says why."""
    return pytest.raises(InvalidParameterError, match=f"^{re.escape(param)}: .*{re.escape(why)}")


# One check at a time.


@pytest.mark.parametrize("value", ["+1234567", TO, "+123456789012345"])
def test_phone(value: str) -> None:
    """ITU-T E.164: a plus sign and 7 to 15 digits, the first not 0."""
    checks.phone("to", value)
    checks.destination("to", value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "+",
        "14155551234",
        "+123456",
        "+1234567890123456",
        "+0123456789",
        "+1 415 555 1234",
        "+1415555123a",
        f"{TO}\n",
        f" {TO}",
        f"{TO},{FROM}",
        "+१४१५५५५१२३४",
        "tel:+14155551234",
        "ext:",
        "ext:12345678901",
        "ext:12a",
        "EXT:204",
        "ext:204\n",
    ],
)
def test_no_phone(value: str) -> None:
    """What is no E.164 number is no phone, and no destination unless it is an extension."""
    for check in (checks.phone, checks.destination):
        with refused("to", "E.164") as caught:
            check("to", value)
        assert caught.value.param == "to"


@pytest.mark.parametrize("value", ["ext:2", "ext:204", "ext:1234567890"])
def test_extensions(value: str) -> None:
    """A call may go to an extension; a message may not."""
    checks.destination("to", value)
    with refused("to"):
        checks.phone("to", value)


def test_a_refused_number_is_not_repeated() -> None:
    """What is nearly a phone number is as personal as one: neither `message` nor `str` holds it."""
    with refused("to") as caught:
        checks.phone("to", "+1415555123456789")
    assert "55512345" not in caught.value.message
    assert "'+1415***'" in str(caught.value)


@pytest.mark.parametrize(("value", "longest"), [(None, 5), ("a", 5), ("abcde", 5), ("a" * 4096, 4096)])
def test_text(value: str | None, longest: int) -> None:
    """A text has 1 to `longest` characters, if it is given."""
    Length(longest)("body", value)


@pytest.mark.parametrize(("value", "longest"), [("", 5), ("abcdef", 5), ("a" * 4097, 4096)])
def test_no_text(value: str, longest: int) -> None:
    """An empty or a longer text is refused with its length."""
    with refused("body", f"expected 1 to {longest} characters, got {len(value)}"):
        Length(longest)("body", value)


@pytest.mark.parametrize("value", [None, 1, 50, 200])
def test_page_limit(value: int | None) -> None:
    """API reference, Pagination: up to 200."""
    checks.page_limit("limit", value)


@pytest.mark.parametrize("value", [-1, 0, 201])
def test_no_page_limit(value: int) -> None:
    """A page of none, or of more than 200, is refused."""
    with refused("limit", f"expected 1 to 200, got {value}"):
        checks.page_limit("limit", value)


@pytest.mark.parametrize("given", [{"a": 1, "b": None}, {"a": None, "b": 0}, {"a": "", "b": None}])
def test_exactly_one(given: dict[str, Any]) -> None:
    """One is given, if only as something empty."""
    ExactlyOne(tuple(given)).check(given)


@pytest.mark.parametrize(
    ("given", "param", "missing", "found"),
    [
        ({"a": None, "b": None}, "a", True, "none of them"),
        ({"a": 1, "b": 2}, "b", False, "a and b"),
        ({"a": None, "b": 1, "c": 2}, "c", False, "b and c"),
    ],
)
def test_not_exactly_one(given: dict[str, Any], param: str, missing: bool, found: str) -> None:
    """None is a missing parameter, and two name the one too many."""
    with refused(param, f"got {found}") as caught:
        ExactlyOne(tuple(given)).check(given)
    assert caught.value.missing is missing


def test_at_least_one() -> None:
    """One or more are given; none is a missing parameter."""
    AtLeastOne(("a", "b")).check({"a": None, "b": 0})
    AtLeastOne(("a", "b")).check({"a": 1, "b": 2})
    with refused("a", "expected one of a, b") as caught:
        AtLeastOne(("a", "b")).check({"a": None})
    assert caught.value.missing


@pytest.mark.parametrize(
    "value", [None, {}, {"k": ""}, {"k" * 64: "v" * 512}, {str(n): "" for n in range(50)}, {"ключ 1": "\n"}]
)
def test_metadata(value: dict[str, str] | None) -> None:
    """Metadata is 50 keys of 64 characters, with values of 512."""
    checks.metadata("metadata", value)


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({str(n): "" for n in range(51)}, "metadata"),
        ({"": "v"}, "metadata"),
        ({"k" * 65: "v"}, "metadata"),
        ({"a[b": "v"}, "metadata"),
        ({"a]": "v"}, "metadata"),
        ({"a\nb": "v"}, "metadata"),
        ({"fine": "v", "key": "v" * 513}, "metadata[key]"),
    ],
)
def test_no_metadata(value: dict[str, str], param: str) -> None:
    """More or longer keys, ones that would not survive a query string, and longer values are refused."""
    with refused(param):
        checks.metadata("metadata", value)


@pytest.mark.parametrize(
    "value", ["https://example.com", "http://127.0.0.1:8080/hook?a=1#b", "https://[::1]/x", "HTTPS://EXAMPLE.COM"]
)
def test_http_url(value: str) -> None:
    """An absolute http or https URL is fine."""
    checks.http_url("url", value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "example.com",
        "/hook",
        "//example.com",
        "ftp://example.com",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://example.com:99999",
        "https://example.com:0",
        "https://[::1",
        "https://exa mple.com",
        "https://example.com/\r\nX: y",
        "https://exam\tple.com",
        "https://user@example.com",
        "https://user:secret@example.com",
        "https://:secret@example.com",
        "https://example.com/" + "a" * 2048,
    ],
)
def test_no_http_url(value: str) -> None:
    """Other schemes, no host, control characters, credentials and endless URLs are refused, and not repeated."""
    with refused("url", "expected a") as caught:
        checks.http_url("url", value)
    assert "secret" not in caught.value.message


def test_known() -> None:
    """A filter's value must exist, and the refusal lists those that do."""
    known("status", None)
    known("status", CallStatus.RINGING)
    with refused("status", "expected one of 'queued', 'ringing', 'answered', 'completed', got 'rining'"):
        known("status", CallStatus("rining"))


# Whole sets of parameters.


@pytest.mark.parametrize(
    ("cls", "given"),
    [
        (CallCreate, {"to": TO, "from": FROM, "ai_receptionist": True}),  # the reference's own example
        (CallCreate, {**CALL, "to": "ext:204", "timeout": 600, "record": False, "metadata": {"a": "b"}}),
        (CallCreate, {"to": TO, "from_": FROM, "ring_timeout": 1, "agent_id": "agent_00000001"}),
        (CampaignCreate, {"from": FROM, "campaign": CAMPAIGN}),
        (CampaignCreate, {"from": FROM, "campaign": CAMPAIGN | {"mode": "preview"}, "timeout": 30, "record": True}),
        (CallTransfer, {"agent_id": "agent_00000001"}),
        (CallTransfer, {"extension": "204"}),
        (CallTransfer, {"to": TO}),
        (CallTransfer, {"to": "ext:204", "extension": None}),
        (CallList, {}),
        (
            CallList,
            {
                "status": "ringing",
                "direction": Direction.INBOUND,
                "limit": 200,
                "created_after": "2026-11-23T09:30:00Z",
            },
        ),
        (
            NumberSearch,
            {"type": "toll_free", "country": "US", "area_code": "415", "contains": "777", "capability": "sms"},
        ),
        (NumberProvision, {"phone_number": TO}),
        (NumberProvision, {"phone_number": TO, "port": PORT, "routing": {"kind": "ai_receptionist"}}),
        (NumberUpdate, {"routing": {"kind": "forward", "target": TO}}),
        (NumberUpdate, {"sms": {"enabled": True, "forward_to": None}, "caller_id": {"name": "Acme"}}),
        (MessageSend, {**CALL, "body": "hi"}),
        (MessageSend, {**CALL, "media_urls": ["https://example.com/a.png"] * 10}),
        (MessageSend, {**CALL, "body": "a" * 1600, "media_urls": ["https://example.com/a.png"]}),
        (MessageSend, {**CALL, "template_id": "tpl_1", "template_variables": {"name": "Ada"}}),
        (WebhookCreate, {"url": "https://example.com", "events": ["call.start", "message.received"]}),
        (WebhookCreate, {"url": "https://example.com", "events": ["call.started"] * 50}),
        (RecordingList, {"agent_id": "agent_1", "created_before": "2026-11-23T09:30:00Z"}),
    ],
)
def test_sound_parameters(cls: type[Params], given: dict[str, Any]) -> None:
    """Sound parameters are taken, and what travels reads back as the same."""
    params = codec.parse_params(given, cls)
    told = codec.to_wire(params)
    assert codec.parse_params(told, cls) == params
    assert None not in told.values()
    assert not {"from_", "ring_timeout"} & told.keys()


@pytest.mark.parametrize(
    ("cls", "given", "param", "why"),
    [
        (CallCreate, {"from": FROM}, "to", "required"),
        (CallCreate, {"to": TO}, "from_", "required"),
        (CallCreate, {"to": None, "from": FROM}, "to", "required"),
        (CallCreate, {**CALL, "to": 14155551234}, "to", "expected str, got int"),
        (CallCreate, {**CALL, "to": "4155551234"}, "to", "E.164"),
        (CallCreate, {**CALL, "from": "ext:204"}, "from_", "E.164"),
        (CallCreate, {**CALL, "timeout": 0}, "ring_timeout", "expected 1 to 600, got 0"),
        (CallCreate, {**CALL, "ring_timeout": 601}, "ring_timeout", "expected 1 to 600, got 601"),
        (CallCreate, {**CALL, "timeout": "30"}, "ring_timeout", "got str"),
        (CallCreate, {**CALL, "timeout": True}, "ring_timeout", "got bool"),
        (CallCreate, {**CALL, "record": "yes"}, "record", "got str"),
        (CallCreate, {**CALL, "agent_id": ""}, "agent_id", "1 to 64"),
        (CallCreate, {**CALL, "metadata": {"a": 1}}, "metadata[...]", "expected str, got int"),
        (CallCreate, {**CALL, "metadata": {"a": "b" * 513}}, "metadata[a]", "512"),
        (CallCreate, {**CALL, "tiemout": 30}, "tiemout", "no such parameter; expected one of agent_id, "),
        (CallCreate, {**CALL, "to_": TO}, "to_", "no such parameter"),
        (CallCreate, {**CALL, "extra": {}}, "extra", "no such parameter"),
        (CampaignCreate, {"from": FROM, "campaign": CAMPAIGN | {"name": ""}}, "campaign.name", "1 to 200"),
        (CampaignCreate, {"from": FROM, "campaign": {"name": "x"}}, "campaign.mode", "required"),
        (
            CampaignCreate,
            {"from": FROM, "campaign": CAMPAIGN | {"mode": "turbo"}},
            "campaign.mode",
            "expected one of 'preview', 'power', 'predictive', got 'turbo'",
        ),
        (CampaignCreate, {"from": FROM, "campaign": CAMPAIGN | {"contacts": []}}, "campaign.contacts", "1 to 10000"),
        (
            CampaignCreate,
            {"from": FROM, "campaign": CAMPAIGN | {"contacts": [TO] * 10_001}},
            "campaign.contacts",
            "1 to 10000",
        ),
        (
            CampaignCreate,
            {"from": FROM, "campaign": CAMPAIGN | {"contacts": [TO, "x"]}},
            "campaign.contacts[1]",
            "E.164",
        ),
        (
            CampaignCreate,
            {"from": FROM, "campaign": CAMPAIGN | {"contacts": [TO, 5]}},
            "campaign.contacts[1]",
            "got int",
        ),
        (CampaignCreate, {"from": FROM, "campaign": CAMPAIGN | {"speed": 5}}, "campaign.speed", "no such parameter"),
        (CampaignCreate, {"from": FROM, "campaign": "spring"}, "campaign", "expected object, got str"),
        (CampaignCreate, {"from": FROM}, "campaign", "required"),
        (CampaignCreate, {"from": FROM, "to": TO, "campaign": CAMPAIGN}, "to", "no such parameter"),
        (CallTransfer, {}, "agent_id", "exactly one of agent_id, extension, to, got none of them"),
        (CallTransfer, {"agent_id": "a", "to": TO}, "to", "got agent_id and to"),
        (CallTransfer, {"extension": "ext:204"}, "extension", "expected digits"),
        (CallTransfer, {"extension": "٢٠٤"}, "extension", "expected digits"),
        (CallTransfer, {"extension": ""}, "extension", "expected digits"),
        (CallTransfer, {"to": "204"}, "to", "E.164"),
        (CallList, {"limit": 201}, "limit", "1 to 200"),
        (CallList, {"status": "rining"}, "status", "expected one of 'queued'"),
        (CallList, {"direction": "sideways"}, "direction", "expected one of 'inbound', 'outbound'"),
        (CallList, {"created_after": "yesterday"}, "created_after", "RFC 3339 time with its timezone"),
        (CallList, {"created_after": datetime(2026, 1, 1)}, "created_after", "timezone"),
        (CallList, {"created_after": date(2026, 1, 1)}, "created_after", "got date"),
        (CallList, {"metadata": {"a]": "b"}}, "metadata", "brackets"),
        (NumberSearch, {"type": "lokal"}, "type", "expected one of 'local'"),
        (NumberSearch, {"capability": "smoke"}, "capability", "expected one of 'voice'"),
        (NumberSearch, {"status": "free"}, "status", "expected one of 'available', 'active', 'porting', 'released'"),
        (NumberSearch, {"country": "us"}, "country", "ISO 3166-1"),
        (NumberSearch, {"country": "USA"}, "country", "ISO 3166-1"),
        (NumberSearch, {"country": "ÜS"}, "country", "ISO 3166-1"),
        (NumberSearch, {"area_code": "41a"}, "area_code", "1 to 15 digits"),
        (NumberSearch, {"contains": ""}, "contains", "1 to 15 digits"),
        (NumberSearch, {"contains": "1" * 16}, "contains", "1 to 15 digits"),
        (NumberSearch, {"limit": 0}, "limit", "1 to 200"),
        (NumberProvision, {}, "phone_number", "required"),
        (NumberProvision, {"phone_number": "ext:204"}, "phone_number", "E.164"),
        (NumberProvision, {"phone_number": TO, "port": {"carrier": "A"}}, "port.account_number", "required"),
        (NumberProvision, {"phone_number": TO, "port": PORT | {"carrier": ""}}, "port.carrier", "1 to 200"),
        (NumberProvision, {"phone_number": TO, "port": PORT | {"pin": "1"}}, "port.pin", "no such parameter"),
        (NumberUpdate, {}, "routing", "expected one of routing, caller_id, sms"),
        (NumberUpdate, {"routing": {}}, "routing.kind", "kind of routing"),
        (NumberUpdate, {"routing": {"kind": "agnt", "target": "a"}}, "routing.kind", "expected one of 'agent'"),
        (NumberUpdate, {"routing": {"kind": "queue"}}, "routing.target", "expected a target for queue"),
        (NumberUpdate, {"routing": {"kind": "forward", "target": "204"}}, "routing.target", "E.164"),
        (
            NumberUpdate,
            {"routing": {"kind": "agent", "target": "a", "targt": "b"}},
            "routing.targt",
            "no such parameter",
        ),
        (
            NumberUpdate,
            {"sms": {"enable": True}},
            "sms.enable",
            "no such parameter; expected one of enabled, forward_to",
        ),
        (NumberUpdate, {"sms": {"extra": {"a": 1}}}, "sms.extra", "no such parameter"),
        (MessageSend, {**CALL}, "body", "expected one of body, media_urls, template_id"),
        (MessageSend, {**CALL, "body": "x", "to": "ext:204"}, "to", "E.164"),
        (MessageSend, {**CALL, "body": ""}, "body", "1 to 1600"),
        (MessageSend, {**CALL, "body": "a" * 1601}, "body", "1 to 1600"),
        (MessageSend, {**CALL, "body": "x", "template_id": "t"}, "body", "got template_id and body"),
        (
            MessageSend,
            {**CALL, "body": "x", "template_variables": {}},
            "template_variables",
            "together with template_id",
        ),
        (MessageSend, {**CALL, "media_urls": []}, "media_urls", "1 to 10"),
        (MessageSend, {**CALL, "media_urls": ["https://x"] * 11}, "media_urls", "1 to 10"),
        (MessageSend, {**CALL, "media_urls": ["https://x", "x"]}, "media_urls[1]", "absolute"),
        (MessageList, {"channel": "fax"}, "channel", "expected one of 'sms', 'mms'"),
        (MessageList, {"direction": "up"}, "direction", "expected one of"),
        (RecordingList, {"limit": 1000}, "limit", "1 to 200"),
        (WebhookCreate, {"url": "example.com", "events": ["call.start"]}, "url", "absolute"),
        (WebhookCreate, {"url": "https://x", "events": []}, "events", "1 to 50"),
        (
            WebhookCreate,
            {"url": "https://x", "events": ["call.start", "call.end"]},
            "events[1]",
            "expected one of call.answered",
        ),
        (WebhookCreate, {"url": "https://x", "events": "call.start"}, "events", "got str"),
        (WebhookList, {"limit": -1}, "limit", "1 to 200"),
    ],
)
def test_unsound_parameters(cls: type[Params], given: dict[str, Any], param: str, why: str) -> None:
    """What cannot be right is refused with the name of the parameter and what would be right."""
    with refused(param, why) as caught:
        codec.parse_params(given, cls)
    assert caught.value.param == param
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("cls", "given", "missing"),
    [
        (CallCreate, {"from": FROM}, True),
        (CallCreate, {**CALL, "to": "x"}, False),
        (CallTransfer, {}, True),
        (CallTransfer, {"agent_id": "a", "to": TO}, False),
        (NumberUpdate, {}, True),
        (NumberUpdate, {"routing": {}}, True),
        (NumberUpdate, {"routing": {"kind": "queue"}}, True),
        (NumberUpdate, {"sms": {"enable": True}}, False),
        (MessageSend, CALL, True),
    ],
)
def test_missing_is_told_apart(cls: type[Params], given: dict[str, Any], missing: bool) -> None:
    """A parameter that is missing is told apart from one that is wrong."""
    with pytest.raises(InvalidParameterError) as caught:
        codec.parse_params(given, cls)
    assert caught.value.missing is missing


@pytest.mark.parametrize("value", [None, [], "to", 5, [("to", TO)]])
def test_only_objects_are_parameters(value: Any) -> None:
    """A body that is no JSON object is refused as a whole."""
    with refused("body", "expected a JSON object"):
        codec.parse_params(value, CallCreate)


def test_unknown_names_are_cut() -> None:
    """A name nobody knows is repeated, but not without end."""
    with pytest.raises(InvalidParameterError) as caught:
        codec.parse_params({**CALL, "x" * 5000: 1}, CallCreate)
    assert len(caught.value.message) < 400


def test_ready_made_objects_are_parameters() -> None:
    """Objects, as well as dictionaries, may be given for what is nested, and an object keeps its unknown fields."""
    routing = Routing(kind=RoutingKind.AGENT, target="a", extra={"new": 1})
    params = codec.parse_params({"routing": routing}, NumberUpdate)
    assert codec.to_wire(params) == {"routing": {"kind": "agent", "target": "a", "new": 1}}
    spec = CampaignSpec(name="x", mode="power", contacts=(TO,))
    assert codec.parse_params({"from": FROM, "campaign": spec}, CampaignCreate).campaign is spec


def test_parameters_are_masked() -> None:
    """The repr of parameters holds no whole phone number."""
    shown = repr(codec.parse_params({"from": FROM, "campaign": CAMPAIGN}, CampaignCreate))
    assert TO not in shown
    assert FROM not in shown
    assert "+1415***34" in shown


@pytest.mark.parametrize(
    ("cls", "given", "name"),
    [
        (MessageSend, {**CALL, "body": "\ud83d"}, "body"),
        (CallCreate, {**CALL, "metadata": {"a": "\udc00"}}, "metadata.a"),
    ],
)
def test_half_a_surrogate_pair_in_a_body(cls: type[Params], given: dict[str, Any], name: str) -> None:
    """Text that UTF-8 cannot carry is the caller's mistake, and told as one by the name of its parameter."""
    with refused(name, "half of a surrogate pair"):
        codec.encode(codec.parse_params(given, cls))


@pytest.mark.parametrize("given", ["yesterday", "2026-11-23", "2026-11-23T09:30:00+99:99"])
def test_text_that_is_no_time(given: str) -> None:
    """The error says what a time is, in the words that the API uses for a query."""
    with refused("created_after", "an RFC 3339 time with its timezone, such as"):
        codec.parse_params({"created_after": given}, CallList)


# Query strings.

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="[]"), min_size=1, max_size=20)
_TIMES = st.datetimes(datetime(1000, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
_BY_FIELD: dict[str, st.SearchStrategy[Any]] = {
    "limit": st.integers(1, 200),
    "cursor": _TEXT,
    "campaign_id": _TEXT,
    "agent_id": _TEXT,
    "conversation_id": _TEXT,
    "created_after": _TIMES,
    "created_before": _TIMES,
    "direction": st.sampled_from(Direction),
    "channel": st.sampled_from(Channel),
    "type": st.sampled_from(NumberType),
    "capability": st.sampled_from(Capability),
    "country": st.sampled_from(["US", "DE"]),
    "area_code": st.text("0123456789", min_size=1, max_size=15),
    "contains": st.text("0123456789", min_size=1, max_size=15),
    "metadata": st.dictionaries(
        _KEYS, st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=3
    ),
}
QUERIES = sorted({route.query for route in ROUTES.values() if route.query}, key=lambda cls: cls.__name__)


def _query(cls: type[Params]) -> st.SearchStrategy[Params]:
    statuses = st.sampled_from(CallStatus) if cls is CallList else st.sampled_from(["available", "active"])
    by_field = _BY_FIELD | {"status": statuses}
    return st.fixed_dictionaries({}, optional={f.name: by_field[f.name] for f in attrs.fields(cls)}).map(
        lambda kw: cls(**kw)
    )


@pytest.mark.parametrize("cls", QUERIES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_queries_round_trip(cls: type[Params], data: st.DataObject) -> None:
    """What is written into a query string is read out of it."""
    params = data.draw(_query(cls))
    pairs = codec.to_query(params)
    assert all(type(name) is str and type(value) is str for name, value in pairs)
    assert codec.parse_query(pairs, cls) == params


def test_how_a_query_looks() -> None:
    """Times in UTC, objects in brackets, nothing for what is not given."""
    params = codec.parse_params(
        {
            "created_after": "2026-11-23T11:30:00+02:00",
            "status": "ringing",
            "metadata": {"a b": "1", "c": "&"},
            "limit": 5,
        },
        CallList,
    )
    assert codec.to_query(params) == [
        ("created_after", "2026-11-23T09:30:00.000Z"),
        ("status", "ringing"),
        ("metadata[a b]", "1"),
        ("metadata[c]", "&"),
        ("limit", "5"),
    ]


@pytest.mark.parametrize(
    ("pairs", "param", "why"),
    [
        ([("offset", "5")], "offset", "no such parameter"),
        ([("limit_", "5")], "limit_", "no such parameter"),
        ([("limit", "5"), ("limit_", "6")], "limit_", "no such parameter"),
        ([("Limit", "5")], "Limit", "no such parameter"),
        ([("", "5")], "", "no such parameter"),
        ([("metadata[a", "5")], "metadata[a", "no such parameter"),
        ([("metadata[]", "5")], "metadata[]", "no such parameter"),
        ([("meta[a]", "5")], "meta", "no such parameter"),
        ([("limit", "5"), ("limit", "5")], "limit", "expected once"),
        ([("metadata[a]", "5"), ("metadata[a]", "6")], "metadata", "expected once"),
        ([("metadata", "5"), ("metadata[a]", "6")], "metadata", "expected once"),
        ([("metadata[a]", "6"), ("metadata", "5")], "metadata", "expected once"),
        ([("metadata", "5")], "metadata", "got str"),
        ([("status[a]", "ringing")], "status", "got object"),
        ([("limit", "five")], "limit", "got str"),
        ([("limit", " 5")], "limit", "got str"),
        ([("limit", "0")], "limit", "1 to 200"),
        ([("limit", "9" * 5000)], "limit", ""),
        ([("limit", "null")], "limit", "expected a value, got 'null'"),
        ([("limit", "")], "limit", ""),
        ([("status", "null")], "status", "expected a value, got 'null'"),
        ([("status", "")], "status", "expected one of 'queued'"),
        ([("status", "rining")], "status", "expected one of"),
        ([("created_after", "1715800000")], "created_after", "RFC 3339"),
        ([("created_after", "-1715800000.5")], "created_after", "RFC 3339"),
        ([("created_after", "1.7e9")], "created_after", "RFC 3339"),
        ([("created_after", "nan")], "created_after", "RFC 3339"),
        ([("created_after", "")], "created_after", "RFC 3339"),
        ([("created_after", "null")], "created_after", "RFC 3339"),
        ([("created_after", "2026-11-23")], "created_after", ""),
        ([("created_after", "2026-11-23T09:30:00")], "created_after", "timezone"),
    ],
)
def test_unsound_queries(pairs: list[tuple[str, str]], param: str, why: str) -> None:
    """Unknown names, repetitions, and values that would be no filter at all are refused with the name."""
    with refused(param, why) as caught:
        codec.parse_query(pairs, CallList)
    assert caught.value.param == param


def test_null_is_a_text_where_texts_are_expected() -> None:
    """An id or a metadata value may be called null."""
    params = codec.parse_query([("campaign_id", "null"), ("metadata[null]", "null"), ("cursor", "5")], CallList)
    assert (params.campaign_id, params.metadata, params.cursor) == ("null", {"null": "null"}, "5")


@pytest.mark.parametrize("given", [{"cursor": "\ud800"}, {"metadata": {"\udc00": "a"}}, {"metadata": {"a": "\udc00"}}])
def test_half_a_surrogate_pair_in_a_query(given: dict[str, Any]) -> None:
    """Text that UTF-8 cannot carry is refused with the name of its parameter."""
    with refused(next(iter(given)), "half of a surrogate pair"):
        codec.to_query(codec.parse_params(given, CallList))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["limit", "status", "cursor", "metadata[a]", "created_after"]) | st.text(max_size=9),
            st.text(max_size=20),
        ),
        max_size=4,
    )
)
def test_any_query(pairs: list[tuple[str, str]]) -> None:
    """Whatever the query string, it is parameters or an `InvalidParameterError`."""
    try:
        params = codec.parse_query(pairs, CallList)
    except InvalidParameterError as error:
        assert error.why
    else:
        assert sum(len(value) if name == "metadata" else 1 for name, value in codec.to_wire(params).items()) == len(
            pairs
        )


# Paths.

WITH_ID = [route for route in ROUTES.values() if "{id}" in route.path]


def test_the_endpoints_of_the_reference() -> None:
    """API reference, Core Endpoints: these, and none more."""
    assert {(route.method, route.path) for route in ROUTES.values()} == {
        ("GET", "/v1/calls"),
        ("POST", "/v1/calls"),
        ("GET", "/v1/calls/{id}"),
        ("POST", "/v1/calls/{id}/transfer"),
        ("GET", "/v1/numbers"),
        ("POST", "/v1/numbers"),
        ("PUT", "/v1/numbers/{id}"),
        ("DELETE", "/v1/numbers/{id}"),
        ("GET", "/v1/messages"),
        ("POST", "/v1/messages"),
        ("GET", "/v1/recordings"),
        ("GET", "/v1/recordings/{id}"),
        ("GET", "/v1/transcripts/{id}"),
        ("GET", "/v1/webhooks"),
        ("POST", "/v1/webhooks"),
        ("DELETE", "/v1/webhooks/{id}"),
    }


@pytest.mark.parametrize("route", ROUTES.values(), ids=list(ROUTES))
def test_routes_make_sense(route: Route[Any]) -> None:
    """The status follows the method, bodies go with writes, queries with reads, and there is no body after 204."""
    assert ROUTES[route.name] is route
    created = route.method == "POST" and "{id}" not in route.path
    assert route.status == (201 if created else 204 if route.method == "DELETE" else 200)
    assert (route.body is not None) == (route.method in {"POST", "PUT"})
    assert route.listing == (route.query is not None)
    assert (route.returns is type(None)) == (route.status == 204)


@pytest.mark.parametrize(
    ("id", "path"),
    [
        ("call_8f2a1b3c", "/v1/calls/call_8f2a1b3c"),
        ("a/b", "/v1/calls/a%2Fb"),
        ("../webhooks", "/v1/calls/..%2Fwebhooks"),
        ("%2e%2e", "/v1/calls/%252e%252e"),
        ("a?b#c", "/v1/calls/a%3Fb%23c"),
        ("a b\\é;{id}", "/v1/calls/a%20b%5C%C3%A9%3B%7Bid%7D"),
        ("...", "/v1/calls/..."),
        ("x" * 256, "/v1/calls/" + "x" * 256),
    ],
)
def test_ids_are_quoted(id: str, path: str) -> None:
    """An id is one segment of the path, whatever it holds."""
    assert ROUTES["calls.retrieve"].path_for(id) == path


@pytest.mark.parametrize("id", [None, "", ".", "..", "a\nb", "a\x00", "\x7f", "\ud800", "x" * 257, 5, b"call_1", ["a"]])
@pytest.mark.parametrize("route", WITH_ID, ids=lambda route: route.name)
def test_no_ids(route: Route[Any], id: Any) -> None:
    """What is no id is refused before it is a path."""
    with refused("id", "expected an id such as 'call_8f2a1b3c'"):
        route.path_for(id)


@pytest.mark.parametrize("route", WITH_ID, ids=lambda route: route.name)
@settings(max_examples=50, deadline=None)
@given(id=st.text(max_size=20) | st.text("./%\\?#&;@:~", max_size=6))
def test_no_id_reaches_another_endpoint(route: Route[Any], id: str) -> None:
    """Whatever the id, the path has as many segments as the route, none of them a dot segment, and no query."""
    try:
        path = route.path_for(id)
    except InvalidParameterError:
        return
    assert path.isascii()
    assert not set("?#\\; ") & set(path)
    segments = path.split("/")
    assert len(segments) == len(route.path.split("/"))
    assert not {"", ".", ".."} & set(segments[1:])
    assert [a for a, b in zip(segments, route.path.split("/"), strict=True) if b != "{id}"] == [
        b for b in route.path.split("/") if b != "{id}"
    ]


def test_paths_without_an_id() -> None:
    """A path without an id needs none."""
    assert ROUTES["calls.list"].path_for() == "/v1/calls"
