"""The actions of timers, by name, and the loop that carries out those that are due."""

from __future__ import annotations

from collections.abc import Callable

from ajoxi_async.sandbox.state import calls, dialling, late_requests, messages, numbers, recordings
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.webhook_records import DELIVER

__all__ = ["ACTIONS", "AT_ONCE", "run_due"]

#: Timers that are carried out without a pause: a few milliseconds.
AT_ONCE = 25

#: An action takes the account, the timer's arguments and the timer's moment.
ACTIONS: dict[str, Callable[..., None]] = {
    "ring": calls.ring,
    "answer": calls.answer,
    "end": calls.end,
    "use_room": dialling.use_room,
    "dial_next": dialling.dial_next,
    "return": calls.return_transfer,
    "report_return": calls.report_return,
    "record": recordings.record,
    "ported": numbers.ported,
    "message_sent": messages.sent,
    "message_delivered": messages.delivered,
    "message_undelivered": messages.undelivered,
    "reply": messages.reply,
    "late_request": late_requests.carry_out,
}


def run_due(account: Account, now: float) -> bool:
    """Carry out the timers that are due by `now`, each at its own moment and in order, but at most `AT_ONCE` of them.

    While a command is unfinished no timer is carried out; those that are due are carried out after it.

    Deliveries are not posted here: their ids go to `Account.due_deliveries`.

    Returns:
        Whether nothing more is due by `now`.
    """
    if account.unfinished is not None:
        return True
    timers = account.timers
    for _ in range(AT_ONCE):
        moment = timers.next_due
        if moment is None or moment > now:
            return True
        timer = timers.pop()
        if timer.action == DELIVER:
            ids = [str(id) for id in timer.args]
            account.due_deliveries.extend(ids)
            account.posting.update(ids)
        else:
            account.mark_unsaved("timer", str(timer.order))
            account.cause = timer.action
            try:
                ACTIONS[timer.action](account, *timer.args, moment)
            finally:
                account.cause = ""
    moment = timers.next_due
    return moment is None or moment > now
