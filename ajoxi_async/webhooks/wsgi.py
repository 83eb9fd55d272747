"""Reading bodies without a Content-Length under WSGI.

Rules:
1. Such a body is read only if its end is marked: the server says so (``wsgi.input_terminated``), or the input is a file or in
   memory. Reading from anything else could wait for ever.
2. At most `max_bytes` and one byte more are read, so that a body that is too large is never in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["TooLarge", "read_without_length"]

logger: logging.Logger = logging.getLogger("ajoxi_async.webhooks")

_PIECE: Final = 64 * 1024


class TooLarge(Exception):
    """The body is larger than `max_bytes`."""


def read_without_length(environ: Mapping[str, Any], max_bytes: int) -> bytes:
    """Read a body that has no Content-Length; returns nothing if it has one, or if its end is not marked.

    Raises:
        TooLarge: it is longer than `max_bytes`.
    """
    if environ.get("CONTENT_LENGTH"):
        return b""
    stream = environ["wsgi.input"]
    if not _ends(environ, stream):
        if "HTTP_TRANSFER_ENCODING" in environ:
            logger.error(
                "the body came in chunks, and the server does not say where it ends (wsgi.input_terminated): have the"
                " server or a proxy in front of it pass on a Content-Length"
            )
        return b""
    body = bytearray()
    while piece := stream.read(min(_PIECE, max_bytes + 1 - len(body))):
        body += piece
        if len(body) > max_bytes:
            raise TooLarge
    return bytes(body)


def _ends(environ: Mapping[str, Any], stream: Any) -> bool:
    if environ.get("wsgi.input_terminated"):
        return True
    if getattr(
        stream, "chunked_input", False
    ):  # eventlet's server reads chunks, but does not set `wsgi.input_terminated`
        return True
    try:
        return bool(stream.seekable())
    except (AttributeError, ValueError, OSError):
        return False
