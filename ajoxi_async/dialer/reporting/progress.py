"""How a campaign stands at a moment: counts that add up, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from attrs import field, frozen

from ajoxi_async.dialer.rules.machine import ENDS, CampaignState, ContactState

__all__ = ["Progress", "Waiting", "progress_of"]


@frozen
class Waiting:
    """Contacts that wait for a moment.

    Attributes:
        until: the moment, in seconds since the epoch.
        why: ``due`` if a retry is not due yet, ``window`` if it is no time to call.
        zones: the zones whose window is closed; empty for ``due``.
    """

    until: float
    why: str
    zones: tuple[str, ...] = ()


@frozen(kw_only=True)
class Progress:
    """How a campaign stands.

    Attributes:
        at: the moment, in seconds since the epoch by the campaign's clock.
        name: of the campaign.
        state: ``active``, ``paused`` or ``stopped``.
        reason: why it is paused or stopped, if that was said; or why it does not dial at the moment.
        contacts: how many contacts are in each state, by its name; all ten are there.
        counts: all other counts: ``attempts``, ``incident``, ``disposition.answered`` and so on.
        rate: calls placed a second since the progress before.
        waiting: what the contacts that wait are waiting for, the earliest moment first, as far as it was looked for.
        over: whether the run has ended.
    """

    at: float
    name: str
    state: str
    reason: str | None = None
    contacts: Mapping[str, int] = field(factory=dict)
    counts: Mapping[str, int] = field(factory=dict)
    rate: float = 0.0
    waiting: tuple[Waiting, ...] = ()
    over: bool = False

    @property
    def total(self) -> int:
        """How many contacts the campaign has."""
        return sum(self.contacts.values())

    @property
    def ended(self) -> int:
        """How many contacts are in a state in which nothing more happens."""
        return sum(self.contacts[state.word] for state in ENDS)

    @property
    def attempts(self) -> int:
        """How many attempts there were that were not proven unsent."""
        return self.counts.get("attempts", 0)

    def line(self) -> str:
        """One line of text."""
        shown = [f"{word} {amount:,}" for word, amount in self.contacts.items() if amount]
        parts = [f"{self.name}: {self.ended:,}/{self.total:,}", " ".join(shown), f"{self.rate:.1f}/s"]
        if self.state != CampaignState.ACTIVE.name.lower() or self.reason:
            parts.append(f"{self.state}: {self.reason}" if self.reason else self.state)
        elif self.waiting:
            first = self.waiting[0]
            zone = f" {first.zones[0]}" if first.zones else ""
            parts.append(
                f"waiting until {datetime.fromtimestamp(first.until, UTC):%Y-%m-%d %H:%M} UTC ({first.why}{zone})"
            )
        return " | ".join(part for part in parts if part)


def progress_of(
    name: str,
    state: int,
    reason: str | None,
    counts: Mapping[str, int],
    at: float,
    *,
    rate: float = 0.0,
    waiting: tuple[Waiting, ...] = (),
    over: bool = False,
) -> Progress:
    """The progress from the counts of the ledger."""
    words = [contact.word for contact in ContactState]
    return Progress(
        at=at,
        name=name,
        state=CampaignState(state).name.lower(),
        reason=reason,
        contacts={word: counts.get(word, 0) for word in words},
        counts={what: amount for what, amount in sorted(counts.items()) if what not in words},
        rate=rate,
        waiting=waiting,
        over=over,
    )
