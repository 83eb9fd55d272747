"""Sample objects of events, for the command ``ajoxi webhooks`` and for tests."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["sample_data"]

_CALL: Final[dict[str, Any]] = {
    "id": "call_8f2a1b3c",
    "status": "completed",
    "direction": "outbound",
    "from": "+14155550100",
    "to": "+14155551234",
    "duration": 42,
    "disposition": "answered",
}
_DATA: Final[dict[str, dict[str, Any]]] = {
    "call": _CALL,
    "message": {"id": "msg_8f2a1b3c", "channel": "sms", "from": "+14155551234", "to": "+14155550100", "body": "Grüße"},
    "recording": {"id": "rec_8f2a1b3c", "call_id": "call_8f2a1b3c", "duration": 42},
    "transcript": {"id": "tr_8f2a1b3c", "call_id": "call_8f2a1b3c", "status": "completed", "segments": []},
}
#: What differs in the object of one type of event. ``None`` stands for a field that it does not have yet.
_OF_TYPE: Final[dict[str, dict[str, Any]]] = {
    "call.started": {"status": "ringing", "duration": None, "disposition": None},
    "call.answered": {"status": "answered", "duration": None, "disposition": None},
    "message.received": {"direction": "inbound", "status": "received"},
    "message.delivered": {"direction": "outbound", "status": "delivered"},
    "recording.ready": {"url": "http://127.0.0.1/media/rec_8f2a1b3c.wav", "content_type": "audio/wav"},
}


def sample_data(kind: str) -> dict[str, Any]:
    """The object of an event of this type, as it travels."""
    data = _DATA.get(kind.partition(".")[0], {"id": "x_8f2a1b3c"}) | _OF_TYPE.get(kind, {})
    return {name: value for name, value in data.items() if value is not None}
