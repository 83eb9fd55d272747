"""Campaigns (API reference: Calls): many calls that ring one after another.

Rules:
1. Without agents a ``power`` or ``predictive`` campaign rings by itself, a call after the other at `Timing.campaign_pace`.
2. With agents it dials whenever one is free or a line ends, as many calls as its mode allows: see `pacing` and `agents`. Of
   several campaigns the oldest dials first.
3. A ``preview`` campaign rings when it is released, whether there are agents or not.
"""

from __future__ import annotations

from collections import Counter

from attrs import evolve

from ajoxi_async.contract.calls import CallStatus, Campaign, CampaignCreate
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.outcomes.pacing import lines
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import agents, calls, numbers
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.campaign_records import CampaignRecord, CampaignReport
from ajoxi_async.sandbox.state.magic_effects import require_reachable
from ajoxi_async.sandbox.time.moments import at

__all__ = ["create", "keep", "release", "report", "use_room"]


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
    held = params.campaign.mode == "preview" or account.settings.agents is not None
    for number, call in enumerate(queued):
        calls.place(
            account,
            call,
            now,
            record=bool(params.record),
            wait=None if held else (number + 1) / account.timing.campaign_pace,
        )
    if held:
        account.undialled[campaign_id] = 0
        account.mark_changed("undialled", campaign_id)
        account.later(now + 1 / account.timing.campaign_pace, "use_room")
    return Campaign(id=campaign_id, status="queued", calls_queued=len(queued))


def release(account: Account, id: str, amount: int | None, now: float) -> int:
    """Let calls of a preview campaign ring, at `Timing.campaign_pace`, the first at once; return how many.

    Args:
        account: whose campaign it is.
        id: of the campaign.
        amount: calls at most, from 1; ``None`` for all that are left.
        now: the present moment.

    Raises:
        InvalidParameterError: `amount` is no number of calls.
        Refusal: there is no such campaign, or it is of another mode, which nobody releases.
    """
    if amount is not None and (type(amount) is not int or amount < 1):
        raise InvalidParameterError("amount", f"expected 1 or more, or nothing for all calls, got {str(amount)[:40]!r}")
    campaign = account.campaigns.get(id)
    if campaign is None:
        raise Refusal("not_found", f"no campaign {id[:60]}")
    if campaign.mode != "preview":
        raise Refusal("invalid_state", f"a {campaign.mode} campaign rings by itself; one of mode preview is released")
    return len(_dial(account, campaign, amount, now, gap=1 / account.timing.campaign_pace))


def use_room(account: Account, now: float) -> None:
    """Let calls ring that wait for capacity, and campaigns dial that wait for agents."""
    calls.ring_waiting(account, now)
    settings = account.settings
    for id in list(account.undialled):
        campaign = account.campaigns[id]
        if campaign.mode == "preview":
            continue
        if settings.agents is None:
            _dial(account, campaign, None, now, gap=1 / account.timing.campaign_pace)
            continue
        room = lines(campaign.mode, max(0, agents.free(account)), settings) - len(account.lines)
        for call_id in _dial(account, campaign, max(0, room), now, gap=0.0):
            agents.dialled(account, call_id)


def _dial(account: Account, campaign: CampaignRecord, amount: int | None, now: float, *, gap: float) -> tuple[str, ...]:
    """Let the next calls of a campaign ring, `gap` seconds after each other; return their ids."""
    done = account.undialled.get(campaign.id, len(campaign.call_ids))
    ids = campaign.call_ids[done : None if amount is None else done + amount]
    for number, call_id in enumerate(ids):
        account.later(now + number * gap, "ring", call_id)
    if ids:
        account.undialled[campaign.id] = done + len(ids)
        if done + len(ids) == len(campaign.call_ids):
            del account.undialled[campaign.id]
        account.mark_changed("undialled", campaign.id)
    return ids


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
        held=len(campaign.call_ids) - account.undialled.get(campaign.id, len(campaign.call_ids)),
        abandoned=sum(id in account.abandoned for id in campaign.call_ids),
        by_status=dict(by_status),
        by_disposition=dict(Counter(str(call.disposition) for call in found if call.disposition is not None)),
    )
