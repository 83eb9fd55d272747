"""Events for tests of handlers and receivers.

The package is imported only when a test makes an event, so that the plugin does not slow down other test runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ajoxi_async.contract.webhooks import Event
    from ajoxi_async.webhooks import SignedEvent

__all__ = ["EventFactory"]


class EventFactory:
    """Makes events with ids in order, ``evt_00000001`` and so on.

    Args:
        secret: with which `signed` signs.
    """

    def __init__(self, secret: str | Sequence[str] = "whsec_test") -> None:  # noqa: S107 - of tests
        self.secret = secret
        self._made = 0

    def __call__(
        self, type: str = "call.completed", *, id: str | None = None, created_at: datetime | None = None, **data: Any
    ) -> Event:
        """Make an event as `parse_event` returns it, with the bytes of its delivery in ``raw``.

            handler(event_factory("call.completed", disposition="busy", duration=0))

        Args:
            type: of the event; one that this version does not know makes an `UnknownEvent`.
            id: of the event, in order by default.
            created_at: now by default.
            **data: fields of its object in place of the sample's, by their names in Python; ``data_id`` is the object's id,
                and ``None`` leaves a field out.

        Raises:
            DecodeError: a field does not fit its object.
            InvalidParameterError: JSON cannot hold a value, or `type` is no text.
        """
        from ajoxi_async.contract.codec import decode_event, encode, json_value, wire_name
        from ajoxi_async.contract.errors import InvalidParameterError
        from ajoxi_async.webhooks.samples import sample_data

        if not isinstance(type, str):
            raise InvalidParameterError(
                "type", f"expected the type of an event such as 'call.completed', got {type.__class__.__name__}"
            )
        self._made += 1
        given = {"id" if name == "data_id" else wire_name(name): value for name, value in data.items()}
        whole = sample_data(type) | given
        body = {
            "id": id or f"evt_{self._made:08d}",
            "type": type,
            "created_at": created_at or datetime.now(UTC),
            "mode": "test",
            "data": {name: value for name, value in whole.items() if value is not None},
        }
        return decode_event(encode(json_value(body, "event")))

    def signed(self, type: str = "call.completed", **fields: Any) -> SignedEvent:
        """Make a delivery of such an event: ``client.post(path, content=signed.body, headers=signed.headers)``."""
        from ajoxi_async.webhooks import sign_event

        return sign_event(self(type, **fields), self.secret)
