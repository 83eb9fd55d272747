"""A process that runs a campaign and dies at any boundary: between two statements, around a commit, before or after a request.

The process is simulated within this one: after its death nothing that it does reaches the ledger or the API, its transaction is
rolled back and its lock is free, as the operating system would do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
from attrs import define, field

from ajoxi_async import AsyncAjoxi
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.dialer import Campaign, Ledger, Progress
from ajoxi_async.dialer.storage.database import Posted, Row, Value
from ajoxi_async.dialer.storage.sqlite import SqliteDatabase
from ajoxi_async.limits.local import LocalLimiter
from ajoxi_async.protocol.errors import AjoxiError, LedgerError
from ajoxi_async.protocol.retry import RetryPolicy

from .scene import FROM, Scene

T = TypeVar("T")


class DiedError(LedgerError):
    """The process is dead. Nothing that its code does after this has an effect."""


@define(eq=False)
class Life:
    """Counts the boundaries of a process, and ends it at one of them."""

    ends_at: int | None = None
    boundaries: int = 0
    dead: bool = False

    def boundary(self) -> None:
        """Another boundary; raises from the last one on."""
        self.boundaries += 1
        if self.ends_at is not None and self.boundaries >= self.ends_at:
            self.dead = True
        if self.dead:
            raise DiedError("the process died")


class DyingDatabase(SqliteDatabase):
    """A ledger's database with a boundary before and after everything that it does."""

    def __init__(self, path: Any, life: Life) -> None:
        super().__init__(path)
        self.life = life

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        self.life.boundary()
        rows = super().execute(sql, parameters)
        self.life.boundary()
        return rows

    def update(self, table: str, changes: Any, rows: Any) -> None:
        for row in rows:
            self.life.boundary()
            super().update(table, changes, [row])
            self.life.boundary()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.life.boundary()
        with super().transaction():
            yield
            self.life.boundary()
        self.life.boundary()

    def own(self, name: str) -> None:
        self.life.boundary()
        super().own(name)
        self.life.boundary()

    def owned(self, name: str) -> bool:
        return not self.life.dead and super().owned(name)

    def disown(self, name: str, **options: Any) -> None:
        if self.life.dead:
            self.close()
        else:
            super().disown(name, **options)

    def posted(self, after: int) -> list[Posted]:
        self.life.boundary()
        return super().posted(after)

    def forget(self, upto: int) -> None:
        self.life.boundary()
        super().forget(upto)


class InlineLedger(Ledger):
    """A ledger without a thread of its own: rounds of thousands of lives take a fraction of the time."""

    async def _in_thread(self, work: Callable[[], T], *, surely: bool = False) -> T:
        await anyio.lowlevel.checkpoint()
        return work()


@define(eq=False)
class DyingWire:
    """The way of a process to the API: a dead one sends nothing and hears nothing."""

    inner: Any
    life: Life

    async def send(self, request: Request) -> Response:
        self._check()
        response = await self.inner.send(request)
        self._check()
        return response

    def _check(self) -> None:
        try:
            self.life.boundary()
        except DiedError:
            raise ExchangeError("the process died", sent=True) from None

    def stream(self, request: Request) -> Any:
        return self.inner.stream(request)

    async def aclose(self) -> None: ...


@define(eq=False)
class Process:
    """One life of a process that runs a campaign."""

    stage: Scene
    settings: dict[str, Any]
    clock: Any
    name: str = "autumn"
    life: Life = field(factory=Life)
    seen: list[Progress] = field(factory=list)
    error: BaseException | None = None
    campaign: Campaign | None = None
    until_settled: float | None = 1860.0
    threaded: bool = True
    ended: anyio.Event = field(factory=anyio.Event)
    _scope: anyio.CancelScope = field(factory=anyio.CancelScope)

    async def live(self) -> None:
        """Run the campaign until it ends or the process dies."""
        try:
            with self._scope:
                await self._live()
        except AjoxiError as error:
            self.error = error
        except BaseExceptionGroup as errors:
            self.error = errors
        finally:
            self.ended.set()

    async def _live(self) -> None:
        wire = DyingWire(self.stage.wire, self.life)
        kind = Ledger if self.threaded else InlineLedger
        ledger = kind(DyingDatabase(self.stage.path, self.life))
        client = AsyncAjoxi(
            self.stage.sandbox.api_key, transport=wire, limiter=LocalLimiter(None), retry=RetryPolicy(max_retries=0)
        )
        async with client, ledger:
            self.campaign = await Campaign.open(
                ledger, client, self.name, **{"from_": FROM, "clock": self.clock, **self.settings}
            )
            steps = self.campaign.run(every=0.02, until_settled=self.until_settled)
            try:
                async for progress in steps:
                    self.seen.append(progress)
            finally:
                with anyio.CancelScope(shield=True), suppress(AjoxiError):
                    await steps.aclose()

    async def kill(self) -> None:
        """End it at once."""
        self.life.dead = True
        self._scope.cancel()
        await self.ended.wait()

    @property
    def alive(self) -> bool:
        return not self.ended.is_set() and not self.life.dead
