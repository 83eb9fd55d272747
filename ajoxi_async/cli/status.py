"""The exit status of the commands that ask the API, and how an error is shown.

| status | when |
| --- | --- |
| 0 | done |
| 1 | something else: the output or a file cannot be written, the answer does not have the documented form |
| 2 | it cannot be right as it was typed; nothing was sent |
| 3 | there is no key, or a setting cannot be right, or the question before it was not answered with yes; nothing was sent |
| 4 | the key is wrong, or may not do this (401, 403) |
| 5 | there is no such thing in the account (404) |
| 6 | the API refused it for another reason (400, 422 and other 4xx) |
| 7 | the rate limit (429) |
| 8 | the API failed (5xx) |
| 9 | no answer came, and nothing was done |
| 10 | it may or may not have been done: look before you do it again |
| 11 | a stream or a download was lost on its way |
| 130 | Ctrl-C |
| 141 | the reader of the output has gone |

An error is one line on standard error, with the id of the request where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ajoxi_async.cli.output import warn
from ajoxi_async.contract.errors import AjoxiError, InvalidParameterError
from ajoxi_async.protocol.errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    ConfigurationError,
    DownloadError,
    DownloadFileError,
    InternalServerError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    StreamError,
)

__all__ = ["NotConfirmedError", "UsageError", "report", "status_of"]


class UsageError(AjoxiError):
    """The arguments cannot be right."""


class NotConfirmedError(AjoxiError):
    """Something that has to be confirmed was not."""


#: The first class that fits counts.
_STATUSES: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (UsageError, 2),
    (InvalidParameterError, 2),
    (ConfigurationError, 3),
    (NotConfirmedError, 3),
    (AuthenticationError, 4),
    (PermissionDeniedError, 4),
    (NotFoundError, 5),
    (RateLimitError, 7),
    (InternalServerError, 8),
    (APIStatusError, 6),
    (APIConnectionError, 9),
    (OutcomeUnknownError, 10),
    (StreamError, 11),
    (DownloadFileError, 1),
    (DownloadError, 11),
)


def status_of(error: AjoxiError) -> int:
    """The exit status of an error."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 1)


def report(error: AjoxiError, typed: Mapping[str, str] | None = None) -> int:
    """Show an error; return the exit status.

    Args:
        error: what ended the command.
        typed: the options by the names that the parameters have in errors; others are spelt as options are.
    """
    if isinstance(error, InvalidParameterError):
        bare = re.sub(r"\[.*?\]", "", error.param)
        option = (typed or {}).get(bare) or "--" + bare.rstrip("_").replace("_", "-").replace(".", "-")
        warn(f"{option}: {error.why}")
    else:
        warn(str(error))
    if isinstance(error, OutcomeUnknownError):
        warn("it may have been done: look before you do it again")
    return status_of(error)
