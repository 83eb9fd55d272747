"""The signature of a webhook delivery (API reference: Webhooks).

Rules:
1. ``X-Ajoxi-Signature`` is HMAC-SHA256 over the raw request body, keyed with the webhook's secret, in lower-case hex.
2. While a secret is being rotated there are several signatures, separated by commas.
3. The time of the comparison does not depend on where two signatures differ.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

__all__ = ["matches", "sign"]

#: Longest header that is read, in characters.
_LONGEST_HEADER = 4096


def sign(body: bytes, secrets: Iterable[str]) -> str:
    """Sign a body with each secret; more than one only while a secret is rotated."""
    return ",".join(hmac.digest(secret.encode(), body, "sha256").hex() for secret in secrets)


def matches(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Whether one of the header's signatures was made with one of the secrets.

    Upper-case hex and a ``sha256=`` prefix are accepted, since proxies and test tools write them. A header that is not ASCII,
    or not UTF-8 (which servers decode with surrogates), matches nothing.
    """
    if len(signature) > _LONGEST_HEADER:
        return False
    given = [part.strip().lower().removeprefix("sha256=").encode(errors="replace") for part in signature.split(",")]
    expected = [hmac.digest(secret.encode(), body, "sha256").hex().encode() for secret in secrets]
    # A list and not a generator: every pair is compared, so that the time does not show which secret matched.
    return any([hmac.compare_digest(signature, other) for signature in given for other in expected])  # noqa: C419
