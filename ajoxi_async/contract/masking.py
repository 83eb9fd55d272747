"""Masking of secrets and phone numbers in logs, reprs and tracebacks.

Rules:
1. Of API keys, webhook secrets and bearer tokens only the public prefix is shown.
2. The user and the password of a URL are both masked.
3. Of phone numbers the first five and the last two characters are shown, enough to recognise the country and to distinguish
   two numbers in a log. Dial strings shorter than E.164 allows (extensions) are not personal and are shown.
4. `shown` also escapes characters that would act on a terminal or mislead a reader of a log: control characters and line
   ends, marks that change the direction of writing, and halves of surrogate pairs, which most streams cannot write.
"""

from __future__ import annotations

import re

__all__ = ["mask", "mask_fully", "shown"]

_SECRETS = re.compile(
    r"(?P<prefix>AJX_(?:LIVE|TEST)_|whsec_|(?i:bearer\s+)(?!AJX_)|(?i:client_secret[\"']?\s*[=:]\s*[\"']?)"
    r"|(?i:access_token[\"']?\s*[=:]\s*[\"']?))[^\s\"',;&<>)\]}]+"
)
#: The user and password of a URL, such as a proxy's.
_USERINFO = re.compile(r"(?<=//)[^/@\s\"'<>]+@")
#: The plus may be quoted, also several times, as in a URL within the query of another.
_PHONE = re.compile(r"(?P<plus>\+|%(?:25)*2[Bb])(?P<head>\d{4})(?P<hidden>\d{1,9})(?P<tail>\d{2})(?!\d)")
_ORDERS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"
)


def _escaped(order: re.Match[str]) -> str:
    return order[0].encode("unicode_escape").decode()


def mask(text: str) -> str:
    """Return `text` with secrets and phone numbers masked. Idempotent."""
    text = _SECRETS.sub(r"\g<prefix>***", text)
    if "//" in text:
        text = _USERINFO.sub("***@", text)
    return _PHONE.sub(r"\g<plus>\g<head>***\g<tail>", text)


def _zeros(number: re.Match[str]) -> str:
    hidden = number.end("hidden") - number.start("hidden")
    return f"{number['plus']}{number['head']}{'0' * hidden}{number['tail']}"


def mask_fully(text: str) -> str:
    """As `mask`, but with zeros for the hidden digits of a phone number, so that it still has the form of one. Idempotent."""
    text = _SECRETS.sub(r"\g<prefix>***", text)
    if "//" in text:
        text = _USERINFO.sub("***@", text)
    return _PHONE.sub(_zeros, text)


def shown(text: str, longest: int) -> str:
    """`mask` a text from outside, put it on one line and shorten it to `longest` characters (rule 4). Idempotent."""
    # Shortened before masking as well, so that a text of a megabyte is not searched to its end.
    text = _ORDERS.sub(_escaped, mask(text[: 2 * longest + 3]))
    return text if len(text) <= longest + 3 else text[:longest] + "..."
