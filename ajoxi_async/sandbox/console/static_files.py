"""The console's files, as they are packed in the package: the shell and what it loads.

Rules:
1. A file is found by its name alone among those that were read when the console started; a path leads nowhere else.
2. The shell holds no data, so that a link may lead to it from anywhere, but only as a document of its own: never in a frame.
3. Only files with a suffix of `_TYPES` are served, with this type.
4. A browser asks before it uses a file again, by its hash. A text is sent compressed to those that take it.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final

from attrs import frozen

from ajoxi_async.contract.wire import Response
from ajoxi_async.sandbox.server.admission import DATA_HEADERS

__all__ = ["SHELL", "StaticFile", "read_all", "serve"]

#: The name of the shell.
SHELL: Final = "index.html"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
#: What may be loaded by the shell, and from where. The policy `ajoxi` lets the URL of the console's own worker pass.
_CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; "
    "worker-src 'self'; font-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types lit-html ajoxi"
)
_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **DATA_HEADERS,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": _CONTENT_POLICY,
        "Vary": "Accept-Encoding",
    }
)


@frozen(repr=False)
class StaticFile:
    """A file: its type, a tag that changes with its bytes, the bytes, and the same compressed."""

    type: str
    tag: str
    body: bytes
    compressed: bytes


@cache
def read_all() -> Mapping[str, StaticFile]:
    """Read all files, by their paths below ``static/``. This blocks; call it in a thread."""
    return dict(_read(files("ajoxi_async.sandbox.console").joinpath("static"), ""))


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, StaticFile]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
            continue
        kind = next((kind for suffix, kind in _TYPES.items() if entry.name.endswith(suffix)), None)
        if kind is not None:
            body = entry.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            yield prefix + entry.name, StaticFile(kind, tag, body, gzip.compress(body, mtime=0))


def serve(file: StaticFile, sent: Mapping[str, str]) -> Response:
    """The answer with a file, for a request with these headers, whose names are in lower case."""
    shown = {**_HEADERS, "ETag": file.tag}
    if sent.get("if-none-match") == file.tag:
        return Response(304, shown, b"")
    shown["Content-Type"] = file.type
    if "gzip" in sent.get("accept-encoding", "") and len(file.compressed) < len(file.body):
        return Response(200, {**shown, "Content-Encoding": "gzip"}, file.compressed)
    return Response(200, shown, file.body)
