"""Plots of a report, drawn as SVG. They contain no scripts, fonts or other files, and take their colours from the page's CSS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

__all__ = ["bar", "columns"]

_WIDTH: Final = 720
_HEIGHT: Final = 220
_LEFT: Final = 56
_BOTTOM: Final = 28
_TOP: Final = 8


def bar(value: int, largest: int, kind: str) -> str:
    """A horizontal bar that fills its cell of a table if `value` is the `largest`; `kind` is its CSS class."""
    # A value that is small beside the others is still seen.
    width = 0.0 if not value else max(100 * value / largest, 0.6)
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{kind}" width="{width:.2f}" height="10"/></svg>'
    )


def _ticks(largest: int) -> list[int]:
    """At most five round values from 0 to at least the largest."""
    step = 1
    while step * 4 < largest:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return list(range(0, -(-largest // step) * step + 1, step))


def columns(
    title: str,
    intervals: Sequence[tuple[int, Mapping[str, int]]],
    kinds: Sequence[str],
    labels: Callable[[int], str],
) -> str:
    """Stacked columns, one for each interval of time.

    Args:
        title: what is shown, for those who cannot see it.
        intervals: start and counts by kind.
        kinds: from the bottom up; each is a CSS class, too.
        labels: text of the start of an interval.
    """
    heights = [sum(counts.get(kind, 0) for kind in kinds) for _, counts in intervals]
    ticks = _ticks(max(heights))
    plot_width, plot_height = _WIDTH - _LEFT, _HEIGHT - _TOP - _BOTTOM
    pitch = plot_width / len(intervals)
    scale = plot_height / ticks[-1]
    parts = [
        f'<svg class="columns" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">',
    ]
    for tick in ticks:
        y = _TOP + plot_height - tick * scale
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:,}</text>')
    gap = min(2.0, pitch / 4)
    for number, (start, counts) in enumerate(intervals):
        x, y = _LEFT + number * pitch + gap / 2, _TOP + float(plot_height)
        told = ", ".join(f"{counts[kind]:,} {kind}" for kind in kinds if counts.get(kind))
        parts.append(f"<g><title>{escape(labels(start))}: {escape(told or 'none')}</title>")
        for kind in kinds:
            height = counts.get(kind, 0) * scale
            y -= height
            if height:
                parts.append(
                    f'<rect class="{kind}" x="{x:.1f}" y="{y:.2f}" width="{min(pitch - gap, 48):.1f}" height="{height:.2f}"/>'
                )
        parts.append("</g>")
    every = max(1, -(-len(intervals) // 6))
    for number, (start, _) in enumerate(intervals):
        if number % every == 0:
            x = _LEFT + number * pitch
            parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 8}">{escape(labels(start))}</text>')
    parts.append("</svg>")
    return "".join(parts)
