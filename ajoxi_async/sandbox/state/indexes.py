"""By which values the objects of each list are indexed, as pairs of filter and value."""

from __future__ import annotations

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.recordings import Recording

__all__ = ["of_call", "of_message", "of_recording"]


def of_call(call: Call) -> list[tuple[str, str]]:
    """Direction, campaign and each metadata entry."""
    keys = [("direction", str(call.direction))]
    if call.campaign_id is not None:
        keys.append(("campaign_id", call.campaign_id))
    keys.extend((f"metadata[{name}]", value) for name, value in call.metadata.items())
    return keys


def of_message(message: Message) -> list[tuple[str, str]]:
    """Direction, channel and conversation."""
    return [
        ("direction", str(message.direction)),
        ("channel", str(message.channel)),
        ("conversation_id", message.conversation_id or ""),
    ]


def of_recording(recording: Recording) -> list[tuple[str, str]]:
    """The agent, where there is one."""
    return [("agent_id", recording.agent_id)] if recording.agent_id else []
