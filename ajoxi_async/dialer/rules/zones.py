"""The time zones that a phone number may be in.

Rules:
1. A zone that is given with a contact counts alone: whoever gives it knows more than the number does.
2. Otherwise the longest prefix of the number in the table of the package decides. A number in North America may be in every zone
   that its area code touches, whatever its exchange, and area codes on a border have the zones of both sides. Numbers that are
   not tied to a place (toll-free, most mobiles of large countries) have all zones of their country.
3. Where the table knows no prefix, the zones are not known, and the set is empty. Nothing is guessed.
4. Test numbers of the sandbox have a zone in which it is day, by `contract.zones`. This holds only for campaigns against a
   sandbox, because a few numbers of this form are real (+1 800 555 ....).
5. People take their numbers with them. A table of prefixes cannot know this, a zone that is given with the contact can.
6. A zone is a name of the IANA database, such as ``America/New_York``. Offsets and names that stand for an offset (``EST``,
   ``Etc/GMT+5``) are refused: they would be wrong for half of the year. So are ``localtime``, which is the zone of the machine that
   reads the list, and ``Factory``, which is none.

The table is data/zones.txt; its head says where it comes from, how old it is and what was changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from ajoxi_async.contract.zones import zone_of
from ajoxi_async.dialer.rules.clocks import zone_names
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = ["ZoneSet", "locator", "named_zone", "prefixes", "zones_of"]

#: Zone names, in the order of the alphabet; empty where the zones are not known.
ZoneSet = tuple[str, ...]

_OFFSET: Final = re.compile(r"(?i)(?:etc/)?(?:gmt|utc)?[+-]\d.*|est|mst|hst|.*/.*[+-]\d+")
#: Names that some systems have in their database and that name no place.
_NO_PLACES: Final = frozenset({"localtime", "Factory", "posixrules"})


@cache
def prefixes() -> Mapping[str, ZoneSet]:
    """The zones of all prefixes of the table, without ``+``."""
    found: dict[str, ZoneSet] = {}
    for line in files("ajoxi_async.dialer.rules").joinpath("data/zones.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            names, numbers = line.split(" = ")
            found |= dict.fromkeys(numbers.split(), tuple(names.split()))
    return MappingProxyType(found)


def locator(test_at: datetime | None = None) -> Callable[[str], ZoneSet]:
    """A function from a number, in E.164, to the zones that it may be in.

    Args:
        test_at: for a campaign against a sandbox: the moment at which it begins, an aware time, by which test numbers get a zone
            where it is day. Without it they are treated like all numbers.
    """
    table = prefixes()
    by_area = {prefix[1:]: zones for prefix, zones in table.items() if len(prefix) == 4 and prefix[0] == "1"}
    area_of = by_area.get
    lengths = range(max(map(len, table)), 0, -1)

    def locate(number: str) -> ZoneSet:
        if test_at is not None and (test := zone_of(number, test_at)) is not None:
            return (test,)
        if number[1] == "1" and (zones := area_of(number[2:5])) is not None:
            return zones
        for length in lengths:
            zones = table.get(number[1 : 1 + length])
            if zones is not None:
                return zones
        return ()

    return locate


def zones_of(number: int, test_at: datetime | None = None) -> ZoneSet:
    """The zones of one number: E.164 as an integer, without ``+``. See `locator`."""
    return locator(test_at)(f"+{number}")


def named_zone(name: str) -> ZoneSet:
    """The zones of a contact that has a zone of its own.

    Raises:
        InvalidParameterError: it is no zone of the database, or an offset.
        ConfigurationError: there is no database.
    """
    name = name.strip()
    if name in zone_names() and name not in _NO_PLACES and not _OFFSET.fullmatch(name):
        return (name,)
    if name in _NO_PLACES:
        raise InvalidParameterError("zone", f"{name!r} is no place: give one, such as America/New_York")
    if _OFFSET.fullmatch(name):
        raise InvalidParameterError(
            "zone",
            f"{name!r:.60} is an offset, which is wrong for half of the year: give a place, such as America/New_York",
        )
    close = [known for known in zone_names() if known.lower() == name.lower().replace(" ", "_")]
    hint = f"did you mean {close[0]}?" if close else "names are those of the IANA database, such as America/New_York"
    raise InvalidParameterError("zone", f"there is no {name!r:.60}: {hint}")
