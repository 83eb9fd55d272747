"""Calls (API reference: Calls): placed or received, ringing, answered, transferred, ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

from attrs import evolve, fields

from ajoxi_async.contract.calls import (
    Call,
    CallCreate,
    CallStatus,
    CallTransfer,
    CampaignCreate,
    Direction,
    Disposition,
)
from ajoxi_async.contract.webhooks import EventType
from ajoxi_async.sandbox.outcomes.magic import magic
from ajoxi_async.sandbox.outcomes.plans import Plan, attempts_that_differ, plan_for
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import agents, deliveries, numbers
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.magic_effects import apply_trouble, require_reachable
from ajoxi_async.sandbox.time.moments import at
from ajoxi_async.sandbox.time.timers import Timer

__all__ = [
    "AI_HANDLER",
    "answer",
    "create",
    "end",
    "outbound",
    "place",
    "plan_of",
    "receive",
    "report_return",
    "return_transfer",
    "ring",
    "ring_waiting",
    "seed",
    "transfer",
]

_FIELDS = tuple(field.name for field in fields(Call))
_values = attrgetter(*_FIELDS)
# Members of an enum are slow to look up.
_RINGING, _COMPLETED, _OUTBOUND = CallStatus.RINGING, CallStatus.COMPLETED, Direction.OUTBOUND
#: The index keys of outbound calls that ring.
_RINGING_OUT = (("status", str(_RINGING)), ("direction", str(_OUTBOUND)))
#: How many calls `seed` adds at a time.
_BATCH = 1_000
#: The time between the beginnings of two calls that `seed` adds.
_APART = timedelta(minutes=1)
#: The `ai_handler` of calls that the AI receptionist takes.
AI_HANDLER = "receptionist_v2"


def plan_of(account: Account, call: Call) -> Plan:
    """The planned course of a call: whether it is answered, how it ends, and when."""
    population = account.settings.population
    differ = attempts_that_differ(call, population)
    plan = plan_for(
        call,
        account.seed,
        account.timing,
        record=account.to_record.used and call.id in account.to_record,
        attempt=account.rings.attempt(call.to or "", call.id, differ) if differ > 1 else 1,
        population=population,
    )
    if account.abandoned.used and call.id in account.abandoned:
        return evolve(plan, talk=min(plan.talk, account.timing.patience), spoken=0.0)
    return plan


# Commands


def create(account: Account, params: CallCreate, now: float) -> Call:
    """Place an outbound call, which rings at once, or once the capacity allows it.

    Raises:
        Refusal: `from_` is not an active number of the account, or `to` cannot be reached or makes trouble.
    """
    numbers.require_own(account, params.from_, "from")
    require_reachable(params.to)
    apply_trouble(account, params.to)
    return place(account, outbound(account, params.to, params, now), now, record=bool(params.record))


def outbound(account: Account, to: str, params: CallCreate | CampaignCreate, now: float) -> Call:
    """A new outbound call to `to`, queued and not kept yet."""
    return Call(
        id=account.mint("call"),
        status=CallStatus.QUEUED,
        ai_handler=AI_HANDLER if params.ai_receptionist else None,
        direction=Direction.OUTBOUND,
        from_=params.from_,
        to=to,
        created_at=at(now),
        agent_id=params.agent_id,
        metadata=params.metadata or {},
    )


def place(account: Account, call: Call, now: float, *, record: bool = False, wait: float | None = 0.0) -> Call:
    """Keep a queued call and let it ring after `wait` seconds, at once by default; return it as it then stands.

    A call that would ring while the capacity is taken stays queued until it is its turn.

    Args:
        account: the account of the call.
        call: the queued call.
        now: the present moment.
        record: whether recording was asked for.
        wait: seconds for which it stays queued; ``None`` if a later command lets it ring.
    """
    rings = wait is not None and wait <= 0 and not _must_wait(account, call)
    if rings:
        call = _with(call, status=_RINGING)
    account.calls.add(call)
    if call.campaign_id is not None:
        account.mark_counted("campaign", call.campaign_id)
    if record:
        account.set_flag("to_record", call.id, True)
    if rings:
        _rings(account, call, now)
    elif wait is not None and wait > 0:
        account.later(now + wait, "ring", call.id)
    elif wait is not None:
        _wait(account, call.id)
    return call


def receive(account: Account, *, from_: str, to: str, now: float) -> Call:
    """Receive a call to one of the account's numbers; the AI receptionist answers.

    Raises:
        Refusal: `to` is not an active number of the account.
    """
    numbers.require_own(account, to, "to")
    call = Call(
        id=account.mint("call"),
        status=CallStatus.QUEUED,
        ai_handler=AI_HANDLER,
        direction=Direction.INBOUND,
        from_=from_,
        to=to,
        created_at=at(now),
    )
    return place(account, call, now)


def transfer(account: Account, id: str, params: CallTransfer, now: float) -> Call:
    """Transfer an answered call. Of the targets only an agent is shown in the call. It returns if the transfer is not taken.

    Raises:
        Refusal: there is no such call, it is not answered, `to` cannot be reached, or a magic number refuses the transfer.
    """
    if params.to is not None:
        require_reachable(params.to)
    call = account.calls.get(id)
    if call is None:
        raise Refusal("not_found", f"no call {id[:60]}")
    if call.status != CallStatus.ANSWERED:
        raise Refusal("invalid_state", f"a call that is {call.status} cannot be transferred")
    outcomes = {magic(number).transfer for number in (call.from_, call.to, params.to)}
    if "refused" in outcomes:
        raise Refusal("invalid_state", "this call cannot be transferred")
    if "returns" in outcomes:
        moment = now + account.timing.ring
        if params.agent_id is None:
            account.later(moment, "report_return", id)
        else:
            ringing = _transfer_ringing(account, id)
            account.later(moment, "return", id, ringing.args[1] if ringing is not None else call.agent_id)
    return _change(account, id, agent_id=params.agent_id or call.agent_id)


def seed(account: Account, amount: int, now: float) -> None:
    """Add finished calls in the past, a minute apart, the newest a minute ago. No event is emitted."""
    # They go to 16,000 numbers in turn, more than `plan_for` remembers.
    outcomes: dict[str, _Outcome] = {}
    first_began = at(now) - amount * _APART
    for first in range(0, amount, _BATCH):
        numbered = range(first, min(first + _BATCH, amount))
        account.calls.extend(_finished(account, numbered, first_began, outcomes))


class _Outcome(NamedTuple):
    """The course of a seeded call to a number: its plan, and the times from its beginning to the answer and to the end."""

    plan: Plan
    to: str
    until_answer: timedelta
    until_end: timedelta


def _outcome(account: Account, to: str) -> _Outcome:
    plan = plan_of(account, Call(id="", direction=Direction.OUTBOUND, to=to))
    ring, talk = plan.ring, plan.talk if plan.answered else 0.0
    return _Outcome(plan, to, timedelta(seconds=round(ring, 3)), timedelta(seconds=round(ring + talk, 3)))


def _finished(
    account: Account, numbered: Iterable[int], first_began: datetime, outcomes: dict[str, _Outcome]
) -> list[Call]:
    """Finished calls by their numbers, from 0, each a minute after the one before it."""
    planned = []
    for number in numbered:
        to = f"+1415555{number % 8000 + 2000:04d}" if number % 3 else f"+1212555{number % 8000 + 2000:04d}"
        if to not in outcomes:
            outcomes[to] = _outcome(account, to)
        planned.append((first_began + number * _APART, outcomes[to]))
    ids = account.mint_many("call", len(planned))
    transcripts = iter(account.mint_many("tr", sum(outcome.plan.answered for _, outcome in planned)))
    # Written out, not evolved, and with a sum of times instead of a conversion: a million calls take half the time.
    return [
        Call(
            id=id,
            status=_COMPLETED,
            direction=_OUTBOUND,
            from_=numbers.FIRST_NUMBER,
            to=to,
            created_at=began,
            answered_at=began + until_answer if plan.answered else None,
            ended_at=began + until_end,
            duration=round(plan.talk) if plan.answered else 0,
            disposition=plan.disposition,
            transcript_id=next(transcripts) if plan.answered else None,
        )
        for id, (began, (plan, to, until_answer, until_end)) in zip(ids, planned, strict=True)
    ]


# Transitions


def ring(account: Account, id: str, now: float) -> None:
    """The phone rings, unless the capacity is taken; a timer is set for the answer, or for giving up."""
    call = account.calls.get(id)
    assert call is not None
    if _must_wait(account, call):
        _wait(account, id)
    else:
        _rings(account, _change(account, id, status=_RINGING), now)


def ring_waiting(account: Account, now: float) -> None:
    """Let calls ring that wait for their turn, as many as the capacity allows."""
    while account.waiting and not _is_full(account):
        id = next(iter(account.waiting))
        del account.waiting[id]
        account.mark_changed("waiting", id)
        _rings(account, _change(account, id, status=_RINGING), now)


def _must_wait(account: Account, call: Call) -> bool:
    if account.settings.capacity is None and not account.waiting:
        return False
    return call.direction == Direction.OUTBOUND and (bool(account.waiting) or _is_full(account))


def _is_full(account: Account) -> bool:
    capacity = account.settings.capacity
    return capacity is not None and account.calls.count(keys=_RINGING_OUT) >= capacity


def _wait(account: Account, id: str) -> None:
    account.waiting[id] = None
    account.mark_changed("waiting", id)


def _rings_no_more(account: Account, now: float) -> None:
    """A call has stopped ringing, or an agent is free: others may ring in its place."""
    if account.waiting or account.progress:
        account.later(now, "use_room")


def _rings(account: Account, call: Call, now: float) -> None:
    account.rang(call.to or "", call.id, now)
    plan = plan_of(account, call)
    deliveries.emit(account, EventType.CALL_STARTED, call.id, call, now)
    account.later(now + plan.ring, "answer" if plan.answered else "end", call.id)


def answer(account: Account, id: str, now: float) -> None:
    """A person or a machine picks up."""
    call = _change(account, id, status=CallStatus.ANSWERED, answered_at=at(now), transcript_id=account.mint("tr"))
    deliveries.emit(account, EventType.CALL_ANSWERED, id, call, now)
    if account.lines.used and id in account.lines:
        agents.answered(account, call, by_person=plan_of(account, call).disposition != Disposition.VOICEMAIL)
    account.later(now + plan_of(account, call).talk, "end", id)
    _rings_no_more(account, now)


def end(account: Account, id: str, now: float) -> None:
    """The call is over; where it was recorded, a timer is set for the recording."""
    before = account.calls.get(id)
    assert before is not None
    plan = plan_of(account, before)
    ended = at(now)
    answered = before.answered_at is not None
    changes: dict[str, object] = {
        "status": CallStatus.COMPLETED,
        "ended_at": ended,
        "disposition": plan.disposition,
        "duration": 0,
    }
    if plan.answered != answered:
        # The world was given another population after the phone rang.
        changes["disposition"] = Disposition.ANSWERED if answered else Disposition.NO_ANSWER
    if before.answered_at is not None:
        changes["duration"] = round((ended - before.answered_at).total_seconds())
        if plan.recorded:
            recording_id = account.mint("rec")
            changes |= {"recording_id": recording_id, "recording_url": f"{account.media_url}/{recording_id}.wav"}
            if plan.processing is not None:
                account.later(now + plan.processing, "record", id)
    deliveries.emit(account, EventType.CALL_COMPLETED, id, _change(account, id, **changes), now)
    if account.abandoned.used and id in account.abandoned:
        account.fired("call.abandoned", id, now)
    if account.lines.used or account.with_agent.used:
        agents.ended(account, id)
    _rings_no_more(account, now)


def return_transfer(account: Account, id: str, agent_id: str | None, now: float) -> None:
    """A transfer to an agent was not taken: the call returns to the agent before, unless another transfer rings already."""
    call = account.calls.get(id)
    if call is not None and call.status == CallStatus.ANSWERED:
        if _transfer_ringing(account, id) is None:
            _change(account, id, agent_id=agent_id)
        account.fired("transfer.returned", id, now)


def report_return(account: Account, id: str, now: float) -> None:
    """Report that a transfer to a number or an extension was not taken. The call does not change."""
    call = account.calls.get(id)
    if call is not None and call.status == CallStatus.ANSWERED:
        account.fired("transfer.returned", id, now)


def _transfer_ringing(account: Account, id: str) -> Timer | None:
    """The timer of a transfer to an agent that rings and will not be taken. Only calls of magic numbers have one."""
    timers = account.timers.all()
    return next((timer for timer in timers if timer.action == "return" and timer.args[0] == id), None)


def _change(account: Account, id: str, **changes: object) -> Call:
    call = account.calls.get(id)
    assert call is not None
    call = _with(call, **changes)
    account.calls.replace(call)
    if call.campaign_id is not None:
        account.mark_counted("campaign", call.campaign_id)
    return call


def _with(call: Call, **changes: object) -> Call:
    # What `attrs.evolve` does, in half the time: a call changes three times in its life.
    return Call(**(dict(zip(_FIELDS, _values(call), strict=True)) | changes))
