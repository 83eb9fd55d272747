"""Is a delivery from Ajoxi, and what happened?"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import pickle
import subprocess
import sys
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async.contract import signing
from ajoxi_async.contract.codec import DecodeError
from ajoxi_async.contract.webhooks import CallCompleted, UnknownEvent
from ajoxi_async.protocol.errors import AjoxiError, ConfigurationError, InvalidParameterError, WebhookSignatureError
from ajoxi_async.webhooks import MAX_BYTES, parse_event, verify_webhook

SECRET = "whsec_5b1f0c"
OTHER = "whsec_other"
# Spaces, the order of keys and an escaped letter: nothing that survives parsing and serialising.
BODY = (
    b'{"type": "call.completed",  "id": "evt_00000001", "data": {"id": "call_8f2a1b3c", "duration": 60,'
    b' "disposition": "answered", "recording_url": "https:\\/\\/x\\/1"}, "mode": "test"}\n'
)


def signed(body: bytes = BODY, secret: str = SECRET) -> str:
    """The signature, by the standard library."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("signature", "secret"),
    [
        (signed(), SECRET),
        (signed().upper(), SECRET),
        (f"sha256={signed()}", SECRET),
        (f" {signed()} ", [SECRET]),
        (f"{signed(secret=OTHER)},{signed()}", SECRET),
        (f"{signed()}, {signed(secret=OTHER)}", (SECRET,)),
        (signed(), [OTHER, SECRET]),
        (signed(), (SECRET, OTHER)),
        (f"{signed(secret='whsec_third')}, sha256={signed().upper()}", [OTHER, SECRET]),
        (f"\u00e9\udcff, {signed()}", SECRET),
    ],
)
def test_signed(signature: str, secret: Any) -> None:
    """API reference, Webhooks: HMAC-SHA256 over the raw body; while rotating, one of several is enough."""
    assert verify_webhook(BODY, signature, secret) is None
    event = parse_event(BODY, signature, secret)
    assert type(event) is CallCompleted
    assert (event.id, event.data.duration, event.data.recording_url) == ("evt_00000001", 60, "https://x/1")
    assert event.raw == BODY


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind(kind: Any) -> None:
    """Whatever holds the raw bytes is taken, and the event keeps them as bytes."""
    event = parse_event(kind(BODY), signed(), SECRET)
    assert type(event.raw) is bytes
    assert event.raw == BODY


@pytest.mark.parametrize(
    "signature",
    [
        "0" * 64,
        signed(secret=OTHER),
        signed(BODY.rstrip()),
        signed(json.dumps(json.loads(BODY)).encode()),
        signed(b""),
        signed()[:-1],
        signed() + "00",
        f"sha1={signed()}",
        f"v1={signed()}",
        "é" * 64,
        "\udcff" * 64,
        "\ud800",
        "null",
        ",",
        SECRET,
        "x" * 100_000,
    ],
    ids=lambda text: ascii(text[:16]),
)
def test_not_signed(signature: str) -> None:
    """Anything but a signature of these bytes with this secret is refused, and nothing crashes."""
    for call in (verify_webhook, parse_event):
        with pytest.raises(WebhookSignatureError, match="no signature matches"):
            call(BODY, signature, SECRET)
        with pytest.raises(WebhookSignatureError, match="no signature matches"):
            call(BODY, signature, [SECRET, "whsec_second"])


@pytest.mark.parametrize("signature", [None, "", " ", "\t"])
def test_no_header(signature: str | None) -> None:
    """A delivery without the header says that the header is missing."""
    with pytest.raises(WebhookSignatureError, match="the delivery has no X-Ajoxi-Signature header"):
        verify_webhook(BODY, signature, SECRET)


def test_a_body_that_was_serialised_again() -> None:
    """The same JSON in other bytes is another body, and the message says what to look for."""
    again = json.dumps(json.loads(BODY)).encode()
    assert json.loads(again) == json.loads(BODY)
    with pytest.raises(WebhookSignatureError, match="not the raw bytes as received"):
        verify_webhook(again, signed(), SECRET)


@pytest.mark.parametrize("sent", [{"separators": (",", ":")}, {}, {"ensure_ascii": False}])
@pytest.mark.parametrize("dumped", [{"separators": (",", ":")}, {}, {"indent": 2}])
def test_the_diagnosis_of_a_body_that_was_serialised_again(sent: Any, dumped: Any) -> None:
    """Where the platform's own form can be found again, the message says that it was parsed and serialised."""
    parsed = {"id": "evt_1", "type": "call.completed", "note": "é"}
    original, again = (json.dumps(parsed, **how).encode() for how in (sent, dumped))
    if original != again:
        with pytest.raises(WebhookSignatureError, match="parsed and serialised again"):
            verify_webhook(again, signed(original), SECRET)


@pytest.mark.parametrize("position", [0, 40, len(BODY) - 1])
def test_one_bit(position: int) -> None:
    """One changed bit anywhere in the body is enough to be refused."""
    body = bytearray(BODY)
    body[position] ^= 1
    with pytest.raises(WebhookSignatureError):
        verify_webhook(bytes(body), signed(), SECRET)


@pytest.mark.parametrize("body", [BODY.decode(), json.loads(BODY), None, [BODY], 5])
def test_only_raw_bytes(body: Any) -> None:
    """Text or a parsed body is a mistake of the program, told with its reason, whatever the signature."""
    for call in (verify_webhook, parse_event):
        for signature in (signed(), "0", None):
            with pytest.raises(InvalidParameterError, match=r"expected the raw bytes .*the bytes are what was signed"):
                call(body, signature, SECRET)


def test_only_the_text_of_the_header() -> None:
    """A signature as bytes is a mistake of the program."""
    with pytest.raises(InvalidParameterError, match="expected the text of the header X-Ajoxi-Signature, got bytes"):
        verify_webhook(BODY, signed().encode(), SECRET)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "secret",
    ["", " ", None, [], (), [""], [SECRET, ""], ["", SECRET], [None], [SECRET, 5], [b"x"], 5, {SECRET: 1}, "\ud800"],
)
def test_no_secret(secret: Any) -> None:
    """An empty secret would let anybody sign: it is refused, even beside a good one and for a good signature."""
    for signature in (signed(), signed(secret=""), None):
        for call in (verify_webhook, parse_event):
            with pytest.raises(ConfigurationError, match="^secret: expected the webhook's secret") as caught:
                call(BODY, signature, secret)
            assert isinstance(caught.value, ValueError)
            assert SECRET not in f"{caught.value!r} {vars(caught.value)}"


@pytest.mark.parametrize(
    ("secret", "got"),
    [
        (f"{SECRET}\n", "one with white space around it"),
        ([SECRET, f" {OTHER}"], "one with white space around it"),
        (SECRET.encode(), "bytes"),
        ([SECRET.encode()], "bytes"),
        (f"{SECRET}\udcff", "one that is not valid Unicode"),
        (5, "int"),
        ({SECRET: 1}, "dict"),
    ],
)
def test_a_secret_read_from_a_file(secret: Any, got: str) -> None:
    """A secret with a line break at its end, as bytes, or of bytes that are no text, is said to be that and not that the
    signature is wrong."""
    with pytest.raises(ConfigurationError, match=f"got {got}$"):
        verify_webhook(BODY, signed(), secret)


@pytest.mark.parametrize(
    "settings",
    [{"max_bytes": "5"}, {"max_bytes": float("nan")}, {"max_bytes": None}, {"tolerance": "5"}, {"tolerance": True}],
)
def test_numbers_that_are_none(settings: dict[str, Any]) -> None:
    """A limit that is not a number is refused by its name, and does not mean that there is no limit."""
    with pytest.raises(ConfigurationError, match=f"^{next(iter(settings))}: expected"):
        parse_event(BODY, signed(), SECRET, **settings)


def test_an_event_without_an_id() -> None:
    """Events with an empty id could not be told apart, so that the second would count as handled: they are no events."""
    body = b'{"id": "", "type": "call.completed", "data": {"id": "call_1"}}'
    with pytest.raises(DecodeError, match="`id` is empty"):
        parse_event(body, signed(body), SECRET)


def test_large_bodies() -> None:
    """A body over the limit is refused, signed or not; one at the limit is taken."""
    body = b" " * MAX_BYTES
    verify_webhook(body, signed(body), SECRET)
    with pytest.raises(WebhookSignatureError, match=f"{MAX_BYTES + 1} bytes, over the limit of {MAX_BYTES}"):
        verify_webhook(body + b" ", signed(body + b" "), SECRET)
    verify_webhook(BODY, signed(), SECRET, max_bytes=len(BODY))
    for call in (verify_webhook, parse_event):
        with pytest.raises(WebhookSignatureError, match="over the limit of"):
            call(BODY, signed(), SECRET, max_bytes=len(BODY) - 1)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff", b'{"id": "evt_1"}', b'{"id": "evt_1", "type": "call.started"}']
)
def test_signed_and_no_event(body: bytes) -> None:
    """A signed body that is no event is a `DecodeError`: it is from Ajoxi, and not a forgery."""
    verify_webhook(body, signed(body), SECRET)
    with pytest.raises(DecodeError) as caught:
        parse_event(body, signed(body), SECRET)
    assert isinstance(caught.value, AjoxiError)
    assert not isinstance(caught.value, WebhookSignatureError)


def test_what_is_not_signed_is_not_parsed() -> None:
    """The signature comes first: a body that is neither signed nor JSON is a forgery."""
    with pytest.raises(WebhookSignatureError):
        parse_event(b"{", "0" * 64, SECRET)


def test_events_nobody_knows_yet() -> None:
    """An event of a newer server is an `UnknownEvent`, with its data."""
    body = b'{"id": "evt_1", "type": "fax.received", "data": {"pages": 3}}'
    event = parse_event(body, signed(body), SECRET)
    assert type(event) is UnknownEvent
    assert event.data == {"pages": 3}


def test_errors_tell_nothing() -> None:
    """Neither the secret, nor a signature, nor the body is anywhere in the exception."""
    body = b'{"private": "topsecret"}'
    wrong = signed(body, OTHER)
    caught: list[AjoxiError] = []
    for call, signature, limit in (
        (verify_webhook, wrong, MAX_BYTES),
        (verify_webhook, signed(body), 5),
        (parse_event, signed(body), MAX_BYTES),
    ):
        with pytest.raises(AjoxiError) as error:
            call(body, signature, [SECRET, "not the usual prefix"], max_bytes=limit)
        caught.append(error.value)
    for one in caught:
        told = f"{one} {one!r} {one.args} {vars(one)} {pickle.dumps(one)!r} {one.__cause__!r} {one.__context__!r}"
        for hidden in (SECRET, "5b1f0c", "not the usual prefix", wrong, signed(body), "topsecret", "private"):
            assert hidden not in told


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100), st.text(max_size=80))
def test_any_delivery(body: bytes, signature: str) -> None:
    """Whatever comes in without the secret is refused, and refused as a forgery."""
    with pytest.raises(WebhookSignatureError):
        parse_event(body, signature, SECRET)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_any_signed_body(body: bytes) -> None:
    """Whatever is signed is verified, and is an event or a `DecodeError`."""
    verify_webhook(body, signed(body), SECRET)
    with pytest.raises(DecodeError):
        parse_event(body, signed(body), SECRET)


def test_verifying_needs_no_server() -> None:
    """Importing the verification imports neither aiohttp nor the client nor the sandbox."""
    program = (
        "import sys, ajoxi_async.webhooks as w; w.verify_webhook; "
        "bad = {'aiohttp', 'httpx', 'ajoxi_async.client', 'ajoxi_async.sandbox'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("depth", [65, 900, 5_000, 100_000])
def test_an_unsigned_tower_is_refused(depth: int) -> None:
    """Looking for the reason of a wrong signature fails on no body, however deep."""
    with pytest.raises(WebhookSignatureError, match="no signature matches"):
        verify_webhook(b"[" * depth + b"]" * depth, "0" * 64, "whsec_a")


EVENT = b'{"id": "evt_1", "type": "call.completed", "data": {"id": "call_1", "to": "Gr\xc3\xbc\xc3\x9fe"}}'


@pytest.mark.parametrize(
    ("wrapped", "why"),
    [
        (gzip.compress(EVENT, mtime=0), "compressed .*: decompress it before verifying"),
        (zlib.compress(EVENT), "compressed .*: decompress it before verifying"),
        (base64.b64encode(EVENT), "base64, .*isBase64Encoded.*: decode it before verifying"),
        (base64.b64encode(EVENT) + b"\n", "base64, .*isBase64Encoded.*: decode it before verifying"),
        (base64.b64encode(gzip.compress(EVENT, mtime=0)), "base64 of a compressed one .* decode and decompress it"),
        (json.dumps(EVENT.decode()).encode(), "as text inside of JSON: decode it once"),
        (
            json.dumps({"body": EVENT.decode(), "isBase64Encoded": False}).encode(),
            'whole event: take its "body" before',
        ),
        (json.dumps({"body": base64.b64encode(EVENT).decode()}).encode(), 'take its "body", which is base64'),
        (gzip.compress(EVENT + b"x", mtime=0), "compressed with gzip, and what was signed is not in it"),
    ],
)
def test_what_a_gateway_made_of_the_body(wrapped: bytes, why: str) -> None:
    """It is refused, never undone silently, and the error says what has to be undone."""
    signature = signing.sign(EVENT, ["whsec_gateway"])
    with pytest.raises(WebhookSignatureError, match=why):
        verify_webhook(wrapped, signature, "whsec_gateway")


def test_a_compressed_body_that_unfolds_to_gigabytes() -> None:
    """Finding out why a signature does not match takes no more memory than a body may have."""
    bomb = gzip.compress(bytes(64 * 2**20), 9)
    tracemalloc.start()
    try:
        with pytest.raises(WebhookSignatureError):
            verify_webhook(bomb, "0" * 64, "whsec_gateway")
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_a_body_that_other_code_has_read() -> None:
    """What a parser of forms leaves of a body is nothing, and not the fault of the secret."""
    with pytest.raises(WebhookSignatureError, match="the body is empty"):
        verify_webhook(b"", "00" * 32, "whsec_0123456789")
