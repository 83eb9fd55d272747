"""Deliveries as ``webhooks listen`` sees them: what is in them, whether they are signed, and the last ones that came.

Nothing here does I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from attrs import define, evolve, field, frozen

from ajoxi_async.cli.show.formats import json_text
from ajoxi_async.cli.show.text import printable
from ajoxi_async.cli.status import UsageError
from ajoxi_async.contract.codec import DecodeError, parse_json
from ajoxi_async.contract.webhooks import EVENT_ALIASES, EventType
from ajoxi_async.webhooks import WebhookSignatureError, verify_webhook

__all__ = ["Delivery", "History", "Verdict", "chosen_types", "judge", "read"]

Verdict = Literal["ok", "wrong", "missing", "not checked"]

#: Deliveries that are remembered, and bytes of their bodies.
_MOST: Final = 200
_MOST_BYTES: Final = 32 * 1024 * 1024
#: Characters of a body that is no JSON.
_EXCERPT: Final = 2000


@frozen
class Delivery:
    """One delivery.

    Attributes:
        number: from 1, in the order in which they came.
        body: the bytes, as they came.
        signature: the header, if there was one.
        type: of the event; empty if the body is no event.
        id: of the event.
        verdict: whether the signature was made with the secret.
        why: why it was not.
        answers: what the target answered: a status, or why there was none; the last one is the newest.
    """

    number: int
    body: bytes = field(repr=False)
    signature: str | None = field(repr=False)
    type: str
    id: str
    verdict: Verdict
    why: str
    answers: tuple[str, ...] = ()

    def line(self, *, numbered: bool) -> str:
        """The delivery in a line: what it is, what was answered, and the verdict where there is one."""
        what = f"{self.type} {self.id}" if self.type else f"{len(self.body)} bytes that are no event"
        judged = {"not checked": "", "ok": "  signature ok"}.get(
            self.verdict, f"  SIGNATURE {self.verdict.upper()}: {self.why}"
        )
        number = f"#{self.number} " if numbered else ""
        again = "again: " if len(self.answers) > 1 else ""
        # What strangers sent is shown in ASCII.
        return f"{number}{ascii(what)[1:-1]}: {again}{self.answers[-1] if self.answers else ''}{judged}"

    def body_lines(self) -> list[str]:
        """The body as lines, indented: JSON if it is JSON, else its beginning."""
        try:
            text = json_text(parse_json(self.body), indent=2)
        except DecodeError:
            return [f"  {printable(self.body[:_EXCERPT].decode('utf-8', 'backslashreplace'))}"]
        return [f"  {line}" for line in text.split("\n")]

    def to_dict(self) -> dict[str, Any]:
        """The delivery, ready for JSON."""
        try:
            body = parse_json(self.body)
        except DecodeError:
            body = self.body.decode("utf-8", "backslashreplace")
        return {
            "number": self.number,
            "type": self.type or None,
            "id": self.id or None,
            "answer": self.answers[-1] if self.answers else None,
            "attempt": len(self.answers),
            "signature": self.verdict,
            "why": self.why or None,
            "body": body,
        }


def read(number: int, body: bytes, signature: str | None, secret: str | None) -> Delivery:
    """Read a delivery.

    Args:
        number: from 1.
        body: the bytes, as they came.
        signature: the header, if there was one.
        secret: of the webhook, if it is known.
    """
    verdict, why = judge(body, signature, secret)
    kind = id = ""
    try:
        event = parse_json(body)
        if isinstance(event["type"], str) and isinstance(event["id"], str):
            kind, id = event["type"], event["id"]
    except (DecodeError, TypeError, KeyError):
        pass
    return Delivery(number, body, signature, kind, id, verdict, why)


def judge(body: bytes, signature: str | None, secret: str | None) -> tuple[Verdict, str]:
    """Whether a delivery was signed with the secret, and if not, the likely reason."""
    if not secret:
        return "not checked", ""
    if not signature:
        return "missing", "there is no signature"
    try:
        verify_webhook(body, signature, secret)
    except WebhookSignatureError as error:
        return "wrong", str(error)
    return "ok", ""


def chosen_types(typed: Iterable[str] | None) -> frozenset[str] | None:
    """The types of events that ``--events`` names; ``None`` for all.

    Raises:
        UsageError: one of them is no type of event.
    """
    if typed is None:
        return None
    known = [event.value for event in EventType]
    chosen: set[str] = set()
    for name in (name for text in typed for name in text.split(",") if name):
        named = EVENT_ALIASES.get(name, name)
        found = [one for one in known if one == named or named in {"*", one.partition(".")[0] + ".*"}]
        if not found:
            raise UsageError(f"--events: expected some of {', '.join(known)}, or such as message.*, got {name[:60]!r}")
        chosen.update(found)
    if not chosen:
        raise UsageError(f"--events: expected some of {', '.join(known)}")
    return frozenset(chosen)


@define
class History:
    """The last deliveries, by their numbers. The oldest are forgotten: there are at most 200, with 32 MiB of bodies."""

    _kept: OrderedDict[int, Delivery] = field(factory=OrderedDict)
    _bytes: int = 0
    _next: int = 1

    def next_number(self) -> int:
        """A number for a delivery that comes."""
        number, self._next = self._next, self._next + 1
        return number

    def keep(self, delivery: Delivery) -> None:
        """Remember a delivery."""
        self._kept[delivery.number] = delivery
        self._bytes += len(delivery.body)
        while len(self._kept) > _MOST or (self._bytes > _MOST_BYTES and len(self._kept) > 1):
            _, forgotten = self._kept.popitem(last=False)
            self._bytes -= len(forgotten.body)

    def answered(self, delivery: Delivery, answer: str) -> Delivery:
        """Note an answer; return the delivery with it."""
        newest = evolve(delivery, answers=(*self._kept.get(delivery.number, delivery).answers, answer))
        if delivery.number in self._kept:
            self._kept[delivery.number] = newest
        return newest

    def find(self, number: int | None) -> Delivery | None:
        """A delivery by its number, or the last one; ``None`` if it is not remembered."""
        if number is None:
            return next(reversed(self._kept.values()), None)
        return self._kept.get(number)

    def latest(self, amount: int) -> Sequence[Delivery]:
        """The last deliveries, the newest last."""
        return list(self._kept.values())[-amount:]
