"""Keeps secrets out of what httpx and httpcore log about the requests of this package.

httpx logs the URL of each request at INFO, and httpcore the headers of each answer at DEBUG. The query of a URL may be the
signature of a recording or hold a phone number. Records about other requests of the application stay as they are.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from ajoxi_async.contract.masking import mask

__all__ = ["mask_log_of", "masked_log"]

#: Names of loggers, by library.
_LOGGERS: Final = {
    library: (library, *(f"{core}.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))
    for library, core in (("httpx", "httpcore"), ("httpx2", "httpcore2"))
}
_QUERY: Final = re.compile(r"\?[^\s'\"]*")
_ours: ContextVar[bool] = ContextVar("ajoxi_async_httpx_request", default=False)


def _without_secrets(record: logging.LogRecord) -> bool:
    if _ours.get():
        record.msg, record.args = mask(_QUERY.sub("?...", record.getMessage())), None
    return True


def mask_log_of(library: str) -> None:
    """Mask what a library, httpx or httpx2, logs within `masked_log`."""
    for name in _LOGGERS[library]:
        # A logger has a filter once, however often it is added.
        logging.getLogger(name).addFilter(_without_secrets)


@contextmanager
def masked_log() -> Iterator[None]:
    """Mask what httpx logs about the requests that are sent within this block."""
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)
