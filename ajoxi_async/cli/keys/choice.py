"""With which key, and at which server, a command asks the API.

Rules:
1. ``--profile`` goes before ``AJOXI_API_KEY``, this before ``AJOXI_PROFILE``, and this before the profile ``default``.
2. The server of a profile goes with its key, and only with it. A profile without a server, and a key of the environment, are used at
   ``AJOXI_BASE_URL``, else at the API's own.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping

from attrs import field, frozen

from ajoxi_async.cli.keys import keyring
from ajoxi_async.cli.keys.profiles import DEFAULT, check_name, read_profiles
from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.pipeline.hooks import Hooks
from ajoxi_async.protocol.errors import ConfigurationError, OutcomeUnknownError

__all__ = ["Key", "chosen", "has_key", "open_client"]


@frozen(repr=False)
class Key:
    """A key and the server that it is for; ``None`` stands for the default one."""

    api_key: str = field(repr=False)
    base_url: str | None


def has_key(profile: str | None, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a key without asking for one."""
    try:
        chosen(profile, environment)
    except ConfigurationError:
        return False
    return True


def chosen(profile: str | None, environment: Mapping[str, str] = os.environ) -> Key:
    """The key to use, by the rules above.

    Args:
        profile: the profile that was named, if one was.
        environment: variables by name.

    Raises:
        ConfigurationError: there is none, or the file of profiles cannot be read.
    """
    key = environment.get("AJOXI_API_KEY", "").strip()
    if profile is None and key:
        return Key(key, None)
    name = profile or environment.get("AJOXI_PROFILE", "").strip() or DEFAULT
    profiles = read_profiles()
    found = profiles.get(check_name(name))
    if found is None and (profile or name != DEFAULT):
        raise ConfigurationError(
            f"--profile: there is no {name!r}; there is {', '.join(profiles) or 'none'}; see `ajoxi login`"
        )
    if found is None:
        raise ConfigurationError(
            "there is no key: run `ajoxi login`, or set AJOXI_API_KEY. `ajoxi sandbox` prints a key to try with"
        )
    kept = found.api_key or keyring.look_up(name)
    if kept is None:
        raise ConfigurationError(
            f"--profile: the keyring has no key of {name!r} any more; run `ajoxi login --profile {name}`"
        )
    return Key(kept, found.base_url)


def open_client(
    options: argparse.Namespace, *, on_outcome_unknown: Callable[[OutcomeUnknownError], object] | None = None
) -> AsyncAjoxi:
    """A client with the key that the options name.

    Args:
        options: what was typed.
        on_outcome_unknown: see `Hooks`.

    Raises:
        ConfigurationError: there is no key, or it may not be used here.
    """
    key = chosen(options.profile)
    hooks = None if on_outcome_unknown is None else Hooks(on_outcome_unknown=on_outcome_unknown)
    try:
        return AsyncAjoxi(key.api_key, base_url=key.base_url, allow_live=options.allow_live, hooks=hooks)
    except ConfigurationError as error:
        raise ConfigurationError(error.message.replace("pass allow_live=True", "give --allow-live")) from None
