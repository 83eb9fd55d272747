"""Every fault, every method, every preset: the requests that arrived, and the result that the caller got.

The expectation is written here once more, apart from the table in `ajoxi_async.protocol.retry`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise, product
from typing import Any

import anyio
import pytest
from attrs import evolve, frozen

from ajoxi_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    InternalServerError,
    OutcomeUnknownError,
    RateLimitError,
    UnprocessableEntityError,
)

from . import kinds
from .clients import METHODS, PRESETS, client_of, outcome_of
from .kinds import envelope, html, replying
from .server import Fault, FaultServer, answer, ok

pytestmark = pytest.mark.anyio

#: One is enough to tell; `test_sequences` has longer ones.
RETRIES = 1

#: Whether an attempt of this fate is followed by another one: GET, PUT and DELETE; then POST under each preset.
REPEATED = {
    "done":       (False, False, False, False),
    "not sent":   (True,  True,  True,  True),
    "refused":    (True,  True,  True,  True),
    "rejected":   (False, False, False, False),
    "documented": (True,  True,  False, True),
    "gateway":    (True,  False, False, True),
    "unknown":    (True,  False, False, True),
}  # fmt: skip


DOUBLE = "A DOUBLE DIAL"


@frozen
class Case:
    """A fault, the fate it stands for, and what is raised when it does not end: for a POST, and for the rest."""

    fault: Fault
    fate: str
    raises: type[Exception] | None
    raises_post: type[Exception] | None
    timeout: float = 10.0
    scheme: str = "http"
    warm: bool = False
    arrives: bool = True
    waits: float = 0.0


def done(fault: Fault, **more: Any) -> Case:
    return Case(fault, "done", None, None, **more)


def unknown(fault: Fault, **more: Any) -> Case:
    return Case(fault, "unknown", APIConnectionError, OutcomeUnknownError, **more)


def hanging(fault: Fault, **more: Any) -> Case:
    return Case(fault, "unknown", APITimeoutError, OutcomeUnknownError, timeout=0.15, **more)


def gateway(status: int) -> Case:
    return Case(html(status), "gateway", InternalServerError, OutcomeUnknownError)


def answered(fate: str, error: type[Exception], fault: Fault, **more: Any) -> Case:
    return Case(fault, fate, error, error, **more)


def refused(fault: Fault, **more: Any) -> Case:
    return answered("refused", RateLimitError, fault, **more)


CASES = {
    "ok": done(ok),
    "100 continue": done(kinds.with_interim(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "103 early hints": done(kinds.with_interim(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")),
    "answered twice at once": done(kinds.twice()),
    "answered twice": done(kinds.twice(0.01)),
    "clock an hour ahead": done(kinds.skewed(3600)),
    "clock an hour behind": done(kinds.skewed(-3600)),
    # No byte of a request left.
    "TLS alert": answered("not sent", APIConnectionError, kinds.tls_alert, scheme="https", arrives=False),
    "TLS cut": answered("not sent", APIConnectionError, kinds.tls_close, scheme="https", arrives=False),
    # Something left, and nothing whole came back.
    "reset within the request": unknown(kinds.reset_within_request),
    "reset before commit": unknown(kinds.reset_before_commit),
    "reset after commit": unknown(kinds.reset_after_commit),
    "closed without an answer": unknown(kinds.close_without_answer),
    "half a head": unknown(kinds.half_head),
    "half a body": unknown(kinds.half_body),
    "half a chunk": unknown(kinds.half_chunked),
    "no last chunk": unknown(kinds.no_last_chunk),
    "no HTTP": unknown(kinds.no_http),
    "a chunk without a size": unknown(kinds.bad_chunk),
    "a body that is no gzip": unknown(kinds.bad_gzip),
    "a negative length": unknown(kinds.negative_length),
    "a length too long": unknown(kinds.too_long),
    "stale connection, reset": unknown(kinds.reset_unread, warm=True),
    "stale connection, closed": unknown(kinds.close_unread, warm=True),
    "stall unread": hanging(kinds.stall_unread),
    "stall before headers": hanging(kinds.stall_before_headers),
    "stall within headers": hanging(kinds.stall_mid_head),
    "stall within the body": hanging(kinds.stall_mid_body),
    "stall within a chunk": hanging(kinds.stall_mid_chunk),
    # An answer that says no.
    "500 of the API": answered("documented", InternalServerError, replying(500, envelope("internal_error"))),
    "503 of the API": answered("documented", InternalServerError, replying(503, envelope("service_unavailable"))),
    "500 of a proxy": gateway(500),
    "502 of a proxy": gateway(502),
    "504 of a proxy": gateway(504),
    "520 of a proxy": gateway(520),
    "503 without a body": Case(replying(503), "gateway", InternalServerError, OutcomeUnknownError),
    "502 with JSON of another kind": Case(
        replying(502, {"error": "upstream"}), "gateway", InternalServerError, OutcomeUnknownError
    ),
    "422": answered("rejected", UnprocessableEntityError, replying(422, envelope("unreachable_destination"))),
    "422 before the body was read": answered(
        "rejected", UnprocessableEntityError, kinds.early(answer(422, envelope("unreachable_destination")))
    ),
    "409": answered("rejected", APIStatusError, replying(409, envelope("conflict"))),
    "502 of a proxy before the body was read": Case(
        kinds.early(answer(502, b"<html>")), "gateway", InternalServerError, OutcomeUnknownError
    ),
}

#: Each takes a second, for a Retry-After has no fractions: they run together.
STORMS = {
    "429": refused(kinds.storm(Retry_After=1), waits=1.0),
    "429 without a Retry-After": refused(kinds.storm()),
    "429 with nonsense": refused(kinds.storm(Retry_After="soon")),
    "429 with a date": refused(kinds.storm_dated(1), waits=1.0),
    "429 with a date, clock ahead": refused(kinds.storm_dated(1, skew=3600), waits=1.0),
    "429 with a date, clock behind": refused(kinds.storm_dated(1, skew=-3600), waits=1.0),
    "429 with a date and no Date": refused(kinds.storm_dated(1, tell_date=False)),
    "429 of a proxy": refused(html(429)),
}


def of(method: str, preset: str, row: tuple[bool, bool, bool, bool]) -> bool:
    return row[1 + PRESETS.index(preset)] if method == "POST" else row[0]


async def check(case: Case, name: str, preset: str, *, lasting: bool) -> str | None:
    """Run one cell of the table; returns what is wrong with it."""
    method, call = METHODS[name]
    repeated = of(method, preset, REPEATED[case.fate])
    raises = case.raises_post if method == "POST" else case.raises
    attempts = 1
    if repeated:
        attempts, raises = (1 + RETRIES, raises) if lasting else (2, None)
    arrivals = attempts if case.arrives else 0 if lasting else attempts - 1
    script = [ok] if case.warm else []
    server = FaultServer(*script, case.fault, then=case.fault if lasting else ok, scheme=case.scheme)
    async with server, client_of(server.url, preset, timeout=case.timeout, retries=RETRIES) as client:
        if case.warm:
            await client.calls.retrieve("call_0")
            server.received.clear()
        error = await outcome_of(call(client))
        snapshot = client.limiter.snapshot()
    where = f"{name} under {preset}, {'lasting' if lasting else 'once'}"
    if method == "POST" and preset != "always" and case.fate in {"gateway", "unknown"} and len(server.received) > 1:
        return f"{where}: {DOUBLE}"
    if type(error) is not (raises or type(None)):
        return f"{where}: raised {error!r}, expected {raises}"
    if len(server.received) != arrivals:
        return f"{where}: {len(server.received)} arrived, expected {arrivals}"
    whole = [one for one in server.received if one.whole]
    if len({(one.method, one.path, one.body, one.headers.get("idempotency-key")) for one in whole}) > 1:
        return f"{where}: the attempts differ"
    moments = [one.at for one in server.received]
    if any(later - earlier < case.waits for earlier, later in pairwise(moments)):
        return f"{where}: sent again too soon, at {moments}"
    if getattr(error, "attempts", attempts) != attempts:
        return f"{where}: told of {error.attempts} attempts, there were {attempts}"  # type: ignore[union-attr]
    if isinstance(error, OutcomeUnknownError) and (error.method, error.route) != (method, name):
        return f"{where}: told of {error.method} {error.route}"
    if sum(snapshot.waiting.values()):
        return f"{where}: somebody still waits: {snapshot}"
    return None


async def check_all(cases: Iterable[Case]) -> None:
    wrong: list[str] = []

    async def cell(case: Case, name: str, preset: str, lasting: bool) -> None:
        found = await check(case, name, preset, lasting=lasting)
        if found is not None and case.timeout < 1 and DOUBLE not in found:
            # On a starved machine the time may be up before anything was sent.
            found = await check(evolve(case, timeout=4.0), name, preset, lasting=lasting)
        if found is not None:
            wrong.append(found)

    async with anyio.create_task_group() as tasks:
        for case, name, preset in product(cases, METHODS, PRESETS):
            method = METHODS[name][0]
            tasks.start_soon(cell, case, name, preset, True)
            # What is not repeated is the same once and for ever; and what follows would have to speak TLS.
            if of(method, preset, REPEATED[case.fate]) and case.scheme == "http":
                # The presets are for POST: the rest need not show thrice how they recover.
                if method == "POST" or preset == "documented":
                    tasks.start_soon(cell, case, name, preset, False)
    assert not wrong, "\n".join(sorted(wrong))


@pytest.mark.parametrize("kind", CASES)
async def test_fault(kind: str) -> None:
    """The requests that arrived and the result of the caller are those of the table, in all its cells."""
    await check_all([CASES[kind]])


async def test_storms_of_429() -> None:
    """A 429 was not carried out: any method is sent again, when the server's own clock says so."""
    await check_all(STORMS.values())
