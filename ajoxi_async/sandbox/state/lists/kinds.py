"""The lists of an account: for each kind of object, what it is indexed by and when it is not expected to change any more."""

from __future__ import annotations

from ajoxi_async.contract.calls import Call, CallStatus
from ajoxi_async.contract.messages import Message, MessageStatus
from ajoxi_async.contract.numbers import Number
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.sandbox.state.lists import filter_keys
from ajoxi_async.sandbox.state.lists.store import Store

__all__ = ["calls", "messages", "numbers", "recordings"]

# Members of an enum are slow to look up, and this is asked at each change.
_COMPLETED = CallStatus.COMPLETED
_UNDER_WAY = frozenset((MessageStatus.QUEUED, MessageStatus.SENT))


def calls() -> Store[Call]:
    """Calls, which are found by the id of their transcript as well."""
    return Store(
        filter_keys.of_call, alias=lambda call: call.transcript_id, settled=lambda call: call.status == _COMPLETED
    )


def messages() -> Store[Message]:
    """Messages."""
    return Store(filter_keys.of_message, settled=lambda message: message.status not in _UNDER_WAY)


def recordings() -> Store[Recording]:
    """Recordings, which never change."""
    return Store(filter_keys.of_recording, settled=lambda _: True)


def numbers() -> Store[Number]:
    """The account's own numbers."""
    return Store(filter_keys.of_number)
