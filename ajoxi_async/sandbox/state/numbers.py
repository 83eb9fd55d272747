"""The numbers of an account: taken, ported in, given back (API reference: Numbers). Commands and transitions, as in `account`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from ajoxi_async.contract.numbers import Number, NumberStatus
from ajoxi_async.sandbox.outcomes.magic import magic
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.time.moments import at

if TYPE_CHECKING:
    from ajoxi_async.sandbox.state.account import Account

__all__ = ["own", "own_number", "ported", "provision", "release"]


def own(account: Account, number: Number) -> Number:
    """Add a number to those of the account."""
    account.numbers.add(number)
    account.owned[number.phone_number or ""] = number.id
    return number


def own_number(account: Account, phone_number: str, param: str) -> Number:
    """An active number of the account; a call or message can come from no other."""
    number = account.numbers.get(account.owned.get(phone_number, ""))
    if number is None or number.status != NumberStatus.ACTIVE:
        raise Refusal("invalid_parameter", f"{param} is not an active number of this account", param, status=422)
    return number


def provision(account: Account, wanted: Number, now: float, *, port: bool) -> Number:
    """Take a number from the inventory, or begin to port one in."""
    offered = next((n for n in account.inventory if n.phone_number == wanted.phone_number), None)
    taken = wanted.phone_number in account.owned or magic(wanted.phone_number).taken
    if taken or (offered is None and not port):
        raise Refusal("number_unavailable", "this number cannot be had", "phone_number")
    source = offered or evolve(account.inventory[0], region=None, id=account.mint("num"))
    number = own(
        account,
        evolve(
            source,
            phone_number=wanted.phone_number,
            status=NumberStatus.PORTING if port else NumberStatus.ACTIVE,
            routing=wanted.routing,
            caller_id=wanted.caller_id,
            sms=wanted.sms,
            created_at=at(now),
        ),
    )
    if port:
        account.later(now + account.timing.porting, "ported", number.id)
    return number


def ported(account: Account, id: str, now: float) -> None:
    """A number that was ported in is active."""
    number = account.numbers.get(id)
    if number is not None:
        account.numbers.replace(evolve(number, status=NumberStatus.ACTIVE))
        account.fired("number.ported", id, now)


def release(account: Account, id: str) -> None:
    """Give a number back. Irreversible (API reference: Numbers)."""
    number = account.numbers.get(id)
    if number is None:
        raise Refusal("not_found", f"no number {id[:60]}")
    account.numbers.remove(id)
    del account.owned[number.phone_number or ""]
