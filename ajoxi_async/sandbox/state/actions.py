"""What timers do: the table of actions by name, and the loop that carries out what is due."""

from __future__ import annotations

from collections.abc import Callable

from ajoxi_async.sandbox.state import calls, messages, numbers, recordings
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.webhook_records import DELIVER

__all__ = ["ACTIONS", "run_due"]

#: An action takes the account, the timer's arguments and the timer's moment.
ACTIONS: dict[str, Callable[..., None]] = {
    "ring": calls.ring,
    "answer": calls.answer,
    "end": calls.end,
    "return": calls.return_transfer,
    "record": recordings.record,
    "ported": numbers.ported,
    "message_sent": messages.sent,
    "message_delivered": messages.delivered,
    "message_undelivered": messages.undelivered,
    "reply": messages.reply,
}


def run_due(account: Account, now: float) -> None:
    """Do what is due by `now`, each thing at its own moment and in order; nothing while a command is unfinished.

    Deliveries are not posted here: their ids go to `Account.due_deliveries`.
    """
    if account.unfinished is not None:
        return
    timers = account.timers
    while (moment := timers.next_due) is not None and moment <= now:
        timer = timers.pop()
        if timer.action == DELIVER:
            account.due_deliveries.extend(str(id) for id in timer.args)
        else:
            account.mark_changed("timer", str(timer.order))
            ACTIONS[timer.action](account, *timer.args, moment)
