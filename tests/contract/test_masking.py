"""What must never be read in a log, and what must."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async.contract.masking import mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+14155551234", "+1415***34"),
        ("+1234567", "+1234***67"),
        ("+123456789012345", "+1234***45"),
        ("to +14155551234, from +442071838750.", "to +1415***34, from +4420***50."),
        ("?to=%2B14155551234&from=%2b14155550100", "?to=%2B1415***34&from=%2b1415***00"),
        ("?next=%252B14155551234&then=%25252b14155551234", "?next=%252B1415***34&then=%25252b1415***34"),
        ("tel:+14155551234;ext=1", "tel:+1415***34;ext=1"),
        ("AJX_LIVE_abc123", "AJX_LIVE_***"),
        ("key 'AJX_TEST_a.b-c_d/e+f=' is", "key 'AJX_TEST_***' is"),
        ("Authorization: Bearer AJX_LIVE_abc", "Authorization: Bearer AJX_LIVE_***"),
        ("Authorization: Bearer eyJhbGciOi.J9.x-y_z", "Authorization: Bearer ***"),
        ("{'authorization': 'bearer tok'}", "{'authorization': 'bearer ***'}"),
        ('{"secret": "whsec_abc/d+e="}', '{"secret": "whsec_***"}'),
        ("client_id=a&client_secret=s3cret&x=1", "client_id=a&client_secret=***&x=1"),
        ('{"client_secret": "s3cret", "a": 1}', '{"client_secret": "***", "a": 1}'),
        ("{'access_token': 'tok', 'a': 1}", "{'access_token': '***', 'a': 1}"),
        ("access_token=tok", "access_token=***"),
        ("AJX_LIVE_a AJX_LIVE_b\nwhsec_c", "AJX_LIVE_*** AJX_LIVE_***\nwhsec_***"),
    ],
)
def test_masked(text: str, masked: str) -> None:
    """Keys and secrets keep their public prefix, phone numbers five characters and two."""
    assert mask(text) == masked
    assert mask(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "call_8f2a1b3c",
        "evt_12345678901234567890",
        "req_0123456789abcdef",
        "/v1/calls/call_8f2a1b3c/transfer?limit=200",
        "2026-11-23T09:30:00.000Z",
        "2026-11-23T09:30:00+00:00",
        "2026-11-23T09:30:00.000000+0530",
        "X-RateLimit-Reset: 1715800000",
        "ext:204",
        "+204",
        "+123456",
        "1 + 1 = 2, 4155551234 attempts",
        "Y3Vyc29yX2FmMmI...",
        "AJX_LIVE_",
        "expected 'AJX_TEST_' or 'AJX_LIVE_'",
        "a secret 'whsec_'",
        "Bearer",
    ],
)
def test_not_masked(text: str) -> None:
    """Ids, times, counts, cursors, extensions and bare prefixes can be read."""
    assert mask(text) == text


_PIECES = st.sampled_from(
    ["AJX_LIVE_", "AJX_TEST_", "whsec_", "Bearer ", "bearer  ", "client_secret=", "access_token: '", "+", "%2B", "%2b"]
    + ["***", "1415", "5551234", " ", "'", '"', ",", "&", "=", ":", "x", "\n", "é"]
)
_TEXTS = st.lists(_PIECES, max_size=12).map("".join) | st.text(max_size=40)


@settings(max_examples=500, deadline=None)
@given(_TEXTS)
def test_masking_is_idempotent(text: str) -> None:
    """What is masked stays as it is."""
    assert mask(mask(text)) == mask(text)


@settings(max_examples=200, deadline=None)
@given(
    _TEXTS,
    st.from_regex(r"[A-Za-z0-9]{12,20}", fullmatch=True),
    st.sampled_from(["AJX_LIVE_", "AJX_TEST_", "whsec_"]),
    _TEXTS,
)
def test_no_key_gets_through(before: str, key: str, prefix: str, after: str) -> None:
    """Wherever a key stands in a text, it is not in the masked one."""
    assert prefix + key not in mask(before + prefix + key + after)


@settings(max_examples=200, deadline=None)
@given(
    st.text("abc ,:'\"\n", max_size=10),
    st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True),
    st.text("abc ,:'\"\n", max_size=10),
)
def test_no_phone_number_gets_through(before: str, digits: str, after: str) -> None:
    """Wherever an E.164 number stands between words, it is not in the masked text, and its country still is."""
    masked = mask(f"{before}+{digits}{after}")
    assert digits not in masked
    assert f"+{digits[:4]}***{digits[-2:]}" in masked


def test_more_digits_than_a_phone_number_has_are_none() -> None:
    """A plus and sixteen digits or more are a number of another kind, and stay whole."""
    assert mask("+123456789012345") == "+1234***45"
    assert mask("+1234567890123456") == "+1234567890123456"
