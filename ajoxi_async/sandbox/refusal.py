"""A command that cannot be carried out."""

from __future__ import annotations

from ajoxi_async.contract.errors import AjoxiError

__all__ = ["Refusal"]


class Refusal(AjoxiError):
    """A command that cannot be carried out; the API answers it with an error body.

    Args:
        code: the documented error code.
        message: what is wrong.
        param: the name of the wrong parameter, as it is sent.
        status: the HTTP status, if it is not the usual one of the code.
    """

    def __init__(self, code: str, message: str, param: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.status = status
