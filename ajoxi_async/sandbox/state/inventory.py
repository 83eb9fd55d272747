"""The numbers on offer: the same for every account of a sandbox, made from the seed."""

from __future__ import annotations

import random
from functools import cache

from ajoxi_async.contract.numbers import Capability, Number, NumberStatus, NumberType
from ajoxi_async.sandbox.state.ids import Minter

__all__ = ["FULL", "build"]

FULL = (Capability.VOICE, Capability.SMS, Capability.MMS, Capability.FAX)
_PLAIN = (Capability.VOICE, Capability.SMS)

#: Country code, country, area code, region, digits that follow, type. 555-01xx and similar ranges are reserved for fiction.
_AREAS = (
    *(("1", "US", area, region, 7, NumberType.LOCAL) for area, region in (
        ("415", "CA"), ("212", "NY"), ("312", "IL"), ("206", "WA"), ("305", "FL"), ("512", "TX"), ("617", "MA"),
        ("702", "NV"), ("303", "CO"), ("404", "GA"),
    )),
    *(("1", "US", area, None, 7, NumberType.TOLL_FREE) for area in ("800", "888", "877")),
    ("1", "CA", "416", "ON", 7, NumberType.INTERNATIONAL),
    ("44", "GB", "20", "London", 8, NumberType.INTERNATIONAL),
    ("49", "DE", "30", "Berlin", 8, NumberType.INTERNATIONAL),
    ("33", "FR", "1", "Paris", 8, NumberType.INTERNATIONAL),
    ("61", "AU", "2", "Sydney", 8, NumberType.INTERNATIONAL),
)  # fmt: skip
_EACH = 60


@cache
def build(seed: int) -> tuple[Number, ...]:
    """All numbers on offer, in the order in which searches list them."""
    rng, minter = random.Random(f"inventory/{seed}"), Minter(f"{seed}/inventory")
    numbers = []
    for code, country, area, region, digits, kind in _AREAS:
        for local in sorted(rng.sample(range(10 ** (digits - 1) * 2, 10**digits), _EACH)):
            numbers.append(
                Number(
                    id=minter.mint("num"),
                    phone_number=f"+{code}{area}{local}",
                    type=kind,
                    country=country,
                    region=region,
                    capabilities=FULL if kind == NumberType.LOCAL else _PLAIN,
                    status=NumberStatus.AVAILABLE,
                )
            )
    return tuple(numbers)
