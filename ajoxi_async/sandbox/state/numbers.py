"""The numbers of an account (API reference: Numbers): provisioned, ported in, changed, released."""

from __future__ import annotations

from attrs import evolve

from ajoxi_async.contract.numbers import (
    Number,
    NumberProvision,
    NumberStatus,
    NumberType,
    NumberUpdate,
    Routing,
    RoutingKind,
    SmsConfig,
)
from ajoxi_async.sandbox.outcomes.magic import magic
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import inventory
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.time.moments import at

__all__ = ["FIRST_NUMBER", "add_first", "ported", "provision", "release", "require_own", "update"]

#: The number every account has from the start, so that the reference's own request works.
FIRST_NUMBER = "+14155550100"


#: Seconds by which a moment and the millisecond it is written as may differ: half of one, and a little for floats.
_ROUNDING = 0.000_501


def add_first(account: Account) -> None:
    """Give a new account its first number."""
    _add(
        account,
        Number(
            id=account.mint("num"),
            phone_number=FIRST_NUMBER,
            type=NumberType.LOCAL,
            country="US",
            region="CA",
            capabilities=inventory.FULL,
            status=NumberStatus.ACTIVE,
            routing=Routing(kind=RoutingKind.AI_RECEPTIONIST),
            sms=SmsConfig(enabled=True),
            created_at=at(account.created_at),
        ),
    )


def require_own(account: Account, phone_number: str, param: str) -> Number:
    """The account's active number with these digits. `param` is the name of the parameter, for the error.

    Raises:
        Refusal: the account has no such number, or it is still being ported in.
    """
    number = account.numbers.get(account.number_ids.get(phone_number, ""))
    if number is None or number.status != NumberStatus.ACTIVE:
        raise Refusal("invalid_parameter", f"{param} is not an active number of this account", param, status=422)
    return number


def provision(account: Account, params: NumberProvision, now: float) -> Number:
    """Take a number from the inventory, or begin to port one in.

    Raises:
        Refusal: the number is taken, or not on offer and not to be ported.
    """
    wanted, port = params.phone_number, params.port is not None
    offered = next((n for n in account.inventory if n.phone_number == wanted), None)
    taken = wanted in account.number_ids or magic(wanted).taken
    if taken or (offered is None and not port):
        raise Refusal("number_unavailable", "this number is not available", "phone_number")
    source = offered or evolve(account.inventory[0], region=None, id=account.mint("num"))
    number = _add(
        account,
        evolve(
            source,
            phone_number=wanted,
            status=NumberStatus.PORTING if port else NumberStatus.ACTIVE,
            routing=params.routing,
            caller_id=params.caller_id,
            sms=params.sms,
            created_at=at(now),
        ),
    )
    if port:
        account.later(now + account.timing.porting, "ported", number.id)
    return number


def update(account: Account, id: str, params: NumberUpdate) -> Number:
    """Change the given settings of a number; the others stay unchanged.

    Raises:
        Refusal: there is no such number.
    """
    number = account.numbers.get(id)
    if number is None:
        raise Refusal("not_found", f"no number {id[:60]}")
    number = evolve(
        number,
        routing=params.routing or number.routing,
        caller_id=params.caller_id or number.caller_id,
        sms=params.sms or number.sms,
    )
    account.numbers.replace(number)
    return number


def ported(account: Account, id: str, now: float) -> None:
    """A number that was being ported in is active, unless it was released meanwhile, or is being ported in again since."""
    number = account.numbers.get(id)
    if number is None or number.status != NumberStatus.PORTING or number.created_at is None:
        return
    if number.created_at.timestamp() + account.timing.porting <= now + _ROUNDING:
        account.numbers.replace(evolve(number, status=NumberStatus.ACTIVE))
        account.fired("number.ported", id, now)


def release(account: Account, id: str) -> None:
    """Give a number back. Irreversible (API reference: Numbers).

    Raises:
        Refusal: there is no such number.
    """
    number = account.numbers.get(id)
    if number is None:
        raise Refusal("not_found", f"no number {id[:60]}")
    account.numbers.remove(id)
    del account.number_ids[number.phone_number or ""]


def _add(account: Account, number: Number) -> Number:
    account.numbers.add(number)
    account.number_ids[number.phone_number or ""] = number.id
    return number
