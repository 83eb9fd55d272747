"""The filter that masks an application's own log."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ajoxi_async import Call, MaskingFilter

SECRETS = ("AJX_LIVE_0123456789", "whsec_0123456789", "4155551234", "hunter2")
LINE = "key AJX_LIVE_0123456789 secret whsec_0123456789 number +14155551234 proxy http://me:hunter2@proxy.example"


class Structured(logging.Formatter):
    """As formatters for JSON do it: every attribute of the record."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {**vars(record), "message": record.getMessage(), "trace": super().format(record)}, default=str
        )


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger whose handler has the filter and prints everything."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Structured())
    handler.addFilter(MaskingFilter())
    logger = logging.getLogger("shop")
    logger.addHandler(handler)
    logger.propagate = False
    yield logging.getLogger("shop.orders"), out
    logger.removeHandler(handler)
    logger.propagate = True


def test_nothing_gets_through(log: tuple[logging.Logger, io.StringIO]) -> None:
    """Message, arguments, traceback, stack and extras, nested ones too, of a logger below the handler's."""
    logger, out = log
    extra = {
        "order": {"to": [LINE, (LINE,)], LINE: 1},
        "who": LINE,
        "call": Call(id="c", to="+14155551234"),
        "err": ValueError(LINE),
    }
    try:
        raise ValueError(LINE)
    except ValueError:
        logger.exception("calling %s with %r", LINE, {"n": LINE}, extra=extra, stack_info=True)
    logger.warning(ValueError(LINE))
    text = out.getvalue()
    assert len(text.splitlines()) == 2
    for secret in SECRETS:
        assert secret not in text
    assert "+1415***34" in text
    assert "Traceback" in text
    assert "test_nothing_gets_through" in text


def test_what_is_harmless_stays() -> None:
    """Numbers, times and texts without secrets keep their types; the record passes; doing it twice changes nothing."""
    extra: dict[str, Any] = {
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "n": 7,
        "none": None,
        "name": "Ann",
        "list": [1, "x"],
    }
    record = logging.makeLogRecord({"msg": "hello %s", "args": ("Ann",), **extra})
    for _ in range(2):
        assert MaskingFilter().filter(record) is True
        assert record.getMessage() == "hello Ann"
        assert {name: getattr(record, name) for name in extra} == extra


def test_a_record_that_is_wrong() -> None:
    """Arguments that do not fit, and objects that cannot be printed, are the handler's to report."""

    class Rude:
        def __str__(self) -> str:
            raise RuntimeError

    assert MaskingFilter().filter(logging.makeLogRecord({"msg": "%d", "args": ("x",)}))
    assert MaskingFilter().filter(logging.makeLogRecord({"msg": "x", "rude": Rude()}))
    loop: dict[str, Any] = {}
    loop["self"] = loop
    assert MaskingFilter().filter(logging.makeLogRecord({"msg": "x", "loop": loop}))
