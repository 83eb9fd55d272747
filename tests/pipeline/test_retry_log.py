"""Retries and waits after a 429 in the log: one line each at INFO, with its facts."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from ajoxi_async import AsyncAjoxi, Hooks, RateLimitError, RetryEvent
from ajoxi_async.contract.wire import ExchangeError
from tests.client.fakes import ENVELOPE, KEY, ScriptedTransport, answer, client_on, lost

pytestmark = pytest.mark.anyio

CALL = answer(200, {"id": "call_1"})


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """The attributes of a record that are ours."""
    return {name.removeprefix("ajoxi_"): value for name, value in vars(record).items() if name.startswith("ajoxi_")}


@pytest.fixture(autouse=True)
def at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ajoxi_async")


async def test_nothing_happens_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A request that works at once, and one that fails for good at once, say nothing at INFO."""
    await client_on(ScriptedTransport(CALL)).calls.retrieve("call_1")
    assert not caplog.records


async def test_a_retry(caplog: pytest.LogCaptureFixture) -> None:
    """One line for each retry, which says why and when, and one for none; the hook has the cause as well."""
    told: list[RetryEvent] = []
    script = [answer(503, ENVELOPE), ExchangeError(f"cut after +14155551234 {KEY}", sent=True), CALL]
    client = client_on(ScriptedTransport(*script), hooks=Hooks(on_retry=told.append))
    await client.calls.retrieve("call_1")
    assert [record.getMessage() for record in caplog.records] == [
        "calls.retrieve GET: attempt 1 was answered 503 (req_0123456789abcdef); again in 0.25 s",
        "calls.retrieve GET: attempt 2 had no answer: cut after +1415***34 AJX_TEST_***; again in 0.50 s",
    ]
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert facts(caplog.records[0]) == {
        "event": "retry", "route": "calls.retrieve", "method": "GET", "attempt": 1, "fate": "documented", "status": 503,
        "request_id": "req_0123456789abcdef", "error": None, "retry_after": None, "delay": 0.25,
    }  # fmt: skip
    assert "4155551234" not in str(facts(caplog.records[1]))
    assert [(event.status, bool(event.error)) for event in told] == [(503, False), (None, True)]
    assert KEY not in repr(told)


async def test_a_429(caplog: pytest.LogCaptureFixture) -> None:
    """The wait after a 429 is a line of its own kind, and the last one, which is raised, is none."""
    with pytest.raises(RateLimitError):
        await client_on(ScriptedTransport(answer(429, ENVELOPE, {"Retry-After": "2"}))).calls.retrieve("call_1")
    assert [facts(record)["event"] for record in caplog.records] == ["rate_limited", "rate_limited"]
    assert facts(caplog.records[0])["retry_after"] == 2.0


async def test_a_fresh_token(caplog: pytest.LogCaptureFixture) -> None:
    """The second attempt with a fresh token is a retry as well."""

    async def provider() -> str:
        return "token"

    transport = ScriptedTransport(answer(401, ENVELOPE), CALL)
    client = AsyncAjoxi(token_provider=provider, mode="test", transport=transport)
    await client.calls.retrieve("call_1")
    assert [facts(record)["status"] for record in caplog.records] == [401]


async def test_a_stream(caplog: pytest.LogCaptureFixture) -> None:
    """A stream that connects again says so."""
    done = answer(
        200,
        b'event: transcript.completed\ndata: {"last_sequence": 0}\nid: 1\n\n',
        {"Content-Type": "text/event-stream"},
    )
    async with client_on(ScriptedTransport(lost(sent=True), done)).transcripts.stream("call_1") as live:
        async for _ in live:
            pass
    assert [facts(record)["event"] for record in caplog.records] == ["reconnect"]
    assert "the connection broke; again in" in caplog.records[0].getMessage()
