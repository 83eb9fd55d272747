"""Write the data of the dialer, ajoxi_async/dialer/rules/data/: the zones of number prefixes, and the holidays of the USA.

    python -m pip install phonenumbers holidays regex
    python .ci/dialer_data.py

Zones come from libphonenumber (Apache License 2.0), and are made wider or corrected here:

1. The zones of a number in North America are those of its whole area code. Within an area code libphonenumber goes by the
   exchange, but numbers keep when their owners move within the area, and its data is of 2018.
2. `BORDERS` adds zones to area codes that lie on a border of zones; the legal borders are those of 49 CFR part 71.
3. The prefix of a mobile phone, or of another number that is not tied to a place, says nothing about where it is: such numbers
   have all zones of their calling code, as in libphonenumber itself, which asks for the type of the number first.
4. libphonenumber names for some countries a zone of another country that had the same clock when its data was made, and has
   not kept it. `CORRECTIONS` names the zone of the country itself.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import holidays
import regex
from holidays.countries import US
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata
from phonenumbers.phonenumberutil import _GEO_MOBILE_COUNTRIES as GEOGRAPHIC_MOBILES
from phonenumbers.tzdata import TIMEZONE_DATA

TODAY = datetime.now(UTC).date().isoformat()
DATA = Path(__file__).parent.parent / "ajoxi_async/dialer/rules/data"

EASTERN, CENTRAL, MOUNTAIN, PACIFIC = "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"
SASKATCHEWAN = ("America/Regina", "America/Edmonton", "America/Winnipeg")
BRITISH_COLUMBIA = (
    "America/Vancouver",
    "America/Edmonton",
    "America/Creston",
    "America/Dawson_Creek",
    "America/Fort_Nelson",
)
BORDERS = {
    "204 431 584": (("America/Winnipeg", "America/Regina"), "Manitoba; Flin Flon lies on the border of Saskatchewan"),
    "208 986": ((PACIFIC, MOUNTAIN, "America/Boise"), "Idaho, Pacific north of the Salmon River (49 CFR 71.9)"),
    "219 574": ((EASTERN, CENTRAL), "north-west Indiana: Lake, Porter, LaPorte and Starke are Central (49 CFR 71.5)"),
    "250 778 236 672 257": (BRITISH_COLUMBIA, "British Columbia; its east and north-east keep Mountain time"),
    "270 364": ((EASTERN, CENTRAL), "western Kentucky; Hardin, Meade and Taylor are Eastern (49 CFR 71.5)"),
    "306 639 474": (SASKATCHEWAN, "Saskatchewan; Lloydminster keeps Alberta's time, Creighton Manitoba's"),
    "308": ((CENTRAL, MOUNTAIN), "western Nebraska (49 CFR 71.7)"),
    "334": ((CENTRAL, EASTERN), "south-east Alabama; Phenix City, Lanett and Valley keep Eastern time by custom"),
    "418 581 367": (
        ("America/Toronto", "America/Halifax", "America/Blanc-Sablon"),
        "east Quebec: Magdalen Islands, Blanc-Sablon",
    ),
    "423": ((EASTERN, CENTRAL), "east Tennessee; Bledsoe, Marion and Sequatchie are Central (49 CFR 71.5)"),
    "432": ((CENTRAL, MOUNTAIN), "west Texas; the north-west of Culberson County keeps Mountain time by custom"),
    "541 458": ((PACIFIC, MOUNTAIN, "America/Boise"), "Oregon; most of Malheur County is Mountain (49 CFR 71.9)"),
    "580": ((CENTRAL, MOUNTAIN), "west Oklahoma; Kenton keeps Mountain time by custom"),
    "605": ((CENTRAL, MOUNTAIN), "South Dakota (49 CFR 71.7)"),
    "606": ((EASTERN, CENTRAL), "east Kentucky; Clinton County is Central (49 CFR 71.5)"),
    "620 785": ((CENTRAL, MOUNTAIN), "Kansas; Greeley, Hamilton, Sherman and Wallace are Mountain (49 CFR 71.7)"),
    "701": ((CENTRAL, MOUNTAIN), "North Dakota, Mountain in the south-west (49 CFR 71.7)"),
    "709 879": (("America/St_Johns", "America/Goose_Bay", "America/Halifax"), "Newfoundland and Labrador"),
    "775": ((PACIFIC, MOUNTAIN, "America/Boise"), "Nevada; West Wendover is Mountain (49 CFR 71.9), Jackpot by custom"),
    "807": (("America/Toronto", "America/Winnipeg", "America/Atikokan"), "north-west Ontario"),
    "812 930": ((EASTERN, CENTRAL), "south Indiana; Evansville and Perry County are Central (49 CFR 71.5)"),
    "819 873 468": (("America/Toronto", "America/Iqaluit"), "north and west Quebec"),
    "850 448": ((EASTERN, CENTRAL), "the Florida panhandle, Central west of the Apalachicola (49 CFR 71.5)"),
    "867": (
        (
            "America/Whitehorse",
            "America/Edmonton",
            "America/Winnipeg",
            "America/Toronto",
            "America/Iqaluit",
            "America/Atikokan",
        ),
        "Yukon, Northwest Territories and Nunavut; Coral Harbour keeps Eastern standard time",
    ),
    "906": ((EASTERN, CENTRAL), "upper Michigan; Dickinson, Gogebic, Iron and Menominee are Central (49 CFR 71.5)"),
    "907": (
        ("America/Anchorage", "America/Adak", "America/Juneau", "America/Metlakatla", "America/Vancouver"),
        "Alaska; the Aleutians keep Hawaii's time with daylight saving, Hyder that of British Columbia",
    ),
    "928": (("America/Phoenix", MOUNTAIN), "north Arizona; the Navajo Nation keeps daylight saving time"),
}
CORRECTIONS = {
    ("211", "Africa/Nairobi"): "Africa/Juba",
    ("212", "Atlantic/Canary"): "Africa/Casablanca",
    ("213", "Europe/Paris"): "Africa/Algiers",
    ("218", "Europe/Bucharest"): "Africa/Tripoli",
    ("231", "Atlantic/Reykjavik"): "Africa/Monrovia",
    ("245", "Atlantic/Reykjavik"): "Africa/Bissau",
    ("353", "Europe/London"): "Europe/Dublin",
    ("353", "Europe/Guernsey"): "Europe/Dublin",
    ("353", "Europe/Isle_of_Man"): "Europe/Dublin",
    ("370", "Europe/Bucharest"): "Europe/Vilnius",
    ("371", "Europe/Bucharest"): "Europe/Riga",
    ("372", "Europe/Bucharest"): "Europe/Tallinn",
    ("375", "Europe/Moscow"): "Europe/Minsk",
    ("505", "America/Chicago"): "America/Managua",
    ("52", "America/New_York"): "America/Cancun",
    ("7", "Europe/Bucharest"): "Europe/Kaliningrad",
    ("7840", "Europe/Bucharest"): "Europe/Moscow",
    ("850", "Asia/Seoul"): "Asia/Pyongyang",
    ("970", "Europe/Bucharest"): "Asia/Hebron",
}
#: Former names of zones, which databases without their links to the past do not have.
RENAMED = {
    "Africa/Asmera": "Africa/Asmara",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "America/Godthab": "America/Nuuk",
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Choibalsan": "Asia/Ulaanbaatar",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Rangoon": "Asia/Yangon",
    "Atlantic/Faeroe": "Atlantic/Faroe",
    "Pacific/Enderbury": "Pacific/Kanton",
    "Pacific/Ponape": "Pacific/Pohnpei",
    "Pacific/Truk": "Pacific/Chuuk",
}
#: How many digits after the calling code are looked at to tell numbers with a place from those without. Where both are possible
#: after so many, all zones are taken.
DEEPEST = 5
#: The territories have holidays of their own, and no rule that forbids calls on them.
TERRITORIES = {"AS", "GU", "MP", "PR", "UM", "VI"}
YEARS = range(2020, 2038)


def corrected(prefix: str, zone: str) -> str:
    """The zone of the country of a prefix, where libphonenumber names another country's."""
    for length in range(len(prefix), 0, -1):
        if (prefix[:length], zone) in CORRECTIONS:
            return CORRECTIONS[prefix[:length], zone]
    return RENAMED.get(zone, zone)


def patterns(calling_code: str) -> tuple[list[str], list[str]]:
    """The patterns of the numbers of a calling code, without it: of those that are tied to a place, and of all others."""
    placed, free = [], []
    for region in COUNTRY_CODE_TO_REGION_CODE[int(calling_code)]:
        metadata = PhoneMetadata.metadata_for_region(region)
        mobile = placed if int(calling_code) in GEOGRAPHIC_MOBILES else free
        kinds = ("toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager", "uan", "voicemail")
        others = [(getattr(metadata, kind), free) for kind in kinds]
        for kind, found in ((metadata.fixed_line, placed), (metadata.mobile, mobile), *others):
            if kind is not None and kind.national_number_pattern:
                found.append(kind.national_number_pattern)
    return placed, free


def can_begin(expressions: list[str], digits: str) -> bool:
    """Whether a number of one of the patterns can begin with some digits."""
    return any(regex.fullmatch(expression, digits, partial=True) for expression in expressions)


def without_free(calling_code: str, entries: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The zones of the prefixes of a calling code, with all of its zones for numbers that are not tied to a place."""
    placed, free = patterns(calling_code)
    everywhere = entries[calling_code]
    found: dict[str, tuple[str, ...]] = {}

    def zones_of(prefix: str) -> tuple[str, ...]:
        return next(entries[prefix[:n]] for n in range(len(prefix), 0, -1) if prefix[:n] in entries)

    def descend(prefix: str) -> None:
        digits = prefix[len(calling_code) :]
        if not can_begin(free, digits):
            found[prefix] = zones_of(prefix)
            found.update({longer: zones for longer, zones in entries.items() if longer.startswith(prefix)})
        elif len(digits) >= DEEPEST or not can_begin(placed, digits):
            found[prefix] = everywhere
        else:
            found[prefix] = zones_of(prefix)
            for digit in "0123456789":
                descend(prefix + digit)

    descend(calling_code)
    return found


def zones_by_prefix() -> dict[str, tuple[str, ...]]:
    """The zones of each prefix, in the order of the alphabet."""
    merged: dict[str, set[str]] = defaultdict(set)
    for prefix, zones in TIMEZONE_DATA.items():
        area = prefix[:4] if prefix.startswith("1") else prefix
        merged[area] |= {corrected(prefix, zone) for zone in zones}
    for codes, (zones, _) in BORDERS.items():
        for code in codes.split():
            merged[f"1{code}"] |= set(zones)
    found = {prefix: tuple(sorted(zones)) for prefix, zones in merged.items()}
    for calling_code in map(str, COUNTRY_CODE_TO_REGION_CODE):
        if calling_code != "1" and len(found.get(calling_code, ())) > 1:
            entries = {prefix: zones for prefix, zones in found.items() if prefix.startswith(calling_code)}
            for prefix in entries:
                del found[prefix]
            found |= without_free(calling_code, entries)
    # A prefix that says the same as a shorter one is not needed.
    kept: dict[str, tuple[str, ...]] = {}
    for prefix in sorted(found, key=len):
        shorter = next((kept[prefix[:n]] for n in range(len(prefix) - 1, 0, -1) if prefix[:n] in kept), None)
        if shorter != found[prefix]:
            kept[prefix] = found[prefix]
    return kept


def zones_text() -> str:
    """The file of zones."""
    by_zones: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for prefix, zones in zones_by_prefix().items():
        by_zones[zones].append(prefix)
    borders = [f"#   {codes}: {why}" for codes, (_, why) in BORDERS.items()]
    corrections = [f"#   {prefix}: {right} instead of {wrong}" for (prefix, wrong), right in CORRECTIONS.items()]
    corrections += [f"#   all: {right} instead of {wrong}" for wrong, right in RENAMED.items()]
    head = f"""\
# Time zones of the prefixes of phone numbers: zones, and the prefixes of numbers that may lie in them, without +.
# The longest prefix decides. An area code of North America (1 and three digits) has the zones of its whole area.
#
# Written by .ci/dialer_data.py on {TODAY}.
# Source: libphonenumber, resources/timezones/map_data.txt, by way of phonenumbers {version("phonenumbers")}.
# Copyright (C) 2012 The Libphonenumber Authors, Apache License 2.0 (licenses/Apache-2.0.txt). Changed:
# mobile phones and other numbers that are not tied to a place have all zones of their calling code;
# area codes on a border of zones have the zones of both sides (legal borders: 49 CFR part 71):
""" + "\n".join([*borders, "# zones of other countries, and former names, are replaced:", *corrections])
    lines = [f"{' '.join(zones)} = {' '.join(sorted(prefixes))}" for zones, prefixes in sorted(by_zones.items())]
    return "\n".join([head, *lines]) + "\n"


def holidays_text() -> str:
    """The file of holidays."""
    states = [state for state in US.subdivisions if state not in TERRITORIES]
    # The first day of a year may be observed on the last of the year before.
    around = range(YEARS.start - 1, YEARS.stop + 1)
    days = sorted({day for state in states for day in holidays.country_holidays("US", subdiv=state, years=around)})
    lines = [" ".join([str(year), *(f"{day:%m%d}" for day in days if day.year == year)]) for year in YEARS]
    head = f"""\
# Public holidays of the USA: every date that is one, or is observed as one, federally or in at least one state or the
# District of Columbia. A year, then months and days.
#
# Written by .ci/dialer_data.py on {TODAY}.
# Source: the package holidays {version("holidays")}, public holidays of {len(states)} subdivisions.
"""
    return head + "\n".join(lines) + "\n"


if __name__ == "__main__":
    (DATA / "zones.txt").write_text(zones_text(), encoding="utf-8")
    (DATA / "us_holidays.txt").write_text(holidays_text(), encoding="utf-8")
