"""Notices of retirement: one warning for each route, and the answer of a write is never lost."""

from __future__ import annotations

import logging
import warnings

import pytest

from ajoxi_async import AjoxiDeprecationWarning
from tests.client.fakes import ScriptedTransport, SteppedClock, answer, client_on

pytestmark = pytest.mark.anyio

NOTICE = {"Sunset": "Sat, 31 Dec 2028 23:59:59 GMT"}


async def test_a_notice_about_a_write_is_logged_where_warnings_are_errors(caplog: pytest.LogCaptureFixture) -> None:
    """The call that was placed is returned; the notice, which could not be raised, stands in the log."""
    client = client_on(ScriptedTransport(answer(201, {"id": "call_1"}, NOTICE)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call = await client.calls.create(to="+14155551234", from_="+14155550100")
    assert call.id == "call_1"
    assert [record.getMessage() for record in caplog.records] == [
        "POST /v1/calls (calls.create) is being retired and goes away on 2028-12-31"
    ]
    assert caplog.records[0].levelno == logging.WARNING


async def test_a_notice_about_a_read_is_raised_where_warnings_are_errors() -> None:
    """A read can be made again, so its warning is raised as any other."""
    client = client_on(ScriptedTransport(answer(200, {"id": "call_1"}, NOTICE)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AjoxiDeprecationWarning, match="goes away on 2028-12-31"):
            await client.calls.retrieve("call_1")


async def test_notices_are_looked_for_once_a_second() -> None:
    """One that comes later is seen at the first answer after a second, and then no more."""
    clock = SteppedClock()
    plain, notice = answer(200, {"id": "call_1"}), answer(200, {"id": "call_1"}, NOTICE)
    client = client_on(ScriptedTransport(plain, notice, notice, notice, notice), clock=clock)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        seen = []
        for pause in (0.0, 0.5, 0.6, 2.0, 2.0):
            clock.now += pause
            await client.calls.retrieve("call_1")
            seen.append(len(told))
    assert seen == [0, 0, 1, 1, 1]
