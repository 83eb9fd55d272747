"""Phone numbers as lists have them."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async import InvalidParameterError
from ajoxi_async.contract.checks import phone
from ajoxi_async.dialer.rules.numbers import NumberRefused, parse_number, reader
from ajoxi_async.protocol.errors import ConfigurationError


@settings(max_examples=40, deadline=None)
@given(st.integers(10**6, 10**15 - 1).map(lambda digits: f"+{digits}"))
def test_what_is_read_is_e164_by_the_rule_of_the_contract(number: str) -> None:
    """A number in E.164 is read as it is, except that North America has 10 digits after +1."""
    if number.startswith("+1") and len(number) != 12:
        with pytest.raises(NumberRefused, match="10"):
            reader()(number)
    else:
        assert reader()(number) == number
        assert parse_number(number) == int(number[1:])


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="+0123456789 -.()/eE,xX'٣\u00a0\u2011ab", max_size=24))
def test_whatever_is_read_is_a_number(text: str) -> None:
    """Any text is refused with a reason, or gives a number of the contract's form with the digits of the text."""
    try:
        found = reader()(text)
    except NumberRefused as error:
        assert error.reason
    else:
        phone("to", found)
        digits = "".join(str(int(one)) for one in text if one.isdecimal())
        assert found[1:] in {digits, digits.replace("0", "", 1)}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+1 (415) 555-0100", "+14155550100"),
        ("+1.415.555.0100", "+14155550100"),
        ("  +14155550100\r\n", "+14155550100"),
        ("'+14155550100", "+14155550100"),
        ("+1 415\u2011555\u20130100", "+14155550100"),
        ("+1\u00a0415\u202f555 0100", "+14155550100"),
        ("\u202a+14155550100\u202c", "+14155550100"),
        ("\uff0b\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff10\uff11\uff10\uff10", "+14155550100"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("+49 (0) 30 901820", "+4930901820"),
        ("+39 (0)6 69812345", "+390669812345"),
    ],
)
def test_spellings_of_one_number(text: str, number: str) -> None:
    """Blanks, hyphens, dots and brackets make no other number, so that nobody is called twice for two spellings."""
    assert reader()(text) == number


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \t", "empty"),
        ("4.41E+11", "scientific notation"),
        ("4,41e+11", "scientific notation"),
        ("1.4155550100E10", "scientific notation"),
        ("14155550100.0", "decimal fraction"),
        ("+442079460958.0", "decimal fraction"),
        ("415-555-0100", "country code is missing"),
        ("14155550100", "country code is missing"),
        ("00442079460958", "depends on the country"),
        ("+14155550100 ext. 22", "extension"),
        ("+14155550100x22", "extension"),
        ("+14155550100#22", "extension"),
        ("+1415555010022", "12 digits after [+]1"),
        ("+1 415 555 010", "9 digits after [+]1"),
        ("+1-800-FLOWERS", "letters"),
        ("ext:204", "extension|letters"),
        ("+14155550100/01", "characters"),
        ("+14155550100;+14155550101", "characters|extension"),
        ("+14155550100 +14155550101", "characters"),
        ("+0155550100", "country code begins with 0"),
        ("+441234", "6 digits"),
        ("+44123456789012345", "17 digits"),
        ("-", "characters"),
        ("N/A", "letters"),
        ("x" * 500, "500 characters"),
        ("+1415555010\u0664\u0660", "12 digits|10"),
    ],
)
def test_refused_with_the_reason(text: str, reason: str) -> None:
    """What is no number is refused, with a reason that says what was seen."""
    with pytest.raises(NumberRefused, match=reason):
        reader()(text)


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=7, max_size=30))
def test_a_reason_shows_no_number(text: str) -> None:
    """The reason, which may be logged, does not repeat the text."""
    try:
        reader()(text)
    except NumberRefused as error:
        assert text.strip() not in error.reason


@pytest.mark.parametrize(
    ("region", "text", "number"),
    [
        ("US", "(415) 555-0100", "+14155550100"),
        ("US", "1-415-555-0100", "+14155550100"),
        ("GB", "020 7946 0958", "+442079460958"),
        ("GB", "00 1 415 555 0100", "+14155550100"),
        ("DE", "030 901820", "+4930901820"),
        ("GB", "+1 415 555 0100", "+14155550100"),
    ],
)
def test_national_spellings_with_a_region(region: str, text: str, number: str) -> None:
    """With a region, numbers are read as they are dialled there; a + overrules it."""
    pytest.importorskip("phonenumbers")
    assert reader(region)(text) == number


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("415-555-010", "no phone number of US"),
        ("020 7946 0958", "no phone number of US"),
        ("4.41E+11", "scientific"),
        ("4155550100.0", "decimal"),
        ("415-555-0100 x7", "extension"),
        ("1-800-FLOWERS", "letters"),
        ("", "empty"),
    ],
)
def test_refused_with_a_region_too(text: str, reason: str) -> None:
    """A region makes numbers of national spellings and of nothing else."""
    pytest.importorskip("phonenumbers")
    with pytest.raises(NumberRefused, match=reason):
        reader("US")(text)


def test_an_unknown_region() -> None:
    """A region that is no country is refused by name."""
    pytest.importorskip("phonenumbers")
    for region in ("USA", "us", "+1", ""):
        with pytest.raises(InvalidParameterError) as caught:
            reader(region)
        assert caught.value.param == "region"


def test_a_region_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the optional library a region is an error that names the extra; numbers with + need nothing."""
    found = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "phonenumbers":
            raise ImportError(name)
        return found(name, *args, **kwargs)

    reader.cache_clear()
    sys.modules["ajoxi_async.dialer.rules.numbers"]._library.cache_clear()
    monkeypatch.setattr(builtins, "__import__", missing)
    try:
        with pytest.raises(ConfigurationError, match=r"ajoxi-async\[dialer\]"):
            reader("US")
        assert reader()("+14155550100") == "+14155550100"
    finally:
        reader.cache_clear()
