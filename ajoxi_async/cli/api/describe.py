"""Writes down what ``operations.json`` says, from the routes, the classes of parameters and the client's methods.

    python -m ajoxi_async.cli.api.describe > ajoxi_async/cli/api/operations.json

Rules:
1. Every route is a command with the words of its name, and every field of its parameters an option.
2. A field that holds an object is an option for each member: ``routing.kind`` is ``--routing-kind``. Where the client's method
   takes the members themselves, as for a campaign, the options have their names.
3. The help of an option is the line of the method's docstring, and what a rule says that the line does not.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import typing
from collections.abc import Callable, Iterator
from datetime import datetime
from types import ModuleType
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import attrs

from ajoxi_async.contract import checks
from ajoxi_async.contract.base import Params
from ajoxi_async.contract.encoding.structuring import NOT_SENT, wire_name
from ajoxi_async.contract.open_enum import OpenEnum
from ajoxi_async.contract.routes import ROUTES, Route
from ajoxi_async.contract.rules import Bounds, Count, Length, OneOf, Pattern, Rule, without_none
from ajoxi_async.resources import calls, messages, numbers, recordings, transcripts, webhooks

__all__ = ["describe", "text"]

_MODULES: Final[dict[str, ModuleType]] = {
    "calls": calls,
    "numbers": numbers,
    "messages": messages,
    "recordings": recordings,
    "transcripts": transcripts,
    "webhooks": webhooks,
}
#: Rules whose values have a word of their own in the usage.
_WORDS: Final[dict[Rule, str]] = {
    checks.phone: "NUMBER",
    checks.own_phone: "NUMBER",
    checks.destination: "NUMBER",
    checks.http_url: "URL",
}
_SAME_AS: Final = re.compile(r"as for `(\w+)`(?:, for every call)?")


def describe() -> dict[str, Any]:
    """The resources and operations, ready for JSON."""
    return {
        "resources": {name: _summary_of(module) for name, module in _MODULES.items()},
        "operations": [_operation(route) for route in ROUTES.values()],
    }


def text() -> str:
    """The file as it is shipped."""
    return json.dumps(describe(), indent=1, ensure_ascii=False) + "\n"


def _summary_of(module: ModuleType) -> str:
    first = _plain((module.__doc__ or "").partition(" (API reference")[0])
    name, colon, does = first.partition(": ")
    summary = does if colon else name
    return summary if summary[1:2].isupper() else summary[:1].lower() + summary[1:]


def _operation(route: Route[Any]) -> dict[str, Any]:
    resource, _, name = route.name.partition(".")
    method = _method(resource, name)
    params = route.query or route.body
    returns = "" if route.returns is type(None) else route.returns.__name__
    return {
        "route": route.name,
        "resource": resource,
        "word": name.replace("_", "-"),
        "method": route.method,
        "summary": _summary(method),
        "takes_id": "{id}" in route.path,
        "listing": route.listing,
        "returns": returns,
        "fields": [wire_name(f.name) for f in attrs.fields(route.returns) if f.name not in NOT_SENT] if returns else [],
        "options": [] if params is None else list(_options(params, resource, method)),
    }


def _method(resource: str, name: str) -> Callable[..., Any]:
    cls = getattr(_MODULES[resource], resource.capitalize())
    return getattr(cls, name)  # type: ignore[no-any-return]


# Docstrings


def _plain(text: str) -> str:
    """A docstring's text as it reads in a terminal."""
    return " ".join(text.replace("`", "").split())


def _summary(method: Callable[..., Any]) -> str:
    first = (inspect.getdoc(method) or "").partition("\n\n")[0]
    # What follows the colon, or the second sentence, is about Python.
    return _plain(re.split(r": ``|\. ", first.replace("\n", " "))[0]).rstrip(".") + "."


def _lines(method: Callable[..., Any]) -> dict[str, str]:
    """The lines of a docstring's ``Args``, by parameter."""
    section = (inspect.getdoc(method) or "").partition("\nArgs:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(line.split()) for name, line in found}


def _help(name: str, resource: str, method: Callable[..., Any]) -> str:
    line = _lines(method).get(name, "")
    if same := _SAME_AS.match(line):
        return _help(name, resource, _method(resource, same[1]))
    # The second sentence is about Python.
    return _plain(line.partition(". ")[0].removeprefix("aware; ")).rstrip(".")


# Parameters


def _fields(cls: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {f.name: hints[f.name] for f in attrs.fields(cls) if f.name not in NOT_SENT}


def _options(params: type[Params], resource: str, method: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    taken = inspect.signature(method).parameters
    required = {f.name for f in attrs.fields(params) if f.default is attrs.NOTHING}
    for name, hint in _fields(params).items():
        inner = without_none(hint)
        while get_origin(inner) is Annotated:
            inner = inner.__origin__
        if not attrs.has(inner):
            help = _help(name, resource, method)
            yield _option(name, "", wire_name(name), hint, help, required=name in required)
            continue
        for member, its_hint in _fields(inner).items():
            param = f"{wire_name(name)}.{wire_name(member)}"
            if name in taken:
                help = f"{member.replace('_', ' ')}: {_help(name, resource, method)}"
                yield _option(name, member, param, its_hint, help, required=False)
            else:
                help = _help(member, resource, method)
                yield _option(member, "", param, its_hint, help, required=True)


def _option(keyword: str, key: str, param: str, hint: Any, help: str, *, required: bool) -> dict[str, Any]:
    kind, rules, choices = _kind(hint)
    said = [words for rule in rules if (words := _in_words(rule, help)) and words not in help]
    flag = f"{keyword}-{key}" if key else keyword
    return {
        "flag": "--" + flag.rstrip("_").replace("_", "-"),
        "keyword": keyword,
        "key": key,
        "kind": kind,
        "help": f"{help} ({'; '.join(said)})" if help and said else help or "; ".join(said),
        "required": required,
        "choices": list(choices),
        "metavar": _metavar(kind, rules),
        "param": param,
    }


def _kind(hint: Any) -> tuple[str, list[Rule], tuple[str, ...]]:
    """How text becomes a value of the type of a field, the rules in the type, and the texts that it allows."""
    hint, rules = without_none(hint), list[Rule]()
    while get_origin(hint) is Annotated:
        rules += [extra for extra in hint.__metadata__ if isinstance(extra, Rule)]
        hint = without_none(hint.__origin__)
    choices = next((rule.choices for rule in rules if isinstance(rule, OneOf)), ())
    if get_origin(hint) is tuple:
        _, inner, choices = _kind(get_args(hint)[0])
        return "list", rules + inner, choices
    if get_origin(hint) is typing.Literal:
        return "text", rules, get_args(hint)
    if get_origin(hint) is dict:
        return "map", rules, ()
    if issubclass(hint, OpenEnum):
        return "text", rules, tuple(member.value for member in hint)
    kinds = {bool: "boolean", int: "integer", datetime: "time", str: "text"}
    return kinds[hint], rules, choices


def _in_words(rule: Rule, known: str) -> str:
    """What a rule says, if the help of its option does not say it."""
    if isinstance(rule, Bounds):
        default = "" if rule.default is None else f", by default {rule.default}"
        return f"{rule.least} to {rule.most:,}{default}"
    if isinstance(rule, Count):
        return f"{rule.least} to {rule.most:,}"
    if isinstance(rule, Length):
        return "" if f"{rule.most:,}" in known else f"at most {rule.most:,} characters"
    if isinstance(rule, Pattern) and rule not in _WORDS:
        return rule.expected
    return ""


def _metavar(kind: str, rules: list[Rule]) -> str:
    words = {"text": "TEXT", "integer": "N", "boolean": "", "time": "TIME", "list": "TEXT", "map": "KEY=VALUE"}
    return next((_WORDS[rule] for rule in rules if rule in _WORDS), words[kind])


if __name__ == "__main__":
    sys.stdout.write(text())
