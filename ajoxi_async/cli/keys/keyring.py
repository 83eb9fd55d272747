"""The keyring of the system (extra ``keyring``)."""

from __future__ import annotations

from typing import Any, Final

from ajoxi_async.protocol.errors import ConfigurationError

__all__ = ["forget", "keep", "look_up"]

_SERVICE: Final = "ajoxi"


def _keyring() -> Any:
    try:
        import keyring
    except ImportError:
        raise ConfigurationError("--keyring: install ajoxi-async[keyring]; without it keys are in a file") from None
    return keyring


def _failed(error: Exception) -> ConfigurationError:
    # By its class alone: what backends say is theirs, and may hold what they were given.
    return ConfigurationError(f"the keyring of the system does not work ({type(error).__name__})")


def keep(profile: str, key: str) -> None:
    """Keep a key.

    Raises:
        ConfigurationError: there is no keyring that works.
    """
    keyring = _keyring()
    try:
        keyring.set_password(_SERVICE, profile, key)
    except Exception as error:
        raise _failed(error) from None


def look_up(profile: str) -> str | None:
    """The key of a profile; ``None`` if there is none.

    Raises:
        ConfigurationError: there is no keyring that works.
    """
    keyring = _keyring()
    try:
        found = keyring.get_password(_SERVICE, profile)
    except Exception as error:
        raise _failed(error) from None
    return None if found is None else str(found)


def forget(profile: str) -> None:
    """Delete the key of a profile, if there is one.

    Raises:
        ConfigurationError: there is no keyring that works.
    """
    keyring = _keyring()
    try:
        if keyring.get_password(_SERVICE, profile) is not None:
            keyring.delete_password(_SERVICE, profile)
    except Exception as error:
        raise _failed(error) from None
