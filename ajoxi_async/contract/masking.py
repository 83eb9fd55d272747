"""What must never be read in a log, a repr or a traceback, and how it is blotted out.

Rules:
1. API keys, webhook secrets and bearer tokens keep their public prefix and nothing else.
2. Of a URL's user and password neither stays.
3. Phone numbers keep enough to recognise the country and to tell two apart in one log: the first five characters and
   the last two. Shorter dial strings than E.164 allows (extensions) are not personal and stay.
3. `shown` also escapes what is no text but an order to a terminal or to the reader of a log: control characters and line
   ends, marks that turn the direction of writing, and halves of surrogate pairs, which most streams cannot even write.
"""

from __future__ import annotations

import re

__all__ = ["mask", "shown"]

_SECRETS = re.compile(
    r"(?P<prefix>AJX_(?:LIVE|TEST)_|whsec_|(?i:bearer\s+)(?!AJX_)|(?i:client_secret[\"']?\s*[=:]\s*[\"']?)"
    r"|(?i:access_token[\"']?\s*[=:]\s*[\"']?))[^\s\"',;&<>)\]}]+"
)
#: Of a URL with a user and a password, a proxy's for instance, neither stays.
_USERINFO = re.compile(r"(?<=//)[^/@\s\"'<>]+@")
_PHONE = re.compile(r"(?P<plus>\+|%2[Bb])(?P<head>\d{4})\d{1,9}(?P<tail>\d{2})(?!\d)")
_ORDERS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"
)


def _escaped(order: re.Match[str]) -> str:
    return order[0].encode("unicode_escape").decode()


def mask(text: str) -> str:
    """Return `text` with secrets and phone numbers blotted out. Idempotent."""
    text = _SECRETS.sub(r"\g<prefix>***", text)
    if "//" in text:
        text = _USERINFO.sub("***@", text)
    return _PHONE.sub(r"\g<plus>\g<head>***\g<tail>", text)


def shown(text: str, longest: int) -> str:
    """`mask` a text that a stranger may have written, on one line and cut at so many characters (rule 3). Idempotent."""
    # Cut before as well: of what is a megabyte long the end is not looked through.
    text = _ORDERS.sub(_escaped, mask(text[: 2 * longest + 3]))
    return text if len(text) <= longest + 3 else text[:longest] + "..."
