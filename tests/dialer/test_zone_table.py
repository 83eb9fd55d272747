"""Time zones of phone numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async import InvalidParameterError
from ajoxi_async.contract.zones import zone_of
from ajoxi_async.dialer.rules.zones import locator, named_zone, prefixes, zones_of

EASTERN, CENTRAL, MOUNTAIN, PACIFIC = "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"
NOW = datetime(2026, 7, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("codes", "zones"),
    [
        ("812 930 574 219 906 850 448 270 364 606 423 334", {EASTERN, CENTRAL}),
        ("308 605 701 620 785 432 580", {CENTRAL, MOUNTAIN}),
        ("208 986 541 458 775", {MOUNTAIN, PACIFIC}),
        ("928", {"America/Phoenix", MOUNTAIN}),
        ("306 639 474", {"America/Regina", "America/Edmonton"}),
        ("250 778 236 672 257", {"America/Vancouver", "America/Edmonton", "America/Creston", "America/Fort_Nelson"}),
        ("418 581 367", {"America/Toronto", "America/Halifax"}),
        ("867", {"America/Whitehorse", "America/Edmonton", "America/Winnipeg", "America/Iqaluit"}),
        ("907", {"America/Anchorage", "America/Adak"}),
        ("709 879", {"America/St_Johns", "America/Goose_Bay"}),
        ("807", {"America/Toronto", "America/Winnipeg"}),
    ],
)
def test_area_codes_on_a_border_have_the_zones_of_both_sides(codes: str, zones: set[str]) -> None:
    """Whatever the exchange, a number may be on either side of a border that its area code straddles."""
    for code in codes.split():
        for rest in ("2222222", "4445555", "9999999"):
            assert zones <= set(zones_of(int(f"1{code}{rest}"))), code


def test_the_exchange_does_not_narrow_the_zone() -> None:
    """+1 219 444 is in north-west Indiana; the numbering data knows only Eastern time for it, and most of it is Central."""
    assert set(zones_of(12194441234)) == {EASTERN, CENTRAL}


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+12125661234", {EASTERN}),
        ("+14159991234", {PACIFIC}),
        ("+16025551234", {"America/Phoenix"}),
        ("+50522221234", {"America/Managua"}),
        ("+212522123456", {"Africa/Casablanca"}),
        ("+213211234567", {"Africa/Algiers"}),
        ("+97022212345", {"Asia/Hebron"}),
        ("+74012123456", {"Europe/Kaliningrad"}),
        ("+4930901820", {"Europe/Berlin"}),
        ("+61892123456", {"Australia/Perth", "Australia/Adelaide"}),
        ("+34912345678", {"Europe/Madrid"}),
    ],
)
def test_zones_of_places(number: str, zones: set[str]) -> None:
    """A number that is tied to a place has its zone, and not that of a country that once had the same time."""
    assert set(locator()(number)) == zones


@pytest.mark.parametrize(
    ("number", "least"),
    [
        ("+18005661234", 30),
        ("+15005661234", 30),
        ("+79261234567", 16),
        ("+61412345678", 8),
        ("+34612345678", 2),
        ("+611300123456", 8),
        ("+19995661234", 30),
    ],
)
def test_numbers_without_a_place_have_all_zones(number: str, least: int) -> None:
    """Toll-free and personal numbers, mobiles, and area codes that nobody has assigned: all zones that they may be in."""
    assert len(locator()(number)) >= least


@pytest.mark.parametrize("number", ["+9991234567", "+80012345678", "+870123456789", "+88213123456"])
def test_an_unknown_prefix_has_no_zone(number: str) -> None:
    """Nothing is guessed for satellite phones and codes that no country has."""
    assert locator()(number) == ()


def test_the_longest_prefix_decides() -> None:
    """Each prefix of the table gives its own zones, in the order of the alphabet and without repetition."""
    locate = locator()
    for prefix, zones in prefixes().items():
        assert locate(f"+{prefix}") == zones
        assert list(zones) == sorted(set(zones))


def parsed(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_no_zone_is_missed_that_the_library_knows() -> None:
    """For a number of every kind in every country outside +1, the zones include those that libphonenumber finds, which looks at the kind first."""
    library = pytest.importorskip("phonenumbers")
    from phonenumbers.timezone import time_zones_for_number

    head = files("ajoxi_async.dialer.rules").joinpath("data/zones.txt").read_text("utf-8")
    source = re.search(r"phonenumbers ([\d.]+\d)", head)[1]
    if parsed(library.__version__) < parsed(source):
        pytest.skip(f"the table is of phonenumbers {source}; {library.__version__} has older zones")
    replaced = re.findall(r"^#   \w+: (\S+) instead of (\S+)$", head, re.MULTILINE)
    wrong = {before: {right for right, was in replaced if was == before} for _, before in replaced}
    locate, looked = locator(), 0
    for region in library.SUPPORTED_REGIONS:
        for kind in range(11):
            number = library.example_number_for_type(region, kind)
            if (
                number is not None
                and number.country_code != 1
                and (theirs := set(time_zones_for_number(number))) != {"Etc/Unknown"}
            ):
                ours = set(locate(library.format_number(number, library.PhoneNumberFormat.E164)))
                missed = {name for name in theirs - ours if not wrong.get(name, set()) & ours}
                assert not missed, (region, kind)
                looked += 1
    assert looked > 600


def test_every_zone_of_the_table_exists() -> None:
    """The table names zones of the database only."""
    assert {name for zones in prefixes().values() for name in zones} <= available_timezones()


def test_the_table_says_where_it_is_from() -> None:
    """Data files name their source, its version and licence, and the day on which they were made."""
    for name, words in (
        ("zones.txt", "libphonenumber|phonenumbers 9|Apache License|49 CFR part 71"),
        ("us_holidays.txt", "holidays 0"),
    ):
        text = files("ajoxi_async.dialer.rules").joinpath(f"data/{name}").read_text("utf-8")
        head = "\n".join(line for line in text.splitlines() if line.startswith("#"))
        assert re.search(r"on 20\d\d-\d\d-\d\d", head)
        for word in words.split("|"):
            assert word in head


@settings(max_examples=30, deadline=None)
@given(st.from_regex(r"\+1(500|800|[2-9][0-9]{2})555[0-9]{4}", fullmatch=True))
def test_test_numbers_have_a_zone_in_a_sandbox_only(number: str) -> None:
    """In a campaign against a sandbox it is day at a test number; in a real one it is a number like others."""
    assert locator(NOW)(number) == (zone_of(number, NOW),)
    assert locator()(number) == locator()(number[:5] + "6661234")


@pytest.mark.parametrize("name", ["America/New_York", "Europe/London", "UTC", "Japan", " Asia/Kathmandu "])
def test_a_named_zone(name: str) -> None:
    """A zone is called by its IANA name."""
    assert named_zone(name) == (name.strip(),)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("EST", "offset"),
        ("MST", "offset"),
        ("Etc/GMT+5", "offset"),
        ("UTC-05:00", "offset"),
        ("-05:00", "offset"),
        ("america/new york", "did you mean America/New_York"),
        ("Eastern", "IANA"),
        ("posix/America/New_York", "IANA"),
        ("right/UTC", "IANA"),
        ("../../etc/passwd", "IANA"),
        ("", "IANA"),
        ("localtime", "no place"),
        ("Factory", "no place"),
    ],
)
def test_a_zone_that_is_refused(name: str, hint: str) -> None:
    """Offsets are refused, since they are wrong for half of the year, and so are names of no place and what the database does not know."""
    with pytest.raises(InvalidParameterError, match=hint) as caught:
        named_zone(name)
    assert caught.value.param == "zone"


def test_the_script_writes_where_the_package_reads() -> None:
    """The folder that the script of the data names is the one that holds the files."""
    root = Path(__file__).parents[2]
    named = re.search(r'^DATA = .* "(.+)"$', (root / ".ci/dialer_data.py").read_text("utf-8"), re.MULTILINE)
    assert named is not None
    assert {path.name for path in (root / named[1]).iterdir()} >= {"zones.txt", "us_holidays.txt"}
