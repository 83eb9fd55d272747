"""Phone numbers as lists of contacts have them, and E.164.

Rules:
1. A number is E.164, by the rule of the contract: ``+`` and 7 to 15 digits, the first not 0. After ``+1`` it has 10 digits, no
   more and no fewer, in all of North America; so two numbers in one field, or an extension after blanks, are noticed there.
2. Spellings of the same number are the same number: blanks, hyphens, dots and round brackets between digits are taken away, so
   that ``+1 (415) 555-0100`` is ``+14155550100``. The zero of ``+44 (0)20 7946 0000`` is dialled within the country only and is
   taken away as well, except in the countries where it is part of the number (Italy for instance). A slash is refused, because it
   often separates two numbers.
3. A number without ``+`` means nothing without a region. With one, the optional library `phonenumbers` reads it as it is dialled
   there. Nothing is guessed: there is no default region.
4. What is no number is refused with a reason that says what was seen and what would be right. A reason shows no whole number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from ajoxi_async.contract.checks import phone
from ajoxi_async.dialer.rules.texts import shown
from ajoxi_async.protocol.errors import ConfigurationError, InvalidParameterError

__all__ = ["NumberRefused", "parse_number", "reader"]

_E164: Final = re.compile(phone.expression, re.ASCII).fullmatch
#: What is written between digits, in Unicode's several forms of blanks and hyphens, and marks of direction around numbers.
_SEPARATORS: Final = re.compile(r"[\s\-\u2010-\u2015\u2212.()\u200b-\u200f\u202a-\u202e\u2066-\u2069\u00ad]+")
#: Rule 2. Italy, San Marino, the Vatican, Ivory Coast, Gabon and Congo have numbers that begin with 0.
_TRUNK_ZERO: Final = re.compile(r"(\+(?!39|37[89]|225|24[12])\d{1,3})[\s\-.]*\(0\)")
_EXPONENT: Final = re.compile(r"[+-]?\d(?:[.,]\d+)?[eE]\+?\d+", re.ASCII)
_DECIMAL: Final = re.compile(r"\s*\+?\d{6,}[.,]0+\s*", re.ASCII)
_EXTENSION: Final = re.compile(r"(?i)(?:ext?\.?|extension|x|#|;ext=|,)\s*\d+\s*$")
#: A longer text is no spelling of a number, and is not searched.
_LONGEST: Final = 40


class NumberRefused(Exception):
    """A text is not taken as a number.

    Attributes:
        reason: why, in a sentence without the number.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _right_length(number: str) -> bool:
    return number[1] != "1" or len(number) == 12


def _unify(text: str) -> str:
    """A spelling without what stands between its digits; wide and other decimal digits as ASCII."""
    text = _TRUNK_ZERO.sub(r"\1", text.strip().lstrip("\ufeff'").replace("\uff0b", "+"))
    text = _SEPARATORS.sub("", text)
    return text if text.isascii() else "".join(str(int(one)) if one.isdecimal() else one for one in text)


def _refuse(text: str, found: str) -> NumberRefused:
    """The reason why a text is no E.164 number. `found` is the text without separators."""
    stripped = text.strip()
    if not stripped:
        return NumberRefused("the number is empty")
    if len(stripped) > _LONGEST:
        return NumberRefused(f"{len(stripped)} characters are no phone number")
    if _EXPONENT.fullmatch(stripped):
        return NumberRefused(
            "a spreadsheet has turned the number into scientific notation, such as 4.41E+11, and lost digits: "
            "format the column as text and export it again"
        )
    if _DECIMAL.fullmatch(text):
        return NumberRefused(
            "the number was saved as a decimal fraction, such as 14155550100.0: format the column as text"
        )
    if _EXTENSION.search(stripped):
        return NumberRefused("the number has an extension, which cannot be dialled")
    if any(one.isalpha() for one in stripped):
        return NumberRefused("the number has letters")
    digits = found.removeprefix("+")
    if not digits.isdecimal():
        return NumberRefused("the number has characters other than digits, blanks and +-.()")
    if found.startswith("+1"):
        return NumberRefused(f"{len(digits) - 1} digits after +1: numbers in North America have 10")
    if found.startswith("+0"):
        return NumberRefused("no country code begins with 0")
    if found.startswith("+"):
        return NumberRefused(f"{len(digits)} digits: a number has 7 to 15 with its country code")
    if found.startswith("00"):
        return NumberRefused("the prefix 00 depends on the country: write + and the country code, or give a region")
    return NumberRefused("the country code is missing: write + and the country code, or give a region")


@cache
def _library() -> Any:
    try:
        import phonenumbers
    except ImportError:
        raise ConfigurationError("a region needs the library phonenumbers: pip install 'ajoxi-async[dialer]'") from None
    return phonenumbers


def _region_reader(region: str) -> Callable[[str], str]:
    library = _library()
    if not isinstance(region, str) or region not in library.SUPPORTED_REGIONS:
        raise InvalidParameterError("region", f"expected a country such as 'US' or 'GB', got {shown(region)}")

    def read(text: str) -> str:
        try:
            found = library.parse(text, region)
        except library.NumberParseException as error:
            raise NumberRefused(f"no phone number of {region}: {str(error).rstrip('.').lower()}") from None
        if found.extension:
            raise NumberRefused("the number has an extension, which cannot be dialled")
        if not library.is_valid_number(found):
            raise NumberRefused(
                f"no phone number of {region} is spelt so: if it is a new one, write + and the country code"
            )
        number: str = library.format_number(found, library.PhoneNumberFormat.E164)
        return number

    return read


@cache
def reader(region: str | None = None) -> Callable[[str], str]:
    """A function that reads one number: from a text to E.164. It raises `NumberRefused`.

    Args:
        region: the country whose national spellings are read as well, by its ISO 3166-1 code, such as ``"US"``.

    Raises:
        InvalidParameterError: there is no such region.
        ConfigurationError: a region is given, and `phonenumbers` is not installed.
    """
    national = None if region is None else _region_reader(region)

    def read(text: str) -> str:
        if _E164(text) and _right_length(text):
            return text
        found = _unify(text[: _LONGEST + 1])
        if len(text) <= _LONGEST and not _DECIMAL.fullmatch(text):
            if _E164(found) and _right_length(found):
                return found
            if national is not None and found.isdecimal():
                return national(found)
        raise _refuse(text, found)

    return read


def parse_number(text: str, region: str | None = None) -> int:
    """One number as ledgers keep it: E.164 as an integer, without ``+``. Arguments and errors are those of `reader`.

    Raises:
        NumberRefused: it is no phone number.
    """
    return int(reader(region)(text)[1:])
