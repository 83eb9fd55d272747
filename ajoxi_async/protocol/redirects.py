"""The targets of redirects: http and https only, never from https to http, and without a user or password.

Characters of a ``Location`` that a URL cannot hold (spaces, text that is not ASCII) are percent-encoded as browsers do it,
because the engines would fail on them.
"""

from __future__ import annotations

from urllib.parse import SplitResult, quote, urljoin, urlsplit

from ajoxi_async.protocol.errors import APIResponseValidationError

__all__ = ["MOST_REDIRECTS", "names_a_user", "next_hop", "split_url"]

#: Longest URL that is followed, in characters.
_LONGEST = 16 * 1024
#: Characters that are not encoded: those a URL may hold (RFC 3986), and the percent sign of encoded ones.
_SOUND = "%:/?#[]@!$&'()*+,;=-._~"
#: Most redirects in a row; more are taken for a loop.
MOST_REDIRECTS = 5


def split_url(url: str, route: str) -> SplitResult:
    """Split a URL that the server sent.

    Raises:
        APIResponseValidationError: it is not a URL.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise APIResponseValidationError("a URL that cannot be read", route=route) from None
    return parts


def names_a_user(parts: SplitResult) -> bool:
    """Whether a URL holds a user or a password. The key is the only credential, so that such a URL is not asked."""
    return parts.username is not None or parts.password is not None


def next_hop(url: str, location: str | None, route: str) -> str:
    """The URL a redirect leads to.

    Raises:
        APIResponseValidationError: it cannot be followed.
    """
    try:
        # aiohttp decodes bytes that are not UTF-8 into surrogates.
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
        or names_a_user(parts)
        or downgraded
    ):
        raise APIResponseValidationError("a redirect that cannot be followed", route=route)
    return target
