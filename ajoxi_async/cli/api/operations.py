"""The operations of the API as the command knows them, read from ``operations.json``."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

__all__ = ["Operation", "Option", "operation", "operations", "resources"]


class Option(NamedTuple):
    """One option of an operation.

    Attributes:
        flag: as it is typed, such as ``--ring-timeout``.
        keyword: the parameter of the client's method.
        key: where the parameter is an object: which of its members; else empty.
        kind: how the text becomes a value: ``text``, ``integer``, ``boolean``, ``time``, ``list``, or ``map`` of
            ``KEY=VALUE``.
        help: what it is.
        required: whether the operation cannot be done without it.
        choices: the texts that are allowed; empty if any is.
        metavar: stands for the value in the usage.
        param: the name of the parameter in the errors of the API.
    """

    flag: str
    keyword: str
    key: str
    kind: str
    help: str
    required: bool
    choices: tuple[str, ...]
    metavar: str
    param: str


class Operation(NamedTuple):
    """One operation of the API.

    Attributes:
        route: the name of the client's method, such as ``calls.create_campaign``.
        resource: the word of the command after ``ajoxi``.
        word: the word after that, such as ``create-campaign``.
        method: of HTTP.
        summary: what it does, in a sentence.
        takes_id: whether it needs an id.
        listing: whether the answer is a list.
        returns: the name of the model that is answered, or of those in the list; empty if nothing is.
        fields: the fields of the model, as they travel.
        options: one for each parameter.
    """

    route: str
    resource: str
    word: str
    method: str
    summary: str
    takes_id: bool
    listing: bool
    returns: str
    fields: tuple[str, ...]
    options: tuple[Option, ...]


@cache
def _file() -> dict[str, Any]:
    text = files("ajoxi_async.cli.api").joinpath("operations.json").read_text("utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def resources() -> dict[str, str]:
    """The resources, and what each is."""
    return dict(_file()["resources"])


@cache
def operations(resource: str | None = None) -> tuple[Operation, ...]:
    """All operations, or those of a resource, in the order of the routes."""
    return tuple(_operation(one) for one in _file()["operations"] if resource in {None, one["resource"]})


def operation(route: str) -> Operation:
    """One operation by the name of its route."""
    return next(one for one in operations() if one.route == route)


def _operation(written: dict[str, Any]) -> Operation:
    options = tuple(Option(**one | {"choices": tuple(one["choices"])}) for one in written["options"])
    return Operation(**written | {"options": options, "fields": tuple(written["fields"])})
