"""Models: what the API sends, decoded as it is, and nothing lost."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args, get_origin, get_type_hints

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ajoxi_async.contract import base, calls, codec, messages, numbers, recordings, transcripts, webhooks
from ajoxi_async.contract.base import Model, OpenEnum
from ajoxi_async.contract.calls import Call, CallStatus, Direction, Disposition
from ajoxi_async.contract.codec import DecodeError
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.numbers import Capability, Number, Routing, RoutingKind
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.transcripts import Segment, Transcript, TranscriptCompleted, Word
from ajoxi_async.contract.webhooks import EVENT_CLASSES, Event, EventType, UnknownEvent, Webhook

MODULES = (base, calls, messages, numbers, recordings, transcripts, webhooks)
MODELS = sorted(
    {
        thing
        for module in MODULES
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Model) and thing not in {Model, base.Resource, Event}
    },
    key=lambda cls: cls.__name__,
)
ENUMS = sorted(
    {
        thing
        for module in MODULES
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, OpenEnum) and thing is not OpenEnum
    },
    key=lambda cls: cls.__name__,
)


def _is_time(hint: Any) -> bool:
    return hint is datetime or any(_is_time(part) for part in get_args(hint))


def _moments() -> st.SearchStrategy[datetime]:
    """Times as the wire can hold them: whole milliseconds in UTC."""
    moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))
    return moments.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))


_TEXT = st.text(max_size=20)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


def _values(hint: Any) -> st.SearchStrategy[Any]:
    """What a field of this type may hold."""
    args = get_args(hint)
    if hint is Any:
        return _JSON
    if hint is type(None):
        return st.none()
    if hint is datetime:
        return _moments()
    if hint is str:
        return _TEXT
    if hint is bool:
        return st.booleans()
    if hint is int:
        return st.integers(-(2**63), 2**63 - 1)
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if isinstance(hint, type) and issubclass(hint, OpenEnum):
        return (st.sampled_from(list(hint)) | _TEXT).map(hint)
    if isinstance(hint, type) and issubclass(hint, Model):
        return objects(hint)
    if get_origin(hint) is tuple:
        return st.lists(_values(args[0]), max_size=3).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(_TEXT, _values(args[1]), max_size=3)
    return st.one_of(*(st.just(arg) if isinstance(arg, str) else _values(arg) for arg in args))


def objects(cls: type[Model]) -> st.SearchStrategy[Any]:
    """Objects of a model, with some of its fields and some fields nobody knows."""
    hints = get_type_hints(cls)
    fields = [field for field in attrs.fields(cls) if field.name not in {"extra", "raw"}]
    known = {codec.wire_name(field.name) for field in fields}
    needed = {field.name: _values(hints[field.name]) for field in fields if field.default is attrs.NOTHING}
    optional = {field.name: _values(hints[field.name]) for field in fields if field.name not in needed}
    optional["extra"] = st.dictionaries(_TEXT.filter(lambda key: key not in known), _JSON, max_size=3)
    return st.fixed_dictionaries(needed, optional=optional).map(lambda given: cls(**given))


def body_of(cls: type[Model]) -> dict[str, Any]:
    """The least body that is an object of this class."""
    body: dict[str, Any] = {}
    hints = get_type_hints(cls)
    for field in attrs.fields(cls):
        if field.default is attrs.NOTHING:
            hint = hints[field.name]
            body[field.name] = body_of(hint) if hint not in {str, int} else ("x_1" if hint is str else 1)
    return body


# What the reference shows.


def test_the_created_call() -> None:
    """API reference, 201 Created: the three-field body is a call."""
    call = codec.decode(
        b'{\n  "id": "call_8f2a1b3c",\n  "status": "ringing",\n  "ai_handler": "receptionist_v2"\n}', Call
    )
    assert call == Call(id="call_8f2a1b3c", status=CallStatus.RINGING, ai_handler="receptionist_v2")
    assert call.status is CallStatus.RINGING
    assert (call.to, call.created_at, call.metadata, call.extra) == (None, None, {}, {})


def test_a_whole_call() -> None:
    """Every field of a completed call arrives with its type."""
    body = {
        "id": "call_8f2a1b3c",
        "status": "completed",
        "ai_handler": None,
        "direction": "outbound",
        "from": "+14155550100",
        "to": "ext:204",
        "created_at": "2026-11-23T09:30:00.000Z",
        "answered_at": "2026-11-23T09:30:05.250Z",
        "ended_at": "2026-11-23T09:31:05.250Z",
        "duration": 60,
        "disposition": "no_answer",
        "agent_id": "agent_00000001",
        "campaign_id": "camp_00000001",
        "recording_id": "rec_00000001",
        "recording_url": "https://api.ajoxi.com/r/1",
        "transcript_id": "tr_00000001",
        "metadata": {"lead": "7"},
    }
    call = codec.decode(json.dumps(body).encode(), Call)
    assert call.from_ == "+14155550100"
    assert call.answered_at == datetime(2026, 11, 23, 9, 30, 5, 250_000, tzinfo=UTC)
    assert (call.direction, call.disposition) == (Direction.OUTBOUND, Disposition.NO_ANSWER)
    assert call.metadata == {"lead": "7"}
    assert call.extra == {}
    assert call.to_dict() == body


def test_the_page() -> None:
    """API reference, Pagination: data, next_cursor and has_more."""
    body = b'{"data": [{"id": "call_8f2a1b3c"}], "next_cursor": "Y3Vyc29yX2FmMmI...", "has_more": true}'
    page = codec.decode_page(body, Call)
    assert page == codec.PageBody((Call(id="call_8f2a1b3c"),), "Y3Vyc29yX2FmMmI...", True)


@pytest.mark.parametrize(
    ("rest", "cursor", "more"),
    [
        ({"next_cursor": None, "has_more": False}, None, False),
        ({}, None, False),
        ({"next_cursor": ""}, None, False),
        ({"next_cursor": "c"}, "c", True),
        ({"next_cursor": None, "has_more": True}, None, False),
        ({"next_cursor": "c", "has_more": False}, "c", True),
        ({"next_cursor": "c", "has_more": "yes", "total": 9}, "c", True),
    ],
)
def test_the_cursor_decides(rest: dict[str, Any], cursor: str | None, more: bool) -> None:
    """API reference, Pagination: when next_cursor is null, the end is reached, whatever has_more says."""
    page = codec.decode_page(json.dumps({"data": [], **rest}).encode(), Call)
    assert (page.data, page.next_cursor, page.has_more) == ((), cursor, more)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"{}",
        b'{"data": null}',
        b'{"data": {}}',
        b'{"data": [], "next_cursor": 5}',
        b'{"data": [], "next_cursor": ["x"]}',
        b'{"data": [null]}',
        b'{"data": [[]]}',
    ],
)
def test_no_page(body: bytes) -> None:
    """A body that is no page is a `DecodeError`."""
    with pytest.raises(DecodeError, match="not a page"):
        codec.decode_page(body, Call)


def test_the_item_at_fault_is_named() -> None:
    """An item that does not fit is named by its place on the page."""
    with pytest.raises(DecodeError, match=r"not a page of Call: .*\$\[1\]\.duration"):
        codec.decode_page(b'{"data": [{"id": "a"}, {"id": "b", "duration": "5"}]}', Call)


# Unknown, missing, null, wrong.


def test_items_of_a_page_do_not_depend_on_each_other() -> None:
    """Each item of a page is read as if it came alone, whatever names the items before it had."""
    at = "2026-11-23T09:30:00.123456789Z"
    shapes: list[dict[str, Any]] = [
        {"id": "a"},
        {"id": "b", "from": "+14155550100"},
        {"id": "c", "to": "+14155550100"},
        {"to": "+14155550101", "id": "d"},
        {"id": "e", "new": [1]},
        {"id": "f", "extra": {"new": 1}},
        {"id": "g", "from_": "+14155550100"},
        {"id": "h", "metadata": None, "created_at": at},
        {"id": "i", "metadata": {"a": "b"}, "created_at": None},
    ]
    page = [item for one in shapes for other in shapes for item in (one, other, one, one)]
    data = codec.decode_page(json.dumps({"data": page}).encode(), Call).data
    assert data == tuple(codec.decode(json.dumps(item).encode(), Call) for item in page)
    assert [model.extra for model in data[-4:]] == [{}] * 4
    assert {json.dumps(model.extra) for model in data if model.id in "efg"} == {
        '{"new": [1]}',
        '{"extra": {"new": 1}}',
        '{"from_": "+14155550100"}',
    }


def test_unknown_fields_at_every_depth() -> None:
    """What is not known is kept where it was, and travels back."""
    body = {
        "id": "rec_1",
        "new": {"a": [1, None]},
        "transcript": {
            "id": "tr_1",
            "new": 1,
            "segments": [
                {"sequence": 1, "new": 2, "words": [{"text": "hi", "new": 3}, {"extra": 4}]},
                {"sequence": 2, "raw": 5, "from_": 6},
            ],
        },
    }
    recording = codec.decode(json.dumps(body).encode(), Recording)
    transcript = recording.transcript
    assert transcript is not None
    assert recording.extra == {"new": {"a": [1, None]}}
    assert transcript.extra == {"new": 1}
    assert [segment.extra for segment in transcript.segments] == [{"new": 2}, {"raw": 5, "from_": 6}]
    assert [word.extra for word in transcript.segments[0].words] == [{"new": 3}, {"extra": 4}]

    told = recording.to_dict()
    assert told["new"] == {"a": [1, None]}
    assert told["transcript"]["new"] == 1
    assert told["transcript"]["segments"][1]["raw"] == 5
    assert told["transcript"]["segments"][0]["words"][1]["extra"] == 4
    assert codec.decode(codec.encode(recording), Recording) == recording


@pytest.mark.parametrize("cls", MODELS)
def test_unknown_fields_of_every_model(cls: type[Model]) -> None:
    """Every model keeps a field it does not know, even one called as an attribute of its own."""
    unknown = {"zz_new": [1, {"a": None}], "extra": {"q": 1}, "raw": "text", "from_": "text"}
    body = body_of(cls) | unknown
    decoded = codec.decode(json.dumps(body).encode(), cls)
    assert decoded.extra == unknown
    assert decoded.to_dict().items() >= unknown.items()


@pytest.mark.parametrize("cls", MODELS)
def test_only_the_identity_is_needed(cls: type[Model]) -> None:
    """Any field but the identity may be missing, and null counts as missing where there is no None."""
    body = body_of(cls)
    least = codec.decode(json.dumps(body).encode(), cls)
    nulls = {codec.wire_name(f.name): None for f in attrs.fields(cls) if f.name not in {"extra", "raw"}} | body
    assert codec.decode(json.dumps(nulls).encode(), cls) == least


@pytest.mark.parametrize("cls", [cls for cls in MODELS if body_of(cls)])
def test_the_identity_is_needed(cls: type[Model]) -> None:
    """A missing identity is told with its name."""
    for name in body_of(cls):
        body = body_of(cls)
        del body[name]
        with pytest.raises(DecodeError, match=f"not a {cls.__name__}: .*`{name}`"):
            codec.decode(json.dumps(body).encode(), cls)


@pytest.mark.parametrize(
    ("cls", "field", "value", "place"),
    [
        (Call, "id", None, "$.id"),
        (Call, "id", 5, "$.id"),
        (Call, "status", 5, "$.status"),
        (Call, "status", ["ringing"], "$.status"),
        (Call, "duration", "60", "$.duration"),
        (Call, "duration", 60.5, "$.duration"),
        (Call, "duration", True, "$.duration"),
        (Call, "from", 14155550100, "$.from_"),
        (Call, "metadata", [], "$.metadata"),
        (Call, "metadata", {"k": 1}, "$.metadata[...]"),
        (Call, "created_at", 1715800000, "$.created_at"),
        (Call, "created_at", "2026-11-23", "$.created_at"),
        (Call, "created_at", "2026-11-23T09:30:00", "$.created_at"),
        (Call, "created_at", "2026-13-23T09:30:00Z", "$.created_at"),
        (Number, "capabilities", "voice", "$.capabilities"),
        (Number, "capabilities", ["voice", None], "$.capabilities[1]"),
        (Number, "routing", "agent", "$.routing"),
        (Number, "routing", [{}], "$.routing"),
        (Number, "sms", {"enabled": "yes"}, "$.sms.enabled"),
        (Message, "media", [{"url": 5}], "$.media[0].url"),
        (Transcript, "segments", {}, "$.segments"),
        (Transcript, "segments", {"sequence": 1}, "$.segments"),
        (Transcript, "segments", [{"sequence": 1}, None], "$.segments[1]"),
        (Transcript, "segments", [{"sequence": 1}, {"sequence": "2"}], "$.segments[1].sequence"),
        (Transcript, "segments", [{"sequence": 1, "words": [{}, {"start": "0"}]}], "$.segments[0].words[1].start"),
        (Recording, "transcript", {"id": 5}, "$.transcript.id"),
        (Webhook, "events", "call.started", "$.events"),
    ],
)
def test_nothing_is_coerced(cls: type[Model], field: str, value: Any, place: str) -> None:
    """A value of another type is a `DecodeError` that says where."""
    with pytest.raises(DecodeError) as caught:
        codec.decode(json.dumps({"id": "x_1", field: value}).encode(), cls)
    assert f"at `{place}`" in str(caught.value)
    assert str(caught.value).startswith(f"not a {cls.__name__}: ")


def test_a_whole_number_is_a_float() -> None:
    """JSON has one kind of number: 1 is a fine sentiment."""
    recording = codec.decode(b'{"id": "rec_1", "sentiment": 1}', Recording)
    assert recording.sentiment == 1.0
    assert type(recording.sentiment) is float


# What is no JSON.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"id": "call_1"',
        b'{"id": "call_1"}}',
        b'{"id": "call_1"}{"id": "call_2"}',
        b"{'id': 'call_1'}",
        b'{"id": NaN}',
        b'{"id": Infinity}',
        b'{"id": "a", "duration": 1e999}',
        b'{"id": "a", "x": ' + b"1" * 5000 + b"}",
        b'{"id": "\\ud800}',
        b'{"id": "\\ud80"}',
        b'{"id": "a", \xff}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"<html>502</html>",
        b"\x00",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_no_json(body: bytes) -> None:
    """What is not JSON is a `DecodeError`, from whichever way in."""
    for decode in (
        lambda: codec.decode(body, Call),
        lambda: codec.decode_page(body, Call),
        lambda: codec.decode_event(body),
        lambda: codec.parse_json(body),
    ):
        with pytest.raises(DecodeError, match="^not JSON: "):
            decode()


def _decodes_or_refuses(body: bytes) -> None:
    for cls in (Call, Number, Message, Recording, Transcript, Segment, Webhook, TranscriptCompleted):
        for decode in (codec.decode, codec.decode_page):
            try:
                decode(body, cls)
            except DecodeError as error:
                assert str(error).startswith("not ")
    try:
        codec.decode_event(body)
    except DecodeError as error:
        assert str(error).startswith("not ")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    """Whatever the bytes, decoding them decodes or raises `DecodeError`."""
    _decodes_or_refuses(body)


_FIELDS = st.sampled_from(
    sorted({codec.wire_name(f.name) for cls in MODELS for f in attrs.fields(cls)} | {"type", "data", "next_cursor"})
)
_TYPES = st.sampled_from([*EVENT_CLASSES, "fax.sent"])
_LIKELY = st.recursive(
    _JSON | _TYPES | st.just("2026-11-23T09:30:00.000Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_FIELDS, inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(_LIKELY | st.fixed_dictionaries({"id": _TEXT, "type": _TYPES}, optional={"data": _LIKELY}))
def test_any_json(value: Any) -> None:
    """Whatever the JSON, with the API's own names all over it, decoding it decodes or raises `DecodeError`."""
    _decodes_or_refuses(json.dumps(value).encode())


# There and back.


@pytest.mark.parametrize("cls", [cls for cls in MODELS if not issubclass(cls, Event)])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_models_round_trip(cls: type[Model], data: st.DataObject) -> None:
    """Whatever a model holds, it is the same after the wire, after pickling and after copying."""
    one = data.draw(objects(cls))
    assert codec.decode(codec.encode(one), cls) == one
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one
    assert hash(copy.deepcopy(one)) == hash(one)
    assert json.loads(codec.encode(one)) == json.loads(json.dumps(one.to_dict()))


@pytest.mark.parametrize("cls", [cls for cls in MODELS if issubclass(cls, Event)])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_events_round_trip(cls: type[Event], data: st.DataObject) -> None:
    """Whatever an event holds, it is the same after the wire, and keeps the bytes it came as."""
    kinds = {known: kind for kind, known in EVENT_CLASSES.items()}
    one = attrs.evolve(data.draw(objects(cls)), type=kinds.get(cls, "fax.sent"))
    assume(one.id)  # an event without an id is none
    body = codec.encode(one)
    decoded = codec.decode_event(body)
    assert type(decoded) is cls
    assert decoded == one
    assert decoded.raw == body
    assert pickle.loads(pickle.dumps(decoded)).raw == body
    assert hash(decoded) == hash(copy.deepcopy(decoded))


def test_from_travels_as_from() -> None:
    """`from` is a keyword of Python: `from_` here, `from` on the wire, never both."""
    message = codec.decode(b'{"id": "msg_1", "from": "+14155550100"}', Message)
    assert message.from_ == "+14155550100"
    told = message.to_dict()
    assert told["from"] == "+14155550100"
    assert "from_" not in told
    assert "extra" not in told


# Times.


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 23, 9, 30, tzinfo=UTC), "2026-11-23T09:30:00.000Z"),
        (datetime(2026, 11, 23, 9, 30, 0, 999_999, tzinfo=UTC), "2026-11-23T09:30:00.999Z"),
        (datetime(2026, 11, 23, 9, 30, 0, 1_000, tzinfo=UTC), "2026-11-23T09:30:00.001Z"),
        (datetime(2026, 11, 23, 1, 30, tzinfo=timezone(timedelta(hours=2))), "2026-11-22T23:30:00.000Z"),
        (datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=-5, minutes=-30))), "2026-11-23T15:00:00.000Z"),
        (datetime(99, 1, 2, tzinfo=UTC), "0099-01-02T00:00:00.000Z"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "0001-01-01T00:00:00.000+01:00"),
    ],
)
def test_times_are_told_in_utc(moment: datetime, text: str) -> None:
    """RFC 3339 in UTC with milliseconds, never rounded up; the ends of the calendar keep their offset."""
    assert codec.format_time(moment) == text
    assert codec.decode(json.dumps({"id": "a", "created_at": text}).encode(), Call).created_at == moment.replace(
        microsecond=moment.microsecond // 1000 * 1000
    )


@pytest.mark.parametrize(
    "text", ["2026-11-23T09:30:00Z", "2026-11-23T09:30:00.000000Z", "2026-11-23T11:30:00+02:00", "2026-11-23t09:30:00z"]
)
def test_times_are_aware(text: str) -> None:
    """A time of any spelling of RFC 3339 is the same aware moment."""
    call = codec.decode(json.dumps({"id": "a", "created_at": text}).encode(), Call)
    assert call.created_at is not None
    assert call.created_at.utcoffset() is not None
    assert call.created_at == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


# What a model is.


@pytest.mark.parametrize("cls", MODELS)
def test_models_are_values(cls: type[Model]) -> None:
    """Models are frozen, slotted, hashable, picklable, and equal when their fields are."""
    one, other = (codec.decode(json.dumps(body_of(cls) | {"new": 1}).encode(), cls) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one
    assert not hasattr(one, "__dict__")
    for field in attrs.fields(cls):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(one, field.name, None)
    assert one != codec.decode(json.dumps(body_of(cls) | {"new": 2}).encode(), cls)


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (Call(id="call_8f2a1b3c"), "Call(id='call_8f2a1b3c')"),
        (
            Call(id="call_8f2a1b3c", from_="+14155550100", to="+14155551234", extra={"a": 1}),
            "Call(id='call_8f2a1b3c', from_='+1415***00', to='+1415***34')",
        ),
        (Webhook(id="wh_1", secret="whsec_abcdef"), "Webhook(id='wh_1', secret=***)"),
        (Webhook(id="wh_1", secret="of another kind"), "Webhook(id='wh_1', secret=***)"),
        (Call(id="call_1", metadata={"key": "AJX_LIVE_abc"}), "Call(id='call_1', metadata={'key': 'AJX_LIVE_***'})"),
        (
            Number(id="num_1", routing=Routing(kind=RoutingKind.FORWARD, target="+14155551234")),
            "Number(id='num_1', routing=Routing(kind=<RoutingKind.FORWARD: 'forward'>, target='+1415***34'))",
        ),
        (UnknownEvent(id="evt_1", type="x", raw=b"+14155551234"), "UnknownEvent(id='evt_1', type='x')"),
        (Segment(sequence=1, text="", is_final=False), "Segment(sequence=1, revision=1, text='', is_final=False)"),
    ],
)
def test_reprs_are_masked(model: Model, shown: str) -> None:
    """A repr shows what is set, without secrets, whole phone numbers, raw bytes and unknown fields."""
    assert repr(model) == shown


# Open enums.


@pytest.mark.parametrize("cls", ENUMS)
def test_known_values(cls: type[OpenEnum]) -> None:
    """A known value is its member, and equal to its text."""
    for member in cls:
        assert cls(member.value) is member
        assert member.known
        assert (member, str(member), f"{member}", hash(member)) == (
            member.value,
            member.value,
            member.value,
            hash(member.value),
        )
        assert pickle.loads(pickle.dumps(member)) is member
        assert copy.deepcopy(member) is member


@pytest.mark.parametrize("cls", ENUMS)
@pytest.mark.parametrize("value", ["on_hold", "", "+14155551234", "ü\n"])
def test_unknown_values(cls: type[OpenEnum], value: str) -> None:
    """A value of a newer server is a value: it compares, hashes, pickles, and says that it is not known."""
    member = cls(value)
    assert isinstance(member, cls)
    assert not member.known
    assert member == value
    assert member == cls(value)
    assert member != next(iter(cls))
    assert hash(member) == hash(value)
    assert str(member) == f"{member}" == value
    for again in (
        *(pickle.loads(pickle.dumps(member, n)) for n in range(2, 6)),
        copy.copy(member),
        copy.deepcopy(member),
    ):
        assert type(again) is cls
        assert again == value
        assert not again.known
    assert value not in [known.value for known in cls], "looking at a value must not make it known"


def test_unknown_values_on_the_wire() -> None:
    """An unknown value decodes, alone and in a list, and travels back as it came."""
    number = codec.decode(b'{"id": "num_1", "status": "parked", "capabilities": ["voice", "telepathy"]}', Number)
    assert number.status == "parked"
    assert number.capabilities == (Capability.VOICE, "telepathy")
    assert [one.known for one in number.capabilities] == [True, False]
    assert json.loads(codec.encode(number))["capabilities"] == ["voice", "telepathy"]


@pytest.mark.parametrize("value", [None, 5, b"ringing", ["ringing"]])
def test_only_text_is_a_value(value: Any) -> None:
    """What is not text is no value of an enum."""
    with pytest.raises(ValueError, match="not a valid CallStatus"):
        CallStatus(value)


# Events.

_EVENTS = {
    "call.started": (webhooks.CallStarted, Call),
    "call.answered": (webhooks.CallAnswered, Call),
    "call.completed": (webhooks.CallCompleted, Call),
    "message.received": (webhooks.MessageReceived, Message),
    "message.delivered": (webhooks.MessageDelivered, Message),
    "recording.ready": (webhooks.RecordingReady, Recording),
    "transcript.ready": (webhooks.TranscriptReady, Transcript),
}


def test_the_seven_events() -> None:
    """API reference, Webhooks: seven event types, each with a class."""
    assert [event.value for event in EventType] == list(_EVENTS)
    assert {kind: cls for kind, (cls, _) in _EVENTS.items()} == EVENT_CLASSES


@pytest.mark.parametrize("kind", _EVENTS)
def test_events_are_typed(kind: str) -> None:
    """An event has the class of its type, its data the class of the object."""
    cls, data = _EVENTS[kind]
    body = json.dumps(
        {
            "id": "evt_00000001",
            "type": kind,
            "created_at": "2026-11-23T09:30:00.000Z",
            "mode": "test",
            "data": {"id": "x_1", "new": 1},
            "attempt": 3,
        }
    ).encode()
    event = codec.decode_event(body)
    assert type(event) is cls
    assert type(event.data) is data
    assert event.data == data(id="x_1", extra={"new": 1})
    assert (event.id, event.type, event.mode, event.extra) == ("evt_00000001", kind, "test", {"attempt": 3})
    assert event.raw == body


def test_completed_calls_tell_how_they_ended() -> None:
    """API reference, Webhooks: call.completed includes duration, recording URL and final disposition."""
    event = codec.decode_event(
        b'{"id": "evt_1", "type": "call.completed", "data":'
        b' {"id": "call_1", "duration": 60, "recording_url": "https://x/1", "disposition": "voicemail"}}'
    )
    assert isinstance(event, webhooks.CallCompleted)
    assert (event.data.duration, event.data.recording_url, event.data.disposition) == (60, "https://x/1", "voicemail")


@pytest.mark.parametrize("kind", ["fax.received", "call.start", "CALL.STARTED", "", "call.started "])
@pytest.mark.parametrize("data", [{"id": "fax_1", "pages": [1]}, None, [1], "text"])
def test_unknown_events_are_kept(kind: str, data: Any) -> None:
    """An event of a type that is not known is no error: its data is kept as parsed, its bytes as received."""
    body = json.dumps({"id": "evt_1", "type": kind, "data": data}).encode()
    event = codec.decode_event(body)
    assert type(event) is UnknownEvent
    assert (event.type, event.data, event.raw) == (kind, data, body)
    assert isinstance(hash(event), int)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b'"call.started"',
        b"{}",
        b'{"id": "evt_1"}',
        b'{"id": "evt_1", "type": null}',
        b'{"id": "evt_1", "type": ["call.started"]}',
        b'{"id": "evt_1", "type": {"a": 1}}',
        b'{"type": "fax.received"}',
        b'{"id": "evt_1", "type": "call.started"}',
        b'{"id": "evt_1", "type": "call.started", "data": null}',
        b'{"id": "evt_1", "type": "call.started", "data": {}}',
        b'{"id": "evt_1", "type": "call.started", "data": []}',
        b'{"id": "evt_1", "type": "call.started", "mode": 5, "data": {"id": "call_1"}}',
    ],
)
def test_no_event(body: bytes) -> None:
    """A body without an identity, a type or the object of its type is a `DecodeError`."""
    with pytest.raises(DecodeError, match="^not a "):
        codec.decode_event(body)


def test_structuring_by_cattrs_is_the_same() -> None:
    """The converter, which other code may extend, structures and unstructures as the codec does."""
    body = {"id": "evt_1", "type": "call.started", "data": {"id": "call_1", "from": "+14155550100"}}
    event = codec.converter.structure(body, Event)
    assert event == codec.decode_event(json.dumps(body).encode())
    assert codec.converter.unstructure(event) == event.to_dict()
    assert codec.converter.structure({"text": "hi"}, Word) == Word(text="hi")
