"""The sandbox and a small independent model of it (`model`), through whatever API users do, in any order.

A machine of hypothesis draws commands, carries each out on a sandbox, in memory and on a virtual clock, and on the model,
and compares answers. After each command it compares everything that the API shows, every event and every delivery.

``AJOXI_MODEL_EXAMPLES=2000 pytest tests/sandbox/test_model.py`` runs that many examples, drawn anew, instead of the same few.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from random import Random
from typing import Any
from urllib.parse import urlencode

import anyio.lowlevel
import pytest
from attrs import define
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ajoxi_async import Sandbox
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox import Fired, NeverHappenedError, Refusal, Snapshot, Timing, VirtualClock
from tests.sandbox import model
from tests.sandbox.model import (
    EPOCH,
    EVENTS,
    FIRST_NUMBER,
    MAGIC,
    TIMING,
    Attempt,
    Event,
    Model,
    Row,
    Thing,
    at,
)

EXAMPLES = os.environ.get("AJOXI_MODEL_EXAMPLES")

ORDINARY = ("+14155551234", "+14155550199")
PHONES = (
    *ORDINARY,
    *(MAGIC + last for last in ("00", "01", "02", "03", "04", "06", "07", "10", "11", "11", "12", "20", "21")),
)
REFUSED = (*(MAGIC + last for last in ("30", "31", "32", "61")), "+99912345678", "+19005550123")
TEXTED = (*ORDINARY, *(MAGIC + last for last in ("00", "40", "41", "42", "43", "44", "30", "31", "32")), "+99912345678")
PORTED = ("+12125550007", "+13125550008", MAGIC + "50")
AGENTS = ("agent_1", "agent_2")
BODIES = (
    "hi", "a" * 160, "a" * 161, "a" * 306, "a" * 307, "€" * 80, "€" * 81, "ж" * 70, "ж" * 71, "ж" * 134, "ж" * 135, "😀" * 35, "😀" * 36, "😀" * 67,
)  # fmt: skip
TARGETS = (
    *({"agent_id": agent} for agent in (*AGENTS, *AGENTS)), {"extension": "204"}, {"to": "ext:7"},
    *({"to": number} for number in (ORDINARY[0], MAGIC + "10", MAGIC + "11", MAGIC + "12", MAGIC + "30")),
)  # fmt: skip
CONTENTS = (*({"body": body} for body in BODIES), {"template": "t1"}, {"media": ("http://m.test/1",)})
METADATA = st.dictionaries(st.sampled_from(["team", "ref"]), st.sampled_from(["blue", "red", ""]), max_size=2)
ANSWERS = (200, 204, 500, 503, 302, 404, None, 410)
SECONDS = (0.25, 0.5, 1, 1.5, 2, 2.5, 5, 8, 30, 700, 7_000, 90_000)
STEP = timedelta(milliseconds=1)


def index(of: Any) -> st.SearchStrategy[int]:
    return st.integers(0, max(0, len(of) - 1))


def passed_filters(kind: str, row: Row) -> dict[str, str]:
    """Filters of a list that a row passes."""
    names = {
        "calls": ("status", "direction", "campaign_id"),
        "messages": ("direction", "channel", "conversation_id"),
        "recordings": ("agent_id",),
        "numbers": ("type", "country"),
        "available": ("type", "country"),
    }[kind]
    passed = {name: row[name] for name in names if row.get(name) is not None}
    if kind in {"numbers", "available"}:
        digits = row["phone_number"][1:]
        national = digits.removeprefix(model.COUNTRY_CODES[row["country"]])
        return passed | {
            "capability": row["capabilities"][-1], "area_code": national[: len(digits) % 4 + 1], "contains": digits[2:5]
        }  # fmt: skip
    if kind == "calls":
        passed |= {f"metadata[{name}]": value for name, value in row["metadata"].items()}
    if kind in {"calls", "recordings"}:
        passed |= {"created_after": row["created_at"], "created_before": just_after(row["created_at"])}
    return passed


def just_after(time: str) -> str:
    return (datetime.fromisoformat(time) + STEP).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@define
class Walk:
    """A list that is being read page by page."""

    kind: str
    filters: dict[str, str]
    limit: int
    cursor: str | None = None
    #: The place of the last row that was given, and the rows that were to come when it was.
    last: Any = None
    awaited: frozenset[str] = frozenset()


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


class SandboxAndModel(RuleBasedStateMachine):
    """Commands on both, and what they show after each."""

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
        self.walks: list[Walk] = []
        self.kept: list[tuple[Snapshot, Model]] = []
        self.urls = self.looks = 0
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

    # Calls

    def caller(self, data: st.DataObject) -> str:
        """A number of the account, mostly an active one."""
        active = [number.phone for number in self.model.held() if number.status(self.now) == "active"]
        others = [number.phone for number in self.model.numbers if number.phone not in active]
        return data.draw(st.sampled_from([*active * 9, *others[:1], "+12125559999"]), "from")

    @rule(
        data=st.data(),
        to=st.lists(st.sampled_from([*PHONES, "ext:204", *PHONES, *PHONES, *REFUSED]), min_size=1, max_size=4),
        then=st.sampled_from([0, 0.5, 2, 2.5, 5]),
        transfers=st.lists(st.sampled_from(TARGETS), max_size=2),
    )
    def place_calls(self, data: st.DataObject, to: list[str], then: float, transfers: list[dict[str, str]]) -> None:
        for number in to:
            self.place_call(data, number)
            self.tick()
        self.advance(seconds=then)
        if self.model.calls:
            self.transfer_call(data, transfers)

    def place_call(self, data: st.DataObject, to: str) -> None:
        from_ = self.caller(data)
        record, ai, agent, metadata = data.draw(
            st.tuples(st.booleans(), st.booleans(), st.sampled_from([None, *AGENTS]), METADATA), "details"
        )
        refusals = self.model.place_call(
            from_=from_, to=to, record=record, ai=ai, agent=agent, metadata=metadata
        )  # fmt: skip
        body = {"to": to, "from": from_, "record": record, "ai_receptionist": ai, "metadata": metadata}
        answer = self.ask("POST", "/v1/calls", body if agent is None else {**body, "agent_id": agent})
        shown = self.expect(refusals, 201, answer)
        if shown is not None:
            self.made(self.model.calls[-1], shown)
        self.settle()

    def made(self, thing: Thing, shown: Row) -> None:
        """An object was made: it is shown as it is now, with an id that no other has."""
        assert shown["id"] not in {one.id for one in (*self.model.calls, *self.model.messages, *self.model.webhooks)}
        thing.id = shown["id"]
        self.agree(shown, thing.row(self.now))  # type: ignore[attr-defined]

    @rule(
        data=st.data(),
        contacts=st.lists(st.sampled_from([*PHONES, MAGIC + "30"]), min_size=1, max_size=3, unique=True),
        mode=st.sampled_from(["preview", "power"]),
        record=st.booleans(),
        metadata=METADATA,
    )
    def start_campaign(
        self, data: st.DataObject, contacts: list[str], mode: str, record: bool, metadata: dict[str, str]
    ) -> None:
        from_ = self.caller(data)
        before = len(self.model.calls)
        refusals = self.model.start_campaign(contacts, from_=from_, record=record, metadata=metadata)
        campaign = {"name": f"after {before}", "mode": mode, "contacts": contacts}
        body = {"from": from_, "campaign": campaign, "record": record, "metadata": metadata}
        shown = self.expect(refusals, 201, self.ask("POST", "/v1/calls", body))
        if shown is not None:
            self.agree(shown, {"id": model.Id("camp_"), "status": "queued", "calls_queued": len(contacts)})
            self.model.campaigns[shown["id"]] = {"name": campaign["name"], "mode": mode}
            rows = self.everything("/v1/calls", campaign_id=shown["id"])
            for call, row in zip(self.model.calls[before:], reversed(rows), strict=True):
                call.campaign = shown["id"]
                self.made(call, row)
        self.settle()

    @rule(data=st.data(), from_=st.sampled_from(PHONES))
    def receive_call(self, data: st.DataObject, from_: str) -> None:
        to = self.caller(data)
        refusals = self.model.receive_call(from_, to)
        shown = self.outside(refusals, lambda: self.world.inbound_call(from_=from_, to=to))
        if shown is not None:
            self.made(self.model.calls[-1], shown)
        self.settle()

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

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data(), to=st.lists(st.sampled_from(TARGETS), min_size=1, max_size=3))
    def transfer(self, data: st.DataObject, to: list[dict[str, str]]) -> None:
        self.transfer_call(data, to)

    def transfer_call(self, data: st.DataObject, to: list[dict[str, str]]) -> None:
        """A call is transferred, an answered one if there is any, and again while the transfer rings."""
        answered = [call for call in self.model.calls if call.status(self.now) == "answered" and call.campaign is None]
        call = data.draw(st.sampled_from(answered or self.model.calls), "call")
        for target in to:
            refusals = self.model.transfer(call, target.get("agent_id"), target.get("to"))
            shown = self.expect(refusals, 200, self.ask("POST", f"/v1/calls/{call.id}/transfer", target))
            if shown is not None:
                self.agree(shown, call.row(self.now))
            self.advance(seconds=data.draw(st.sampled_from([0, 0.5, 1.5]), "seconds"))
            self.agree(self.ask("GET", f"/v1/calls/{call.id}")[1], call.row(self.now))

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data())
    def look_at_call(self, data: st.DataObject) -> None:
        """A call, its recording and its transcript, each by its ids."""
        call = data.draw(st.sampled_from(self.model.calls), "call")
        row = call.row(self.now)
        self.agree(self.expect([], 200, self.ask("GET", f"/v1/calls/{call.id}")), row)
        ids = [call.id, call.transcript_id] if row["answered_at"] is not None else []
        ready = call.ready is not None and call.ready <= self.now
        for id in [*ids, *([call.recording_id] if ready else [])]:
            transcript = self.expect([], 200, self.ask("GET", f"/v1/transcripts/{id}"))
            status = "completed" if row["status"] == "completed" else "in_progress"
            self.agree(transcript, {"id": call.transcript_id, "call_id": call.id, "status": status})
            assert transcript["segments"] or status == "in_progress"
            numbered = [segment["sequence"] for segment in transcript["segments"] if segment["is_final"]]
            assert sorted(numbered) == list(range(1, len(numbered) + 1)) or status == "in_progress"
        if not ids:
            self.expect([(404, "not_found")], 200, self.ask("GET", f"/v1/transcripts/{call.id}"))
        if call.recording_id is not None:
            refusals = [] if ready else [(404, "not_found")]
            recording = self.expect(refusals, 200, self.ask("GET", f"/v1/recordings/{call.recording_id}"))
            if recording is not None:
                self.agree(recording, call.recording(self.now))
                assert recording["transcript"]["id"] == call.transcript_id
                assert -1 <= recording["sentiment"] <= 1

    # Numbers

    def config(self, data: st.DataObject) -> Row:
        return data.draw(  # type: ignore[no-any-return]
            st.fixed_dictionaries(
                {},
                optional={
                    "routing": st.sampled_from(
                        [{"kind": "agent", "target": "agent_1"}, {"kind": "ai_receptionist", "target": None}]
                    ),
                    "caller_id": st.sampled_from([{"name": "Ada"}, {"name": "Bob"}]),
                    "sms": st.sampled_from(
                        [{"enabled": True, "forward_to": None}, {"enabled": False, "forward_to": "+14155551234"}]
                    ),
                },
            ),
            "configuration",
        )

    @rule(data=st.data(), ports=st.lists(st.booleans(), min_size=1, max_size=2), wait=st.sampled_from([0, 2]))
    def provision_numbers(self, data: st.DataObject, ports: list[bool], wait: float) -> None:
        for port in ports:
            self.provision(data, port)
            self.tick()
        self.advance(seconds=wait)

    def provision(self, data: st.DataObject, port: bool) -> None:
        offer = [row["phone_number"] for row in self.model.offer]
        known = [number.phone for number in self.model.numbers]
        released = [number.phone for number in self.model.numbers if number.released is not None]
        phone = data.draw(st.sampled_from([offer[0], offer[601], *PORTED, *known, *released * 3]), "number")
        config = self.config(data)
        refusals = self.model.provision(phone, port=port, config=config)
        body = {"phone_number": phone, **config}
        if port:
            body["port"] = {"carrier": "Old Bell", "account_number": "1", "authorized_by": "Ada"}
        shown = self.expect(refusals, 201, self.ask("POST", "/v1/numbers", body))
        if shown is not None:
            number = self.model.numbers[-1]
            assert shown["id"] not in {one.id for one in self.model.held()}
            number.id = shown["id"]
            self.agree(shown, number.row(self.now))
        self.settle()

    @precondition(lambda self: self.model.held())
    @rule(data=st.data())
    def update_number(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.model.held()), "number")
        config = self.config(data)
        refusals = [] if config else [(400, "missing_parameter"), (400, "invalid_parameter")]
        shown = self.expect(refusals, 200, self.ask("PUT", f"/v1/numbers/{number.id}", config))
        number.config |= config
        if shown is not None:
            self.agree(shown, number.row(self.now))
        self.settle()

    @precondition(lambda self: self.model.held())
    @rule(data=st.data())
    def release_number(self, data: st.DataObject) -> None:
        held = self.model.held()
        porting = [number for number in held if number.status(self.now) == "porting"]
        number = data.draw(st.sampled_from([*porting * 3, *held[1:], *held[-1:]]), "number")
        self.expect([], 204, self.ask("DELETE", f"/v1/numbers/{number.id}"))
        self.model.release(number)
        for method, body in (("DELETE", None), ("PUT", {"caller_id": {"name": "Ada"}})):
            self.expect([(404, "not_found")], 0, self.ask(method, f"/v1/numbers/{number.id}", body))
        self.settle()

    # Messages

    @rule(
        data=st.data(),
        texts=st.lists(st.tuples(st.sampled_from(TEXTED), st.sampled_from(CONTENTS)), min_size=1, max_size=3),
    )
    def send_messages(self, data: st.DataObject, texts: list[tuple[str, Row]]) -> None:
        for to, content in texts:
            self.send_message(data, to, content)
            self.tick()

    def send_message(self, data: st.DataObject, to: str, content: Row) -> None:
        from_ = self.caller(data)
        given = {"body": None, **content}
        refusals = self.model.text(from_=from_, to=to, **given)
        body = {"to": to, "from": from_}
        if "template" in given:
            body |= {"template_id": given["template"], "template_variables": {"name": "Ada"}}
        elif "media" in given:
            body["media_urls"] = list(given["media"])
        else:
            body["body"] = given["body"]
        shown = self.expect(refusals, 201, self.ask("POST", "/v1/messages", body))
        if shown is not None:
            message = next(m for m in reversed(self.model.messages) if m.direction == "outbound")
            self.made(message, shown)
            assert [media["url"] for media in shown["media"]] == list(message.media)
        self.settle()

    @rule(
        data=st.data(),
        from_=st.sampled_from([*ORDINARY, MAGIC + "43"]),
        bodies=st.lists(
            st.sampled_from(["hi", "STOP", " stop ", "START", "please stop", "ж" * 71]), min_size=1, max_size=3
        ),
        answer=st.booleans(),
    )
    def receive_messages(self, data: st.DataObject, from_: str, bodies: list[str], answer: bool) -> None:
        """Somebody texts the account, and is answered."""
        for body in bodies:
            to = self.caller(data)
            refusals = self.model.receive_text(from_, to, body)
            shown = self.outside(refusals, partial(self.world.inbound_message, from_=from_, to=to, body=body))
            if shown is not None:
                self.made(self.model.messages[-1], shown)
            self.settle()
            if answer:
                self.send_message(data, from_, {"body": "hi"})

    # Webhooks

    @initialize(events=st.sampled_from([EVENTS, EVENTS, EVENTS[:1]]), status=st.sampled_from(ANSWERS))
    def subscribe_first(self, events: tuple[str, ...], status: int | None) -> None:
        self.subscribe([*events])
        self.endpoints.answers[self.model.webhooks[0].url] = status

    @rule(events=st.lists(st.sampled_from([*EVENTS, "call.start"]), min_size=1, max_size=8))
    def subscribe(self, events: list[str]) -> None:
        self.urls += 1
        url = f"http://127.0.0.1:9/{self.urls}"
        shown = self.expect([], 201, self.ask("POST", "/v1/webhooks", {"url": url, "events": events}))
        wanted = list(dict.fromkeys("call.started" if event == "call.start" else event for event in events))
        webhook = model.Webhook(
            order=self.model.next(), created=self.now, url=url, events=wanted, secrets=[(shown["secret"], None)]
        )
        assert shown.pop("secret").startswith("whsec_")
        self.model.webhooks.append(webhook)
        self.made(webhook, shown)
        self.settle()

    @precondition(lambda self: self.model.webhooks)
    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        webhook = data.draw(st.sampled_from(self.model.webhooks), "webhook")
        self.expect([], 204, self.ask("DELETE", f"/v1/webhooks/{webhook.id}"))
        self.model.unsubscribe(webhook)
        self.expect([(404, "not_found")], 0, self.ask("DELETE", f"/v1/webhooks/{webhook.id}"))
        self.settle()

    @precondition(lambda self: self.model.webhooks)
    @rule(data=st.data(), status=st.sampled_from(ANSWERS))
    def answer(self, data: st.DataObject, status: int | None) -> None:
        """From now on an endpoint answers this."""
        webhook = data.draw(st.sampled_from(self.model.webhooks), "webhook")
        self.endpoints.answers[webhook.url] = status

    @precondition(lambda self: self.model.webhooks)
    @rule(data=st.data())
    def rotate_secret(self, data: st.DataObject) -> None:
        webhook = data.draw(st.sampled_from(self.model.webhooks), "webhook")
        secret = self.world.rotate_secret(webhook.id)
        assert secret not in {one for other in self.model.webhooks for one, _ in other.secrets}
        self.model.rotate(webhook, secret)

    @precondition(lambda self: any(one.dead for one in self.model.deliveries))
    @rule(data=st.data(), all=st.booleans())
    def replay(self, data: st.DataObject, all: bool) -> None:
        """Dead letters are delivered again, those of webhooks that are enabled."""
        dead = [one for one in self.model.deliveries if one.dead]
        chosen = [one for one in dead if one.webhook.enabled]
        ids: list[str] = []
        if not all:
            letter = data.draw(st.sampled_from(dead), "dead letter")
            chosen = [one for one in chosen if one is letter]
            ids = [
                shown.id
                for shown in self.world.dead_letters()
                if (shown.webhook_id, shown.event_id) == (letter.webhook.id, letter.event.id)
            ]

        async def carry_out() -> int:
            try:
                return self.world.replay(*ids)
            except Refusal as refusal:
                assert (refusal.code, chosen) == ("invalid_state", [])
                return 0

        assert self.run(carry_out()) == len(chosen)
        self.model.replay(chosen)
        self.settle()

    # Time, snapshots

    @rule(seconds=st.sampled_from(SECONDS[:7]))
    def wait_a_moment(self, seconds: float) -> None:
        self.wait(seconds)

    @rule(seconds=st.sampled_from(SECONDS))
    def wait(self, seconds: float) -> None:
        before = self.now
        self.advance(seconds=seconds)
        assert self.now == before + seconds

    @precondition(lambda self: self.model.next_due() is not None)
    @rule()
    def wait_until_idle(self) -> None:
        self.advance(until_idle=True)
        assert self.model.next_due() is None

    @rule(type=st.sampled_from(EVENTS))
    def wait_until_event(self, type: str) -> None:
        try:
            fired = self.advance(until_event=type)
        except NeverHappenedError as never:
            assert type not in {one.what for one in never.fired}
            assert self.model.next_due() is None
        else:
            assert {round((one.at - EPOCH).total_seconds(), 3) for one in fired if one.what == type} == {
                round(self.now, 3)
            }

    @precondition(lambda self: not self.kept or self.kept[-1][1].now != self.model.now)
    @rule()
    def snapshot(self) -> None:
        self.kept = [*self.kept[-2:], (self.world.snapshot(), self.model.copy())]

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        snapshot, kept = self.kept[data.draw(index(self.kept), "snapshot")]
        self.in_loop(lambda: self.world.restore(snapshot))
        self.model = kept.copy()
        self.walks.clear()
        assert self.now == self.model.now
        self.settle()

    def in_loop(self, command: Any) -> None:
        async def carry_out() -> None:
            command()

        self.run(carry_out())

    @precondition(lambda self: len(self.model.calls) + len(self.model.messages) > 8)
    @rule()
    def reset(self) -> None:
        self.in_loop(self.world.reset)
        self.quota = model.Quota()
        self.model, self.walks = self.fresh(), []
        self.settle()

    @rule(seconds=st.sampled_from(SECONDS), to=st.sampled_from(PHONES))
    def do_it_twice(self, seconds: float, to: str) -> None:
        """After a restore the same commands give the same bytes."""
        snapshot = self.world.snapshot()
        told = []
        for _ in range(2):
            answers = [self.ask("POST", "/v1/calls", {"to": to, "from": FIRST_NUMBER, "record": True})]
            fired = self.run(self.clock.advance(seconds=seconds))
            answers += [self.ask("GET", path) for path in ("/v1/calls", "/v1/recordings", "/v1/messages")]
            # Endpoints do not wait for each other, so that only the order of each one's own is given.
            told.append((answers, fired, sorted(self.endpoints.got, key=itemgetter(1))))
            self.endpoints.got.clear()
            self.in_loop(lambda: self.world.restore(snapshot))
            self.tick()
        assert told[0] == told[1]

    # Lists

    def filters(self, data: st.DataObject, kind: str) -> dict[str, str]:
        moments = sorted({thing.created for thing in self.model.calls} | {self.now})
        moment = st.sampled_from(moments).flatmap(
            lambda moment: st.sampled_from([at(moment), at(moment + 0.25)]).map(str)
        )
        campaigns = st.sampled_from([*self.model.campaigns, "camp_0000000000"])
        choices: dict[str, dict[str, st.SearchStrategy[str]]] = {
            "calls": {
                "status": st.sampled_from(["queued", "ringing", "answered", "completed"]),
                "direction": st.sampled_from(["inbound", "outbound"]),
                "campaign_id": campaigns,
                "metadata[team]": st.sampled_from(["blue", "red", ""]),
                "metadata[ref]": st.sampled_from(["blue", "red", ""]),
                "created_after": moment,
                "created_before": moment,
            },
            "recordings": {"created_after": moment, "created_before": moment},
            "messages": {
                "direction": st.sampled_from(["inbound", "outbound"]),
                "channel": st.sampled_from(["sms", "mms"]),
                "conversation_id": st.sampled_from([*self.model.conversations.values(), "conv_0000000000"]),
            },
            "webhooks": {},
            "numbers": {
                "type": st.sampled_from(["local", "toll_free", "international"]),
                "country": st.sampled_from(["US", "DE", "CA"]),
                "area_code": st.sampled_from(["415", "212", "30", "1"]),
                "contains": st.sampled_from(["555", "41", "0"]),
                "capability": st.sampled_from(["voice", "sms", "mms", "fax"]),
            },
        }
        choices["available"] = choices["numbers"]
        drawn = data.draw(st.fixed_dictionaries({}, optional=choices[kind]), "filters")  # type: ignore[arg-type]
        if kind == "numbers":
            drawn["status"] = data.draw(st.sampled_from(["active", "porting"]), "status")
        return dict(drawn)

    @rule(
        data=st.data(),
        kind=st.sampled_from(["calls", "calls", "messages", "recordings", "webhooks", "numbers", "available"]),
        limit=st.sampled_from([1, 1, 2, 3, 7, 200]),
    )
    def begin_walk(self, data: st.DataObject, kind: str, limit: int) -> None:
        limit = max(limit, 7) if kind == "available" else limit
        walk = Walk(kind, self.filters(data, kind), limit)
        self.next_page(walk)
        if walk.cursor is not None:
            self.walks.append(walk)
            # A cursor is good for its own filters only.
            answer = self.ask("GET", "/v1/calls", cursor=walk.cursor, campaign_id="camp_ffffffffff")
            self.expect([(400, "invalid_parameter")], 0, answer)

    @precondition(lambda self: self.walks)
    @rule(data=st.data(), whole=st.booleans())
    def go_on_with_walk(self, data: st.DataObject, whole: bool) -> None:
        walk = self.walks[data.draw(index(self.walks), "walk")]
        for _ in range(1000 if whole else 1):
            self.next_page(walk)
            self.tick()
            if walk.cursor is None:
                self.walks.remove(walk)
                return

    def next_page(self, walk: Walk) -> None:
        """The next page holds the next rows in order; what came meanwhile stands before the first page."""
        path = "/v1/numbers" if walk.kind in {"numbers", "available"} else f"/v1/{walk.kind}"
        query = walk.filters if walk.cursor is None else {**walk.filters, "cursor": walk.cursor}
        page = self.expect([], 200, self.ask("GET", path, limit=walk.limit, **query))
        rows = self.coming(walk)
        expected = [row for _, row in rows]
        for shown in page["data"]:
            # A row that matches the filters only since the page before may be left out, or be there.
            while expected and expected[0]["id"] != shown["id"] and self.optional(walk, expected[0]):
                expected.pop(0)
            assert expected, f"{shown} is no row that is to come"
            self.agree(shown, expected.pop(0))
        required = [row for row in expected if not self.optional(walk, row)]
        assert len(page["data"]) == walk.limit or not required
        assert page["next_cursor"] is not None or not required
        assert page["has_more"] == (page["next_cursor"] is not None)
        assert page["next_cursor"] is None or expected
        walk.cursor = page["next_cursor"]
        if page["data"]:
            walk.last = next(place for place, row in rows if row["id"] == page["data"][-1]["id"])
        walk.awaited = frozenset(str(row["id"]) for row in expected)

    @staticmethod
    def optional(walk: Walk, row: Row) -> bool:
        return walk.cursor is not None and row["id"] not in walk.awaited

    def coming(self, walk: Walk) -> list[tuple[Any, Row]]:
        """The rows after the last one that was given, each with its place."""
        if walk.kind == "available":
            places = {row["id"]: number for number, row in enumerate(self.model.offer)}
            rows = [(places[row["id"]], row) for row in self.model.available(**walk.filters)]
            return [one for one in rows if walk.last is None or one[0] > walk.last]
        found = [
            ((thing.ready, thing.ended, thing.order) if walk.kind == "recordings" else thing.place(), row)
            for thing, row in self.model.rows(walk.kind, **walk.filters)
        ]
        return [one for one in found if walk.last is None or one[0] < walk.last]

    # Refusals

    @rule(
        what=st.sampled_from(
            [
                (404, "not_found", "GET", "/v1/calls/call_0000000000", None),
                (404, "not_found", "POST", "/v1/calls/call_0000000000/transfer", {"agent_id": "a"}),
                (404, "not_found", "PUT", "/v1/numbers/num_0000000000", {"caller_id": {"name": "Ada"}}),
                (404, "not_found", "DELETE", "/v1/numbers/num_0000000000", None),
                (404, "not_found", "DELETE", "/v1/webhooks/wh_0000000000", None),
                (404, "not_found", "GET", "/v1/recordings/rec_0000000000", None),
                (404, "not_found", "GET", "/v1/transcripts/tr_0000000000", None),
                (404, "not_found", "GET", "/v1/nothing", None),
                (405, "method_not_allowed", "DELETE", "/v1/calls", None),
                (400, "invalid_json", "POST", "/v1/calls", b"{"),
                (400, "missing_parameter", "POST", "/v1/calls", {"to": ORDINARY[0]}),
                (400, "invalid_parameter", "POST", "/v1/calls", {"to": "911", "from": FIRST_NUMBER}),
                (400, "invalid_parameter", "GET", "/v1/calls?limit=0", None),
                (400, "invalid_parameter", "GET", "/v1/calls?limit=201", None),
                (400, "invalid_parameter", "GET", "/v1/messages?cursor=nonsense", None),
                (400, "invalid_parameter", "GET", "/v1/calls?status=ended", None),
                (400, "invalid_parameter", "GET", "/v1/calls?after=1", None),
                (
                    400,
                    "invalid_parameter",
                    "POST",
                    "/v1/webhooks",
                    {"url": "http://127.0.0.1:9/", "events": ["call.end"]},
                ),
            ]
        )
    )
    def refused(self, what: tuple[int, str, str, str, Any]) -> None:
        """What the reference refuses, whatever the account holds, and nothing changes by it."""
        status, code, method, path, body = what
        self.expect([(status, code)], 0, self.ask(method, path, body))
        self.refused_without_key()
        self.settle()

    def refused_without_key(self) -> None:
        for headers, code in (
            ({}, "authentication_required"),
            ({"authorization": "Bearer nonsense"}, "invalid_api_key"),
        ):
            self.expect([(401, code)], 0, self.ask("GET", "/v1/calls", headers=headers))

    @rule(amount=st.integers(60, 130), pause=st.sampled_from([0.25, 0.5, 1.0]))
    def hurry(self, amount: int, pause: float) -> None:
        """More requests than the quota allows within a second: `ask` compares each answer with the model's count."""
        for number in range(amount):
            if number in {40, 80}:
                self.wire += pause
            self.ask("GET", "/v1/webhooks", limit=1)

    @rule(data=st.data())
    def throttled(self, data: st.DataObject) -> None:
        """0160 places the call, and the next answer, whatever was asked, is a 429."""
        from_ = self.caller(data)
        refusals = self.model.place_call(from_=from_, to=MAGIC + "60")
        answer = self.ask("POST", "/v1/calls", {"to": MAGIC + "60", "from": from_})
        shown = self.expect(refusals, 201, answer)
        if shown is not None:
            sent = {"Authorization": f"Bearer {self.sandbox.api_key}"}
            response = self.run(self.transport.send(Request("GET", "/v1/calls", sent)))
            self.quota.admit(self.wire)
            self.expect([(429, "rate_limited")], 0, self.checked(response))
            self.made(self.model.calls[-1], shown)
        self.settle()

    # Rules that are drawn more often than others: hypothesis draws each name as often as any other.

    more_calls = still_more_calls = place_calls
    more_transfers = still_more_transfers = transfer
    more_messages = send_messages
    more_replies = receive_messages
    more_moments = still_more_moments = wait_a_moment
    more_walks = begin_walk
    more_pages = go_on_with_walk
    more_dead_letters = replay
    more_restores = restore

    # What holds after each command

    @invariant()
    def shows_what_the_model_shows(self) -> None:
        """Lists, row by row and in order; and one kind of list with some of the filters that one of its rows passes."""
        self.tick()
        self.looks += 1
        assert self.model.now == self.now
        chance = Random(self.looks)
        others = [
            ("recordings", {}),
            ("webhooks", {}),
            ("numbers", {"status": "active"}),
            ("numbers", {"status": "porting"}),
        ]
        for kind, filters in [("calls", {}), ("messages", {}), others[self.looks % 4]]:
            self.compare_rows(kind, self.everything(f"/v1/{kind}", **filters), **filters)
        kind = chance.choice(["calls", "calls", "messages", "recordings", "numbers", "available"])
        rows = [row for _, row in self.model.rows(kind)] if kind != "available" else self.model.offer
        if rows:
            row = chance.choice(rows)
            filters = {name: value for name, value in passed_filters(kind, row).items() if chance.random() < 0.4}
            if kind == "available":
                assert self.everything("/v1/numbers", **filters) == self.model.available(**filters)
                return
            filters |= {"status": row["status"]} if kind == "numbers" else {}
            limit = chance.choice([4, 200, 200])
            self.compare_rows(kind, self.everything(f"/v1/{kind}", limit=limit, **filters), **filters)

    def compare_rows(self, kind: str, shown: list[Row], **filters: Any) -> None:
        expected = self.model.rows(kind, **filters)
        assert len(shown) == len(expected)
        for row, (_, wanted) in zip(shown, expected, strict=True):
            self.agree(row, wanted)

    @invariant()
    def delivers_what_the_model_delivers(self) -> None:
        """What is still to be delivered, what was given up, and the log of attempts."""

        def names(deliveries: Any) -> Counter[Any]:
            return Counter((one.webhook_id, one.event_id) for one in deliveries)

        wanted = self.model.live()
        assert names(self.world.pending()) == Counter((one.webhook.id, one.event.id) for one in wanted)
        due = sorted(one.due for one in self.world.pending())
        assert due == sorted(EPOCH.timestamp() + one.due for one in wanted)
        dead = [one for one in self.model.deliveries if one.dead]
        assert names(self.world.dead_letters()) == Counter((one.webhook.id, one.event.id) for one in dead)
        log = Counter((one.webhook_id, one.event_id, one.number, one.status, one.at) for one in self.world.deliveries())
        assert log == Counter(
            (
                one.delivery.webhook.id,
                one.delivery.event.id,
                one.number,
                one.status,
                EPOCH + timedelta(seconds=one.moment),
            )
            for one in self.model.log
        )

    @invariant()
    def counts_what_the_model_counts(self) -> None:
        """Campaigns and rings."""
        for campaign in self.world.campaigns():
            known = self.model.campaigns[campaign.id]
            assert (campaign.name, campaign.mode) == (known["name"], known["mode"])
            report = self.model.report(campaign.id)
            counted = {name: getattr(campaign, name) for name in report}
            assert {name: dict(v) if isinstance(v, dict) else v for name, v in counted.items()} == report
        assert len(self.world.campaigns()) == len(self.model.campaigns)
        rang = [
            (call.to, call.id, EPOCH + timedelta(seconds=call.rang))
            for call in self.model.calls
            if call.rang is not None
        ]
        assert sorted((ring.number, ring.call_id, ring.at) for ring in self.world.rings()) == sorted(rang)  # type: ignore[type-var]


TestModel = pytest.mark.timeout(0 if EXAMPLES else 120)(SandboxAndModel.TestCase)
TestModel.settings = settings(
    max_examples=int(EXAMPLES or 30),
    stateful_step_count=40 if EXAMPLES else 30,
    deadline=None,
    derandomize=EXAMPLES is None,
    suppress_health_check=list(HealthCheck),
)
