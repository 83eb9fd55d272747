"""The control surface's test receivers: webhook endpoints whose answer can be switched, for those who have none yet.

Rules:
1. A receiver answers posts to ``receivers/{id}/in`` with a status, or ``slow`` (204 after `SLOW` seconds), or ``hang`` (never).
2. It takes posts from this machine only, and none of web pages, which send an Origin with each post. They need no token, as those
   to any other endpoint.
3. It checks the signature with the secrets of the webhook that has its URL, and keeps the last posts with the verdict.
4. Receivers are in memory, and belong to no world.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import anyio
from attrs import define, field, frozen

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.signing import matches
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox.faults.broken_answers import ConnectionBrokenError
from ajoxi_async.sandbox.labels import checked_label
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.admission import DATA_HEADERS
from ajoxi_async.sandbox.server.control.request import LATEST, PREFIX, ControlRequest, Route
from ajoxi_async.sandbox.server.shown import time_text
from ajoxi_async.sandbox.worlds import Worlds

__all__ = ["ROUTES", "Receivers"]

#: The most receivers, the posts that each keeps, and the bytes that are kept of a body.
RECEIVERS, POSTS, BODY = 50, 50, 64 * 1024
#: Real seconds until a slow answer, and until a connection without answer is ended.
SLOW, HANG = 3.0, 60.0
_WORDS: Final = ("slow", "hang")
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})

Answer = int | str


@frozen
class _Verdict:
    verdict: str
    why: str
    webhook_id: str | None = None


@frozen(repr=False)
class _Post:
    at: float
    answer: Answer
    verdict: _Verdict
    headers: dict[str, str]
    body: bytes

    def __rich_repr__(self) -> Iterator[object]:
        yield from ()  # Otherwise rich shows all fields.

    def to_dict(self) -> dict[str, Any]:
        event = _event(self.body)
        return {
            "at": time_text(self.at),
            "answer": self.answer,
            "verdict": self.verdict.verdict,
            "why": self.verdict.why,
            "webhook_id": self.verdict.webhook_id,
            "event_id": event.get("id"),
            "type": event.get("type"),
            "headers": self.headers,
            "body": self.body[:BODY].decode(errors="replace"),
        }


@define(eq=False)
class _Receiver:
    id: str
    url: str
    answer: Answer
    label: str
    received: int = 0
    valid: int = 0
    posts: deque[_Post] = field(factory=lambda: deque(maxlen=POSTS))

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "url": self.url,
            "answer": self.answer,
            "label": self.label,
            "received": self.received,
            "valid": self.valid,
        }


@define(eq=False)
class Receivers:
    """The test receivers of one sandbox.

    Attributes:
        worlds: the worlds whose webhooks may have the URL of a receiver.
    """

    worlds: Worlds
    _receivers: dict[str, _Receiver] = field(factory=dict, init=False)
    _made: int = field(default=0, init=False)

    def make(self, request: ControlRequest) -> Any:
        """POST receivers: with the answer (204), and a label."""
        given = request.take(answer=int | str, label=str)
        answer = _checked(given.get("answer", 204))
        label = checked_label(given.get("label", ""))
        if len(self._receivers) >= RECEIVERS:
            raise Refusal("invalid_state", f"{RECEIVERS} receivers are kept; delete one")
        self._made += 1
        id = f"recv_{self._made}"
        made = self._receivers[id] = _Receiver(id, f"{request.base_url}{PREFIX}receivers/{id}/in", answer, label)
        self._changed(id)
        return made.to_dict()

    def list_all(self, _: ControlRequest) -> Any:
        """GET receivers: the newest first."""
        return {"data": [one.to_dict() for one in reversed(self._receivers.values())]}

    def one(self, request: ControlRequest) -> Any:
        """GET receivers/{id}: with its last posts, the newest first."""
        found = self._find(request.id)
        return {**found.to_dict(), "posts": [post.to_dict() for post in reversed(found.posts)]}

    def change(self, request: ControlRequest) -> Any:
        """PUT receivers/{id}: change the answer or the label."""
        found = self._find(request.id)
        given = request.take(answer=int | str, label=str)
        answer, label = _checked(given.get("answer", found.answer)), checked_label(given.get("label", found.label))
        found.answer, found.label = answer, label
        self._changed(found.id)
        return found.to_dict()

    def drop(self, request: ControlRequest) -> Any:
        """DELETE receivers/{id}. Posts to it are answered 404 from then on."""
        found = self._find(request.id)
        del self._receivers[found.id]
        self._changed(found.id)
        return {}

    async def receive(self, path: str, request: Request, sent: dict[str, str]) -> Response | None:
        """Answer a post to a receiver, after peer and Host were checked; ``None`` if the path is not one of a receiver.

        Raises:
            Refusal: there is no such receiver, or a web page posts.
            ConnectionBrokenError: it does not answer.
        """
        id = path.removeprefix(f"{PREFIX}receivers/").removesuffix("/in")
        if path != f"{PREFIX}receivers/{id}/in" or request.method != "POST":
            return None
        if "origin" in sent or "sec-fetch-site" in sent:
            raise Refusal("permission_denied", "a receiver takes no posts of web pages")
        found = self._find(id)
        body = request.body or b""
        verdict = await self._judge(path, sent.get(headers.SIGNATURE.lower()), body)
        found.received += 1
        found.valid += verdict.verdict == "valid"
        kept = {name: value for name, value in sent.items() if name not in _SECRET_HEADERS}
        found.posts.append(_Post(time.time(), found.answer, verdict, kept, body[:BODY]))
        self._changed(id)
        answer = found.answer
        if answer == "hang":
            await anyio.sleep(HANG)
            raise ConnectionBrokenError
        if answer == "slow":
            await anyio.sleep(SLOW)
        status = answer if isinstance(answer, int) else 204
        shown = {**DATA_HEADERS, headers.CONTENT_TYPE: "text/plain; charset=utf-8"}
        return Response(status, shown, _TEXTS.get(status, b""))

    async def _judge(self, path: str, signature: str | None, body: bytes) -> _Verdict:
        secrets: list[str] = []
        webhook_id = None
        for world in list(self.worlds.by_key.values()):
            await world.whole()
            account, moment = world.account, world.clock.now()
            for webhook in account.webhooks.newest_first():
                if (webhook.url or "").partition("?")[0].endswith(path):
                    valid = [
                        one.value for one in account.secrets[webhook.id] if one.until is None or moment < one.until
                    ]
                    secrets.extend(valid)
                    if signature is not None and matches(body, signature, valid):
                        return _Verdict("valid", "signed with the secret of this webhook", webhook.id)
                    webhook_id = webhook.id
        if signature is None:
            return _Verdict("missing", f"there is no {headers.SIGNATURE} header", webhook_id)
        if not secrets:
            return _Verdict("unknown", "no webhook has the URL of this receiver")
        return _Verdict(
            "invalid", "the signature was not made with a secret of this webhook over this body", webhook_id
        )

    def _find(self, id: str) -> _Receiver:
        if id == LATEST and self._receivers:
            return next(reversed(self._receivers.values()))
        if id not in self._receivers:
            raise Refusal("not_found", f"no receiver {id[:60]}")
        return self._receivers[id]

    def _changed(self, id: str) -> None:
        self.worlds.mark("receiver", id)


_TEXTS: Final = {410: b"gone: the test receiver says so\n", 500: b"failed: the test receiver says so\n"}


def _checked(answer: Answer) -> Answer:
    if answer in _WORDS or (type(answer) is int and 200 <= answer <= 599):
        return answer
    raise InvalidParameterError("answer", f"expected a status from 200 to 599, or {' or '.join(_WORDS)}")


def _event(body: bytes) -> dict[str, Any]:
    try:
        event = codec.parse_json(body, bounded=True)
    except codec.DecodeError:
        return {}
    return event if type(event) is dict else {}


ROUTES = (
    Route("GET", "receivers", lambda control, request: control.receivers.list_all(request)),
    Route("POST", "receivers", lambda control, request: control.receivers.make(request), 201),
    Route("GET", "receivers/{id}", lambda control, request: control.receivers.one(request)),
    Route("PUT", "receivers/{id}", lambda control, request: control.receivers.change(request)),
    Route("DELETE", "receivers/{id}", lambda control, request: control.receivers.drop(request)),
)
