"""The contract as an OpenAPI 3.1 document, made from the routes and models that run.

    python -m ajoxi_async.contract.openapi > ajoxi_async/openapi.json

Rules:
1. Nothing is written twice: paths come from `ROUTES`, schemas of answers from the attrs classes, those of requests from
   the types and rules that check them (`contract.request_schemas`), descriptions from docstrings.
2. Answers are open: fields and enum values may be added by a newer server. Requests are closed, like the sandbox: what the
   document allows is never answered 400, and what it does not allow is. What is wrong by its meaning is answered 422.
   The one exception is `cursor`, which no schema can tell.
3. The webhook part describes deliveries; a signature travels with each.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import msgspec

from ajoxi_async.contract import headers
from ajoxi_async.contract.base import Model, OpenEnum
from ajoxi_async.contract.encoding.schemas import REFERENCE as _REF
from ajoxi_async.contract.encoding.schemas import describe
from ajoxi_async.contract.encoding.schemas import summary as _summary
from ajoxi_async.contract.errors import CODE_STATUS
from ajoxi_async.contract.request_schemas import body_schemas, query_schemas
from ajoxi_async.contract.routes import ROUTES, Route
from ajoxi_async.contract.transcripts import TranscriptCompleted
from ajoxi_async.contract.webhooks import EVENT_CLASSES

__all__ = ["document"]


_RATE_HEADERS = {
    headers.RATE_LIMIT: ("Requests a second the key may make.", {"type": "integer"}),
    headers.RATE_REMAINING: ("How many of them are left.", {"type": "integer"}),
    headers.RATE_RESET: ("When the whole limit is free again, in seconds since the epoch.", {"type": "integer"}),
    headers.REQUEST_ID: ("Name it when you report a problem.", {"type": "string"}),
}

#: Where one can go on from an answer: route -> route it leads to -> parameters of the latter, and what they are of the
#: former's answer. What begins with ``body/`` is a field of the body. Of a list it is the newest item.
_LINKS: dict[str, dict[str, dict[str, str]]] = {
    "calls.list": {
        "calls.retrieve": {"id": "data/0/id"},
        "calls.transfer": {"id": "data/0/id"},
        "recordings.retrieve": {"id": "data/0/recording_id"},
        "transcripts.retrieve": {"id": "data/0/id"},
    },
    "calls.create": {
        "calls.retrieve": {"id": "id"},
        "calls.transfer": {"id": "id"},
        "transcripts.retrieve": {"id": "id"},
    },
    "calls.retrieve": {
        "calls.transfer": {"id": "id"},
        "recordings.retrieve": {"id": "recording_id"},
        "transcripts.retrieve": {"id": "transcript_id"},
    },
    "calls.transfer": {"calls.retrieve": {"id": "id"}},
    "numbers.search": {"numbers.provision": {"body/phone_number": "data/0/phone_number"}},
    "numbers.provision": {
        "numbers.update": {"id": "id"},
        "numbers.release": {"id": "id"},
        "calls.create": {"body/from": "phone_number"},
        "messages.send": {"body/from": "phone_number"},
    },
    "numbers.update": {"numbers.release": {"id": "id"}},
    "messages.send": {"messages.list": {"conversation_id": "conversation_id"}},
    "messages.list": {"messages.list": {"conversation_id": "data/0/conversation_id"}},
    "recordings.list": {
        "calls.retrieve": {"id": "data/0/call_id"},
        "recordings.retrieve": {"id": "data/0/id"},
        "transcripts.retrieve": {"id": "data/0/id"},
    },
    "recordings.retrieve": {"calls.retrieve": {"id": "call_id"}, "transcripts.retrieve": {"id": "id"}},
    "transcripts.retrieve": {"calls.retrieve": {"id": "call_id"}, "recordings.retrieve": {"id": "recording_id"}},
    "webhooks.list": {"webhooks.delete": {"id": "data/0/id"}},
    "webhooks.create": {"webhooks.delete": {"id": "id"}},
}


def _schemas() -> dict[str, Any]:
    kinds: set[Any] = {TranscriptCompleted, *EVENT_CLASSES.values()}
    kinds.update(route.returns for route in ROUTES.values() if route.returns is not type(None))
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, found = msgspec.json.schema_components(ordered, ref_template=_REF)
    classes = {cls.__name__: cls for cls in _subclasses(Model) | _subclasses(OpenEnum)}
    schemas = {name: describe(schema, classes.get(name)) for name, schema in found.items()}
    for route in ROUTES.values():
        if route.body is not None:
            schemas |= body_schemas(route.body)
    return dict(sorted(schemas.items())) | _envelopes()


def _subclasses(cls: type[Any]) -> set[type[Any]]:
    return {cls}.union(*(_subclasses(sub) for sub in cls.__subclasses__()))


def _envelopes() -> dict[str, Any]:
    return {
        "Error": {
            "description": "What every error answers (API reference: Errors & status codes).",
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {
                        "code": {"type": "string", "examples": sorted(CODE_STATUS)},
                        "message": {"type": "string"},
                        "param": {"type": "string", "description": "The parameter at fault."},
                    },
                }
            },
        }
    }


def _headers(*more: str) -> dict[str, Any]:
    shown = {name: {"description": text, "schema": schema} for name, (text, schema) in _RATE_HEADERS.items()}
    if headers.RETRY_AFTER in more:
        shown[headers.RETRY_AFTER] = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
    return shown


def _page_of(name: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["data", "next_cursor", "has_more"],
        "properties": {
            "data": {"type": "array", "items": {"$ref": _REF.format(name=name)}},
            "next_cursor": {"type": ["string", "null"], "description": "Where the next page begins."},
            "has_more": {"type": "boolean"},
        },
    }


def _body_of(routes: list[Route[Any]]) -> dict[str, Any]:
    """The content of a success: the routes of one operation answer in a schema or a media type of their own each."""
    schemas = [
        _page_of(route.returns.__name__) if route.listing else {"$ref": _REF.format(name=route.returns.__name__)}
        for route in routes
        if not route.streaming
    ]
    content: dict[str, Any] = {headers.JSON: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}
    if any(route.streaming for route in routes):
        content[headers.EVENT_STREAM] = {"schema": {"type": "string"}}
    return content


def _errors(routes: list[Route[Any]]) -> dict[str, Any]:
    statuses = {401, 403, 429, 500, 503}
    if any("{id}" in route.path for route in routes):
        statuses.add(404)
    if any(route.body or route.query for route in routes):
        statuses.add(400)
    if any(route.body for route in routes):
        statuses |= {404, 422} if "{id}" in routes[0].path else {422}
    names = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 422: "Unprocessable"}
    names |= {429: "TooManyRequests", 500: "InternalError", 503: "Unavailable"}
    return {str(status): {"$ref": f"#/components/responses/{names[status]}"} for status in sorted(statuses)}


def _responses() -> dict[str, Any]:
    texts = {
        "BadRequest": "400: malformed JSON or invalid parameters.",
        "Unauthorized": "401: missing or invalid API key.",
        "Forbidden": "403: the key does not have access to the resource.",
        "NotFound": "404: the resource does not exist in the account.",
        "MethodNotAllowed": "405: the path knows other methods.",
        "Unprocessable": "422: semantically invalid.",
        "TooManyRequests": "429: over the rate limit; honour Retry-After.",
        "InternalError": "500: retries with exponential backoff are safe.",
        "Unavailable": "503: retries with exponential backoff are safe.",
    }
    return {
        name: {
            "description": text,
            "headers": _headers(*([headers.RETRY_AFTER] if name == "TooManyRequests" else [])),
            "content": {headers.JSON: {"schema": {"$ref": _REF.format(name="Error")}}},
        }
        for name, text in texts.items()
    }


def _parameters(routes: list[Route[Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{id}" in routes[0].path:
        found.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}})
    for route in routes:
        if route.query is None:
            continue
        for name, inner in query_schemas(route.query).items():
            is_object = inner.get("type") == "object"
            found.append(
                {
                    "name": name,
                    "in": "query",
                    "schema": inner,
                    **({"style": "deepObject", "explode": True} if is_object else {}),
                }
            )
    if any(route.streaming for route in routes):
        found.append(
            {
                "name": headers.LAST_EVENT_ID,
                "in": "header",
                "description": "Resume a stream after this event.",
                "schema": {"type": "string"},
            }
        )
    return found


def _link(target: str, values: dict[str, str]) -> dict[str, Any]:
    found = {name: f"$response.body#/{place}" for name, place in values.items()}
    body = {name.removeprefix("body/"): value for name, value in found.items() if name.startswith("body/")}
    parameters = {name: value for name, value in found.items() if not name.startswith("body/")}
    return {
        "operationId": target,
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": body} if body else {}),
    }


def _operation(routes: list[Route[Any]]) -> dict[str, Any]:
    route = routes[0]
    success: dict[str, Any] = {"description": "Success.", "headers": _headers()}
    if route.returns is not type(None):
        success["content"] = _body_of(routes)
    if links := _LINKS.get(route.name):
        success["links"] = {target: _link(target, values) for target, values in links.items()}
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.name.partition(".")[0]],
        "responses": {str(route.status): success, **_errors(routes)},
    }
    if parameters := _parameters(routes):
        operation["parameters"] = parameters
    bodies = [{"$ref": _REF.format(name=each.body.__name__)} for each in routes if each.body is not None]
    if bodies:
        schema = bodies[0] if len(bodies) == 1 else {"anyOf": bodies}
        operation["requestBody"] = {"required": True, "content": {headers.JSON: {"schema": schema}}}
    if any(each.streaming for each in routes):
        operation["responses"]["204"] = {"description": "Nothing is to come: do not reconnect.", "headers": _headers()}
    return operation


def _webhooks() -> dict[str, Any]:
    return {
        kind: {
            "post": {
                "operationId": f"on.{kind}",
                "description": _summary(cls),
                "parameters": [
                    {
                        "name": headers.SIGNATURE,
                        "in": "header",
                        "required": True,
                        "description": "HMAC-SHA256 over the raw body, in lower-case hex; several, separated by commas, "
                        "while a secret is rotated.",
                        "schema": {"type": "string"},
                    }
                ],
                "requestBody": {
                    "required": True,
                    "content": {headers.JSON: {"schema": {"$ref": _REF.format(name=cls.__name__)}}},
                },
                "responses": {
                    "2XX": {
                        "description": "Received. Anything else, and no answer in 15 s, is delivered again for 24 hours."
                    }
                },
            }
        }
        for kind, cls in EVENT_CLASSES.items()
    }


def document() -> dict[str, Any]:
    """The document, ready for JSON."""
    operations: dict[tuple[str, str], list[Route[Any]]] = {}
    for route in ROUTES.values():
        operations.setdefault((route.path, route.method), []).append(route)
    paths: dict[str, Any] = {}
    for (path, method), routes in operations.items():
        paths.setdefault(path, {})[method.lower()] = _operation(routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ajoxi",
            "version": "1",
            "description": "The Ajoxi cloud phone API, version 1, as ajoxi-async and its sandbox speak it.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": headers.DEFAULT_BASE_URL}],
        "security": [{"key": []}],
        "paths": paths,
        "webhooks": _webhooks(),
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "AJX_TEST_... or AJX_LIVE_..."}
            },
            "schemas": _schemas(),
            "responses": _responses(),
        },
    }


def text() -> str:
    """The document as it is shipped."""
    # Docstrings are reStructuredText; what reads this is Markdown.
    return re.sub(r"``", "`", json.dumps(document(), indent=1, ensure_ascii=False)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
