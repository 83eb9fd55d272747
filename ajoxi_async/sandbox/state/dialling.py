"""When the calls of a campaign ring (API reference: Outbound Dialer modes).

Rules:
1. Without agents, the calls of a ``power`` or ``predictive`` campaign ring by themselves, one after another at
   `Timing.campaign_pace`: each call has its timer from the start.
2. With agents, the campaign is held. Whenever an agent or a line becomes free, it dials as many calls as its mode allows: see
   `pacing` and `agents`. The oldest campaign dials first.
3. A ``preview`` campaign is held until its calls are released, with and without agents. Released calls ring one after another,
   at the same pace.
4. `Account.progress` counts how many calls of a held campaign are released, and how many of these rang. The entry is removed
   once all calls rang.
"""

from __future__ import annotations

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.outcomes.pacing import lines
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import agents, calls
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.campaign_records import CampaignRecord, Progress

__all__ = ["dial_next", "held", "hold", "holds", "release", "use_room"]


def holds(account: Account, mode: str) -> bool:
    """Whether a campaign of this mode is held if it is created now."""
    return mode == "preview" or account.settings.agents is not None


def hold(account: Account, campaign_id: str, now: float) -> None:
    """Hold a campaign whose calls were just queued. It dials first when the first call of an unheld campaign would ring."""
    _set(account, campaign_id, Progress(0, 0))
    account.later(now + _gap(account), "use_room")


def held(account: Account, campaign: CampaignRecord) -> int:
    """How many calls of a campaign are held."""
    progress = account.progress.get(campaign.id)
    return len(campaign.call_ids) - progress.released if progress is not None else 0


def release(account: Account, id: str, amount: int | None, now: float) -> int:
    """Let calls of a preview campaign ring, at `Timing.campaign_pace`, the first at once; return how many.

    Args:
        account: the account of the campaign.
        id: the id of the campaign.
        amount: how many calls at most, from 1; ``None`` for all that are left.
        now: the present moment.

    Raises:
        InvalidParameterError: `amount` is no number of calls.
        Refusal: there is no such campaign, or it is not of mode ``preview``.
    """
    if amount is not None and (type(amount) is not int or amount < 1):
        raise InvalidParameterError("amount", f"expected 1 or more, or nothing for all calls, got {str(amount)[:40]!r}")
    campaign = account.campaigns.get(id)
    if campaign is None:
        raise Refusal("not_found", f"no campaign {id[:60]}")
    if campaign.mode != "preview":
        raise Refusal("invalid_state", f"a {campaign.mode} campaign rings by itself; one of mode preview is released")
    return _release(account, campaign, held(account, campaign) if amount is None else amount, now)


def dial_next(account: Account, campaign_id: str, now: float) -> None:
    """Let the next released call of a campaign ring; a timer is set for the one after it."""
    rung, released = account.progress[campaign_id]
    _ring(account, account.campaigns[campaign_id], rung, released, now)
    if rung + 1 < released:
        account.later(now + _gap(account), "dial_next", campaign_id)


def use_room(account: Account, now: float) -> None:
    """Let calls that wait for capacity ring, and let campaigns that wait for agents dial."""
    calls.ring_waiting(account, now)
    for id, (rung, released) in list(account.progress.items()):
        campaign = account.campaigns[id]
        if campaign.mode == "preview" or rung < released:
            continue
        if account.settings.agents is None:
            # `Settings.agents` was removed meanwhile: the other calls ring as in a campaign without agents.
            _release(account, campaign, held(account, campaign), now)
            continue
        room = lines(campaign.mode, max(0, agents.free(account)), account.settings) - len(account.lines)
        for place in range(rung, min(rung + max(0, room), len(campaign.call_ids))):
            agents.dialled(account, campaign.call_ids[place])
            _ring(account, campaign, place, place + 1, now)


def _release(account: Account, campaign: CampaignRecord, amount: int, now: float) -> int:
    amount = min(amount, held(account, campaign))
    if amount:
        rung, released = account.progress[campaign.id]
        _set(account, campaign.id, Progress(rung, released + amount))
        if rung == released:
            account.later(now, "dial_next", campaign.id)
    return amount


def _ring(account: Account, campaign: CampaignRecord, place: int, released: int, now: float) -> None:
    calls.ring(account, campaign.call_ids[place], now)
    over = place + 1 == len(campaign.call_ids)
    _set(account, campaign.id, None if over else Progress(place + 1, released))


def _set(account: Account, campaign_id: str, progress: Progress | None) -> None:
    if progress is None:
        del account.progress[campaign_id]
    else:
        account.progress[campaign_id] = progress
    account.mark_changed("progress", campaign_id)
    account.mark_counted("campaign", campaign_id)


def _gap(account: Account) -> float:
    """Seconds from one call to the next."""
    return 1 / account.timing.campaign_pace
