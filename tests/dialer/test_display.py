"""How the command shows a campaign: lines of text, and when a line is printed where there is no terminal."""

from __future__ import annotations

from typing import Any

import pytest

from ajoxi_async.cli.campaign.display import Display, Wait, lines, opening_time, plain_line
from ajoxi_async.dialer.reporting.progress import Progress

NOW = 1_798_761_600.0  # 2027-01-01 00:00 UTC


def progress(**more: Any) -> Progress:
    contacts = dict.fromkeys(
        "waiting dialing open unknown done exhausted refused suppressed expired canceled".split(), 0
    ) | {"waiting": 61_220, "open": 396, "unknown": 2, "done": 100_000}
    counts = {"attempts": 214_880, "disposition.answered": 312, "disposition.no_answer": 380, "disposition.busy": 308}
    return Progress(
        **{"at": NOW, "name": "autumn", "state": "active", "contacts": contacts, "counts": counts, "rate": 98.6} | more
    )


WAITS = [Wait(NOW + 15 * 3600, "America/Denver", 12_340), Wait(NOW + 40 * 3600, "America/New_York", 7)]


def test_lines() -> None:
    """The lines say what was dialled, how far it is, who is in which state, how calls ended, and what it waits for."""
    assert lines(progress(), WAITS) == [
        "autumn  active  214,880 dialled  98.6/s",
        "100,000 of 161,618 ended  [##################            ]",
        "open 396  in doubt 2  waiting 61,220  done 100,000",
        "no answer 38.0 %  answered 31.2 %  busy 30.8 %",
        "waiting until 08:00 America/Denver: 12,340",
        "waiting until Sat 02 Jan 11:00 America/New_York: 7",
    ]


def test_a_plain_line() -> None:
    """Without a terminal the same is one line."""
    assert plain_line(progress(), WAITS[:1]) == (
        "214,880 dialled | 98.6/s | open 396  in doubt 2  waiting 61,220  done 100,000"
        " | waiting until 08:00 America/Denver: 12,340"
    )
    assert plain_line(progress(state="paused", reason="lunch")).startswith("paused | ")
    assert plain_line(progress(state="paused", reason="lunch")).endswith(" | lunch")


def test_an_empty_campaign() -> None:
    """A campaign without contacts is shown, too."""
    empty = progress(contacts=dict.fromkeys(progress().contacts, 0), counts={}, rate=0.0)
    assert lines(empty) == ["autumn  active  0 dialled  0.0/s", f"0 of 0 ended  [{'#' * 30}]"]


def test_text_from_outside_is_only_text() -> None:
    """A reason or a name with control characters does nothing to the terminal."""
    shown = "\n".join(lines(progress(reason="\x1b[2Jgone\r\n", name="a\x07b")))
    assert shown.replace("\n", "").isprintable()


def test_a_moment_without_a_zone() -> None:
    """Contacts whose zones are not known wait by UTC."""
    assert opening_time(NOW + 3600, "", NOW) == "01:00 UTC"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr("ajoxi_async.cli.campaign.display.say", told.append)
    return told


def test_lines_without_a_terminal_are_few(said: list[str]) -> None:
    """A line at the beginning, every ten seconds while something changes, when what is waited for changes, and at the end."""
    with Display() as display:
        for second in range(25):
            display.show(progress(at=NOW + second, rate=float(second)))
        assert len(said) == 3
        display.show(progress(at=NOW + 26), WAITS[:1])
        display.show(progress(at=NOW + 27), WAITS[:1])
        assert len(said) == 4
        for second in range(30, 90):
            display.show(progress(at=NOW + second), WAITS[:1])
        assert len(said) == 4
        display.show(progress(at=NOW + 91, over=True, rate=0.0), WAITS[:1])
        assert len(said) == 5
