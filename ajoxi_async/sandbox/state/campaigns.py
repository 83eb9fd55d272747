"""Campaigns (API reference: Calls): many calls that ring one after another."""

from __future__ import annotations

from collections import Counter

from attrs import evolve

from ajoxi_async.contract.calls import CallStatus, Campaign, CampaignCreate
from ajoxi_async.sandbox.state import calls, numbers
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.campaign_records import CampaignRecord, CampaignReport
from ajoxi_async.sandbox.state.magic_effects import require_reachable
from ajoxi_async.sandbox.state.steps import Steps, at_once
from ajoxi_async.sandbox.time.moments import at

__all__ = ["create", "create_in_steps", "keep", "report"]

#: Contacts whose calls are placed before others have their turn.
_AT_ONCE = 50


def create(account: Account, params: CampaignCreate, now: float) -> Campaign:
    """Do at once what `create_in_steps` does."""
    return at_once(create_in_steps(account, params, now))


def create_in_steps(account: Account, params: CampaignCreate, now: float) -> Steps[Campaign]:
    """Queue one call for each contact, in steps; they begin to ring one after another, at `Timing.campaign_pace`.

    Raises:
        Refusal: `from_` is not an active number of the account, or a contact cannot be reached.
    """
    numbers.require_own(account, params.from_, "from")
    for contact in params.campaign.contacts:
        require_reachable(contact)
    yield
    campaign_id = account.mint("camp")
    call_ids: list[str] = []
    for number, contact in enumerate(params.campaign.contacts, 1):
        call = evolve(calls.outbound(account, contact, params, now), campaign_id=campaign_id)
        calls.place(account, call, now, record=bool(params.record), wait=number / account.timing.campaign_pace)
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
    return Campaign(id=campaign_id, status="queued", calls_queued=len(call_ids))


def keep(account: Account, campaign: CampaignRecord) -> None:
    """Keep a campaign, new or changed."""
    account.campaigns[campaign.id] = campaign
    account.mark_changed("campaign", campaign.id)


def report(account: Account, campaign: CampaignRecord) -> CampaignReport:
    """How far a campaign is, counted from its calls."""
    found = [call for id in campaign.call_ids if (call := account.calls.get(id)) is not None]
    by_status = Counter(str(call.status) for call in found)
    if by_status[CallStatus.COMPLETED] == len(campaign.call_ids):
        status = "completed"
    else:
        status = "queued" if by_status[CallStatus.QUEUED] == len(campaign.call_ids) else "running"
    return CampaignReport(
        id=campaign.id,
        name=campaign.name,
        mode=campaign.mode,
        created_at=at(campaign.created_at),
        status=status,
        calls=len(campaign.call_ids),
        by_status=dict(by_status),
        by_disposition=dict(Counter(str(call.disposition) for call in found if call.disposition is not None)),
    )
