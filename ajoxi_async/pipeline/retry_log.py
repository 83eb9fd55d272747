"""The log lines of retries: one at INFO for each, with its facts as attributes of the record for structured logs.

Rules:
1. The attributes are ``ajoxi_event`` (``retry``, ``rate_limited`` for a 429, ``reconnect`` for a stream), ``ajoxi_route``,
   ``ajoxi_method``, ``ajoxi_attempt`` (the one that failed), ``ajoxi_fate`` (`protocol.retry`), ``ajoxi_status``,
   ``ajoxi_request_id``, ``ajoxi_error``, ``ajoxi_retry_after`` and ``ajoxi_delay``, both in seconds.
2. Keys and phone numbers are masked in all of them.
3. Everything else that the client logs of requests is at DEBUG.
"""

from __future__ import annotations

import logging

from ajoxi_async.contract.masking import shown
from ajoxi_async.contract.wire import ExchangeError, Response
from ajoxi_async.protocol.answers import request_id_of
from ajoxi_async.protocol.retry import Fate

__all__ = ["log_reconnect", "log_retry"]

logger: logging.Logger = logging.getLogger("ajoxi_async")

#: Characters of an error that are logged.
_LONGEST = 500


def log_retry(
    route: str,
    method: str,
    outcome: Response | ExchangeError,
    *,
    attempt: int,
    fate: Fate,
    delay: float,
    retry_after: float | None,
) -> None:
    """Log that a request is sent again after `delay` seconds."""
    if not logger.isEnabledFor(logging.INFO):
        return
    status = request_id = error = None
    if isinstance(outcome, Response):
        status, request_id = outcome.status, request_id_of(outcome.headers)
        what = f"was answered {status} ({request_id or '-'})"
    else:
        error = shown(str(outcome), _LONGEST)
        what = f"had no answer: {error}"
    logger.info(
        "%s %s: attempt %d %s; again in %.2f s",
        route,
        method,
        attempt,
        what,
        delay,
        extra={
            "ajoxi_event": "rate_limited" if fate is Fate.REFUSED else "retry",
            "ajoxi_route": route,
            "ajoxi_method": method,
            "ajoxi_attempt": attempt,
            "ajoxi_fate": fate.value,
            "ajoxi_status": status,
            "ajoxi_request_id": request_id,
            "ajoxi_error": error,
            "ajoxi_retry_after": retry_after,
            "ajoxi_delay": round(delay, 3),
        },
    )


def log_reconnect(name: str, route: str, why: str, *, failures: int, delay: float) -> None:
    """Log that a stream connects again after `delay` seconds."""
    if logger.isEnabledFor(logging.INFO):
        why = shown(why, _LONGEST)
        logger.info(
            "%s: %s; again in %.2f s",
            shown(name, _LONGEST),
            why,
            delay,
            extra={
                "ajoxi_event": "reconnect",
                "ajoxi_route": route,
                "ajoxi_method": "GET",
                "ajoxi_attempt": failures,
                "ajoxi_error": why,
                "ajoxi_delay": round(delay, 3),
            },
        )
