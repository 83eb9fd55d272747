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

#: RFC 4231, test case 2, whose key is text: key, message, HMAC-SHA256.
RFC_4231 = [
    (
        "Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
]
#: Project Wycheproof, hmac_sha256_test.json: tcId, key, message, tag (all hex), whether it is valid.
WYCHEPROOF = [
    (1, "1e225cafb90339bba1b24076d4206c3e79c355805d851682bc818baa4f5a7779", "",
     "b175b57d89ea6cb606fb3363f2538abd73a4c00b4a1386905bac809004cf1933", True),
    (2, "8159fd15133cd964c9a6964c94f0ea269a806fd9f43f0da58b6cd1b33d189b2a", "77",
     "dfc5105d5eecf7ae7b8b8de3930e7659e84c4172f2555142f1e568fc1872ad93", True),
    (9, "233e4fdee70bcc20235b6977ddfc05b0df66f5635d827c66e5a63cdb16a24938", "fdb2ee4b6d1a0ac2",
     "120b26ee1355c134c262513c7922deb6c4fd90303de4cd61b9f9cd08f22d6e18", True),
    (13, "055f95c9461b0809575eccdfa5cdd06275f25d30915c4eb8db40e1acd3ab7591", "bfb7d6a08dbaa5225f320887",
     "e76d5c8c070a6b3c4824e9f342dc3056e63819509e1def98b585aeba0d638a00", True),
    (20, "186e248ad824e1eb93329a7fdcd565b6cb4eaf3f85b90b910777128d8c538d27",
     "92ef9ff52f46eccc7e38b9ee19fd2de3b37726c8e6ce9e1b96db5dda4c317902",
     "3fc1d73dd4a8858c1fc3d8c4a3f33ed5ad0c70210038394a5902cb26fe287348", True),
    (28, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "",
     "d28b42096d80f45f826b44a9d5607de72496a415d3f4a1a8c88e3bb9da8dc1cb", False),
    (31, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "000102030405060708090a0b0c0d0e0f",
     "dab99f2709a3ca74172cbe93824c1f29b23a0c1e9c21bd851ff2d2c39dbef14e", False),
    (32, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "",
     "538b42096d80f45f826b44a9d5607de72496a415d3f4a1a8c88e3bb9da8dc1cb", False),
]  # fmt: skip


class RawKey(str):
    """A secret whose bytes are no text, as the vectors' keys are."""

    __slots__ = ("raw",)

    raw: bytes

    def __new__(cls, raw: bytes) -> RawKey:
        key = super().__new__(cls, "raw")
        key.raw = raw
        return key

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.raw


#: Keys and messages after the kinds of Project Wycheproof's HMAC-SHA256 group: empty and long messages, short and long
#: keys, beyond the block size of 64 bytes.
KINDS = [
    (key, message)
    for key in ("k", "whsec_0123456789abcdef", "k" * 64, "k" * 65, "ключ")
    for message in (b"", b"\0", b"{}", b"x" * 63, b"x" * 64, b"x" * 65, bytes(range(256)) * 40)
]


@pytest.mark.parametrize(("number", "key", "message", "tag", "valid"), WYCHEPROOF)
def test_wycheproof(number: int, key: str, message: str, tag: str, valid: bool) -> None:
    """Each vector is judged as Wycheproof does, and as the standard library does."""
    body, secret = bytes.fromhex(message), RawKey(bytes.fromhex(key))
    assert (hmac.new(secret.raw, body, "sha256").hexdigest() == tag) is valid
    if valid:
        verify_webhook(body, tag, secret)
    else:
        with pytest.raises(WebhookSignatureError):
            verify_webhook(body, tag, secret)


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
