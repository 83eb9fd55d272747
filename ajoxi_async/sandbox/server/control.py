"""The control surface: the sandbox's own commands over HTTP under ``/_ajoxi/``, for test suites in any language.

Rules:
1. It has a token of its own, which is not an API key. It accepts requests from this machine only, on whatever address the sandbox
   listens.
2. The Host header must name this machine, and an Origin must be the sandbox's own. This refuses the requests of a web page that
   reaches the sandbox by DNS rebinding.
3. ``X-Ajoxi-Key`` selects the world, by a key or the id of a key; without it, requests act on the world of the sandbox's own key.
4. Bodies are JSON objects, checked like those of the API; errors have the API's envelope.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from attrs import define, field

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.errors import CODE_STATUS, InvalidParameterError, error_body
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox.faults.broken_answers import StreamedResponse
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server import (
    control_deliveries,
    control_feed,
    control_keys,
    control_lists,
    control_outcomes,
    control_snapshots,
    control_time,
)
from ajoxi_async.sandbox.server.control_request import ControlRequest, Route
from ajoxi_async.sandbox.server.control_snapshots import KeptSnapshots
from ajoxi_async.sandbox.server.control_time import fired_json
from ajoxi_async.sandbox.server.request_log import RequestLog
from ajoxi_async.sandbox.state.numbers import FIRST_NUMBER
from ajoxi_async.sandbox.time.clock import AdvanceStoppedError, NeverHappenedError
from ajoxi_async.sandbox.worlds import Worlds

__all__ = ["Control"]

KEY_HEADER = "x-ajoxi-key"


@define(eq=False)
class Control:
    """The control surface of one sandbox.

    Attributes:
        worlds: the keys, and the world of each.
        own_key: the key whose world a request acts on if it names no key.
        token: the token that requests must have.
        requests: the log of the API's last requests.
        snapshots: the snapshots that were made with the control surface.
    """

    worlds: Worlds
    own_key: str = field(repr=False)
    token: str = field(repr=False)
    requests: RequestLog = field(factory=RequestLog)
    snapshots: KeptSnapshots = field(factory=KeptSnapshots, init=False)

    async def handle(self, request: Request, peer: str | None) -> Response | StreamedResponse:
        """Answer a request that came from `peer`."""
        sent = {name.lower(): value for name, value in request.headers.items()}
        try:
            self._admit(sent, peer)
            status, shown = await self._respond(request, sent)
            if isinstance(shown, StreamedResponse):
                return shown
            if self.worlds.save is not None:
                await self.worlds.save()
        except (NeverHappenedError, AdvanceStoppedError) as error:
            code = "never_happened" if isinstance(error, NeverHappenedError) else "advance_stopped"
            status, shown = 409, {**error_body(code, error.message), "fired": await fired_json(error.fired)}
        except InvalidParameterError as error:
            code = "missing_parameter" if error.missing else "invalid_parameter"
            status, shown = 400, error_body(code, error.why, codec.wire_name(error.param))
        except Refusal as refusal:
            status = refusal.status or CODE_STATUS[refusal.code]
            shown = error_body(refusal.code, refusal.message, refusal.param)
        return Response(status, {headers.CONTENT_TYPE: headers.JSON}, codec.encode(shown))

    def _admit(self, sent: Mapping[str, str], peer: str | None) -> None:
        if peer is None or not _is_loopback(peer):
            raise Refusal("permission_denied", "the control surface answers this machine alone")
        host = sent.get("host", "")
        if not _is_local_host(host):
            raise Refusal("permission_denied", "the Host header does not name this machine")
        if "origin" in sent and sent["origin"].lower() != f"http://{host.lower()}":
            raise Refusal("permission_denied", "the Origin header is another site's")
        scheme, _, token = sent.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(_bytes(token.strip()), _bytes(self.token)):
            raise Refusal("authentication_required", "send 'Authorization: Bearer' with the control token, no API key")

    async def _respond(self, request: Request, sent: Mapping[str, str]) -> tuple[int, Any]:
        try:
            parts = urlsplit(request.url)
            pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=50, errors="strict")
            body = codec.parse_json(request.body, strict=True, bounded=True) if request.body else {}
        except (ValueError, codec.DecodeError):
            raise Refusal("invalid_json", "a request that cannot be read") from None
        if type(body) is not dict:
            raise InvalidParameterError("body", f"expected a JSON object, got {type(body).__name__}")
        found = [(route, match) for route in ROUTES if (match := route.pattern.fullmatch(parts.path))]
        if not found:
            raise Refusal("not_found", f"expected one of {', '.join(sorted({route.path for route in ROUTES}))}")
        for route, match in found:
            if route.method == request.method:
                key = sent.get(KEY_HEADER, self.own_key)
                id = match.groupdict().get("id", "")
                addressed = ControlRequest(self.worlds, self.requests, key, id, pairs, body)
                for world in list(self.worlds.by_key.values()):
                    await world.whole()
                answer = route.act(self, addressed)
                return route.status, await answer if isinstance(answer, Awaitable) else answer
        raise Refusal("method_not_allowed", f"expected {' or '.join(route.method for route, _ in found)}")

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
    *control_time.ROUTES,
    *control_keys.ROUTES,
    Route("GET", "faults", Control.list_faults),
    Route("POST", "faults", Control.add_fault, 201),
    Route("DELETE", "faults", Control.clear_faults),
    Route("DELETE", "faults/{id}", Control.remove_fault),
    *control_outcomes.ROUTES,
    Route("POST", "inbound/calls", Control.inbound_call, 201),
    Route("POST", "inbound/messages", Control.inbound_message, 201),
    *control_snapshots.ROUTES,
    Route("POST", "reset", Control.reset),
    *control_deliveries.ROUTES,
    *control_lists.ROUTES,
    *control_feed.ROUTES,
)


def _required(given: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        if name not in given:
            raise InvalidParameterError(name, "required", missing=True)
    return given


def _bytes(text: str) -> bytes:
    # aiohttp decodes bytes of a header that are not UTF-8 to halves of surrogate pairs.
    return text.encode(errors="surrogatepass")


def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inside = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (inside or ip).is_loopback


def _is_local_host(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or _is_loopback(name)
