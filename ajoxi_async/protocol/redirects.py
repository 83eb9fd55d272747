"""Where a redirect may lead: http and https only, and never from https to http.

A ``Location`` is written by a stranger: what a URL cannot hold (spaces, text that is not ASCII) is percent-encoded as
browsers do it, so that no engine trips over it.
"""

from __future__ import annotations

from urllib.parse import SplitResult, quote, urljoin, urlsplit

from ajoxi_async.protocol.errors import APIResponseValidationError

__all__ = ["MOST_REDIRECTS", "next_hop", "split_url"]

#: Characters of a URL that is followed.
_LONGEST = 16 * 1024
#: Everything a URL may hold already (RFC 3986), and the percent sign of what is encoded.
_SOUND = "%:/?#[]@!$&'()*+,;=-._~"
#: One after the other, before it is taken for a loop.
MOST_REDIRECTS = 5


def split_url(url: str, route: str) -> SplitResult:
    """Take a URL of the server's apart.

    Raises:
        APIResponseValidationError: it is none.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise APIResponseValidationError("a URL that cannot be read", route=route) from None
    return parts


def next_hop(url: str, location: str | None, route: str) -> str:
    """The URL a redirect leads to.

    Raises:
        APIResponseValidationError: it cannot be followed.
    """
    try:
        # aiohttp decodes bytes that are not UTF-8 to surrogates.
        target = urljoin(url, quote((location or "").strip().encode("utf-8", "surrogateescape"), safe=_SOUND))
    except ValueError:
        target = ""
    parts = split_url(target, route)
    downgraded = url.startswith("https:") and parts.scheme != "https"
    if (
        not location
        or len(target) > _LONGEST
        or parts.scheme not in {"http", "https"}
        or not parts.hostname
        or downgraded
    ):
        raise APIResponseValidationError("a redirect that cannot be followed", route=route)
    return target
