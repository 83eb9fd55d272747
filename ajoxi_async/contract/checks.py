"""What makes a parameter wrong whatever the server's state. Each check names the parameter and what would be right.

Rules:
1. Phone numbers are E.164: ``+``, then 7 to 15 digits, the first not 0 (ITU-T E.164; API reference by example).
   Whether a number can be reached is the server's to say.
2. A call may also go to an extension of the account, ``ext:204``.
3. ``limit`` is 1 to 200 (API reference: Pagination).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ajoxi_async.contract.base import OpenEnum
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.headers import MAX_PAGE

__all__ = [
    "at_least_one",
    "destination",
    "exactly_one",
    "http_url",
    "known",
    "metadata",
    "number_range",
    "page_limit",
    "phone",
    "text",
]

_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_EXTENSION = re.compile(r"ext:\d{1,10}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_METADATA_KEYS, _METADATA_KEY, _METADATA_VALUE = 50, 64, 512


_RIGHT = "an E.164 phone number ('+' and 7 to 15 digits)"


def _shown(value: str) -> str:
    # What is nearly a phone number is as personal as one.
    return repr(value if len(value) < 6 else f"{value[:5]}***")


def phone(param: str, value: str) -> None:
    """Check an E.164 phone number."""
    if not _E164.fullmatch(value):
        raise InvalidParameterError(param, f"expected {_RIGHT}, got {_shown(value)}")


def destination(param: str, value: str) -> None:
    """Check an E.164 phone number or an extension."""
    if not (_E164.fullmatch(value) or _EXTENSION.fullmatch(value)):
        raise InvalidParameterError(param, f"expected {_RIGHT}, or an extension 'ext:204', got {_shown(value)}")


def text(param: str, value: str | None, longest: int = 4096) -> None:
    """Check that a given text is neither empty nor over `longest` characters."""
    if value is not None and not 0 < len(value) <= longest:
        raise InvalidParameterError(param, f"expected 1 to {longest} characters, got {len(value)}")


def number_range(param: str, value: int | None, least: int, most: int) -> None:
    """Check that a given number lies within the bounds, both included."""
    if value is not None and not least <= value <= most:
        raise InvalidParameterError(param, f"expected {least} to {most}, got {value}")


def page_limit(value: int | None) -> None:
    """Check a page size (API reference: Pagination)."""
    number_range("limit", value, 1, MAX_PAGE)


def _given(choices: Mapping[str, object]) -> list[str]:
    return [name for name, value in choices.items() if value is not None]


def exactly_one(**choices: object) -> None:
    """Check that one of the parameters is given and no other."""
    given = _given(choices)
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise InvalidParameterError(
            given[1] if given else next(iter(choices)),
            f"expected exactly one of {', '.join(choices)}, got {found}",
            missing=not given,
        )


def at_least_one(**choices: object) -> None:
    """Check that at least one of the parameters is given."""
    if not _given(choices):
        raise InvalidParameterError(next(iter(choices)), f"expected one of {', '.join(choices)}", missing=True)


def metadata(value: Mapping[str, str] | None) -> None:
    """Check an object of strings: at most 50 keys of 64 characters, values of 512."""
    if value is None:
        return
    if len(value) > _METADATA_KEYS:
        raise InvalidParameterError("metadata", f"expected at most {_METADATA_KEYS} keys, got {len(value)}")
    for key, item in value.items():
        if not 0 < len(key) <= _METADATA_KEY or _CONTROL.search(key) or "[" in key or "]" in key:
            raise InvalidParameterError(
                "metadata", f"expected keys of 1 to {_METADATA_KEY} characters without brackets, got {key[:80]!r}"
            )
        if len(item) > _METADATA_VALUE:
            raise InvalidParameterError(
                f"metadata[{key}]", f"expected at most {_METADATA_VALUE} characters, got {len(item)}"
            )


def http_url(param: str, value: str) -> None:
    """Check an absolute http or https URL without credentials."""
    try:
        parts = urlsplit(value)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or _CONTROL.search(value) or " " in value or len(value) > 2048:
        raise InvalidParameterError(param, "expected an absolute http or https URL of at most 2048 characters")
    if parts.username is not None or parts.password is not None:
        raise InvalidParameterError(param, "expected a URL without a user name or password")


def known(param: str, value: OpenEnum | None) -> None:
    """Check that a filter's value is one that exists."""
    if value is not None and not value.known:
        allowed = ", ".join(repr(member.value) for member in type(value))
        raise InvalidParameterError(param, f"expected one of {allowed}, got {value.value!r}")
