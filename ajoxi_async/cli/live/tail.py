"""``ajoxi transcripts tail``: what is said in calls, as it is said.

Rules:
1. On a terminal, final segments scroll, and what is being said is at the bottom, a line for each call. Elsewhere a line is written for
   each final segment. ``--format jsonl`` writes each segment, interims included.
2. A call that fails ends, and the others go on. The exit status is that of the first failure.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, Final

from attrs import define, field

from ajoxi_async.cli.interrupts import unless_interrupted
from ajoxi_async.cli.keys.choice import open_client
from ajoxi_async.cli.live.lines import Lines, Piece
from ajoxi_async.cli.live.resume_file import ResumeFile
from ajoxi_async.cli.output import check_open, warn
from ajoxi_async.cli.show.formats import json_line
from ajoxi_async.cli.status import UsageError, report, status_of
from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.contract.transcripts import Segment
from ajoxi_async.streaming.live_many import StreamItem

__all__ = ["Conversations", "run"]

_INTERRUPTED: Final = 130
_COLOURS: Final = {"customer": "cyan", "ai": "magenta", "agent": "green"}


def run(options: argparse.Namespace) -> int:
    """Follow calls until they end; return the exit status."""
    try:
        if options.timeout is not None:
            raise UsageError("--timeout: expected none, because a call takes as long as it takes")
        check_open()
        kept = ResumeFile(options.resume)
        client = open_client(options)
        return asyncio.run(unless_interrupted(_tail(client, options, kept), _INTERRUPTED))
    except AjoxiError as error:
        return report(error, {"id": "CALL", "ids": "CALL"})


async def _tail(client: AsyncAjoxi, options: argparse.Namespace, kept: ResumeFile) -> int:
    ids = list(dict.fromkeys(options.ids))
    as_json = options.format == "jsonl"
    with Lines(live=not as_json) as lines:
        shown = Conversations(lines, several=len(ids) > 1)
        interim = not options.no_interim and (as_json or lines.live)
        async with client, client.transcripts.stream_many(interim=interim, overflow="coalesce") as many:
            for id in ids:
                many.add(id, resume_from=kept.place(id))
            try:
                async for item in many:
                    if as_json:
                        json_line(_as_json(item))
                    else:
                        shown.item(item)
                    final = item.segment is None or item.segment.is_final
                    kept.reached(item.call_id, item.last_event_id, keep=final)
                    shown.count(item)
            finally:
                kept.save()
        return shown.status


def _as_json(item: StreamItem) -> dict[str, Any]:
    told: dict[str, Any] = {"call_id": item.call_id, "last_event_id": item.last_event_id}
    if item.segment is not None:
        return told | {"segment": item.segment.to_dict()}
    return told | {"done": True, "error": None if item.error is None else str(item.error)}


@define
class Conversations:
    """What is shown of the calls."""

    lines: Lines
    several: bool
    status: int = 0
    _spoken: dict[str, Segment] = field(factory=dict)
    _said: dict[str, set[int]] = field(factory=dict)

    def item(self, item: StreamItem) -> None:
        """Show one item."""
        segment = item.segment
        if segment is None:
            self._spoken.pop(item.call_id, None)
            if self.several and item.error is None:
                self.lines.line((item.call_id, "bold"), "  the call has ended")
        elif segment.is_final:
            if (spoken := self._spoken.get(item.call_id)) is not None and spoken.sequence <= segment.sequence:
                del self._spoken[item.call_id]
            self.lines.line(*self._pieces(item.call_id, segment, corrected=self._corrects(item.call_id, segment)))
        else:
            self._spoken[item.call_id] = segment
        self.lines.bottom([self._pieces(call, one) for call, one in self._spoken.items()])

    def count(self, item: StreamItem) -> None:
        """Say how a call has failed, if it has."""
        if item.error is None:
            return
        warn(f"{item.call_id}: {item.error}")
        if not self.status:
            self.status = status_of(item.error) if isinstance(item.error, AjoxiError) else 1

    def _corrects(self, call: str, segment: Segment) -> bool:
        """Whether a final segment replaces another one."""
        said = self._said.setdefault(call, set())
        corrects = segment.sequence in said
        said.add(segment.sequence)
        return corrects

    def _pieces(self, call: str, segment: Segment, *, corrected: bool = False) -> list[Piece]:
        speaker = str(segment.speaker or "?")
        colour = _COLOURS.get(speaker, "")
        said: Piece = segment.text if segment.is_final else (segment.text, "dim")
        named: list[Piece] = [(call, "bold"), "  "] if self.several else []
        return [*named, (f"{speaker}{' (corrected)' if corrected else ''}: ", colour), said]
