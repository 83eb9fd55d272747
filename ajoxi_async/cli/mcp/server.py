"""The server of ``ajoxi mcp``: lists the tools, asks the user, calls the client.

Rules:
1. In live mode a tool that changes anything is carried out only after the user has accepted a form that names the endpoint and every
   argument. A host that cannot show forms cannot use these tools in live mode.
2. An acceptance holds once, and for the arguments that were shown. Up to version 2025-11-25 of the protocol the server asks within the
   call. From 2026-07-28 on it may not: it answers that input is required, and the host repeats the call with the user's answer and
   the token that this server drew. A token is good for one call with the same name and arguments.
3. Arguments are checked before the user is asked, so that nobody is asked about a call that cannot be made.
4. An error of the API is a result with `is_error`, which the model reads and can act on.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from ajoxi_async.cli.mcp.tools import Tool, call, check, tools_for
from ajoxi_async.cli.show.formats import json_text
from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.protocol.errors import AjoxiError
from ajoxi_async.version import VERSION

__all__ = ["make_server", "serve"]

#: How many questions may be open; the oldest is forgotten when there are more.
_MOST_OPEN: Final = 100
_FIELD: Final = "confirm"
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {_FIELD: {"type": "boolean", "title": "Do it", "description": "It cannot be taken back."}},
    "required": [_FIELD],
}
_ABOUT: Final = {
    "test": "Tools of the Ajoxi cloud phone API in test mode: no phone rings. ",
    "live": "Tools of the Ajoxi cloud phone API in live mode: calls ring real phones. The user is asked before each change. ",
}
_USE: Final = (
    "Phone numbers are E.164 (+14155551234). A list answers one page. If the outcome of a call is unknown, do not repeat it: look for"
    " it with calls_list first."
)

_Context = ServerRequestContext[Any, Any]


class _Confirmations:
    """The questions that were asked and not yet answered."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}

    def open(self, subject: str) -> str:
        token = secrets.token_urlsafe(16)
        self._open[token] = subject
        while len(self._open) > _MOST_OPEN:
            del self._open[next(iter(self._open))]
        return token

    def close(self, token: str | None, subject: str) -> bool:
        """Whether the token was drawn for this subject; it is used up either way."""
        return self._open.pop(token or "", None) == subject


def _accepts(answer: Any) -> bool:
    if not isinstance(answer, types.ElicitResult) or answer.action != "accept":
        return False
    return (answer.content or {}).get(_FIELD) is True


def _question(tool: Tool, arguments: Mapping[str, Any]) -> str:
    # With escapes for characters that would show the user something else than what is sent, such as marks of direction.
    given = ", ".join(f"{name}={json_text(value)}" for name, value in sorted(arguments.items()))
    return f"Carry out {tool.route.name}({given}) with a live key?"


def _error(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True)


async def _confirmed(
    context: _Context, params: types.CallToolRequestParams, tool: Tool, confirmations: _Confirmations
) -> bool | types.InputRequiredResult:
    """Whether the user has accepted, or the question that the host has to show first."""
    arguments = params.arguments or {}
    request = types.ElicitRequestFormParams(message=_question(tool, arguments), requested_schema=_FORM)
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return _accepts(
            await context.session.elicit_form(request.message, request.requested_schema, context.request_id)
        )
    subject = json.dumps([tool.name, arguments], sort_keys=True)
    if params.input_responses is not None and confirmations.close(params.request_state, subject):
        return _accepts(params.input_responses.get(_FIELD))
    return types.InputRequiredResult(
        input_requests={_FIELD: types.ElicitRequest(params=request)}, request_state=confirmations.open(subject)
    )


def make_server(client: AsyncAjoxi, *, read_only: bool = False) -> Server[Any]:
    """The server for a client.

    Args:
        client: what carries out the tools; in live mode each change is confirmed by the user.
        read_only: whether only tools that change nothing are offered.
    """
    tools = tools_for(client.mode, read_only=read_only)
    confirmations = _Confirmations()

    async def list_tools(_context: _Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in tools.values()])

    async def call_tool(
        context: _Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        tool = tools.get(params.name)
        if tool is None:
            return _error(f"there is no tool {params.name!r} here")
        try:
            check(tool, params.arguments or {})
            if client.mode == "live" and not tool.reads:
                capabilities = context.session.client_capabilities
                if capabilities is None or capabilities.elicitation is None:
                    return _error("not carried out: a live key needs the user's confirmation, and this host cannot ask")
                answer = await _confirmed(context, params, tool, confirmations)
                if isinstance(answer, types.InputRequiredResult):
                    return answer
                if not answer:
                    return _error("not carried out: the user did not accept")
            result = await call(client, tool, params.arguments or {})
        except AjoxiError as error:
            return _error(f"{type(error).__name__}: {error}")
        text = types.TextContent(type="text", text=json.dumps(result, ensure_ascii=False))
        return types.CallToolResult(content=[text], structured_content=result)

    return Server(
        "ajoxi",
        version=VERSION,
        instructions=_ABOUT[client.mode] + _USE,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _described(tool: Tool) -> types.Tool:
    hints = types.ToolAnnotations(
        read_only_hint=tool.reads, destructive_hint=tool.destructive, idempotent_hint=tool.reads, open_world_hint=True
    )
    return types.Tool(name=tool.name, description=tool.description, input_schema=tool.schema, annotations=hints)


async def serve(client: AsyncAjoxi, *, read_only: bool = False) -> None:
    """Serve one host over standard input and output until it closes them."""
    server = make_server(client, read_only=read_only)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
