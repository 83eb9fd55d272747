"""The arguments of ``ajoxi login``, ``logout`` and ``profiles``."""

from __future__ import annotations

import argparse

__all__ = ["add_login", "add_logout", "add_profiles"]


def add_login(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``login``."""
    parser.description = (
        "Keep an API key, as a profile. The key is read from the terminal without being shown, or from standard input; it is never"
        " an argument, because other users of the machine see arguments."
    )
    _add_profile(parser)
    parser.add_argument(
        "--base-url", metavar="URL", help="the server the key is for (default: AJOXI_BASE_URL, else the API's)"
    )
    parser.add_argument(
        "--keyring", action="store_true", help="keep the key in the keyring of the system (extra keyring)"
    )
    parser.add_argument(
        "--no-check", action="store_true", help="keep the key without asking the API whether it is right"
    )
    parser.set_defaults(run=_login)


def add_logout(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``logout``."""
    _add_profile(parser)
    parser.set_defaults(run=_logout)


def add_profiles(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``profiles``: none."""
    parser.set_defaults(run=_profiles)


def _add_profile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", metavar="NAME", help="its name (default: AJOXI_PROFILE, else default)")


def _login(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.keys.login import login

    return login(options)


def _logout(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.keys.login import logout

    return logout(options)


def _profiles(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.keys.login import profiles

    return profiles(options)
