"""Carrying faults out on the answer to a request; which ones strike is decided in `faults`."""

from __future__ import annotations

import anyio

from ajoxi_async.contract import headers
from ajoxi_async.contract.errors import CODE_STATUS
from ajoxi_async.contract.wire import Response
from ajoxi_async.sandbox.faults.broken_answers import BrokenError, EventStream, slowly, truncated
from ajoxi_async.sandbox.faults.faults import Fault
from ajoxi_async.sandbox.refusal import Refusal

__all__ = ["after", "before"]

#: The error code of an injected status, where none is given.
_CODES = {status: code for code, status in reversed(CODE_STATUS.items())}


async def before(fault: Fault, answer: dict[str, str]) -> None:
    """Carry out what comes before the command, which is then not run, unless it only waits.

    Raises:
        Refusal: the answer instead.
        BrokenError: there is no answer.
    """
    if fault.action == "latency":
        await anyio.sleep(fault.seconds)
    elif fault.action in {"drop_before", "reset"}:
        raise BrokenError(reset=fault.action == "reset")
    elif fault.action in {"status", "rate_limit_storm"}:
        status = 429 if fault.action == "rate_limit_storm" else fault.status
        code = fault.code or _CODES.get(status, "internal_error" if status >= 500 else "invalid_parameter")
        wait = 1 if status == 429 and fault.retry_after is None else fault.retry_after
        if wait is not None:
            answer[headers.RETRY_AFTER] = str(wait)
        raise Refusal(code, f"an injected fault: {fault.id}", status=status)


def after(fault: Fault, response: Response | EventStream) -> Response | EventStream:
    """Carry out what comes after the command, on its answer.

    Raises:
        BrokenError: there is no answer.
    """
    if fault.action == "drop_after_commit":
        raise BrokenError
    if isinstance(response, EventStream):
        return response
    sized = {**response.headers, "Content-Length": str(len(response.body))}
    if fault.action == "truncate":
        return EventStream(sized, truncated(response.body), response.status)
    if fault.action == "slow":
        return EventStream(sized, slowly(response.body, fault.seconds), response.status)
    if fault.action == "malformed":
        return Response(response.status, response.headers, b"<html>" + response.body[:20])
    return response
