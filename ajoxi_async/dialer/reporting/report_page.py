"""The report of a campaign as one HTML page: counts, plots, and who is in doubt.

Rules:
1. The page is one file. It has no scripts and asks for nothing: its content security policy forbids it. It is light or dark as the
   reader's system is, and can be printed.
2. Every number that is plotted is also written.
3. Text that came from a file or the API is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from ajoxi_async.dialer.reporting.plots import bar, columns
from ajoxi_async.dialer.reporting.report_counts import ReportCounts
from ajoxi_async.dialer.reporting.report_rows import ReportRow

__all__ = ["page"]

#: What the states mean, in the order of a contact's life.
STATES: Final[Mapping[str, str]] = {
    "waiting": "not dialled yet, or to be dialled again",
    "dialing": "being dialled",
    "open": "dialled, and the call has not ended",
    "unknown": "in doubt: the call may or may not have been placed",
    "done": "reached, or ended in a way that is not tried again",
    "exhausted": "not reached in as many attempts as are allowed",
    "refused": "refused when it was loaded, or by the API",
    "suppressed": "do not call",
    "expired": "not dialled before its time was over",
    "canceled": "the campaign was stopped before",
    "duplicate": "the number is in an earlier row",
}

_STYLE: Final = """
:root { color-scheme: light dark; --page: #fcfcfb; --ink: #1a1a19; --quiet: #5c5c57; --line: #dededa;
  --answered: #2a78d6; --other: #a9b4bf; --unknown: #d9541e; --good: #19713a; }
@media (prefers-color-scheme: dark) { :root { --page: #1a1a19; --ink: #efeeea; --quiet: #a8a8a2; --line: #3a3a37;
  --answered: #4a92e8; --other: #66717c; --unknown: #f0763f; --good: #5fc487; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem; }
p { margin: .25rem 0; } .quiet { color: var(--quiet); }
.good { color: var(--good); } .bad { color: var(--unknown); font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
td, th { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } td.plot { width: 35%; }
small { display: inline-block; margin-left: .5rem; }
@media (max-width: 34rem) { small { display: block; margin: 0; } }
td.zero { color: var(--quiet); }
svg.bar { display: block; width: 100%; height: .7rem; } svg.columns { display: block; width: 100%; min-width: 34rem; }
svg text { font: 12px system-ui, sans-serif; fill: var(--quiet); } svg .grid { stroke: var(--line); }
.answered { fill: var(--answered); } .other { fill: var(--other); } .unknown { fill: var(--unknown); }
.key svg { width: .8rem; height: .8rem; display: inline; } .key { margin-right: 1.25rem; white-space: nowrap; }
code { font-size: .9em; overflow-wrap: anywhere; }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; } table { break-inside: avoid; } }
"""


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def _bars(what: str, counted: str, rows: Iterable[tuple[str, str, int, str]]) -> str:
    """A table whose rows are (name, what it means, count, kind of bar), with a bar and a share for each."""
    listed = list(rows)
    largest = max((count for _, _, count, _ in listed), default=0)
    whole = sum(count for _, _, count, _ in listed)
    lines = [f'<table><tr><th>{what}</th><th></th><th class="n">{counted}</th><th class="n">share</th></tr>']
    for name, meaning, count, kind in listed:
        zero = "" if count else " zero"
        meant = f' <small class="quiet">{escape(meaning)}</small>' if meaning else ""
        lines.append(
            f'<tr><td>{escape(name)}{meant}</td><td class="plot">{bar(count, largest, kind)}</td>'
            f'<td class="n{zero}">{count:,}</td><td class="n{zero}">{_share(count, whole)}</td></tr>'
        )
    lines.append(f'<tr><td><b>together</b></td><td></td><td class="n"><b>{whole:,}</b></td><td></td></tr></table>')
    return "".join(lines)


def _times(counts: ReportCounts) -> str:
    intervals, width = counts.calls.intervals(), counts.calls.width
    if not intervals:
        return ""
    form = "%H:%M:%S" if width < 60 else "%b %d %H:%M" if width < 86400 else "%Y-%m-%d"
    unit = next(
        f"{width // size} {name}" for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")) if width >= size
    )
    kinds = ("answered", "other", "unknown")
    drawn = columns(
        "Calls by the time of the last attempt",
        intervals,
        kinds,
        lambda start: datetime.fromtimestamp(start, UTC).strftime(form),
    )
    keys = "".join(
        f'<span class="key">{bar(1, 1, kind)} {word}</span>'
        for kind, word in zip(kinds, ("answered", "ended otherwise, or open", "in doubt"), strict=True)
    )
    return (
        f'<h2>When</h2><p class="quiet">The last attempt of each contact, by intervals of {unit}, UTC.</p>'
        f'<div class="wide">{drawn}</div><p>{keys}</p>'
    )


def _doubt(rows: Sequence[ReportRow], whole: int) -> str:
    if not whole:
        return ""
    lines = [
        "<h2>In doubt</h2><p>A request was sent, and nobody knows whether a call was placed. The API is asked for a day, and",
        " a call that is found is adopted. <code>ajoxi campaign unknown</code> lists them, and records what you found out.</p>",
        '<div class="wide"><table><tr><th class="n">line</th><th>number</th><th>reference</th><th>attempt made</th></tr>',
    ]
    for row in rows:
        at = "" if row.placed_at is None else _moment(row.placed_at)
        lines.append(
            f'<tr><td class="n">{row.line:,}</td><td>{escape(row.number)}</td><td><code>{escape(row.reference)}</code></td>'
            f"<td>{at}</td></tr>"
        )
    lines.append("</table></div>")
    if whole > len(rows):
        lines.append(f"<p>And {whole - len(rows):,} more; the CSV file has them all.</p>")
    return "".join(lines)


def _kind(state: str) -> str:
    return {"unknown": "unknown", "done": "answered"}.get(state, "other")


def page(name: str, counts: ReportCounts, *, loaded: int, state: str, now: float, problems: Sequence[str] = ()) -> str:
    """The page as text.

    Args:
        name: of the campaign.
        counts: of its rows.
        loaded: how many rows were loaded.
        state: of the campaign.
        now: when the report was made, in seconds since the epoch.
        problems: sentences that say which counts do not add up; none if all do.
    """
    if problems:
        sums = "".join(f'<p class="bad">{escape(problem)}</p>' for problem in problems)
    else:
        sums = f'<p class="good">{loaded:,} rows were loaded, and the rows of this report add up to them.</p>'
    named = [*STATES, *sorted(counts.states.keys() - STATES.keys())]
    states = [(one, STATES.get(one, ""), counts.states[one], _kind(one)) for one in named]
    dispositions = [
        (one, "", count, "answered" if one == "answered" else "other")
        for one, count in sorted(counts.dispositions.items(), key=lambda item: (-item[1], item[0]))
    ]
    attempts = [(str(number), "", count, "other") for number, count in sorted(counts.attempts.items())]
    reasons = [
        (one, reason, count, _kind(one))
        for (one, reason), count in sorted(counts.reasons.items(), key=lambda item: (-item[1], item[0]))
    ]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">',
        f"<title>{escape(name)}: campaign report</title><style>{_STYLE}</style></head><body>",
        f'<h1>{escape(name)}</h1><p class="quiet">Campaign {escape(state)}, report of {_moment(now)} UTC</p>{sums}',
        f"<h2>What became of the rows</h2>{_bars('state', 'rows', states)}",
        _times(counts),
    ]
    for title, what, counted, rows in (
        ("How the last call ended", "disposition", "contacts", dispositions),
        ("Attempts for each contact that was dialled", "attempts", "contacts", attempts),
        ("Reasons", "state", "rows", reasons),
    ):
        if rows:
            parts.append(f"<h2>{title}</h2>{_bars(what, counted, rows)}")
    parts.append(_doubt(counts.in_doubt, counts.states["unknown"]))
    parts.append("</body></html>\n")
    return "".join(parts)
