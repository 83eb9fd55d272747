"""The sandbox and a small independent model of it (`model`), through whatever API users do, in any order.

A machine of hypothesis draws commands, carries each out on a sandbox, in memory and on a virtual clock, and on the model,
and compares answers. After each command it compares everything that the API shows, every event and every delivery.

``AJOXI_MODEL_EXAMPLES=2000 pytest tests/sandbox/test_model.py`` runs that many examples, drawn anew, instead of the same few.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta
from functools import partial
from operator import itemgetter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import NeverHappenedError, Refusal, Snapshot

from . import model
from .model import EPOCH, EVENTS, FIRST_NUMBER, MAGIC, Model, Row, at
from .model_walks import Walk, Walks, passed_filters

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


def index(of: Any) -> st.SearchStrategy[int]:
    return st.integers(0, max(0, len(of) - 1))


class SandboxAndModel(Walks, RuleBasedStateMachine):
    """Commands on both, and what they show after each."""

    def __init__(self) -> None:
        super().__init__()
        self.walks: list[Walk] = []
        self.kept: list[tuple[Snapshot, Model]] = []
        self.urls = self.looks = 0

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

    def provision(self, data: st.DataObject, port: bool, phone: str | None = None) -> None:
        offer = [row["phone_number"] for row in self.model.offer]
        known = [number.phone for number in self.model.numbers]
        released = [number.phone for number in self.model.numbers if number.released is not None]
        phone = phone or data.draw(
            st.sampled_from([*offer[:1] * 3, offer[601], *PORTED, *known, *released * 3]), "number"
        )
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
    @rule(data=st.data(), again=st.booleans())
    def release_number(self, data: st.DataObject, again: bool) -> None:
        """A number is given back, and perhaps ported in at once; one that is being ported in rather than others."""
        held = self.model.held()
        porting = [number for number in held if number.status(self.now) == "porting"]
        number = data.draw(st.sampled_from([*porting * 3, *held[1:], *held[-1:]]), "number")
        self.expect([], 204, self.ask("DELETE", f"/v1/numbers/{number.id}"))
        self.model.release(number)
        for method, body in (("DELETE", None), ("PUT", {"caller_id": {"name": "Ada"}})):
            self.expect([(404, "not_found")], 0, self.ask(method, f"/v1/numbers/{number.id}", body))
        self.settle()
        if again:
            self.provision(data, port=True, phone=number.phone)
            self.advance(seconds=5)

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
            # Endpoints do not wait for each other, so that only the order of each one's own is given.
            told.append((self.some_of_everything(seconds, to), sorted(self.endpoints.got, key=itemgetter(1))))
            self.endpoints.got.clear()
            self.in_loop(partial(self.world.restore, snapshot))
            self.tick()
        assert told[0] == told[1]

    def some_of_everything(self, seconds: float, to: str) -> list[Any]:
        """Commands of every kind, and all that is shown after them."""
        own, other = self.model.held()[0] if self.model.held() else None, ORDINARY[0]
        answers: list[Any] = [
            self.ask("POST", "/v1/calls", {"to": to, "from": FIRST_NUMBER, "record": True}),
            self.ask("POST", "/v1/calls", {"to": MAGIC + "61", "from": FIRST_NUMBER}),
            self.ask("POST", "/v1/messages", {"to": other, "from": FIRST_NUMBER, "body": "hi"}),
            self.ask("POST", "/v1/numbers", {"phone_number": self.model.offer[0]["phone_number"]}),
            self.ask("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/0", "events": [*EVENTS]}),
            self.ask(
                "POST", "/v1/calls",
                {"from": FIRST_NUMBER, "campaign": {"name": "twice", "mode": "power", "contacts": [to, other]}},
            ),
        ]  # fmt: skip
        answers += [self.world.rotate_secret(webhook.id) for webhook in self.model.webhooks]
        if own is not None and not self.model.not_own(own.phone) and not self.model.takes_no_texts(own.phone):
            self.in_loop(partial(self.world.inbound_message, from_=other, to=own.phone, body="STOP"))
            answers.append(self.ask("POST", "/v1/messages", {"to": other, "from": own.phone, "body": "hi"}))
        answers.append(self.run(self.clock.advance(seconds=seconds)))
        if own is not None:
            answers.append(self.ask("DELETE", f"/v1/numbers/{own.id}"))
        lists = ("calls", "recordings", "messages", "webhooks", "numbers?status=active")
        answers += [self.ask("GET", f"/v1/{path}") for path in lists]
        attempts = [(one.event_id, one.webhook_id, one.number, one.at) for one in self.world.deliveries()]
        return [*answers, self.world.campaigns(), self.world.rings(), sorted(attempts)]

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

    @rule(amount=st.integers(95, 130), pause=st.sampled_from([0.25, 0.25, 0.5, 1.0]))
    def hurry(self, amount: int, pause: float) -> None:
        """More requests than the quota allows within a second: `ask` compares each answer with the model's count."""
        for number in range(amount):
            if number in {40, 80}:
                self.wire += pause
            self.ask("GET", "/v1/webhooks", limit=1)
        self.wire += 0.75
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


TestModel = pytest.mark.timeout(0 if EXAMPLES else 180)(SandboxAndModel.TestCase)
TestModel.settings = settings(
    max_examples=int(EXAMPLES or 12),
    stateful_step_count=40 if EXAMPLES else 30,
    deadline=None,
    derandomize=EXAMPLES is None,
    suppress_health_check=list(HealthCheck),
)
