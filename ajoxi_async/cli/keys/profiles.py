"""The file of profiles.

Rules:
1. It is ``profiles.json`` in the folder that the platform has for settings, or in ``AJOXI_CONFIG_DIR``.
2. Only its owner can read it: the file is made with mode 0600 and the folder with 0700. A file that others can read is used, with a
   warning.
3. It is replaced as a whole, so that a crash leaves the old one. If it is a link, the file that it points to is replaced.
4. A command that changes it has a lock from reading it to replacing it, so that commands that run at the same time lose no key.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import asdict, field, frozen

from ajoxi_async.cli.output import warn
from ajoxi_async.protocol.errors import ConfigurationError

__all__ = ["DEFAULT", "Profile", "change_profiles", "check_name", "folder", "read_profiles"]

#: The profile that is used when none is named.
DEFAULT: Final = "default"
_LONGEST_NAME: Final = 64
#: Seconds for which a command waits for others that change the file, and between two looks.
_LONGEST_WAIT: Final = 10.0
_PAUSE: Final = 0.01


@frozen
class Profile:
    """A key, and where it is used.

    Attributes:
        api_key: the key; ``None`` if it is in the keyring.
        base_url: the server; ``None`` for the API's own.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None

    def __repr__(self) -> str:
        return f"Profile(base_url={self.base_url!r})"


def folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The folder of the settings, as the platform has it."""
    if given := environment.get("AJOXI_CONFIG_DIR"):
        return Path(given)
    home = Path.home()
    if platform == "win32":
        return Path(environment.get("APPDATA") or home / "AppData" / "Roaming") / "ajoxi"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "ajoxi"
    # The specification says that a relative path is ignored.
    given = environment.get("XDG_CONFIG_HOME", "")
    return (Path(given) if given.startswith("/") else home / ".config") / "ajoxi"


def check_name(name: str) -> str:
    """A name of a profile.

    Raises:
        ConfigurationError: it cannot be one.
    """
    if not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME or name != name.strip():
        raise ConfigurationError(f"--profile: expected a name of 1 to {_LONGEST_NAME} characters, got {name[:80]!r}")
    return name


def _file() -> Path:
    try:
        return folder() / "profiles.json"
    except RuntimeError:  # there is no home
        raise ConfigurationError("there is no folder for profiles: set HOME or AJOXI_CONFIG_DIR") from None


def read_profiles() -> dict[str, Profile]:
    """The profiles by their names; empty if there are none.

    Raises:
        ConfigurationError: the file cannot be read, or is not one of profiles.
    """
    profiles, mode = _read(_file())
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        warn(f"{_file()} can be read by others: chmod 600 it, and renew the keys in it")
    return profiles


def _read(file: Path) -> tuple[dict[str, Profile], int]:
    """The profiles in a file, and its mode."""
    try:
        mode = file.stat().st_mode
        written = json.loads(file.read_text("utf-8"))
        return {name: _profile(one) for name, one in written["profiles"].items()}, mode
    except FileNotFoundError:
        return {}, 0
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror or 'cannot be read'}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ConfigurationError(f"{file}: not a file of profiles; move it away and run `ajoxi login` again") from None


def _profile(written: Any) -> Profile:
    texts = {name: written.get(name) for name in ("api_key", "base_url")}
    if any(text is not None and not isinstance(text, str) for text in texts.values()):
        raise TypeError
    return Profile(**texts)


def change_profiles(change: Callable[[dict[str, Profile]], Mapping[str, Profile]]) -> None:
    """Replace the file by a changed one (rules 3 and 4).

    Args:
        change: gives the new profiles for those that the file has now.

    Raises:
        ConfigurationError: it cannot be read or written.
    """
    file = _file()
    try:
        file = Path(os.path.realpath(file))
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(file):
            _replace(file, change(_read(file)[0]))
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror or 'cannot be written'}") from None


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    # The sandbox is imported only by the commands that write.
    from ajoxi_async.sandbox.storage.file_lock import FileLock, HeldError

    lock, end = FileLock(file), time.monotonic() + _LONGEST_WAIT
    while True:
        try:
            lock.take()
            break
        except HeldError as error:
            if time.monotonic() >= end:
                raise ConfigurationError(f"{file}: {error} is changing it; try again") from None
            time.sleep(_PAUSE)
    try:
        yield
    finally:
        lock.give_back()


def _replace(file: Path, profiles: Mapping[str, Profile]) -> None:
    text = json.dumps({"profiles": {name: asdict(one) for name, one in profiles.items()}}, indent=1) + "\n"
    new = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        # `O_EXCL`, so that the key is not written into a file that somebody else has opened.
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        new.replace(file)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise
