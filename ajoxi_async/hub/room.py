"""One call that a hub follows: its stream, what was said so far, and its consumers."""

from __future__ import annotations

import copy
import hashlib
import re
import secrets
from typing import Final, Protocol

import anyio
from attrs import define, evolve, field

from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.hub.timeline import Cursor, Timeline
from ajoxi_async.protocol.assembly import TranscriptSnapshot
from ajoxi_async.protocol.errors import StreamInterruptedError
from ajoxi_async.runtime.cancellation import stray_cancellation_fails
from ajoxi_async.streaming.live import LiveTranscript

__all__ = ["Member", "Room", "is_end"]

#: The first part names the call and the room, so that an id of another call, of another process or of an earlier stream is not taken for
#: one of this room. The second is the version of the last segment.
_ID: Final = re.compile(r"([0-9a-f]{8})([0-9a-f]{8})-([0-9]{1,15})(-end)?")


def _mark(call_id: str) -> str:
    return hashlib.blake2s(call_id.encode("utf-8", "replace"), digest_size=4).hexdigest()


def is_end(call_id: str, last_event_id: str | None) -> bool:
    """Whether an id says that the consumer got the whole transcript of a call, from whatever room."""
    known = _ID.fullmatch(last_event_id or "")
    return known is not None and known[4] is not None and known[1] == _mark(call_id)


class Member(Protocol):
    """A consumer, as its room sees it."""

    def _beat(self, now: float) -> None:
        """Called now and then, with monotonic seconds."""

    def _cut(self) -> None:
        """Called when the room was cut off."""


@define(eq=False)
class Room:
    """One call.

    Attributes:
        live: its stream.
        timeline: what was said so far.
        members: its consumers.
        opened: whether the API has answered.
        completed: whether the transcript is complete.
        beats: counts the moments at which a consumer that was sent nothing else is sent a sign of life.
        changed: is set, and replaced by another event, when any of this changes.
        left: set while there is no consumer.
        joined: set while there is one.
    """

    live: LiveTranscript
    timeline: Timeline = field(factory=Timeline)
    members: set[Member] = field(factory=set)
    opened: bool = False
    completed: bool = False
    beats: int = 0
    changed: anyio.Event = field(factory=anyio.Event)
    left: anyio.Event = field(factory=anyio.Event)
    joined: anyio.Event = field(factory=anyio.Event)
    _name: str = field(init=False)
    _failure: Exception | None = None
    _cut: Exception | None = None

    def __attrs_post_init__(self) -> None:
        self._name = _mark(self.live.call_id) + secrets.token_hex(4)

    def enter(self, member: Member) -> None:
        """Add a consumer."""
        if not self.members:
            self.joined.set()
            self.left = anyio.Event()
        self.members.add(member)

    def leave(self, member: Member) -> None:
        """Remove a consumer."""
        before = len(self.members)
        self.members.discard(member)
        if before and not self.members:
            self.left.set()
            self.joined = anyio.Event()

    def cursor(self, last_event_id: str | None) -> tuple[Cursor, bool]:
        """A place in the timeline for a consumer that joins, and whether that is where it was before."""
        known = _ID.fullmatch(last_event_id or "")
        if known is None or known[1] + known[2] != self._name or int(known[3]) > self.timeline.version:
            return self.timeline.cursor(), False
        return self.timeline.cursor(int(known[3])), True

    def id_at(self, version: int, *, end: bool = False) -> str:
        """The id at which a consumer resumes that has got the segments up to a version."""
        return f"{self._name}-{version}{'-end' if end else ''}"

    def snapshot(self) -> TranscriptSnapshot:
        """All that was said so far."""
        now = self.live.snapshot()
        return evolve(now, last_event_id=self.id_at(self.timeline.version), completed=self.completed)

    def wake(self) -> None:
        """Have the consumers look again."""
        changed, self.changed = self.changed, anyio.Event()
        changed.set()

    def beat(self, now: float) -> None:
        """Have the consumers send a sign of life where it is due."""
        self.beats += 1
        for member in list(self.members):
            member._beat(now)
        self.wake()

    def fail(self, error: Exception) -> None:
        """The stream has failed: each consumer gets what came before, and then the error."""
        self._failure = error
        self.wake()

    def cut(self, error: Exception) -> None:
        """End all consumers at once. A second time has no effect: what tells a browser of the first may be under way."""
        if self._cut is not None:
            return
        self._cut = error
        for member in list(self.members):
            member._cut()
        self.wake()

    def check_cut(self) -> None:
        """Raise the error that ends all consumers at once."""
        if self._cut is not None:
            raise _own(self._cut)

    def check(self) -> None:
        """Raise the error that ended the stream, if one did."""
        if self._failure is not None:
            raise _own(self._failure)

    async def follow(self) -> None:
        """Read the stream to its end. Never raises."""
        try:
            with stray_cancellation_fails():
                async with self.live:
                    self.opened = True
                    self.wake()
                    async for segment in self.live:
                        self.timeline.add(segment)
                        self.wake()
            self.completed = True
            self.wake()
        except AjoxiError as error:
            self.fail(error)
        except Exception as error:  # of a transport, token provider or hook of the caller's
            failure = StreamInterruptedError(
                f"the live transcript of {self.live.call_id} failed: {type(error).__name__}: {error}"
            )
            failure.__cause__ = error
            self.fail(failure)


def _own(error: Exception) -> Exception:
    """A copy for one consumer: raising one exception in many tasks would mix up their tracebacks, and keep their frames."""
    own = copy.copy(error)
    own.__cause__ = error.__cause__
    return own
