"""What consumers are given, whatever the order in which segments come and consumers join, take, stall and resume."""

from __future__ import annotations

import sys

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async import Segment
from ajoxi_async.hub.timeline import Cursor, Timeline
from ajoxi_async.protocol.assembly import Assembly

SEGMENTS = st.builds(Segment, sequence=st.integers(1, 5), revision=st.integers(1, 6), is_final=st.booleans())
#: A segment that is said, or what one of four consumers does.
STEPS = st.lists(
    st.one_of(
        SEGMENTS,
        st.tuples(st.just("take"), st.integers(0, 3), st.integers(1, 5)),
        st.tuples(st.just("come again"), st.integers(0, 3), st.booleans()),
    ),
    max_size=80,
)


@define
class Consumer:
    """A consumer, and what it may expect, worked out the plain way."""

    cursor: Cursor
    interim: bool
    #: All finals that it has to be given, in order.
    due: list[Segment]
    given: list[Segment] = field(factory=list)
    #: What it holds: the latest segment of each sequence, and the latest final of each.
    held: dict[int, Segment] = field(factory=dict)
    finals: dict[int, Segment] = field(factory=dict)


@define
class Scene:
    """A timeline, the transcript as the client assembles it, and the consumers."""

    timeline: Timeline = field(factory=Timeline)
    assembly: Assembly = field(factory=Assembly)
    finals: list[Segment] = field(factory=list)
    versions: dict[int, int] = field(factory=dict)
    consumers: list[Consumer] = field(factory=list)

    def say(self, segment: Segment) -> None:
        """Let a segment come, unless the client drops it as a repetition."""
        if not self.assembly.accept(segment):
            return
        self.versions[id(segment)] = self.timeline.add(segment).version
        if segment.is_final:
            self.finals.append(segment)
            for consumer in self.consumers:
                consumer.due.append(segment)

    def current(self, seen: int) -> list[Segment]:
        """The finals after a version that count now, in the order in which they came."""
        return [
            final
            for final in self.finals
            if self.versions[id(final)] > seen and any(final is one for one in self.assembly.finals())
        ]

    def join(self, interim: bool, before: Consumer | None = None) -> Consumer:
        """Let a consumer come, or come again."""
        seen = before.cursor.seen if before is not None else 0
        consumer = Consumer(self.timeline.cursor(seen), interim, self.current(seen))
        if before is not None:
            consumer.held, consumer.finals = dict(before.held), dict(before.finals)
        return consumer

    def take(self, consumer: Consumer) -> bool:
        """Let a consumer take one segment, and check it."""
        seen = consumer.cursor.seen
        entry = self.timeline.take(consumer.cursor, interim=consumer.interim)
        if entry is None:
            return False
        segment = entry.segment
        assert entry.version == consumer.cursor.seen > seen
        consumer.given.append(segment)
        consumer.held[segment.sequence] = segment
        if segment.is_final:
            assert segment is consumer.due.pop(0)
            consumer.finals[segment.sequence] = segment
        else:
            assert consumer.interim
            # An interim that has been replaced is never given.
            assert any(segment is one for one in self.assembly.interims())
        return True


@given(STEPS, st.lists(st.booleans(), min_size=4, max_size=4))
@settings(max_examples=150)
def test_no_final_is_lost_and_interims_are_the_latest(steps: list, interims: list[bool]) -> None:
    """Each consumer gets each final once, in order, and of interims the latest; at the end it holds the whole transcript."""
    scene = Scene()
    scene.consumers = [scene.join(interim) for interim in interims]
    for step in steps:
        if isinstance(step, Segment):
            scene.say(step)
        elif step[0] == "take":
            consumer = scene.consumers[step[1]]
            for _ in range(step[2]):
                scene.take(consumer)
        else:
            before = scene.consumers[step[1]]
            scene.consumers[step[1]] = scene.join(before.interim, before if step[2] else None)
    truth = {segment.sequence: segment for segment in scene.assembly.finals()}
    for consumer in scene.consumers:
        # What it has yet to get is bounded by the finals, and one interim of each sequence.
        waiting = 0
        while scene.take(consumer):
            waiting += 1
            assert waiting <= len(scene.finals) + 5
        assert not consumer.due
        assert consumer.finals == truth
        if consumer.interim:
            latest = truth | {segment.sequence: segment for segment in scene.assembly.interims()}
            assert consumer.held == latest
        assert scene.timeline.take(consumer.cursor, interim=consumer.interim) is None


def test_a_stalled_consumer_costs_nothing() -> None:
    """A thousand interims of one sequence are one segment for whoever has taken none of them, and one in memory."""
    timeline = Timeline()
    stalled, present = timeline.cursor(), timeline.cursor()
    for revision in range(1, 1001):
        timeline.add(Segment(sequence=1, revision=revision, is_final=False))
        assert timeline.take(present) is not None
    assert len(timeline._interims) == 1
    assert not timeline._finals
    taken = timeline.take(stalled)
    assert taken is not None
    assert taken.segment.revision == 1000
    assert timeline.take(stalled) is None
    assert sys.getsizeof(stalled) < 100


def test_a_corrected_final_is_not_shown_again() -> None:
    """Who is present gets a final and its correction; who joins after the correction gets the correction alone."""
    timeline = Timeline()
    behind = timeline.cursor()
    timeline.add(Segment(sequence=1, text="my card is 4111"))
    joined_before = timeline.cursor()
    timeline.add(Segment(sequence=1, revision=2, text="my card is ****"))
    for cursor, texts in (
        (behind, ["my card is 4111", "my card is ****"]),
        (joined_before, ["my card is 4111", "my card is ****"]),
        (timeline.cursor(), ["my card is ****"]),
    ):
        given = []
        while (entry := timeline.take(cursor)) is not None:
            given.append(entry.segment.text)
        assert given == texts
