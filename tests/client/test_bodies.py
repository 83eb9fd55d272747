"""What goes into a body, and what stays out of it."""

from __future__ import annotations

import json

import pytest

from ajoxi_async import SmsConfig

from .fakes import ScriptedTransport, answer, client_on

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("sms", [{"enabled": True}, SmsConfig(enabled=True)], ids=["mapping", "model"])
async def test_what_was_not_given_is_not_sent(sms: object) -> None:
    """Neither a parameter nor a field of a nested object travels as null because it was left out."""
    transport = ScriptedTransport(answer(200, {"id": "num_1"}))
    await client_on(transport).numbers.update("num_1", sms=sms)
    assert json.loads(transport.requests[0].body) == {"sms": {"enabled": True}}
