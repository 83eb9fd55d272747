"""What happens before the first dial of a run, so that a ledger that is behind the API dials nobody twice.

Rules:
1. What a dead owner left as an intent is in doubt from now on.
2. The API's list is swept back to an hour before the ledger's mark. Calls that the ledger does not know are adopted: a ledger that was
   restored, rolled back or failed over has lost their attempts. They are marked as seen by a list, not as placed by an answer.
3. The sweep ends earlier, a minute before the mark, at a page on which nothing was new: the list is newest first, and what a ledger
   has lost is newer than what it has. So a restart after a crash costs one page.
4. Nothing is dialled while the list cannot be read.
5. Moments that a clock has written which was ahead are corrected before: see `statements.moments`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from attrs import define

from ajoxi_async.contract.calls import Call, Direction
from ajoxi_async.contract.headers import CLIENT_REFERENCE, MAX_PAGE
from ajoxi_async.dialer.clock import milliseconds
from ajoxi_async.dialer.dialing.running import Running, at, rules_of
from ajoxi_async.dialer.dialing.sweep import Sweeper
from ajoxi_async.dialer.rules.machine import Fact
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.statements import adoption, campaigns, facts, looks, moments
from ajoxi_async.dialer.storage.statements.calls import attempt_of_call, number_of, reference_of
from ajoxi_async.dialer.storage.statements.facts import LIST, Report, fact_of
from ajoxi_async.protocol.errors import AjoxiError, AuthenticationError, ClientClosedError, LedgerError

__all__ = ["Opening"]

#: Milliseconds before the mark to which the list is swept, and from which on a page without news ends the sweep.
_BACK: Final = 3_600_000
_SKEW: Final = 60_000
#: Seconds to wait after the list could not be read, at first and at most.
_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0


@define(eq=False)
class Opening:
    """Brings a ledger up to date before a run dials."""

    running: Running
    sweeper: Sweeper

    async def run(self) -> None:
        """Recover and sweep. Waits while the API's list cannot be read.

        Raises:
            LedgerError: the ledger cannot be written.
            AuthenticationError: the key is wrong.
            ClientClosedError: the client was closed.
        """
        running = self.running
        left = await running.ledger.read(lambda db: looks.intents(db, running.row.id))
        if left:
            await running.record([Report(id, Fact.DOUBTFUL, reason="the process ended") for id in left])
        await self.sweep()

    async def sweep(self) -> None:
        """Sweep the list, and let calls be placed from then on. Errors are those of `run`."""
        running = self.running
        offset, began = running.watch.offset(), running.now()
        if await running.ledger.read(lambda db: moments.is_ahead(db, running.row.id, began)):
            await self._correct(began)
        await self._sweep()
        if running.halted or running.draining:
            return
        await running.write(lambda db, _: campaigns.set_mark(db, running.row.id, began))
        await running.refresh()
        running.watch.rely(offset)
        running.opened = True
        running.wake()

    async def _correct(self, now: int) -> None:
        """Correct moments that are still to come though they are past (rule 5)."""
        running = self.running
        rules = rules_of(running.settings, running.first_look)
        attempts = await running.write(lambda db, _: moments.correct_attempts(db, running.row.id, now))
        after: int | None = 0
        while after is not None:
            after = await running.write(
                lambda db, _, after=after: moments.correct_contacts(db, running.row.id, after, now, rules)  # type: ignore[misc]
            )
        told = f"the clock was set back: {attempts} attempts were later than now"
        await running.write(lambda db, _: campaigns.journal(db, running.row.id, now, "dialer", "clock", told))

    async def _sweep(self) -> None:
        running = self.running
        bell = running.bell()
        mark = (await running.ledger.read(lambda db: campaigns.find(db, running.name)) or running.row).mark
        cursor: str | None = None
        pause = _PAUSE
        while not (running.halted or running.draining):
            try:
                page = await running.client.calls.list(
                    created_after=at(mark - _BACK), direction=Direction.OUTBOUND, limit=MAX_PAGE, cursor=cursor
                )
            except (LedgerError, AuthenticationError, ClientClosedError):
                raise
            except AjoxiError as error:
                running.trouble = f"the list of calls cannot be read: {type(error).__name__}"
                await running.clock.wait(bell, running.clock.now() + pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
                continue
            running.trouble, pause = None, _PAUSE
            news = await self._adopt(page.data)
            cursor = page.next_cursor
            oldest = min((call.created_at for call in page.data if call.created_at), default=None)
            past = oldest is not None and milliseconds(oldest.timestamp()) < mark - _SKEW
            if cursor is None or (past and not news):
                return

    async def _adopt(self, calls: Sequence[Call]) -> int:
        """Write what calls say about attempts, those included that the ledger does not have; return how many were new."""
        running = self.running
        for call in calls:
            self.sweeper.see(call)
        rules = rules_of(running.settings, running.first_look)
        numbers = frozenset(running.settings.from_)

        def work(db: Database, tally: Counter[str]) -> tuple[int, list[facts.Changed]]:
            new, reports, changed = 0, [], []
            for call in reversed(calls):  # The oldest first, in the order in which the ledger would have known them.
                adopted = False
                text = call.metadata.get(CLIENT_REFERENCE)
                reference, number = reference_of(call, running.references), number_of(call)
                id = attempt_of_call(db, running.row.id, running.references, call)
                if reference is not None:
                    if id is None:
                        id = adoption.adopt(db, running.row.id, reference.number, reference.attempt, call, tally)
                        adopted = id is not None
                elif number is None or call.from_ not in numbers:
                    continue  # A call of somebody else.
                elif text is not None and not running.references.is_chunk(text):
                    continue
                elif id is None:
                    id = adoption.adopt_by_numbers(db, running.row.id, number, call, running.now(), tally)
                    adopted = id is not None
                if id is not None:
                    reports.append(fact_of(id, call, LIST)._replace(adopted=adopted))
                if adopted:  # Written before the next one, which may be of the same number.
                    new += 1
                    changed += facts.record(db, running.row.id, reports, running.now(), rules, tally)
                    reports.clear()
            return new, changed + facts.record(db, running.row.id, reports, running.now(), rules, tally)

        new, changed = await running.write(work)
        running.note(changed)
        return new
