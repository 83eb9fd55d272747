"""Microseconds to turn the bytes of a page into objects: 13 fields, times, enums and a nested object each.

Every way gets the same bytes. The classes of cattrs and pydantic are written here as their users would write them.
"""

from __future__ import annotations

import enum
import gc
import importlib.util
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from benchmarks.server import PAGES, page_body
from benchmarks.tools import average, pin, rotated, table, versions

__all__ = ["main"]

Decode = Callable[[bytes], Any]


class Status(enum.StrEnum):
    QUEUED = "queued"
    RINGING = "ringing"
    ANSWERED = "answered"
    COMPLETED = "completed"


class Direction(enum.StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Disposition(enum.StrEnum):
    ANSWERED = "answered"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no_answer"


#: Name on the wire -> type; ``from`` is renamed.
FIELDS: dict[str, Any] = {
    "id": str,
    "status": Status,
    "ai_handler": str,
    "direction": Direction,
    "from_": str,
    "to": str,
    "created_at": datetime,
    "answered_at": datetime,
    "ended_at": datetime,
    "duration": int,
    "disposition": Disposition,
    "recording_url": str,
    "metadata": dict[str, str],
}


def _parse_only() -> Decode:
    import orjson

    return orjson.loads  # type: ignore[no-any-return]


def _ajoxi() -> Decode:
    from ajoxi_async.contract.calls import Call
    from ajoxi_async.contract.codec import decode_page

    return lambda body: decode_page(body, Call).data


def _cattrs() -> Decode:
    import attrs
    from cattrs.gen import make_dict_structure_fn, override
    from cattrs.preconf.orjson import make_converter

    call = attrs.make_class("Call", {name: attrs.field(type=hint) for name, hint in FIELDS.items()}, frozen=True)
    converter = make_converter()
    converter.register_structure_hook(call, make_dict_structure_fn(call, converter, from_=override(rename="from")))
    import orjson

    return lambda body: converter.structure(orjson.loads(body)["data"], list[call])  # type: ignore[valid-type]


def _pydantic() -> Decode:
    import pydantic

    fields: dict[str, Any] = {name: (hint, ...) for name, hint in FIELDS.items() if name != "from_"}
    fields["from_"] = (str, pydantic.Field(alias="from"))
    call = pydantic.create_model("Call", **fields)
    page = pydantic.create_model("Page", data=(list[call], ...), next_cursor=(str | None, None))  # type: ignore[valid-type]
    return lambda body: page.model_validate_json(body).data  # type: ignore[attr-defined]


def _openai() -> Decode:
    import orjson
    import pydantic
    from openai._models import BaseModel, construct_type

    fields: dict[str, Any] = {name: (hint, ...) for name, hint in FIELDS.items() if name != "from_"}
    fields["from_"] = (str, pydantic.Field(alias="from"))
    call = pydantic.create_model("Call", __base__=BaseModel, **fields)
    page = pydantic.create_model("Page", __base__=BaseModel, data=(list[call], ...))  # type: ignore[valid-type]
    return lambda body: construct_type(type_=page, value=orjson.loads(body)).data  # type: ignore[attr-defined]


WAYS: tuple[tuple[str, Callable[[], Decode], tuple[str, ...]], ...] = (
    ("orjson.loads only", _parse_only, ("orjson",)),
    ("ajoxi_async (frozen, unknown fields kept)", _ajoxi, ()),
    ("pydantic v2", _pydantic, ("pydantic",)),
    ("cattrs, stock orjson converter (frozen)", _cattrs, ("cattrs", "orjson")),
    ("openai's construct (unvalidated)", _openai, ("openai", "orjson")),
)


def _time(decode: Decode, body: bytes, seconds: float) -> float:
    done, began = 0, time.process_time()
    while (took := time.process_time() - began) < seconds:
        for _ in range(5):
            decode(body)
        done += 5
    return took / done * 1e6


def main(*, quick: bool = False) -> None:
    """Measure and print the table."""
    rounds, seconds = (1, 0.05) if quick else (9, 0.15)
    print("Decoding one page, µs of processor time")
    pin(0)
    ways: list[tuple[str, Decode]] = []
    for name, make, needs in WAYS:
        if missing := [need for need in needs if importlib.util.find_spec(need) is None]:
            print(f"{name}: skipped, {', '.join(missing)} not installed")
            continue
        try:
            decode = make()
            assert len(decode(page_body(50))) > 0
        except Exception as error:
            print(f"{name}: left out, {type(error).__name__}: {error}")
            continue
        ways.append((name, decode))
    bodies = {size: page_body(size) for size in PAGES}
    taken: dict[tuple[str, int], list[float]] = {}
    gc.collect()
    for turn in range(rounds):
        for size, body in bodies.items():
            for name, decode in rotated(ways, turn):
                taken.setdefault((name, size), []).append(_time(decode, body, seconds))
    rows = []
    for name, _ in ways:
        row = [name]
        for size in bodies:
            ratios = [a / b for a, b in zip(taken[name, size], taken[ways[0][0], size], strict=True)]
            row += [f"{average(taken[name, size]):,.0f}", f"{average(ratios):.1f}"]
        rows.append(row)
    head = ["", *(cell for size in bodies for cell in (f"{size} items", "ratio"))]
    print("\n" + table(head, rows), end="\n\n")


if __name__ == "__main__":
    import sys

    with suppress(KeyboardInterrupt):
        print(versions())
        main(quick="--quick" in sys.argv)
