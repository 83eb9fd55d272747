"""The values by which the objects of each list are indexed, as pairs of filter and value.

These are all filters of the API reference except dates, which are found by the order of the objects, and the filters that only
the control surface has: dispositions, and the status of messages.
"""

from __future__ import annotations

from collections.abc import Iterator

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.numbers import Number
from ajoxi_async.contract.recordings import Recording

__all__ = ["of_call", "of_digits", "of_message", "of_metadata", "of_number", "of_recording"]


def of_call(call: Call) -> list[tuple[str, str]]:
    """Status, direction, disposition, campaign, and each metadata entry."""
    keys = [("status", call.status or ""), ("direction", call.direction or "")]
    if call.disposition is not None:
        keys.append(("disposition", call.disposition))
    if call.campaign_id is not None:
        keys.append(("campaign_id", call.campaign_id))
    if call.metadata:
        keys.extend(of_metadata(call.metadata))
    return keys


def of_metadata(metadata: dict[str, str]) -> Iterator[tuple[str, str]]:
    """A key for each entry."""
    return ((f"metadata[{name}]", value) for name, value in metadata.items())


def of_message(message: Message) -> list[tuple[str, str]]:
    """Direction, channel, conversation and status."""
    return [
        ("direction", message.direction or ""),
        ("channel", message.channel or ""),
        ("conversation_id", message.conversation_id or ""),
        ("status", message.status or ""),
    ]


def of_recording(recording: Recording) -> list[tuple[str, str]]:
    """The agent, where there is one."""
    return [("agent_id", recording.agent_id)] if recording.agent_id else []


def of_number(number: Number) -> list[tuple[str, str]]:
    """Status, type, country, capabilities, and every three digits that follow each other."""
    return [
        ("status", number.status or ""),
        ("type", number.type or ""),
        ("country", number.country or ""),
        *(("capability", capability) for capability in number.capabilities),
        *of_digits((number.phone_number or "").lstrip("+")),
    ]


def of_digits(digits: str) -> list[tuple[str, str]]:
    """The keys that every number with these digits has, one after the other; none for fewer than three."""
    return [("digits", threes) for threes in sorted({digits[n : n + 3] for n in range(len(digits) - 2)})]
