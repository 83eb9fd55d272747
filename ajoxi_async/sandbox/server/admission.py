"""Which requests the control surface and the console accept, by where they come from and how they are signed. Pure.

Rules:
1. A request comes from this machine, on whatever address the sandbox listens.
2. The Host header names this machine, which refuses a web page that reaches the sandbox by DNS rebinding. The port may be
   another one, because it may be forwarded.
3. An Origin header is the sandbox's own. Sec-Fetch-Site, which browsers send, is ``same-origin``: a page on another port of this
   machine is ``same-site``, and it shares the cookies.
4. A request is signed with the control token (``Authorization: Bearer``) or with the cookie of a console session.
5. A request that is signed with a cookie and is not a GET has the header ``X-Ajoxi-Console: 1`` and a JSON content type. A page
   of another origin can send neither without asking first, and is never allowed to.
6. Answers have headers that keep them out of other sites' pages and out of caches.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from ajoxi_async.contract import headers
from ajoxi_async.sandbox.refusal import Refusal

__all__ = ["DATA_HEADERS", "SAFE_METHODS", "check_machine", "check_own_page", "check_site", "check_token", "is_bearer"]

#: The header that the console's pages send with requests that change something.
CONSOLE_HEADER: Final = "x-ajoxi-console"
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})

#: The headers of every answer with data.
DATA_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)


def check_machine(sent: Mapping[str, str], peer: str | None) -> None:
    """Check peer, Host and Origin: rules 1 and 2, and the first half of rule 3.

    Args:
        sent: the headers of the request, with names in lower case.
        peer: the address that the request came from.

    Raises:
        Refusal: the request is not accepted.
    """
    if peer is None or not _is_loopback(peer):
        raise Refusal("permission_denied", "the control surface answers this machine alone")
    host = sent.get("host", "")
    if not _is_local_host(host):
        raise Refusal("permission_denied", "the Host header does not name this machine")
    if "origin" in sent and sent["origin"].lower() != f"http://{host.lower()}":
        raise Refusal("permission_denied", "the Origin header is another site's")


def check_site(sent: Mapping[str, str], *allowed: str) -> None:
    """Check Sec-Fetch-Site: the second half of rule 3.

    Args:
        sent: the headers of the request, with names in lower case.
        allowed: the values that are accepted besides ``same-origin``.

    Raises:
        Refusal: the request is another site's.
    """
    if sent.get("sec-fetch-site", "same-origin") not in {"same-origin", *allowed}:
        raise Refusal("permission_denied", "the Sec-Fetch-Site header says that another site asks")


def check_own_page(method: str, sent: Mapping[str, str]) -> None:
    """Check that a request that changes something was sent by a page of the console: rule 5.

    Raises:
        Refusal: it lacks a header that only such a page can send.
    """
    if method in SAFE_METHODS:
        return
    if sent.get(CONSOLE_HEADER) != "1":
        raise Refusal("permission_denied", "a request that changes something needs the header 'X-Ajoxi-Console: 1'")
    if sent.get("content-type", "").partition(";")[0].strip().lower() != headers.JSON:
        raise Refusal("permission_denied", f"a request that changes something needs 'Content-Type: {headers.JSON}'")


def check_token(
    method: str, sent: Mapping[str, str], token: str, signed_in: Callable[[Mapping[str, str]], bool]
) -> None:
    """Check how a request is signed: rules 4 and 5. A bearer token decides where there are both.

    Args:
        method: the method of the request.
        sent: the headers of the request, with names in lower case.
        token: the control token.
        signed_in: whether the headers have the cookie of a session.

    Raises:
        Refusal: it is not signed.
    """
    if "authorization" not in sent and signed_in(sent):
        check_own_page(method, sent)
    elif not is_bearer(sent, token):
        raise Refusal("authentication_required", "send 'Authorization: Bearer' with the control token, no API key")


def is_bearer(sent: Mapping[str, str], token: str) -> bool:
    """Whether the Authorization header has this token."""
    scheme, _, given = sent.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(_bytes(given.strip()), _bytes(token))


def _bytes(text: str) -> bytes:
    # aiohttp decodes bytes of a header that are not UTF-8 to halves of surrogate pairs.
    return text.encode(errors="surrogatepass")


def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inside = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (inside or ip).is_loopback


def _is_local_host(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or _is_loopback(name)
