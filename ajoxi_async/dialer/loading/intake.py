"""From rows as they were given to rows of the ledger: numbers, zones, and the reasons of what is refused. Pure.

Rules:
1. A row whose number, zone, expiry or key cannot be right is refused with the reason. Nothing of it is guessed or repaired.
2. A number that has no minute at which the windows are open in all its zones is refused, too: it would wait for ever. The reason says
   that a zone helps.
3. Zones are looked up once for an area code, and windows once for a set of zones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from attrs import define, field, frozen

from ajoxi_async.contract.encoding.exact_values import is_unicode
from ajoxi_async.dialer.loading.rows import Row
from ajoxi_async.dialer.rules.numbers import NumberRefused, reader
from ajoxi_async.dialer.rules.texts import shown
from ajoxi_async.dialer.rules.windows import Windows
from ajoxi_async.dialer.rules.zones import ZoneSet, locator, named_zone
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = ["FULL", "PLAIN", "Accepted", "Batch", "Intake", "Refused"]

#: Numbers that need no second look: E.164, with 10 digits after +1 (`numbers`, rule 1).
_PLAIN: Final = re.compile(r"\+(?:1[0-9]{10}|[2-9][0-9]{6,14})", re.ASCII)
_LONGEST_KEY: Final = 200
_LARGEST_KEY: Final = 10 ** (_LONGEST_KEY - 1)
#: The most characters of a contact's variables, as JSON.
_LONGEST_VARIABLES: Final = 65_536
_UNKNOWN_ZONE: Final = "no time zone is known for its prefix, and the windows are not open at all hours: give a zone"


#: A row that becomes a contact, unless its number is one already; its values are those of `PLAIN` or `FULL`. A plain tuple, because
#: there are millions.
Accepted: TypeAlias = tuple[Any, ...]
#: The number as an integer without ``+``, the id of its zones, its line. Values that are not given cost time to store.
PLAIN: Final = ("number", "zones", "line")
#: The same, its expiry in milliseconds since the epoch, the caller's own id, its variables as JSON.
FULL: Final = (*PLAIN, "expires", "key", "variables")


class Refused(NamedTuple):
    """A row that becomes no contact: its line, the number as it was given, why, and the caller's own id."""

    line: int
    number: str
    reason: str
    key: str | None

    def __repr__(self) -> str:
        # A mistyped phone number is personal data as well.
        return f"Refused(line={self.line}, reason={self.reason!r})"


@frozen
class Batch:
    """Some rows, read.

    Attributes:
        columns: of the accepted rows: `PLAIN`, or `FULL`.
        accepted: in the order of their numbers, and of their lines among the same number.
        refused: in the order of their lines.
        zones: sets of zones that came up for the first time, with the ids that they are to get.
    """

    columns: tuple[str, ...]
    accepted: list[Accepted]
    refused: list[Refused]
    zones: dict[int, ZoneSet]

    def __len__(self) -> int:
        return len(self.accepted) + len(self.refused)


@define
class Intake:
    """Reads rows.

    Args:
        windows: of the campaign.
        ring: for how many seconds a phone rings.
        now: the moment from which on windows are looked for, in seconds since the epoch.
        known: the ids of sets of zones that the ledger has.
        region: the country whose national spellings are read.
        test_at: see `zones.locator`.
    """

    windows: Windows
    ring: float
    now: float
    known: Mapping[int, ZoneSet]
    region: str | None = None
    test_at: datetime | None = None
    _read: Callable[[str], str] = field(init=False)
    _locate: Callable[[str], ZoneSet] = field(init=False)
    #: The id of a set of zones, or why its numbers are refused.
    _verdicts: dict[ZoneSet, int | str] = field(init=False, factory=dict)
    #: The same by the first five characters of numbers in North America.
    _areas: dict[str, int | str] = field(init=False, factory=dict)
    _ids: dict[ZoneSet, int] = field(init=False)
    _new: dict[int, ZoneSet] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self._read = reader(self.region)
        self._locate = locator(self.test_at)
        self._ids = {names: id for id, names in self.known.items()}

    def batch(self, rows: Iterable[Row]) -> Batch:
        """Read rows.

        Raises:
            ConfigurationError: the time zone database is missing, or lacks a zone.
        """
        accepted: list[Accepted] = []
        refused: list[Refused] = []
        full = False
        is_plain, area = _PLAIN.fullmatch, self._areas.get
        # A test number has a zone of its own, whatever its area code.
        by_area = self.test_at is None
        for line, phone, zone, expires, key, variables, wrong in rows:
            try:
                place = None
                if by_area and type(phone) is str and is_plain(phone) and not (zone or wrong):
                    place = area(phone[:5])  # the fast road: an area code that came up before
                number = phone
                if type(place) is not int:
                    number, place = self._look(phone, zone, wrong)
                if (
                    not (full or variables)
                    and (expires is None or _missing(expires))
                    and (key is None or _missing(key))
                ):
                    accepted.append((int(number[1:]), place, line))
                    continue
                values = (int(number[1:]), place, line, _expiry(expires), _key(key), _variables(variables))
                if not full:
                    full = True
                    accepted = [(*row, None, None, None) for row in accepted]
                accepted.append(values)
            except (NumberRefused, InvalidParameterError) as error:
                reason = error.reason if isinstance(error, NumberRefused) else error.message
                refused.append(
                    Refused(line, _shown(phone, 80), reason, None if _missing(key) else _shown(key, _LONGEST_KEY))
                )
        accepted.sort(key=itemgetter(0))  # stable, so that the first line of a number stays the first
        new, self._new = self._new, {}
        return Batch(FULL if full else PLAIN, accepted, refused, new)

    def _look(self, phone: Any, zone: Any, wrong: str | None) -> tuple[str, int]:
        if wrong:
            raise NumberRefused(wrong)
        if phone is None:
            raise NumberRefused("the number is empty")
        if not isinstance(phone, str):
            raise NumberRefused(f"the number is not a text but of the type {type(phone).__name__}: give a text with +")
        number = self._read(phone)
        place = self._zones(number, zone)
        if isinstance(place, str):
            raise NumberRefused(place)
        return number, place

    def _zones(self, number: str, zone: Any) -> int | str:
        if not _missing(zone) and not isinstance(zone, str):
            raise InvalidParameterError("zone", f"expected a name such as America/New_York, got {type(zone).__name__}")
        if isinstance(zone, str) and zone.strip():
            return self._verdict(named_zone(zone), given=True)
        place = self._verdict(self._locate(number))
        if self.test_at is None and number[1] == "1":
            self._areas[number[:5]] = place
        return place

    def _verdict(self, names: ZoneSet, *, given: bool = False) -> int | str:
        place = self._verdicts.get(names)
        if place is None:
            if self.windows.opening(names, self.now, self.ring) is not None:
                place = self._id(names)
            elif not names:
                place = _UNKNOWN_ZONE
            elif given:
                place = f"the windows are never open in {names[0]}"
            else:
                place = f"no minute is lawful in all {len(names)} zones that it may be in: give a zone"
            self._verdicts[names] = place
        return place

    def _id(self, names: ZoneSet) -> int:
        found = self._ids.get(names)
        if found is None:
            found = max(self._ids.values(), default=0) + 1
            self._ids[names] = found
            self._new[found] = names
        return found


def _missing(given: Any) -> bool:
    """Whether a field is empty: nothing, an empty text, or the NaN or NaT of a data frame."""
    if isinstance(given, str):
        return not given.strip()
    if isinstance(given, datetime):
        return bool(given != given)  # noqa: PLR0124 - NaT is a datetime that differs from itself
    return given is None or (isinstance(given, float) and math.isnan(given))


def _expiry(given: Any) -> int | None:
    if _missing(given):
        return None
    moment = given
    if isinstance(given, str):
        try:
            moment = datetime.fromisoformat(given.strip())
        except ValueError:
            raise InvalidParameterError(
                "expires", f"expected a time such as 2026-12-24T18:00:00+01:00, got {given!r:.40}"
            ) from None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise InvalidParameterError("expires", "expected a time with its offset, such as 2026-12-24T18:00:00+01:00")
    return round(moment.timestamp() * 1000)


def _key(given: Any) -> str | None:
    if _missing(given):
        return None
    if not isinstance(given, str | int) or isinstance(given, bool):
        raise InvalidParameterError("key", f"expected a text, got {type(given).__name__}")
    text = given if isinstance(given, str) else str(given) if abs(given) < _LARGEST_KEY else ""
    if not 0 < len(text) <= _LONGEST_KEY or "\0" in text or not is_unicode(text):
        raise InvalidParameterError("key", f"expected a text of at most {_LONGEST_KEY} characters")
    return text


def _variables(given: Mapping[str, Any] | None) -> str | None:
    if not given:
        return None
    try:
        text = msgspec.json.encode(given).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameterError("variables", f"expected values of JSON: {error}") from None
    if len(text) > _LONGEST_VARIABLES:
        raise InvalidParameterError(
            "variables", f"expected at most {_LONGEST_VARIABLES} characters of JSON, got {len(text)}"
        )
    return text


def _shown(given: Any, longest: int) -> str:
    """A text that any database takes, for the list of refused rows."""
    text = given if isinstance(given, str) else "" if given is None else shown(given, longest)
    return text[:longest].encode("utf-8", "replace").decode().replace("\0", "\ufffd")
