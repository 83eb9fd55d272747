"""Campaigns (API reference: Calls): many calls that ring one after another."""

from __future__ import annotations

from attrs import evolve

from ajoxi_async.contract.calls import Campaign, CampaignCreate
from ajoxi_async.sandbox.state import calls, numbers
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.magic_effects import require_reachable

__all__ = ["create"]


def create(account: Account, params: CampaignCreate, now: float) -> Campaign:
    """Queue one call for each contact; they begin to ring one after another, at `Timing.campaign_pace`.

    Raises:
        Refusal: `from_` is not an active number of the account, or a contact cannot be reached.
    """
    numbers.require_own(account, params.from_, "from")
    for contact in params.campaign.contacts:
        require_reachable(contact)
    queued = [calls.outbound(account, contact, params, now) for contact in params.campaign.contacts]
    campaign_id = account.mint("camp")
    for number, call in enumerate(queued):
        calls.place(
            account,
            evolve(call, id=account.mint("call"), campaign_id=campaign_id),
            now,
            record=bool(params.record),
            wait=(number + 1) / account.timing.campaign_pace,
        )
    return Campaign(id=campaign_id, status="queued", calls_queued=len(queued))
