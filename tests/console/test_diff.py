"""What is shown of two attempts: what changed between them, and what did not is folded."""

from __future__ import annotations

import random

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


def kept(rows: list[dict], without: str) -> list[str]:
    return [row["text"] for row in rows if row["kind"] != without]


async def test_a_diff_of_lines_loses_and_invents_nothing(call) -> None:
    """Whatever two texts are, their diff holds the lines of both in order, and as many common lines as possible."""
    draw = random.Random(7)
    texts = [["\n".join(draw.choices("abc", k=draw.randrange(9))) for _ in range(2)] for _ in range(300)]
    texts += [["", ""], ["a", ""], ["", "a"], ["a\n", "a"]]
    for (before, after), rows in zip(texts, await call("widgets/diff.js", "lineDiff", texts), strict=True):
        assert kept(rows, "added") == before.split("\n")
        assert kept(rows, "removed") == after.split("\n")
        assert sum(row["kind"] == "same" for row in rows) == longest_common(before.split("\n"), after.split("\n"))


def longest_common(left: list[str], right: list[str]) -> int:
    lengths = [0] * (len(right) + 1)
    for one in left:
        before = 0
        for number, other in enumerate(right):
            before, lengths[number + 1] = (
                lengths[number + 1],
                before + 1 if one == other else max(lengths[number : number + 2]),
            )
    return lengths[-1]


async def test_a_diff_of_long_texts_is_bounded(call) -> None:
    """Two texts of thousands of different lines are shown as replaced, with their common beginning and end."""
    left, right = (["same", *(f"{side}{n}" for n in range(3_000)), "end"] for side in "lr")
    (rows,) = await call("widgets/diff.js", "lineDiff", [["\n".join(left), "\n".join(right)]])
    assert [row["kind"] for row in rows] == ["same", *["removed"] * 3_000, *["added"] * 3_000, "same"]


async def test_headers_are_compared_by_name(call) -> None:
    """A header that changed, one that was sent once, and one that stayed, whatever the case of its name."""
    before = {"X-Ajoxi-Signature": "t=1,v1=aa", "Content-Length": "7", "X-Old": "1"}
    after = {"x-ajoxi-signature": "t=2,v1=bb,v1=cc", "content-length": "7", "X-New": "1"}
    (rows,) = await call("widgets/diff.js", "namedDiff", [[before, after]])
    assert [tuple(row.values()) for row in rows] == [
        ("X-Ajoxi-Signature", "t=1,v1=aa", "t=2,v1=bb,v1=cc", False), ("Content-Length", "7", "7", True),
        ("X-Old", "1", None, False), ("X-New", None, "1", False),
    ]  # fmt: skip
