"""How a campaign is shown: as lines of text, live on a terminal.

Rules:
1. On a terminal with rich installed the lines are replaced as they change. Elsewhere (a pipe, a file, a dumb terminal) a line is printed
   when the run begins and ends, when what it waits for changes, and every ten seconds while something changes.
2. A line is never longer than the terminal: what does not fit is cut off, the least important at the end.
3. Text from a file or the API has no effect on the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from attrs import frozen

from ajoxi_async.cli.output import say
from ajoxi_async.cli.show.live import open_live, output_errors
from ajoxi_async.dialer.reporting.progress import Progress

__all__ = ["Display", "Wait", "lines", "opening_time", "plain_line"]

#: Seconds between two lines of plain output.
_EVERY: Final = 10.0
_BAR: Final = 30
#: States in the order in which they are shown, and the words for them.
_SHOWN: Final = {
    "open": "open",
    "dialing": "dialing",
    "unknown": "in doubt",
    "waiting": "waiting",
    "done": "done",
    "exhausted": "not reached",
    "refused": "refused",
    "suppressed": "do not call",
    "expired": "expired",
    "canceled": "canceled",
}


@frozen
class Wait:
    """Contacts that wait for a window to open.

    Attributes:
        until: the moment, in seconds since the epoch.
        zone: the zone whose clock is shown.
        amount: how many contacts.
    """

    until: float
    zone: str
    amount: int


def opening_time(until: float, zone: str, now: float) -> str:
    """A moment on the clock of a zone, such as ``08:00 America/Denver``, with the date if it is not within 24 hours."""
    at = datetime.fromtimestamp(until, ZoneInfo(zone) if zone else UTC)
    form = "%H:%M" if until - now < 86400 else "%a %d %b %H:%M"
    return f"{at.strftime(form)} {zone or 'UTC'}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def _states(progress: Progress) -> str:
    shown = [f"{word} {progress.contacts[state]:,}" for state, word in _SHOWN.items() if progress.contacts.get(state)]
    return "  ".join(shown)


def _dispositions(progress: Progress) -> str:
    ends = {
        what.partition(".")[2]: amount
        for what, amount in progress.counts.items()
        if what.startswith("disposition.") and amount
    }
    whole = sum(ends.values())
    listed = sorted(ends.items(), key=lambda item: (-item[1], item[0]))
    return "  ".join(f"{name.replace('_', ' ')} {_percent(amount, whole)}" for name, amount in listed)


def _waits(progress: Progress, waits: Sequence[Wait]) -> list[str]:
    return [f"waiting until {opening_time(one.until, one.zone, progress.at)}: {one.amount:,}" for one in waits[:3]]


def lines(progress: Progress, waits: Sequence[Wait] = ()) -> list[str]:
    """The state of a campaign as a few lines, the most important first.

    Args:
        progress: of the campaign.
        waits: what contacts wait for, the earliest first.
    """
    share = progress.ended / progress.total if progress.total else 1.0
    bar = "#" * int(share * _BAR)
    told = [
        f"{progress.name}  {progress.state}  {progress.attempts:,} dialled  {progress.rate:.1f}/s",
        f"{progress.ended:,} of {progress.total:,} ended  [{bar:<{_BAR}}]",
        _states(progress),
        _dispositions(progress),
        *_waits(progress, waits),
        progress.reason or "",
    ]
    return [_printable(line) for line in told if line]


def plain_line(progress: Progress, waits: Sequence[Wait] = ()) -> str:
    """The same in one line."""
    parts = [f"{progress.attempts:,} dialled", f"{progress.rate:.1f}/s", _states(progress), *_waits(progress, waits)]
    if progress.state != "active":
        parts.insert(0, progress.state)
    if progress.reason:
        parts.append(progress.reason)
    return _printable(" | ".join(part for part in parts if part))


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)


class Display:
    """Shows progress while a campaign runs. Use it within ``with``.

    Raises:
        OutputError: standard output cannot be written.
    """

    def __init__(self) -> None:
        self._live: Any = None
        self._said_at = float("-inf")
        self._said = ""
        self._waited: object = ()

    def __enter__(self) -> Self:
        if sys.stdout is not None and sys.stdout.isatty():
            self._live = open_live()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            with output_errors():
                self._live.stop()

    def show(self, progress: Progress, waits: Sequence[Wait] = ()) -> None:
        """Show how the campaign stands."""
        if self._live is not None:
            from rich.text import Text

            with output_errors():
                self._live.update(
                    Text("\n".join(lines(progress, waits)), no_wrap=True, overflow="ellipsis"), refresh=True
                )
            return
        waited = (progress.state, progress.reason, [(one.until, one.zone) for one in waits])
        line = plain_line(progress, waits)
        late = progress.at >= self._said_at + _EVERY and line != self._said
        if late or waited != self._waited or (progress.over and line != self._said):
            say(line)
            self._said_at, self._said, self._waited = progress.at, line, waited

    def note(self, text: str) -> None:
        """Say something between."""
        if self._live is None:
            say(text)
        else:
            with output_errors():
                self._live.console.print(text, markup=False, highlight=False)
