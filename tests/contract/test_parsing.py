"""What is taken for JSON: text that is no Unicode, and nesting."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async import parse_event
from ajoxi_async.contract import codec
from ajoxi_async.contract.calls import Call, CallCreate
from ajoxi_async.contract.codec import DecodeError
from ajoxi_async.contract.encoding.parsing import MAX_DEPTH, MOST_FLOATS, MOST_PARTS, MOST_TEXTS, parse_json
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.numbers import Number, NumberUpdate, Routing, RoutingKind
from ajoxi_async.contract.signing import sign
from ajoxi_async.contract.transcripts import Segment, Transcript
from ajoxi_async.contract.wire import Response
from ajoxi_async.protocol.answers import error_body_of

BAD = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (rb'"\ud83d"', BAD),
        (rb'"\uDE00"', BAD),
        (rb'"\ude00\ud83d"', BAD * 2),
        (rb'"\ud83d\ud83d\ude00"', f"{BAD}\N{GRINNING FACE}"),
        (rb'"\uD83D\uDE00\uDE00"', f"\N{GRINNING FACE}{BAD}"),
        (rb'"cut \ud83d"', f"cut {BAD}"),
        (rb'"\ud83d\u0041\ud83d\n"', f"{BAD}A{BAD}\n"),
        (rb'{"\ud83d": 1}', {BAD: 1}),
        (rb'["\\ud83d", "\ud83d"]', [r"\ud83d", BAD]),
        (rb'["\\\ud83d", "\\\\ud83d"]', [f"\\{BAD}", r"\\ud83d"]),
        (rb'["\"\ud83d\"", "\\"]', [f'"{BAD}"', "\\"]),
        (rb'["\ud83d", "\u00e9 \ud83d\ude00"]', [BAD, "é \N{GRINNING FACE}"]),
        (b'"a\xffb"', f"a{BAD}b"),
        (b'{"a\xff": 1}', {f"a{BAD}": 1}),
        (b'"\xf0\x9f\x98"', BAD),
        (b'"\xed\xa0\xbd"', BAD),
        (b'"\xed\xa0\xbd\\ud83d\xff\xc3\xa9"', f"{BAD * 3}é"),
    ],
)
def test_bad_text_costs_one_replacement_character(document: bytes, value: object) -> None:
    """Half a surrogate pair, escaped or encoded, and bytes that are not UTF-8 cost one U+FFFD each and nothing else."""
    assert parse_json(document) == value
    with pytest.raises(DecodeError, match="^not JSON: "):
        parse_json(document, strict=True)


EVENT = (
    rb'{"id": "evt_1", "type": "message.received", "created_at": "2026-11-23T09:30:00Z", '
    rb'"data": {"id": "msg_1", "body": "see you \ud83d"}}'
)


@pytest.mark.parametrize(
    "text_of",
    [
        lambda: parse_event(EVENT, sign(EVENT, ["whsec_a"]), "whsec_a").data.body,  # type: ignore[attr-defined]
        lambda: codec.decode_page(rb'{"data": [{"id": "msg_1", "body": "see you \ud83d"}]}', Message).data[0].body,
        lambda: codec.decode(rb'{"id": "msg_1", "body": "see you \ud83d"}', Message).body,
        lambda: codec.decode(rb'{"sequence": 1, "text": "see you \ud83d"}', Segment).text,
        lambda: error_body_of(Response(422, {}, rb'{"error": {"code": "x", "message": "see you \ud83d"}}')).message,  # type: ignore[union-attr]
    ],
    ids=["webhook", "list", "object", "segment", "error"],
)
def test_a_cut_emoji_costs_one_character_wherever_it_stands(text_of: Callable[[], str]) -> None:
    """An event, a page, an object, a segment and an error body survive half of an emoji."""
    assert text_of() == f"see you {BAD}"


def test_the_raw_bytes_of_a_mended_event_stay() -> None:
    """The signature is over the bytes as they came, and ``raw`` holds them."""
    assert parse_event(EVENT, sign(EVENT, ["whsec_a"]), "whsec_a").raw == EVENT


_UNITS = st.lists(st.integers(0, 0xFFFF), max_size=12)


def _well_formed(units: list[int]) -> str:
    raw = b"".join(unit.to_bytes(2, "little") for unit in units)
    text = raw.decode("utf-16-le", "surrogatepass")
    return re.sub("[\ud800-\udfff]", BAD, text)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.integers(0xD7F0, 0xE010), st.sampled_from([0x5C, 0x22, 0x75, 0x64, 0x41])), max_size=12)
    | _UNITS,
    st.booleans(),
)
def test_any_sequence_of_utf16_units(units: list[int], upper: bool) -> None:
    """Whatever UTF-16 units are escaped, the text is the one with U+FFFD for each half; sound pairs and the rest stay."""
    escape = "\\u{:04X}" if upper else "\\u{:04x}"
    written = "".join(
        escape.format(unit) if unit > 0x7E or unit < 0x20 else json.dumps(chr(unit))[1:-1] for unit in units
    )
    assert parse_json(f'["{written}"]'.encode()) == [_well_formed(units)]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(_JSON, st.booleans())
def test_sound_documents_stay_as_they_are(value: Any, ascii_only: bool) -> None:
    """What is JSON already is read as any parser reads it, with escapes and without."""
    written = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert parse_json(written) == json.loads(written)


@pytest.mark.parametrize(
    "piece",
    [rb"\ud83d", rb"\ud83dx", rb"\ud83", rb"\\", rb"\n", b"\xff", rb"\ud83d\ude00", b'","', b'["', b"[", b"{", b"[[]"],
    ids=repr,
)
def test_hostile_bodies_are_read_in_linear_time(piece: bytes) -> None:
    """A body of a megabyte, whatever it repeats, takes less than a second or two, never minutes."""
    body = rb'{"a": "\ud83d' + piece * (1_000_000 // len(piece)) + b'"}'
    for document in (body, b"[" + piece * (1_000_000 // len(piece))):
        began = time.perf_counter()
        try:
            parse_json(document)
        except DecodeError:
            pass
        assert time.perf_counter() - began < 5


# Nesting.


def _nested(depth: int, kind: str) -> bytes:
    opening, closing = {"list": ("[", "]"), "object": ('{"a":', "}"), "both": ('[{"a":', "}]")}[kind]
    levels = depth // 2 if kind == "both" else depth
    return (opening * levels + ("1" if kind != "list" else "") + closing * levels).encode()


@pytest.mark.parametrize("limit", [1000, 100_000])
@pytest.mark.parametrize("kind", ["list", "object", "both"])
def test_the_depth_of_json_is_bounded_by_rule(kind: str, limit: int) -> None:
    """64 levels are read and more are not, whatever the recursion limit; no depth can overflow the stack."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, before))
    try:
        assert parse_json(_nested(MAX_DEPTH, kind))
        for depth in (MAX_DEPTH + 2, 200, 5000, 1_000_000):
            with pytest.raises(DecodeError, match="^not JSON: nested deeper than 64 levels"):
                parse_json(_nested(depth, kind))
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("cut", [b"[" * 1_000_000, b'{"a":' * 100_000, b"[{" * 100_000])
def test_nesting_without_an_end(cut: bytes) -> None:
    """A document that only opens is refused before it is parsed."""
    with pytest.raises(DecodeError, match="nested deeper"):
        parse_json(cut)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500,
        "]" * 500,
        "{" * 500,
        '"' + "[" * 500,
        "\\" + "[" * 500,
        '\\"[' * 300,
        "[" * 100 + "\\" * 7,
        '"],["' * 200,
    ],
)
def test_brackets_in_texts_are_no_nesting(text: str) -> None:
    """Only brackets outside of strings count, whatever quotes and backslashes stand around them."""
    document = {"a": [text, text[::-1]], text: {"b": text}}
    assert parse_json(json.dumps(document).encode()) == document
    assert parse_json(json.dumps([document] * 200).encode()) == [document] * 200


@settings(max_examples=200, deadline=None)
@given(st.integers(60, 70), st.lists(st.text('[]{}"\\,:ab', max_size=6), min_size=1, max_size=5), st.booleans())
def test_depth_is_counted_exactly(depth: int, texts: list[str], objects: bool) -> None:
    """The bound holds to the level, with brackets, quotes and backslashes in keys and texts at every level."""
    value: Any = texts[0]
    for level in range(depth):
        text = texts[level % len(texts)]
        value = (
            {text: value, f"{text}2": text} if objects and level % 2 else [text, value, *([[text]] if level else [])]
        )
    document = json.dumps(value).encode()
    if depth <= MAX_DEPTH:
        assert parse_json(document) == json.loads(document)
    else:
        with pytest.raises(DecodeError, match="nested deeper"):
            parse_json(document)


@pytest.mark.parametrize("text", [b"[" * 10 + b"]" * 9, b"]" * 100, b"[}" * 40, b'{"a":]' * 3, b"}{" * 100])
def test_brackets_that_do_not_match(text: bytes) -> None:
    """What is no JSON is refused, whether or not it looks deep."""
    with pytest.raises(DecodeError, match="^not JSON: "):
        parse_json(text)


def _tower(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def _circle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [_tower(100), _tower(100_000), _circle()], ids=["100", "100000", "circle"])
def test_the_depth_of_what_callers_give_is_bounded(value: Any) -> None:
    """Metadata, and the extra fields of a model that is given, are refused by name where they are nested too deep."""
    with pytest.raises(InvalidParameterError, match="^metadata: nested deeper than 64 levels"):
        codec.parse_params({"to": "+14155551234", "from_": "+14155550100", "metadata": {"a": value}}, CallCreate)
    routing = Routing(kind=RoutingKind.AGENT, target="a", extra={"a": value})
    with pytest.raises(InvalidParameterError, match="^extra: nested deeper than 64 levels"):
        codec.parse_params({"routing": routing}, NumberUpdate)
    while isinstance(value, list) and value and value[0] is not value:  # or the collector recurses
        value = value.pop()


def test_extra_fields_that_json_cannot_hold() -> None:
    """What cannot be written as JSON is a wrong parameter and no foreign error."""
    routing = Routing(kind=RoutingKind.AGENT, target="a", extra={"a": object()})
    with pytest.raises(InvalidParameterError, match="expected what JSON can hold"):
        codec.encode(codec.parse_params({"routing": routing}, NumberUpdate))


@pytest.mark.parametrize("limit", [1000, 100_000])
@pytest.mark.parametrize(
    ("document", "level", "read"),
    [
        (b'{"id": "call_1", "new": %s}', 1, lambda body: codec.decode(body, Call)),
        (b'{"id": "num_1", "routing": {"kind": "agent", "new": %s}}', 2, lambda body: codec.decode(body, Number)),
        (b'{"id": "t_1", "segments": [{"sequence": 1, "new": %s}]}', 3, lambda body: codec.decode(body, Transcript)),
        (b'{"data": [{"id": "call_1", "new": %s}]}', 3, lambda body: codec.decode_page(body, Call)),
        (b'{"data": [{"id": "call_1", "extra": %s}]}', 3, lambda body: codec.decode_page(body, Call)),
        (
            b'{"data": [{"id": "call_1", "new": 1}, {"id": "call_2", "new": %s}]}',
            3,
            lambda body: codec.decode_page(body, Call),
        ),
        (b'{"data": [], "new": %s}', 1, lambda body: codec.decode_page(body, Call)),
        (
            b'{"data": [], "next_cursor": null, "has_more": false, "new": %s}',
            1,
            lambda body: codec.decode_page(body, Call),
        ),
    ],
    ids=[
        "object",
        "nested object",
        "nested list",
        "page",
        "page, extra",
        "page, later",
        "beside a page",
        "beside a whole page",
    ],
)
def test_unknown_fields_are_bounded_to_the_level(
    document: bytes, level: int, read: Callable[[bytes], Any], limit: int
) -> None:
    """An unknown field may be as deep as the document may be, whatever the recursion limit, and not a level more."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, before))
    try:
        for kind in ("list", "object", "both"):
            steps = 1 if kind != "both" else 2
            most = (MAX_DEPTH - level) // steps * steps
            read(document % _nested(most, kind))
            for depth in (most + steps, 300, 50_000):
                with pytest.raises(DecodeError, match="^not JSON: nested deeper than 64 levels"):
                    read(document % _nested(depth, kind))
    finally:
        sys.setrecursionlimit(before)


def test_known_fields_are_no_deeper_than_their_type() -> None:
    """A known field that is nested too deep is refused, whether by its type or by the rule."""
    for depth in (MAX_DEPTH, 5000, 50_000):
        for name in (b"status", b"metadata", b"created_at", b"duration"):
            with pytest.raises(DecodeError):
                codec.decode(b'{"id": "call_1", "%s": %s}' % (name, _nested(depth, "list")), Call)


def test_models_share_no_containers() -> None:
    """Missing and null fields get containers of their own, so that a caller who changes one changes one model."""
    one, other = codec.decode_page(b'{"data": [{"id": "a"}, {"id": "b", "metadata": null}]}', Call).data
    for model in (one, other):
        model.metadata["mine"] = model.id
        model.extra["mine"] = model.id
    assert (one.metadata, one.extra) == ({"mine": "a"}, {"mine": "a"})
    assert (other.metadata, other.extra) == ({"mine": "b"}, {"mine": "b"})
    assert codec.decode(b'{"id": "c"}', Call).metadata == codec.decode(b'{"id": "c"}', Call).extra == {}


def test_unknown_fields_keep_sixty_levels() -> None:
    """A field this version does not know is kept as it came, as deep as the rule allows."""
    call = codec.decode(b'{"id": "call_1", "new": ' + _nested(MAX_DEPTH - 1, "list") + b"}", Call)
    assert codec.decode(codec.encode(call), Call) == call


@pytest.mark.parametrize(
    ("document", "most"),
    [
        (lambda amount: [[]] * (amount - 1), MOST_PARTS),
        (lambda amount: [{}] * (amount - 1), MOST_PARTS),
        (lambda amount: {str(number): "[{,:" for number in range(amount - 1)}, MOST_PARTS),
        (lambda amount: {"a": [{'"\\': {}}] * ((amount - 2) // 3)}, MOST_PARTS),
        (lambda amount: ['[":'] * amount, MOST_TEXTS),
        (lambda amount: [1.5] * amount, MOST_FLOATS),
        (lambda amount: {"a": [1.5e300] * amount}, MOST_FLOATS),
    ],
)
def test_a_bounded_document(document: Callable[[int], Any], most: int) -> None:
    """A document may have so many arrays, objects and members, or floats; one with a few more is refused where it matters."""
    assert parse_json(json.dumps(document(most)).encode(), bounded=True) == document(most)
    over = json.dumps(document(most + 10)).encode()
    with pytest.raises(DecodeError, match=f"^not taken: more than {most}"):
        parse_json(over, bounded=True)
    assert parse_json(over) == document(most + 10)


def test_texts_are_not_bounded_by_what_they_hold() -> None:
    """Brackets, colons and quotes in texts count for nothing, nor do whole numbers."""
    for body in (["[{:" * 40_000], ["[", ":", '"'] * 10_000, [1] * 200_000, {"to": '\\"[' * 100_000}):
        assert parse_json(json.dumps(body).encode(), bounded=True) == body
