"""The signature of a webhook delivery (API reference: Webhooks).

Rules:
1. ``X-Ajoxi-Signature`` is HMAC-SHA256 over the raw request body, keyed with the webhook's secret, in lower-case hex.
2. While a secret is being rotated there are several, comma-separated.
3. Comparison takes the same time wherever two values differ.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

__all__ = ["matches", "sign"]

#: A header longer than this holds no signature anybody sends.
_LONGEST_HEADER = 4096


def sign(body: bytes, secrets: Iterable[str]) -> str:
    """Sign a body with each secret; more than one only while a secret is rotated."""
    return ",".join(hmac.digest(secret.encode(), body, "sha256").hex() for secret in secrets)


def matches(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Whether one of the header's signatures was made with one of the secrets.

    Hex in any case and an optional ``sha256=`` prefix are taken, since proxies and test tools write them. What is not
    ASCII, or not even UTF-8 (servers hand such a header over with surrogates), matches nothing.
    """
    if len(signature) > _LONGEST_HEADER:
        return False
    given = [part.strip().lower().removeprefix("sha256=").encode(errors="replace") for part in signature.split(",")]
    expected = [hmac.digest(secret.encode(), body, "sha256").hex().encode() for secret in secrets]
    # No short cut: every pair is compared, so that time tells nothing of which secret matched.
    return any([hmac.compare_digest(one, other) for one in given for other in expected])  # noqa: C419
