"""The control surface: the sandbox's own commands over HTTP under ``/_ajoxi/``, for test suites in any language.

Rules:
1. It has a token of its own, which is not an API key, and also accepts the sessions of the console.
2. It accepts requests from this machine only, and none of other sites' pages: see `admission`.
3. ``X-Ajoxi-Key`` selects the world, by a key or the id of a key; without it, or with ``main``, requests act on the world of the
   sandbox's own key.
4. Bodies are JSON objects, checked like those of the API; errors have the API's envelope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from attrs import define, field

from ajoxi_async.contract import codec
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox.faults.broken_answers import StreamedResponse
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.admission import DATA_HEADERS, check_machine, check_site, check_token
from ajoxi_async.sandbox.server.control import (
    conversations,
    deliveries,
    feed,
    keys,
    ledger,
    lists,
    outcomes,
    overview,
    receivers,
    snapshots,
    time,
    vocabulary,
    webhooks,
)
from ajoxi_async.sandbox.server.control.answers import REFUSED, error_answer, json_answer
from ajoxi_async.sandbox.server.control.conversations import Conversations
from ajoxi_async.sandbox.server.control.ledger import LedgerFile
from ajoxi_async.sandbox.server.control.receivers import Receivers
from ajoxi_async.sandbox.server.control.request import PREFIX, ControlRequest, Route
from ajoxi_async.sandbox.server.control.snapshots import KeptSnapshots
from ajoxi_async.sandbox.server.request_log import RequestLog
from ajoxi_async.sandbox.state.numbers import FIRST_NUMBER
from ajoxi_async.sandbox.world import World
from ajoxi_async.sandbox.worlds import Worlds

__all__ = ["KEY_HEADER", "Control"]

KEY_HEADER = "x-ajoxi-key"


@define(eq=False)
class Control:
    """The control surface of one sandbox.

    Attributes:
        worlds: the keys, and the world of each.
        own_key: the key whose world a request acts on if it names no key.
        token: the token that requests must have.
        requests: the log of the API's last requests.
        signed_in: whether the headers of a request have the cookie of a console session.
        base_url: returns the URL at which this machine reaches the sandbox.
        ledger: a ledger of the dialer to show, if one was given.
        snapshots: the snapshots that were made with the control surface.
        conversations: the threads of messages that were asked for.
        receivers: the test receivers.
    """

    worlds: Worlds
    own_key: str = field(repr=False)
    token: str = field(repr=False)
    requests: RequestLog = field(factory=RequestLog)
    signed_in: Callable[[Mapping[str, str]], bool] = field(default=lambda _: False)
    base_url: Callable[[], str] = field(default=lambda: "")
    ledger: LedgerFile | None = None
    snapshots: KeptSnapshots = field(factory=KeptSnapshots, init=False)
    conversations: Conversations = field(factory=Conversations, init=False)
    receivers: Receivers = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.receivers = Receivers(self.worlds)

    async def handle(self, request: Request, peer: str | None) -> Response | StreamedResponse:
        """Answer a request that came from `peer`."""
        sent = {name.lower(): value for name, value in request.headers.items()}
        try:
            check_machine(sent, peer)
            if (posted := await self.receivers.receive(request.url.partition("?")[0], request, sent)) is not None:
                return posted
            check_site(sent)
            check_token(request.method, sent, self.token, self.signed_in)
            status, shown = await self._respond(request, sent)
            if isinstance(shown, StreamedResponse):
                return StreamedResponse({**DATA_HEADERS, **shown.headers}, shown.chunks, shown.status)
            if self.worlds.save is not None:
                await self.worlds.save()
        except REFUSED as error:
            return await error_answer(error)
        return json_answer(status, shown)

    async def _respond(self, request: Request, sent: Mapping[str, str]) -> tuple[int, Any]:
        try:
            parts = urlsplit(request.url)
            pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=50, errors="strict")
            body = codec.parse_json(request.body, strict=True, bounded=True) if request.body else {}
        except (ValueError, codec.DecodeError):
            raise Refusal("invalid_json", "a request that cannot be read") from None
        if type(body) is not dict:
            raise InvalidParameterError("body", f"expected a JSON object, got {type(body).__name__}")
        route, id = _find(request.method, parts.path)
        # A page of the console that is looked at makes no world.
        make_world = request.method != "GET" or "authorization" in sent
        key = sent.get(KEY_HEADER, self.own_key)
        addressed = self._addressed(key, id, pairs, body, make_world=make_world)
        return route.status, await self._carry_out(route, addressed)

    def _addressed(
        self, key: str, id: str, pairs: list[tuple[str, str]], body: dict[str, Any], *, make_world: bool
    ) -> ControlRequest:
        return ControlRequest(self.worlds, self.requests, key, id, pairs, body, make_world, self.base_url())

    async def _carry_out(self, route: Route, addressed: ControlRequest) -> Any:
        for world in list(self.worlds.by_key.values()):
            await world.whole()
        answer = route.act(self, addressed)
        return await answer if isinstance(answer, Awaitable) else answer

    def world(self, key: str | None, *, make: bool) -> World:
        """The world of a key.

        Args:
            key: the key, or the id of one; ``None`` for the sandbox's own.
            make: whether it is made if it does not exist yet.

        Raises:
            InvalidParameterError: the key is not one of this sandbox.
            Refusal: the world does not exist, and is not to be made.
        """
        named = key if key is not None else self.own_key
        return self._addressed(named, "", [], {}, make_world=make).world

    async def look(self, url: str, key: str) -> Any:
        """The content of the answer to a GET, for the console's feed.

        Args:
            url: path and query, without the prefix of the surface.
            key: the key of the world to look at, or the id of this key. No world is made.

        Raises:
            Refusal: there is no such route or world, or the route refuses.
            InvalidParameterError: a parameter is wrong.
        """
        path, _, query = url.partition("?")
        route, id = _find("GET", PREFIX + path)
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50, errors="strict")
        except ValueError:
            raise Refusal("invalid_json", "a query that cannot be read") from None
        addressed = self._addressed(key, id, pairs, {}, make_world=False)
        return await self._carry_out(route, addressed)

    # One method for each route

    def list_faults(self, request: ControlRequest) -> Any:
        """GET faults: the faults with their counts."""
        return {"data": [fault.to_dict() for fault in request.world.faults]}

    def add_fault(self, request: ControlRequest) -> Any:
        """POST faults: add a fault; takes the arguments of `Faults.add`."""
        number = int | float
        given = request.take(
            action=str, match=str, when=str, n=int, p=number, status=int, code=str, retry_after=int, seconds=number,
            delay=number, events=int,
        )  # fmt: skip
        if "action" not in given:
            raise InvalidParameterError("action", "required", missing=True)
        return request.world.faults.add(**given).to_dict()

    def clear_faults(self, request: ControlRequest) -> Any:
        """DELETE faults."""
        request.world.faults.clear()
        return {}

    def remove_fault(self, request: ControlRequest) -> Any:
        """DELETE faults/{id}."""
        try:
            request.world.faults.remove(request.id)
        except KeyError:
            raise Refusal("not_found", f"no fault {request.id[:60]}") from None
        return {}

    def inbound_call(self, request: ControlRequest) -> Any:
        """POST inbound/calls: simulate a call to one of the account's numbers."""
        given = _required(request.take(**{"from": str, "to": str}), "from")
        return request.world.inbound_call(from_=given["from"], to=given.get("to", FIRST_NUMBER)).to_dict()

    def inbound_message(self, request: ControlRequest) -> Any:
        """POST inbound/messages: simulate a message to one of the account's numbers."""
        given = _required(request.take(**{"from": str, "to": str, "body": str}), "from", "body")
        return request.world.inbound_message(
            from_=given["from"], to=given.get("to", FIRST_NUMBER), body=given["body"]
        ).to_dict()

    def reset(self, request: ControlRequest) -> Any:
        """POST reset."""
        request.world.reset()
        return {}


ROUTES = (
    *time.ROUTES,
    *keys.ROUTES,
    Route("GET", "faults", Control.list_faults),
    Route("POST", "faults", Control.add_fault, 201),
    Route("DELETE", "faults", Control.clear_faults),
    Route("DELETE", "faults/{id}", Control.remove_fault),
    *outcomes.ROUTES,
    Route("POST", "inbound/calls", Control.inbound_call, 201),
    Route("POST", "inbound/messages", Control.inbound_message, 201),
    *snapshots.ROUTES,
    Route("POST", "reset", Control.reset),
    *deliveries.ROUTES,
    *webhooks.ROUTES,
    *lists.ROUTES,
    *conversations.ROUTES,
    *overview.ROUTES,
    *receivers.ROUTES,
    *ledger.ROUTES,
    *vocabulary.ROUTES,
    *feed.ROUTES,
)


def _matching(path: str) -> list[tuple[Route, str]]:
    """The routes of a path, each with the id in it."""
    return [(route, match.groupdict().get("id", "")) for route in ROUTES if (match := route.pattern.fullmatch(path))]


#: The routes of the paths without an id, which need no search.
_FIXED = {path: _matching(path) for route in ROUTES if "{" not in (path := PREFIX + route.path)}


def _find(method: str, path: str) -> tuple[Route, str]:
    """The route of a request, and the id in its path."""
    found = _FIXED.get(path) or _matching(path)
    if not found:
        raise Refusal("not_found", f"expected one of {', '.join(sorted({route.path for route in ROUTES}))}")
    for route, id in found:
        if route.method == method:
            return route, id
    raise Refusal("method_not_allowed", f"expected {' or '.join(route.method for route, _ in found)}")


def _required(given: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        if name not in given:
            raise InvalidParameterError(name, "required", missing=True)
    return given
