"""Effects of magic numbers on requests: refusing one, failing one once, throttling the next one, ending a stream once.

Effects that happen once are kept in `Account.tripped`, as the number or the call they belong to.
"""

from __future__ import annotations

from ajoxi_async.contract.calls import Call
from ajoxi_async.sandbox.outcomes.magic import magic
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state.account import Account

__all__ = ["apply_trouble", "require_reachable", "take_cut", "take_throttle"]

#: Prefixes that cannot be reached: an unassigned country code, and premium-rate numbers.
UNREACHABLE = ("+999", "+1900")
#: An entry of `Account.tripped` that makes the next answer a 429.
THROTTLED = "throttled"


def require_reachable(number: str, *, texting: bool = False) -> None:
    """Check that a number can be called, or with `texting` that it can receive a message.

    Raises:
        Refusal: it cannot, because of its prefix or because it is a magic number.
    """
    if number.startswith(UNREACHABLE):
        raise Refusal("unreachable_destination", "no route to this prefix", "to")
    refused = magic(number).refused or (magic(number).texts_refused if texting else None)
    if refused is not None:
        raise Refusal(*refused, "to")


def apply_trouble(account: Account, number: str) -> None:
    """Apply the server trouble of a magic number: 0160 throttles the next request, 0161 fails every other request.

    Raises:
        Refusal: with the status 500, for 0161.
    """
    trouble = magic(number).trouble
    if trouble == "throttled":
        account.set_flag("tripped", THROTTLED, True)
    elif trouble == "failing" and number not in account.tripped:
        account.set_flag("tripped", number, True)
        raise Refusal("internal_error", "this number fails once; ask again")
    elif account.tripped.used:
        account.set_flag("tripped", number, False)


def take_throttle(account: Account) -> bool:
    """Whether a magic number makes this answer a 429; the answer after it is not one."""
    if not account.tripped.used:
        return False
    throttled = THROTTLED in account.tripped
    account.set_flag("tripped", THROTTLED, False)
    return throttled


def take_cut(account: Account, call: Call) -> bool:
    """Whether to end this connection to a call's live transcript; true once for each call."""
    if "cut" not in {magic(call.to).transcript, magic(call.from_).transcript} or call.id in account.tripped:
        return False
    account.set_flag("tripped", call.id, True)
    return True
