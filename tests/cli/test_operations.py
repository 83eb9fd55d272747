"""Every operation of the API is a command, and every parameter an option."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from typing import Any, get_type_hints

import attrs
import pytest

from ajoxi_async.cli.api.confirmation import ASKS, DOES_NOT_ASK
from ajoxi_async.cli.api.describe import text
from ajoxi_async.cli.api.operations import operation, operations
from ajoxi_async.cli.arguments import parser_for
from ajoxi_async.cli.arguments.api import WRITTEN_BY_HAND
from ajoxi_async.cli.show.fields import COLUMNS
from ajoxi_async.contract.encoding.structuring import nested_class, wire_name
from ajoxi_async.contract.routes import ROUTES

SHIPPED = files("ajoxi_async.cli.api").joinpath("operations.json").read_text("utf-8")


@pytest.mark.skipif(sys.flags.optimize > 1, reason="help is made from docstrings, which -OO takes away")
def test_the_file_is_what_is_generated() -> None:
    """The file that ships is made from the code as it stands: python -m ajoxi_async.cli.api.describe."""
    assert text() == SHIPPED


def parameters(route: Any) -> set[str]:
    """The names of all parameters of a route, those of objects in it as ``routing.kind``."""
    found: set[str] = set()
    cls = route.query or route.body
    for field, hint in get_type_hints(cls).items() if cls is not None else ():
        if field in {"rules", "path"}:  # of the class
            continue
        inner, name = nested_class(hint), wire_name(field)
        members = [one.name for one in attrs.fields(inner) if one.name != "extra"] if inner else []
        found |= {f"{name}.{wire_name(member)}" for member in members} if members else {name}
    return found


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_parity(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every route has a command, whose help names an option for each of its parameters, and an id if its path has one."""
    route = ROUTES[name]
    if name in WRITTEN_BY_HAND:
        words: tuple[str, ...] = WRITTEN_BY_HAND[name]
    else:
        does = operation(name)
        words = (does.resource, does.word)
        assert {option.param for option in does.options} == parameters(route)
        assert (does.method, does.listing, does.takes_id) == (route.method, route.listing, "{id}" in route.path)
    with pytest.raises(SystemExit) as ended:
        parser_for(words).parse_args([*words, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    if name not in WRITTEN_BY_HAND:
        flags = {option.flag for option in operation(name).options}
        assert flags <= set(shown.replace(",", " ").split())


def test_parity_names_what_is_missing() -> None:
    """The comparison sees a parameter without an option, and a route without a command."""
    route = ROUTES["numbers.update"]
    assert parameters(route) == {
        "routing.kind", "routing.target", "caller_id.name", "sms.enabled", "sms.forward_to",
    }  # fmt: skip
    assert parameters(ROUTES["calls.retrieve"]) == set()
    with pytest.raises(StopIteration):
        operation("calls.hang_up")


def test_nothing_that_rings_buys_or_is_final_goes_unasked() -> None:
    """Each route that changes something either asks with a live key, or is listed as one that does not."""
    changing = {name for name, route in ROUTES.items() if route.method != "GET"}
    assert ASKS.keys() | DOES_NOT_ASK == changing
    assert not ASKS.keys() & DOES_NOT_ASK


def test_columns_are_fields() -> None:
    """What a table shows are fields of the model, and each model of a list has columns."""
    for one in operations():
        assert not one.listing or set(COLUMNS[one.returns]) <= set(one.fields)


def test_help_imports_nothing_heavy() -> None:
    """`--help` of every command needs neither the client, nor an engine, nor the classes of parameters."""
    code = (
        "import sys\n"
        "from ajoxi_async.cli.arguments import whole_parser\n"
        "import ajoxi_async.cli\n"
        "whole_parser().format_help()\n"
        "heavy = ('asyncio', 'attrs', 'msgspec', 'cattrs', 'anyio', 'aiohttp', 'httpx', 'rich', 'ajoxi_async.client',"
        " 'ajoxi_async.contract', 'ajoxi_async.sandbox', 'ajoxi_async.dialer')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert run.stdout == "[]\n"
