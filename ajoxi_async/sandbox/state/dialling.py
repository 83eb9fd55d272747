"""When the calls of a campaign ring (API reference: Outbound Dialer modes).

Rules:
1. Without agents a ``power`` or ``predictive`` campaign rings by itself, a call after the other at `Timing.campaign_pace`: each
   call has its timer from the start.
2. With agents it is held, and dials whenever an agent is free or a line ends, as many calls as its mode allows: see `pacing` and
   `agents`. Of several campaigns the oldest dials first.
3. A ``preview`` campaign is held until it is released, whether there are agents or not. What is released rings a call after the
   other, at the same pace.
4. Of a held campaign it is known how many calls are released, and how many of these rang. It is forgotten once all rang.
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
    """Whether a campaign of a mode that begins now is held."""
    return mode == "preview" or account.settings.agents is not None


def hold(account: Account, campaign_id: str, now: float) -> None:
    """Hold a campaign whose calls were just queued; it dials for the first time when another one's first call would ring."""
    _set(account, campaign_id, Progress(0, 0))
    account.later(now + _gap(account), "use_room")


def held(account: Account, campaign: CampaignRecord) -> int:
    """How many calls of a campaign are held."""
    progress = account.progress.get(campaign.id)
    return len(campaign.call_ids) - progress.released if progress is not None else 0


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
    return _release(account, campaign, held(account, campaign) if amount is None else amount, now)


def dial_next(account: Account, campaign_id: str, now: float) -> None:
    """Let the next released call of a campaign ring; a timer is set for the one after it."""
    rung, released = account.progress[campaign_id]
    _ring(account, account.campaigns[campaign_id], rung, released, now)
    if rung + 1 < released:
        account.later(now + _gap(account), "dial_next", campaign_id)


def use_room(account: Account, now: float) -> None:
    """Let calls ring that wait for capacity, and campaigns dial that wait for agents."""
    calls.ring_waiting(account, now)
    for id, (rung, released) in list(account.progress.items()):
        campaign = account.campaigns[id]
        if campaign.mode == "preview" or rung < released:
            continue
        if account.settings.agents is None:
            # Its agents were taken out of the settings: the rest rings as if there had been none.
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
