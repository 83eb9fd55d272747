"""A run of a campaign: its tasks, from becoming the owner to leaving nothing half-done.

Rules:
1. The tasks are the control (commands and ownership), the opening, then the dispatcher and the sweeper, and one for each call.
2. A task that fails halts the run: nothing is sent any more, and `run` raises its error.
3. However a run is left, nothing is sent any more from that moment, and answers that are away are waited for, a few seconds at most.
   What has no answer then is in doubt, and the ledger says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import anyio
from attrs import define, field

from ajoxi_async.dialer.client import DialerClient, placing, reading
from ajoxi_async.dialer.clock import Clock
from ajoxi_async.dialer.dialing.chunks import Chunks
from ajoxi_async.dialer.dialing.control import Control
from ajoxi_async.dialer.dialing.dispatch import Dispatcher
from ajoxi_async.dialer.dialing.opening import Opening
from ajoxi_async.dialer.dialing.running import Running
from ajoxi_async.dialer.dialing.sweep import Sweeper
from ajoxi_async.dialer.reporting.progress import Progress, progress_of
from ajoxi_async.dialer.rules.machine import CampaignState
from ajoxi_async.dialer.rules.references import References
from ajoxi_async.dialer.settings import Settings
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.dialer.storage.statements import campaigns, commands, counts
from ajoxi_async.dialer.storage.statements.campaigns import CampaignRow
from ajoxi_async.runtime.cancellation import stray_cancellation_fails
from ajoxi_async.runtime.hosting import TaskHost

__all__ = ["Run"]

#: Real seconds to wait for answers when a run is left.
_DRAIN = 5.0


@define(eq=False, kw_only=True)
class Run:
    """One run of a campaign. The campaign is owned by this process for as long as it lasts."""

    running: Running
    until_settled: float | None
    _host: TaskHost = field(factory=TaskHost)
    _left: bool = field(default=False, init=False)
    _dispatcher: Dispatcher = field(init=False)
    _sweeper: Sweeper = field(init=False)
    _control: Control = field(init=False)
    _opening: Opening = field(init=False)

    def __attrs_post_init__(self) -> None:
        running = self.running
        running.until_settled = self.until_settled
        chunks = Chunks(running, running.settings.chunk)
        self._dispatcher = Dispatcher(running, chunks, self._spawn)
        self._sweeper = Sweeper(running, chunks)
        self._opening = Opening(running, self._sweeper)
        self._control = Control(running, self._dispatcher, self._opening)

    @classmethod
    async def begin(
        cls,
        *,
        ledger: Ledger,
        client: DialerClient,
        row: CampaignRow,
        settings: Settings,
        clock: Clock,
        until_settled: float | None,
    ) -> Run:
        """Begin a run of a campaign that this process owns."""

        def start(db: Database) -> tuple[int, CampaignRow, Counter[str]]:
            found = campaigns.of(db, row.name)
            return campaigns.next_epoch(db, found.id), found, Counter(counts.read(db, found.id))

        epoch, row, found = await ledger.write(start)
        running = Running(
            ledger=ledger,
            client=reading(client),
            placer=placing(client),
            row=row,
            settings=settings,
            clock=clock,
            references=References(row.name),
            epoch=epoch,
            counts=found,
            state=CampaignState(row.state),
            reason=row.reason,
        )
        return cls(running=running, until_settled=until_settled)

    async def progress(self, every: float) -> AsyncGenerator[Progress, None]:
        """Run, and yield the progress every so many real seconds and at the end."""
        running = self.running
        with running.clock.joined(running.activity):
            try:
                await self._host.open()
                self._start(self._main)
                self._start(self._control.run)
                begun, looked = 0, anyio.current_time()
                while not running.finished.is_set():
                    with anyio.move_on_after(every):
                        await running.finished.wait()
                    if running.halted is not None:
                        raise running.halted
                    now = anyio.current_time()
                    rate = (running.begun - begun) / max(now - looked, 1e-6)
                    begun, looked = running.begun, now
                    if not running.finished.is_set():
                        yield self._progress(rate)
                await self._leave()
                yield self._progress(0.0, over=True)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._leave()

    def _progress(self, rate: float, *, over: bool = False) -> Progress:
        running = self.running
        return progress_of(
            running.name,
            running.state,
            running.reason or running.trouble,
            dict(running.counts),
            running.clock.now(),
            rate=rate,
            waiting=self._dispatcher.waiting,
            over=over,
        )

    def _start(self, task: Callable[[], Awaitable[object]]) -> None:
        self.running.activity.begin()
        self._host.start_soon(self._guarded, task)

    async def _guarded(self, task: Callable[[], Awaitable[object]]) -> None:
        try:
            await self._halting(task)
        finally:
            self.running.activity.end()

    def _spawn(self, task: Callable[..., Awaitable[object]], *args: object) -> None:
        self._host.start_soon(self._halting, task, *args)

    async def _halting(self, task: Callable[..., Awaitable[object]], *args: object) -> None:
        """Carry out a task of the run. An error that it does not expect ends the run, and is raised there."""
        try:
            with stray_cancellation_fails():
                await task(*args)
        except Exception as error:
            self.running.halt(error)

    async def _main(self) -> None:
        await self._control.look()
        await self._opening.run()
        self._start(self._sweeper.run)
        await self._dispatcher.run()

    async def _leave(self) -> None:
        """Send nothing more, wait for answers, end the tasks, and note up to when the ledger knows its calls."""
        running = self.running
        if self._left:
            return
        running.draining = True
        running.wake()
        with anyio.move_on_after(_DRAIN):
            while running.on_wire or running.claimed:  # noqa: ASYNC110 - many tasks, which need no event for it
                await anyio.sleep(0.005)
        if running.on_wire:
            running.ledger.unsettled.add(running.name)
        await self._host.aclose(cancel=True)
        self._left = True
        now = running.now()
        if running.look_at_clocks() is None and running.opened and running.halted is None:
            await running.write(lambda db, _: campaigns.set_mark(db, running.row.id, now))

    async def command(self, what: str, detail: dict[str, Any]) -> None:
        """Carry out a command of this process. It has effect at once, and is durable when this returns."""
        running = self.running
        if what in {"pause", "stop"}:
            running.state = CampaignState.PAUSED if what == "pause" else CampaignState.STOPPED
        elif what == "do_not_call":
            running.forbidden |= set(detail["numbers"])
        now = running.now()
        await running.write(lambda db, _: commands.carry_out(db, what, detail, running.rules_for, now))
        if what == "resume":
            running.resume()
        await self._control.take_over(anew=True)

    async def loaded(self) -> None:
        """Take over contacts that were loaded meanwhile."""
        await self._control.take_over(anew=True)

    async def dial(self, number: int) -> bool:
        """Dial one contact now, by its number; return whether it was dialled: see `Campaign.dial`."""
        return await self._dispatcher.dial_now(number)
