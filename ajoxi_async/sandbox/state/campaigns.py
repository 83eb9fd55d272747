"""Campaigns (API reference: Calls): many calls that ring one after another. When they ring: see `dialling`."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from ajoxi_async.contract.calls import CallStatus, Campaign, CampaignCreate, Disposition
from ajoxi_async.sandbox.state import calls, dialling, numbers
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.campaign_records import CampaignRecord, CampaignReport
from ajoxi_async.sandbox.state.magic_effects import require_reachable
from ajoxi_async.sandbox.state.steps import Steps, at_once
from ajoxi_async.sandbox.time.moments import at

__all__ = ["create", "create_in_steps", "keep", "report"]

#: How many calls are placed before other tasks may run.
_AT_ONCE = 50


def create(account: Account, params: CampaignCreate, now: float) -> Campaign:
    """Do at once what `create_in_steps` does."""
    return at_once(create_in_steps(account, params, now))


def create_in_steps(account: Account, params: CampaignCreate, now: float) -> Steps[Campaign]:
    """Queue one call for each contact, in steps. The mode of the campaign decides when they ring: see `dialling`.

    Raises:
        Refusal: `from_` is not an active number of the account, or a contact cannot be reached.
    """
    numbers.require_own(account, params.from_, "from")
    for contact in params.campaign.contacts:
        require_reachable(contact)
    yield
    campaign_id = account.mint("camp")
    call_ids: list[str] = []
    held = dialling.holds(account, params.campaign.mode)
    for number, contact in enumerate(params.campaign.contacts, 1):
        call = evolve(calls.outbound(account, contact, params, now), campaign_id=campaign_id)
        wait = None if held else number / account.timing.campaign_pace
        calls.place(account, call, now, record=bool(params.record), wait=wait)
        call_ids.append(call.id)
        if number % _AT_ONCE == 0:
            yield
    keep(
        account,
        CampaignRecord(
            id=campaign_id,
            name=params.campaign.name,
            mode=params.campaign.mode,
            created_at=now,
            call_ids=tuple(call_ids),
        ),
    )
    if held:
        dialling.hold(account, campaign_id, now)
    return Campaign(id=campaign_id, status="queued", calls_queued=len(call_ids))


def keep(account: Account, campaign: CampaignRecord) -> None:
    """Keep a campaign, new or changed."""
    account.campaigns[campaign.id] = campaign
    account.mark_changed("campaign", campaign.id)


def report(account: Account, campaign: CampaignRecord) -> CampaignReport:
    """The progress of a campaign, counted from its calls."""
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
    """How many calls of a campaign have each value of a filter, without values that no call has."""
    mine = ("campaign_id", campaign.id)
    counted = {str(value): account.calls.count(keys=[mine, (filter, str(value))]) for value in values}
    return {value: amount for value, amount in counted.items() if amount}
