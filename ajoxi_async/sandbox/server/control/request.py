"""A request to the control surface, and its routes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar, get_args

from attrs import field, frozen

from ajoxi_async.contract import codec
from ajoxi_async.contract.base import Params
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.request_log import RequestLog
from ajoxi_async.sandbox.world import World
from ajoxi_async.sandbox.worlds import Worlds

__all__ = ["LATEST", "PREFIX", "ControlRequest", "Route"]

PREFIX = "/_ajoxi/"
#: What stands for the id of the newest object.
LATEST = "latest"

P = TypeVar("P", bound=Params)


@frozen
class ControlRequest:
    """A request to the control surface.

    Attributes:
        worlds: the keys, and the world of each.
        requests: the log of the API's last requests.
        key: the key of the world that the request acts on, or the id of this key.
        id: the id in the path; empty if the path has none.
        pairs: the names and values of the query.
        body: the JSON object of the body; empty if there is none.
        make_world: whether the world of a key that was not used yet is made.
        base_url: the URL at which this machine reaches the sandbox.
    """

    worlds: Worlds
    requests: RequestLog
    key: str = field(repr=False)
    id: str
    pairs: list[tuple[str, str]]
    body: dict[str, Any]
    make_world: bool = True
    base_url: str = ""

    @property
    def world(self) -> World:
        """The world that the request acts on. It is made if it does not exist yet, unless the request only looks.

        Raises:
            InvalidParameterError: the key is not one of this sandbox.
            Refusal: the world does not exist, and the request only looks.
        """
        try:
            key = self.worlds.named(self.key)
        except Refusal:
            key = ""
        if not self.worlds.accepts(key):
            raise InvalidParameterError("X-Ajoxi-Key", "expected a key of this sandbox, or the id of one")
        if not self.make_world and key not in self.worlds.by_key:
            raise Refusal("not_found", "no request was sent with this key yet, so that it has no world")
        return self.worlds.of(key)

    def take(self, **kinds: Any) -> dict[str, Any]:
        """Check the body against the types that its members must have, by name, and return it.

        Raises:
            InvalidParameterError: a member is not expected, or is of another type.
        """
        for name, value in self.body.items():
            if name not in kinds:
                raise InvalidParameterError(name[:100], f"no such parameter; expected {', '.join(kinds) or 'none'}")
            if not isinstance(value, kinds[name]) or (isinstance(value, bool) and bool not in _parts(kinds[name])):
                raise InvalidParameterError(
                    name, f"expected {' or '.join(kind.__name__ for kind in _parts(kinds[name]))}"
                )
        return self.body

    def query(self, params: type[P]) -> P:
        """Check the query and return its parameters.

        Raises:
            InvalidParameterError: a parameter is not expected, or wrong.
        """
        return codec.parse_query(self.pairs, params)


def _parts(kind: Any) -> tuple[type, ...]:
    return get_args(kind) or (kind,)


@frozen
class Route:
    """One route of the surface; `act` takes the control surface and the request, and returns the content of the answer."""

    method: str
    path: str
    act: Callable[[Any, ControlRequest], Any]
    status: int = 200

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The regular expression that matches the paths of this route."""
        return re.compile(re.escape(PREFIX + self.path).replace(re.escape("{id}"), "(?P<id>[^/]+)"))
