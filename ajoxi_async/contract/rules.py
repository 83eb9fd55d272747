"""Kinds of rules for parameters. A rule checks a value, and describes its check as JSON Schema.

Rules are attached to the type of a field, as in ``Annotated[str, Pattern(...)]``. `Params` applies them when it is created, and
`contract.request_schemas` writes them into the published document, so that each rule is stated once. `contract.checks` has the
rules of the API.
"""

from __future__ import annotations

import re
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from itertools import product
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import field, frozen

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.open_enum import OpenEnum

__all__ = [
    "AtLeastOne",
    "Bounds",
    "Count",
    "ExactlyOne",
    "Form",
    "GroupRule",
    "Length",
    "NotWith",
    "OneOf",
    "OnlyWith",
    "Pattern",
    "Rule",
    "TextMap",
    "combined",
    "field_checks",
    "known",
    "without_none",
]


class Rule(ABC):
    """A rule for the value of one parameter. ``None`` counts as not given and passes."""

    @property
    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The rule as keywords of JSON Schema."""

    def __call__(self, param: str, value: Any) -> None:
        """Check a value.

        Args:
            param: the name of the parameter, for the error.
            value: what was given.

        Raises:
            InvalidParameterError: the value breaks the rule.
        """
        if value is not None:
            self.check(param, value)

    @abstractmethod
    def check(self, param: str, value: Any) -> None:
        """Check a value that was given; see `__call__`."""


@frozen
class Pattern(Rule):
    """A text that matches a regular expression as a whole.

    Attributes:
        expression: what stands between ``^`` and ``$``, in the syntax that Python, JavaScript and RE2 share.
        expected: a description of valid texts, for the error.
        most: the most characters that the text may have.
        show: how a refused text is shown in the error; with ``None``, the error does not contain it.
        examples: valid texts, for the published document.
    """

    expression: str
    expected: str
    most: int | None = None
    show: Callable[[str], str] | None = repr
    examples: tuple[str, ...] = ()
    _matches: Callable[[str], Any] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_matches", re.compile(rf"^{self.expression}\Z", re.ASCII).match)

    @property
    def schema(self) -> dict[str, Any]:
        """See `Rule`."""
        return {
            "pattern": f"^{self.expression}$",
            **({} if self.most is None else {"maxLength": self.most}),
            **({"examples": list(self.examples)} if self.examples else {}),
        }

    def check(self, param: str, value: str) -> None:
        """See `Rule`."""
        if not self._matches(value) or (self.most is not None and len(value) > self.most):
            shown = "" if self.show is None else f", got {self.show(value)}"
            raise InvalidParameterError(param, f"expected {self.expected}{shown}")


@frozen
class OneOf(Rule):
    """A text that is one of a few."""

    choices: tuple[str, ...]

    @property
    def schema(self) -> dict[str, Any]:
        """See `Rule`."""
        return {"enum": list(self.choices)}

    def check(self, param: str, value: str) -> None:
        """See `Rule`."""
        if value not in self.choices:
            raise InvalidParameterError(param, f"expected one of {', '.join(self.choices)}, got {value[:80]!r}")


@frozen
class Length(Rule):
    """A text with `least` to `most` characters, both included."""

    most: int
    least: int = 1

    @property
    def schema(self) -> dict[str, Any]:
        """See `Rule`."""
        return {"minLength": self.least, "maxLength": self.most} if self.least else {"maxLength": self.most}

    def check(self, param: str, value: str) -> None:
        """See `Rule`."""
        if not self.least <= len(value) <= self.most:
            bounds = f"{self.least} to {self.most}" if self.least else f"at most {self.most}"
            raise InvalidParameterError(param, f"expected {bounds} characters, got {len(value)}")


@frozen
class Bounds(Rule):
    """An integer from `least` to `most`, both included. The server uses `default` if the parameter is not given."""

    least: int
    most: int
    default: int | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """See `Rule`."""
        default = {} if self.default is None else {"default": self.default}
        return {"minimum": self.least, "maximum": self.most, **default}

    def check(self, param: str, value: int) -> None:
        """See `Rule`."""
        if not self.least <= value <= self.most:
            raise InvalidParameterError(param, f"expected {self.least} to {self.most}, got {value}")


@frozen
class Count(Rule):
    """A list with `least` to `most` items, both included."""

    least: int
    most: int

    @property
    def schema(self) -> dict[str, Any]:
        """See `Rule`."""
        return {"minItems": self.least, "maxItems": self.most}

    def check(self, param: str, value: tuple[Any, ...]) -> None:
        """See `Rule`."""
        if not self.least <= len(value) <= self.most:
            raise InvalidParameterError(param, f"expected {self.least} to {self.most}, got {len(value)}")


@frozen
class TextMap(Rule):
    """An object with at most `most` texts. The rule `names` applies to each name, and `texts` to each text."""

    most: int
    names: Pattern
    texts: Length

    @property
    def schema(self) -> dict[str, Any]:
        """See `Rule`."""
        return {
            "maxProperties": self.most,
            "propertyNames": self.names.schema,
            "additionalProperties": {"type": "string", **self.texts.schema},
        }

    def check(self, param: str, value: Mapping[str, str]) -> None:
        """See `Rule`."""
        if len(value) > self.most:
            raise InvalidParameterError(param, f"expected at most {self.most} keys, got {len(value)}")
        for name, text in value.items():
            self.names(param, name)
            self.texts(f"{param}[{name}]", text)


@frozen
class Form:
    """One allowed combination of parameters: those in `given` are given, and those in `absent` are not."""

    given: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()


class GroupRule(ABC):
    """A rule about which parameters may be given together. ``None`` counts as not given."""

    @abstractmethod
    def check(self, given: Mapping[str, object]) -> None:
        """Check which parameters are given.

        Args:
            given: parameters by name. One that is not given is ``None`` or missing.

        Raises:
            InvalidParameterError: the combination is not allowed. The error names a parameter that is missing, or one that
                may not be given together with another.
        """

    @abstractmethod
    def forms(self) -> list[Form]:
        """The combinations that are allowed."""


def _names_given(given: Mapping[str, object], names: tuple[str, ...]) -> list[str]:
    return [name for name in names if given.get(name) is not None]


@frozen
class ExactlyOne(GroupRule):
    """One of the parameters is given, and no other of them."""

    names: tuple[str, ...]

    def check(self, given: Mapping[str, object]) -> None:
        """See `GroupRule`."""
        found = _names_given(given, self.names)
        if len(found) != 1:
            raise InvalidParameterError(
                found[1] if found else self.names[0],
                f"expected exactly one of {', '.join(self.names)}, got {' and '.join(found) or 'none of them'}",
                missing=not found,
            )

    def forms(self) -> list[Form]:
        """See `GroupRule`."""
        return [Form(frozenset({name}), frozenset(self.names) - {name}) for name in self.names]


@frozen
class AtLeastOne(GroupRule):
    """At least one of the parameters is given."""

    names: tuple[str, ...]

    def check(self, given: Mapping[str, object]) -> None:
        """See `GroupRule`."""
        if not _names_given(given, self.names):
            raise InvalidParameterError(self.names[0], f"expected one of {', '.join(self.names)}", missing=True)

    def forms(self) -> list[Form]:
        """See `GroupRule`."""
        return [Form(frozenset({name})) for name in self.names]


@frozen
class NotWith(GroupRule):
    """If the first parameter is given, the others are not."""

    name: str
    others: tuple[str, ...]

    def check(self, given: Mapping[str, object]) -> None:
        """See `GroupRule`."""
        found = _names_given(given, (self.name, *self.others))
        if found[:1] == [self.name] and len(found) > 1:
            raise InvalidParameterError(
                found[1],
                f"expected exactly one of {', '.join((self.name, *self.others))}, got {' and '.join(found)}",
            )

    def forms(self) -> list[Form]:
        """See `GroupRule`."""
        return [Form(absent=frozenset({self.name})), Form(absent=frozenset(self.others))]


@frozen
class OnlyWith(GroupRule):
    """The first parameter is given only together with the second."""

    name: str
    needed: str

    def check(self, given: Mapping[str, object]) -> None:
        """See `GroupRule`."""
        if given.get(self.name) is not None and given.get(self.needed) is None:
            raise InvalidParameterError(self.name, f"expected only together with {self.needed}")

    def forms(self) -> list[Form]:
        """See `GroupRule`."""
        return [Form(absent=frozenset({self.name})), Form(frozenset({self.needed}))]


def combined(rules: tuple[GroupRule, ...]) -> list[Form]:
    """The combinations that satisfy several rules at once.

    Left out are combinations that contradict themselves, and those that are a special case of another one.
    """
    forms = {
        Form(frozenset().union(*(form.given for form in choice)), frozenset().union(*(form.absent for form in choice)))
        for choice in product(*(rule.forms() for rule in rules))
    }
    sound = [form for form in forms if not form.given & form.absent]
    return sorted(
        (
            form
            for form in sound
            if not any(other != form and other.given <= form.given and other.absent <= form.absent for other in sound)
        ),
        key=lambda form: (sorted(form.given), sorted(form.absent)),
    )


# Rules of fields


def without_none(hint: Any) -> Any:
    """The type of a field without ``None``; the same type where it has none."""
    if get_origin(hint) not in {Union, types.UnionType}:
        return hint
    left = [part for part in get_args(hint) if part is not type(None)]
    assert len(left) == 1, f"a parameter has one type: {hint}"
    return left[0]


Check = Callable[[str, Any], None]


def known(param: str, value: OpenEnum | None) -> None:
    """Check that an enum value is known. An answer may contain unknown values, but a request may not."""
    if value is not None and not value.known:
        allowed = ", ".join(repr(member.value) for member in type(value))
        raise InvalidParameterError(param, f"expected one of {allowed}, got {value.value!r}")


def _find_checks(cls: type[Any]) -> tuple[tuple[str, Check], ...]:
    """The fields of an attrs class that have rules, each with the function that checks it."""
    hints = get_type_hints(cls, include_extras=True)
    checks = ((name, _check_of(hints[name])) for name in (f.name for f in attrs.fields(cls)))
    return tuple((name, check) for name, check in checks if check is not None)


field_checks: Callable[[Any], tuple[tuple[str, Check], ...]] = cache(_find_checks)


def _check_of(hint: Any) -> Check | None:
    hint = without_none(hint)
    found: list[Check] = []
    if get_origin(hint) is Annotated:
        found += [extra for extra in hint.__metadata__ if isinstance(extra, Rule)]
        hint = hint.__origin__
    if get_origin(hint) is tuple:
        each = _check_of(get_args(hint)[0])
        found += [] if each is None else [_of_items(each)]
    elif isinstance(hint, type) and issubclass(hint, OpenEnum):
        found.append(known)
    return found[0] if len(found) == 1 else _all_of(found) if found else None


def _of_items(check: Check) -> Check:
    def check_items(param: str, value: tuple[Any, ...] | None) -> None:
        for index, item in enumerate(value or ()):
            check(f"{param}[{index}]", item)

    return check_items


def _all_of(checks: list[Check]) -> Check:
    def check_all(param: str, value: Any) -> None:
        for check in checks:
            check(param, value)

    return check_all
