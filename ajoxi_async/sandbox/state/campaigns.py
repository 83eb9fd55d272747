"""Campaigns (API reference: Calls): many calls that ring one after another. When they ring: see `dialling`."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from ajoxi_async.contract.calls import CallStatus, Campaign, CampaignCreate, Disposition
from ajoxi_async.sandbox.state import calls, dialling, numbers
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.campaign_records import CampaignRecord, CampaignReport
from ajoxi_async.sandbox.state.magic_effects import require_reachable
from ajoxi_async.sandbox.time.moments import at

__all__ = ["create", "keep", "report"]


def create(account: Account, params: CampaignCreate, now: float) -> Campaign:
    """Queue one call for each contact; when they ring is up to the mode.

    Raises:
        Refusal: `from_` is not an active number of the account, or a contact cannot be reached.
    """
    numbers.require_own(account, params.from_, "from")
    for contact in params.campaign.contacts:
        require_reachable(contact)
    queued = [calls.outbound(account, contact, params, now) for contact in params.campaign.contacts]
    campaign_id = account.mint("camp")
    queued = [evolve(call, id=account.mint("call"), campaign_id=campaign_id) for call in queued]
    keep(
        account,
        CampaignRecord(
            id=campaign_id,
            name=params.campaign.name,
            mode=params.campaign.mode,
            created_at=now,
            call_ids=tuple(call.id for call in queued),
        ),
    )
    held = dialling.holds(account, params.campaign.mode)
    for number, call in enumerate(queued):
        calls.place(
            account,
            call,
            now,
            record=bool(params.record),
            wait=None if held else (number + 1) / account.timing.campaign_pace,
        )
    if held:
        dialling.hold(account, campaign_id, now)
    return Campaign(id=campaign_id, status="queued", calls_queued=len(queued))


def keep(account: Account, campaign: CampaignRecord) -> None:
    """Keep a campaign, new or changed."""
    account.campaigns[campaign.id] = campaign
    account.mark_changed("campaign", campaign.id)


def report(account: Account, campaign: CampaignRecord) -> CampaignReport:
    """How far a campaign is, counted from its calls."""
    by_status = _counts(account, campaign, "status", CallStatus)
    if by_status.get(CallStatus.COMPLETED, 0) == len(campaign.call_ids):
        status = "completed"
    else:
        status = "queued" if by_status.get(CallStatus.QUEUED, 0) == len(campaign.call_ids) else "running"
    return CampaignReport(
        id=campaign.id,
        name=campaign.name,
        mode=campaign.mode,
        created_at=at(campaign.created_at),
        status=status,
        calls=len(campaign.call_ids),
        held=dialling.held(account, campaign),
        abandoned=sum(id in account.abandoned for id in campaign.call_ids) if account.abandoned else 0,
        by_status=by_status,
        by_disposition=_counts(account, campaign, "disposition", Disposition),
    )


def _counts(account: Account, campaign: CampaignRecord, filter: str, values: Iterable[str]) -> dict[str, int]:
    """How many calls of a campaign have each value of a filter; only those values that there are."""
    mine = ("campaign_id", campaign.id)
    counted = {str(value): account.calls.count(keys=[mine, (filter, str(value))]) for value in values}
    return {value: amount for value, amount in counted.items() if amount}
