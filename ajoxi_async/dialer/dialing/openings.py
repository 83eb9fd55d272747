"""The windows of a campaign by sets of zones, worked out once for each opening and not for each contact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, field

from ajoxi_async.dialer.rules.windows import Opening, Windows

__all__ = ["Openings"]


@define(eq=False)
class Openings:
    """The openings of sets of zones, by their ids in the ledger.

    Attributes:
        windows: of the campaign.
        ring: for how many seconds a phone may ring.
    """

    windows: Windows
    ring: float
    _names: dict[int, tuple[str, ...]] = field(factory=dict)
    _latest: dict[int, Opening | None] = field(factory=dict)

    def learn(self, names: Mapping[int, tuple[str, ...]]) -> None:
        """Take over the sets of zones of the ledger."""
        self._names.update(names)

    def names(self, zones: int) -> tuple[str, ...]:
        """The names of the zones of a set."""
        return self._names.get(zones, ())

    def _opening(self, zones: int, at: float) -> Opening | None:
        found = self._latest.get(zones)
        if found is None or not found.allows(at):
            # A set that is not known is taken for one whose zones are not known: only a window without limits is open then.
            found = self._latest[zones] = self.windows.opening(self._names.get(zones, ()), at, self.ring)
        return found

    def allows(self, zones: int, at: float) -> bool:
        """Whether a call may begin at a moment, in seconds since the epoch."""
        opening = self._opening(zones, at)
        return opening is not None and opening.allows(at)

    def open_at(self, zones: Iterable[int], at: float) -> list[int]:
        """The sets in which a call may begin at a moment."""
        return [one for one in zones if self.allows(one, at)]

    def next(self, zones: int, at: float) -> float | None:
        """The first moment from `at` on at which a call may begin; ``None`` if there is none."""
        opening = self.windows.opening(self._names.get(zones, ()), at, self.ring)
        return None if opening is None else max(at, opening.start)
