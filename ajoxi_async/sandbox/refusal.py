"""A command that cannot be carried out."""

from __future__ import annotations

from ajoxi_async.contract.errors import AjoxiError

__all__ = ["Refusal"]


class Refusal(AjoxiError):
    """The API's answer to a command that cannot be carried out; `status` where it is not the code's own."""

    def __init__(self, code: str, message: str, param: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.status = status
