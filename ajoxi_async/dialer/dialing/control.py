"""Commands of other processes, and what else the owner of a campaign looks after while it runs.

Rules:
1. Commands are looked for every twentieth of a second of real time. The gate sends nothing while there are commands that were not
   carried out (`dispatch`, rule 3), so that they have effect at once.
2. The ownership is looked at as often. A run that has lost it ends.
3. When time has passed that was not seen, the machine may have been rolled back to a snapshot, memory and all: see `steps`. Nothing is
   sent then until the API's list was swept as at the beginning of a run, and what was before the wire is in doubt. When the clock was
   set back, the ledger is swept and corrected as well, and what was before the wire is unsent.
4. The mark, up to which the ledger knows all its calls, is written every few seconds: see `opening`.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import anyio
from attrs import define

from ajoxi_async.dialer.clock import boot_time
from ajoxi_async.dialer.dialing.dispatch import Dispatcher
from ajoxi_async.dialer.dialing.opening import Opening
from ajoxi_async.dialer.dialing.running import Running
from ajoxi_async.dialer.dialing.steps import ClockStep
from ajoxi_async.dialer.rules.machine import CampaignState
from ajoxi_async.dialer.storage.database import Database, Posted
from ajoxi_async.dialer.storage.statements import campaigns, commands, contacts
from ajoxi_async.protocol.errors import LedgerOwnedError

__all__ = ["Control"]

#: Real seconds between two looks.
_EVERY: Final = 0.05
#: Looks after which the inbox is read although there was no alarm, and after which the mark is written.
_ANYWAY: Final = 20
_MARK: Final = 100


@define(eq=False)
class Control:
    """Carries out commands, and keeps watch over the ownership."""

    running: Running
    dispatcher: Dispatcher
    opening: Opening
    _looks: int = 0

    async def run(self) -> None:
        """Keep watch until the run ends."""
        running = self.running
        while not running.halted:
            await self.look()
            with running.control_bell.heard(), anyio.move_on_after(_EVERY):
                await running.control_bell.event.wait()

    async def look(self) -> None:
        """Look for commands once, and carry them out."""
        running = self.running
        self._looks += 1
        database = running.ledger.database
        if not database.owned(running.name):
            running.halt(LedgerOwnedError("this process does not own the campaign any more"))
            return
        polled, alarm = boot_time(), database.alarm()
        if alarm is None or alarm > running.alarm or self._looks % _ANYWAY == 1:
            await self._carry_out(alarm)
        self.dispatcher.polled = polled
        running.look_at_clocks()
        if running.stepped is not None:
            step, running.stepped = running.stepped, None
            if step is ClockStep.BACK:
                self.dispatcher.rewind()
                running.rewind()
            await self.opening.sweep()
        if self._looks % _MARK == 0 or running.unsaved:
            await self._save()

    async def _carry_out(self, alarm: int | None) -> None:
        running = self.running

        def read(db: Database) -> list[Posted]:
            return db.posted(commands.applied(db))

        def work(db: Database, _: Counter[str]) -> None:
            if posted:
                commands.apply(db, posted, running.rules_for, running.now())
            if hears and alarm is not None:
                commands.hear(db, running.row.id, alarm)

        posted = await running.ledger.read(read)
        hears = running.ledger.database.shared and (alarm or 0) > running.alarm
        if posted or hears:
            await running.write(work)
        if posted:
            await running.ledger.read(lambda db: db.forget(posted[-1].id))
            if any(one.what == "resume" for one in posted):
                running.resume()
        # Another owner of the ledger may have carried out what this one was alarmed for.
        await self.take_over(anew=bool(posted) or (alarm or 0) > running.alarm)
        if alarm is not None:
            running.alarm = max(running.alarm, alarm)

    async def take_over(self, *, anew: bool) -> None:
        """Take over from the ledger what commands have changed."""
        running = self.running

        def read(db: Database) -> tuple[campaigns.CampaignRow | None, set[int]]:
            if anew:
                running.reload(db)
            # Of the ledger and not of memory: an intent may be durable whose task has not run since.
            return campaigns.find(db, running.name), contacts.forbidden_intents(db, running.row.id)

        row, running.forbidden = await running.ledger.read(read)
        if anew:
            running.nothing_waits = False
        if row is not None and running.state != row.state:
            running.state = CampaignState(row.state)
            running.reason = row.reason
            if running.state is CampaignState.ACTIVE:
                running.tripped = False
            running.wake()
        elif anew:
            running.wake()

    async def _save(self) -> None:
        running = self.running
        unsaved, running.unsaved = running.unsaved, Counter()

        def work(db: Database, tally: Counter[str]) -> None:
            tally.update(unsaved)
            if opened:
                campaigns.set_mark(db, running.row.id, now)

        # The moment is read before the clocks are compared, so that no mark is of a time that was not seen.
        now = running.now()
        opened = running.look_at_clocks() is None and running.opened
        await running.write(work)
