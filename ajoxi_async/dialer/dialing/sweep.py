"""Looking up calls: how open ones ended, and whether those in doubt exist.

Rules:
1. Open calls are looked up in bulk: a page of the API's list tells how two hundred of them stand. The first look comes when calls
   usually have ended, and each later one after half as long again, up to a quarter of an hour. Events of webhooks come sooner.
2. Attempts in doubt are looked up one by one by their reference: see `running.DOUBT_LOOKS`. Where the API shows no metadata, they are
   looked up by their two numbers and their time; a number has at most one attempt in flight. If several calls can be its, none is
   taken: it stays in doubt and says why, for a person to decide.
3. A look that fails says nothing. What is in doubt stays in doubt, and is looked up again.
4. With ``unknown="release"`` an attempt in doubt is released after `Settings.settle`, if three looks did not find it and there is a
   witness: a list has shown a call of ours that was placed in the last third of this time, so that the list would have shown the call.
5. A call that is open for longer than `Settings.max_call` is stale: it counts no more. It is looked up every hour for one more day,
   and its end is taken whenever it comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field

from ajoxi_async.contract.calls import Call, CallStatus, Direction
from ajoxi_async.contract.headers import CLIENT_REFERENCE, MAX_PAGE
from ajoxi_async.dialer.activity import Bell
from ajoxi_async.dialer.clock import milliseconds
from ajoxi_async.dialer.dialing.chunks import Chunks
from ajoxi_async.dialer.dialing.running import LAST_LOOK, Running, at, next_doubt_look
from ajoxi_async.dialer.rules.machine import AttemptState, Fact
from ajoxi_async.dialer.rules.references import Reference
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.statements import campaigns, facts, looks
from ajoxi_async.dialer.storage.statements.calls import reference_of
from ajoxi_async.dialer.storage.statements.facts import LIST, STALE, Report, fact_of
from ajoxi_async.dialer.storage.statements.looks import Look
from ajoxi_async.protocol.errors import AjoxiError, LedgerError, NotFoundError, PaginationError

__all__ = ["Sweeper"]

#: Looks that are due are collected for so many seconds, so that a page of the list is worth its request.
_COLLECT: Final = 1.5
#: Open calls up to which each is retrieved by itself.
_FEW: Final = 3
#: Most pages of a list for one page of looks; what other users of the account placed meanwhile is on them as well.
_PAGES: Final = 4
#: The same for one attempt in doubt, where the API does not look for references. What was not read was not looked at.
_PAGES_OF_TIME: Final = 200
#: The longest time between two looks at an open call, in seconds.
_RAREST: Final = 900.0
#: Seconds between two looks at a stale call.
_STALE: Final = 3600.0
#: Seconds by which the clock of the API may differ from ours, where calls are found by their time.
_SKEW: Final = 60.0
#: Looks that must not have found an attempt that is released.
_LOOKS: Final = 3
#: Seconds to wait after a list could not be read: at first, doubled each time, and at most.
_AGAIN: Final = 2.0
_RAREST_AGAIN: Final = 60.0


def _placed(one: Look) -> int:
    """When a call was placed, in milliseconds: by the API's clock if it has told, by ours otherwise."""
    return one.created_at or one.intent_at


@define(eq=False)
class Sweeper:
    """Looks up the attempts of a run."""

    running: Running
    chunks: Chunks
    _pause: Bell = field(init=False)
    _again: float = _AGAIN

    def __attrs_post_init__(self) -> None:
        self._pause = self.running.bell()

    async def run(self) -> None:
        """Look up until the run ends."""
        running = self.running
        while not running.halted:
            due, following, past = await running.ledger.read(self._due)
            running.next_look = following
            if past != running.past_doubt:
                running.past_doubt = past
                running.dispatch_bell.ring()
            if due:
                answered = await self._look(due)
                running.looked = True
                running.check_over()
                if not answered:
                    await self._sleep(self._again)
                    self._again = min(_RAREST_AGAIN, self._again * 2)
                    continue
                self._again = _AGAIN
                if len(due) < MAX_PAGE:
                    await self._sleep(_COLLECT)
                continue
            running.looked = True
            running.check_over()
            until = None if following is None else following / 1000
            await running.clock.wait(running.sweep_bell, until)
            if until is not None and running.clock.now() >= until and running.counts["open"] > _FEW:
                await self._sleep(_COLLECT)

    def _due(self, db: Database) -> tuple[list[Look], int | None, int]:
        campaign, now = self.running.row.id, self.running.now()
        past = 0
        if self.running.counts["unknown"]:
            past = looks.past(db, campaign, now - milliseconds(self.running.settings.max_call))
        return looks.due(db, campaign, now, MAX_PAGE), looks.next_at(db, campaign), past

    async def _sleep(self, seconds: float) -> None:
        await self.running.clock.wait(self._pause, self.running.clock.now() + seconds)

    async def _look(self, due: Sequence[Look]) -> bool:
        """Look up attempts; return whether the API could be asked."""
        opened = [one for one in due if one.state == AttemptState.OPEN]
        doubtful = [one for one in due if one.state == AttemptState.UNKNOWN]
        answered = await self._look_open(opened) if opened else True
        for one in doubtful:
            if not answered:  # The others stay due as well.
                break
            answered = await self._look_doubtful(one)
        return answered

    # Open calls

    async def _look_open(self, opened: list[Look]) -> bool:
        running = self.running
        stale = [one for one in opened if running.now() - one.intent_at > milliseconds(running.settings.max_call)]
        answered, reached = True, 0
        try:
            found = await self.chunks.calls_of(opened)
            single = [one for one in opened if one.chunk is None]
            if len(single) <= _FEW:
                found |= await self._retrieve(single)
            else:
                listed, reached = await self._list(single)
                found |= listed
        except LedgerError:
            raise
        except AjoxiError:
            found, answered = {}, False
        # Those that the pages did not reach stay due: the next pages begin with them.
        opened = [one for one in opened if one.id in found or _placed(one) >= reached]
        reports = [fact_of(one.id, found[one.id], LIST) for one in opened if one.id in found]
        ended = {report.attempt for report in reports if report.fact is Fact.ENDED}
        if ended:
            await running.record([report for report in reports if report.attempt in ended])
        running.talking |= {id for id, call in found.items() if call.status == CallStatus.ANSWERED}
        gone = [one for one in stale if one.id not in ended]
        later = [(one.id, self._next_open_look(one)) for one in opened if one.id not in ended and one not in gone]

        def work(db: Database, tally: Counter[str]) -> None:
            looks.postpone(db, later)
            for one in gone:
                tally[STALE] += looks.set_stale(db, one.id, self._next_stale_look(one))

        if later or gone:
            await running.write(work)
        if gone:
            running.dispatch_bell.ring()
        return answered

    def _next_stale_look(self, one: Look) -> int | None:
        last = one.intent_at + milliseconds(self.running.settings.max_call + LAST_LOOK)
        then = self.running.now() + milliseconds(_STALE)
        return then if then <= last else None

    def _next_open_look(self, one: Look) -> int:
        running = self.running
        passed = (running.now() - one.intent_at) / 1000
        return running.now() + milliseconds(min(max(passed / 2, running.first_look), _RAREST))

    async def _retrieve(self, opened: list[Look]) -> dict[int, Call]:
        found = {}
        for one in opened:
            try:
                if one.call_id is not None:
                    found[one.id] = await self.running.client.calls.retrieve(one.call_id)
            except NotFoundError:
                continue
        return found

    async def _list(self, opened: list[Look]) -> tuple[dict[int, Call], int]:
        """The calls of attempts from the list of the time in which they were placed, and back to which moment it was read.

        It ends at a page without any of them: there may be a day of other calls before the next one.
        """
        by_call = {one.call_id: one for one in opened}
        newest = max(map(_placed, opened))
        found: dict[int, Call] = {}
        cursor, reached, pages = None, newest, 0
        while pages < _PAGES:
            page = await self.running.client.calls.list(
                created_after=at(min(map(_placed, opened))),
                created_before=at(newest + 1),
                direction=Direction.OUTBOUND,
                limit=MAX_PAGE,
                cursor=cursor,
            )
            for call in page.data:
                self.see(call)
            shown = {by_call[call.id].id: call for call in page.data if call.id in by_call}
            found |= shown
            await self._record_others([call for call in page.data if call.id not in by_call])
            cursor = page.next_cursor
            if cursor is None or len(found) == len(opened):
                return found, 0
            moments = [milliseconds(call.created_at.timestamp()) for call in page.data if call.created_at is not None]
            reached = min(moments, default=reached)
            if reached < newest:  # More calls of one millisecond than are on a page: it is on the pages after this one.
                pages += 1
                if not shown:
                    break
        return found, reached

    async def _record_others(self, calls: Sequence[Call]) -> None:
        """Write how other calls of ours have ended, which are on the same page; their looks are not due yet."""
        references = self.running.references
        ended = [
            call
            for call in calls
            if call.status == CallStatus.COMPLETED and references.is_ours(call.metadata.get(CLIENT_REFERENCE))
        ]
        if ended:
            await self.running.record_calls(ended, LIST)

    def see(self, call: Call) -> None:
        """Note that a list has shown a call; of ours, it is a witness for what lists show."""
        if call.created_at is not None and call.from_ in self.running.settings.from_:
            self.running.witness = max(self.running.witness, milliseconds(call.created_at.timestamp()))

    # Attempts in doubt

    async def _look_doubtful(self, one: Look) -> bool:
        running = self.running
        try:
            calls = await self._find(one)
            release = not calls and await self._may_release(one)
            if release:  # By a list that is no older than the one that has shown the witness.
                calls = await self._find(one)
        except LedgerError:
            raise
        except AjoxiError:
            return False  # It stays due, and is looked up again after the pause.
        if len(calls) == 1 and await running.record([fact_of(one.id, calls[0], LIST)]):
            return True
        if release and not calls:
            await self._release(one)
        else:
            then = next_doubt_look(one.intent_at / 1000, running.clock.now())
            next_look = None if then is None else milliseconds(then)
            reason = None
            if calls:
                several = f"{len(calls)} calls without a reference may be its"
                reason = several if len(calls) > 1 else "its call is taken for that of another attempt"
            await running.write(lambda db, _: looks.postpone(db, [(one.id, next_look)], reason))
        return True

    async def _release(self, one: Look) -> None:
        running, now = self.running, self.running.now()
        reason = f"not found in {one.looked + 1} looks; witness at {at(running.witness):%Y-%m-%dT%H:%M:%SZ}"
        if await running.record([Report(one.id, Fact.RELEASED, reason=reason)]):
            told = f"attempt {one.id}: {reason}"
            await running.write(lambda db, _: campaigns.journal(db, running.row.id, now, "dialer", "release", told))

    async def _find(self, one: Look) -> list[Call]:
        """The call of an attempt in doubt, by its reference, or those that can be its by their numbers and their time.

        Raises:
            AjoxiError: the list could not be read, or not as far as it would show the call.
        """
        running = self.running
        if one.chunk is not None:
            call = (await self.chunks.calls_of([one])).get(one.id)
            return [] if call is None else [call]
        reference = running.references.make(one.number, one.n)
        # More than one, because metadata may be copied to other calls.
        page = await running.client.calls.list(metadata={CLIENT_REFERENCE: reference}, limit=10)
        for call in page.data:
            self.see(call)
            if self._is_of(call, one):
                return [call]
        # An API that ignores the filter returns calls of others.
        return await self._find_by_time(one) if page.data else []

    def _is_of(self, call: Call, one: Look) -> bool:
        return reference_of(call, self.running.references) == Reference(one.number, one.n)

    async def _find_by_time(self, one: Look) -> list[Call]:
        cursor: str | None = None
        wanted = (f"+{one.number}", f"+{one.from_}")
        found: list[Call] = []
        for _ in range(_PAGES_OF_TIME):
            page = await self.running.client.calls.list(
                created_after=at(one.intent_at - milliseconds(_SKEW)),
                direction=Direction.OUTBOUND,
                limit=MAX_PAGE,
                cursor=cursor,
            )
            for call in page.data:
                self.see(call)
                if self._is_of(call, one):
                    return [call]
                if call.metadata.get(CLIENT_REFERENCE) is None and (call.to, call.from_) == wanted:
                    found.append(call)
            cursor = page.next_cursor
            if cursor is None:
                known = await self.running.ledger.read(lambda db: facts.known_calls(db, [call.id for call in found]))
                return [call for call in found if call.id not in known]
        raise PaginationError("the list of calls was not read as far as an attempt in doubt")

    async def _may_release(self, one: Look) -> bool:
        running, settings = self.running, self.running.settings
        if settings.unknown != "release" or one.looked + 1 < _LOOKS:
            return False
        settled = one.intent_at + milliseconds(settings.settle)
        if running.now() < settled:
            return False
        needed = one.intent_at + milliseconds(settings.settle * 2 / 3)
        if running.witness < needed:
            await self._look_for_witness(needed)
        return running.witness >= needed

    async def _look_for_witness(self, after: int) -> None:
        page: Any = await self.running.client.calls.list(
            created_after=at(after), direction=Direction.OUTBOUND, limit=MAX_PAGE
        )
        for call in page.data:
            self.see(call)
