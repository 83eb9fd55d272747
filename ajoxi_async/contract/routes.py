"""Every endpoint, declared once (API reference: Core Endpoints).

`Route` says how a method, a sandbox handler and a test reach an endpoint, and what comes back. To add an endpoint, add a
constant here: the parity test then names the method, the handler and the test that are missing.
"""

from __future__ import annotations

import re
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from attrs import field, frozen

from ajoxi_async.contract.base import Params
from ajoxi_async.contract.calls import Call, CallCreate, CallList, CallTransfer, Campaign, CampaignCreate
from ajoxi_async.contract.encoding.exact_values import exact
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.messages import Message, MessageList, MessageSend
from ajoxi_async.contract.numbers import Number, NumberProvision, NumberSearch, NumberUpdate
from ajoxi_async.contract.recordings import Recording, RecordingList
from ajoxi_async.contract.transcripts import Segment, Transcript
from ajoxi_async.contract.webhooks import Webhook, WebhookCreate, WebhookList

__all__ = ["ROUTES", "Route"]

T = TypeVar("T")

#: Ids that need no quoting, as all of the API's own.
_PLAIN = re.compile(r"\w{1,256}", re.ASCII)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@frozen
class Route(Generic[T]):
    """One endpoint.

    Attributes:
        name: the client's method, such as ``calls.create``.
        status: the status of success.
        returns: what the body, or each item of a list, decodes into; ``None`` where there is no body.
        query: parameters that are sent in the query string.
        body: parameters that are sent as JSON.
        listing: whether the answer is a page.
        streaming: whether the answer is an event stream.
    """

    name: str
    method: str
    path: str
    status: int
    returns: type[T]
    query: type[Params] | None = None
    body: type[Params] | None = None
    listing: bool = False
    streaming: bool = False
    _around: tuple[str, str] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        before, _, after = self.path.partition("{id}")
        object.__setattr__(self, "_around", (before, after))

    def path_for(self, id: str | None = None) -> str:
        """The path with `id` in it, quoted so that no id can lead to another endpoint.

        Raises:
            InvalidParameterError: `id` is empty, not a string, a dot segment, or has control characters or half a surrogate pair.
        """
        before, after = self._around
        if type(id) is str and _PLAIN.fullmatch(id):  # first, for this is on the path of every request
            return before + id + after
        if id is None and "{id}" not in self.path:
            return self.path
        id = exact(id, "id")
        if not isinstance(id, str) or not id or id in {".", ".."} or _UNSAFE.search(id) or len(id) > 256:
            raise InvalidParameterError("id", f"expected an id such as 'call_8f2a1b3c', got {str(id)[:40]!r}")
        return before + quote(id, safe="") + after


CALLS_LIST: Route[Call] = Route("calls.list", "GET", "/v1/calls", 200, Call, query=CallList, listing=True)
CALLS_CREATE: Route[Call] = Route("calls.create", "POST", "/v1/calls", 201, Call, body=CallCreate)
CALLS_CREATE_CAMPAIGN: Route[Campaign] = Route(
    "calls.create_campaign", "POST", "/v1/calls", 201, Campaign, body=CampaignCreate
)
CALLS_RETRIEVE: Route[Call] = Route("calls.retrieve", "GET", "/v1/calls/{id}", 200, Call)
CALLS_TRANSFER: Route[Call] = Route("calls.transfer", "POST", "/v1/calls/{id}/transfer", 200, Call, body=CallTransfer)

NUMBERS_SEARCH: Route[Number] = Route(
    "numbers.search", "GET", "/v1/numbers", 200, Number, query=NumberSearch, listing=True
)
NUMBERS_PROVISION: Route[Number] = Route("numbers.provision", "POST", "/v1/numbers", 201, Number, body=NumberProvision)
NUMBERS_UPDATE: Route[Number] = Route("numbers.update", "PUT", "/v1/numbers/{id}", 200, Number, body=NumberUpdate)
NUMBERS_RELEASE: Route[None] = Route("numbers.release", "DELETE", "/v1/numbers/{id}", 204, type(None))

MESSAGES_LIST: Route[Message] = Route(
    "messages.list", "GET", "/v1/messages", 200, Message, query=MessageList, listing=True
)
MESSAGES_SEND: Route[Message] = Route("messages.send", "POST", "/v1/messages", 201, Message, body=MessageSend)

RECORDINGS_LIST: Route[Recording] = Route(
    "recordings.list", "GET", "/v1/recordings", 200, Recording, query=RecordingList, listing=True
)
RECORDINGS_RETRIEVE: Route[Recording] = Route("recordings.retrieve", "GET", "/v1/recordings/{id}", 200, Recording)

TRANSCRIPTS_RETRIEVE: Route[Transcript] = Route("transcripts.retrieve", "GET", "/v1/transcripts/{id}", 200, Transcript)
TRANSCRIPTS_STREAM: Route[Segment] = Route(
    "transcripts.stream", "GET", "/v1/transcripts/{id}", 200, Segment, streaming=True
)

WEBHOOKS_LIST: Route[Webhook] = Route(
    "webhooks.list", "GET", "/v1/webhooks", 200, Webhook, query=WebhookList, listing=True
)
WEBHOOKS_CREATE: Route[Webhook] = Route("webhooks.create", "POST", "/v1/webhooks", 201, Webhook, body=WebhookCreate)
WEBHOOKS_DELETE: Route[None] = Route("webhooks.delete", "DELETE", "/v1/webhooks/{id}", 204, type(None))

#: All of them, by name.
ROUTES: dict[str, Route[Any]] = {route.name: route for route in list(globals().values()) if isinstance(route, Route)}
