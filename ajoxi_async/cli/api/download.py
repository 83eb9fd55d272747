"""``ajoxi recordings download``.

Rules:
1. Without ``--output`` the file is named after the id, in the folder that the command was started in.
2. The path is written to standard output when the file is whole; progress goes to standard error, and only to a terminal.
3. ``--output -`` writes the audio itself, but not to a terminal.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from typing import Final, Self

from ajoxi_async.cli.keys.choice import open_client
from ajoxi_async.cli.output import OutputError, check_open, discard_the_rest, say
from ajoxi_async.cli.show.text import printable
from ajoxi_async.cli.status import UsageError, report
from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.pipeline.options import CallOptions

__all__ = ["ProgressLine", "run", "size"]

#: Ids that are the name of a file as they are.
_NAME: Final = re.compile(r"\w{1,120}", re.ASCII)
#: Seconds between two lines of progress.
_EVERY: Final = 0.1


def run(options: argparse.Namespace) -> int:
    """Download a recording; return the exit status."""
    try:
        if options.output == "":
            raise UsageError("--output: expected the name of a file")
        if options.output is None and not _NAME.fullmatch(options.id):
            raise UsageError("--output: expected the name of a file, because the id cannot be one")
        path = options.output or f"{options.id}.wav"
        check_open()
        if path == "-" and sys.stdout.isatty():
            raise UsageError("--output: expected a file; standard output is a terminal")
        client = open_client(options)
        asyncio.run(_to_output(client, options) if path == "-" else _to_file(client, options, path))
    except AjoxiError as error:
        return report(error, {"id": "ID", "recording": "ID", "path": "--output"})
    return 0


def _call_options(options: argparse.Namespace) -> CallOptions:
    return {} if options.timeout is None else {"timeout": options.timeout}


async def _to_file(client: AsyncAjoxi, options: argparse.Namespace, path: str) -> None:
    async with client:
        with ProgressLine(path, quiet=options.quiet) as line:
            await client.recordings.download_to(options.id, path, progress=line.show, **_call_options(options))
    say(path)


async def _to_output(client: AsyncAjoxi, options: argparse.Namespace) -> None:
    async with client, client.recordings.stream(options.id, **_call_options(options)) as audio:
        received = 0
        with ProgressLine(options.id, quiet=options.quiet) as line:
            async for chunk in audio:
                received += len(chunk)
                line.show(received, audio.size)
                try:
                    sys.stdout.buffer.write(chunk)
                    sys.stdout.buffer.flush()
                except OSError as error:
                    discard_the_rest()
                    raise OutputError(error) from None


def size(amount: int) -> str:
    """Bytes in the unit that fits."""
    value, unit = float(amount), "B"
    for larger in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{amount} B" if unit == "B" else f"{value:.1f} {unit}"


class ProgressLine:
    """A line of progress on standard error that is replaced as it changes. Use it within ``with``.

    Args:
        name: of what is downloaded.
        quiet: whether nothing is shown.
    """

    def __init__(self, name: str, *, quiet: bool = False) -> None:
        self._name = printable(name)
        self._on = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._said_at = float("-inf")
        self._said = ""
        self._latest: tuple[int, int | None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._on and self._latest is not None:
            self._write(*self._latest, end="\n")

    def show(self, received: int, total: int | None) -> None:
        """Show how far it is, at most ten times a second."""
        self._latest = received, total
        now = time.monotonic()
        if self._on and now - self._said_at >= _EVERY:
            self._said_at = now
            self._write(received, total)

    def _write(self, received: int, total: int | None, end: str = "") -> None:
        of = f" of {size(total)}, {100 * received // max(total, 1)} %" if total else ""
        text = f"{self._name}  {size(received)}{of}"
        try:
            print("\r" + text.ljust(len(self._said)), end=end, file=sys.stderr, flush=True)
        except OSError:
            self._on = False
        self._said = text
