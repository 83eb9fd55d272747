"""Dialling: from a contact that is due to the answer of the API.

Rules:
1. The order is: room, durable intent, the limiter's turn, gate, wire, answer. No request leaves without an intent that was durable
   before, and none leaves that the gate has not let through after its turn.
2. Few intents are written ahead of the wire, because each is in doubt if the process dies: about one at the limit of a key, at most 32
   where nothing limits the calls; see `IntentsAhead`.
3. The gate looks at what may have changed since the claim: the ownership, the state of the campaign, commands that were posted and
   not carried out yet, the do-not-call list, the contact's time, and the window for the whole ring time. It does no I/O.
4. A request is sent once. What was proven unsent goes back into the ledger and keeps its number and its reference.
5. After failures to connect, and after several answers in a row that leave their attempts in doubt, dialling waits: from a second,
   doubled each time, to a minute. After each wait one call is tried, and the next wait begins unless it gets through. So an API that
   is down puts few attempts in doubt: what was on the wire when it failed, and one for each wait.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

import anyio
import anyio.lowlevel
from attrs import define, field

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.headers import CLIENT_REFERENCE
from ajoxi_async.dialer.clock import boot_time, milliseconds
from ajoxi_async.dialer.dialing.answers import Ending, NotNowError, ending_of
from ajoxi_async.dialer.dialing.callers import Callers, FromOf
from ajoxi_async.dialer.dialing.chunks import Chunks, ringing_time
from ajoxi_async.dialer.dialing.openings import Openings
from ajoxi_async.dialer.dialing.running import Running
from ajoxi_async.dialer.reporting.progress import Waiting
from ajoxi_async.dialer.rules.intents import IntentsAhead
from ajoxi_async.dialer.rules.machine import CampaignState, Fact
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.statements import campaigns, chunks, claims, contacts, facts
from ajoxi_async.dialer.storage.statements.claims import Candidate, Claimed
from ajoxi_async.dialer.storage.statements.facts import ANSWER, Changed, Report
from ajoxi_async.protocol.errors import AjoxiError, CampaignHaltedError

__all__ = ["Dispatcher"]

#: Candidates that are read at once.
_READ: Final = 200
#: Contacts that are canceled in one transaction.
_CANCEL: Final = 5_000
#: Answers in a row that leave their attempts in doubt, after which dialling waits.
_DOUBTS: Final = 3
#: 429s in a row after which dialling waits, besides the limiter.
_THROTTLED: Final = 5
#: Seconds to wait after failures to connect.
_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
#: Seconds after which commands have to have been looked for, where the database gives no signal of them.
FRESH: Final = 0.1
#: Milliseconds after which contacts whose time is over are looked for again.
_EXPIRY: Final = 60_000


@define(eq=False)
class _Gate:
    """The gate of one call."""

    dispatcher: Dispatcher
    claimed: Sequence[Claimed]
    #: When the intent was durable, on the boot clock.
    written: float = field(factory=boot_time)
    #: When it let the request through.
    passed: float = 0.0

    def __call__(self) -> None:
        self.dispatcher.check(*self.claimed)
        self.dispatcher.ahead.had_turn(boot_time() - self.written)
        self.passed = self.dispatcher.running.clock.now()


@define(eq=False)
class Dispatcher:
    """Dials the contacts of a run.

    Attributes:
        running: the run.
        spawn: starts a task.
        waiting: what the contacts that wait are waiting for.
        polled: when commands were looked for the last time, on the boot clock.
        ahead: how many intents may wait for the limiter's turn.
    """

    running: Running
    chunks: Chunks
    spawn: Callable[..., object]
    waiting: tuple[Waiting, ...] = ()
    polled: float = field(factory=boot_time)
    ahead: IntentsAhead = field(factory=IntentsAhead)
    _openings: Openings = field(init=False)
    _callers: Callers = field(init=False)
    _queue: deque[Candidate] = field(factory=deque)
    _doubts: int = 0
    _throttled: int = 0
    _pause: float = 0.0
    _paused_until: float = 0.0
    _next_expiry: int = 0
    _process: int = field(factory=os.getpid)

    def __attrs_post_init__(self) -> None:
        settings = self.running.settings
        self._openings = Openings(settings.windows, ringing_time(settings))
        self._callers = Callers(settings.from_)

    async def run(self) -> None:
        """Dial until the run ends."""
        running = self.running
        while not (running.halted or running.draining):
            if running.state is CampaignState.STOPPED:
                await self._cancel_waiting()
            await self._trip()
            until = await self._turn() if running.may_dial else None
            if until == 0:
                continue
            settled = running.check_over()
            if settled is not None:
                until = settled if until is None else min(settled, until)
            await running.clock.wait(running.dispatch_bell, until)

    async def _trip(self) -> None:
        """Dial no more once a limit of `Stop` is reached, and keep that in the journal."""
        running = self.running
        if not running.tripped and (reason := running.settings.stop.reason(running.tally())) is not None:
            running.tripped, running.reason = True, reason
            now = running.now()
            await running.write(lambda db, _: campaigns.journal(db, running.row.id, now, "dialer", "limit", reason))

    async def _turn(self) -> float | None:
        """Claim and send as many contacts as there is room for. Returns until when to wait, 0 for not at all."""
        running = self.running
        now = running.clock.now()
        if now < self._paused_until:
            return self._paused_until
        if self._pause and (running.claimed or running.on_wire):
            return None
        if running.period_is_over:
            await running.begin_period()
        if running.settings.mode == "preview":
            running.nothing_waits = True  # Contacts are dialled by `dial` only; those that wait are in the counts.
            return None
        if running.settings.engine == "api":
            return await self._turn_of_chunk(now)
        ahead = self.ahead.room(len(running.claimed))
        if not ahead:
            return None
        seen = running.seen()
        room = min(1 if self._pause else ahead, running.pacing.room(now, seen), running.affordable())
        if room <= 0:
            return running.pacing.next_change(now, seen)
        steps, began = running.steps, boot_time()
        claimed, until = await running.write(lambda db, tally: self._claim(db, tally, room))
        self.ahead.were_written(boot_time() - began)
        if steps != running.steps:
            running.suspect |= {one.key for one in claimed}
        if not claimed:
            running.nothing_waits = until is None
            return until
        self.waiting = ()
        for one in claimed:
            self._begin(one)
        return 0

    async def _turn_of_chunk(self, now: float) -> float | None:
        """Claim and send a chunk of contacts; see `_turn`."""
        running = self.running
        if self.chunks.away:
            return None
        seen = running.seen()
        room = min(self.chunks.size, running.pacing.room(now, seen), running.affordable())
        if room <= 0:
            return running.pacing.next_change(now, seen)
        moment = running.now()
        self.chunks.sent += 1
        reference = running.references.chunk(moment, running.epoch, self.chunks.sent)

        def work(db: Database, tally: Counter[str]) -> tuple[list[Claimed], int, float | None]:
            claimed, until = self._claim(db, tally, room, self._callers.for_all())
            id = chunks.add(db, running.row.id, reference, [one.id for one in claimed], moment) if claimed else 0
            return claimed, id, until

        steps = running.steps
        claimed, chunk, until = await running.write(work)
        if steps != running.steps:
            running.suspect |= {one.key for one in claimed}
        if not claimed:
            running.nothing_waits = until is None
            return until
        self.waiting, self.chunks.away = (), True
        running.claimed |= {one.key: one for one in claimed}
        running.activity.begin()
        self.spawn(self.dial_chunk, chunk, reference, claimed)
        return None

    async def dial_chunk(self, chunk: int, reference: str, claimed: list[Claimed]) -> None:
        """Send one chunk and write what became of it."""
        running = self.running
        try:
            ending = await self.chunks.send(chunk, reference, claimed, _Gate(self, claimed))
            self._note(ending)
        except AjoxiError as error:  # The ledger cannot be written: the attempts stay intents, and are in doubt.
            running.halt(error)
        except BaseException:
            sent = not any(one.key in running.claimed for one in claimed)
            fact = Fact.DOUBTFUL if sent else Fact.UNSENT
            with anyio.CancelScope(shield=True):
                await running.record([Report(one.id, fact, reason="canceled") for one in claimed])
            raise
        finally:
            self.chunks.away = False
            for one in claimed:
                self._forget(one)
            running.activity.end()

    def _begin(self, one: Claimed) -> None:
        running = self.running
        running.claimed[one.key] = one
        running.activity.begin()
        self.spawn(self.dial, one)

    # Claims, in the thread of the database

    def _claim(
        self, db: Database, tally: Counter[str], room: int, from_of: FromOf | None = None
    ) -> tuple[list[Claimed], float | None]:
        """Claim up to so many contacts; if there are none, find out until when to wait."""
        running = self.running
        now = running.now()
        found: list[Claimed] = []
        self._expire(db, tally, now)
        while len(found) < room:
            if not self._queue:
                self._openings.learn(contacts.zones_of(db))
                open_now = self._openings.open_at(claims.waiting_zones(db, running.row.id), now / 1000)
                self._queue.extend(claims.candidates(db, running.row.id, open_now, now, _READ))
            if not self._queue:
                break
            batch = [self._queue.popleft() for _ in range(min(room - len(found), len(self._queue)))]
            found += self._claim_all(db, tally, batch, now, from_of)
        if found:
            return found, 0
        return [], self._wait_until(db, tally, now)

    def _claim_all(
        self, db: Database, tally: Counter[str], batch: list[Candidate], now: int, from_of: FromOf | None = None
    ) -> list[Claimed]:
        caps = self.running.settings.caps
        return claims.claim(
            db,
            self.running.row.id,
            [one for one in batch if self._openings.allows(one.zones, now / 1000)],
            now,
            tally,
            from_of=from_of or self._callers.choose,
            allowed_at=caps.next_allowed,
            history=caps.span,
        )

    def _expire(self, db: Database, tally: Counter[str], now: int) -> None:
        if now < self._next_expiry:
            return
        expires = self.running.settings.expires
        over = expires is not None and now >= milliseconds(expires)
        contacts.expire(db, self.running.row.id, now, tally, all_of_them=over)
        self._next_expiry = now + _EXPIRY
        if expires is not None and milliseconds(expires) > now:
            self._next_expiry = min(self._next_expiry, milliseconds(expires))

    def _wait_until(self, db: Database, tally: Counter[str], now: int) -> float | None:
        """When the next contact can be dialled, in seconds; 0 for at once, ``None`` if none waits."""
        waiting = []
        for zones in claims.waiting_zones(db, self.running.row.id):
            due = claims.next_due(db, self.running.row.id, zones)
            if due is None:
                continue
            opening = self._openings.next(zones, max(due, now) / 1000)
            if opening is None:
                contacts.suppress_unlawful(db, self.running.row.id, zones, tally)
            elif opening > max(due, now) / 1000:
                waiting.append(Waiting(opening, "window", self._openings.names(zones)))
            else:
                waiting.append(Waiting(due / 1000, "due"))
        if not waiting:
            self.waiting = ()
            return None
        self.waiting = tuple(sorted(waiting, key=lambda one: (one.until, one.zones)))
        expiry = contacts.next_expiry(db, self.running.row.id)
        first = self.waiting[0].until
        if expiry is not None and expiry / 1000 < first:
            self._next_expiry = min(self._next_expiry, expiry)
            first = expiry / 1000
        return first if first > now / 1000 else 0

    async def _cancel_waiting(self) -> None:
        """End the contacts that wait, because the campaign was stopped."""
        running = self.running
        while await running.write(lambda db, tally: contacts.cancel(db, running.row.id, _CANCEL, tally)):
            pass
        self._queue.clear()
        running.nothing_waits = True

    # One call

    async def dial_now(self, number: int) -> bool:
        """Dial a contact that waits, if there is room; return whether a request was sent."""
        running = self.running
        if running.period_is_over:
            await running.begin_period()
        room = min(running.pacing.room(running.clock.now(), running.seen()), running.affordable())
        if not running.may_dial or room <= 0:
            return False
        await self._trip()

        claimed: list[Claimed] = []

        def work(db: Database, tally: Counter[str]) -> None:
            self._openings.learn(contacts.zones_of(db))
            found = claims.candidate(db, running.row.id, number)
            claimed[:] = [] if found is None else self._claim_all(db, tally, [found], running.now())

        steps = running.steps
        # The caller's task may be cancelled at any moment, and nobody else would dial what it has claimed.
        with anyio.CancelScope(shield=True):
            try:
                await running.write(work)
            except asyncio.CancelledError:  # From `task.cancel()` of asyncio, which no shield stops.
                await self._give_back(claimed)
                raise
        if steps != running.steps:
            running.suspect |= {one.key for one in claimed}
        sent = False
        for one in claimed:
            running.claimed[one.key] = one
            running.activity.begin()
            try:
                sent = await self.dial(one)
            except BaseException:
                running.sweep_bell.ring()  # Its answer may have been written by another task.
                raise
        return sent

    async def _give_back(self, claimed: list[Claimed]) -> None:
        """Undo a claim that was handed over to the ledger, and is in the list when the ledger comes to this."""
        running = self.running

        def work(db: Database, tally: Counter[str]) -> list[Changed]:
            reports = [Report(one.id, Fact.UNSENT, reason="canceled") for one in claimed]
            rules = running.rules_for(running.row)
            return facts.record(db, running.row.id, reports, running.now(), rules, tally)

        running.note(await running.write(work))

    def check(self, *claimed: Claimed) -> None:
        """The gate. Raises if the calls are not to be placed now; else they are on the wire from now on.

        Raises:
            NotNowError: it is proven unsent.
        """
        running = self.running
        now = running.clock.now()
        alarm = running.ledger.database.alarm()
        if running.look_at_clocks() is not None:
            running.control_bell.ring()
        if any(one.key in running.suspect for one in claimed):
            raise NotNowError("the machine may have been rolled back", doubtful=True)
        if not running.may_dial:
            raise NotNowError("the campaign does not dial")
        if not running.ledger.database.owned(running.name) or os.getpid() != self._process:
            raise NotNowError("this process does not own the campaign any more")
        if (alarm is None and boot_time() - self.polled > FRESH) or (alarm or 0) > running.alarm:
            running.control_bell.ring()
            raise NotNowError("there are commands to be carried out first")
        if now < self._paused_until:
            raise NotNowError("the API could not be reached")
        for one in claimed:
            if one.number in running.forbidden:
                raise NotNowError("do not call")
            if one.expires is not None and milliseconds(now) >= one.expires:
                raise NotNowError("its time is over")
            if not self._openings.allows(one.zones, now):
                raise NotNowError("its window is closed")
        for one in claimed:
            if running.claimed.pop(one.key, None) is not None:
                running.on_wire += 1
                running.begun += 1
        running.dispatch_bell.ring()

    async def dial(self, one: Claimed) -> bool:
        """Place one call and write what became of it; return whether a request was sent."""
        running = self.running
        try:
            report = await self._placed(one)
            await running.record([report])
        except AjoxiError as error:  # The ledger cannot be written: the attempt stays an intent, and is in doubt.
            running.halt(error)
            return False
        else:
            return report.fact is not Fact.UNSENT
        finally:
            self._forget(one)
            running.activity.end()

    async def _placed(self, one: Claimed) -> Report:
        running, settings = self.running, self.running.settings
        gate = _Gate(self, (one,))
        reference = running.references.make(one.number, one.n)
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()  # Else the call would be on the wire before that is noticed.
            call = await running.placer.calls.create(
                to=f"+{one.number}",
                from_=f"+{one.from_}",
                ai_receptionist=settings.ai_receptionist,
                record=settings.record,
                ring_timeout=settings.ring_timeout,
                metadata={CLIENT_REFERENCE: reference},
                agent_id=settings.agent_id,
                lane="bulk",
                gate=gate,
            )
        except AjoxiError as error:
            ending = ending_of(error)
            self._note(ending)
            return Report(one.id, ending.fact, reason=ending.reason)
        except BaseException:
            fact = Fact.UNSENT if one.key in running.claimed else Fact.DOUBTFUL
            with anyio.CancelScope(shield=True):
                await running.record([Report(one.id, fact, reason="canceled")])
            raise
        if (wrong := _wrong_answer(call, reference)) is not None:
            self._note(Ending(Fact.DOUBTFUL, wrong))
            return Report(one.id, Fact.DOUBTFUL, reason=wrong)
        self._note(Ending(Fact.PLACED, ""))
        created = None
        if call.created_at is not None:
            created = milliseconds(call.created_at.timestamp())
            running.watch.answered(call.created_at.timestamp(), gate.passed)
        return Report(one.id, Fact.PLACED, call.id, created, via=ANSWER)

    def _note(self, ending: Ending) -> None:
        """Draw the consequences of the end of a request for the next ones."""
        if ending.gated:
            return
        if ending.halts:
            self.running.halt(CampaignHaltedError(f"no further call can be placed: {ending.reason}"))
        self._doubts = self._doubts + 1 if ending.fact is Fact.DOUBTFUL else 0
        self._throttled = self._throttled + 1 if ending.throttled else 0
        if ending.failed or self._doubts >= _DOUBTS or self._throttled >= _THROTTLED:
            self._fail()
        elif ending.fact in {Fact.PLACED, Fact.REFUSED}:
            self._pause = 0.0

    def _fail(self) -> None:
        """Wait before the next dial, because the API could not be reached."""
        now = self.running.clock.now()
        if now >= self._paused_until:
            self._pause = min(_LONGEST_PAUSE, self._pause * 2 or _PAUSE)
            self._paused_until = now + self._pause
            self.ahead.reset()

    def rewind(self) -> None:
        """The clock was set back: no moment that is kept here is waited for."""
        self._paused_until, self._next_expiry, self.waiting = 0.0, 0, ()
        self._queue.clear()

    def _forget(self, one: Claimed) -> None:
        running = self.running
        running.suspect.discard(one.key)
        if running.claimed.pop(one.key, None) is None:
            running.on_wire -= 1
        running.dispatch_bell.ring()


def _wrong_answer(call: Call, reference: str) -> str | None:
    """Why an answer tells of no call of a reference: it may be that of another request, which a proxy has kept."""
    if not call.id:
        return "the answer has no id"
    told = call.metadata.get(CLIENT_REFERENCE)
    return None if told in {None, reference} else "the answer is another call's"
