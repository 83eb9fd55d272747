"""What callers give: subclasses, foreign numbers and collections, by their value."""

from __future__ import annotations

import array
import enum
import json
import numbers
from collections import ChainMap, OrderedDict, UserDict, UserString, deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.http import QueryDict
from django.utils.safestring import SafeString

from ajoxi_async.contract import codec
from ajoxi_async.contract.calls import CallCreate, CallList, CampaignCreate
from ajoxi_async.contract.encoding.exact_values import exact, integer, seconds
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.messages import MessageSend
from ajoxi_async.contract.numbers import NumberUpdate, Routing
from ajoxi_async.contract.routes import CALLS_RETRIEVE

TO, FROM = "+14155551234", "+14155550100"


class Lying(str):  # noqa: SLOT000
    """A text that prints, formats and joins as another."""

    def __str__(self) -> str:
        return "lie"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return "lie"

    def __radd__(self, other: str) -> str:
        return "lie"

    def encode(self, *args: Any) -> bytes:
        return b"lie"

    def __iter__(self) -> Iterator[str]:
        return iter("lie")


class Stamp(datetime):
    """As pandas' Timestamp and freezegun's FakeDatetime: a datetime with ways of its own."""

    def isoformat(self, *args: Any, **kwargs: Any) -> str:
        return "lie"

    def astimezone(self, tz: tzinfo | None = None) -> Any:
        return "lie"


class NoTime(datetime):
    """As pandas' NaT: a datetime that is none."""

    @property
    def year(self) -> Any:
        return float("nan")


class Whole:
    """As NumPy's int64: an integer that is no int."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value


numbers.Integral.register(Whole)


class Array:
    """As NumPy's array."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def tolist(self) -> Any:
        return self._values


class Size(enum.IntEnum):
    FIVE = 5


class Team(enum.StrEnum):
    BLUE = "blue"


def _sent(cls: Any, **params: Any) -> Any:
    """What travels."""
    return json.loads(codec.encode(codec.parse_params(params, cls)))


@pytest.mark.parametrize("kind", [str, Lying, SafeString, type("Own", (str,), {})])
def test_a_subclass_of_str_is_a_str_by_its_value(kind: Any) -> None:
    """Wherever a text goes, a subclass of str is sent by its value, whatever it prints as."""
    body = _sent(CallCreate, to=kind(TO), from_=kind(FROM), metadata={kind("team"): kind("blue")})
    assert body == {"to": TO, "from": FROM, "metadata": {"team": "blue"}}
    spec = {"name": kind("x"), "mode": kind("power"), "contacts": [kind(TO)]}
    assert _sent(CampaignCreate, from_=FROM, campaign=spec)["campaign"] == {**spec, "contacts": [TO], "mode": "power"}
    query = {"status": kind("completed"), "campaign_id": kind("camp_1"), "metadata": {kind("a"): kind("b")}}
    pairs = codec.to_query(codec.parse_params(query, CallList))
    assert sorted(pairs) == [("campaign_id", "camp_1"), ("metadata[a]", "b"), ("status", "completed")]
    assert all(type(part) is str for pair in pairs for part in pair)
    assert CALLS_RETRIEVE.path_for(kind("call_1")) == "/v1/calls/call_1"
    assert CALLS_RETRIEVE.path_for(kind("a b")) == "/v1/calls/a%20b"
    assert _sent(NumberUpdate, routing=Routing(kind=kind("agent"), target=kind("a"), extra={"b": kind("c")})) == {
        "routing": {"kind": "agent", "target": "a", "b": "c"}
    }


@pytest.mark.parametrize(
    "zone", [UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=11, seconds=1))]
)
def test_a_subclass_of_datetime_is_a_datetime(zone: tzinfo) -> None:
    """A Timestamp or FakeDatetime, in any zone, is sent as the moment it is."""
    moment = datetime(2026, 3, 29, 2, 30, tzinfo=zone)
    stamp = Stamp(2026, 3, 29, 2, 30, tzinfo=zone)
    pairs = dict(codec.to_query(codec.parse_params({"created_after": stamp}, CallList)))
    assert pairs == {"created_after": codec.format_time(moment)}
    assert type(exact(stamp)) is datetime
    assert exact(Stamp(2026, 10, 25, 2, 30, fold=1)).fold == 1


@pytest.mark.parametrize("wrong", [datetime(2026, 1, 1), Stamp(2026, 1, 1), NoTime(2026, 1, 1), 5, "soon"])
def test_what_is_no_moment_is_refused(wrong: Any) -> None:
    """A naive datetime, pandas' NaT and what is no time at all are refused by name."""
    with pytest.raises(InvalidParameterError, match="^created_after: "):
        codec.parse_params({"created_after": wrong}, CallList)


@pytest.mark.parametrize("five", [5, Size.FIVE, Whole(5), type("Own", (int,), {})(5), Array(5)])
def test_an_integer_of_any_kind_is_an_integer(five: Any) -> None:
    """NumPy's integers, enum members and subclasses of int are taken where a number is expected."""
    assert dict(codec.to_query(codec.parse_params({"limit": five}, CallList))) == {"limit": "5"}
    assert _sent(CallCreate, to=TO, from_=FROM, ring_timeout=five)["timeout"] == 5
    assert type(exact(five)) is int
    if not isinstance(five, Array):
        assert integer(five) == 5


@pytest.mark.parametrize("wrong", [True, 5.0, Decimal(5), Fraction(5), "5", [5], {}, object()])
def test_what_is_no_integer_is_refused(wrong: Any) -> None:
    """A bool is no number, and nothing is rounded or parsed."""
    with pytest.raises(InvalidParameterError, match="^limit: "):
        codec.parse_params({"limit": wrong}, CallList)
    assert integer(wrong) is None


def test_seconds() -> None:
    """Any real number counts as seconds; a bool, a NaN, a Decimal and what is none do not."""
    half = type("Own", (float,), {"__str__": lambda self: "9"})(0.5)
    assert [seconds(value) for value in (1, 0.5, half, Size.FIVE, Fraction(1, 2))] == [1.0, 0.5, 0.5, 5.0, 0.5]
    assert type(seconds(half)) is float
    for wrong in (True, float("nan"), Decimal("0.5"), "1", None, 10**400, timedelta(1), 1j):
        assert seconds(wrong) is None


def _query_dict() -> Mapping[str, str]:
    if not django_settings.configured:
        django_settings.configure()
    return QueryDict("team=red&team=blue")


class OwnMapping(Mapping[str, str]):
    def __getitem__(self, key: str) -> str:
        return {"team": "blue"}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(["team"])

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    "metadata",
    [
        MappingProxyType({"team": "blue"}),
        OrderedDict(team="blue"),
        UserDict(team="blue"),
        ChainMap({"team": "blue"}, {"team": "red"}),
        OwnMapping(),
        _query_dict(),
        {"team": Team.BLUE},
    ],
    ids=lambda given: type(given).__name__,
)
def test_any_mapping_is_an_object(metadata: Any) -> None:
    """Metadata may be any Mapping; of a QueryDict the last value of each name counts, as it does for Django."""
    assert _sent(CallCreate, to=TO, from_=FROM, metadata=metadata)["metadata"] == {"team": "blue"}
    assert codec.to_query(codec.parse_params({"metadata": metadata}, CallList)) == [("metadata[team]", "blue")]


@pytest.mark.parametrize(
    "contacts",
    [(TO,), {TO}, frozenset({TO}), deque([TO]), {TO: 1}.keys(), iter([TO]), (one for one in [TO]), Array([Lying(TO)])],
    ids=lambda given: type(given).__name__,
)
def test_any_collection_is_a_list(contacts: Any) -> None:
    """Tuples, sets, views, generators and arrays are taken where a list is."""
    body = _sent(CampaignCreate, from_=FROM, campaign={"name": "x", "mode": "power", "contacts": contacts})
    assert body["campaign"]["contacts"] == [TO]


@pytest.mark.parametrize(
    "wrong", [TO, TO.encode(), bytearray(b"+"), UserString(TO), 5, object(), array.array("i", [1])]
)
def test_what_is_no_list_is_refused(wrong: Any) -> None:
    """A text is no list of texts, and neither are bytes or an array of numbers."""
    with pytest.raises(InvalidParameterError, match="^campaign.contacts"):
        _sent(CampaignCreate, from_=FROM, campaign={"name": "x", "mode": "power", "contacts": wrong})


@pytest.mark.parametrize("wrong", [{1: "a"}, {("a",): "b"}, {"a": 1}, {"a": None}, {"a": b"x"}, [("a", "b")], "a"])
def test_metadata_holds_strings_only(wrong: Any) -> None:
    """Nothing is turned into a string by itself."""
    with pytest.raises(InvalidParameterError, match="^metadata"):
        codec.parse_params({"to": TO, "from": FROM, "metadata": wrong}, CallCreate)


def test_a_model_of_the_callers_own_is_checked() -> None:
    """A model made by hand checks nothing itself, so it is checked where it is given, by name."""
    for wrong in (Routing(kind="agent", target=5), Routing(kind=5), Routing(kind="moon", target="a")):  # type: ignore[arg-type]
        with pytest.raises(InvalidParameterError, match="^routing"):
            codec.parse_params({"routing": wrong}, NumberUpdate)


def test_what_is_given_stays_the_callers() -> None:
    """The caller's objects are copied, and changed neither here nor by what they do with them later."""
    metadata = {"team": "blue"}
    params = codec.parse_params({"to": TO, "from_": FROM, "metadata": metadata}, CallCreate)
    metadata["team"] = "red"
    assert params.metadata == {"team": "blue"}
    assert _sent(MessageSend, to=TO, from_=FROM, body=Lying("hello"))["body"] == "hello"
