"""Lines that scroll, above lines that are replaced.

Rules:
1. On a terminal with rich installed, the lines at the bottom are replaced as they change. Elsewhere only lines that scroll are written.
2. A line at the bottom is never longer than the terminal: what does not fit is cut off.
3. Text from the API has no effect on the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from ajoxi_async.cli.output import say
from ajoxi_async.cli.show.live import open_live, output_errors
from ajoxi_async.cli.show.text import printable

__all__ = ["Lines", "Piece"]

#: A text and its style, or a text.
Piece = tuple[str, str] | str


class Lines:
    """Writes lines. Use it within ``with``.

    Args:
        live: False to write only what scrolls, also on a terminal.

    Raises:
        OutputError: standard output cannot be written.
    """

    def __init__(self, *, live: bool = True) -> None:
        self._wanted = live
        self._live: Any = None

    def __enter__(self) -> Self:
        if self._wanted and sys.stdout is not None and sys.stdout.isatty():
            self._live = open_live()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            with output_errors():
                self._live.update("", refresh=True)
                self._live.stop()

    @property
    def live(self) -> bool:
        """Whether there are lines that are replaced."""
        return self._live is not None

    def line(self, *pieces: Piece) -> None:
        """Write a line that scrolls."""
        if self._live is None:
            say("".join(_text(piece) for piece in pieces), needed=True)
        else:
            with output_errors():
                self._live.console.print(_styled(pieces))

    def bottom(self, lines: Sequence[Sequence[Piece]]) -> None:
        """Replace the lines at the bottom."""
        if self._live is None:
            return
        from rich.text import Text

        with output_errors():
            joined = Text("\n").join(_styled(pieces) for pieces in lines)
            joined.no_wrap, joined.overflow = True, "ellipsis"
            self._live.update(joined, refresh=True)


def _text(piece: Piece) -> str:
    return printable(piece if isinstance(piece, str) else piece[0])


def _styled(pieces: Sequence[Piece]) -> Any:
    from rich.text import Text

    return Text.assemble(*((_text(piece), "" if isinstance(piece, str) else piece[1]) for piece in pieces))
