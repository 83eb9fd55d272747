"""A filter of `logging` that masks keys and phone numbers in an application's own log.

    handler.addFilter(MaskingFilter())

Rules:
1. Masked are the message with its arguments, the traceback, and texts among the record's own attributes (``extra``), also
   inside of lists and objects. What is masked says `contract.masking`.
2. Put it on a handler. On a logger it would see only what is logged through this logger itself, not through those below it.
3. It changes the record itself, so that handlers after this one get masked text as well, and the text of a traceback in place of
   the exception.
4. It lets every record pass. A record whose arguments do not fit its message is left to the handler, which reports it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from ajoxi_async.contract.masking import mask

__all__ = ["MaskingFilter"]

#: Attributes that every record has; they are the logger's and not the application's.
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_DEEPEST: Final = 8


class MaskingFilter(logging.Filter):
    """Masks API keys, webhook secrets, bearer tokens, passwords in URLs and phone numbers. See the rules of the module."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask a record in place; returns True."""
        try:
            text = record.getMessage()
        except Exception:  # the handler prints what is wrong with it
            return True
        record.msg, record.args = mask(text), None
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        # Formatters print the text then; some for JSON would print the exception itself, if it were there.
        record.exc_info = None
        if record.exc_text:
            record.exc_text = mask(record.exc_text)
        if record.stack_info:
            record.stack_info = mask(record.stack_info)
        for name, value in list(vars(record).items()):
            if name not in _OWN:
                setattr(record, name, _masked(value, _DEEPEST))
        return True


def _masked(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return mask(value)
    if depth and isinstance(value, Mapping):
        return {_masked(key, 0): _masked(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        return [_masked(item, depth - 1) for item in value]
    if isinstance(value, (int, float, type(None))):
        return value
    try:
        text = str(value)
    except Exception:
        return value
    # What has nothing to hide stays an object, such as a time.
    return value if mask(text) == text else mask(text)
