"""One fault after another, and faults without an answer: the error that the caller gets in the end."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from ajoxi_async import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    InternalServerError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    UnprocessableEntityError,
)

from . import kinds
from .clients import METHODS, PRESETS, client_of, outcome_of
from .kinds import envelope, html, lying, replying
from .server import Exchange, FaultServer, deaf_url, ok, refusing_url, success

pytestmark = pytest.mark.anyio

GONE = replying(404, envelope("not_found"))
FAILED = replying(500, envelope("internal_error"))
REFUSED = kinds.storm(Retry_After=0)
UNREACHABLE = replying(422, envelope("unreachable_destination"))
CUT = kinds.reset_after_commit
PROXY = html(502)

SEQUENCES: list[tuple[str, str, list[Any], int, type[APIError] | None]] = [
    # A 404 to a DELETE that may have been carried out before is success, and only to such a one.
    ("numbers.release", "documented", [GONE], 1, NotFoundError),
    ("numbers.release", "documented", [CUT, GONE], 2, None),
    ("webhooks.delete", "strict", [PROXY, GONE], 2, None),
    ("numbers.release", "documented", [CUT, FAILED, GONE], 3, None),
    ("numbers.release", "documented", [REFUSED, GONE], 2, NotFoundError),
    ("numbers.release", "documented", [CUT, UNREACHABLE], 2, UnprocessableEntityError),
    # The rest are not deleted by being gone.
    ("calls.retrieve", "documented", [CUT, GONE], 2, NotFoundError),
    ("numbers.update", "documented", [CUT, GONE], 2, NotFoundError),
    # Whatever came before, a POST of unknown fate is the last one.
    ("calls.create", "documented", [FAILED, CUT, ok], 2, OutcomeUnknownError),
    ("calls.create", "documented", [REFUSED, CUT, ok], 2, OutcomeUnknownError),
    ("calls.create", "documented", [REFUSED, PROXY, ok], 2, OutcomeUnknownError),
    ("calls.create", "strict", [REFUSED, CUT, ok], 2, OutcomeUnknownError),
    ("calls.create", "strict", [REFUSED, FAILED, ok], 2, InternalServerError),
    ("calls.create", "documented", [FAILED, FAILED, FAILED, ok], 3, InternalServerError),
    ("calls.create", "documented", [FAILED, REFUSED, ok], 3, None),
    # Under "always" what came first may have been carried out, whatever comes last.
    ("calls.create", "always", [CUT, UNREACHABLE], 2, OutcomeUnknownError),
    ("calls.create", "always", [CUT, FAILED, FAILED], 3, OutcomeUnknownError),
    ("calls.create", "always", [PROXY, REFUSED, REFUSED], 3, OutcomeUnknownError),
    ("calls.create", "always", [CUT, ok], 2, None),
]


async def test_sequences() -> None:
    """After several faults the error names the worst that may have happened, and no forbidden request arrives."""
    wrong = []

    async def check(number: int) -> None:
        name, preset, script, arrivals, raises = SEQUENCES[number]
        async with FaultServer(*script) as server, client_of(server.url, preset) as client:
            error = await outcome_of(METHODS[name][1](client))
        if type(error) is not (raises or type(None)) or len(server.received) != arrivals:
            wrong.append((number, name, preset, error, len(server.received)))

    async with anyio.create_task_group() as tasks:
        for number in range(len(SEQUENCES)):
            tasks.start_soon(check, number)
    assert not wrong


@pytest.mark.parametrize("seconds", ["61", "3600", "99999999999", "9" * 400])
async def test_a_wait_beyond_patience_is_raised(seconds: str) -> None:
    """After a Retry-After longer than the policy's patience the error is raised at once, under any preset."""
    fault = kinds.storm(Retry_After=seconds)
    for preset in PRESETS:
        async with FaultServer(then=fault) as server, client_of(server.url, preset) as client:
            with anyio.fail_after(5):
                error = await outcome_of(client.calls.create(to="+14155551234", from_="+14155550100"))
        assert type(error) is RateLimitError
        assert error.retry_after == float(seconds)
        assert len(server.received) == 1


async def test_nobody_listens() -> None:
    """A refused connection is tried again, for any method, and is an APIConnectionError in the end."""
    async with refusing_url() as url:
        for name, preset in ((name, preset) for name in METHODS for preset in PRESETS):
            async with client_of(url, preset) as client:
                error = await outcome_of(METHODS[name][1](client))
            assert type(error) is APIConnectionError
            assert error.attempts == 3


async def test_connecting_hangs() -> None:
    """A connection that is never made was not used: any method is tried again, and ends as an APITimeoutError."""
    async with deaf_url() as url, anyio.create_task_group() as tasks:

        async def one(name: str, preset: str) -> None:
            async with client_of(url, preset, timeout=0.1, retries=1) as client:
                error = await outcome_of(METHODS[name][1](client))
            assert type(error) is APITimeoutError
            assert error.attempts == 2

        for name in METHODS:
            for preset in PRESETS:
                tasks.start_soon(one, name, preset)


async def test_waiting_for_the_pool() -> None:
    """A request that got no connection was not sent, so any method is tried again."""
    async with (
        FaultServer(then=kinds.stall_before_headers) as server,
        client_of(server.url, timeout=60, retries=0, max_connections=1) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(outcome_of, client.calls.retrieve("call_0"))
        while not server.received:
            await anyio.sleep(0.001)
        for name, (_, call) in METHODS.items():
            with pytest.raises(APITimeoutError):
                await call(client.with_options(timeout=0.02))
            assert len(server.received) == 1, name
        tasks.cancel_scope.cancel()


async def test_what_is_known_of_an_unknown_outcome() -> None:
    """The error names method, route, attempts, numbers and the moment of sending."""
    async with FaultServer(CUT) as server, client_of(server.url) as client:
        before = time.time()
        error = await outcome_of(client.calls.create(to="+14155551234", from_="+14155550100"))
        after = time.time()
    assert isinstance(error, OutcomeUnknownError)
    assert not isinstance(error, (APIConnectionError, APIStatusError))
    assert (error.method, error.route, error.attempts) == ("POST", "calls.create", 1)
    assert error.sent_at is not None
    assert before - 0.1 <= error.sent_at <= after


NONSENSE = ["", "abc", "-5", "1e9", "nan", "inf", "9" * 30, "9" * 5000, "0x10", "100, 100", "1.5", "\xb2", "0"]


@pytest.mark.parametrize("name", ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Date"])
async def test_nonsense_in_headers(name: str) -> None:
    """Headers that cannot be right do not fail a call, and do not stop later ones."""
    told = {"X-RateLimit-Limit": 100, "X-RateLimit-Remaining": 99, "X-RateLimit-Reset": int(time.time()) + 1}
    script = [lying({**told, name: value}) for value in NONSENSE]
    async with FaultServer(*script) as server, client_of(server.url) as client:
        with anyio.fail_after(10):
            for n in range(2 * len(NONSENSE)):
                assert (await client.calls.retrieve(f"call_{n}")).id == f"call_{n}"
        assert 0 <= client.limiter.snapshot().next_free < 2
    assert len(server.received) == 2 * len(NONSENSE)


async def test_a_limit_that_changes_with_every_answer() -> None:
    """A limit that changes again and again is followed, and no call is left waiting."""
    script = [lying({"X-RateLimit-Limit": 50 + 370 * n % 2000}) for n in range(40)]
    async with FaultServer(*script) as server, client_of(server.url) as client:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for n in range(40):
                    tasks.start_soon(client.calls.retrieve, f"call_{n}")
    assert len(server.received) == 40


async def shorter_than_said(exchange: Exchange) -> None:
    """The answer goes on after its own end."""
    request = await exchange.read()
    await exchange.send(success(request).replace(b"Content-Length: ", b"Content-Length: 0\r\nX-Was: "))


DESYNCHRONISED = {
    "at once": kinds.twice(),
    "later": kinds.twice(0.01),
    "longer than said": shorter_than_said,
    "408 while idle": kinds.ok_then_408,
}


@pytest.mark.parametrize("kind", DESYNCHRONISED)
async def test_no_answer_serves_two_requests(kind: str) -> None:
    """Bytes after the end of an answer belong to no call: the next call gets its own answer, or fails."""
    async with FaultServer(DESYNCHRONISED[kind]) as server, client_of(server.url) as client:
        await outcome_of(client.calls.retrieve("call_first"))
        await anyio.sleep(0.05)
        for n in range(3):
            assert (await client.calls.retrieve(f"call_{n}")).id == f"call_{n}"
    assert len(server.received) >= 4


async def test_a_failed_attempt_costs_one_connection() -> None:
    """Where an attempt fails no further connection is opened but for the next attempt."""
    async with FaultServer(then=CUT) as server, client_of(server.url) as client:
        await outcome_of(client.calls.retrieve("call_1"))
    assert len(server.received) == server.connections == 3


async def test_an_idle_connection_that_was_closed() -> None:
    """A kept connection that the server closed while it was idle is not used: any method goes over a fresh one, once."""
    for name, (_, call) in METHODS.items():
        async with FaultServer(kinds.ok_then_close) as server, client_of(server.url, retries=0) as client:
            await client.calls.retrieve("call_0")
            with anyio.fail_after(5):
                while server.open_connections:
                    await anyio.sleep(0)
                await anyio.sleep(0.01)
            assert await outcome_of(call(client)) is None, name
            assert (len(server.received), server.connections) == (2, 2)


async def test_a_reset_at_the_door() -> None:
    """A connection torn down as soon as it stands: sent or not is a race, and a POST arrives at most once either way."""
    for name, (method, call) in METHODS.items():
        async with FaultServer(on_accept=kinds.reset_at_once) as server, client_of(server.url) as client:
            error = await outcome_of(call(client))
        assert isinstance(error, (APIConnectionError, OutcomeUnknownError)), name
        assert method == "POST" or not isinstance(error, OutcomeUnknownError)
        assert not server.received
