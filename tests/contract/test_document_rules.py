"""The published document and the checks of parameters allow the same requests: neither more nor less."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import jsonschema_rs
import pytest

from ajoxi_async.contract import codec, request_schemas
from ajoxi_async.contract.base import Params
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.routes import ROUTES
from ajoxi_async.contract.rules import AtLeastOne, ExactlyOne, Form, NotWith, OnlyWith, combined

from .published import DOCUMENT

TO, FROM = "+14155551234", "+14155550100"
URL = "https://example.com/a.png"

#: A body with everything in it that may be given, whether together or not.
BODIES: dict[str, dict[str, Any]] = {
    "CallCreate": {
        "to": TO,
        "from": FROM,
        "ai_receptionist": True,
        "record": False,
        "timeout": 30,
        "metadata": {"team": "blue"},
        "agent_id": "agent_1",
    },
    "CampaignCreate": {
        "from": FROM,
        "campaign": {"name": "spring", "mode": "power", "contacts": [TO]},
        "timeout": 30,
        "metadata": {"team": "blue"},
    },
    "CallTransfer": {"agent_id": "agent_1", "extension": "204", "to": "ext:204"},
    "NumberProvision": {
        "phone_number": TO,
        "routing": {"kind": "agent", "target": "agent_1"},
        "caller_id": {"name": "Acme"},
        "sms": {"enabled": True, "forward_to": TO},
        "port": {"carrier": "Acme", "account_number": "7", "authorized_by": "Ada"},
    },
    "NumberUpdate": {
        "routing": {"kind": "forward", "target": TO},
        "caller_id": {"name": None},
        "sms": {"enabled": None, "forward_to": None},
    },
    "MessageSend": {
        "to": TO,
        "from": FROM,
        "body": "hello",
        "media_urls": [URL],
        "template_id": "t",
        "template_variables": {"name": "Ada"},
    },
    "WebhookCreate": {"url": URL, "events": ["call.started"]},
}
QUERIES: dict[str, dict[str, Any]] = {
    "CallList": {
        "created_after": "2026-11-23T09:30:00Z",
        "created_before": "2026-11-23T09:30:00.5+02:00",
        "status": "ringing",
        "direction": "inbound",
        "campaign_id": "camp_1",
        "metadata": {"team": "blue"},
        "limit": 50,
    },
    "NumberSearch": {
        "type": "local",
        "country": "US",
        "area_code": "415",
        "contains": "5",
        "capability": "sms",
        "status": "active",
        "limit": 1,
    },
    "MessageList": {"direction": "inbound", "channel": "sms", "conversation_id": "conv_1", "limit": 200},
    "RecordingList": {
        "created_after": "2026-11-23T09:30:00Z",
        "created_before": "2026-11-23T09:30:00Z",
        "agent_id": "agent_1",
        "limit": 1,
    },
    "WebhookList": {"limit": 5},
}
CLASSES = {cls.__name__: cls for route in ROUTES.values() for cls in (route.body, route.query) if cls is not None}

TEXTS = [
    "", " ", "a", "null", "\n", "\x00", "\x7f", "é", "😀", "x" * 64, "x" * 65, "x" * 200, "x" * 201, "😀" * 64, "😀" * 65,
    "x" * 512, "x" * 513, "x" * 1600, "x" * 1601, "x" * 4096, "x" * 4097,
    "5", "204", "2" * 15, "2" * 16, "٢٠٤", "204\n", "-1", "US", "us", "USA", "ÜS", "U1", "US\n",
    TO, "+1234567", "+123456", "+123456789012345", "+1234567890123456", "+0123456789", f"{TO}\n", f" {TO}", "4155551234",
    "+१४१५५५५१२३४", "ext:2", "ext:1234567890", "ext:12345678901", "ext:", "EXT:204", "ext:204\n",
    "power", "preview", "agent", "queue", "forward", "ai_receptionist", "ringing", "active", "released", "inbound", "fax",
    "mms", "toll_free", "call.start", "call.ended", "message.received",
    URL, "http://", "https://", "http:///x", "http://x", "HTTPS://X", "ftp://x", "//x", "http://x:0", "http://x:1",
    "http://x:65535", "http://x:65536", "http://x:99999", "http://x:080", "http://x:", "http://x y", "http://x/ y",
    "http://x/\t", "http://x/\x7f", "http://u@x", "http://u:p@x", "http://[::1]", "http://[::1]:80/x", "http://[::1",
    "http://[x]", "http://x?a=1#b", "http://x#", "http://xn--bcher-kva.example", "http://bücher.example", "http://x/ü",
    "http://x\\y", "http://x/" + "a" * 2039, "http://x/" + "a" * 2040, "http://℀", "http://x\n",
    "2026-11-23T09:30:00Z", "2026-11-23t09:30:00z", "2026-11-23T09:30:00.123456789Z", "2026-11-23T09:30:00+23:59",
    "2026-11-23T09:30:00-00:00", "2016-12-31T23:59:60Z", "2026-11-23T09:30:60Z", "2026-11-23T09:30:00", "2026-11-23",
    "2026-11-23 09:30:00Z", "2026-11-23T09:30:00+0200", "2026-11-23T09:30:00+24:00", "2026-02-30T00:00:00Z",
    "2024-02-29T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T09:30Z", "2026-11-23T09:30:00.Z", "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-23:59",
    "10000-01-01T00:00:00Z", "20261123T093000Z", "1715800000", "2026-11-23T09:30:00Z\n", "٢٠٢٦-11-23T09:30:00Z",
]  # fmt: skip
VALUES: list[Any] = [
    *TEXTS,
    None, True, False, 0, 1, -1, 5, 600, 601, 200, 201, 30.0, 30.5, 1e300, 10**30,
    [], [None], [5], [[]], [TO], [TO, "x"], [TO] * 10_000, [TO] * 10_001, [URL], [URL] * 10, [URL] * 11, ["http://"], [""],
    ["call.started"] * 50, ["call.started"] * 51, ["call.start", "call.end"],
    {}, {"a": "b"}, {"a": ""}, {"": "b"}, {"a": 5}, {"a": None}, {"a": {}}, {"a[b": "c"}, {"a]": "c"}, {"a\nb": "c"},
    {"ключ 1": "\n"}, {"k" * 64: "v" * 512}, {"k" * 65: "v"}, {"😀" * 64: "v"}, {"k": "v" * 513}, {"k\n": "v"},
    {str(n): "" for n in range(50)}, {str(n): "" for n in range(51)}, {"name": "x"}, {"enabled": True}, {"enabled": "yes"},
    {"kind": "queue"}, {"kind": "ai_receptionist"}, {"kind": "ai_receptionist", "target": None}, {"kind": None},
    {"kind": "queue", "target": ""}, {"kind": "moon", "target": "a"}, {"target": "a"}, {"kind": "forward", "target": "204"},
]  # fmt: skip


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a body."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _changed(body: Mapping[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(dict(body))
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def _without(body: Mapping[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(dict(body))
    place = changed
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return changed


def _sound(body: dict[str, Any], allowed: jsonschema_rs.Validator) -> list[dict[str, Any]]:
    """The largest parts of a body that the document allows."""
    for size in range(len(body), 0, -1):
        found = [dict(part) for part in combinations(body.items(), size) if allowed.is_valid(dict(part))]
        if found:
            return found
    return []


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]}, validate_formats=True, ignore_unknown_formats=False
    )


def _taken(body: Any, cls: type[Params]) -> bool:
    try:
        codec.parse_body(body, cls)
    except InvalidParameterError:
        return False
    return True


@pytest.mark.parametrize("name", BODIES)
def test_bodies(name: str) -> None:
    """Whatever stands in one place of a sound body: it is taken where the document allows it, and else refused."""
    allowed = _validator({"$ref": f"#/components/schemas/{name}"})
    sound = _sound(BODIES[name], allowed)
    assert sound
    verdicts = set()
    for body in sound:
        bodies = [_changed(body, path, value) for path in _paths(body) for value in VALUES]
        bodies += [_without(body, path) for path in _paths(body)]
        bodies += [
            body | {unknown: value} for unknown in ("colour", "from_", "ring_timeout") for value in (None, 1, "x")
        ]
        for changed in bodies:
            expected = allowed.is_valid(changed)
            assert _taken(changed, CLASSES[name]) is expected, changed
            verdicts.add(expected)
    assert verdicts == {True, False}


@pytest.mark.parametrize("name", BODIES)
def test_what_goes_together(name: str) -> None:
    """Each part of a body, with the rest of it left out or null, is taken where the document allows it."""
    allowed = _validator({"$ref": f"#/components/schemas/{name}"})
    whole = BODIES[name]
    for size in range(len(whole) + 1):
        for part in combinations(whole.items(), size):
            for rest in ({}, dict.fromkeys(whole)):
                body = rest | dict(part)
                assert _taken(body, CLASSES[name]) is allowed.is_valid(body), body


@pytest.mark.parametrize("value", [None, [], "to", 5, True, [{"to": TO}]])
@pytest.mark.parametrize("name", BODIES)
def test_only_objects_are_bodies(name: str, value: Any) -> None:
    """What is no object is neither allowed nor taken."""
    assert not _validator({"$ref": f"#/components/schemas/{name}"}).is_valid(value)
    assert not _taken(value, CLASSES[name])


def _pairs(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A query as it travels."""
    pairs = []
    for name, value in query.items():
        pairs += (
            [(f"{name}[{key}]", str(item)) for key, item in value.items()]
            if type(value) is dict
            else [(name, str(value))]
        )
    return pairs


def _query_taken(query: Mapping[str, Any], cls: type[Params]) -> bool:
    try:
        codec.parse_query(_pairs(query), cls)
    except InvalidParameterError:
        return False
    return True


@pytest.mark.parametrize("name", QUERIES)
def test_queries(name: str) -> None:
    """Whatever a parameter of a query holds: it is taken where the document allows it, and else refused."""
    cls = CLASSES[name]
    schemas = request_schemas.query_schemas(cls)
    verdicts = set()
    assert schemas.keys() == QUERIES[name].keys() | {"cursor"}
    for parameter, good in QUERIES[name].items():
        allowed = _validator(schemas[parameter])
        assert allowed.is_valid(good)
        values = [value for value in VALUES if type(value) is type(good)]
        if type(good) is dict:
            # What has no name cannot be written in brackets, and what is empty is not written at all.
            values = [v for v in values if v and all(type(item) is str and "[" not in key for key, item in v.items())]
        for value in values:
            expected = allowed.is_valid(value)
            assert _query_taken({**QUERIES[name], parameter: value}, cls) is expected, (parameter, value)
            verdicts.add(expected)
    assert verdicts == {True, False}


def _rules(schema: dict[str, Any]) -> dict[str, Any]:
    # Descriptions are docstrings, which -OO takes away.
    return {keyword: value for keyword, value in schema.items() if keyword != "description"}


def test_every_parameter_of_a_query_is_in_the_document() -> None:
    """What a query may hold is the same in the document as where it is checked."""
    for route in ROUTES.values():
        if route.query is not None:
            shown = DOCUMENT["paths"][route.path][route.method.lower()]["parameters"]
            schemas = {one["name"]: _rules(one["schema"]) for one in shown if one["in"] == "query"}
            stated = request_schemas.query_schemas(route.query)
            assert schemas == {name: _rules(schema) for name, schema in stated.items()}


def test_bodies_are_all_here() -> None:
    """Every set of parameters that travels as a body or a query is judged by these tests."""
    assert CLASSES.keys() == BODIES.keys() | QUERIES.keys()


# How rules about several parameters combine.


def _form(given: str = "", absent: str = "") -> Form:
    return Form(frozenset(given), frozenset(absent))


def test_combined_rules() -> None:
    """Ways that contradict themselves, and ways that are part of another, are left out."""
    assert combined((ExactlyOne(("a", "b")),)) == [_form("a", "b"), _form("b", "a")]
    assert combined((AtLeastOne(("a", "b")),)) == [_form("a"), _form("b")]
    rules = (AtLeastOne(("a", "b")), NotWith("a", ("b",)), OnlyWith("c", "a"))
    assert combined(rules) == [_form("a", "b"), _form("b", "ac")]
    assert combined(()) == [_form()]
