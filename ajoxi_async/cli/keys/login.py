"""``ajoxi login``, ``logout`` and ``profiles``.

Rules:
1. A key is read from the terminal without an echo, or from standard input. It is never an argument and never shown.
2. It is kept when the API has taken it, unless ``--no-check`` is given.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys

from ajoxi_async.cli.keys import keyring
from ajoxi_async.cli.keys.profiles import DEFAULT, Profile, change_profiles, check_name, folder, read_profiles
from ajoxi_async.cli.output import say
from ajoxi_async.cli.show.text import printable
from ajoxi_async.cli.status import report
from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.contract.headers import DEFAULT_BASE_URL
from ajoxi_async.contract.masking import mask
from ajoxi_async.protocol.credentials import check_base_url, key_mode
from ajoxi_async.protocol.errors import ConfigurationError, PermissionDeniedError

__all__ = ["login", "logout", "profiles"]


def login(options: argparse.Namespace) -> int:
    """Keep a key; return the exit status."""
    try:
        name = _name(options)
        given = options.base_url or os.environ.get("AJOXI_BASE_URL", "").strip() or None
        base_url = None if given is None else check_base_url(given)
        read_profiles()  # a file that cannot be read is refused before the key is asked for
        key = _read_key(name)
        mode = key_mode(key)
        if not options.no_check:
            asyncio.run(_check(key, base_url))
        if options.keyring:
            keyring.keep(name, key)
        made = Profile(None if options.keyring else key, base_url)
        change_profiles(lambda kept: kept | {name: made})
    except AjoxiError as error:
        return report(error)
    where = "the keyring of the system" if options.keyring else str(folder() / "profiles.json")
    say(f"Profile {name}: a {mode} key for {base_url or DEFAULT_BASE_URL}, kept in {where}.")
    return 0


def logout(options: argparse.Namespace) -> int:
    """Forget a key; return the exit status."""
    try:
        name = _name(options)
        kept = read_profiles()
        if name not in kept:
            raise ConfigurationError(f"--profile: there is no {name!r}; there is {', '.join(kept) or 'none'}")
        if kept[name].api_key is None:
            keyring.forget(name)
        change_profiles(lambda kept: {other: profile for other, profile in kept.items() if other != name})
    except AjoxiError as error:
        return report(error)
    say(f"Profile {name} is forgotten.")
    return 0


def profiles(_: argparse.Namespace) -> int:
    """List the profiles; return the exit status."""
    try:
        kept = read_profiles()
    except AjoxiError as error:
        return report(error)
    for name, profile in sorted(kept.items()):
        key = mask(profile.api_key) if profile.api_key else "in the keyring"
        say(printable(f"{name}  {key}  {profile.base_url or DEFAULT_BASE_URL}"))
    return 0


def _name(options: argparse.Namespace) -> str:
    return check_name(options.profile or os.environ.get("AJOXI_PROFILE", "").strip() or DEFAULT)


def _read_key(name: str) -> str:
    if sys.stdin is None:
        raise ConfigurationError("expected the key on standard input, which is closed")
    try:
        typed = getpass.getpass(f"API key for profile {name}: ") if sys.stdin.isatty() else sys.stdin.readline()
    except (EOFError, UnicodeDecodeError):
        typed = ""
    if not typed.strip():
        raise ConfigurationError("expected the key in the terminal, or as a line of standard input")
    return typed.strip()


async def _check(key: str, base_url: str | None) -> None:
    # `AJOXI_BASE_URL` has been read already, and a live key makes no more than this request.
    async with AsyncAjoxi(key, base_url=base_url or DEFAULT_BASE_URL, allow_live=True) as client:
        try:
            await client.calls.list(limit=1, timeout=20)
        except PermissionDeniedError:
            # The key is right, and may do something else.
            return
