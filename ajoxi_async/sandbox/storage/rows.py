"""What an account holds, as rows of a journal: one row per thing, written when it changed. No I/O.

Rules:
1. A row is the whole of one thing as JSON; a thing that is gone has no row.
2. What follows from something else is not written: which numbers are owned, which call a transcript belongs to, the
   timers of deliveries. The delivery log is not written either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from attrs import asdict

from ajoxi_async.contract import codec
from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.numbers import Number
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.webhooks import Webhook
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.webhooks import Delivery, Secret
from ajoxi_async.sandbox.time.timers import Timer

__all__ = ["Row", "everything", "load", "row"]

#: Kind, id and body.
Row = tuple[str, str, bytes]

_MODELS: dict[str, type[Any]] = {
    "call": Call,
    "message": Message,
    "recording": Recording,
    "number": Number,
    "webhook": Webhook,
}
_FLAGS = ("to_record", "opted_out", "tripped")


def row(account: Account, kind: str, id: str) -> bytes | None:
    """The row of a thing as it stands now; ``None`` where it is gone."""
    if kind in _MODELS:
        thing = account.stores[kind].get(id)
        return codec.encode(thing) if thing is not None else None
    if kind in _FLAGS:
        return b"true" if id in getattr(account, kind) else None
    found: Any = None
    if kind == "timer":
        found = account.timers.get(int(id))
    elif kind == "delivery" and (delivery := account.outgoing.deliveries.get(id)) is not None:
        found = asdict(delivery) | {"body": delivery.body.decode()}
    elif kind == "secret" and id in account.outgoing.secrets:
        found = [(secret.value, secret.until) for secret in account.outgoing.secrets[id]]
    elif kind == "minted":
        found = account.minter.minted.get(id)
    elif kind == "world":
        found = account.created_at
    return msgspec.json.encode(found) if found is not None else None


def everything(account: Account) -> Iterable[tuple[str, str]]:
    """Kind and id of all things, for an account that is written down as a whole."""
    yield "world", ""
    yield from (("minted", prefix) for prefix in account.minter.minted)
    for kind, store in account.stores.items():
        yield from ((kind, thing.id) for thing in reversed(list(store.newest_first())))
    for kind in _FLAGS:
        yield from ((kind, id) for id in getattr(account, kind))
    yield from (("secret", id) for id in account.outgoing.secrets)
    yield from (("timer", str(timer.order)) for timer in account.timers.all() if timer.action != "deliver")
    yield from (("delivery", id) for id in account.outgoing.deliveries)


def load(account: Account, rows: Iterable[Row]) -> None:
    """Fill an empty account with what was written down, in the order in which it was first written."""
    for kind, id, body in rows:
        if kind in _MODELS:
            account.stores[kind].add(codec.decode(body, _MODELS[kind]))
        elif kind in _FLAGS:
            getattr(account, kind).add(id)
        elif kind == "timer":
            account.timers.add(msgspec.json.decode(body, type=Timer))
        elif kind == "delivery":
            shown = msgspec.json.decode(body)
            account.outgoing.keep(Delivery(**shown | {"body": shown["body"].encode()}))
        elif kind == "secret":
            account.outgoing.secrets[id] = tuple(Secret(*pair) for pair in msgspec.json.decode(body))
        elif kind == "minted":
            account.minter.minted[id] = msgspec.json.decode(body)
        elif kind == "world":
            account.created_at = msgspec.json.decode(body)
    account.settle_in()
