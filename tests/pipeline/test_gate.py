"""The gate of a call: the last word before a request is sent."""

from __future__ import annotations

import pytest

from ajoxi_async import AsyncAjoxi, InvalidParameterError, Sandbox
from ajoxi_async.limits.local import LocalLimiter

pytestmark = pytest.mark.anyio
CALL = {"to": "+14155551234", "from_": "+14155550100"}


class ClosedError(Exception):
    """What the gate raises."""


async def test_a_call_whose_gate_raises_is_not_sent_and_gives_its_permit_back() -> None:
    """The error of the gate is raised unchanged, no phone rings, and the limiter counts no request."""

    def gate() -> None:
        raise ClosedError

    async with Sandbox(port=None) as sandbox:
        limiter = LocalLimiter(1)
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport(), limiter=limiter) as client:
            with pytest.raises(ClosedError):
                await client.calls.create(**CALL, gate=gate)
            assert limiter.snapshot().in_use == 0
            assert not sandbox.requests.find(route="calls.create")


async def test_the_gate_is_asked_before_each_attempt_after_its_turn() -> None:
    """A request that is sent again after a 429 passes the gate again, and a gate that closes meanwhile ends it."""
    asked: list[int] = []

    def gate() -> None:
        asked.append(len(sandbox.requests.find(route="calls.create")))
        if len(asked) == 3:
            raise ClosedError

    async with Sandbox(port=None) as sandbox:
        sandbox.faults.add(action="status", match="calls.create", status=429, retry_after=0)
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            with pytest.raises(ClosedError):
                await client.calls.create(**CALL, gate=gate)
    assert asked == [0, 1, 2]


async def test_a_gate_that_raises_after_a_request_that_may_have_been_carried_out_does_not_hide_it() -> None:
    """An attempt whose outcome is unknown stays unknown, although the gate refused the one after it."""
    from ajoxi_async import OutcomeUnknownError, RetryPolicy

    def gate() -> None:
        if sandbox.requests.find(route="calls.create"):
            raise ClosedError

    async with Sandbox(port=None) as sandbox:
        sandbox.faults.add(action="drop_after_commit", match="calls.create")
        policy = RetryPolicy(writes="always", base=0.001)
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport(), retry=policy) as client:
            with pytest.raises(OutcomeUnknownError):
                await client.calls.create(**CALL, gate=gate)


@pytest.mark.parametrize("wrong", [1, "gate", []], ids=["number", "text", "list"])
async def test_what_is_no_plain_function_is_refused(wrong: object) -> None:
    """A gate that could not be called, or would have to be awaited, is refused before anything is sent."""
    async with Sandbox(port=None) as sandbox, AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
        for gate in (wrong, client.aclose):
            with pytest.raises(InvalidParameterError, match="gate"):
                await client.calls.create(**CALL, gate=gate)  # type: ignore[arg-type]


async def test_streams_and_downloads_have_no_gate() -> None:
    """Where a gate would have no effect it is refused, and not ignored."""
    async with Sandbox(port=None) as sandbox, AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
        with pytest.raises(InvalidParameterError, match="gate"):
            client.events("GET", "/v1/transcripts/call_1", gate=print)
        with pytest.raises(InvalidParameterError, match="gate"):
            await client.recordings.download("rec_1", gate=print)
