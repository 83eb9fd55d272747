"""Applies faults to the answer of a request. The module `faults` decides which faults strike.

`commit_late` and `list_lag` change how the command runs, so that they are applied by the code that runs it: see `seconds_of`.
"""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.errors import CODE_STATUS, error_body
from ajoxi_async.contract.wire import Response
from ajoxi_async.sandbox.faults.broken_answers import ConnectionBrokenError, StreamedResponse, slowly, truncated
from ajoxi_async.sandbox.faults.faults import Action, Fault
from ajoxi_async.sandbox.refusal import Refusal

__all__ = ["after_command", "before_command", "seconds_of"]

#: The error code of each status, for faults that give none.
_CODES = {status: code for code, status in reversed(CODE_STATUS.items())}


async def before_command(fault: Fault, answer: dict[str, str]) -> None:
    """Apply a fault that strikes before the command. Unless it only waits, the command is not run.

    Args:
        fault: the fault that struck.
        answer: headers of the answer, which the fault may add to.

    Raises:
        Refusal: the answer instead.
        ConnectionBrokenError: there is no answer.
    """
    if fault.action == "latency":
        await anyio.sleep(fault.seconds)
    elif fault.action in {"drop_before", "reset"}:
        raise ConnectionBrokenError(reset=fault.action == "reset")
    elif fault.action in {"status", "rate_limit_storm", "outage"}:
        raise _refusal(fault, answer)


def _refusal(fault: Fault, answer: dict[str, str]) -> Refusal:
    """The answer of a fault; Retry-After is put into the headers `answer`."""
    status = 429 if fault.action == "rate_limit_storm" else fault.status
    code = fault.code or _CODES.get(status, "internal_error" if status >= 500 else "invalid_parameter")
    wait = 1 if status == 429 and fault.retry_after is None else fault.retry_after
    if wait is not None:
        answer[headers.RETRY_AFTER] = str(wait)
    return Refusal(code, f"an injected fault: {fault.id}", status=status)


def after_command(fault: Fault, response: Response | StreamedResponse) -> Response | StreamedResponse:
    """Apply a fault that strikes after the command, and return the answer as it is sent.

    Raises:
        ConnectionBrokenError: there is no answer.
    """
    if fault.action == "drop_after_commit":
        raise ConnectionBrokenError
    if isinstance(response, StreamedResponse):
        return response
    if fault.action == "status_after_commit" and response.status < 400:
        shown = {**response.headers, headers.CONTENT_TYPE: headers.JSON}
        refusal = _refusal(fault, shown)
        return Response(fault.status, shown, codec.encode(error_body(refusal.code, refusal.message)))
    sized = {**response.headers, "Content-Length": str(len(response.body))}
    if fault.action == "truncate":
        return StreamedResponse(sized, truncated(response.body), response.status)
    if fault.action == "slow":
        return StreamedResponse(sized, slowly(response.body, fault.seconds), response.status)
    if fault.action == "malformed":
        return Response(response.status, response.headers, b"<html>" + response.body[:20])
    return response


def seconds_of(struck: Iterable[Fault], action: Action) -> float | None:
    """The longest `seconds` among the faults with this action that struck; ``None`` if none struck."""
    return max((fault.seconds for fault in struck if fault.action == action), default=None)
