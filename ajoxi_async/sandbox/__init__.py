"""An embedded, stateful simulator of the whole API: no carrier, no network, no phone that rings.

    async with Sandbox() as sandbox:
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            await client.calls.create(to="+14155551234", from_="+14155550100", ai_receptionist=True)

Pure state is in `world`, `plans`, `script`, `store`; `app` answers requests; `server` and `memory` are two ways to reach it.
"""

from __future__ import annotations

import hashlib
from functools import partial
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from ajoxi_async.contract.calls import Call, CallStatus, Direction
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.routes import ROUTES
from ajoxi_async.protocol.credentials import Mode
from ajoxi_async.sandbox.app import App, Key
from ajoxi_async.sandbox.clock import Clock, RealClock, VirtualClock
from ajoxi_async.sandbox.deliveries import Deliveries, Delivery, Post, post_with_httpx
from ajoxi_async.sandbox.handlers import AI_HANDLER
from ajoxi_async.sandbox.memory import MemoryTransport
from ajoxi_async.sandbox.plans import Timing
from ajoxi_async.sandbox.world import FIRST_NUMBER, Account, at

__all__ = ["RealClock", "Sandbox", "StreamFault", "Timing", "VirtualClock"]

#: Longest time the driver sleeps when nothing is due.
_IDLE = 3600.0


class Sandbox:
    """A simulator, running from ``async with`` to its end.

    Args:
        host: address to listen on; loopback, unless you know why not.
        port: 0 for a free one; ``None`` for no socket at all, which works on trio as well (see `transport`).
        seed: the same seed and the same commands give the same ids, cursors and bodies.
        rate_limit: requests a second of each key (API reference: Rate limits); ``None`` for an Enterprise account.
        strict_keys: take minted keys only, instead of any well-formed one.
        timing: how long things take.
        clock: `RealClock`, perhaps sped up, or `VirtualClock`.
        allow_remote_webhooks: deliver to other machines than this one.
        post: what delivers webhooks, for tests that want no network.
        write_timeout: seconds after which a reader of a live transcript that takes nothing is dropped.

    Attributes:
        base_url: where it listens.
        api_key: a test key of its own.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        seed: int = 0,
        rate_limit: int | None = 100,
        strict_keys: bool = False,
        timing: Timing | None = None,
        clock: Clock | None = None,
        allow_remote_webhooks: bool = False,
        post: Post = post_with_httpx,
        write_timeout: float = 30.0,
    ) -> None:
        self._write_timeout = write_timeout
        self._host, self._port = host, port
        self.clock: Clock = clock or RealClock()
        self._app = App(
            seed,
            self.clock,
            timing or Timing(),
            rate_limit,
            strict_keys,
            "http://sandbox.invalid",
            self._woken,
        )
        self._allow_remote, self._post = allow_remote_webhooks, post
        self._deliveries: dict[str, Deliveries] = {}
        self._tasks: TaskGroup | None = None
        self._wake = anyio.Event()
        self.api_key = self.mint_key()

    # Lifetime

    @property
    def base_url(self) -> str:
        """Where it listens; a name that does not resolve where it has no socket."""
        return self._app.base_url

    async def __aenter__(self) -> Self:
        if self._port is not None:
            from ajoxi_async.sandbox.server import Server

            self._server = Server(self._app, self._write_timeout)
            port = await self._server.start(self._host, self._port)
            host = f"[{self._host}]" if ":" in self._host else self._host
            self._app.base_url = f"http://{host}:{port}"
        self._wake = anyio.Event()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._drive)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._tasks is not None
        if self._port is not None:
            with anyio.CancelScope(shield=True):
                await self._server.stop()
        self._tasks.cancel_scope.cancel()
        # Not told of the caller's own exception, which would come out wrapped in a group.
        await self._tasks.__aexit__(None, None, None)

    def transport(self) -> MemoryTransport:
        """A `Transport` that reaches this sandbox without a socket: ``AsyncAjoxi(key, transport=...)``."""
        return MemoryTransport(self._app)

    # Time passing by itself

    def _woken(self) -> None:
        self._wake.set()

    async def _drive(self) -> None:
        while True:
            self._app.run_due()
            for key, account in list(self._app.accounts.items()):
                self._deliveries_of(key, account).pick_up()
            self._wake = anyio.Event()
            due = [moment for account in self._app.accounts.values() if (moment := account.next_due) is not None]
            await self._wait(min(due, default=self.clock.now() + _IDLE))

    async def _wait(self, moment: float) -> None:
        """Return at a moment, or when something changed before it."""

        async def sleep() -> None:
            await self.clock.wait_until(moment)
            race.cancel_scope.cancel()

        async with anyio.create_task_group() as race:
            race.start_soon(sleep)
            await self._wake.wait()
            race.cancel_scope.cancel()

    def _deliveries_of(self, key: str, account: Account) -> Deliveries:
        if key not in self._deliveries:
            self._deliveries[key] = Deliveries(
                account, partial(self._start_delivery, key), self._post, self._allow_remote
            )
        return self._deliveries[key]

    def _start_delivery(self, key: str, delivery: Delivery, number: int) -> None:
        async def attempt() -> None:
            await self._deliveries[key].attempt(delivery, number)
            self._woken()

        assert self._tasks is not None
        self._tasks.start_soon(attempt)

    # What only a sandbox can do

    def mint_key(self, mode: Mode = "test", *, deny: frozenset[str] | set[str] = frozenset()) -> str:
        """Make a key with an account of its own.

        Args:
            mode: ``"test"`` or ``"live"``: separate worlds, and neither rings a phone here.
            deny: route names, such as ``numbers.provision``, that answer 403.
        """
        unknown = set(deny) - ROUTES.keys()
        if unknown:
            raise ValueError(f"deny: no such route: {', '.join(sorted(unknown))}")
        number = len(self._app.keys)
        noise = hashlib.sha256(f"{self._app.seed}/key/{number}".encode()).hexdigest()[:24]
        key = f"AJX_{mode.upper()}_{noise}"
        self._app.keys[key] = Key(mode, frozenset(deny))
        return key

    def seed_calls(self, amount: int, *, key: str | None = None) -> None:
        """Fill an account's past with finished calls, a minute apart."""
        self._app.account(key or self.api_key).seed_calls(amount, self.clock.now())

    def inbound_call(self, *, from_: str, to: str = FIRST_NUMBER, key: str | None = None) -> Call:
        """Let somebody call one of the account's numbers; the AI receptionist answers."""
        account = self._app.account(key or self.api_key)
        account.own_number(to, "to")
        now = self.clock.now()
        call = Call(
            id=account.mint("call"),
            status=CallStatus.QUEUED,
            ai_handler=AI_HANDLER,
            direction=Direction.INBOUND,
            from_=from_,
            to=to,
            created_at=at(now),
        )
        placed = account.place_call(call, now)
        self._woken()
        return placed

    def inbound_message(self, *, from_: str, body: str, to: str = FIRST_NUMBER, key: str | None = None) -> Message:
        """Let somebody text one of the account's numbers; STOP opts out, START opts in."""
        account = self._app.account(key or self.api_key)
        account.own_number(to, "to")
        received = account.take_message(from_=from_, to=to, body=body, now=self.clock.now())
        self._woken()
        return received

    def disturb_streams(self, *faults: StreamFault | None) -> None:
        """Let something go wrong with the next live transcripts, a fault for each connection; ``None`` lets one be."""
        self._app.stream_faults.extend(fault or StreamFault() for fault in faults)

    def dead_letters(self, *, key: str | None = None) -> tuple[Delivery, ...]:
        """Deliveries that were given up after 24 hours."""
        deliveries = self._deliveries.get(key or self.api_key)
        return tuple(deliveries.dead_letters) if deliveries is not None else ()
