"""Signatures by other hands: published HMAC-SHA256 vectors, and other implementations."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ajoxi_async import ConfigurationError, WebhookSignatureError, parse_event, verify_webhook
from ajoxi_async.contract.signing import sign

#: RFC 4231, test cases 2 and 7, whose keys are text: key, message, HMAC-SHA256.
RFC_4231 = [
    (
        "Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
]
#: Keys and messages after the kinds of Project Wycheproof's HMAC-SHA256 group: empty and long messages, short and long
#: keys, beyond the block size of 64 bytes.
KINDS = [
    (key, message)
    for key in ("k", "whsec_0123456789abcdef", "k" * 64, "k" * 65, "ключ")
    for message in (b"", b"\0", b"{}", b"x" * 63, b"x" * 64, b"x" * 65, bytes(range(256)) * 40)
]


@pytest.mark.parametrize(("key", "message", "mac"), RFC_4231)
def test_published_vectors(key: str, message: bytes, mac: str) -> None:
    """The published MAC is taken, in either case; a MAC with one bit changed, cut short or made longer is not."""
    for signature in (mac, mac.upper(), f"sha256={mac}"):
        verify_webhook(message, signature, key)
    for wrong in (f"{int(mac, 16) ^ 1:064x}", f"{int(mac, 16) ^ 1 << 255:064x}", mac[:-2], mac + "00", mac[:32], ""):
        with pytest.raises(WebhookSignatureError):
            verify_webhook(message, wrong, key)
    with pytest.raises(WebhookSignatureError):
        verify_webhook(message + b"\0", mac, key)


@pytest.mark.parametrize(("key", "message"), KINDS)
def test_written_out_by_hand(key: str, message: bytes) -> None:
    """Two nested hashes, as RFC 2104 writes them, give the same signature."""
    block = key.encode() if len(key.encode()) <= 64 else hashlib.sha256(key.encode()).digest()
    block = block.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + message).digest()
    mac = hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).hexdigest()
    assert sign(message, [key]) == mac == hmac.new(key.encode(), message, "sha256").hexdigest()
    verify_webhook(message, mac, key)


def test_openssl_agrees(missing: Callable[[str], None]) -> None:
    """openssl signs what is verified here."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("openssl: apt-get install openssl")
        return
    for key, message in KINDS:
        command = [openssl, "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.encode().hex()}"]
        ran = subprocess.run(command, input=message, capture_output=True, check=True)
        verify_webhook(message, ran.stdout.decode().split()[-1], key)


SECRET = "whsec_0123456789"
EVENT = (
    '{"id":"evt_1","type":"call.started","created_at":"2026-11-23T09:30:00.000Z","data":{"id":"call_1","to":"Grüße"}}'
)
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (json.dumps(json.loads(EVENT)).encode(), "parsed and serialised again"),
        (json.dumps(json.loads(EVENT), indent=2, ensure_ascii=False).encode(), "parsed and serialised again"),
        (EVENT.encode() + b"\r\n", "white space was added"),
        (EVENT.replace("call_1", "call_2").encode(), "another webhook's"),
        (EVENT.encode()[:-1], "another webhook's"),
        (b"[" * 100_000, "another webhook's"),
    ],
)
def test_what_went_wrong_is_said(changed: bytes, why: str) -> None:
    """A body that was serialised again, or got white space on its way, is refused with the reason."""
    with pytest.raises(WebhookSignatureError, match=why):
        verify_webhook(changed, sign(EVENT.encode(), [SECRET]), SECRET)


@pytest.mark.parametrize("age", [-400, 0, 299, 301, 24 * 3600])
@pytest.mark.parametrize("tolerance", [None, 300])
def test_tolerance(age: float, tolerance: float | None) -> None:
    """Off unless given, for retries come for 24 hours; given, events older or newer than that are refused."""
    body = EVENT.encode()
    signature = sign(body, [SECRET])
    if tolerance is None or abs(age) <= tolerance:
        event = parse_event(body, signature, SECRET, tolerance=tolerance, clock=lambda: NOW + age)
        assert event.id == "evt_1"
    else:
        with pytest.raises(WebhookSignatureError, match="created_at differs"):
            parse_event(body, signature, SECRET, tolerance=tolerance, clock=lambda: NOW + age)


def test_tolerances_that_cannot_be() -> None:
    """An event without a time cannot be compared, and a tolerance of nothing is none."""
    body = b'{"id":"evt_1","type":"call.started","data":{"id":"call_1"}}'
    with pytest.raises(WebhookSignatureError, match="no created_at"):
        parse_event(body, sign(body, [SECRET]), SECRET, tolerance=300)
    with pytest.raises(ConfigurationError, match="tolerance"):
        parse_event(EVENT.encode(), sign(EVENT.encode(), [SECRET]), SECRET, tolerance=0)
