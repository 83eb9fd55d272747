"""The tools: what each endpoint looks like to an agent, and how its arguments become a call of the client.

Rules:
1. Every route is a tool, live transcripts excepted, because a tool has one answer and they have many. In live mode
   `webhooks.create` is left out as well: its answer holds the signing secret, which a model must not be given.
2. The schema of the arguments is that of the published document, and arguments are checked by the same rules before anything is sent.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

import attrs
from attrs import frozen

from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.contract.base import Model, Params
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.parameters import parse_params
from ajoxi_async.contract.request_schemas import body_schemas, query_schemas
from ajoxi_async.contract.routes import ROUTES, Route
from ajoxi_async.pipeline.pager import Page
from ajoxi_async.protocol.credentials import Mode

__all__ = ["Tool", "call", "check", "tools_for"]

_REFERENCE: Final = "#/components/schemas/"
_ID: Final = {"type": "string", "description": "the object's id, such as call_8f2a1b3c"}
#: What cannot be undone.
_DESTRUCTIVE: Final = frozenset(
    {"calls.create", "calls.create_campaign", "messages.send", "numbers.release", "webhooks.delete"}
)


@frozen
class Tool:
    """One endpoint as a tool.

    Attributes:
        name: such as ``calls_create``; hosts take letters, digits, ``_`` and ``-`` only.
        reads: whether it changes nothing.
        destructive: whether what it does cannot be undone.
    """

    name: str
    route: Route[Any]
    description: str
    schema: dict[str, Any]
    reads: bool
    destructive: bool


def tools_for(mode: Mode, *, read_only: bool = False) -> dict[str, Tool]:
    """The tools of a mode, by their names."""
    tools = [_tool(route) for route in ROUTES.values() if not route.streaming]
    return {
        tool.name: tool
        for tool in tools
        if (tool.reads or not read_only) and not (mode == "live" and tool.route.name == "webhooks.create")
    }


def _tool(route: Route[Any]) -> Tool:
    resource, _, method = route.name.partition(".")
    return Tool(
        name=f"{resource}_{method}",
        route=route,
        description=_description(getattr(AsyncAjoxi, resource), method, route.listing),
        schema=_schema(route),
        reads=route.method == "GET",
        destructive=route.name in _DESTRUCTIVE,
    )


def _description(resource: Any, method: str, listing: bool) -> str:
    """The first paragraph of the method's docstring; without docstrings (``python -OO``) its name."""
    about = (inspect.getdoc(getattr(resource, method)) or method).partition("\n\n")[0].replace("\n", " ")
    # What a docstring says of iterating is of no use to an agent, which asks for the next page by its cursor.
    about = about.partition(": ``async for``")[0].replace("``", "")
    return f"{about.rstrip('.')}. One page; next_cursor is the cursor of the next." if listing else about


def _schema(route: Route[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    if route.query is not None:
        schema["properties"] = query_schemas(route.query)
    elif route.body is not None:
        found: dict[str, Any] = _local(body_schemas(route.body))
        schema = found.pop(route.body.__name__)
        if found:
            schema["$defs"] = found
    if "{id}" in route.path:
        schema["properties"] = {"id": _ID, **schema["properties"]}
        schema["required"] = ["id", *schema.get("required", [])]
    return schema


def _local(schema: Any) -> Any:
    """The schema with references into itself instead of into the published document."""
    if isinstance(schema, dict):
        return {
            key: value.replace(_REFERENCE, "#/$defs/") if key == "$ref" and isinstance(value, str) else _local(value)
            for key, value in schema.items()
        }
    return [_local(item) for item in schema] if isinstance(schema, list) else schema


def check(tool: Tool, arguments: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The id and the parameters of a call, checked.

    Raises:
        InvalidParameterError: naming the parameter and what would be right.
    """
    given = dict(arguments)
    id = given.pop("id", None) if "{id}" in tool.route.path else None
    tool.route.path_for(id)
    kind = tool.route.query or tool.route.body
    if kind is None:
        for name in given:
            raise InvalidParameterError(name, "no such parameter")
        return id, {}
    return id, _fields(parse_params(given, kind))


def _fields(params: Params) -> dict[str, Any]:
    values = {f.name: getattr(params, f.name) for f in attrs.fields(type(params))}
    return {name: value for name, value in values.items() if value is not None}


async def call(client: AsyncAjoxi, tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Call the client's method for a tool; return the answer as JSON.

    Raises:
        AjoxiError: of the method, or because an argument cannot be right.
    """
    id, params = check(tool, arguments)
    resource, _, name = tool.route.name.partition(".")
    method = getattr(getattr(client, resource), name)
    taken = inspect.signature(method).parameters
    for nested in [
        key for key in params if key not in taken
    ]:  # the object `campaign`, whose fields the method takes one by one
        params |= _fields(params.pop(nested))
    answer = await method(*([] if id is None else [id]), **params)
    return _json(answer)


def _json(answer: Any) -> dict[str, Any]:
    if isinstance(answer, Page):
        items = [item.to_dict() for item in answer.data]
        return {"data": items, "has_more": answer.has_more, "next_cursor": answer.next_cursor}
    return answer.to_dict() if isinstance(answer, Model) else {"done": True}
