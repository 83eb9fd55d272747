"""Running a campaign from the command.

Rules:
1. Ctrl-C, SIGTERM, a terminal that is closed and output that cannot be written end a run in the same way: no further request is sent,
   and answers that are away are waited for. A second Ctrl-C ends the command at once; what is away then is in doubt, and the next run looks for it.
2. Where contacts wait for a window to open, it is said for how many and until when. To know it, the contacts that wait are counted,
   at most once a minute.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from typing import Final

from ajoxi_async.cli.campaign.display import Display, Wait, plain_line
from ajoxi_async.cli.interrupts import interrupts
from ajoxi_async.cli.output import say, warn
from ajoxi_async.dialer import Campaign, Ledger
from ajoxi_async.dialer.reporting.progress import Progress
from ajoxi_async.dialer.storage.statements.reporting import waiting_by_zones

__all__ = ["INTERRUPTED", "dial", "waits_of"]

#: The exit status after Ctrl-C, as shells show it.
INTERRUPTED: Final = 130
#: Seconds between two progresses, and between two counts of those who wait.
_EVERY: Final = 0.5
_COUNT: Final = 60.0


async def waits_of(ledger: Ledger, campaign: Campaign, now: float) -> list[Wait]:
    """How many contacts wait for a window to open, and until when, the earliest first."""
    windows, ring = campaign.settings.windows, campaign.settings.ring_timeout
    found: dict[float, Wait] = {}
    for zones, amount in (await ledger.read(lambda db: waiting_by_zones(db, campaign.row.id))).items():
        opening = windows.opening(zones, now, ring)
        if opening is not None and opening.start > now:
            # The zone in which it is earliest is the last to open.
            before = found.get(opening.start, Wait(opening.start, zones[-1] if zones else "", 0))
            found[opening.start] = Wait(before.until, before.zone, before.amount + amount)
    return [found[until] for until in sorted(found)]


class _Waits:
    """`waits_of` of a campaign that runs, not counted too often."""

    def __init__(self, ledger: Ledger, campaign: Campaign) -> None:
        self._ledger, self._campaign = ledger, campaign
        self._found: list[Wait] = []
        self._again = -math.inf

    async def now(self, progress: Progress) -> list[Wait]:
        """What contacts wait for, if nothing is dialled because of it."""
        if not any(one.why == "window" for one in progress.waiting):
            self._found, self._again = [], -math.inf
        elif progress.at >= self._again or (self._found and self._found[0].until <= progress.at):
            self._found = await waits_of(self._ledger, self._campaign, progress.at)
            self._again = progress.at + _COUNT
        return self._found


async def dial(ledger: Ledger, campaign: Campaign, *, until_settled: float) -> int:
    """Run a campaign to its end, or until it is interrupted; return the exit status.

    Raises:
        OutputError: standard output cannot be written. What was away is settled.
        AjoxiError: what `Campaign.run` raises.
    """
    waits = _Waits(ledger, campaign)
    limit: str | None = None

    async def follow(display: Display) -> None:
        nonlocal limit
        async with aclosing(campaign.run(every=_EVERY, until_settled=until_settled)) as steps:
            async for progress in steps:
                display.show(progress, await waits.now(progress))
                limit = progress.reason if progress.over and progress.contacts["waiting"] else None

    with Display() as display:
        running = asyncio.ensure_future(follow(display))
        with interrupts(hangup=True) as interrupt:
            interrupted = asyncio.ensure_future(interrupt.wait())
            await asyncio.wait({running, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            interrupted.cancel()
        # The signals have their usual effect from here on.
        if stopped := not running.done():
            try:
                display.note("Interrupted: no further call is placed, and answers that are away are awaited.")
            finally:
                running.cancel()
                await asyncio.wait({running})
    if not running.cancelled():
        running.result()
    progress = await campaign.progress()
    for line in _ending(progress, stopped=stopped):
        say(line)
    if not _adds_up(progress):
        warn("the counts of the ledger do not add up to the rows that were loaded; see `ajoxi campaign report`")
        return 1
    if limit is not None:
        warn(f"{progress.contacts['waiting']:,} contacts wait, and the run has ended: {limit}")
        return 1
    return INTERRUPTED if stopped else 0


def _adds_up(progress: Progress) -> bool:
    rejected = progress.counts.get("duplicate", 0) + progress.counts.get("refused row", 0)
    return progress.total + rejected == progress.counts.get("loaded", 0)


def _ending(progress: Progress, *, stopped: bool) -> list[str]:
    """What is said when a run has ended."""
    unknown, away = progress.contacts["unknown"], progress.contacts["open"]
    said = [
        f"Settled; the same command goes on. {plain_line(progress)}" if stopped else f"Ended. {plain_line(progress)}"
    ]
    if away:
        said.append(f"{away:,} calls have not ended yet; the next run sees how they end.")
    if unknown:
        said.append(
            f"{unknown:,} in doubt; `ajoxi campaign unknown` lists them, and the next run looks for them again."
        )
    return said
