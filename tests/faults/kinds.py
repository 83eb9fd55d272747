"""Every way in which one exchange can go wrong, by name. Each is a fault for `server.FaultServer`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import anyio

from .server import Exchange, Fault, answer, ok, success


def envelope(code: str) -> dict[str, Any]:
    """The API's own error body."""
    return {"error": {"code": code, "message": "sorry"}}


# Before anything was read.


async def reset_at_once(exchange: Exchange) -> None:
    """For `on_accept`: whether the request is on its way by then is a race, as it is in the world."""
    await exchange.reset()


async def stall_unread(exchange: Exchange) -> None:
    """Accepted and hardly looked at: the bytes left the client all the same."""
    exchange.note()
    await exchange.ignore()


async def tls_alert(exchange: Exchange) -> None:
    """The handshake is refused by an alert (RFC 8446, 6.2: handshake_failure)."""
    await exchange.send(b"\x15\x03\x03\x00\x02\x02\x28")
    await exchange.close()


async def tls_close(exchange: Exchange) -> None:
    """The connection ends within the handshake."""
    await exchange.close()


async def tls_stall(exchange: Exchange) -> None:
    """The handshake is never answered."""
    await exchange.stall()


# The request was read; no whole answer came.


async def reset_within_request(exchange: Exchange) -> None:
    """Torn down when the head was read and the body was not."""
    await exchange.read_head()
    await exchange.reset()


async def reset_before_commit(exchange: Exchange) -> None:
    """Read, and torn down before anything was done."""
    await exchange.read()
    await exchange.reset()


async def reset_after_commit(exchange: Exchange) -> None:
    """The call was placed, the answer never left: what a double dial is made of."""
    await exchange.read()
    exchange.commit()
    await exchange.reset()


async def close_without_answer(exchange: Exchange) -> None:
    """Carried out, and closed in good order without a word."""
    await exchange.read()
    exchange.commit()
    await exchange.close()


def cut(part: bytes) -> Fault:
    """Carried out; the answer ends in the middle."""

    async def fault(exchange: Exchange) -> None:
        await exchange.read()
        exchange.commit()
        await exchange.send(part)
        await exchange.close()

    return fault


def stalled(part: bytes = b"") -> Fault:
    """Carried out; nothing more comes after a part of the answer."""

    async def fault(exchange: Exchange) -> None:
        await exchange.read()
        exchange.commit()
        if part:
            await exchange.send(part)
        await exchange.stall()

    return fault


half_head = cut(b"HTTP/1.1 200 OK\r\nContent-Le")
half_body = cut(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"id": "call_1"')
half_chunked = cut(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n{"id": "call_1"')
no_last_chunk = cut(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"id": "call_1"}\r\n')
no_http = cut(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
bad_chunk = cut(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{"id": "call_1"}\r\n0\r\n\r\n')
bad_gzip = cut(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")
negative_length = cut(answer(200, {"id": "call_1"}, length=-5))
too_long = cut(answer(200, {"id": "call_1"}, length=5000))
stall_before_headers = stalled()
stall_mid_head = stalled(b"HTTP/1.1 200 OK\r\nContent-Le")
stall_mid_body = stalled(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"id": "call_1"')
stall_mid_chunk = stalled(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n{"id": "call_1"')


async def reset_unread(exchange: Exchange) -> None:
    """Torn down at the first byte: on a kept connection, exactly as the next request is written."""
    exchange.note()
    await exchange.reset()


async def close_unread(exchange: Exchange) -> None:
    """As `reset_unread`, but in good order."""
    exchange.note()
    await exchange.close()


async def ok_then_close(exchange: Exchange) -> None:
    """A good answer, and the kept connection is closed while it is idle."""
    await ok(exchange)
    await exchange.close()


async def ok_then_408(exchange: Exchange) -> None:
    """A good answer, then what some proxies say to an idle connection before they close it."""
    await ok(exchange)
    await anyio.sleep(0.01)
    await exchange.send(answer(408, b"<html>"))
    await exchange.close()


# An answer came, and it is a refusal, a failure or odd.


def replying(
    status: int, body: Any = b"", headers: Mapping[str, Any] = {}, *, length: int | str | None = None
) -> Fault:
    """The request is read whole and answered so; nothing was carried out."""

    async def fault(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(answer(status, body, headers, length=length))

    return fault


def html(status: int) -> Fault:
    """The answer is from a proxy in front of the API; whether the API carried the request out is unknown."""
    return replying(status, b"<html><h1>sorry</h1></html>")


def storm(**headers: Any) -> Fault:
    """Over the rate limit."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return replying(429, envelope("rate_limited"), named)


def storm_dated(seconds: float, *, skew: float = 0.0, tell_date: bool = True) -> Fault:
    """Over the rate limit until a date on the server's own clock, which may be `skew` seconds off."""

    async def fault(exchange: Exchange) -> None:
        await exchange.read()
        now = time.time() + skew
        dates = {"Retry-After": formatdate(now + seconds, usegmt=True)}
        if tell_date:
            dates["Date"] = formatdate(now, usegmt=True)
        await exchange.send(answer(429, envelope("rate_limited"), dates))

    return fault


def early(reply: bytes) -> Fault:
    """Answered when only the head was read; the body is read afterwards."""

    async def fault(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.send(reply)
        await exchange.read_body()

    return fault


def lying(headers: Mapping[str, Any]) -> Fault:
    """Carried out, with headers that cannot be right."""

    async def fault(exchange: Exchange) -> None:
        request = await exchange.read()
        exchange.commit()
        await exchange.send(success(request, headers))

    return fault


def skewed(seconds: float) -> Fault:
    """Carried out by a server whose clock is off."""

    async def fault(exchange: Exchange) -> None:
        now = time.time() + seconds
        told = {"Date": formatdate(now, usegmt=True), "X-RateLimit-Limit": 100, "X-RateLimit-Remaining": 99}
        await lying({**told, "X-RateLimit-Reset": int(now) + 1})(exchange)

    return fault


def with_interim(interim: bytes) -> Fault:
    """Carried out; an interim response goes before the answer."""

    async def fault(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.send(interim)
        request = await exchange.read_body()
        exchange.commit()
        await exchange.send(success(request))

    return fault


def twice(pause: float | None = None) -> Fault:
    """Carried out once and answered twice, in one piece or a moment later."""

    async def fault(exchange: Exchange) -> None:
        request = await exchange.read()
        exchange.commit()
        if pause is None:
            await exchange.send(success(request) * 2)
        else:
            await exchange.send(success(request))
            await anyio.sleep(pause)
            await exchange.send(success(request))

    return fault
