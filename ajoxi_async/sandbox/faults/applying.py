"""Applies faults to the answer of a request. Which faults strike is decided in `faults`."""

from __future__ import annotations

import anyio

from ajoxi_async.contract import headers
from ajoxi_async.contract.errors import CODE_STATUS
from ajoxi_async.contract.wire import Response
from ajoxi_async.sandbox.faults.broken_answers import ConnectionBrokenError, StreamedResponse, slowly, truncated
from ajoxi_async.sandbox.faults.faults import Fault
from ajoxi_async.sandbox.refusal import Refusal

__all__ = ["after_command", "before_command"]

#: The error code of each status, where the fault gives none.
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
    elif fault.action in {"status", "rate_limit_storm"}:
        status = 429 if fault.action == "rate_limit_storm" else fault.status
        code = fault.code or _CODES.get(status, "internal_error" if status >= 500 else "invalid_parameter")
        wait = 1 if status == 429 and fault.retry_after is None else fault.retry_after
        if wait is not None:
            answer[headers.RETRY_AFTER] = str(wait)
        raise Refusal(code, f"an injected fault: {fault.id}", status=status)


def after_command(fault: Fault, response: Response | StreamedResponse) -> Response | StreamedResponse:
    """Apply a fault that strikes after the command, and return the answer as it is sent.

    Raises:
        ConnectionBrokenError: there is no answer.
    """
    if fault.action == "drop_after_commit":
        raise ConnectionBrokenError
    if isinstance(response, StreamedResponse):
        return response
    sized = {**response.headers, "Content-Length": str(len(response.body))}
    if fault.action == "truncate":
        return StreamedResponse(sized, truncated(response.body), response.status)
    if fault.action == "slow":
        return StreamedResponse(sized, slowly(response.body, fault.seconds), response.status)
    if fault.action == "malformed":
        return Response(response.status, response.headers, b"<html>" + response.body[:20])
    return response
