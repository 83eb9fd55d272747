"""Lists that are read page by page while other things happen, compared with the model."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from attrs import define

from . import model
from .model import Row
from .side_by_side import SideBySide

STEP = timedelta(milliseconds=1)


def passed_filters(kind: str, row: Row) -> dict[str, str]:
    """Filters of a list that a row passes."""
    names = {
        "calls": ("status", "direction", "campaign_id"),
        "messages": ("direction", "channel", "conversation_id"),
        "recordings": ("agent_id",),
        "numbers": ("type", "country"),
        "available": ("type", "country"),
    }[kind]
    passed = {name: row[name] for name in names if row.get(name) is not None}
    if kind in {"numbers", "available"}:
        digits = row["phone_number"][1:]
        national = digits.removeprefix(model.COUNTRY_CODES[row["country"]])
        return passed | {
            "capability": row["capabilities"][-1], "area_code": national[: len(digits) % 4 + 1], "contains": digits[2:5]
        }  # fmt: skip
    if kind == "calls":
        passed |= {f"metadata[{name}]": value for name, value in row["metadata"].items()}
    if kind in {"calls", "recordings"}:
        passed |= {"created_after": row["created_at"], "created_before": just_after(row["created_at"])}
    return passed


def just_after(time: str) -> str:
    return (datetime.fromisoformat(time) + STEP).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@define
class Walk:
    """A list that is being read page by page."""

    kind: str
    filters: dict[str, str]
    limit: int
    cursor: str | None = None
    #: The place of the last row that was given, and the rows that were to come when it was.
    last: Any = None
    awaited: frozenset[str] = frozenset()


class Walks(SideBySide):
    """Reads lists page by page."""

    def next_page(self, walk: Walk) -> None:
        """The next page holds the next rows in order; what came meanwhile stands before the first page."""
        path = "/v1/numbers" if walk.kind in {"numbers", "available"} else f"/v1/{walk.kind}"
        query = walk.filters if walk.cursor is None else {**walk.filters, "cursor": walk.cursor}
        page = self.expect([], 200, self.ask("GET", path, limit=walk.limit, **query))
        rows = self.coming(walk)
        expected = [row for _, row in rows]
        for shown in page["data"]:
            # A row that matches the filters only since the page before may be left out, or be there.
            while expected and expected[0]["id"] != shown["id"] and self.optional(walk, expected[0]):
                expected.pop(0)
            assert expected, f"{shown} is no row that is to come"
            self.agree(shown, expected.pop(0))
        required = [row for row in expected if not self.optional(walk, row)]
        assert len(page["data"]) == walk.limit or not required
        assert page["next_cursor"] is not None or not required
        assert page["has_more"] == (page["next_cursor"] is not None)
        assert page["next_cursor"] is None or expected
        walk.cursor = page["next_cursor"]
        if page["data"]:
            walk.last = next(place for place, row in rows if row["id"] == page["data"][-1]["id"])
        walk.awaited = frozenset(str(row["id"]) for row in expected)

    @staticmethod
    def optional(walk: Walk, row: Row) -> bool:
        return walk.cursor is not None and row["id"] not in walk.awaited

    def coming(self, walk: Walk) -> list[tuple[Any, Row]]:
        """The rows after the last one that was given, each with its place."""
        if walk.kind == "available":
            places = {row["id"]: number for number, row in enumerate(self.model.offer)}
            rows = [(places[row["id"]], row) for row in self.model.available(**walk.filters)]
            return [one for one in rows if walk.last is None or one[0] > walk.last]
        found = [
            ((thing.ready, thing.ended, thing.order) if walk.kind == "recordings" else thing.place(), row)
            for thing, row in self.model.rows(walk.kind, **walk.filters)
        ]
        return [one for one in found if walk.last is None or one[0] < walk.last]
