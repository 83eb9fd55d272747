"""What numbers do to a request itself: refuse it, fail it once, throttle the next one, cut a stream once.

The effects that happen once are kept in `Account.tripped`, as the number or the call they belong to.
"""

from __future__ import annotations

from ajoxi_async.contract.calls import Call
from ajoxi_async.sandbox.outcomes.magic import magic
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state.account import Account

__all__ = ["apply_trouble", "require_reachable", "take_cut", "take_throttle"]

#: Prefixes nobody can be reached under: an unassigned country code, and premium-rate numbers.
UNREACHABLE = ("+999", "+1900")
#: In `Account.tripped`: the next answer is a 429.
THROTTLED = "throttled"


def require_reachable(number: str, *, texting: bool = False) -> None:
    """Check that a number can be called, or with `texting` sent a message.

    Raises:
        Refusal: it cannot, by its prefix or because it is magic.
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
    account.set_flag("tripped", number, False)


def take_throttle(account: Account) -> bool:
    """Whether a magic number makes this answer a 429; the next one is none."""
    throttled = THROTTLED in account.tripped
    account.set_flag("tripped", THROTTLED, False)
    return throttled


def take_cut(account: Account, call: Call) -> bool:
    """Whether this connection to a call's live transcript is the one that is cut; true once for each call."""
    if "cut" not in {magic(call.to).transcript, magic(call.from_).transcript} or call.id in account.tripped:
        return False
    account.set_flag("tripped", call.id, True)
    return True
