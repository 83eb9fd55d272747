"""An account as rows of a journal: one row for each object, written when the object changed. No I/O.

Rules:
1. A row is one whole object as JSON; an object that was removed has no row.
2. What can be worked out is not written: the lookups of `Account.rebuild_lookups`, the timers of deliveries.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from attrs import asdict, has

from ajoxi_async.contract import codec
from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.numbers import Number
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.webhooks import Webhook
from ajoxi_async.sandbox.keys import Key
from ajoxi_async.sandbox.state import deliveries
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.campaign_records import CampaignRecord, Progress
from ajoxi_async.sandbox.state.webhook_records import DELIVER, Attempt, Delivery, Secret
from ajoxi_async.sandbox.time.timers import Timer

__all__ = ["Row", "everything", "key_of", "key_row", "load", "row"]

#: Kind, id and body.
Row = tuple[str, str, bytes]

_MODELS: dict[str, type[Any]] = {
    "call": Call,
    "message": Message,
    "recording": Recording,
    "number": Number,
    "webhook": Webhook,
}
_FLAGS = ("to_record", "opted_out", "tripped", "lines", "with_agent", "abandoned")
_KEY_FIELDS = ("label", "minted", "created_at", "last_used_at", "deleted")


def key_row(key: Key) -> bytes:
    """The body of a key's row, whose id is the key."""
    return msgspec.json.encode({name: getattr(key, name) for name in _KEY_FIELDS} | {"deny": sorted(key.deny)})


def key_of(text: str, body: bytes) -> Key:
    """The key of a row."""
    shown = msgspec.json.decode(body)
    known = {name: shown[name] for name in _KEY_FIELDS if name in shown}
    return Key(text=text, deny=frozenset(shown["deny"]), **known)


def row(account: Account, kind: str, id: str) -> bytes | None:
    """The body of an object's row; ``None`` where the object was removed."""
    if kind in _MODELS:
        item = account.stores[kind].get(id)
        return codec.encode(item) if item is not None else None
    if kind in _FLAGS or kind == "waiting":
        return b"true" if id in getattr(account, kind) else None
    found: Any = None
    if kind == "timer":
        found = account.timers.get(int(id))
    elif kind == "delivery" and (delivery := account.deliveries.get(id)) is not None:
        found = asdict(delivery) | {"body": delivery.body.decode()}
    elif kind == "attempt":
        found = account.delivery_log.attempts.get(id)
    elif kind == "campaign" and (campaign := account.campaigns.get(id)) is not None:
        found = asdict(campaign)
    elif kind == "ring" and int(id) < len(account.rings):
        ring = account.rings.get(int(id))
        found = ring.number, ring.call_id, account.rings.moment(int(id))
    elif kind == "secret" and id in account.secrets:
        found = [(secret.value, secret.until) for secret in account.secrets[id]]
    elif kind == "progress":
        found = account.progress.get(id)
    elif kind == "minted":
        found = account.minter.minted.get(id)
    elif kind == "settings" and account.configured:
        found = {name: _plain(value) for name, value in account.configured.items()}
    elif kind == "world":
        found = account.created_at
    return msgspec.json.encode(found) if found is not None else None


def everything(account: Account) -> Iterable[tuple[str, str]]:
    """Kind and id of everything in an account, for writing it as a whole."""
    yield "world", ""
    yield "settings", ""
    yield from (("minted", prefix) for prefix in account.minter.minted)
    for kind, store in account.stores.items():
        yield from ((kind, item.id) for item in store.oldest_first())
    for kind in (*_FLAGS, "waiting", "progress"):
        yield from ((kind, id) for id in getattr(account, kind))
    yield from (("secret", id) for id in account.secrets)
    yield from (("timer", str(timer.order)) for timer in account.timers.all() if timer.action != DELIVER)
    yield from (("delivery", id) for id in account.deliveries)
    yield from (("attempt", id) for id in account.delivery_log.attempts)
    yield from (("campaign", id) for id in account.campaigns)
    yield from (("ring", str(place)) for place in range(len(account.rings)))


def load(account: Account, rows: Iterable[Row]) -> None:
    """Fill an empty account from rows, which come in the order in which they were first written."""
    # Deliveries of one event share its bytes.
    bodies: dict[str, bytes] = {}
    for kind, id, body in rows:
        if kind in _MODELS:
            account.stores[kind].add(codec.decode(body, _MODELS[kind]))
        elif kind in _FLAGS:
            getattr(account, kind).add(id)
        elif kind == "waiting":
            account.waiting[id] = None
        elif kind == "progress":
            account.progress[id] = msgspec.json.decode(body, type=Progress)
        elif kind == "timer":
            account.timers.add(msgspec.json.decode(body, type=Timer))
        elif kind == "delivery":
            shown = msgspec.json.decode(body)
            body = bodies.setdefault(shown["event_id"], shown["body"].encode())
            deliveries.add(account, Delivery(**shown | {"body": body}))
        elif kind == "attempt":
            account.delivery_log.add(msgspec.json.decode(body, type=Attempt))
        elif kind == "campaign":
            shown = msgspec.json.decode(body)
            account.campaigns[id] = CampaignRecord(**shown | {"call_ids": tuple(shown["call_ids"])})
        elif kind == "ring":
            account.rings.add(*msgspec.json.decode(body))
        elif kind == "secret":
            account.secrets[id] = tuple(Secret(*pair) for pair in msgspec.json.decode(body))
        elif kind == "minted":
            account.minter.minted[id] = msgspec.json.decode(body)
        elif kind == "settings":
            account.configure(msgspec.json.decode(body))
        elif kind == "world":
            account.created_at = msgspec.json.decode(body)
    account.rebuild_lookups()


def _plain(setting: Any) -> Any:
    return asdict(setting) if has(type(setting)) else setting
