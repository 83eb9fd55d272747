"""``ajoxi campaign``: dial a list of people.

Rules:
1. Settings are given at load and kept in the ledger; `run` needs the name only.
2. Whatever can be done without a key is done without one. Without a key, `run` says what is missing before it opens the ledger.
3. The exit status is 1 where the counts do not add up, and where something cannot be done; then standard error says why.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from ajoxi_async.cli.campaign.dial import dial, waits_of
from ajoxi_async.cli.campaign.display import lines, opening_time
from ajoxi_async.cli.campaign.forbidding import forbid, numbers_of
from ajoxi_async.cli.output import say, warn
from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.contract.errors import AjoxiError, InvalidParameterError
from ajoxi_async.dialer import Campaign, Ledger, Retry, Windows, from_csv
from ajoxi_async.dialer import settings as settings_of
from ajoxi_async.dialer.rules.forecast import forecast
from ajoxi_async.dialer.storage.statements import campaigns
from ajoxi_async.dialer.storage.statements.reporting import refused_reasons, waiting_by_zones
from ajoxi_async.protocol.errors import ConfigurationError

__all__ = ["run"]

#: Calls a second that the cap of a standard account allows, as measured.
_CAP: Final = 98.5
#: Most sets of zones that are listed on a terminal.
_LISTED: Final = 10

Options = argparse.Namespace


class _UsageError(AjoxiError):
    """The arguments cannot be right."""


def run(options: Options) -> int:
    """Run one of the commands; returns the exit status."""
    does: Mapping[str, Callable[[Options], Awaitable[int]]] = {
        "load": _load,
        "check": _check,
        "run": _dial,
        "status": _status,
        "pause": _pause,
        "resume": _resume,
        "stop": _stop,
        "do-not-call": _do_not_call,
        "unknown": _unknown,
        "report": _report,
    }

    async def carried_out() -> int:
        return await does[options.does](options)

    try:
        return asyncio.run(carried_out())
    except _UsageError as error:
        warn(str(error))
        return 2
    except InvalidParameterError as error:
        warn(f"{_typed(error.param, options)}: {error.why}")
        return 2
    except AjoxiError as error:
        warn(str(error))
        return 1


def _typed(param: str, options: Options) -> str:
    """A parameter as it is typed."""
    if param == "doubts":
        return "--release" if options.release else "--done"
    if options.does == "do-not-call":
        return {"number": "NUMBER", "do_not_call": "--file"}.get(param, param)
    typed = {"from_": "--from", "do_not_call": "--dnc", "path": "CSV", "rows": "CSV", "paths": "--csv, --html"}
    return typed.get(param) or f"--{param.partition('[')[0].replace('_', '-')}"


# Opening


def _has_key() -> bool:
    return bool(os.environ.get("AJOXI_API_KEY", "").strip())


def _ledger(options: Options) -> Ledger:
    try:
        return Ledger(options.ledger)
    except ConfigurationError as error:
        param, colon, why = error.message.partition(": ")
        if colon and param in {"path", "ledger"}:
            raise ConfigurationError(f"LEDGER: {why}") from None
        raise


@asynccontextmanager
async def _opened(
    options: Options, client: AsyncAjoxi | None = None, **settings: Any
) -> AsyncIterator[tuple[Ledger, Campaign]]:
    """The campaign that the options name. It has to exist."""
    async with _ledger(options) as ledger:
        if not await ledger.exists():
            raise _UsageError(f"LEDGER: {options.ledger} is no ledger yet; `ajoxi campaign load` makes one")
        names = await ledger.read(campaigns.names)
        name = options.name
        if name is None and len(names) == 1:
            name = names[0]
        if name not in names:
            raise _UsageError(f"--name: expected a campaign of this ledger: {', '.join(names) or 'it has none'}")
        yield ledger, await Campaign.open(ledger, client, name, **settings)


# Commands


async def _load(options: Options) -> int:
    async with AsyncExitStack() as stack:
        # A test key says that the campaign is a dry run, in which test numbers have time zones. Nothing is sent.
        client = await stack.enter_async_context(AsyncAjoxi(allow_live=True)) if _has_key() else None
        ledger = await stack.enter_async_context(_ledger(options))
        campaign = await Campaign.open(
            ledger,
            client,
            options.name,
            from_=options.from_,
            windows=None if options.windows is None else Windows.preset(options.windows),
            retry=None if options.retry is None else _retries(options.retry),
            attempts=options.attempts,
            unknown=options.unknown,
            ring_timeout=options.ring_timeout,
            ai_receptionist=options.ai_receptionist,
        )
        if not campaign.settings.from_:
            raise InvalidParameterError(
                "from_", "expected your numbers to call from, because the campaign has none yet"
            )
        rows = from_csv(options.csv, phone=options.phone, zone=options.zone, key=options.key, consent=options.consent)
        loaded = await campaign.load(rows, do_not_call=options.dnc or ())
        say(str(loaded))
        for one in loaded.first_refused:
            say(f"  line {one.line}: {one.reason}")
        if loaded.refused > len(loaded.first_refused):
            say(f"  and {loaded.refused - len(loaded.first_refused):,} more; the report has all of them")
        named = loaded.imported + loaded.duplicates + loaded.refused + loaded.do_not_call
        return 0 if named == loaded.rows else 1


def _retries(given: list[str]) -> dict[str, Retry]:
    retries = {}
    for text in given:
        outcome, equals, delays = text.partition("=")
        if not equals:
            raise InvalidParameterError("retry", f"expected OUTCOME=DELAY such as busy=10m,1h, got {text!r:.80}")
        retries[outcome] = Retry(*delays.split(","))
    return retries


async def _check(options: Options) -> int:
    async with _opened(options) as (ledger, campaign):
        settings = settings_of.changed(campaign.settings, {"rate": options.rate})
        contacts = await ledger.read(lambda db: waiting_by_zones(db, campaign.row.id))
        now = time.time()

        def opening(zones: tuple[str, ...], at: float) -> tuple[float, float] | None:
            found = settings.windows.opening(zones, at, settings.ring_timeout)
            return None if found is None else (found.start, found.latest)

        rate = min(settings.rate or _CAP, _CAP)
        found = forecast(contacts, opening, now, rate)
        say(f"{sum(contacts.values()):,} contacts wait. Nothing was sent.")
        if found.first is not None and found.last is not None:
            say(f"  first call  {_utc(found.first)}")
            say(f"  first hour  {found.first_hour:,} calls")
            say(f"  last call   {_utc(found.last)}, at {rate:g} calls a second and one attempt for each contact")
        for until, zones, amount in found.waiting[:_LISTED]:
            say(f"  waiting until {opening_time(until, zones[0] if zones else '', now)}: {amount:,}")
        if len(found.waiting) > _LISTED:
            say(f"  and {len(found.waiting) - _LISTED:,} more sets of time zones")
        for zones, amount in list(found.never.items())[:_LISTED]:
            say(f"  never: {amount:,}, {_why_never(zones)}")
        for reason, amount, line in await ledger.read(lambda db: refused_reasons(db, campaign.row.id, _LISTED)):
            say(f"  never: {amount:,}, refused when loaded, the first in line {line:,}: {reason}")
        return 0


def _why_never(zones: tuple[str, ...]) -> str:
    if not zones:
        return "their time zone is not known: give a zone column"
    named = ", ".join(zones[:3]) + (f" and {len(zones) - 3} more" if len(zones) > 3 else "")
    return f"no minute is inside the window in all of {named}: give a zone column"


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


async def _dial(options: Options) -> int:
    if not _has_key():
        raise ConfigurationError(
            "AJOXI_API_KEY: expected your key in the environment. For a dry run, start `ajoxi sandbox`, and use the key and, as"
            " AJOXI_BASE_URL, the address that it prints"
        )
    async with (
        AsyncAjoxi(allow_live=options.allow_live) as client,
        _opened(options, client, rate=options.rate, concurrency=options.concurrency) as (ledger, campaign),
    ):
        return await dial(ledger, campaign, until_settled=options.until_settled)


async def _status(options: Options) -> int:
    async with _opened(options) as (ledger, campaign):
        progress = await campaign.progress()
        for line in lines(progress, await waits_of(ledger, campaign, progress.at)):
            say(line)
        return 0


async def _pause(options: Options) -> int:
    async with _opened(options) as (_, campaign):
        await _check_stopped(campaign)
        await campaign.pause(options.reason)
        say(f"{campaign.name} is paused. `ajoxi campaign resume` lets it go on.")
        return 0


async def _resume(options: Options) -> int:
    async with _opened(options) as (_, campaign):
        await _check_stopped(campaign)
        await campaign.resume()
        say(f"{campaign.name} goes on, as soon as `ajoxi campaign run` runs.")
        return 0


async def _check_stopped(campaign: Campaign) -> None:
    if (await campaign.progress()).state == "stopped":
        raise ConfigurationError(f"{campaign.name} is stopped for good: no further call is placed, and it cannot go on")


async def _stop(options: Options) -> int:
    async with _opened(options) as (_, campaign):
        await campaign.stop(options.reason)
        progress = await campaign.progress()
        say(f"{campaign.name} is stopped for good: no further call is placed.")
        if waiting := progress.contacts["waiting"]:
            say(f"{waiting:,} wait, and are canceled by the process that runs it, or by the next `ajoxi campaign run`.")
        return 0


async def _do_not_call(options: Options) -> int:
    listed = [] if options.file is None else await asyncio.to_thread(numbers_of, options.file)
    if not (options.numbers or listed):
        raise _UsageError("do-not-call: expected NUMBER, --file FILE, or both")
    async with _opened(options) as (_, campaign):
        # Those that were typed come first: a wrong one among them is found before anything is changed.
        numbers = [*options.numbers, *listed]
        amount = await forbid(campaign, numbers, everywhere=not options.here, reason=options.reason)
        where = "in this campaign" if options.here else "in any campaign of this ledger"
        say(f"{amount:,} {'number is' if amount == 1 else 'numbers are'} never called again {where}.")
        return 0


async def _unknown(options: Options) -> int:
    async with _opened(options) as (_, campaign):
        if options.release:
            await campaign.release(*options.release)
            say(f"{len(options.release):,} released: they may be called again.")
        elif options.done:
            await campaign.done(*options.done)
            say(f"{len(options.done):,} done: they are not called again.")
        else:
            doubts = await campaign.unknown()
            for one in doubts:
                say(
                    f"{one.number}  {one.reference}  {_utc(one.since)}  looked for {one.looked} times  {one.reason or ''}".rstrip()
                )
            say(f"{len(doubts):,} in doubt.")
        return 0


async def _report(options: Options) -> int:
    if not options.csv and not options.html:
        raise _UsageError("report: expected --csv FILE, --html FILE, or both")
    async with _opened(options) as (_, campaign):
        report = await campaign.report()
        summary = await report.write(
            csv=[options.csv] if options.csv else [], html=[options.html] if options.html else []
        )
    shown = "  ".join(f"{state} {amount:,}" for state, amount in sorted(summary.states.items()))
    say(f"{summary.rows:,} rows for {summary.loaded:,} that were loaded: {shown or 'none'}")
    for problem in summary.problems:
        warn(problem)
    return 0 if summary.adds_up else 1
