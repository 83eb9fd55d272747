"""Campaigns of the API, in chunks of contacts: ``engine="api"``.

Rules:
1. A chunk is sent within a window only that stays open until its last phone has stopped ringing, by a pace of one call a second unless
   `Settings.rate` says otherwise. A chunk that is on its way cannot be called back, neither by a pause nor by the do-not-call list.
2. The intents of a chunk are written in one transaction, and one request places them all: a lost answer puts the whole chunk in doubt.
3. All calls of a chunk carry its reference, ``campaign.chunk.moment``. A call belongs to the attempt of its number in a chunk.
4. A chunk that the API refuses is taken apart into halves, so that the contact at fault is found and the others are called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.headers import CLIENT_REFERENCE, MAX_PAGE
from ajoxi_async.dialer.client import Gate
from ajoxi_async.dialer.dialing.answers import Ending, ending_of
from ajoxi_async.dialer.dialing.running import Running
from ajoxi_async.dialer.rules.machine import Fact
from ajoxi_async.dialer.settings import Settings
from ajoxi_async.dialer.storage.statements import chunks
from ajoxi_async.dialer.storage.statements.claims import Claimed
from ajoxi_async.dialer.storage.statements.facts import ANSWER, Report
from ajoxi_async.dialer.storage.statements.looks import Look
from ajoxi_async.protocol.errors import AjoxiError

__all__ = ["Chunks", "ringing_time"]

#: Calls a second that a campaign of the API is assumed to begin.
_PACE: Final = 1.0
#: Pages of calls of one chunk that are read; a chunk has at most 10,000 contacts.
_PAGES: Final = 50


def ringing_time(settings: Settings) -> float:
    """For how many seconds phones may ring after a request was sent."""
    if settings.engine == "dialer":
        return float(settings.ring_timeout)
    return settings.ring_timeout + settings.chunk / (settings.rate or _PACE)


@define(eq=False)
class Chunks:
    """Sends chunks, and looks up their calls.

    Attributes:
        running: the run.
        size: how many contacts the next chunk may have.
        sent: how many chunks the run has made.
        away: whether a chunk is on its way.
    """

    running: Running
    size: int
    sent: int = 0
    away: bool = False

    async def send(self, chunk: int, reference: str, claimed: Sequence[Claimed], gate: Gate) -> Ending:
        """Send a chunk and write what became of it."""
        running, settings = self.running, self.running.settings
        try:
            made = await running.placer.calls.create_campaign(
                name=reference,
                mode=settings.mode if settings.mode in {"preview", "power", "predictive"} else "power",
                contacts=[f"+{one.number}" for one in claimed],
                from_=f"+{claimed[0].from_}",
                ai_receptionist=settings.ai_receptionist,
                record=settings.record,
                ring_timeout=settings.ring_timeout,
                metadata={CLIENT_REFERENCE: reference},
                agent_id=settings.agent_id,
                lane="bulk",
                gate=gate,
            )
        except AjoxiError as error:
            ending = ending_of(error)
            if ending.fact is Fact.REFUSED and len(claimed) > 1:
                self.size = (len(claimed) + 1) // 2
                ending = ending._replace(fact=Fact.UNSENT)
        else:
            self.size = settings.chunk
            noted = await running.write(lambda db, _: chunks.set_api_id(db, chunk, made.id))
            # A proxy may have kept the answer to an earlier request.
            ending = Ending(Fact.PLACED, "") if noted else Ending(Fact.DOUBTFUL, "the answer is no new campaign's")
        via = ANSWER if ending.fact is Fact.PLACED else None
        await running.record([Report(one.id, ending.fact, via=via, reason=ending.reason or None) for one in claimed])
        return ending

    async def calls_of(self, attempts: Sequence[Look]) -> dict[int, Call]:
        """The calls of attempts in chunks, by the ids of the attempts.

        Raises:
            AjoxiError: the list cannot be read.
        """
        running = self.running
        found: dict[int, Call] = {}
        for chunk in sorted({one.chunk for one in attempts if one.chunk is not None}):
            reference = await running.ledger.read(lambda db, chunk=chunk: chunks.reference(db, chunk))  # type: ignore[misc]
            wanted = {f"+{one.number}": one.id for one in attempts if one.chunk == chunk}
            others: list[Call] = []
            cursor: str | None = None
            for _ in range(_PAGES):
                page = await running.client.calls.list(
                    metadata={CLIENT_REFERENCE: reference}, limit=MAX_PAGE, cursor=cursor
                )
                for call in page.data:
                    if call.metadata.get(CLIENT_REFERENCE) != reference:
                        continue
                    if call.to in wanted:
                        found[wanted[call.to]] = call
                    else:
                        others.append(call)
                cursor = page.next_cursor
                if cursor is None:
                    break
            if others:
                await running.record_calls(others, via=2)
        return found
