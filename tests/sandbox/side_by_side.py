"""A sandbox and its model (`model`) side by side: ask both, let time pass on both, compare what they show.

Commands are made as users make them: requests over the memory transport, and the public methods of `World`.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import anyio.lowlevel

from ajoxi_async import Sandbox
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox import Fired, NeverHappenedError, Refusal, Timing, VirtualClock

from . import model
from .model import EPOCH, EVENTS, TIMING, Attempt, Event, Model, Row, Thing, at


class Endpoints:
    """All receivers of webhooks, in place of the network."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.answers: dict[str, int | None] = {}
        self.got: list[tuple[float, str, str, bytes]] = []

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int | None:
        self.got.append((self.clock.now(), url, headers["X-Ajoxi-Signature"], body))
        await anyio.lowlevel.checkpoint()
        return self.answers.get(url, 200)


class SideBySide:
    """One account of a sandbox, on a virtual clock, and its model."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = VirtualClock(EPOCH.timestamp())
        self.endpoints = Endpoints(self.clock)
        self.sandbox = Sandbox(port=None, clock=self.clock, post=self.endpoints.post, timing=Timing(**TIMING))
        self.run(self.sandbox.__aenter__())
        self.transport = self.sandbox.transport()
        self.world = self.sandbox.world()
        # The quota is on a clock of its own, which moves on a second with each command.
        self.wire, self.quota = 1000.0, model.Quota()
        self.sandbox._app.monotonic = lambda: self.wire
        self.model = Model([], 0.0)
        self.model = self.fresh()

    def teardown(self) -> None:
        self.run(self.sandbox.__aexit__(None, None, None))
        self.loop.close()

    def fresh(self) -> Model:
        """The model of an account that is new."""
        (own,) = self.everything("/v1/numbers", status="active")
        offer = self.model.offer or self.everything("/v1/numbers")
        new = Model(offer, self.now)
        number = new.numbers[0]
        number.id = own["id"]
        number.config = {name: own[name] for name in ("routing", "caller_id", "sms")}
        return new

    # Asking

    def run(self, task: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(task)

    @property
    def now(self) -> float:
        return self.clock.now() - EPOCH.timestamp()

    def ask(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> tuple[int, Any]:
        """Make a request, check all that every answer has, and return its status and body."""
        sent = {"Authorization": f"Bearer {self.sandbox.api_key}"} if headers is None else headers
        url = f"{path}?{urlencode(query)}" if query else path
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        response: Response = self.run(self.transport.send(Request(method, url, sent, content)))
        if "Authorization" in sent:
            admitted, left = self.quota.admit(self.wire)
            assert int(response.headers["X-RateLimit-Remaining"]) == left
            assert (response.status == 429) == (not admitted), response.body
        return self.checked(response)

    @staticmethod
    def checked(response: Response) -> tuple[int, Any]:
        assert re.fullmatch("req_[0-9a-f]{16}", response.headers["X-Request-Id"])
        assert response.headers["X-RateLimit-Limit"] == "100"
        assert 0 <= int(response.headers["X-RateLimit-Remaining"]) <= 100
        assert -1 <= int(response.headers["X-RateLimit-Reset"]) - time.time() <= 3
        assert ("Retry-After" in response.headers) == (response.status == 429)
        if response.status == 204:
            assert response.body == b""
            return 204, None
        assert response.headers["Content-Type"].startswith("application/json")
        shown = json.loads(response.body)
        if response.status >= 400:
            assert set(shown) == {"error"}
            assert {"code", "message"} <= set(shown["error"]) <= {"code", "message", "param"}
        return response.status, shown

    def tick(self) -> None:
        """A second of the wire passes: the whole quota is free."""
        self.wire += 1.0

    def everything(self, path: str, *, limit: int = 200, **query: Any) -> list[Row]:
        """Every row of a list, in pages of `limit`."""
        found: list[Row] = []
        cursor: dict[str, str] = {}
        while True:
            status, page = self.ask("GET", path, limit=limit, **query, **cursor)
            assert status == 200, page
            found += page["data"]
            assert len(page["data"]) == limit or not page["has_more"]
            assert page["has_more"] == (page["next_cursor"] is not None)
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def expect(self, refusals: list[model.Refusal], status: int, answer: tuple[int, Any]) -> Any:
        """Check the status, or that a refusal is one that may come; return the body of a success."""
        if refusals:
            assert answer[0] >= 400, (answer, refusals)
            assert (answer[0], answer[1]["error"]["code"]) in refusals
            return None
        assert answer[0] == status, answer
        return answer[1]

    @staticmethod
    def agree(shown: Row, expected: Row) -> None:
        """A row shows what the model says; it may show more."""
        differing = {name: (shown.get(name), value) for name, value in expected.items() if shown.get(name) != value}
        assert not differing, f"(shown, expected): {differing} of {shown}"

    # Time

    def settle(self) -> None:
        """Let what a command started be over, and compare."""
        self.advance(seconds=0)

    def advance(self, **how: Any) -> list[Fired]:
        """Let time pass on both, and compare what happened and what was delivered."""
        before = self.now
        error: NeverHappenedError | None = None
        try:
            fired: list[Fired] = self.run(self.clock.advance(**how))
        except NeverHappenedError as never:
            error, fired = never, never.fired
        self.learn_rings(before)
        happened, attempts = self.model.advance(self.now, self.endpoints.answers)
        self.learn_ids()
        self.compare_fired(fired, [event for event in happened if not event.by_command])
        self.compare_posts(attempts)
        self.endpoints.got.clear()
        if error is not None:
            raise error
        return fired

    def learn_rings(self, before: float) -> None:
        """When a campaign lets a call ring is the dialer's to say; the contacts ring one after another."""
        queued = {call.id: call for call in self.model.calls if call.rang is None}
        for ring in self.world.rings() if queued else ():
            call = queued.get(ring.call_id)
            if call is not None:
                moment = (ring.at - EPOCH).total_seconds()
                assert before <= moment <= self.now
                self.model.ring(call, moment)

    def learn_ids(self) -> None:
        """See the ids of what was not made by a request."""
        if any(m.id is None or m.conversation is None for m, _ in self.model.rows("messages")):
            rows = self.everything("/v1/messages")
            for (message, _), row in zip(self.model.rows("messages"), rows, strict=True):
                message.id = message.id or row["id"]
                pair = frozenset((message.from_, message.to))
                message.conversation = self.model.conversations.setdefault(pair, row["conversation_id"])
            assert len(set(self.model.conversations.values())) == len(self.model.conversations)
        for call in self.model.calls:
            row = call.row(self.now)
            if row["transcript_id"] != call.transcript_id or row.get("recording_id") != call.recording_id:
                _, shown = self.ask("GET", f"/v1/calls/{call.id}")
                self.agree(shown, row)
                call.transcript_id, call.recording_id = shown["transcript_id"], shown["recording_id"]

    def compare_fired(self, fired: list[Fired], happened: list[Event]) -> None:
        """Each event happened once, at its moment, and moments come in their order."""
        moments = [one.at for one in fired]
        assert moments == sorted(moments)
        told = [(one.what, one.id, one.at) for one in fired if one.what in EVENTS]
        expected = [(one.type, one.object_id, EPOCH + timedelta(seconds=one.moment)) for one in happened]
        assert sorted(told) == sorted(expected)

    def compare_posts(self, attempts: list[Attempt]) -> None:
        """Each webhook got each of its events once at each moment of the schedule, signed, with the bytes of the event."""
        expected = {
            (attempt.moment, attempt.delivery.webhook.url, attempt.delivery.event): attempt for attempt in attempts
        }
        assert len(expected) == len(attempts)
        by_object = {(one.delivery.event.type, one.delivery.event.object_id): one.delivery.event for one in attempts}
        unsure = {(moment, url) for (moment, url, _), attempt in expected.items() if not attempt.sure}
        for moment, url, signature, body in self.endpoints.got:
            data = json.loads(body)
            event = by_object[data["type"], data["data"]["id"]]
            self.compare_event(event, data, body)
            attempt = expected.pop((moment - EPOCH.timestamp(), url, event))
            assert signature == attempt.delivery.webhook.signature(body, attempt.moment)
            unsure.discard((attempt.moment, url))
            self.model.log.append(attempt)
        assert not [attempt for attempt in expected.values() if attempt.sure]
        assert not unsure

    def compare_event(self, event: Event, data: Row, body: bytes) -> None:
        """The first delivery shows the object as it is at that moment, and all others have the same bytes."""
        if event.body is not None:
            assert event.body == body
            return
        event.body, event.id = body, data["id"]
        assert data["id"] == model.Id("evt_")
        assert (data["created_at"], data["mode"]) == (at(event.moment), "test")
        if event.type.startswith(("call.", "message.")):
            self.agree(data["data"], event.of.row(event.moment))
        elif isinstance(event.of, model.Call):
            assert data["data"]["call_id"] == event.of.id

    # What commands have in common

    def made(self, thing: Thing, shown: Row) -> None:
        """An object was made: it is shown as it is now, with an id that no other has."""
        assert shown["id"] not in {one.id for one in (*self.model.calls, *self.model.messages, *self.model.webhooks)}
        thing.id = shown["id"]
        self.agree(shown, thing.row(self.now))  # type: ignore[attr-defined]

    def outside(self, refusals: list[model.Refusal], command: Any) -> Row | None:
        """A command of the world outside, which is no request."""

        async def carry_out() -> Row | None:
            try:
                return dict(command().to_dict())
            except Refusal as refusal:
                assert refusal.code in {code for _, code in refusals}
                return None

        shown: Row | None = self.run(carry_out())
        assert (shown is None) == bool(refusals)
        return shown

    def in_loop(self, command: Any) -> None:
        async def carry_out() -> None:
            command()

        self.run(carry_out())

    def compare_rows(self, kind: str, shown: list[Row], **filters: Any) -> None:
        expected = self.model.rows(kind, **filters)
        assert len(shown) == len(expected)
        for row, (_, wanted) in zip(shown, expected, strict=True):
            self.agree(row, wanted)
