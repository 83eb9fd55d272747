"""Subclasses and foreign numbers, from the method's arguments to the wire."""

from __future__ import annotations

import enum
import re
from collections import UserString
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ajoxi_async import AsyncAjoxi, ConfigurationError, InvalidParameterError, OutcomeUnknownError, RetryPolicy
from ajoxi_async.protocol.credentials import check_base_url, check_token
from tests.client.fakes import KEY, ScriptedTransport, answer, client_on, lost
from tests.contract.test_given import Lying, Size, Whole

pytestmark = pytest.mark.anyio


class Lane(enum.StrEnum):
    BULK = "bulk"


OPTIONS: dict[str, Any] = {
    "timeout": Fraction(5, 2),
    "lane": Lane.BULK,
    "extra_query": MappingProxyType({Lying("new"): Lying("value")}),
    "extra_headers": {Lying("X-Trace"): Lying("1")},
}


async def test_options_of_a_call_by_their_value() -> None:
    """Options may be subclasses and foreign mappings too; what is sent are their values."""
    transport = ScriptedTransport(answer(200, {"data": [{"id": "call_1"}] * 3}))
    client = client_on(transport)
    pager = client.calls.list(
        status=Lying("completed"), limit=Whole(3), max_items=Whole(2), cursor=Lying("here"), **OPTIONS
    )
    assert type(pager.cursor) is str
    assert len([call async for call in pager]) == 2
    request = transport.requests[0]
    query = parse_qs(urlsplit(request.url).query)
    assert query == {"status": ["completed"], "limit": ["3"], "cursor": ["here"], "new": ["value"]}
    assert request.headers["X-Trace"] == "1"
    assert type(request.headers["X-Trace"]) is str
    assert request.timeout is not None
    assert 2 < request.timeout <= 2.5


class _NoOffset(tzinfo):
    def utcoffset(self, _moment: datetime | None) -> None:
        """It gives none."""

    dst = tzname = utcoffset


class _FarOffset(tzinfo):
    def utcoffset(self, _moment: datetime | None) -> timedelta:
        return timedelta(hours=50)


@pytest.mark.parametrize("zone", [None, _NoOffset(), _FarOffset()])
async def test_times_without_a_sound_offset(zone: tzinfo | None) -> None:
    """A time whose zone gives no offset is a local one to Python; it is refused as any time without a zone is."""
    transport = ScriptedTransport(answer(200, {"data": []}))
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone)
    for resource in (client_on(transport).calls, client_on(transport).recordings):
        with pytest.raises(InvalidParameterError, match="^created_after: "):
            await resource.list(created_after=moment)
    with pytest.raises(InvalidParameterError, match="^body: "):
        await client_on(transport).request("POST", "/v1/faxes", body={"at": moment})
    assert not transport.requests


HALF = "x\ud83d"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"agent_id": HALF}, "agent_id"),
        ({"metadata": {"a": HALF}}, "metadata.a"),
        ({"metadata": {HALF: "a"}}, "metadata"),
        ({"extra_body": {"new": ["a", HALF]}}, r"extra_body\.new\[1\]"),
        ({"metadata": UserString("a")}, "metadata"),
        ({"metadata": re.match("a", "a")}, "metadata"),
    ],
)
async def test_what_no_body_can_hold(given: dict[str, Any], name: str) -> None:
    """Half of a surrogate pair, and objects that only look like mappings, are refused by the name of their parameter."""
    transport = ScriptedTransport(answer(200, {"id": "call_1"}))
    with pytest.raises(InvalidParameterError, match=f"^{name}: "):
        await client_on(transport).calls.create(to="+14155551234", from_="+14155550100", **given)
    assert not transport.requests


@pytest.mark.parametrize("param", ["routing", "caller_id", "sms"])
async def test_names_that_are_no_text(param: str) -> None:
    """A number as the name of a member is no such parameter, and no TypeError."""
    transport = ScriptedTransport(answer(200, {"id": "num_1"}))
    with pytest.raises(InvalidParameterError, match=rf"^{param}\.1: no such parameter"):
        await client_on(transport).numbers.update("num_1", **{param: {1: "x"}})
    assert not transport.requests


@pytest.mark.parametrize("wrong", [True, -1, 2.0, Decimal(2), "2", Whole(-1), float("nan")])
def test_what_is_no_number_of_items(wrong: Any) -> None:
    """A bool and what is no integer are refused before anything is sent."""
    with pytest.raises(InvalidParameterError, match="^max_items: "):
        client_on(ScriptedTransport(answer())).calls.list(max_items=wrong)


@pytest.mark.parametrize("wrong", [True, 0, -1.0, float("nan"), float("inf"), Decimal(5), "5", 10**400])
async def test_what_is_no_timeout(wrong: Any) -> None:
    """A bool, a Decimal and what does not bound anything are refused by name."""
    with pytest.raises(InvalidParameterError, match="^timeout: "):
        await client_on(ScriptedTransport(answer())).calls.retrieve("call_1", timeout=wrong)


@pytest.mark.parametrize("number", [5, Size.FIVE, 5.0, Fraction(5)])
async def test_spans_of_a_stream(number: Any) -> None:
    """Any real number is a span of time, and the stream's errors can still be printed."""
    client = client_on(ScriptedTransport(answer(503)))
    for stream in (
        client.events("GET", "/x", idle_timeout=number, max_outage=number),
        client.transcripts.stream("call_1", idle_timeout=number, max_outage=number),
    ):
        assert stream._source._rules.max_outage == 5.0
        assert type(stream._source._rules.idle_timeout) is float
        assert "within 5 s" in str(stream._source._interrupted("cut"))
    for wrong in (True, 0, float("nan"), "5", Decimal(5)):
        with pytest.raises(InvalidParameterError, match="max_outage: expected seconds"):
            client.events("GET", "/x", max_outage=wrong)


async def test_references_go_into_any_mapping() -> None:
    """A client reference is added to whatever Mapping the metadata is, and the error of the call holds exact texts."""
    client = client_on(ScriptedTransport(lost(sent=True)), client_references=True)
    with pytest.raises(OutcomeUnknownError) as caught:
        await client.calls.create(
            to=Lying("+14155551234"), from_=Lying("+14155550100"), metadata=MappingProxyType({"team": Lying("blue")})
        )
    error = caught.value
    assert (type(error.to), error.to, error.from_) == (str, "+14155551234", "+14155550100")
    assert len(error.client_reference or "") == 32


@pytest.mark.parametrize("contacts", [{"+14155551234": 1}, "+14155551234", b"+1", 5, None])
async def test_contacts_that_are_no_list(contacts: Any) -> None:
    """An object is no list of its keys."""
    client = client_on(ScriptedTransport(answer()))
    with pytest.raises(InvalidParameterError, match="^campaign"):
        await client.calls.create_campaign(name="x", mode="power", contacts=contacts, from_="+14155550100")


def test_a_policy_of_foreign_numbers() -> None:
    """A policy takes integers and real numbers of any kind, and keeps plain ones."""
    policy = RetryPolicy(max_retries=Whole(3), base=Fraction(1, 2), quota=Size.FIVE, writes=Lying("strict"))  # type: ignore[arg-type]
    assert (policy.max_retries, policy.base, policy.quota, policy.writes) == (3, 0.5, 5, "strict")
    assert {type(policy.max_retries), type(policy.quota)} == {int}
    assert type(policy.writes) is str


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_retries": True},
        {"max_retries": 2.0},
        {"quota": None},
        {"base": "1"},
        {"cap": float("nan")},
        {"cap": None},
        {"patience": Decimal(1)},
        {"max_elapsed": 0},
        {"writes": None},
        {"writes": ["always"]},
    ],
)
def test_a_policy_that_cannot_be_meant(wrong: dict[str, Any]) -> None:
    """Each wrong value is a ConfigurationError with its name, whatever its type."""
    with pytest.raises(ConfigurationError, match=f"^{next(iter(wrong))}: expected"):
        RetryPolicy(**wrong)


async def test_very_many_retries() -> None:
    """The backoff of the thousandth retry is the cap, and no overflow."""
    client = client_on(ScriptedTransport(lost(sent=False)), retry=RetryPolicy(max_retries=1200, quota=5000, cap=0.01))
    with pytest.raises(Exception, match="the connection broke"):
        await client.calls.retrieve("call_1")


def test_tokens_and_urls_by_their_value() -> None:
    """A token and a base URL are kept as plain texts."""
    assert type(check_token(Lying("tok"))) is str
    assert type(check_base_url(Lying("https://api.ajoxi.com/"))) is str
    assert AsyncAjoxi(KEY, base_url=Lying("http://127.0.0.1:9/")).base_url == "http://127.0.0.1:9"
