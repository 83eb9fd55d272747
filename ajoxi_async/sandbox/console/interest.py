"""What a page wants to be told by its feed: views, which are GETs of the control surface or of the API, and open calls. Pure.

Rules:
1. A view is sent when the page asks for it, and again whenever its answer has changed. It is read again only if an object of
   one of its kinds was changed.
2. A new interest replaces the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.feed.changes import KINDS

__all__ = ["API", "EVERYTHING", "SECOND", "Interest", "kinds_of", "parse"]

#: The beginning of views that are GETs of the API.
API: Final = "v1/"
EVERYTHING: Final = frozenset(KINDS)
#: In place of a kind: a view that is read every second, because nothing tells when it changes.
SECOND: Final = "second"
_NOTHING: Final[frozenset[str]] = frozenset()
_MOST_VIEWS, _MOST_CALLS, _LONGEST_NAME, _LONGEST_URL = 60, 20, 100, 2_000

#: The kinds of objects that a view shows, by the beginning of its path. Other views show objects of any kind.
_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "calls": frozenset({"call"}),
    "messages": frozenset({"message"}),
    "conversations": frozenset({"message", "opted_out"}),
    "recordings": frozenset({"recording"}),
    "requests": frozenset({"request"}),
    "deliveries": frozenset({"delivery"}),
    "dead-letters": frozenset({"delivery"}),
    "campaigns": frozenset({"campaign"}),
    "faults": frozenset({"fault"}),
    "keys": frozenset({"key"}),
    "worlds": frozenset({"key", "request"}),
    "snapshots": frozenset({"snapshot"}),
    "clock": frozenset({"clock", "snapshot"}),
    "timers": frozenset({"clock"}),
    "settings": frozenset({"settings"}),
    "receivers": frozenset({"receiver"}),
    "ledger": frozenset({SECOND}),
    "vocabulary": _NOTHING,
    "zones": _NOTHING,
    "v1/calls": frozenset({"call"}),
    "v1/messages": frozenset({"message"}),
    "v1/numbers": frozenset({"number"}),
    "v1/recordings": frozenset({"recording"}),
    "v1/transcripts": frozenset({"call", "recording", "clock"}),
    "v1/webhooks": frozenset({"webhook"}),
}


@frozen
class Interest:
    """What one page shows.

    Attributes:
        views: path and query of each view, by a name that the page chose.
        calls: the ids of the calls whose transcripts it shows.
    """

    views: Mapping[str, str] = {}
    calls: tuple[str, ...] = ()

    @property
    def every_second(self) -> bool:
        """Whether one of the views is read every second."""
        return any(SECOND in kinds_of(url) for url in self.views.values())


def parse(given: Mapping[str, Any]) -> Interest:
    """An interest from the JSON object that a page sends.

    Raises:
        InvalidParameterError: a member is not expected, of another type, or there is too much.
    """
    for name in given:
        if name not in {"views", "calls"}:
            raise InvalidParameterError(str(name)[:100], "no such parameter; expected views, calls")
    views, calls = given.get("views", {}), given.get("calls", [])
    if type(views) is not dict or len(views) > _MOST_VIEWS:
        raise InvalidParameterError("views", f"expected an object with at most {_MOST_VIEWS} views")
    for name, url in views.items():
        if len(name) > _LONGEST_NAME or type(url) is not str or len(url) > _LONGEST_URL or url.startswith("/"):
            raise InvalidParameterError("views", "expected names, each with path and query such as 'calls?limit=60'")
    if type(calls) is not list or len(calls) > _MOST_CALLS or not all(type(id) is str for id in calls):
        raise InvalidParameterError("calls", f"expected a list of at most {_MOST_CALLS} ids of calls")
    return Interest(dict(views), tuple(dict.fromkeys(calls)))


def kinds_of(url: str) -> frozenset[str]:
    """The kinds of objects that a view shows."""
    parts = url.partition("?")[0].split("/")
    return _KINDS.get("/".join(parts[: 2 if url.startswith(API) else 1]), EVERYTHING)
