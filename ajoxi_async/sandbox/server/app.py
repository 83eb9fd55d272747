"""Answering the API's requests.

Rules:
1. The key, quota, route, permission and parameters are checked in this order; then the command runs.
2. A request that is refused gets the documented error body with the right status (API reference: Errors & status codes), a
   request id and the rate-limit headers. No input leads to a 500, except the magic number for it.
3. Any well-formed key is accepted and has an account of its own, which is made when the key is first used; with `strict_keys`
   only minted keys are accepted.
4. Each key has a world of its own. The faults of that world apply to the answers to its requests: see `faults`.
5. If a fault or a magic number loses the answer to a request and lets it be carried out later, it is postponed: see
   `late_requests`.
6. Before a command runs, everything that is due by its moment is carried out.
7. A request that the console makes for its user has a world in place of a key. Quota, permissions, faults and the magic number for
   429 do not apply to it. Its request ids are drawn apart, so that those of the API's requests are the same with and without a
   console. A GET of the console changes nothing, not even what is due, and is not logged. ``latest`` is the id of the newest object.
"""

from __future__ import annotations

import random
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from importlib.resources import files
from types import GeneratorType
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import anyio.lowlevel
import anyio.to_thread
from attrs import define, evolve, field, frozen

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.base import Model
from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.codec import DecodeError, PageBody
from ajoxi_async.contract.errors import CODE_STATUS, InvalidParameterError, error_body
from ajoxi_async.contract.routes import ROUTES, Route
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox.conversation import audio as media
from ajoxi_async.sandbox.faults import applying
from ajoxi_async.sandbox.faults.broken_answers import ConnectionBrokenError, StreamedResponse
from ajoxi_async.sandbox.faults.faults import Fault
from ajoxi_async.sandbox.faults.stream_faults import StreamFault
from ajoxi_async.sandbox.quota import Quota
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server import live_transcript
from ajoxi_async.sandbox.server.addresses import origin_of, with_origin
from ajoxi_async.sandbox.server.control.request import LATEST
from ajoxi_async.sandbox.server.handlers import HANDLERS, Command
from ajoxi_async.sandbox.server.long_answers import LongAnswer, encode_answer
from ajoxi_async.sandbox.server.open_streams import ChunksOfWorld
from ajoxi_async.sandbox.server.request_log import BROKEN, CountedChunks, LoggedRequest, RequestLog
from ajoxi_async.sandbox.state import late_requests
from ajoxi_async.sandbox.state.actions import run_due
from ajoxi_async.sandbox.state.magic_effects import take_cut, take_throttle
from ajoxi_async.sandbox.world import World
from ajoxi_async.sandbox.worlds import Worlds

__all__ = ["App"]

MAX_BODY = 1024 * 1024
#: The kind of the objects whose id is in the path of a route, by the beginning of the route's name.
_KINDS = {
    "calls": "call", "transcripts": "call", "numbers": "number", "recordings": "recording", "webhooks": "webhook"
}  # fmt: skip
#: Events after which the connection of a live transcript with number 0123 is ended.
CUT_AFTER = 3


@frozen
class _RoutedRequest:
    """A request whose route was found and whose body was parsed.

    Attributes:
        late: seconds after which the request is carried out, if a fault postpones it and loses its answer.
        lag: seconds after which lists show new objects, if a fault delays them.
    """

    route: Route[Any]
    id: str
    body: Any
    last_event_id: str | None
    origin: str
    late: float | None = None
    lag: float = 0.0


@cache
def _openapi() -> bytes:
    return files("ajoxi_async").joinpath("openapi.json").read_bytes()


class _Paths:
    """Finds the routes of a path."""

    def __init__(self) -> None:
        self._by_path: dict[str, list[Route[Any]]] = {}
        for route in ROUTES.values():
            self._by_path.setdefault(route.path, []).append(route)
        #: The paths without an id, which need no search.
        self._fixed = {path: routes for path, routes in self._by_path.items() if "{" not in path}
        self._patterns = [
            (re.compile(re.escape(path).replace(re.escape("{id}"), "(?P<id>[^/]+)")), routes)
            for path, routes in self._by_path.items()
        ]

    def find(self, path: str) -> tuple[list[Route[Any]], str]:
        if path in self._fixed:
            return self._fixed[path], ""
        for pattern, routes in self._patterns:
            if match := pattern.fullmatch(path):
                return routes, unquote(match.groupdict().get("id") or "", errors="replace")
        raise Refusal("not_found", "no such endpoint")

    def guess(self, entry: LoggedRequest) -> str | None:
        """The name of the route of a request that was refused before its body was parsed; ``None`` if there is none."""
        path, accept = entry.path, entry.request_headers.get("accept", "")
        found = next((routes for pattern, routes in self._patterns if pattern.fullmatch(path)), [])
        routes = [route for route in found if route.method == entry.method]
        if not routes:
            return None
        # The body was not parsed, so a campaign is recognised by the word in it.
        campaign = {"campaign": None} if b'"campaign"' in entry.request_body else None
        return _choose(routes, accept, campaign).name


def _choose(routes: list[Route[Any]], accept: str, body: Any) -> Route[Any]:
    """The route of a request. If two routes share method and path, the Accept header decides for GET and the body for others."""
    if len(routes) == 1:
        return routes[0]
    if routes[0].method == "GET":
        wanted = headers.EVENT_STREAM in accept
        return next(route for route in routes if route.streaming == wanted)
    campaign = isinstance(body, dict) and "campaign" in body
    return next(route for route in routes if route.name.endswith("_campaign") == campaign)


@define(eq=False)
class App:
    """Answers the API's requests.

    Attributes:
        worlds: the keys, and the world of each.
        base_url: the URL at which this machine reaches the sandbox.
        public_url: the URL at which others reach it: see `addresses`.
        monotonic: the clock of quotas and storms.
        requests: the last requests and their answers.
        stream_faults: faults of the next live transcripts, one for each connection.
    """

    worlds: Worlds
    base_url: str = "http://sandbox.invalid"
    public_url: str | None = None
    monotonic: Callable[[], float] = time.monotonic
    requests: RequestLog = field(factory=RequestLog, init=False)
    stream_faults: deque[StreamFault] = field(factory=deque, init=False)
    _logs: live_transcript.LiveLogs = field(factory=live_transcript.LiveLogs, init=False)
    _paths: _Paths = field(factory=_Paths, init=False)
    _request_ids: random.Random = field(init=False)
    _console_ids: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._request_ids = random.Random(f"{self.worlds.seed}/requests")
        self._console_ids = random.Random(f"{self.worlds.seed}/requests of the console")

    async def handle(self, request: Request, source: str = "api") -> Response | StreamedResponse:
        """Answer a request and log it.

        Args:
            request: what was sent.
            source: who sent it, for the log.

        Raises:
            ConnectionBrokenError: a fault ends the connection instead.
        """
        began = time.perf_counter()
        sent = {name.lower(): value for name, value in request.headers.items()}
        answer = {headers.REQUEST_ID: f"req_{self._request_ids.getrandbits(64):016x}"}
        entry = LoggedRequest(answer[headers.REQUEST_ID], request, sent, source)
        try:
            response = await self._handle(request, answer, entry)
            entry.answered(response)
            if isinstance(response, StreamedResponse):
                counted = CountedChunks(response.chunks, entry, self.requests, began)
                response = StreamedResponse(response.headers, counted, response.status)
        except ConnectionBrokenError:
            entry.error = BROKEN
            raise
        finally:
            if entry.status is None and entry.error is None:
                entry.error = "the client went away"
            if entry.route is None:
                entry.route = self._paths.guess(entry)
            entry.latency = time.perf_counter() - began
            self.requests.add(entry)
        return response

    async def act(self, world: World, request: Request) -> Response | StreamedResponse:
        """Answer a request that the console makes for its user, and log it unless it is a GET (rule 7).

        Args:
            world: the world to act on.
            request: the request as the API takes it.

        Raises:
            ConnectionBrokenError: a magic number in the request loses its answer.
        """
        began = time.perf_counter()
        sent = {name.lower(): value for name, value in request.headers.items()}
        if request.method == "GET":
            id = f"req_{secrets.token_hex(8)}"
            return await self._look(world, request, LoggedRequest(id, request, sent, "console"))
        answer = {headers.REQUEST_ID: f"req_{self._console_ids.getrandbits(64):016x}"}
        entry = LoggedRequest(answer[headers.REQUEST_ID], request, sent, "console")
        entry.key_id, entry.moment = world.id, world.clock.now()
        try:
            response = await self._act(world, request, answer, entry)
            entry.answered(response)
        except ConnectionBrokenError:
            entry.error = BROKEN
            raise
        finally:
            entry.latency = time.perf_counter() - began
            self.requests.add(entry)
        return response

    async def _act(
        self, world: World, request: Request, answer: dict[str, str], entry: LoggedRequest
    ) -> Response | StreamedResponse:
        try:
            parts = _split(request.url)
            routed = _newest(world, self._find(request, parts.path, answer, entry))
            response = await self._respond(world, routed, parts, answer)
        except (Refusal, InvalidParameterError) as error:
            response = _refused(error, answer)
        return response if self.worlds.save is None else await self._after_saving(response, answer)

    async def _look(self, world: World, request: Request, entry: LoggedRequest) -> Response:
        answer = {headers.REQUEST_ID: entry.id}
        try:
            parts = _split(request.url)
            routed = self._find(request, parts.path, answer, entry)
            route = routed.route
            if route.streaming:
                raise Refusal("permission_denied", "the console's feed has live transcripts, and it disturbs no clock")
            params = _params(route, parts.query, None)
            await world.whole()
            routed = _newest(world, routed)
            result: Any = HANDLERS[route.name](Command(world.account, world.clock.now(), routed.id, params))
            if isinstance(result, LongAnswer):
                make = partial(_made, route, result, routed.origin, answer)
                return await anyio.to_thread.run_sync(make, abandon_on_cancel=True)
            return _answer(route, with_origin(result, routed.origin), answer)
        except (Refusal, InvalidParameterError) as error:
            return _refused(error, answer)

    def log_unread(self, request: Request, status: int, id: str) -> None:
        """Log a request whose body could not be read, and which the server answered itself."""
        entry = LoggedRequest(id, request, {name.lower(): value for name, value in request.headers.items()})
        entry.status = status
        entry.route = self._paths.guess(entry)
        self.requests.add(entry)

    async def _handle(
        self, request: Request, answer: dict[str, str], entry: LoggedRequest
    ) -> Response | StreamedResponse:
        sent = entry.request_headers
        try:
            parts = _split(request.url)
            if parts.path.startswith("/media/"):
                return self._media(request.method, parts.path, sent, answer)
            if parts.path == "/openapi.json" and request.method == "GET":
                return Response(200, {**answer, headers.CONTENT_TYPE: headers.JSON}, _openapi())
            world = self._authenticate(sent.get("authorization"), answer, entry)
            if world.unfinished:
                await world.whole()
            if not len(world.faults):
                response = await self._respond(
                    world, self._route(world, request, parts.path, answer, entry), parts, answer
                )
            else:
                return await self._respond_with_faults(world, request, parts, answer, entry)
        except (Refusal, InvalidParameterError) as error:
            response = _refused(error, answer)
        except ConnectionBrokenError:
            # Saved before the answer is lost, so that the request is carried out even if the process ends before its moment.
            if self.worlds.save is not None:
                with suppress(Refusal):
                    await self.worlds.save()
            raise
        return response if self.worlds.save is None else await self._after_saving(response, answer)

    async def _after_saving(
        self, response: Response | StreamedResponse, answer: dict[str, str]
    ) -> Response | StreamedResponse:
        """Return the response once the changes it shows are in the journal, or a refusal if they cannot be written."""
        assert self.worlds.save is not None
        try:
            await self.worlds.save()
        except Refusal as refusal:
            return _refused(refusal, answer)
        return response

    def _route(
        self,
        world: World,
        request: Request,
        path: str,
        answer: dict[str, str],
        entry: LoggedRequest,
    ) -> _RoutedRequest:
        if take_throttle(world.account):
            answer[headers.RETRY_AFTER] = "1"
            raise Refusal("rate_limited", "the number asked for before makes this a 429")
        routed = self._find(request, path, answer, entry)
        if self.worlds.denies(world.key, routed.route.name):
            raise Refusal("permission_denied", f"this key may not use {routed.route.name}")
        return routed

    def _find(self, request: Request, path: str, answer: dict[str, str], entry: LoggedRequest) -> _RoutedRequest:
        """Find the route of a request and parse its body."""
        sent = entry.request_headers
        found, id = self._paths.find(path)
        routes = [route for route in found if route.method == request.method]
        if not routes:
            answer["Allow"] = ", ".join(sorted({route.method for route in found}))
            raise Refusal("method_not_allowed", f"{request.method[:20]} is not allowed here")
        body = self._body(request, sent) if request.method in {"POST", "PUT"} else None
        route = _choose(routes, sent.get("accept", ""), body)
        entry.route = route.name
        origin = origin_of(sent, self.public_url, self.base_url)
        return _RoutedRequest(route, id, body, sent.get("last-event-id"), origin)

    async def _respond(
        self, world: World, routed: _RoutedRequest, parts: SplitResult, answer: dict[str, str]
    ) -> Response | StreamedResponse:
        route = routed.route
        params = _params(route, parts.query, routed.body)
        if world.unfinished:
            await world.whole()
        now = world.clock.now()
        if not run_due(world.account, now):
            now = await _catch_up(world, now)
        late = routed.late if routed.late is not None else late_requests.lateness(route.name, params)
        if late is not None:
            late_requests.postpone(world.account, route.name, routed.id, params, now + late)
            world.changed()
            raise ConnectionBrokenError
        account = world.account
        account.cause = answer[headers.REQUEST_ID]
        try:
            result = HANDLERS[route.name](Command(account, now, routed.id, params, routed.lag))
            if isinstance(result, GeneratorType):
                result = await world.carry_out(result)
        finally:
            account.cause = ""
        world.changed()
        if route.streaming and isinstance(result, Call):
            return await self._stream(world, result, live_transcript.place_after(routed.last_event_id), answer)
        if isinstance(result, LongAnswer):
            make = partial(_made, route, result, routed.origin, answer)
            return await anyio.to_thread.run_sync(make, abandon_on_cancel=True)
        return _answer(route, with_origin(result, routed.origin), answer)

    async def _respond_with_faults(
        self,
        world: World,
        request: Request,
        parts: SplitResult,
        answer: dict[str, str],
        entry: LoggedRequest,
    ) -> Response | StreamedResponse:
        """Answer a request to which faults may apply."""
        struck: list[Fault] = []
        world.answering += 1
        try:
            routed = self._route(world, request, parts.path, answer, entry)
            struck = world.faults.of_answers(routed.route.name, self.monotonic())
            entry.faults = tuple(struck)
            for fault in struck:
                await applying.before_command(fault, answer)
            late, lag = (applying.seconds_of(struck, action) for action in ("commit_late", "list_lag"))
            routed = evolve(routed, late=late, lag=lag or 0.0)
            response = await self._respond(world, routed, parts, answer)
        except (Refusal, InvalidParameterError) as error:
            response = _refused(error, answer)
        finally:
            world.answering -= 1
        if self.worlds.save is not None:
            response = await self._after_saving(response, answer)
        for fault in struck:
            response = applying.after_command(fault, response)
        return response

    def _authenticate(self, authorization: str | None, answer: dict[str, str], entry: LoggedRequest) -> World:
        if authorization is None:
            answer.update(Quota(self.worlds.rate_limit).headers(0.0, time.time()))
            raise Refusal("authentication_required", "no Authorization header; send 'Bearer AJX_TEST_...'")
        scheme, _, key = authorization.partition(" ")
        key = key.strip()
        world = self.worlds.admit(key, entry.received) if scheme.lower() == "bearer" else None
        if world is None:
            answer.update(Quota(self.worlds.rate_limit).headers(0.0, time.time()))
            raise Refusal("invalid_api_key", "this is not a key of this sandbox")
        entry.key_id, entry.moment = world.id, world.clock.now()
        quota = world.quota
        moment = self.monotonic()
        admitted = quota.admit(moment)
        answer.update(quota.headers(moment, time.time()))
        if not admitted:
            answer[headers.RETRY_AFTER] = "1"
            raise Refusal("rate_limited", f"over {self.worlds.rate_limit} requests a second")
        return world

    @staticmethod
    def _body(request: Request, sent: Mapping[str, str]) -> Any:
        if sent.get("content-encoding", "identity").lower() != "identity":
            raise Refusal("invalid_json", "a body with a Content-Encoding is not taken")
        if len(request.body or b"") > MAX_BODY:
            raise Refusal("invalid_parameter", f"a body over {MAX_BODY} bytes is not taken")
        try:
            return codec.parse_json(request.body or b"", strict=True, bounded=True)
        except DecodeError as error:
            raise Refusal("invalid_json", str(error)) from None

    def play(self, request: Request) -> Response:
        """Answer a console that plays a recording: ``GET /media/{id}.wav``. It is not logged, as no GET of the console is.

        Raises:
            Refusal: there is no such recording.
        """
        sent = {name.lower(): value for name, value in request.headers.items()}
        return self._media(request.method, request.url.partition("?")[0], sent, {})

    def _media(self, method: str, path: str, sent: Mapping[str, str], answer: dict[str, str]) -> Response:
        id = path.removeprefix("/media/").removesuffix(".wav")
        recording = next(
            (found for world in self.worlds.by_key.values() if (found := world.account.recordings.get(id))), None
        )
        if recording is None:
            raise Refusal("not_found", "no such recording")
        return media.serve(recording, method, sent, answer)

    async def _stream(
        self, world: World, call: Call, place: int, answer: dict[str, str]
    ) -> Response | StreamedResponse:
        account = world.account
        log = await self._logs.of(account, call)
        if log is not None and place >= len(log):
            return Response(204, answer, b"")
        shown = {**answer, headers.CONTENT_TYPE: headers.EVENT_STREAM, "Cache-Control": "no-cache"}
        fault = self._stream_fault(world, call)
        chunks = live_transcript.live_transcript(account, call.id, place, world.clock, self._logs, fault=fault)
        return StreamedResponse(shown, ChunksOfWorld(chunks, world))

    def _stream_fault(self, world: World, call: Call) -> StreamFault | None:
        if self.stream_faults:
            return self.stream_faults.popleft()
        cut = world.faults.first("sse_cut", "transcripts.stream") if len(world.faults) else None
        if cut is not None:
            return StreamFault(cut_after_events=cut.events)
        return StreamFault(cut_after_events=CUT_AFTER) if take_cut(world.account, call) else None


async def _catch_up(world: World, moment: float) -> float:
    """Carry out what was due by `moment`, in batches between which other tasks run; return the moment that is reached."""
    while not run_due(world.account, moment):
        await anyio.lowlevel.checkpoint()
        await world.whole()
    # Once more, but not repeatedly: if timers fell due faster than they can be carried out, the request would never be answered.
    moment = world.clock.now()
    run_due(world.account, moment)
    return moment


def _newest(world: World, routed: _RoutedRequest) -> _RoutedRequest:
    """A request of the console in which ``latest`` stands for the id of the newest object."""
    store = world.account.stores.get(_KINDS.get(routed.route.name.partition(".")[0], ""))
    if routed.id != LATEST or store is None:
        return routed
    newest = store.rows(0, 1).items
    return evolve(routed, id=newest[0].id if newest else LATEST)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise Refusal("not_found", "no such endpoint") from None


def _params(route: Route[Any], query: str, body: Any) -> Any:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError:
        raise Refusal("invalid_parameter", "the query string cannot be read") from None
    if route.query is not None:
        return codec.parse_query(pairs, route.query)
    if pairs:
        raise InvalidParameterError(pairs[0][0][:100], "no such parameter")
    return codec.parse_body(body, route.body) if route.body is not None else None


def _answer(route: Route[Any], result: Model | PageBody[Any] | None, answer: dict[str, str]) -> Response:
    if result is None:
        return Response(route.status, answer, b"")
    return Response(route.status, {**answer, headers.CONTENT_TYPE: headers.JSON}, encode_answer(result))


def _made(route: Route[Any], long: LongAnswer[Any], origin: str, answer: dict[str, str]) -> Response:
    return _answer(route, with_origin(long.make(), origin), answer)


def _refused(error: Refusal | InvalidParameterError, answer: Mapping[str, str]) -> Response:
    if isinstance(error, InvalidParameterError):
        code = "missing_parameter" if error.missing else "invalid_parameter"
        error = Refusal(code, error.why, codec.wire_name(error.param))
    body = codec.encode(error_body(error.code, error.message, error.param))
    status = error.status or CODE_STATUS[error.code]
    return Response(status, {**answer, headers.CONTENT_TYPE: headers.JSON}, body)
