"""Campaigns (API reference: Calls): many calls that ring one after another."""

from __future__ import annotations

from attrs import evolve

from ajoxi_async.contract.calls import Call, Campaign
from ajoxi_async.sandbox.state import calls
from ajoxi_async.sandbox.state.account import Account

__all__ = ["start"]


def start(account: Account, queued: list[Call], now: float, *, record: bool) -> Campaign:
    """Queue the calls of a campaign; they begin to ring at `Timing.campaign_pace`.

    Args:
        account: whose campaign it is.
        queued: one call for each contact; each gets a new id and the campaign's.
        now: the present moment.
        record: whether recording was asked for.
    """
    campaign_id = account.mint("camp")
    for number, call in enumerate(queued):
        calls.place(
            account,
            evolve(call, id=account.mint("call"), campaign_id=campaign_id),
            now,
            record=record,
            wait=(number + 1) / account.timing.campaign_pace,
        )
    return Campaign(id=campaign_id, status="queued", calls_queued=len(queued))
