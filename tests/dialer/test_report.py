"""The parts of a report that are pure: rows as cells, counts, the page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async.dialer.reporting.plots import bar, columns
from ajoxi_async.dialer.reporting.report_counts import OTHER_REASONS, Histogram, ReportCounts
from ajoxi_async.dialer.reporting.report_page import STATES, page
from ajoxi_async.dialer.reporting.report_rows import COLUMNS, ReportRow, cells


def row(**fields: object) -> ReportRow:
    return ReportRow(**{"load": 1, "source": "a.csv", "line": 2, "number": "+14155551234", "state": "waiting"} | fields)


ROWS = st.builds(
    ReportRow,
    load=st.just(1),
    source=st.just("a.csv"),
    line=st.integers(1, 10**7),
    number=st.text(max_size=20),
    state=st.sampled_from([*STATES, "a state of a later version"]),
    reason=st.text(max_size=20),
    attempts=st.integers(0, 5),
    disposition=st.sampled_from(["", "answered", "busy", "<script>"]),
    reference=st.text(max_size=10),
    placed_at=st.none() | st.floats(0, 4e9),
)


class Page(HTMLParser):
    """What a browser would make of a page: its tags in order of nesting, and its text."""

    VOID = {"meta"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inside: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.inside

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onload", "style"}
        if tag not in self.VOID and not self.get_starttag_text().endswith("/>"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"line", "rect"}:
            assert self.inside.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def made(counts: ReportCounts, **more: object) -> Page:
    return Page(page("autumn", counts, **{"loaded": counts.rows, "state": "running", "now": 1.8e9} | more))


@settings(deadline=None)
@given(st.lists(ROWS, max_size=30))
def test_the_page_adds_up_and_is_well_formed(rows: list[ReportRow]) -> None:
    """Whatever the rows contain: the states add up to the rows, every tag is closed, and no text becomes a tag."""
    counts = ReportCounts()
    for one in rows:
        counts.add(one)
    shown = made(counts)
    assert sum(counts.states.values()) == counts.rows == len(rows)
    assert sum(counts.reasons.values()) == sum(bool(one.reason) for one in rows if one.state != "duplicate")
    assert set(shown.tags) <= {
        *"html head meta title style body h1 h2 p table tr th td b small svg rect line text g div span code".split()
    }


def test_the_page_says_which_counts_do_not_add_up() -> None:
    """Counts that add up are said to; problems replace that sentence."""
    counts = ReportCounts()
    counts.add(row())
    assert "1 rows were loaded, and the rows of this report add up to them." in made(counts).text
    wrong = made(counts, problems=["2 rows were loaded, and the report has 1"]).text
    assert "2 rows were loaded, and the report has 1" in wrong
    assert "add up to them" not in wrong


def test_who_is_in_doubt_is_named() -> None:
    """The page lists who is in doubt with line, number and reference; beyond 200 it says how many more there are."""
    counts = ReportCounts()
    for line in range(1, 252):
        counts.add(row(line=line, state="unknown", reference=f"autumn.{line}.1", placed_at=1.8e9))
    text = made(counts).text
    assert "autumn.200.1" in text
    assert "autumn.201.1" not in text
    assert "And 51 more; the CSV file has them all." in text


def test_the_page_asks_for_nothing() -> None:
    """No address, no script, and a policy that forbids both."""
    counts = ReportCounts()
    counts.add(row(state="done", disposition="answered", placed_at=1.8e9, attempts=1))
    text = page("autumn", counts, loaded=1, state="done", now=1.8e9)
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|url\(|@import|<script|<link|<img", text)
    assert "prefers-color-scheme: dark" in text


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 4e9), st.sampled_from("ab")), max_size=200))
def test_a_histogram_loses_nothing(events: list[tuple[float, str]]) -> None:
    """However far apart: at most 96 intervals, without gaps, and every event in the interval of its time."""
    histogram = Histogram()
    for at, kind in events:
        histogram.add(at, kind)
    intervals = histogram.intervals()
    assert len(intervals) <= 96
    assert [start for start, _ in intervals] == [intervals[0][0] + n * histogram.width for n in range(len(intervals))]
    for kind in "ab":
        for start, counts in intervals:
            assert counts.get(kind, 0) == sum(start <= at < start + histogram.width for at, k in events if k == kind)


def test_many_reasons_are_counted_together() -> None:
    """Reasons that differ from row to row do not fill the memory: beyond forty they are counted as others."""
    counts = ReportCounts()
    for number in range(1000):
        counts.add(row(state="refused", reason=f"{number} is no number"))
    assert len(counts.reasons) == 41
    assert counts.reasons["refused", OTHER_REASONS] == 960


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("\n=1", "'\n=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\uff0d1", "'\uff0d1"),
        ("+14155551234", "+14155551234"),
        ("-5", "-5"),
        ("4.41E+11", "4.41E+11"),
        ("", ""),
    ],
    ids=str,
)
def test_cells_are_no_formulas(text: str, cell: str) -> None:
    """A spreadsheet shows what stood in a row, and does not calculate with it."""
    assert cells(row(number=text))[COLUMNS.index("number")] == cell


def test_cells() -> None:
    """The columns come in their order, times as RFC 3339 in UTC, and what is not there as nothing."""
    told = dict(zip(COLUMNS, cells(row(from_="+14155550100", placed_at=1798761600.25, attempts=2)), strict=True))
    assert told["from"] == "+14155550100"
    assert told["placed_at"] == "2027-01-01T00:00:00.250Z"
    assert (told["ended_at"], told["attempts"], told["line"]) == ("", "2", "2")


def test_bars_and_columns() -> None:
    """The largest bar fills its cell, a small one is seen, none is empty; columns have the heights of their counts."""
    assert 'width="100.00"' in bar(7, 7, "other")
    assert 'width="0.60"' in bar(1, 10**6, "other")
    assert 'width="0.00"' in bar(0, 7, "other")
    drawn = columns("t", [(0, {"answered": 4}), (60, {}), (120, {"other": 2})], ("answered", "other"), str)
    heights = re.findall(r'class="(\w+)" x="[\d.]+" y="[\d.]+" width="[\d.]+" height="([\d.]+)"', drawn)
    assert heights == [("answered", "184.00"), ("other", "92.00")]
    assert "<title>60: none</title>" in drawn


def test_a_row_hides_its_number() -> None:
    """A row's repr has no number, name or key."""
    shown = repr(row(number="+14155551234", key="Ada", reference="autumn.1.1"))
    assert shown == "ReportRow(line=2, state='waiting', attempts=0)"
