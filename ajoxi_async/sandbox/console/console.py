"""The console over HTTP, under ``/_ajoxi/console/``: the shell, its files, signing in, the feed, and acting through the API.

Rules:
1. The address of a page is ``{world}/…``, where the world is ``main`` or the id of a key. Each of them is answered with the shell.
2. Everything else is admitted as on the control surface (see `admission`), whose routes the pages use as well.
3. ``POST session`` exchanges a code, or the control token, for a session; ``DELETE session`` ends it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl

import anyio.to_thread
from attrs import define, field

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox.console import static_files
from ajoxi_async.sandbox.console.feeds import FEEDS, Feeds
from ajoxi_async.sandbox.console.sessions import Sessions
from ajoxi_async.sandbox.faults.broken_answers import StreamedResponse
from ajoxi_async.sandbox.keys import ID_PREFIX
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.admission import (
    DATA_HEADERS,
    SAFE_METHODS,
    check_machine,
    check_own_page,
    check_site,
    check_token,
    is_bearer,
)
from ajoxi_async.sandbox.server.app import App
from ajoxi_async.sandbox.server.control.answers import REFUSED, error_answer, json_answer
from ajoxi_async.sandbox.server.control.request import PREFIX
from ajoxi_async.sandbox.server.control.surface import KEY_HEADER, Control
from ajoxi_async.sandbox.worlds import MAIN

__all__ = ["CONSOLE", "Console"]

#: The path of the console.
CONSOLE: Final = f"{PREFIX}console/"
#: The pages whose first rows `static/start.js` asks for. The browser is told to ask for them before it has read the shell.
_FIRST_ROWS: Final = {
    f"{MAIN}/{name}": f"<{PREFIX}{name}?at=0&limit=40>; rel=preload; as=fetch; crossorigin=anonymous"
    for name in ("calls", "deliveries", "events", "requests")
}
_PAGE: Final = re.compile(rf"(?:(?:{MAIN}|{ID_PREFIX}[0-9a-f]+)(?:/.*)?)?")


@define(eq=False, repr=False)
class Console:
    """The console of one sandbox.

    Attributes:
        app: answers the API's requests.
        control: the control surface.
        sessions: who is signed in.
        feeds: the open feeds.
    """

    #: The links without the slash at the end lead to the console as well.
    prefix: ClassVar[str] = CONSOLE.rstrip("/")
    #: The API shares the origin of the console and answers with what strangers sent. Recordings may be played by the pages that
    #: somebody develops on another port of this machine.
    #: A plain dict, since they are added to each answer: a read-only one takes three times as long.
    shared_headers: ClassVar[Mapping[str, str]] = {
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-site",
    }

    app: App
    control: Control
    sessions: Sessions = field(factory=Sessions)
    feeds: Feeds = field(init=False)
    _files: Mapping[str, static_files.StaticFile] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.feeds = Feeds(self.app, self.control, self.sessions)
        self.sessions.on_end = self.feeds.end_session

    async def load(self) -> None:
        """Read the files of the console. Called once, before the first request."""
        self._files = await anyio.to_thread.run_sync(static_files.read_all)

    def new_link(self) -> str:
        """A new link to the console, from the path on. It works once."""
        return f"{CONSOLE}#code={self.sessions.new_code()}"

    async def handle(self, request: Request, peer: str | None) -> Response | StreamedResponse:
        """See `Surface`."""
        sent = {name.lower(): value for name, value in request.headers.items()}
        try:
            check_machine(sent, peer)
            path, _, query = request.url.partition("?")
            if path == self.prefix:
                return Response(308, {**DATA_HEADERS, headers.LOCATION: CONSOLE}, b"")
            name = path.removeprefix(CONSOLE)
            if request.method in SAFE_METHODS and (static := self._static(name, query, sent)) is not None:
                return static
            if name == "session":
                return self._session(request, sent)
            check_site(sent)
            check_token(request.method, sent, self.control.token, self.sessions.signed_in)
            return await self._respond(request, name, sent)
        except REFUSED as error:
            return await error_answer(error)

    def _static(self, name: str, query: str, sent: Mapping[str, str]) -> Response | None:
        if _PAGE.fullmatch(name):
            mode, purpose = sent.get("sec-fetch-mode", "navigate"), sent.get("sec-fetch-dest", "document")
            if (mode, purpose) != ("navigate", "document"):
                raise Refusal("permission_denied", "the console is opened as a page of its own, not within another one")
            shell = static_files.serve(self._files[static_files.SHELL], sent)
            if name not in _FIRST_ROWS or query:
                return shell
            return Response(shell.status, {**shell.headers, "Link": _FIRST_ROWS[name]}, shell.body)
        if not name.startswith("static/"):
            return None
        check_site(sent, "none")
        file = self._files.get(name.removeprefix("static/"))
        if file is None:
            raise Refusal("not_found", "no such file")
        return static_files.serve(file, sent)

    def _session(self, request: Request, sent: Mapping[str, str]) -> Response:
        """POST session: sign in with ``{"code"}`` or ``{"token"}``. DELETE session: sign out."""
        check_site(sent)
        check_own_page(request.method, sent)
        if request.method == "DELETE":
            self.sessions.sign_out(sent)
            return json_answer(200, {}, {"Set-Cookie": f"{self.sessions.cookie}=; Max-Age=0; {_COOKIE}"})
        if request.method != "POST":
            raise Refusal("method_not_allowed", "expected POST or DELETE")
        secret = self._exchange(_object(request))
        return json_answer(201, {}, {"Set-Cookie": f"{self.sessions.cookie}={secret}; {_COOKIE}"})

    def _exchange(self, given: dict[str, Any]) -> str:
        code, token = given.get("code"), given.get("token")
        if type(code) is str and len(given) == 1:
            return self.sessions.exchange(code)
        if type(token) is str and len(given) == 1:
            if not is_bearer({"authorization": f"Bearer {token}"}, self.control.token):
                raise Refusal("authentication_required", "this is not the control token of this sandbox")
            return self.sessions.start()
        raise InvalidParameterError("code", "expected the code of a link, or 'token' with the control token")

    async def _respond(self, request: Request, name: str, sent: Mapping[str, str]) -> Response | StreamedResponse:
        if name.startswith("as/v1/"):
            return await self._act(request, sent)
        if name.startswith("as/media/") and request.method in SAFE_METHODS:
            recording = self.app.play(Request(request.method, f"/{name.removeprefix('as/')}", request.headers))
            return Response(recording.status, {**recording.headers, **DATA_HEADERS}, recording.body)
        if name == "feed" and request.method == "GET":
            return self._open_feed(request, sent)
        if name.startswith("feed/") and request.method == "POST":
            self.feeds.show(name.removeprefix("feed/"), _object(request))
            return json_answer(200, {})
        raise Refusal("not_found", "expected session, feed, feed/{id}, as/v1/... or as/media/...")

    async def _act(self, request: Request, sent: Mapping[str, str]) -> Response | StreamedResponse:
        """ANY as/v1/...: what the API does, in the world of X-Ajoxi-Key."""
        world = self.control.world(sent.get(KEY_HEADER), make=request.method not in SAFE_METHODS)
        url = "/" + request.url.removeprefix(CONSOLE).removeprefix("as/")
        answer = await self.app.act(world, Request(request.method, url, request.headers, request.body))
        shown = {**answer.headers, **DATA_HEADERS}
        if isinstance(answer, StreamedResponse):
            return StreamedResponse(shown, answer.chunks, answer.status)
        return Response(answer.status, shown, answer.body)

    def _open_feed(self, request: Request, sent: Mapping[str, str]) -> StreamedResponse:
        """GET feed?world=main: see `feed`."""
        try:
            given = dict(parse_qsl(request.url.partition("?")[2], keep_blank_values=True, max_num_fields=10))
        except ValueError:
            raise Refusal("invalid_parameter", "the query string cannot be read") from None
        for name in given.keys() - {"world"}:
            raise InvalidParameterError(name[:100], "no such parameter; expected world")
        if len(self.feeds) >= FEEDS:
            raise Refusal("rate_limited", f"{FEEDS} feeds are open")
        world = self.control.world(given.get("world", sent.get(KEY_HEADER)), make=False)
        session = self.sessions.of(sent) if "authorization" not in sent else None
        shown = {headers.CONTENT_TYPE: headers.EVENT_STREAM, **DATA_HEADERS}
        packed = "gzip" in sent.get("accept-encoding", "")
        if packed:
            shown["Content-Encoding"] = "gzip"
        return StreamedResponse(shown, self.feeds.events(world, session, packed=packed))


_COOKIE: Final = f"HttpOnly; SameSite=Strict; Path={PREFIX}"


def _object(request: Request) -> dict[str, Any]:
    try:
        body = codec.parse_json(request.body or b"", strict=True, bounded=True)
    except codec.DecodeError:
        raise Refusal("invalid_json", "a body that cannot be read") from None
    if type(body) is not dict:
        raise InvalidParameterError("body", f"expected a JSON object, got {type(body).__name__}")
    return body
