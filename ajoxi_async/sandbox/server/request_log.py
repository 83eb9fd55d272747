"""The log of a sandbox's last requests and their answers, for assertions in tests and for finding errors.

Rules:
1. The last 2,000 requests are kept, and no more than 16 MiB. A request is logged once it is answered, a stream when its
   answer begins; bytes and duration of a stream are filled in while it is sent.
2. Headers that identify the caller are replaced before a request is logged. Keys and webhook secrets in a URL or a body are
   replaced when it is read, because a search in each request would slow requests down.
3. Of a body over 1 MiB, only the first 64 KiB are kept.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from types import MappingProxyType

from attrs import define, field

from ajoxi_async.contract.masking import shown
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox.faults.broken_answers import ConnectionBrokenError, StreamedResponse
from ajoxi_async.sandbox.faults.faults import Fault

__all__ = ["BROKEN", "CUT_BODY", "CountedChunks", "LoggedRequest", "RequestLog"]

#: The most requests and bytes that are kept.
KEPT, KEPT_BYTES = 2_000, 16 * 1024 * 1024
#: The longest body that is kept whole, and what is kept of a longer one.
WHOLE_BODY, CUT_BODY = 1024 * 1024, 64 * 1024
#: `LoggedRequest.error` of a connection that a fault ended.
BROKEN = "the connection was broken on purpose"

#: The approximate size of an entry without its texts, in bytes.
_ENTRY = 1_500
#: Keys and webhook secrets in a body, the same as in `masking`. Phone numbers are not replaced, because tests look at them.
_SECRET = re.compile(rb"(?P<prefix>AJX_(?:LIVE|TEST)_|whsec_)[^\s\"',;&<>)\]}]+")
_SECRET_TEXT = re.compile(_SECRET.pattern.decode())
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "x-ajoxi-key"})


class LoggedRequest:
    """One request and its answer.

    Attributes:
        id: the request id of the answer (``X-Request-Id``).
        method: the method as it was sent.
        request_headers: the headers of the request, with names in lower case; secrets are replaced.
        received: when the request came, by the wall clock, in seconds since the epoch.
        source: ``"api"``, or ``"console"`` for a request that the console makes for its user.
        route: the name of its route, such as ``calls.create``; ``None`` if no route has this path and method.
        key_id: the id of its key; ``None`` if it had no key that is accepted.
        moment: when the request came, by the clock of the key's world, in seconds since the epoch.
        status: the status of the answer; ``None`` if none was sent, for the reason in `error`.
        error: why no answer was sent, or why a stream ended early.
        faults: the faults that were applied to it.
        response_headers: the headers of the answer.
        response_bytes: the length of the answer's body; for a stream, the bytes sent so far.
        latency: seconds until the answer, or until the beginning of a stream.
        streamed: whether the answer was sent in chunks.
        duration: seconds from the request to the end of its stream; ``None`` without a stream or before its end.
    """

    # Defaults are on the class, because setting twenty attributes for each request would slow requests down.
    route: str | None = None
    key_id: str | None = None
    moment: float | None = None
    status: int | None = None
    error: str | None = None
    faults: tuple[Fault, ...] = ()
    response_headers: Mapping[str, str] = MappingProxyType({})
    response_bytes: int = 0
    latency: float = 0.0
    streamed: bool = False
    duration: float | None = None
    _response_body: bytes = b""

    def __init__(self, id: str, request: Request, sent: dict[str, str], source: str = "api") -> None:
        self.id = id
        self.method = request.method
        # Over a socket a request has only path and query; in memory it has the whole URL.
        self._url = url if (url := request.url).startswith("/") else "/" + url.partition("://")[2].partition("/")[2]
        self.request_headers = sent
        self._request_body = request.body or b""
        self.source = source
        self.received = time.time()

    def answered(self, response: Response | StreamedResponse) -> None:
        """Add the answer to the entry."""
        self.status, self.response_headers = response.status, response.headers
        if isinstance(response, Response):
            self._response_body, self.response_bytes = response.body, len(response.body)
        else:
            self.streamed = True

    @property
    def path(self) -> str:
        """The path of the URL."""
        return self._url.partition("?")[0]

    @property
    def url(self) -> str:
        """Path and query."""
        return _SECRET_TEXT.sub(r"\g<prefix>***", self._url)

    @property
    def request_body(self) -> bytes:
        """The body of the request."""
        return _SECRET.sub(rb"\g<prefix>***", self._request_body)

    @property
    def response_body(self) -> bytes:
        """The body of the answer; empty for a stream."""
        return _SECRET.sub(rb"\g<prefix>***", self._response_body)

    def contains(self, text: str) -> bool:
        """Whether the URL or one of the bodies contains a text, outside of secrets."""
        wanted = text.encode(errors="replace")
        return (
            text in self.url
            or (wanted in self._request_body and wanted in self.request_body)
            or (wanted in self._response_body and wanted in self.response_body)
        )

    def trim(self) -> int:
        """Shorten long bodies (rule 3), replace the headers of `_SECRET_HEADERS`, and return the size in bytes."""
        if len(self._request_body) > WHOLE_BODY:
            self._request_body = self._request_body[:CUT_BODY]
        if len(self._response_body) > WHOLE_BODY:
            self._response_body = self._response_body[:CUT_BODY]
        sent = self.request_headers
        for name in _SECRET_HEADERS & sent.keys():
            sent[name] = "***"
        texts = len(self._url) + len(self._request_body) + len(self._response_body)
        return _ENTRY + texts + sum(map(len, sent.values()))

    @property
    def at(self) -> datetime:
        """When the request came, by the wall clock."""
        return datetime.fromtimestamp(self.received, UTC)

    @property
    def fault(self) -> str | None:
        """The action of the first fault that was applied; ``None`` if there was none."""
        return self.faults[0].action if self.faults else None

    def __repr__(self) -> str:
        end = self.error if self.status is None else self.status
        return f"<{self.id} {self.method[:20]} {shown(self.url, 100)} {end}>"


@define(eq=False)
class RequestLog:
    """The last requests that were answered, the oldest first; iterate over it, or search it with `find`.

    Attributes:
        changed: called with the id of a request that was added, or whose stream ended.
        version: a number that grows with each change of the log.
    """

    changed: Callable[[str], None] | None = None
    version: int = field(default=0, init=False)
    _entries: deque[LoggedRequest] = field(factory=deque, init=False)
    #: The size of each entry in bytes.
    _sizes: deque[int] = field(factory=deque, init=False)
    _bytes: int = field(default=0, init=False)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(tuple(self._entries))

    def __reversed__(self) -> Iterator[LoggedRequest]:
        return reversed(tuple(self._entries))

    def get(self, id: str) -> LoggedRequest | None:
        """The request with this id; ``None`` if it is not in the log, or not any more."""
        return next((entry for entry in reversed(self._entries) if entry.id == id), None)

    def find(
        self,
        *,
        route: str | None = None,
        status: int | str | None = None,
        method: str | None = None,
        source: str | None = None,
        key_id: str | None = None,
        fault: str | None = None,
        about: str | None = None,
    ) -> tuple[LoggedRequest, ...]:
        """The requests that match all given arguments, the oldest first.

        Args:
            route: a route, or a pattern of routes: ``calls.*``.
            status: the status of the answer, such as 429, or a class of statuses: ``"5xx"``.
            method: the method of the request.
            source: ``"api"`` or ``"console"``.
            key_id: the id of its key, as ``GET /_ajoxi/keys`` lists it.
            fault: the action or the id of a fault that was applied to it.
            about: a text that its URL or one of its bodies contains, such as the id of an object.
        """
        wanted = str(status).lower() if status is not None else None
        return tuple(
            entry
            for entry in self._entries
            if (route is None or fnmatchcase(entry.route or "", route))
            and (wanted is None or wanted in {str(entry.status), f"{str(entry.status)[:1]}xx"})
            and (method is None or entry.method == method)
            and (source is None or entry.source == source)
            and (key_id is None or entry.key_id == key_id)
            and (fault is None or any(fault in {one.action, one.id} for one in entry.faults))
            and (about is None or entry.contains(about))
        )

    def clear(self) -> None:
        """Remove all requests."""
        self.version += 1
        self._entries.clear()
        self._sizes.clear()
        self._bytes = 0

    def add(self, entry: LoggedRequest) -> None:
        """Log a request with its secrets replaced, and remove the oldest requests if there are too many."""
        size = entry.trim()
        self._entries.append(entry)
        self._sizes.append(size)
        self._bytes += size
        while len(self._entries) > KEPT or self._bytes > KEPT_BYTES:
            self._entries.popleft()
            self._bytes -= self._sizes.popleft()
        self.mark_changed(entry)

    def mark_changed(self, entry: LoggedRequest) -> None:
        """Call `changed` for a request that was added or changed."""
        self.version += 1
        if self.changed is not None:
            self.changed(entry.id)


class CountedChunks:
    """Passes on the chunks of a stream and counts their bytes in the stream's entry."""

    def __init__(self, chunks: AsyncIterator[bytes], entry: LoggedRequest, log: RequestLog, began: float) -> None:
        self._chunks, self._entry, self._log, self._began = chunks, entry, log, began

    def __aiter__(self) -> CountedChunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._end(None)
            raise
        except ConnectionBrokenError:
            self._end(BROKEN)
            raise
        self._entry.response_bytes += len(chunk)
        return chunk

    async def aclose(self) -> None:
        """Close the stream, read to its end or not."""
        self._end("the reader went away")
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()

    def _end(self, why: str | None) -> None:
        if self._entry.duration is None:
            self._entry.duration = time.perf_counter() - self._began
            self._entry.error = why
            self._log.mark_changed(self._entry)
