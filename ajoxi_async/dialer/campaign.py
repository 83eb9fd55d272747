"""A campaign: its public face.

Rules:
1. A campaign may be opened by any number of processes. One runs it; the others look at it, and their commands (`pause`, `resume`,
   `stop`, `do_not_call`, `release`, `done`, `event`) go to the owner's inbox, or straight into the ledger if there is no owner.
2. `pause`, `stop` and `do_not_call` have effect when they return: no request leaves after that. What is on the wire is not recalled.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Self

import anyio
from attrs import evolve, frozen

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.headers import CLIENT_REFERENCE
from ajoxi_async.contract.webhooks import Event
from ajoxi_async.dialer import settings as settings_of
from ajoxi_async.dialer.client import GivenClient, api_of
from ajoxi_async.dialer.clock import Clock, clock_of, milliseconds
from ajoxi_async.dialer.dialing.run import Run
from ajoxi_async.dialer.dialing.running import rules_of_row
from ajoxi_async.dialer.loading.load import DoNotCall, LoadReport, load
from ajoxi_async.dialer.loading.rows import CsvFile, Given
from ajoxi_async.dialer.reporting.progress import Progress, progress_of
from ajoxi_async.dialer.rules.durations import DAY, seconds
from ajoxi_async.dialer.rules.numbers import NumberRefused, parse_number
from ajoxi_async.dialer.rules.references import References
from ajoxi_async.dialer.rules.retries import Retry
from ajoxi_async.dialer.rules.stop import Stop
from ajoxi_async.dialer.rules.texts import shown, storable
from ajoxi_async.dialer.rules.windows import Windows
from ajoxi_async.dialer.settings import Mode, Settings
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.dialer.storage.statements import campaigns, commands, counts, looks
from ajoxi_async.dialer.storage.statements.campaigns import CampaignRow
from ajoxi_async.dialer.storage.statements.facts import WEBHOOK
from ajoxi_async.protocol.errors import (
    ConfigurationError,
    InvalidParameterError,
    LedgerError,
    LedgerOwnedError,
    LedgerUnreachableError,
)

__all__ = ["Campaign", "Doubt"]

#: Seconds between two attempts of a standby to become the owner, and between two looks whether a command was carried out.
_LOOK: Final = 0.5
_EFFECT: Final = 0.005


@frozen(repr=False)
class Doubt:
    """An attempt of which it is not known whether its phone has rung.

    Attributes:
        number: the contact, in E.164.
        reference: in the metadata of the call, if there is one.
        attempt: its place among the contact's attempts, from 1.
        since: when it was begun, in seconds since the epoch.
        looked: how often its call was looked for.
        next_look: when it is looked for again, in seconds since the epoch; ``None`` for no more.
        reason: why it is in doubt, such as the error that its request ended with.
    """

    number: str
    reference: str
    attempt: int
    since: float
    looked: int
    next_look: float | None
    reason: str | None = None

    def __repr__(self) -> str:
        return f"Doubt({self.reference!r}, since={self.since:.0f}, looked={self.looked})"

    def __rich_repr__(self) -> Iterator[object]:
        yield from (self.reference, ("since", round(self.since)), ("looked", self.looked))


class Campaign:
    """A campaign in a ledger. Made by `open`.

    Attributes:
        name: of the campaign.
        row: of the campaign in the ledger, as it was when it was opened.
        settings: of the campaign, as the ledger has them.
        references: of its attempts.
    """

    def __init__(
        self, ledger: Ledger, client: GivenClient | None, row: CampaignRow, settings: Settings, clock: Clock
    ) -> None:
        self._ledger, self._client, self._clock = ledger, client, clock
        self.row = row
        self.name = row.name
        self.settings = settings
        self.references = References(row.name)
        self._run: Run | None = None
        #: What the caller has said of agents and abandoned calls while nothing was run, for the next run.
        self._agents = self._abandoned = 0

    def __repr__(self) -> str:
        return f"Campaign({self.name!r})"

    @classmethod
    async def open(
        cls,
        ledger: Ledger,
        client: GivenClient | None,
        name: str,
        *,
        from_: str | Sequence[str] | None = None,
        windows: Windows | None = None,
        retry: Mapping[str, Retry] | None = None,
        attempts: int | None = None,
        per_number_24h: int | None = None,
        per_number_30d: int | None = None,
        min_gap: float | str | timedelta | None = None,
        rate: float | None = None,
        concurrency: int | None = None,
        seats: int | None = None,
        lines: int | None = None,
        abandonment: float | None = None,
        ring_timeout: int | None = None,
        max_call: float | str | timedelta | None = None,
        stop: Stop | None = None,
        ai_receptionist: bool | None = None,
        record: bool | None = None,
        agent_id: str | None = None,
        mode: Mode | None = None,
        engine: Literal["dialer", "api"] | None = None,
        chunk: int | None = None,
        unknown: Literal["hold", "release"] | None = None,
        settle: float | str | timedelta | None = None,
        expires: datetime | None = None,
        clock: Any = None,
    ) -> Self:
        """Open a campaign, or make it if the ledger has none of this name. Sends nothing.

        A setting that is not given keeps the value that the ledger has, or its default.

        Args:
            ledger: where the campaign is kept.
            client: with which it dials; ``None`` for a campaign that is only looked at, commanded or reported.
            name: 1 to 200 characters. The references of its calls are made from it.
            from_: the numbers of the account that it calls from, in E.164: by area code, then the least used.
            windows: the hours in which phones may ring; by default `Windows.always`.
            retry: after which dispositions a contact is called again, and when: ``{"busy": Retry(600, 3600)}``.
            attempts: the most attempts for a contact, whatever their dispositions.
            per_number_24h: the most attempts for a number in any 24 hours, in all campaigns of the ledger.
            per_number_30d: the same in any 30 days.
            min_gap: the least time between two attempts for a number, in seconds or as ``"8h"``.
            rate: the most calls a second, within the rate limit of the key.
            concurrency: the most calls at a time; attempts in doubt count.
            seats: how many calls can be talked to at a time, by AI receptionists or agents; mode ``auto``.
            lines: calls for each free agent in mode ``power``, 2 by default; in ``predictive`` the most for each agent, 4 by default.
            abandonment: the share of answered calls that may be abandoned, mode ``predictive``.
            ring_timeout: seconds for which a phone rings, 1 to 600.
            max_call: how long a call can last at most; an open call, or one in doubt, counts for no longer.
            stop: when the campaign stops by itself.
            ai_receptionist: as for ``calls.create``.
            record: as for ``calls.create``.
            agent_id: as for ``calls.create``.
            mode: ``auto`` dials by the limits that are given; ``preview`` leaves each contact to `dial`; ``power`` and ``predictive``
                dial for the agents whom `agents` tells.
            engine: ``dialer``, or ``api`` for campaigns of the API, in chunks that fit into the window.
            chunk: contacts in a chunk. A lost answer puts the whole chunk in doubt.
            unknown: ``hold`` keeps attempts in doubt until somebody decides; ``release`` releases them after `settle` with a witness.
            settle: how long an attempt in doubt is looked up before it may be released, half an hour at least.
            expires: a moment after which nobody is dialled.
            clock: the campaign's clock: the system's unless given; ``sandbox.clock`` for virtual time.

        Raises:
            InvalidParameterError: a setting cannot be right.
            LedgerOwnedError: it has to be made or changed, and another process owns the ledger.
            LedgerError: the ledger cannot be read or written.
        """
        given = {key: value for key, value in locals().items() if key in _SETTINGS}
        if not isinstance(ledger, Ledger):
            raise InvalidParameterError("ledger", f"expected a Ledger, got {type(ledger).__name__}")
        if client is not None and not (hasattr(client, "calls") and hasattr(client, "with_options")):
            raise InvalidParameterError("client", f"expected an AsyncAjoxi or None, got {type(client).__name__}")
        name, time = settings_of.checked_name(name), clock_of(clock)
        row = await ledger.read(lambda db: campaigns.find(db, name)) if await ledger.exists() else None
        before = Settings() if row is None else settings_of.from_json(row.spec)
        settings = settings_of.changed(before, given)
        if row is None or settings != before:
            try:
                row = await cls._save(ledger, name, settings, milliseconds(time.now()))
            except LedgerOwnedError:
                # Another process may have made it just now, with the same settings, and runs it already.
                row = await ledger.read(lambda db: campaigns.find(db, name)) if await ledger.exists() else None
                if row is None or row.spec != settings_of.to_json(settings):
                    raise
        return cls(ledger, client, row, settings, time)

    @staticmethod
    async def _save(ledger: Ledger, name: str, settings: Settings, now: int) -> CampaignRow:
        told = settings_of.to_json(settings)

        def work(db: Database) -> CampaignRow:
            found = campaigns.find(db, name)
            if found is None:
                found = campaigns.create(db, name, told, now)
                campaigns.journal(db, found.id, now, _who(), "create", told)
            elif found.spec != told:
                campaigns.set_spec(db, found.id, told)
                campaigns.journal(db, found.id, now, _who(), "change", told)
            return found._replace(spec=told)

        async with ledger.owning(name):
            return await ledger.write(work)

    # Loading

    async def load(
        self,
        rows: Given | CsvFile,
        *,
        do_not_call: DoNotCall = (),
        name: str = "rows",
    ) -> LoadReport:
        """Load contacts. Of rows that are loaded again nothing changes, in whatever order they are.

        With a client of a test key, test numbers are in a zone where it is day now (`contract.zones`).

        Args:
            rows: ``from_csv("contacts.csv", phone="mobile")``, or an iterable, asynchronous perhaps, of numbers in E.164 and of mappings
                with ``phone`` and perhaps ``zone``, ``expires`` and ``key``; their other entries are variables.
            do_not_call: numbers that no campaign of the ledger may call from now on: a file with one in each line, or numbers.
            name: of the source, for rows that are no file.

        Returns:
            How many rows were imported, duplicates, refused and not to be called; they add up.

        Raises:
            InvalidParameterError: the rows cannot be read in this way, or a do-not-call entry is no number.
            ConfigurationError: the time zone database is missing.
            LedgerOwnedError: another process owns the ledger.
            LedgerError: the ledger cannot be written. What is stored by then stays; load again.
        """
        now = self._clock.now()
        test = getattr(self._client, "mode", "live") == "test"
        async with self._ledger.owning(self.name):
            await self._refresh()
            loaded = await load(
                self._ledger,
                self.row,
                rows,
                now=now,
                windows=self.settings.windows,
                ring=float(self.settings.ring_timeout),
                do_not_call=do_not_call,
                on_listed=self._listed,
                test_at=datetime.fromtimestamp(now, UTC) if test else None,
                name=name,
            )
        if self._run is not None:
            await self._run.loaded()
        return loaded

    async def _listed(self) -> None:
        """Let everybody who dials know of numbers that were put on the do-not-call list."""
        if self._run is not None:
            await self._run.loaded()
        await self._tell_owners({"campaign": self.name, "who": _who()}, milliseconds(self._clock.now()))

    # Running

    @property
    def runs(self) -> bool:
        """Whether it runs in this process, and has looked at the API's list of calls."""
        return self._run is not None and self._run.running.opened

    async def run(
        self, *, every: float | str | timedelta = 1.0, until_settled: float | str | timedelta | None = 1860.0
    ) -> AsyncGenerator[Progress, None]:
        """Dial until nothing more can be dialled, and yield the progress every so many real seconds and at the end.

        A run goes on where the last one ended, however that was. While the campaign is paused by a command, it waits for `resume`. Leaving
        the loop, or cancelling it, ends the run: no more is sent, and answers that are away are waited for.

        Args:
            every: real seconds between two progresses, a thousandth at least.
            until_settled: seconds for which attempts in doubt are waited for when nothing else is left, by the campaign's clock. They are
                kept, and the next run looks them up again. ``None`` waits as long as they are looked up, which is a day.

        Raises:
            InvalidParameterError: `every` or `until_settled` cannot be right.
            ConfigurationError: the campaign has no client or no numbers to call from, it runs in this process already, or the ledger
                belongs to another kind of API: that of a sandbox, of a test key or of a live key.
            LedgerOwnedError: another process runs it, or the ledger; on SQLite only. On PostgreSQL this process stands by until it can
                take over, and also waits for a database that cannot be reached. `Progress.reason` says so.
            LedgerError: the ledger cannot be read or written.
            CampaignHaltedError: an error that every further call would have.
        """
        every = seconds("every", every, least=0.001, most=DAY)
        if until_settled is not None:
            until_settled = seconds("until_settled", until_settled)
        if self._client is None:
            raise ConfigurationError("client: a campaign without a client can be looked at, and not run")
        if not self.settings.from_:
            raise ConfigurationError("from_: expected at least one number to call from")
        if self.name in self._ledger.runs:
            raise ConfigurationError(f"the campaign {self.name!r} runs in this process already")
        self._ledger.runs.add(self.name)
        try:
            while True:
                try:
                    patience = {"patience": 0.0} if self._ledger.database.shared else {}
                    async with (
                        self._ledger.owning(self.name, **patience),
                        aclosing(self._shift(every, until_settled)) as steps,
                    ):
                        async for progress in steps:
                            yield progress
                    return  # noqa: TRY300 - an `else` would be far from here
                except (LedgerOwnedError, LedgerUnreachableError) as error:
                    if not self._ledger.database.shared:
                        raise
                    reason = f"standing by: {error}"
                    known = isinstance(error, LedgerOwnedError)
                yield await self._standing(reason, known=known)
                await anyio.sleep(min(every, _LOOK))
        finally:
            self._ledger.runs.discard(self.name)
            self._agents = 0

    async def _shift(self, every: float, until_settled: float | None) -> AsyncGenerator[Progress, None]:
        """Run as the owner, until the end or the loss of the ownership."""
        database = self._ledger.database
        while (left := database.quiet_in(self.name)) > 0 and database.owned(self.name):
            yield await self._standing(f"the calls of the owner before may be under way for {left:.0f} s more")
            await anyio.sleep(min(every, left))
        await self._ledger.write(lambda db: campaigns.bind(db, api_of(self._client)))
        await self._refresh()
        assert self._client is not None
        run = await Run.begin(
            ledger=self._ledger,
            client=self._client,
            row=self.row,
            settings=self.settings,
            clock=self._clock,
            until_settled=until_settled,
        )
        self._run, run.running.agents = run, self._agents
        if self._abandoned:
            run.running.abandon(self._abandoned)
            self._abandoned = 0
        try:
            async with aclosing(run.progress(every)) as steps:
                async for progress in steps:
                    yield progress
        finally:
            self._run = None

    async def _refresh(self) -> None:
        """Take over the settings of the ledger, which another process may have changed since it was opened."""
        self.row = await self._ledger.read(lambda db: campaigns.of(db, self.name))
        self.settings = settings_of.from_json(self.row.spec)

    async def _standing(self, reason: str, *, known: bool = True) -> Progress:
        """The progress while this process does not dial, for a reason; of the ledger, if it is `known` to be reachable."""
        try:
            progress = await self.progress() if known else None
        except LedgerError:
            progress = None
        if progress is None:
            progress = progress_of(self.name, self.row.state, None, {}, self._clock.now())
        return evolve(progress, reason=reason)

    async def dial(self, number: str) -> bool:
        """Dial a contact of a campaign of mode ``preview`` now, while it runs.

        Everything that holds for other calls holds for it: windows, caps, the do-not-call list, the limits.

        Args:
            number: of a contact that waits, in E.164.

        Returns:
            Whether a request for the call was sent. Otherwise the contact waits, or does not wait any more; see `progress`.

        Raises:
            InvalidParameterError: it is no number.
            ConfigurationError: the campaign does not run in this process.
        """
        found = _number(number)
        if self._run is None:
            raise ConfigurationError("dial: expected within `run`, which is not under way")
        return await self._run.dial(found)

    def agents(self, free: int) -> None:
        """Say how many agents are free now, in a campaign of mode ``power`` or ``predictive`` that runs in this process, or is about to."""
        if type(free) is not int or free < 0:
            raise InvalidParameterError("free", f"expected 0 or more, got {shown(free)}")
        self._agents = free
        if self._run is not None:
            self._run.running.agents = free
            self._run.running.dispatch_bell.ring()

    def on_abandoned(self, amount: int = 1) -> None:
        """Say that people answered and nobody was there, in a campaign that runs in this process. After a run the next one counts them."""
        if type(amount) is not int or amount < 1:
            raise InvalidParameterError("amount", f"expected 1 or more, got {shown(amount)}")
        if self._run is not None:
            self._run.running.abandon(amount)
        else:
            self._abandoned += amount

    async def event(self, event: Event) -> None:
        """Take an event of a webhook: ``router.on(CallCompleted)(campaign.event)``. It is durable when this returns.

        Any order, repetition or loss of events gives the same ledger after a sweep. Events of other calls are ignored.

        Raises:
            LedgerError: it could not be written; let the event be delivered again.
        """
        call = getattr(event, "data", None)
        if not isinstance(call, Call):
            return
        if not self.references.is_ours(call.metadata.get(CLIENT_REFERENCE)):
            return
        if self._run is not None:
            try:
                await self._run.running.record_calls([call], WEBHOOK)
            except LedgerOwnedError:
                if self._run is not None:
                    raise
            else:
                return
        # There is no run here, or it has ended meanwhile.
        await self._command("call", call=call.to_dict())

    # Commands

    async def pause(self, reason: str = "") -> None:
        """Send no call any more until `resume`. From any process; it has effect when this returns."""
        await self._command("pause", reason=storable(reason))

    async def resume(self) -> None:
        """Go on after `pause`, or after a limit of `Stop` was reached. From any process."""
        await self._command("resume")

    async def stop(self, reason: str = "") -> None:
        """End the campaign for good: contacts that wait are canceled. From any process; it has effect when this returns."""
        await self._command("stop", reason=storable(reason))

    async def do_not_call(self, *numbers: str, everywhere: bool = True, reason: str = "") -> None:
        """Never call numbers again. From any process; it has effect when this returns.

        The runs of other campaigns in the same PostgreSQL database are told as well, and stop calling the numbers when the notice
        reaches them, which takes some milliseconds.

        Args:
            *numbers: in E.164.
            everywhere: in all campaigns of the ledger; otherwise in this one.
            reason: kept with the numbers, for the evidence.

        Raises:
            InvalidParameterError: one is no number; nothing was changed.
        """
        found = [_number(number) for number in numbers]
        if found:
            await self._command("do_not_call", numbers=found, everywhere=bool(everywhere), reason=storable(reason))

    async def unknown(self) -> list[Doubt]:
        """The attempts in doubt, the oldest first."""
        found = await self._ledger.read(lambda db: looks.unknown(db, self.row.id))
        return [
            Doubt(
                f"+{one.number}",
                self.references.make(one.number, one.n),
                one.n,
                one.intent_at / 1000,
                one.looked,
                None if one.next_look is None else one.next_look / 1000,
                one.reason,
            )
            for one in found
        ]

    async def release(self, *doubts: Doubt | str, reason: str = "") -> None:
        """Say that the calls of attempts in doubt do not exist: their contacts may be called again. From any process.

        Args:
            *doubts: what `unknown` returned, or references.
            reason: kept in the journal.

        Raises:
            InvalidParameterError: one is no attempt in doubt of this campaign; nothing was changed.
        """
        await self._command("release", attempts=await self._attempts(doubts), reason=storable(reason))

    async def done(self, *doubts: Doubt | str, reason: str = "") -> None:
        """Say that the contacts of attempts in doubt are settled: they are not called again. Arguments are those of `release`."""
        await self._command("done", attempts=await self._attempts(doubts), reason=storable(reason))

    async def _attempts(self, doubts: Iterable[Doubt | str]) -> list[list[int]]:
        known = {one.reference: one for one in await self.unknown()}
        found = []
        for one in doubts:
            text = one.reference if isinstance(one, Doubt) else one
            if not isinstance(text, str) or text not in known:
                raise InvalidParameterError(
                    "doubts", f"expected references of attempts in doubt, as `unknown` lists them, got {shown(text)}"
                )
            found.append([int(known[text].number[1:]), known[text].attempt])
        return found

    async def _command(self, what: str, **detail: Any) -> None:
        now = milliseconds(self._clock.now())
        told = {"campaign": self.name, "who": _who(), **detail}
        if self._run is not None:
            await self._run.command(what, told)
            if what == "do_not_call":
                await self._tell_owners(told, now)
            return
        try:
            async with self._ledger.owning(self.name, patience=0.0):
                # What an owner who has died did not carry out comes first: the last command is the one that holds.
                posted = await self._ledger.read(lambda db: db.posted(commands.applied(db)))

                def work(db: Database) -> None:
                    campaigns.of(db, self.name)
                    if posted:
                        commands.apply(db, posted, rules_of_row, now)
                    commands.carry_out(db, what, told, rules_of_row, now)

                await self._ledger.write(work)
                if posted:
                    await self._ledger.read(lambda db: db.forget(posted[-1].id))
                await self._tell_owners(told, now)
        except LedgerOwnedError:
            id = await self._ledger.read(lambda db: db.post(what, json.dumps(told), now))
            await self._await_effect(id)

    async def _tell_owners(self, told: dict[str, Any], now: int) -> None:
        """Let owners of other campaigns look what has changed, and another object of this process that runs this one."""
        if self._ledger.database.shared or self._ledger.blocks > 1:
            await self._ledger.read(lambda db: db.post("look", json.dumps(told), now))

    async def _await_effect(self, command: int) -> None:
        """Wait until the owner has carried out a command, or cannot send any more. On SQLite a command has effect at once."""

        def until(db: Database) -> int:
            return min(commands.applied(db), commands.heard(db, self.row.id))

        with anyio.move_on_after(self._ledger.database.lease):
            # The owner is another process, which cannot set an event of this one.
            while self._ledger.database.shared and await self._ledger.read(until) < command:  # noqa: ASYNC110
                await anyio.sleep(_EFFECT)

    # Looking

    async def progress(self) -> Progress:
        """How the campaign stands, from the ledger."""

        def read(db: Database) -> tuple[CampaignRow | None, dict[str, int]]:
            return campaigns.find(db, self.name), counts.read(db, self.row.id)

        row, found = await self._ledger.read(read)
        row = row or self.row
        return progress_of(self.name, row.state, row.reason, found, self._clock.now())

    async def report(self) -> Any:
        """The report of the campaign: a row for each row that was loaded, counts and plots."""
        from ajoxi_async.dialer.reporting.report import Report

        return Report(self._ledger, self.row, self._clock.now)


_SETTINGS = frozenset(field.name for field in Settings.__attrs_attrs__ if field.init)


def _number(text: object) -> int:
    if not isinstance(text, str):
        raise InvalidParameterError("number", f"expected a number in E.164, got {type(text).__name__}")
    try:
        return parse_number(text)
    except NumberRefused as error:
        raise InvalidParameterError("number", str(error)) from None


def _who() -> str:
    """Who gives a command, for the journal."""
    try:
        return storable(getpass.getuser())
    except (KeyError, OSError):  # A container without an entry for its user.
        return "unknown"
