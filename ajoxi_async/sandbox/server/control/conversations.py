"""The control surface's list of conversations: the threads of messages between one of the account's numbers and another number.

Rules:
1. The conversation with the newest message is row 0.
2. The list is kept between requests, and only the messages that came since are looked at. The first look at many messages is made
   in pieces, so that others are answered meanwhile.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import anyio
import anyio.lowlevel
from attrs import define, field, frozen

from ajoxi_async.contract.calls import Direction
from ajoxi_async.contract.messages import Message
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.control.lists import Window, listed, window_of
from ajoxi_async.sandbox.server.control.request import LATEST, ControlRequest, Route
from ajoxi_async.sandbox.state.account import Account

__all__ = ["ROUTES", "Conversations"]

#: Messages that are looked at without a pause: a few milliseconds.
_AT_ONCE = 500


@frozen(kw_only=True, repr=False)
class _ConversationWindow(Window):
    number: str | None = None


@frozen
class _Thread:
    own: str
    other: str
    messages: int
    inbound: int
    last: str


@define(eq=False)
class _Threads:
    """The conversations of one account, by their ids; the one with the newest message is the last."""

    seen: int = 0
    by_id: dict[str, _Thread] = field(factory=dict)
    working: anyio.Lock = field(factory=anyio.Lock)

    async def catch_up(self, account: Account) -> None:
        """Look at the messages that came since."""
        async with self.working:
            store = account.messages
            while self.seen < len(store):
                behind = len(store) - self.seen
                amount = min(behind, _AT_ONCE)
                for message in reversed(store.rows(behind - amount, amount).items):
                    self._add(message)
                self.seen += amount
                if behind > amount:
                    await anyio.lowlevel.checkpoint()

    def _add(self, message: Message) -> None:
        came = message.direction == Direction.INBOUND
        own, other = (message.to, message.from_) if came else (message.from_, message.to)
        id = message.conversation_id or ""
        before = self.by_id.pop(id, _Thread(own or "", other or "", 0, 0, ""))
        self.by_id[id] = _Thread(before.own, before.other, before.messages + 1, before.inbound + came, message.id)


@define(eq=False)
class Conversations:
    """The conversations of all accounts that were asked for."""

    _of: WeakKeyDictionary[Account, _Threads] = field(factory=WeakKeyDictionary, init=False)

    async def list_all(self, request: ControlRequest) -> Any:
        """GET conversations: by position; with ``number``, those with a number that contains these digits."""
        params = request.query(_ConversationWindow)
        account = request.world.account
        threads = self._of.setdefault(account, _Threads())
        await threads.catch_up(account)
        digits = (params.number or "").lstrip("+")
        found = [(id, one) for id, one in reversed(threads.by_id.items()) if digits in one.other or digits in one.own]
        start, amount = window_of(params)
        rows = [_shown(account, id, one) for id, one in found[start : start + amount]]
        version = f"{request.world.epoch}.{account.messages.version}"
        return listed(rows, start, len(found), version)

    async def one(self, request: ControlRequest) -> Any:
        """GET conversations/{id}. Its messages are ``GET messages?conversation_id=``."""
        account = request.world.account
        threads = self._of.setdefault(account, _Threads())
        await threads.catch_up(account)
        id = next(reversed(threads.by_id), "") if request.id == LATEST else request.id
        if id not in threads.by_id:
            raise Refusal("not_found", f"no conversation {request.id[:60]}")
        return _shown(account, id, threads.by_id[id])


def _shown(account: Account, id: str, thread: _Thread) -> dict[str, Any]:
    last = account.messages.get(thread.last)
    return {
        "id": id,
        "own_number": thread.own,
        "other_number": thread.other,
        "opted_out": thread.other in account.opted_out,
        "messages": thread.messages,
        "inbound": thread.inbound,
        "last": last.to_dict() if last is not None else None,
    }


ROUTES = (
    Route("GET", "conversations", lambda control, request: control.conversations.list_all(request)),
    Route("GET", "conversations/{id}", lambda control, request: control.conversations.one(request)),
)
