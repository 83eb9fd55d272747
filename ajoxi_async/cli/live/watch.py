"""``ajoxi calls watch``: calls and how they change.

Rules:
1. Every few seconds the newest calls are listed, in one request. A call that is open and no longer among them is retrieved.
2. A line is written for each change. On a terminal the open calls are at the bottom.
3. With ids it ends when these calls have ended. Without, it goes on until it is interrupted.
4. While no answer comes, or the API fails, it tries again.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from attrs import define, field

from ajoxi_async.cli.interrupts import unless_interrupted
from ajoxi_async.cli.keys.choice import open_client
from ajoxi_async.cli.live.lines import Lines, Piece
from ajoxi_async.cli.output import check_open, warn
from ajoxi_async.cli.show.formats import json_line
from ajoxi_async.cli.status import UsageError, report
from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.contract.calls import Call, CallStatus
from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.contract.headers import MAX_PAGE
from ajoxi_async.protocol.errors import APIConnectionError, InternalServerError, RateLimitError

__all__ = ["run"]

_INTERRUPTED: Final = 130
#: Most calls that are retrieved one by one at a time, and that are shown at the bottom.
_RETRIEVED: Final = 50
_SHOWN: Final = 15
#: Shortest time between two requests, in seconds.
_SHORTEST: Final = 0.1
_COLOURS: Final = {"queued": "dim", "ringing": "yellow", "answered": "green", "completed": ""}


def run(options: argparse.Namespace) -> int:
    """Watch calls; return the exit status."""
    try:
        if not _SHORTEST <= options.every <= 3600:
            raise UsageError(f"--every: expected {_SHORTEST:g} to 3600 seconds")
        if options.ids and (options.campaign_id or options.direction):
            raise UsageError("CALL: expected either ids, or --campaign-id and --direction")
        check_open()
        client = open_client(options)
        # Without ids there is no other end than Ctrl-C.
        return asyncio.run(unless_interrupted(_watch(client, options), _INTERRUPTED if options.ids else 0))
    except AjoxiError as error:
        return report(error, {"id": "CALL"})


async def _watch(client: AsyncAjoxi, options: argparse.Namespace) -> int:
    as_json = options.format == "jsonl"
    with Lines(live=not as_json) as lines:
        board = _Board(lines, as_json=as_json, wanted=frozenset(options.ids))
        async with client:
            while True:
                try:
                    board.update([call async for call in _looked_at(client, options, board)])
                except (APIConnectionError, InternalServerError, RateLimitError) as error:
                    warn(f"{error}; trying again")
                if board.over:
                    return 0
                await asyncio.sleep(options.every)


async def _looked_at(client: AsyncAjoxi, options: argparse.Namespace, board: _Board) -> Any:
    call_options = {} if options.timeout is None else {"timeout": options.timeout}
    listed = set[str]()
    if not options.ids:
        page = await client.calls.list(
            campaign_id=options.campaign_id, direction=options.direction, limit=MAX_PAGE, **call_options
        )
        # The oldest first, as they happened.
        for call in reversed(page.data):
            listed.add(call.id)
            yield call
    for id in [id for id in board.open_ids if id not in listed][:_RETRIEVED]:
        yield await client.calls.retrieve(id, **call_options)


@define
class _Board:
    """The calls that are known, and what is written about them."""

    lines: Lines
    as_json: bool
    wanted: frozenset[str]
    _open: dict[str, Call] = field(factory=dict)
    _seen: set[str] = field(factory=set)
    _begun: bool = False

    @property
    def open_ids(self) -> list[str]:
        """The calls that have not ended."""
        return [*self._open, *(id for id in sorted(self.wanted) if id not in self._seen)]

    @property
    def over(self) -> bool:
        """Whether nothing more can come."""
        return bool(self.wanted) and not self.open_ids

    def update(self, calls: Iterable[Call]) -> None:
        """Take what was answered, and write what has changed."""
        for call in calls:
            before = self._open.get(call.id)
            ended = call.status == CallStatus.COMPLETED
            # Calls that had ended before it began are no news, unless they were asked for.
            news = call.id not in self._seen and (not ended or self._begun or call.id in self.wanted)
            if news or (before is not None and before.status != call.status):
                self._write(call, before)
            self._seen.add(call.id)
            if ended:
                self._open.pop(call.id, None)
            else:
                self._open[call.id] = call
        self._begun = True
        shown: list[list[Piece]] = [[(f"{len(self._open):,} open", "dim")]]
        shown += [self._pieces(call) for call in list(self._open.values())[-_SHOWN:]]
        if len(self._open) > _SHOWN:
            shown.append([f"and {len(self._open) - _SHOWN:,} more"])
        self.lines.bottom(shown)

    def _write(self, call: Call, before: Call | None) -> None:
        if self.as_json:
            json_line(call.to_dict())
            return
        was = "" if before is None else f"{before.status} -> "
        self.lines.line(f"{datetime.now(UTC):%H:%M:%S}Z  ", *self._pieces(call, was))

    def _pieces(self, call: Call, was: str = "") -> list[Piece]:
        status = str(call.status or "?")
        end = f"  {call.disposition}" if call.disposition else ""
        end += f"  {call.duration} s" if call.duration is not None else ""
        numbers = f"  {call.from_ or '?'} -> {call.to or '?'}"
        return [(call.id, "bold"), f"  {was}", (status, _COLOURS.get(status, "")), numbers, end]
