"""The sandbox against what schemathesis makes of the published document, with every check that it has.

It runs in this process: what it would send over a socket goes to the sandbox in memory, and time passes by a second with
each request that succeeds, so that calls are answered and end, and recordings come, in the course of one scenario.

Two answers are right although a check refuses them:

- A cursor is opaque: the document can say that it is a text and no more, but one that was never given out is a 400.
- A campaign is placed on the path of calls, but it is no call: ``/v1/calls/camp_...`` is a 404. A link cannot say that it
  is meant for calls only.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field

from ajoxi_async import Sandbox
from ajoxi_async.contract.routes import ROUTES
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox import Timing

# Schemathesis is imported where it is used: it takes most of a second, and most processes of a run do without.
if TYPE_CHECKING:
    import requests
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import Status, events


URL = "http://sandbox.test"
OWN_NUMBER = "+14155550100"
PHASES = ("examples", "coverage", "fuzzing", "stateful")
#: 422 is for what is wrong by its meaning. 500 is what one of the magic numbers asks for.
MEANING = ["2xx", "401", "403", "404", "422", "429", "500"]

OFF = {"enabled": False}
#: Paths that links connect, and how many scenarios of 25 requests there are.
STATEFUL = {"/(calls|recordings|transcripts)": 6, "/(numbers|messages|calls$)": 7, "/(messages|webhooks)": 3}


@define
class Served:
    """A sandbox that answers from any thread, one request at a time, and its key."""

    exchange: Callable[[Request], Response]
    key: str


@define
class Report:
    """What a run of schemathesis found.

    Attributes:
        failures: a description of each check that failed.
        excused: failures that are right, see the top of this file, by check.
        errors: what ended a phase.
        phases: the status of each phase.
        answers: how often each operation answered with a status in a phase.
        followed: how often a link was followed, by source, target and status.
    """

    failures: list[str] = field(factory=list)
    excused: Counter[str] = field(factory=Counter)
    errors: list[str] = field(factory=list)
    phases: dict[str, Status] = field(factory=dict)
    answers: Counter[tuple[str, str, int]] = field(factory=Counter)
    followed: Counter[tuple[str, str, int]] = field(factory=Counter)

    def add(self, other: Report) -> None:
        """Take another run's report into this one."""
        self.failures += other.failures
        self.errors += other.errors
        self.excused += other.excused
        self.answers += other.answers
        self.followed += other.followed
        self.phases |= {name: status for name, status in other.phases.items() if status.value != "skip"}

    def took(self, event: Any) -> None:
        """Take an event of the engine into the report."""
        from schemathesis.engine import events

        if isinstance(event, events.NonFatalError):
            self.errors.append(f"{event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            self.errors.append(repr(event.exception))
        elif isinstance(event, events.PhaseFinished):
            self.phases[event.phase.name.value.lower()] = event.status
        elif isinstance(event, events.ScenarioFinished):
            self._took_scenario(event)

    def _took_scenario(self, event: events.ScenarioFinished) -> None:
        recorder, phase = event.recorder, event.phase.value.lower()
        for id, node in recorder.cases.items():
            answer = recorder.find_response(case_id=id)
            if answer is None:
                continue
            operation = _name_of(node.value.operation)
            self.answers[phase, operation, answer.status_code] += 1
            if node.transition is not None and node.is_transition_applied and node.parent_id is not None:
                source = _name_of(recorder.cases[node.parent_id].value.operation)
                self.followed[source, operation, answer.status_code] += 1
        for id, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    answer = recorder.find_response(case_id=id)
                    shown = answer.content[:500] if answer is not None else b""
                    self.failures.append(f"{check.name}: {check.failure_info.failure.message}")
                    self.failures[-1] += f"\n{check.failure_info.code_sample[:2000]}\n{shown!r}"


def _name_of(operation: Any) -> str:
    return str(operation.definition.raw["operationId"])


def _is_cursor(failure: Any, answer: Any) -> bool:
    refused = answer.status_code == 400 and json.loads(answer.content)["error"].get("param") == "cursor"
    return type(failure).__name__ == "RejectedPositiveData" and refused


def _is_campaign(failure: Any, case: Any) -> bool:
    wanted = str((case.path_parameters or {}).get("id"))
    return type(failure).__name__ == "EnsureResourceAvailability" and wanted.startswith("camp_")


def _config(key: str, phases: dict[str, Any]) -> SchemathesisConfig:
    from schemathesis.config import SchemathesisConfig

    return SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "base-url": URL,
            "headers": {"Authorization": f"Bearer {key}"},
            "continue-on-failure": True,
            "generation": {"deterministic": True, "database": "none", "no-shrink": True},
            "phases": phases,
            "checks": {"positive_data_acceptance": {"expected-statuses": MEANING}},
            # Nearly every call and message comes from a number of the account, or there would be none.
            "dictionaries": {"own": {"values": [OWN_NUMBER]}},
            "parameters": {"body.from": {"dictionary": "own", "probability": 0.9}},
        }
    )


def _run(served: Served, document: dict[str, Any], phases: dict[str, Any], paths: str = "") -> Report:
    """Let schemathesis test the sandbox by a document, on the paths that match."""
    import requests
    import schemathesis
    from schemathesis.engine import from_schema
    from urllib3 import HTTPResponse

    report = Report()
    schema = schemathesis.openapi.from_dict(document, config=_config(served.key, phases)).include(path_regex=paths)

    @schema.hook
    def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:  # noqa: ARG001
        if _is_cursor(failure, response) or _is_campaign(failure, case):
            report.excused[type(failure).__name__] += 1
            return False
        return True

    if paths:

        @schema.hook
        def map_query(context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
            return {name: value for name, value in query.items() if name != "cursor"} if query else query

    def send(adapter: requests.adapters.HTTPAdapter, sent: requests.PreparedRequest, **_: Any) -> requests.Response:
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body
        answer = served.exchange(Request(sent.method, sent.url.removeprefix(URL), dict(sent.headers), body))
        raw = HTTPResponse(io.BytesIO(answer.body), answer.headers, answer.status, preload_content=False)
        return adapter.build_response(sent, raw)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(requests.adapters.HTTPAdapter, "send", send)
        # Looking for proxies and a .netrc takes longer than most answers.
        patched.setattr(requests.sessions, "get_environ_proxies", lambda *_, **__: {})
        patched.setattr(requests.sessions, "get_netrc_auth", lambda *_, **__: None)
        for event in from_schema(schema).execute():
            report.took(event)
    return report


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A sandbox in memory. The garbage collector is off meanwhile: it took a fifth of the time."""

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:  # noqa: ARG001
        return 200

    # The calls of a campaign of 10,000 stay queued: they are no part of what is tested here.
    timing = Timing(ring=0.5, talk=8.0, porting=0.5, campaign_pace=0.001)
    sandbox = Sandbox(port=None, clock="manual", rate_limit=None, post=post, timing=timing)

    async def exchange(request: Request) -> Response:
        answer = await sandbox.transport().send(request)
        if answer.status < 400:
            await sandbox.clock.advance(1.0)
        return answer

    gc.disable()
    try:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            loop.run_until_complete(sandbox.__aenter__())
            yield Served(lambda request: loop.run_until_complete(exchange(request)), sandbox.api_key)
            loop.run_until_complete(sandbox.__aexit__(None, None, None))
    finally:
        gc.enable()


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    """The document, as the sandbox gives it."""
    return json.loads(served.exchange(Request("GET", "/openapi.json")).body)


@pytest.fixture(scope="module")
def report(served: Served, document: dict[str, Any]) -> Report:
    """What schemathesis finds with the document as it is published, in every phase.

    The stateful phase takes related paths at a time, or most of its steps would begin something new. It sends no cursors of
    its own, and follows the links of the document only, not those that schemathesis guesses.
    """
    found = _run(served, document, {"fuzzing": {"generation": {"max-examples": 6}}, "stateful": OFF})
    for paths, scenarios in STATEFUL.items():
        stateful = {
            "generation": {"max-examples": scenarios, "mode": "positive"},
            "max-steps": 25,
            "inference": {"algorithms": []},
        }
        found.add(_run(served, document, {"coverage": OFF, "fuzzing": OFF, "stateful": stateful}, paths))
    return found


def test_nothing_it_can_think_of_surprises(report: Report) -> None:
    """Examples, edges, random and stateful requests, valid and not, are answered as the document says."""
    from schemathesis.engine import Status

    assert not report.errors, "\n".join(report.errors)
    assert not report.failures, "\n\n".join(report.failures)
    assert {phase: report.phases[phase] for phase in PHASES} == dict.fromkeys(PHASES, Status.SUCCESS)


def test_every_check_is_on() -> None:
    """No check is left out, whatever version of schemathesis brings it."""
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    checks = _config("AJX_TEST_x", {}).projects.get_default().checks
    on = {name for name in CHECKS.get_all_names() if checks.get_by_name(name=name).enabled}
    # It asks for a limit, and the sandbox's speed has tests of its own.
    assert on == set(CHECKS.get_all_names()) - {"max_response_time"}
    assert {"positive_data_acceptance", "negative_data_rejection", "missing_required_header"} <= on


def test_every_operation_is_tried(report: Report, document: dict[str, Any]) -> None:
    """Every operation of the document is asked in each phase, succeeds, and refuses."""
    operations = {operation["operationId"] for item in document["paths"].values() for operation in item.values()}
    for asked in ("coverage", "fuzzing", "stateful"):
        assert {name for phase, name, _ in report.answers if phase == asked} == operations
    assert {name for _, name, status in report.answers if status < 300} == operations
    assert {name for _, name, status in report.answers if status >= 400} == operations


@pytest.mark.parametrize(
    "target",
    ["calls.retrieve", "calls.transfer", "recordings.retrieve", "transcripts.retrieve", "calls.create", "messages.list"]
    + ["messages.send", "numbers.provision", "numbers.update", "numbers.release", "webhooks.delete"],
)
def test_links_lead_there(report: Report, target: str) -> None:
    """Following the document's links, a tester comes to what only exists after something else.

    A 422 is about an object that is there, such as a call that cannot be transferred any more.
    """
    ways = {source for source, name, status in report.followed if name == target and (status < 300 or status == 422)}
    assert ways, report.followed


def _at(place: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        place = place[key]
    return place


@pytest.mark.parametrize(
    ("component", "path", "keyword"),
    [
        ("WebhookCreate", ("properties", "url"), "pattern"),
        ("WebhookCreate", ("properties", "events"), "minItems"),
        ("CallTransfer", (), "oneOf"),
        ("NumberUpdate", (), "anyOf"),
    ],
)
def test_a_rule_that_the_document_does_not_state_is_found(
    served: Served, document: dict[str, Any], component: str, path: tuple[str, ...], keyword: str
) -> None:
    """Without any one rule in the document, a body that it then allows is answered 400, which fails."""
    loose = copy.deepcopy(document)
    del _at(loose["components"]["schemas"][component], path)[keyword]
    (wanted,) = (route for route in ROUTES.values() if route.body is not None and route.body.__name__ == component)
    operation = loose["paths"][wanted.path][wanted.method.lower()]
    for answer in operation["responses"].values():
        answer.pop("links", None)
    loose["paths"] = {wanted.path: {wanted.method.lower(): operation}}
    found = _run(served, loose, {"examples": OFF, "fuzzing": OFF, "stateful": OFF})
    assert any("Valid data should have been accepted" in failure for failure in found.failures), found
