"""The command on a terminal of its own, and in a line of bash."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

COMMAND = [sys.executable, "-W", "error", "-m", "ajoxi_async"]


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what the shell says about terminals."""
    away = (
        "AJOXI_",
        "COLUMNS",
        "LINES",
        "NO_COLOR",
        "FORCE_COLOR",
        "TERM",
        "LC_",
        "LANG",
        "PYTHONIOENCODING",
        "PYTHONUTF8",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(away)}
    return kept | {"LANG": "C.UTF-8"} | more


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, arguments: list[str], columns: int, **env: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            arguments, stdin=slave, stdout=slave, stderr=slave, env=environment(**env), cwd="/" if "-m" not in arguments else None,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.shown = b""

    def read(self, until: bytes | None = None, within: float = 45) -> str:
        """What was shown, up to a text or to the end."""
        end = time.monotonic() + within
        while until is None or until not in self.shown:
            assert time.monotonic() < end, self.shown[-2000:]
            if not select.select([self._master], [], [], 0.5)[0]:
                continue
            try:
                piece = os.read(self._master, 65536)
            except OSError as error:
                assert error.errno == errno.EIO
                piece = b""
            if not piece:
                break
            self.shown += piece
        return self.shown.decode("utf-8", "replace")

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def end(self) -> int:
        """Wait for the end; the exit status."""
        self.read()
        os.close(self._master)
        return self.process.wait(30)


def shell(line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which $AJOXI is the command; the status of a pipe is that of the command."""
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=40, check=False,
        env=environment(AJOXI=f"{sys.executable} -W error -m ajoxi_async", **env),
    )  # fmt: skip
