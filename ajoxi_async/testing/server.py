"""A sandbox for code that is not asynchronous, or runs in another process: Django, Flask, a command, another language."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack, overload

if TYPE_CHECKING:
    from ajoxi_async.contract.calls import Call
    from ajoxi_async.contract.messages import Message
    from ajoxi_async.sandbox import Fired, Sandbox
    from ajoxi_async.sandbox.time.clock import AdvanceOptions

__all__ = ["AjoxiServer"]

P = ParamSpec("P")
T = TypeVar("T")


class AjoxiServer:
    """A `Sandbox` that listens on this machine, in an event loop of its own in another thread.

        with AjoxiServer() as server:
            client = AsyncAjoxi(server.api_key, base_url=server.base_url)

    Args:
        sandbox: not opened yet; by default one with a manual clock and without a rate limit.

    Attributes:
        sandbox: it belongs to its own loop: use `call` for what is not below.
    """

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        from ajoxi_async.sandbox import Sandbox

        self.sandbox: Sandbox = sandbox or Sandbox(clock="manual", rate_limit=None)
        self._opened = ExitStack()
        self._portal: Any = None

    def __enter__(self) -> Self:
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("asyncio"))
            stack.enter_context(portal.wrap_async_context_manager(self.sandbox))
            self._opened = stack.pop_all()
        self._portal = portal
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
        self._portal = None

    @property
    def base_url(self) -> str:
        """Where it listens.

        Raises:
            ConfigurationError: the server is not open.
        """
        self._check_open()
        return self.sandbox.base_url

    @property
    def api_key(self) -> str:
        """The sandbox's own test key."""
        return self.sandbox.api_key

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that lead a client in another process here; add them to its environment."""
        return {"AJOXI_API_KEY": self.api_key, "AJOXI_BASE_URL": self.base_url}

    @overload
    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function, async or not, in the sandbox's loop, and wait for it: ``server.call(server.sandbox.snapshot)``.

        Raises:
            ConfigurationError: the server is not open.
        """
        self._check_open()
        return self._portal.call(partial(function, *args, **kwargs))

    def _check_open(self) -> None:
        if self._portal is None:
            from ajoxi_async.protocol.errors import ConfigurationError

            raise ConfigurationError("server: it is not open; use it in a with block")

    def advance(self, seconds: float | None = None, **goal: Unpack[AdvanceOptions]) -> list[Fired]:
        """Let time pass, and wait until what falls due has happened, deliveries of webhooks included.

        See `VirtualClock.advance`: ``server.advance(5)``, ``server.advance(until_event="call.completed")``.
        """
        fired: list[Fired] = self.call(partial(self.sandbox.advance, seconds, **goal))
        return fired

    def inbound_call(self, **details: Any) -> Call:
        """Somebody calls; see `Sandbox.inbound_call`."""
        call: Call = self.call(partial(self.sandbox.inbound_call, **details))
        return call

    def inbound_message(self, **details: Any) -> Message:
        """Somebody writes; see `Sandbox.inbound_message`."""
        message: Message = self.call(partial(self.sandbox.inbound_message, **details))
        return message
