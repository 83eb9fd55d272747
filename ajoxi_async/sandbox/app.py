"""From a request to its answer, whatever it came by: key, quota, route, permission, parameters, command, envelope.

Rules:
1. Whatever is sent, the answer is the documented error body with the right status (API reference: Errors & status
   codes), with a request id and the rate-limit headers. No input makes a 500, but for the
   magic number that asks for one.
2. Any well-formed key is an account of its own, made when it is first seen; with `strict_keys` only minted ones are.
3. Before a command runs, everything that was due by then has happened.
"""

from __future__ import annotations

import random
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import define, field, frozen

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.base import Model
from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.codec import DecodeError, PageBody
from ajoxi_async.contract.errors import CODE_STATUS, InvalidParameterError, error_body
from ajoxi_async.contract.numbers import Number
from ajoxi_async.contract.routes import ROUTES, Route
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.protocol.credentials import Mode
from ajoxi_async.sandbox import inventory, media, streams
from ajoxi_async.sandbox.breakage import cut_stream
from ajoxi_async.sandbox.clock import Clock
from ajoxi_async.sandbox.handlers import HANDLERS, Command
from ajoxi_async.sandbox.plans import Timing
from ajoxi_async.sandbox.quota import Quota
from ajoxi_async.sandbox.stream_faults import StreamFault
from ajoxi_async.sandbox.world import Account, Refusal

__all__ = ["App", "EventStream", "Key"]

MAX_BODY = 1024 * 1024
#: Events after which the stream of a magic number is cut.
CUT_AFTER = 3

_KEY = re.compile(r"AJX_(?P<mode>LIVE|TEST)_[\x21-\x7e]{1,200}")


@frozen
class Key:
    """What a minted key may do: everything but the routes in `deny`."""

    mode: Mode
    deny: frozenset[str] = frozenset()


@frozen
class EventStream:
    """An answer that is written as it happens."""

    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes] = field(eq=False)
    status: int = 200


class _Paths:
    """The routes by path."""

    def __init__(self) -> None:
        self._by_path: dict[str, list[Route[Any]]] = {}
        for route in ROUTES.values():
            self._by_path.setdefault(route.path, []).append(route)
        self._patterns = [
            (re.compile(re.escape(path).replace(re.escape("{id}"), "(?P<id>[^/]+)")), routes)
            for path, routes in self._by_path.items()
        ]

    def find(self, path: str) -> tuple[list[Route[Any]], str]:
        for pattern, routes in self._patterns:
            if match := pattern.fullmatch(path):
                return routes, unquote(match.groupdict().get("id") or "", errors="replace")
        raise Refusal("not_found", "no such endpoint")


def _choose(routes: list[Route[Any]], method: str, accept: str, body: Any) -> Route[Any]:
    """The route of a method; where two share method and path, what was asked for decides."""
    fitting = [route for route in routes if route.method == method]
    if not fitting:
        raise Refusal("method_not_allowed", f"{method[:20]} is not allowed here")
    if any(route.streaming for route in fitting):
        wanted = headers.EVENT_STREAM in accept
        return next(route for route in fitting if route.streaming == wanted)
    if len(fitting) > 1:
        campaign = isinstance(body, dict) and "campaign" in body
        return next(route for route in fitting if route.name.endswith("_campaign") == campaign)
    return fitting[0]


@define(eq=False)
class App:
    """All accounts of one sandbox."""

    seed: int
    clock: Clock
    timing: Timing
    rate_limit: int | None
    strict_keys: bool
    base_url: str
    on_change: Callable[[], None] = lambda: None
    monotonic: Callable[[], float] = time.monotonic
    accounts: dict[str, Account] = field(factory=dict, init=False)
    keys: dict[str, Key] = field(factory=dict, init=False)
    stream_faults: deque[StreamFault] = field(factory=deque, init=False)
    _logs: streams.Logs = field(factory=streams.Logs, init=False)
    _quotas: dict[str, Quota] = field(factory=dict, init=False)
    _paths: _Paths = field(factory=_Paths, init=False)
    _request_ids: random.Random = field(init=False)
    _inventory: tuple[Number, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._request_ids = random.Random(f"{self.seed}/requests")
        self._inventory = inventory.build(self.seed)

    def account(self, key: str) -> Account:
        """The account of a key, made when it is first asked for."""
        if key not in self.accounts:
            self.accounts[key] = Account(
                self.seed,
                "live" if key.startswith("AJX_LIVE_") else "test",
                key,
                self._inventory,
                self.timing,
                f"{self.base_url}/media",
                self.clock.now(),
            )
        return self.accounts[key]

    def run_due(self) -> None:
        """Let everything that is due happen, in every account."""
        now = self.clock.now()
        for account in self.accounts.values():
            account.run_due(now)

    async def handle(self, request: Request) -> Response | EventStream:
        """Answer a request."""
        sent = {name.lower(): value for name, value in request.headers.items()}
        answer = {headers.REQUEST_ID: f"req_{self._request_ids.getrandbits(64):016x}"}
        try:
            return self._respond(request, sent, answer)
        except Refusal as refusal:
            return _refused(refusal, answer)
        except InvalidParameterError as error:
            code = "missing_parameter" if error.missing else "invalid_parameter"
            return _refused(Refusal(code, error.why, codec.wire_name(error.param)), answer)

    def _respond(self, request: Request, sent: Mapping[str, str], answer: dict[str, str]) -> Response | EventStream:
        try:
            parts = urlsplit(request.url)
        except ValueError:
            raise Refusal("not_found", "no such endpoint") from None
        if parts.path.startswith("/media/"):
            return self._media(parts.path, answer)
        key = self._authenticate(sent.get("authorization"), answer)
        account = self.account(key)
        if account.throttled:
            account.throttled = False
            answer[headers.RETRY_AFTER] = "1"
            raise Refusal("rate_limited", "the number asked for before makes this a 429")
        routes, id = self._paths.find(parts.path)
        body = self._body(request, sent) if request.method in {"POST", "PUT"} else None
        try:
            route = _choose(routes, request.method, sent.get("accept", ""), body)
        except Refusal:
            answer["Allow"] = ", ".join(sorted({route.method for route in routes}))
            raise
        if route.name in self.keys.get(key, Key("test")).deny:
            raise Refusal("permission_denied", f"this key may not use {route.name}")
        command = Command(account, self.clock.now(), id, _params(route, parts.query, body))
        account.run_due(command.now)
        result = HANDLERS[route.name](command)
        self.on_change()
        if route.streaming and isinstance(result, Call):
            return self._stream(account, result, streams.place_after(sent.get("last-event-id")), answer)
        return _answer(route, result, answer)

    def _authenticate(self, authorization: str | None, answer: dict[str, str]) -> str:
        if authorization is None:
            answer.update(Quota(self.rate_limit).headers(0.0, time.time()))
            raise Refusal("authentication_required", "no Authorization header; send 'Bearer AJX_TEST_...'")
        scheme, _, key = authorization.partition(" ")
        well_formed = scheme.lower() == "bearer" and _KEY.fullmatch(key.strip()) is not None
        key = key.strip()
        if not well_formed or (self.strict_keys and key not in self.keys):
            answer.update(Quota(self.rate_limit).headers(0.0, time.time()))
            raise Refusal("invalid_api_key", "this is not a key of this sandbox")
        quota = self._quotas.setdefault(key, Quota(self.rate_limit))
        moment = self.monotonic()
        admitted = quota.admit(moment)
        answer.update(quota.headers(moment, time.time()))
        if not admitted:
            answer[headers.RETRY_AFTER] = "1"
            raise Refusal("rate_limited", f"over {self.rate_limit} requests a second")
        return key

    @staticmethod
    def _body(request: Request, sent: Mapping[str, str]) -> Any:
        if sent.get("content-encoding", "identity").lower() != "identity":
            raise Refusal("invalid_json", "a body with a Content-Encoding is not taken")
        if len(request.body or b"") > MAX_BODY:
            raise Refusal("invalid_parameter", f"a body over {MAX_BODY} bytes is not taken")
        try:
            return codec.parse_json(request.body or b"")
        except DecodeError as error:
            raise Refusal("invalid_json", str(error)) from None

    def _media(self, path: str, answer: dict[str, str]) -> Response:
        id = path.removeprefix("/media/").removesuffix(".wav")
        recording = next((found for a in self.accounts.values() if (found := a.recordings.get(id))), None)
        if recording is None:
            raise Refusal("not_found", "no such recording")
        return Response(200, {**answer, headers.CONTENT_TYPE: "audio/wav"}, media.wav(recording.duration or 0))

    def _stream(self, account: Account, call: Call, place: int, answer: dict[str, str]) -> Response | EventStream:
        log = self._logs.of(account, call)
        if log is not None and place >= len(log):
            return Response(204, answer, b"")
        shown = {**answer, headers.CONTENT_TYPE: headers.EVENT_STREAM, "Cache-Control": "no-cache"}
        chunks = streams.live_transcript(account, call.id, place, self.clock)
        if account.cuts(call):
            chunks = cut_stream(chunks, CUT_AFTER)
        return EventStream(shown, chunks)


def _params(route: Route[Any], query: str, body: Any) -> Any:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError:
        raise Refusal("invalid_parameter", "the query string cannot be read") from None
    if route.query is not None:
        return codec.parse_query(pairs, route.query)
    if pairs:
        raise InvalidParameterError(pairs[0][0][:100], "no such parameter")
    return codec.parse_params(body, route.body) if route.body is not None else None


def _answer(route: Route[Any], result: Model | PageBody[Any] | None, answer: dict[str, str]) -> Response:
    if result is None:
        return Response(route.status, answer, b"")
    if isinstance(result, PageBody):
        shown: Any = {
            "data": [codec.to_wire(item) for item in result.data],
            "next_cursor": result.next_cursor,
            "has_more": result.has_more,
        }
    else:
        shown = result
    return Response(route.status, {**answer, headers.CONTENT_TYPE: headers.JSON}, codec.encode(shown))


def _refused(refusal: Refusal, answer: Mapping[str, str]) -> Response:
    body = codec.encode(error_body(refusal.code, refusal.message, refusal.param))
    status = refusal.status or CODE_STATUS[refusal.code]
    return Response(status, {**answer, headers.CONTENT_TYPE: headers.JSON}, body)
