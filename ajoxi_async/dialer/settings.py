"""The settings of a campaign: what `Campaign.open` takes, checked, and kept in the ledger as JSON.

Rules:
1. A setting that is not given keeps the value in the ledger. A setting that is given replaces it, and the change is in the journal.
2. Everything is checked before the ledger is changed or anything is sent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from attrs import asdict, evolve, field, fields_dict, frozen

from ajoxi_async.contract import checks
from ajoxi_async.contract.encoding.exact_values import exact, integer
from ajoxi_async.contract.rules import Length
from ajoxi_async.dialer.rules.caps import MOST_OF_CAP, Caps
from ajoxi_async.dialer.rules.durations import DAY, YEAR, seconds
from ajoxi_async.dialer.rules.pacing import MOST_CALLS
from ajoxi_async.dialer.rules.retries import MOST_ATTEMPTS, Retry, checked_retries
from ajoxi_async.dialer.rules.stop import Stop
from ajoxi_async.dialer.rules.texts import shown
from ajoxi_async.dialer.rules.windows import LONGEST_RING, Windows
from ajoxi_async.protocol.errors import InvalidParameterError, LedgerError

__all__ = ["LONGEST_NAME", "Mode", "Settings", "changed", "checked_name", "from_json", "to_json"]

Mode = Literal["auto", "preview", "power", "predictive"]
_MODES: Final = ("auto", "preview", "power", "predictive")
_ENGINES: Final = ("dialer", "api")
_UNKNOWN: Final = ("hold", "release")
#: The longest name of a campaign, as the API has it for its own.
LONGEST_NAME: Final = 200
#: The rule of the API for the id of an agent.
_AGENT: Final = Length(64)


def _numbers(given: object) -> tuple[str, ...]:
    given = exact(given, "from_")
    listed = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
    for number in listed:
        if not isinstance(number, str):
            raise InvalidParameterError("from_", f"expected phone numbers as texts, got {shown(number)}")
        checks.phone("from_", number)
        if number[1] == "1" and len(number) != 12:
            raise InvalidParameterError("from_", f"expected 10 digits after +1, got {len(number) - 2}")
    if len(set(listed)) != len(listed):
        raise InvalidParameterError("from_", "expected each number once")
    return tuple(listed)


def _limit(name: str, least: float, most: float, *, whole: bool = False) -> Any:
    def check(_: object, __: object, value: object) -> None:
        if value is None:
            return
        right = type(value) is int if whole else type(value) in {int, float}
        if not right or not least <= value <= most:  # type: ignore[operator]  # `right` says that it is a number
            kind = "a whole number of" if whole else ""
            raise InvalidParameterError(
                name, f"expected {kind} {least:g} to {most:g}, got {shown(value)}".replace("  ", " ")
            )

    return check


def _one_of(name: str, allowed: tuple[str, ...]) -> Any:
    def check(_: object, __: object, value: object) -> None:
        if value not in allowed:
            raise InvalidParameterError(name, f"expected one of {', '.join(allowed)}, got {shown(value)}")

    return check


def _kind(name: str, kind: type) -> Any:
    def check(_: object, __: object, value: object) -> None:
        if not isinstance(value, kind):
            raise InvalidParameterError(name, f"expected {kind.__name__}, got {type(value).__name__}")

    return check


def _flag(name: str) -> Any:
    def check(_: object, __: object, value: object) -> None:
        if value is not None and type(value) is not bool:
            raise InvalidParameterError(name, f"expected true or false, got {shown(value)}")

    return check


def _agent(_: object, __: object, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise InvalidParameterError("agent_id", f"expected a text, got {shown(value)}")
    if value is not None:
        _AGENT.check("agent_id", value)


def _min_gap(value: float | str | timedelta) -> float:
    return seconds("min_gap", value, most=YEAR)


def _longest_call(value: float | str | timedelta) -> float:
    return seconds("max_call", value, least=60, most=7 * DAY)


def _settle(value: float | str | timedelta) -> float:
    return seconds("settle", value, least=1800, most=DAY)


@frozen(kw_only=True)
class Settings:
    """The settings of a campaign; `Campaign.open` says what they mean."""

    from_: tuple[str, ...] = field(default=(), converter=_numbers)
    windows: Windows = field(factory=Windows.always, validator=_kind("windows", Windows))
    retry: Mapping[str, Retry] = field(factory=dict, converter=checked_retries)
    attempts: int = field(default=1, validator=_limit("attempts", 1, MOST_ATTEMPTS, whole=True))
    per_number_24h: int | None = field(default=None, validator=_limit("per_number_24h", 1, MOST_OF_CAP, whole=True))
    per_number_30d: int | None = field(default=None, validator=_limit("per_number_30d", 1, MOST_OF_CAP, whole=True))
    min_gap: float = field(default=0.0, converter=_min_gap)
    rate: float | None = field(default=None, validator=_limit("rate", 0.001, MOST_CALLS))
    concurrency: int | None = field(default=None, validator=_limit("concurrency", 1, MOST_CALLS, whole=True))
    seats: int | None = field(default=None, validator=_limit("seats", 1, MOST_CALLS, whole=True))
    lines: int | None = field(default=None, validator=_limit("lines", 1, 10, whole=True))
    abandonment: float = field(default=0.03, validator=_limit("abandonment", 0, 1))
    ring_timeout: int = field(default=30, validator=_limit("ring_timeout", 1, LONGEST_RING, whole=True))
    max_call: float = field(default=4 * 3600.0, converter=_longest_call)
    stop: Stop = field(factory=Stop, validator=_kind("stop", Stop))
    ai_receptionist: bool | None = field(default=None, validator=_flag("ai_receptionist"))
    record: bool | None = field(default=None, validator=_flag("record"))
    agent_id: str | None = field(default=None, validator=_agent)
    mode: Mode = field(default="auto", validator=_one_of("mode", _MODES))
    engine: Literal["dialer", "api"] = field(default="dialer", validator=_one_of("engine", _ENGINES))
    chunk: int = field(default=100, validator=_limit("chunk", 1, 10_000, whole=True))
    unknown: Literal["hold", "release"] = field(default="hold", validator=_one_of("unknown", _UNKNOWN))
    settle: float = field(default=1800.0, converter=_settle)
    expires: float | None = None
    caps: Caps = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        caps = Caps(self.per_number_24h, self.per_number_30d, self.min_gap)
        object.__setattr__(self, "caps", caps)
        self.windows.check_ring(self.ring_timeout)
        if self.expires is not None and not (type(self.expires) in {int, float} and math.isfinite(self.expires)):
            raise InvalidParameterError("expires", "expected an aware time")

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON has them."""
        told = asdict(self, recurse=False, filter=lambda attribute, _: attribute.init)
        told["windows"] = self.windows.to_dict()
        told["retry"] = {name: retry.to_dict() for name, retry in self.retry.items()}
        told["stop"] = asdict(self.stop)
        told["from_"] = list(self.from_)
        return told


def to_json(settings: Settings) -> str:
    """The settings as the ledger keeps them."""
    return json.dumps(settings.to_dict(), sort_keys=True)


def from_json(text: str) -> Settings:
    """The settings that `to_json` has written. What an older version did not know has its default.

    Raises:
        LedgerError: they are of another form.
    """
    known = fields_dict(Settings)
    try:
        told: dict[str, Any] = {name: value for name, value in json.loads(text).items() if name in known}
        told["windows"] = Windows.from_dict(told["windows"])
        told["retry"] = {name: Retry.from_dict(retry) for name, retry in told["retry"].items()}
        told["stop"] = Stop.from_dict(told["stop"])
        return Settings(**told)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LedgerError(f"the settings of a campaign in the ledger cannot be read: {error}") from error


def changed(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """Settings with some values replaced; ``None`` keeps a value.

    Raises:
        InvalidParameterError: a value cannot be right; the error names it.
    """
    told = {name: value for name, value in given.items() if value is not None}
    expires = told.get("expires")
    if expires is not None:
        if not isinstance(expires, datetime) or expires.tzinfo is None:
            raise InvalidParameterError("expires", "expected an aware time, such as datetime(2026, 12, 1, tzinfo=UTC)")
        told["expires"] = expires.timestamp()
    for name in (
        "attempts",
        "per_number_24h",
        "per_number_30d",
        "concurrency",
        "seats",
        "lines",
        "ring_timeout",
        "chunk",
    ):
        if name in told and type(told[name]) is not bool and (number := integer(told[name])) is not None:
            told[name] = number
    return evolve(settings, **told)


def checked_name(name: object) -> str:
    """The name of a campaign.

    Raises:
        InvalidParameterError: it is empty, too long, or has control characters.
    """
    name = exact(name, "name")
    if (
        not isinstance(name, str)
        or not 1 <= len(name) <= LONGEST_NAME
        or not name.isprintable()
        or name != name.strip()
    ):
        raise InvalidParameterError("name", f"expected 1 to {LONGEST_NAME} printable characters, got {shown(name)}")
    return name
