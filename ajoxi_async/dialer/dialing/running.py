"""What the tasks of one run share: the campaign's settings and counts in memory, its bells, and how facts are written.

Rules:
1. Only the owner runs a campaign. Each transaction checks its epoch, so that an owner that was replaced cannot write.
2. Memory follows the ledger: the counts change here in the transaction that changes them there, in the thread of the database. A
   transaction that fails ends the run.
3. Memory does not grow with the campaign: nothing is kept for each contact, and of attempts only those before the wire.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final, TypeVar

import anyio
from attrs import define, field

from ajoxi_async.contract.calls import Call, CallStatus, Disposition
from ajoxi_async.dialer.activity import Activity, Bell
from ajoxi_async.dialer.client import DialerClient
from ajoxi_async.dialer.clock import Clock, milliseconds
from ajoxi_async.dialer.dialing.steps import ClockStep, ClockWatch
from ajoxi_async.dialer.rules.machine import AttemptState, CampaignState, ContactState
from ajoxi_async.dialer.rules.pacing import PERIOD, Abandonment, Pacing, Seen, pacing_of
from ajoxi_async.dialer.rules.references import References
from ajoxi_async.dialer.rules.retries import retry_delay
from ajoxi_async.dialer.rules.stop import Tally
from ajoxi_async.dialer.settings import Settings, from_json
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.dialer.storage.statements import campaigns, counts, facts
from ajoxi_async.dialer.storage.statements.calls import attempt_of_call
from ajoxi_async.dialer.storage.statements.campaigns import CampaignRow
from ajoxi_async.dialer.storage.statements.claims import Claimed
from ajoxi_async.dialer.storage.statements.facts import Changed, Report, Rules, fact_of

__all__ = ["DOUBT_LOOKS", "LAST_LOOK", "Running", "next_doubt_look", "rules_of", "rules_of_row"]

T = TypeVar("T")

#: When the call of an attempt in doubt is looked for, in seconds from its intent; after these, every `HOURLY` until `LAST_LOOK`.
DOUBT_LOOKS: Final = (2.0, 10.0, 60.0, 300.0, 1800.0)
_HOURLY: Final = 3600.0
LAST_LOOK: Final = 86_400.0
#: Seconds from the placing of a call to the first look at how it ended, as long as no call has ended.
_FIRST_LOOK: Final = 10.0
#: Seconds at the end of a period in which nothing is dialled that only the budget covers, at least.
_TAIL: Final = 300.0
#: Counts that say when the period of abandoned calls began, and how many there were then.
_PERIOD_BEGAN: Final = "period.began"
_PERIOD_ANSWERED: Final = "period.answered"
_PERIOD_ABANDONED: Final = "period.abandoned"
_LIVE: Final = Disposition.ANSWERED.value
_FAILED: Final = Disposition.FAILED.value
#: How often the mean duration of calls is renewed: it follows about so many of the latest calls.
_MEMORY: Final = 50


def next_doubt_look(intent_at: float, now: float) -> float | None:
    """When an attempt in doubt is looked up next, in seconds since the epoch; ``None`` after a day."""
    passed = now - intent_at
    for look in DOUBT_LOOKS:
        if look > passed:
            return intent_at + look
    following = (passed // _HOURLY + 1) * _HOURLY
    return intent_at + following if following <= LAST_LOOK else None


def rules_of(settings: Settings, first_look: float = _FIRST_LOOK) -> Rules:
    """What the statements need to know of a campaign's settings."""
    return Rules(
        settings.attempts,
        lambda disposition, n: retry_delay(settings.retry, disposition, n),
        milliseconds(first_look),
        milliseconds(DOUBT_LOOKS[0]),
    )


def rules_of_row(row: CampaignRow) -> Rules:
    """`rules_of` a campaign as the ledger has it."""
    return rules_of(from_json(row.spec))


@define(eq=False)
class _Facts:
    """Facts that a task waits for, and whether they were tried to be written before."""

    reports: Sequence[Report]
    tried: bool = False


@define(eq=False, kw_only=True)
class Running:
    """A run of a campaign, as its tasks see it.

    Attributes:
        client: looks calls up, with the retries of the caller's client.
        placer: places calls, each request once.
        counts: of the ledger, by name.
        state: of the campaign.
        reason: why it is paused or stopped.
        trouble: why nothing is dialled at the moment, if it is no state of the campaign.
        epoch: of this owner.
        claimed: attempts whose intent is written and that are not on the wire yet, by `Claimed.key`.
        begun: attempts that went to the wire in this run.
        on_wire: requests that are away.
        draining: whether no more is to be sent in this run, because it is being left.
        opened: whether the ledger was brought up to date with the API.
        halted: the error that ends the run.
        tripped: whether a limit of `Stop` was reached.
        past_doubt: attempts in doubt whose calls cannot last any more, if there were any; at the sweeper's latest look.
        agents: how many agents are free, as the caller said.
        looked: whether the sweeper has looked at what was due when the run began.
        witness: the latest moment at which a call of ours was placed that a list has shown, in milliseconds by the API's clock.
        alarm: the last command that was carried out.
    """

    ledger: Ledger
    client: DialerClient
    placer: DialerClient
    row: CampaignRow
    settings: Settings
    clock: Clock
    references: References
    epoch: int
    counts: Counter[str]
    state: CampaignState
    reason: str | None = None
    trouble: str | None = None
    activity: Activity = field(factory=Activity)
    dispatch_bell: Bell = field(init=False)
    sweep_bell: Bell = field(init=False)
    control_bell: Bell = field(init=False)
    finished: anyio.Event = field(factory=anyio.Event)
    pacing: Pacing = field(init=False)
    claimed: dict[tuple[int, int], Claimed] = field(factory=dict)
    begun: int = 0
    on_wire: int = 0
    draining: bool = False
    opened: bool = False
    #: Attempts whose intent was written before a step of the clock after which it is not known whether they were sent.
    suspect: set[tuple[int, int]] = field(factory=set)
    #: How many such steps there were.
    steps: int = 0
    #: The step that the list is to be swept for.
    stepped: ClockStep | None = None
    watch: ClockWatch = field(init=False)
    halted: Exception | None = None
    tripped: bool = False
    past_doubt: int = 0
    agents: int = 0
    looked: bool = False
    witness: int = 0
    alarm: int = 0
    #: Whether no contact was found that waits, at the last look.
    nothing_waits: bool = False
    #: How long attempts in doubt are waited for at the end, in seconds; ``None`` as long as they are looked up.
    until_settled: float | None = None
    #: When nothing was left but attempts in doubt.
    settled_since: float | None = None
    #: When the next look is due, in milliseconds, as the sweeper knows it.
    next_look: int | None = None
    #: Counts that are not in the ledger yet.
    unsaved: Counter[str] = field(factory=Counter)
    _bells: list[Bell] = field(factory=list)
    #: The present moment, and the first look as of its beginning.
    _look: tuple[int, float] = (0, _FIRST_LOOK)
    #: Numbers that were put on the do-not-call list while an attempt of theirs was claimed.
    forbidden: set[int] = field(factory=set)
    #: Attempts whose call was answered and has not ended, as far as events and lists have said.
    talking: set[int] = field(factory=set)
    #: The mean time from the placing of a call to its end.
    mean_call: float = _FIRST_LOOK
    #: By how much it differs, on average.
    call_spread: float = 0.0
    #: Whether each of the latest attempts that have ended failed.
    latest: deque[bool] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.dispatch_bell, self.sweep_bell, self.control_bell = self.bell(), self.bell(), self.bell()
        self.latest = deque(maxlen=self.settings.stop.window)
        self.pacing = _pacing_of(self.settings)
        self.watch = ClockWatch(self.clock)

    def bell(self) -> Bell:
        """A bell that is rung when the run halts, besides for its own reason."""
        self._bells.append(bell := Bell(self.activity))
        return bell

    @property
    def name(self) -> str:
        """The name of the campaign."""
        return self.row.name

    def now(self) -> int:
        """The present moment in milliseconds."""
        return milliseconds(self.clock.now())

    # The ledger

    async def write(self, work: Callable[[Database, Counter[str]], T]) -> T:
        """Carry out work in a transaction of this owner; see `Ledger.write`. An error ends the run.

        Args:
            work: gets the database, and a tally to which it adds what changes in the counts.
        """
        repeated = False

        def fenced(db: Database) -> T:
            nonlocal repeated
            campaigns.fence(db, self.row.id, self.epoch)
            tally: Counter[str] = Counter()
            result = work(db, tally)
            if tally:
                counts.add(db, self.row.id, tally)
                self.counts.update(tally)
            if repeated:  # Other work of the first transaction failed, and its changes here are still counted.
                self.reload(db)
            repeated = True
            return result

        try:
            return await self.ledger.write(fenced)
        except Exception as error:
            self.halt(error)
            raise

    async def record(self, reports: Sequence[Report]) -> list[Changed]:
        """Write facts about attempts, and return what they changed once it is durable. An error ends the run."""
        try:
            changed = await self.ledger.write_each(self._record_all, _Facts(reports))
        except Exception as error:
            self.halt(error)
            raise
        self.note(changed)
        return changed

    def _record_all(self, db: Database, items: list[_Facts]) -> list[list[Changed]]:
        """Write the facts of all tasks that wait, in the thread of the database."""
        campaigns.fence(db, self.row.id, self.epoch)
        tally: Counter[str] = Counter()
        reports = [report for one in items for report in one.reports]
        rules = rules_of(self.settings, self.first_look)
        each = iter(facts.record_each(db, self.row.id, reports, self.now(), rules, tally))
        results = [[changed for changed in islice(each, len(one.reports)) if changed is not None] for one in items]
        counts.add(db, self.row.id, tally)
        self.counts.update(tally)
        if any(one.tried for one in items):  # As in `write`.
            self.reload(db)
        for one in items:
            one.tried = True
        return results

    async def record_calls(self, calls: Iterable[Call], via: int) -> list[Changed]:
        """Write what calls say about the attempts that their references name."""
        listed = list(calls)
        rules = rules_of(self.settings, self.first_look)
        answered: set[int] = set()

        def work(db: Database, tally: Counter[str]) -> list[Changed]:
            reports = []
            for call in listed:
                id = attempt_of_call(db, self.row.id, self.references, call)
                if id is not None:
                    reports.append(fact_of(id, call, via))
                    if call.status == CallStatus.ANSWERED:
                        answered.add(id)
            return facts.record(db, self.row.id, reports, self.now(), rules, tally)

        changed = await self.write(work)
        self.talking |= answered
        self.note(changed)
        return changed

    async def refresh(self) -> None:
        """Read the counts anew."""
        await self.ledger.read(self.reload)

    def reload(self, db: Database) -> None:
        """Read the counts anew, in the thread of the database."""
        self.counts = Counter(counts.read(db, self.row.id))

    # Memory

    def rules_for(self, row: CampaignRow) -> Rules:
        """The rules of a campaign of the ledger, which may be another one than that of this run."""
        return rules_of(self.settings, self.first_look) if row.id == self.row.id else rules_of_row(row)

    def abandon(self, amount: int) -> None:
        """Count calls that were answered and abandoned. The ledger has them within a moment."""
        self.unsaved["abandoned"] += amount
        self.control_bell.ring()
        self.dispatch_bell.ring()

    @property
    def open(self) -> int:
        """Calls that were placed and have not ended, without those that have been open for longer than a call can last."""
        return self.counts[ContactState.OPEN.word] - self.counts[facts.STALE]

    @property
    def first_look(self) -> float:
        """Seconds from the placing of a call to the first look at how it ended."""
        # One value for each moment, whatever ends in it: which thread is faster must not decide when a call is looked up.
        moment, look = self._look
        if moment != (now := self.now()):
            # When most calls have ended: a look that comes too early costs another one.
            look = min(max(self.mean_call + 1.5 * self.call_spread, 1.0), 300.0)
            self._look = now, look
        return look

    def note(self, changed: Iterable[Changed]) -> None:
        """Take over what became durable, and wake whom it concerns."""
        for one in changed:
            if one.now in {AttemptState.ENDED, AttemptState.REFUSED}:
                self.talking.discard(one.attempt)
                self.latest.append(one.now is AttemptState.REFUSED or one.disposition == _FAILED)
                if one.lasted is not None:
                    self.call_spread += (abs(one.lasted - self.mean_call) - self.call_spread) / _MEMORY
                    self.mean_call += (one.lasted - self.mean_call) / _MEMORY
            if one.now is AttemptState.OPEN:
                self._expect_look(self.first_look)
            elif one.now is AttemptState.UNKNOWN:
                self._expect_look(DOUBT_LOOKS[0])
        self.dispatch_bell.ring()

    def _expect_look(self, seconds: float) -> None:
        then = self.now() + milliseconds(seconds)
        if self.next_look is None or then < self.next_look:
            self.next_look = then
            self.sweep_bell.ring()

    def resume(self) -> None:
        """Dial on although a limit of `Stop` was reached: it counts from now on."""
        self.latest.clear()
        self.tripped, self.reason = False, None

    def halt(self, error: Exception) -> None:
        """Send nothing more, and end the run with an error."""
        if self.halted is None:
            self.halted = error
        self.wake()

    def wake(self) -> None:
        """Ring all bells."""
        for bell in self._bells:
            bell.ring()
        self.check_over()

    def check_over(self) -> float | None:
        """End the run if nothing is left to do; return when that has to be looked at again, in seconds since the epoch."""
        counts = self.counts
        over = self.halted is not None
        if not over:
            away = self.claimed or self.on_wire or counts["dialing"] > 0 or self.open > 0
            if self.state is CampaignState.PAUSED and not self.tripped:
                waits = True
            else:
                waits = not self.tripped and (counts["waiting"] > 0 or not self.nothing_waits)
            if away or waits or not self.looked:
                self.settled_since = None
                return None
            now = self.clock.now()
            if self.settled_since is None:
                self.settled_since = now
            over = counts["unknown"] <= 0
            if not over and self.until_settled is not None:
                over = now >= self.settled_since + self.until_settled
                if not over:
                    return self.settled_since + self.until_settled
            elif not over:
                over = self.next_look is None
        if over:
            self.finished.set()
        return None

    def look_at_clocks(self) -> ClockStep | None:
        """Whether the clocks show a step. Nothing is sent from then on until the list was swept.

        If time has passed that was not seen, whatever is before the wire may have been sent in it.
        """
        step = self.watch.step()
        if step is not None and self.opened:
            self.opened, self.stepped = False, step
            if step is ClockStep.AHEAD:
                self.steps += 1
                self.suspect |= self.claimed.keys()
        return step

    def rewind(self) -> None:
        """The clock was set back: no moment that is kept in memory is waited for."""
        self.pacing = _pacing_of(self.settings)
        self.settled_since = self.next_look = None
        self._look = (0, _FIRST_LOOK)
        self.wake()

    @property
    def may_dial(self) -> bool:
        """Whether calls may be placed, as far as the campaign as a whole is concerned."""
        return self.opened and self.state is CampaignState.ACTIVE and not (self.draining or self.tripped or self.halted)

    # The period in which abandoned calls are counted

    @property
    def period_at(self) -> int:
        """When the present period has begun, in milliseconds: periods follow each other from the making of the campaign on."""
        length = milliseconds(PERIOD)
        return self.row.created + max(0, self.now() - self.row.created) // length * length

    @property
    def period_is_over(self) -> bool:
        """Whether a new period is to be begun. After the clock was set back, the one that was begun goes on."""
        return self.period_at > self.counts[_PERIOD_BEGAN]

    async def begin_period(self) -> None:
        """Count from now on, durably before the next call, so that a restart neither forgets nor repeats a period."""

        def work(_: Database, tally: Counter[str]) -> None:
            now = {
                _PERIOD_BEGAN: self.period_at,
                _PERIOD_ANSWERED: self.counts[f"disposition.{_LIVE}"],
                _PERIOD_ABANDONED: self.counts["abandoned"] + self.unsaved["abandoned"],
            }
            tally.update({what: amount - self.counts[what] for what, amount in now.items()})

        # The first one began with the campaign, whenever its budget was needed first.
        if self.period_at > self.row.created or self.counts[_PERIOD_BEGAN]:
            await self.write(work)
        else:
            await self.write(lambda _, tally: tally.update({_PERIOD_BEGAN: self.row.created}))

    def seen(self) -> Seen:
        """What pacing needs to know."""
        live = self.counts[f"disposition.{_LIVE}"]
        connected = live + self.counts["disposition.voicemail"]
        completed = sum(amount for what, amount in list(self.counts.items()) if what.startswith("disposition."))
        open_ = max(0, self.open)
        talking = min(open_, len(self.talking))
        return Seen(
            dialing=self.counts[ContactState.DIALING.word],
            open=open_,
            unknown=max(0, self.counts[ContactState.UNKNOWN.word] - self.past_doubt),
            ringing=open_ - talking,
            talking=talking,
            agents=self.agents,
            answered=live - self.counts[_PERIOD_ANSWERED],
            abandoned=self.counts["abandoned"] + self.unsaved["abandoned"] - self.counts[_PERIOD_ABANDONED],
            completed=completed,
            connected=connected,
            talked=float(self.counts["talk seconds"]),
            begun=self.counts["attempts"],
            left=max(0.0, self.counts[_PERIOD_BEGAN] / 1000 + PERIOD - self.clock.now()),
        )

    def affordable(self) -> int:
        """How many more calls `Stop.spend` allows, those counted that are claimed and not on the wire yet."""
        stop = self.settings.stop
        if stop.spend is None or not stop.per_call:
            return sys.maxsize
        calls = (stop.spend - stop.cost(self.tally())) / stop.per_call
        return math.floor(min(calls, sys.maxsize)) - len(self.claimed)

    def tally(self) -> Tally:
        """What the limits of `Stop` need to know. What is claimed and not on the wire yet is not placed."""
        return Tally(
            ended=len(self.latest),
            failed=sum(self.latest),
            unknown=self.counts[ContactState.UNKNOWN.word],
            placed=self.counts["attempts"] - len(self.claimed),
            seconds=float(self.counts["talk seconds"]),
            answered=self.counts[f"disposition.{_LIVE}"],
            abandoned=self.counts["abandoned"] + self.unsaved["abandoned"],
        )


def _pacing_of(settings: Settings) -> Pacing:
    mode, ahead = settings.mode, settings.mode in {"power", "predictive"}
    return pacing_of(
        mode,
        rate=settings.rate if settings.engine == "dialer" else None,  # The API paces its own campaigns.
        concurrency=settings.concurrency,
        seats=settings.seats if mode == "auto" else None,
        lines=settings.lines if ahead else None,
        # A call may be answered at the end of its ring time, and the list say so later.
        abandonment=Abandonment(settings.abandonment, tail=max(_TAIL, settings.ring_timeout + 60.0))
        if mode == "predictive"
        else None,
    )


def at(moment: int) -> datetime:
    """A moment in milliseconds as an aware time."""
    return datetime.fromtimestamp(moment / 1000, UTC)
