"""`client.events` against what browsers are held to: statuses, types and reconnecting, from web-platform-tests.

Each case is a server that answers connection after connection; the cases about parsing stand in
`tests/protocol/test_sse_conformance.py`.
"""

from __future__ import annotations

import anyio
import pytest

from ajoxi_async import (
    APIError,
    APIResponseValidationError,
    APIStatusError,
    InvalidParameterError,
    StreamInterruptedError,
    StreamProtocolError,
)
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from tests.client.fakes import ENVELOPE, Headers, ScriptedStream, SteppedClock, answer, client_on, lost

pytestmark = pytest.mark.anyio


def served(body: bytes, *, kind: str = "text/event-stream", status: int = 200) -> ScriptedStream:
    """A connection that sends a body and ends."""
    return ScriptedStream(Response(status, Headers({"Content-Type": kind}), body))


def redirect(status: int, to: str) -> ScriptedStream:
    """A connection that leads elsewhere."""
    return ScriptedStream(Response(status, Headers({"Location": to}), b""))


ENOUGH = ScriptedStream(answer(204))


class Server:
    """Answers each connection with the next one of a script, and 204 after it."""

    def __init__(self, *connections: ScriptedStream) -> None:
        self.connections = list(connections)
        self.asked: list[Request] = []
        self.opened: list[ScriptedStream] = []

    def stream(self, request: Request) -> ScriptedStream:
        self.asked.append(request)
        stream = self.connections.pop(0) if self.connections else ENOUGH
        self.opened.append(stream)
        return stream

    async def send(self, request: Request) -> Response:
        raise AssertionError(f"{request} is no stream")

    async def aclose(self) -> None:
        """Nothing to give back."""

    @property
    def resumed_from(self) -> list[str | None]:
        return [request.headers.get("Last-Event-ID") for request in self.asked]


async def read(server: Server, clock: SteppedClock | None = None, **options: object) -> list[tuple[str, str, str]]:
    """Type, data and id of everything the stream brings until its end."""
    client = client_on(server, clock=clock)
    async with client.events("GET", "/stream", **options) as events:  # type: ignore[arg-type]
        return [(event.event, event.data, event.id) async for event in events]


@pytest.mark.parametrize("kind", ["x bogus", "text/x-bogus", "stop", ""])
async def test_other_types_fail(kind: str) -> None:
    """Anything but an event stream fails for good, on the first connection and after a reconnect."""
    for before in ([], [served(b"data: a\n\n")]):
        server = Server(*before, served(b"data: data\n\n", kind=kind), served(b"data: never\n\n"))
        with pytest.raises(APIResponseValidationError, match="event stream"):
            await read(server)
        assert len(server.asked) == len(before) + 1


@pytest.mark.parametrize(
    "kind", ["text/event-stream;", "text/event-stream;charset=windows-1252", "TEXT/Event-Stream ; x=y"]
)
async def test_parameters_of_the_type(kind: str) -> None:
    """Parameters of the type do not matter, nor does a charset: it is UTF-8."""
    assert await read(Server(served("data: ok…\n\n\n".encode(), kind=kind))) == [("message", "ok…", "")]


async def test_request_headers() -> None:
    """Every connection asks for an event stream, past all caches, and says who it is."""
    server = Server(served(b"data: a\n\n"), served(b"data: b\n\n"))
    await read(server)
    for request in server.asked:
        assert request.headers["Accept"] == "text/event-stream"
        assert request.headers["Cache-Control"] == "no-cache"
        assert request.headers["Authorization"].startswith("Bearer ")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects(status: int) -> None:
    """A redirect is followed; the next connection begins at the first URL again."""
    server = Server(redirect(status, "/elsewhere?x=1"), served(b"data: data\n\n\n"))
    assert await read(server) == [("message", "data", "")]
    assert [request.url.rpartition("/")[2] for request in server.asked] == ["stream", "elsewhere?x=1", "stream"]


async def test_a_redirect_to_another_origin() -> None:
    """The key stays at home."""
    server = Server(redirect(307, "https://elsewhere.example/x"), served(b"data: data\n\n"))
    await read(server)
    assert "Authorization" in server.asked[0].headers
    assert "Authorization" not in server.asked[1].headers
    assert "Authorization" in server.asked[2].headers


@pytest.mark.parametrize("to", ["ftp://x/", "http://[", "", "https://user:hunter2@elsewhere.example/x"])
async def test_a_redirect_to_nowhere(to: str) -> None:
    """A redirect that cannot be followed is an error, and so is a loop."""
    with pytest.raises(APIError):
        await read(Server(redirect(302, to)))
    server = Server(*[redirect(302, "/stream") for _ in range(20)])
    with pytest.raises(APIStatusError):
        await read(server)
    assert len(server.asked) == 6


@pytest.mark.parametrize("status", [205, 210, 299, 404, 410, 429, 500, 503])
async def test_other_statuses_fail(status: int) -> None:
    """Anything but 200 and 204 fails for good; the body is no event, and nothing is tried again."""
    for before in ([], [served(b"data: a\n\n")]):
        server = Server(*before, served(b"data: data\n\n", status=status), served(b"data: never\n\n"))
        with pytest.raises(APIStatusError) as caught:
            await read(server)
        assert caught.value.status_code == status
        assert len(server.asked) == len(before) + 1
        assert all(stream.closed for stream in server.opened)


async def test_204_ends() -> None:
    """204 is the end, at once or after a reconnect, and no connection follows."""
    server = Server(ENOUGH)
    assert await read(server) == []
    assert len(server.asked) == 1
    server = Server(served(b"retry: 2\ndata: opened\n\n"), served(b"data: reconnected\n\n"))
    assert [event[1] for event in await read(server)] == ["opened", "reconnected"]
    assert len(server.asked) == 3


async def test_what_is_unfinished_is_not_committed() -> None:
    """An event without its blank line is lost with its connection, and its id is not sent."""
    server = Server(*[served(b"retry:1000\ndata:test1\n\nid:test\ndata:test2\n") for _ in range(2)])
    assert await read(server) == [("message", "test1", "")] * 2
    assert server.resumed_from == [None, None, None]


async def test_the_id_outlives_connections() -> None:
    """An id is sent as it came, and holds for the events of later connections, which set none."""
    again = ["…", "…"]
    clock = SteppedClock()
    server = Server(
        served("id: …\nretry: 200\ndata: hello\n\n".encode()), *[served(f"data: {id}\n\n".encode()) for id in again]
    )
    assert await read(server, clock) == [("message", "hello", "…"), ("message", "…", "…"), ("message", "…", "…")]
    assert server.resumed_from == [None, "…", "…", "…"]
    assert clock.slept == [pytest.approx(0.22)] * 3


@pytest.mark.parametrize("id", [b"\0\0", b"x\0", b"\0x", b"x\0x", b" \0"])
async def test_an_id_with_nul(id: bytes) -> None:
    """An id with a NUL is none."""
    server = Server(*[served(b"id: " + id + b"\nretry: 200\ndata: hello\n\n") for _ in range(2)])
    assert await read(server) == [("message", "hello", "")] * 2
    assert server.resumed_from == [None, None, None]


async def test_an_id_without_an_event() -> None:
    """An id counts from its blank line on, with or without an event; an empty one takes it back."""
    server = Server(served(b"data: a\n\nid: 5\n\n"), served(b"id\n\n"), served(b"data: b\n\n"))
    await read(server)
    assert server.resumed_from == [None, "5", None, None]


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (b"retry:03000\ndata:x\n\n\n", 3.0),
        (b"retry:3000\nretry:1000x\ndata:x\n\n\n", 3.0),
        (b"retry: 2\n", 0.002),
        (b"retry: 2\ndata: ok\n\n", 0.002),
        (b"data: ok\n\n", 1.0),
    ],
)
async def test_the_time_to_wait(body: bytes, seconds: float) -> None:
    """The server's retry counts from its line on, and is waited within a quarter."""
    clock = SteppedClock()
    await read(Server(served(body), served(b"data: data\n\n")), clock)
    assert len(clock.slept) == 2
    assert all(seconds <= slept <= 1.25 * seconds for slept in clock.slept)


async def test_the_chain_of_ids() -> None:
    """Each connection resumes after the last, and one that is no stream any more ends in an error."""
    server = Server(
        served(b"id: 1\nretry: 200\ndata: first\n\n"),
        served(b"id: 2\ndata: second\n\n"),
        served(b"data: third\n\n", kind="stop"),
    )
    seen = []
    with pytest.raises(APIResponseValidationError):
        async with client_on(server).events("GET", "/stream") as events:
            async for event in events:
                seen.append(event.data)
    assert seen == ["first", "second"]
    assert server.resumed_from == [None, "1", "2"]


async def test_cancelled_before_the_headers() -> None:
    """A connection that is cancelled before it opens is closed, and none follows."""

    class Slow(ScriptedStream):
        async def __aenter__(self) -> Slow:
            try:
                await anyio.sleep_forever()
            finally:
                self.closed = True

    server = Server(Slow(answer(204)))
    with anyio.move_on_after(0.05) as scope:
        await read(server)
    assert scope.cancelled_caught
    assert len(server.asked) == 1
    assert server.opened[0].closed


# What is ours


async def test_without_reconnecting() -> None:
    """The end of the response is the end; a break is an error with the checkpoint, and a refusal to connect as well."""
    server = Server(served(b"id: 7\ndata: a\n\n"))
    assert await read(server, reconnect=False) == [("message", "a", "7")]
    assert len(server.asked) == 1
    event_stream = Response(200, Headers({"Content-Type": "text/event-stream"}), b"id: 7\ndata: a\n\n")
    with pytest.raises(StreamInterruptedError) as caught:
        await read(Server(ScriptedStream(event_stream, then=lost(sent=True))), reconnect=False)
    assert caught.value.last_event_id == "7"
    assert isinstance(caught.value.__cause__, ExchangeError)
    with pytest.raises(StreamInterruptedError):
        await read(Server(ScriptedStream(lost(sent=False))), reconnect=False)


async def test_a_server_that_is_away() -> None:
    """Refused connections are tried again, ever more slowly, until `max_outage`."""
    clock = SteppedClock()
    server = Server(served(b"id: 3\ndata: a\n\n"), *[ScriptedStream(lost(sent=False)) for _ in range(99)])
    with pytest.raises(StreamInterruptedError, match="not resumed within 60 s") as caught:
        await read(server, clock)
    assert caught.value.last_event_id == "3"
    assert 60 < sum(clock.slept) < 120
    assert clock.slept == sorted(clock.slept)


async def test_resuming() -> None:
    """A stream can begin after an id of an earlier one, and `last_event_id` follows what is delivered."""
    server = Server(served(b"id: 8\ndata: a\n\nid: 9\ndata: b\n\n"))
    async with client_on(server).events("GET", "/stream?x=1", last_event_id="7", extra_query={"y": "é"}) as events:
        assert events.last_event_id == "7"
        await anext(events)
        assert events.last_event_id == "8"
    assert server.resumed_from == ["7"]
    assert server.asked[0].url.endswith("/stream?x=1&y=%C3%A9")


async def test_an_event_too_large() -> None:
    """What came before it is delivered; then it is an error with the checkpoint, and stays one."""
    server = Server(served(b"id: 1\ndata: a\n\nid: 2\ndata: " + b"x" * 5_000_000))
    async with client_on(server).events("GET", "/stream") as events:
        assert (await anext(events)).data == "a"
        for _ in range(2):
            with pytest.raises(StreamProtocolError, match="4194304") as caught:
                await anext(events)
            assert caught.value.last_event_id == "1"


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"method": "POST"}, "method"),
        ({"path": "stream"}, "path"),
        ({"path": "//elsewhere.example/"}, "path"),
        ({"path": "https://elsewhere.example/"}, "path"),
        ({"path": "/a b"}, "path"),
        ({"path": "/a\nb"}, "path"),
        ({"path": None}, "path"),
        ({"last_event_id": 5}, "last_event_id"),
        ({"last_event_id": "a\nb"}, "last_event_id"),
        ({"idle_timeout": 0}, "idle_timeout"),
        ({"max_outage": True}, "max_outage"),
        ({"timeout": 5}, "timeout"),
        ({"tiemout": 5}, "tiemout"),
    ],
)
async def test_what_cannot_be(wrong: dict[str, object], name: str) -> None:
    """Nonsense is refused by name before anything is opened."""
    server = Server()
    with pytest.raises(InvalidParameterError) as caught:
        client_on(server).events(**{"method": "GET", "path": "/stream", **wrong})  # type: ignore[arg-type]
    assert caught.value.param == name
    assert not server.asked


async def test_errors_of_the_api() -> None:
    """A refusal carries what the API says about it."""
    with pytest.raises(APIStatusError, match="sorry") as caught:
        await read(Server(ScriptedStream(answer(403, ENVELOPE))))
    assert caught.value.code == "internal_error"
