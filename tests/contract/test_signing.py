"""The signature of a delivery, against implementations that are not ours."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async.contract.signing import matches, sign


def hmac_by_hand(key: bytes, message: bytes) -> str:
    """RFC 2104, section 2, written out: H(K xor opad, H(K xor ipad, text))."""
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()


VECTORS = [
    (
        "\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        "Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    # printf '{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_secret
    ("whsec_secret", b'{"id":"evt_1"}', "cef60e3503a1340796f9d1c8654cdbc1b1a344cd3d82ce2a71921a7b9e420b8a"),
]


@pytest.mark.parametrize(("secret", "body", "expected"), VECTORS, ids=["RFC 4231 case 1", "RFC 4231 case 2", "openssl"])
def test_published_vectors(secret: str, body: bytes, expected: str) -> None:
    """API reference, Webhooks: HMAC-SHA256 over the raw body; the hex is lower case."""
    assert sign(body, [secret]) == expected
    assert matches(body, expected, [secret])


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100), st.binary(max_size=200))
def test_another_implementation(secret: str, body: bytes) -> None:
    """What we sign, RFC 2104 written out by hand signs the same, whatever the secret and the body."""
    assert sign(body, [secret]) == hmac_by_hand(secret.encode(), body)


GOOD = hmac_by_hand(b"whsec_new", b"body")
OLD = hmac_by_hand(b"whsec_old", b"body")


@pytest.mark.parametrize(
    "signature",
    [
        GOOD,
        GOOD.upper(),
        f" {GOOD}\t",
        f"sha256={GOOD}",
        f"SHA256={GOOD.upper()}",
        f"{OLD},{GOOD}",
        f"{GOOD}, {OLD}",
        f",,{GOOD},",
        f"\u00e9,\udcff,{GOOD}",
    ],
)
def test_spellings(signature: str) -> None:
    """Hex in any case, a prefix, spaces, and company do not matter."""
    assert matches(b"body", signature, ["whsec_new"])
    assert not matches(b"body ", signature, ["whsec_new"])


@pytest.mark.parametrize(
    "signature",
    [
        "",
        ",",
        "sha256=",
        "0" * 64,
        OLD,
        GOOD[:-1],
        GOOD + "0",
        GOOD[:32],
        f"sha1={GOOD}",
        f"sha256=sha256={GOOD}",
        f"{GOOD[:32]},{GOOD[32:]}",
        f"{GOOD};{OLD}",
        "\u0660" * 64,
        "é" * 64,
        "\udcff" * 64,
        "\ud800",
        "\0",
        f"{GOOD}," + "0" * 4096,
    ],
    ids=ascii,
)
def test_no_signature(signature: str) -> None:
    """What is not the signature does not match, and nothing makes the comparison fail."""
    assert matches(b"body", signature, ["whsec_new"]) is False


def test_rotation() -> None:
    """While a secret is rotated, one of the signatures with one of the secrets is enough, on either side."""
    both = sign(b"body", ["whsec_old", "whsec_new"])
    assert both == f"{OLD},{GOOD}"
    assert matches(b"body", both, ["whsec_old"])
    assert matches(b"body", both, ["whsec_new"])
    assert matches(b"body", GOOD, ["whsec_old", "whsec_new"])
    assert not matches(b"body", both, ["whsec_other"])
    assert not matches(b"body", both, [])


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.binary(max_size=20))
def test_guesses(signature: str, body: bytes) -> None:
    """Whatever the header, it is no signature unless it was made with the secret."""
    assert matches(body, signature, ["whsec_new"]) is False
