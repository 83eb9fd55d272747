"""A campaign: its public face. What it does is in `run`, `sweep` and `opening`."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Literal, Self

from ajoxi_async.contract.webhooks import Event
from ajoxi_async.dialer.client import DialerClient
from ajoxi_async.dialer.clock import Clock
from ajoxi_async.dialer.ledger import Ledger

__all__ = ["Campaign"]


class Campaign:
    """A campaign in a ledger. Made by `open`."""

    @classmethod
    async def open(
        cls,
        ledger: Ledger,
        client: DialerClient | None,
        name: str,
        *,
        from_: str | Sequence[str] | None = None,
        windows: Any = None,
        retry: Mapping[str, Any] | None = None,
        attempts: int | None = None,
        per_number_24h: int | None = None,
        per_number_30d: int | None = None,
        rate: float | None = None,
        concurrency: int | None = None,
        seats: int | None = None,
        ring_timeout: int | None = None,
        max_call: float | None = None,
        stop: Any = None,
        ai_receptionist: bool | None = None,
        record: bool | None = None,
        agent_id: str | None = None,
        mode: Literal["auto", "preview", "power", "predictive"] | None = None,
        engine: Literal["dialer", "api"] | None = None,
        unknown: Literal["hold", "release"] | None = None,
        settle: float | None = None,
        expires: datetime | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Open a campaign, or make it if the ledger has none of this name.

        Settings that are not given keep the values that the ledger has, or their defaults. It reads the ledger and sends nothing.
        `client` may be ``None`` for a campaign that is only looked at, paused or reported.
        """
        raise NotImplementedError

    async def load(
        self, rows: Iterable[Any] | AsyncIterable[Any], *, do_not_call: str | PathLike[str] | Iterable[str] = ()
    ) -> Any:
        """Load contacts."""
        raise NotImplementedError

    def run(self, *, every: float = 1.0, until_settled: float | None = 1860.0) -> AsyncIterator[Any]:
        """Dial, and yield the progress every so many seconds and at the end."""
        raise NotImplementedError

    async def pause(self, reason: str = "") -> None:
        """Send no call any more until `resume`. From any process."""

    async def resume(self) -> None:
        """Go on after `pause`. From any process."""

    async def stop(self, reason: str = "") -> None:
        """End the campaign for good: contacts that wait are canceled. From any process."""

    async def do_not_call(self, *numbers: str, everywhere: bool = True) -> None:
        """Never call numbers again. From any process."""

    async def unknown(self) -> list[Any]:
        """The attempts in doubt."""
        raise NotImplementedError

    async def progress(self) -> Any:
        """The counts of the campaign at this moment, read from the ledger."""
        raise NotImplementedError

    async def report(self) -> Any:
        """The report of the campaign."""
        raise NotImplementedError

    async def event(self, event: Event) -> None:
        """Take a webhook event: ``router.on(CallCompleted)(campaign.event)``. Any order and any repetition is right."""

    async def dial(self, number: str) -> Any:
        """Release one contact of a campaign of mode ``preview``."""
        raise NotImplementedError

    def agents(self, free: int) -> None:
        """Say how many agents are free now (modes ``power`` and ``predictive``)."""

    def on_abandoned(self, amount: int = 1) -> None:
        """Say that people answered and no agent was there."""
