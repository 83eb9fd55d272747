"""What each kind of fault does, in words, for forms and help: the same as the documentation says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from ajoxi_async.sandbox.faults.faults import Action

__all__ = ["MEANINGS", "PRESETS", "Meaning", "Preset"]

_STATUS = ("status", "code", "retry_after")


@frozen
class Meaning:
    """What a kind of fault does.

    Attributes:
        what: what goes wrong.
        committed: whether the command is carried out all the same: ``yes``, ``no`` or ``later``; empty where there is no command.
        client: what a client sees, and what it should do.
        fields: the arguments of `Faults.add` that this kind uses, besides match and when.
    """

    what: str
    committed: str
    client: str
    fields: tuple[str, ...] = ()


@frozen
class Preset:
    """A fault with a name, ready to be added.

    Attributes:
        name: what it is for.
        effect: what happens then.
        fault: arguments of `Faults.add`.
    """

    name: str
    effect: str
    fault: Mapping[str, Any]


MEANINGS: Final[Mapping[Action, Meaning]] = {
    "status": Meaning(
        "the answer is an error",
        "no",
        "raises the error of this status; a 5xx is tried again where that is safe",
        _STATUS,
    ),
    "rate_limit_storm": Meaning(
        "429 for every match within some seconds",
        "no",
        "waits for Retry-After and tries again",
        ("seconds", "retry_after"),
    ),
    "latency": Meaning("the answer comes late", "yes", "waits, and times out if its timeout is shorter", ("seconds",)),
    "drop_before": Meaning(
        "the connection ends without an answer",
        "no",
        "cannot know whether the command was carried out; here it was not",
    ),
    "status_after_commit": Meaning(
        "the answer is an error, though the command was carried out",
        "yes",
        "must not repeat a call or a message blindly, or it is placed twice",
        _STATUS,
    ),
    "commit_late": Meaning(
        "the connection ends without an answer, and the command is carried out later",
        "later",
        "finds nothing when it looks at once, and the object when it looks again",
        ("seconds",),
    ),
    "reset": Meaning("the connection is reset", "no", "as drop_before"),
    "drop_after_commit": Meaning(
        "the connection ends without an answer, though the command was carried out",
        "yes",
        "must look whether the object exists before it tries again",
    ),
    "truncate": Meaning("half of the body comes, then the connection ends", "yes", "has no usable answer"),
    "malformed": Meaning("the body is not JSON", "yes", "has no usable answer"),
    "slow": Meaning(
        "the body takes some seconds to come", "yes", "waits, and times out if its timeout is shorter", ("seconds",)
    ),
    "outage": Meaning(
        "the answer is an error for a while",
        "no",
        "gives up after its retries, and works again after the outage",
        (*_STATUS, "seconds", "delay"),
    ),
    "list_lag": Meaning(
        "lists show new objects late", "yes", "does not find in a list what it has just made", ("seconds",)
    ),
    "sse_cut": Meaning(
        "a live transcript ends in the middle", "", "connects again and resumes after the last segment", ("events",)
    ),
    "webhook_duplicate": Meaning("an event is delivered twice", "", "must handle each event id once"),
    "webhook_reorder": Meaning(
        "an event is delivered late, after later ones", "", "must not rely on the order of events", ("seconds",)
    ),
    "webhook_bad_signature": Meaning("a delivery is signed wrongly", "", "must refuse the delivery"),
}

PRESETS: Final = (
    Preset(
        "API is down twice",
        "the next two calls are refused with 503, the third is placed",
        {"action": "status", "match": "calls.create", "when": "times", "n": 2, "status": 503},
    ),
    Preset(
        "Answer is lost",
        "the next call is placed, but its answer does not arrive",
        {"action": "drop_after_commit", "match": "calls.create", "when": "nth", "n": 1},
    ),
    Preset(
        "Placed a minute and a half later",
        "the answer to the next call is lost, and the call is placed after 90 s",
        {"action": "commit_late", "match": "calls.create", "when": "nth", "n": 1, "seconds": 90.0},
    ),
    Preset(
        "Rate limit storm",
        "every request is answered 429 for five seconds",
        {"action": "rate_limit_storm", "match": "*", "when": "nth", "n": 1, "seconds": 5.0},
    ),
    Preset(
        "Outage of a minute",
        "every request is answered 503 for a minute of the world's clock",
        {"action": "outage", "match": "*", "when": "every", "n": 1, "seconds": 60.0},
    ),
    Preset(
        "Slow API",
        "every answer comes two seconds late",
        {"action": "latency", "match": "*", "when": "every", "n": 1, "seconds": 2.0},
    ),
    Preset(
        "One in five fails",
        "a fifth of all requests is refused with 500",
        {"action": "status", "match": "*", "when": "probability", "p": 0.2, "status": 500},
    ),
    Preset(
        "Webhooks twice",
        "every event is delivered twice",
        {"action": "webhook_duplicate", "match": "*", "when": "every", "n": 1},
    ),
    Preset(
        "Webhook signed wrongly",
        "the next delivery has a wrong signature",
        {"action": "webhook_bad_signature", "match": "*", "when": "nth", "n": 1},
    ),
    Preset(
        "Transcript is cut",
        "the next live transcript ends after three segments",
        {"action": "sse_cut", "match": "transcripts.stream", "when": "nth", "n": 1, "events": 3},
    ),
)
