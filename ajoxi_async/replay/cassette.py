"""The file of recorded exchanges, and what of an exchange is recorded.

Rules:
1. API keys, tokens, webhook secrets, passwords and signatures in URLs are masked (`contract.masking`) before anything is kept.
   Of phone numbers the first five and the last two characters are kept, with zeros between them, so that code which sends
   a number back sends a number. Headers of requests are not recorded, but for those in `ASKED`; of answers, all but cookies are.
2. A text is kept as text and everything else as base64. A stream is kept in pieces with the seconds at which they came. A piece
   of text ends at a line's end, so that no number is split between two pieces.
3. Requests are compared as they are recorded, that is masked, by method, path, query, body and the headers in `ASKED`. The
   host does not count, and neither does the generated ``client_reference`` of a call.
"""

from __future__ import annotations

import json
import os
import re
import stat
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define, field

from ajoxi_async.contract.headers import Headers
from ajoxi_async.contract.masking import mask_fully
from ajoxi_async.contract.wire import Request
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.version import VERSION

__all__ = [
    "ASKED",
    "Exchange",
    "asked",
    "checked_path",
    "is_text",
    "kept",
    "kept_headers",
    "load",
    "masked",
    "restored",
    "save",
    "sought",
]

FORMAT: Final = 1
#: Headers of requests that say what is asked for.
ASKED: Final = ("Accept", "Last-Event-ID", "Range")
_NOT_KEPT: Final = frozenset({"set-cookie", "set-cookie2", "www-authenticate"})
#: An escape in JSON of what a phone number is made of, which masking would not recognise.
_ESCAPED: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u00(2[bB]|3[0-9])")
#: Parameters of URLs that give access to a file of a storage.
_SIGNED: Final = re.compile(
    r"([?&](?:X-Amz-\w[\w-]*|X-Goog-\w[\w-]*|signature|sig|token|key)=)[^&\s\"'\\]+", re.IGNORECASE
)
_REFERENCE: Final = re.compile(r'("client_reference"\s*:\s*")[^"]*"')


@define
class Exchange:
    """One request and what became of it, as recorded.

    Attributes:
        request: method, URL, headers and body.
        outcome: ``status``, ``headers`` and ``body``; or ``status``, ``headers`` and ``pieces`` of a stream with how it
            ``ended``; or ``error``, ``sent`` and ``timeout`` where there was no answer. Empty while the exchange goes on.
    """

    request: dict[str, Any]
    outcome: dict[str, Any] = field(factory=dict)


def masked(text: str) -> str:
    """A text without secrets and phone numbers, escaped ones in JSON included."""
    if "\\u00" in text:
        text = _ESCAPED.sub(lambda found: found[1] + chr(int(found[2], 16)), text)
    if "=" in text:
        text = _SIGNED.sub(r"\1***", text)
    return mask_fully(text)


def is_text(headers: Mapping[str, str]) -> bool:
    """Whether a body is text, by its Content-Type."""
    kind = (headers.get("Content-Type") or "").lower()
    return kind.startswith("text/") or "json" in kind


def kept(body: bytes, *, text: bool) -> str | dict[str, str]:
    """A body as it stands in the file."""
    try:
        return masked(body.decode())
    except UnicodeDecodeError:
        # Text with invalid bytes in it is masked all the same.
        return {"latin1": masked(body.decode("latin-1"))} if text else {"base64": b64encode(body).decode()}


def restored(body: Any) -> bytes:
    """The bytes of a body in the file."""
    if not isinstance(body, dict):
        return str(body).encode()
    return body["latin1"].encode("latin-1") if "latin1" in body else b64decode(body["base64"], validate=True)


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer as they stand in the file."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        if name.lower() not in _NOT_KEPT:
            kept.setdefault(name, masked(value))  # of repeated ones the first counts
    return kept


def asked(request: Request) -> dict[str, Any]:
    """A request as it stands in the file."""
    given = Headers(request.headers)
    parts = urlsplit(request.url)
    return {
        "method": request.method,
        "url": masked(f"{parts.scheme}://{parts.netloc}{_target(request.url)}"),
        "headers": {name: masked(value) for name in ASKED if (value := given.get(name)) is not None},
        "body": None if request.body is None else kept(request.body, text=is_text(given)),
    }


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def sought(request: Mapping[str, Any]) -> tuple[Any, ...]:
    """What two requests have in common if one stands for the other (rule 3)."""
    body = request.get("body")
    body = _REFERENCE.sub(r'\1"', body) if isinstance(body, str) else json.dumps(body)
    headers = tuple(sorted((request.get("headers") or {}).items()))
    return request.get("method"), _target(str(request.get("url"))), body, headers


def checked_path(path: str | os.PathLike[str]) -> Path:
    """The path of a file of exchanges, which need not exist yet.

    Raises:
        ConfigurationError: no such file can be there: a folder or a device is.
    """
    try:
        file = Path(path)
        mode = file.stat().st_mode
    except (TypeError, ValueError):
        raise ConfigurationError(f"path: expected the path of a file, got {path!r:.80}") from None
    except OSError:  # reading or writing it says why
        return file
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"path: {file} is no regular file; expected the path of a recording")
    return file


def load(path: Path) -> list[Exchange]:
    """Read a file.

    Raises:
        ConfigurationError: it cannot be read, or is not such a file.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ConfigurationError(f"path: {path} has format {document['format']!r:.20}, expected {FORMAT}")
        exchanges = list(document["exchanges"])
    except OSError as error:
        raise ConfigurationError(f"path: {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError(f"path: {path} is not a recording of this package") from None
    return [_exchange(path, number, one) for number, one in enumerate(exchanges, 1)]


def _exchange(path: Path, number: int, written: Any) -> Exchange:
    """One exchange of a file. It is read as the replayer reads it, so that what is damaged is found before anything is asked."""
    try:
        exchange = Exchange(dict(written["request"]), dict(written["outcome"]))
        sought(exchange.request)
        outcome = exchange.outcome
        if isinstance(ended := outcome.get("ended"), dict) and "error" not in ended:
            raise KeyError("error")
        if "error" not in outcome:
            int(outcome["status"])
            Headers(outcome.get("headers") or {})
            restored(outcome.get("body", ""))
            for at, piece in outcome.get("pieces") or ():
                float(at)
                restored(piece)
            float(outcome.get("ended_at") or 0.0)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(
            f"path: {path}: exchange {number} is damaged; record it again, or restore the file"
        ) from None
    return exchange


def save(path: Path, exchanges: list[Exchange]) -> None:
    """Write a file, in one step, so that a reader never sees half of it. If it is a link, the file that it points to is replaced.

    Raises:
        ConfigurationError: it cannot be written.
    """
    document = {
        "format": FORMAT,
        "made_by": f"ajoxi-async {VERSION}",
        "exchanges": [{"request": one.request, "outcome": one.outcome} for one in exchanges if one.outcome],
    }
    path = Path(os.path.realpath(path))
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise ConfigurationError(f"path: {path} cannot be written: {error.strerror}") from None
