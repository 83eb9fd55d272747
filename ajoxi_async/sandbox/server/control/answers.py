"""The answers of the control surface and the console: JSON objects, and errors with the API's envelope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.errors import CODE_STATUS, InvalidParameterError, error_body
from ajoxi_async.contract.wire import Response
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.admission import DATA_HEADERS
from ajoxi_async.sandbox.server.control.time import fired_json
from ajoxi_async.sandbox.time.clock import AdvanceStoppedError, NeverHappenedError

__all__ = ["REFUSED", "error_answer", "json_answer"]

#: What `error_answer` takes.
REFUSED: Final = (NeverHappenedError, AdvanceStoppedError, InvalidParameterError, Refusal)


def json_answer(status: int, shown: Any, more: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON object, and with these headers besides the usual ones."""
    return Response(status, {headers.CONTENT_TYPE: headers.JSON, **DATA_HEADERS, **(more or {})}, codec.encode(shown))


async def error_answer(error: NeverHappenedError | AdvanceStoppedError | InvalidParameterError | Refusal) -> Response:
    """The answer to a request that failed with one of `REFUSED`."""
    if isinstance(error, NeverHappenedError | AdvanceStoppedError):
        code = "never_happened" if isinstance(error, NeverHappenedError) else "advance_stopped"
        return json_answer(409, {**error_body(code, error.message), "fired": await fired_json(error.fired)})
    if isinstance(error, InvalidParameterError):
        code = "missing_parameter" if error.missing else "invalid_parameter"
        return json_answer(400, error_body(code, error.why, codec.wire_name(error.param)))
    return json_answer(error.status or CODE_STATUS[error.code], error_body(error.code, error.message, error.param))
