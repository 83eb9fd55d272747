"""What must never be read in a log, a repr or a traceback, and how it is blotted out.

Rules:
1. API keys, webhook secrets and bearer tokens keep their public prefix and nothing else.
2. Phone numbers keep enough to recognise the country and to tell two apart in one log: the first five characters and
   the last two. Shorter dial strings than E.164 allows (extensions) are not personal and stay.
"""

from __future__ import annotations

import re

__all__ = ["mask"]

_SECRETS = re.compile(
    r"(?P<prefix>AJX_(?:LIVE|TEST)_|whsec_|(?i:bearer\s+)(?!AJX_)|(?i:client_secret[\"']?\s*[=:]\s*[\"']?)"
    r"|(?i:access_token[\"']?\s*[=:]\s*[\"']?))[^\s\"',;&<>)\]}]+"
)
_PHONE = re.compile(r"(?P<plus>\+|%2[Bb])(?P<head>\d{4})\d{1,9}(?P<tail>\d{2})(?!\d)")


def mask(text: str) -> str:
    """Return `text` with secrets and phone numbers blotted out. Idempotent."""
    text = _SECRETS.sub(r"\g<prefix>***", text)
    return _PHONE.sub(r"\g<plus>\g<head>***\g<tail>", text)
