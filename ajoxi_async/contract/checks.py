"""The checks of parameters that do not depend on the server's state. Their errors name the parameter and say what is expected.

Rules:
1. Phone numbers are E.164: ``+``, then 7 to 15 digits, the first not 0 (ITU-T E.164; API reference by example).
   Only the server can say whether a number can be reached.
2. A call may also go to an extension of the account, ``ext:204``.
3. ``limit`` is 1 to 200 (API reference: Pagination).
4. A URL is absolute, http or https, and has no user or password. Its host is a name in ASCII (an international one as
   ``xn--...``) or an address; its port, if it has one, is 1 to 65535.
5. Metadata has at most 50 keys. A key has at most 64 characters, without brackets and control characters, and a value has at
   most 512 characters.

The published document states the same rules and is made from the same objects; see `contract.rules`.
"""

from __future__ import annotations

from typing import Annotated

from ajoxi_async.contract.headers import DEFAULT_PAGE, MAX_PAGE
from ajoxi_async.contract.rules import Bounds, Length, Pattern, TextMap

__all__ = [
    "AgentId",
    "Destination",
    "HttpUrl",
    "Metadata",
    "OwnPhone",
    "PageLimit",
    "Phone",
    "destination",
    "http_url",
    "metadata",
    "own_phone",
    "page_limit",
    "phone",
]


def _shown(value: str) -> str:
    # A mistyped phone number is personal data as well, so that the error shows only its beginning.
    return repr(value if len(value) < 6 else f"{value[:5]}***")


_E164 = r"\+[1-9][0-9]{6,14}"
_RIGHT = "an E.164 phone number ('+' and 7 to 15 digits)"

phone = Pattern(_E164, _RIGHT, show=_shown, examples=("+14155551234",))
#: The rule for a phone number of the account: the same as `phone`, with the example of the API reference.
own_phone = Pattern(_E164, _RIGHT, show=_shown, examples=("+14155550100",))
destination = Pattern(
    rf"({_E164}|ext:[0-9]{{1,10}})",
    f"{_RIGHT}, or an extension 'ext:204'",
    show=_shown,
    examples=("+14155551234", "ext:204"),
)
page_limit = Bounds(1, MAX_PAGE, default=DEFAULT_PAGE)
metadata = TextMap(
    50,
    Pattern(
        r"[^\x00-\x1f\x7f\[\]]+",
        "keys of 1 to 64 characters without brackets",
        most=64,
        show=lambda key: repr(key[:80]),
    ),
    Length(512, least=0),
)

_PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
http_url = Pattern(
    rf"[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:({_PORT}))?([/?#][^\x00-\x20\x7f]*)?",
    "an absolute http or https URL of at most 2048 characters, without a user name or password",
    most=2048,
    show=None,
    examples=("https://example.com/hook",),
)

#: Types of parameters, with their rules.
Phone = Annotated[str, phone]
OwnPhone = Annotated[str, own_phone]
Destination = Annotated[str, destination]
HttpUrl = Annotated[str, http_url]
Metadata = Annotated[dict[str, str], metadata]
PageLimit = Annotated[int, page_limit]
AgentId = Annotated[str, Length(64)]
