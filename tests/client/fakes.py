"""A transport that plays a script, and a clock that only sleeping moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import anyio
import msgspec

from ajoxi_async import AsyncAjoxi
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.limits.local import LocalLimiter

KEY = "AJX_TEST_0123456789"
ENVELOPE = {"error": {"code": "internal_error", "message": "sorry"}}

Step = Response | ExchangeError | Callable[[Request], Response]


class Headers(dict[str, str]):
    """Headers looked up without regard to case."""

    def __init__(self, given: Mapping[str, str] = {}) -> None:
        super().__init__({name.lower(): value for name, value in given.items()})

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def answer(status: int = 200, body: Any = None, headers: Mapping[str, str] = {}) -> Response:
    """A response with a JSON body, or with the bytes given."""
    raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
    return Response(status, Headers({"X-Request-Id": "req_0123456789abcdef", **headers}), raw)


def lost(*, sent: bool, timeout: bool = False) -> ExchangeError:
    """A connection that brought nothing."""
    return ExchangeError("the connection broke", sent=sent, timeout=timeout)


class ScriptedTransport:
    """Answers one request after another from a script; the last step answers all further requests."""

    def __init__(self, *script: Step) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.closed = 0

    async def send(self, request: Request) -> Response:
        await anyio.lowlevel.checkpoint()
        self.requests.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, ExchangeError):
            raise step
        return step(request) if callable(step) else step

    def stream(self, request: Request) -> ScriptedStream:
        self.requests.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        assert not callable(step)
        return ScriptedStream(step)

    async def aclose(self) -> None:
        self.closed += 1


class ScriptedStream:
    """One connection of an event stream: the body in pieces, then a clean end or the connection's loss."""

    def __init__(self, step: Response | ExchangeError, pieces: Sequence[bytes] = (), then: ExchangeError | None = None):
        self.step = step
        self.pieces = pieces or ((step.body,) if isinstance(step, Response) and step.body else ())
        self.then = then
        self.closed = False
        self._reading: AsyncGenerator[bytes, None] | None = None
        self._waiting: anyio.CancelScope | None = None

    @property
    def status(self) -> int:
        assert isinstance(self.step, Response)
        return self.step.status

    @property
    def headers(self) -> Mapping[str, str]:
        assert isinstance(self.step, Response)
        return self.step.headers

    async def __aenter__(self) -> ScriptedStream:
        await anyio.lowlevel.checkpoint()
        if isinstance(self.step, ExchangeError):
            raise self.step
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed = True
        if self._waiting is not None:
            self._waiting.cancel()
        elif self._reading is not None:
            await self._reading.aclose()

    def chunks(self) -> AsyncIterator[bytes]:
        self._reading = self._read()
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        assert self._reading is not None
        with anyio.CancelScope() as self._waiting:
            try:
                return await anext(self._reading)
            finally:
                self._waiting = None
        raise ExchangeError("closed by another task", sent=True)

    async def _read(self) -> AsyncGenerator[bytes, None]:
        for piece in self.pieces:
            await anyio.lowlevel.checkpoint()
            yield piece
        if self.then is not None:
            raise self.then


class SteppedClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await anyio.lowlevel.checkpoint()

    async def wait(self, signal: Any, seconds: float) -> None:
        """The wait of a limiter: no other task can wake it, so time passes."""
        if seconds == float("inf"):
            await signal.wait()
        else:
            await self.sleep(seconds)


def client_on(transport: Any, *, clock: SteppedClock | None = None, jitter: float = 0.5, **settings: Any) -> AsyncAjoxi:
    """A client on a fake transport, in virtual time."""
    clock = clock or SteppedClock()
    limiter = settings.pop("limiter", None) or LocalLimiter(clock=clock, wait=clock.wait)
    client = AsyncAjoxi(KEY, transport=transport, limiter=limiter, **settings)
    client._adopt(client._pipeline.variant(clock=clock, sleep=clock.sleep, wait=clock.wait, jitter=lambda: jitter))
    return client
