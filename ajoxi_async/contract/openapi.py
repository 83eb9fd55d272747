"""The contract as an OpenAPI 3.1 document, made from the routes and models that run.

    python -m ajoxi_async.contract.openapi > ajoxi_async/openapi.json

Rules:
1. Nothing is written twice: paths come from `ROUTES`, schemas from the attrs classes, descriptions from docstrings. What
   the classes check in code (the shape of a phone number, ranges) stands in `_CONSTRAINTS`, by field.
2. Answers are open: fields and enum values may be added by a newer server. Requests are closed, like the sandbox.
3. The webhook part describes deliveries; a signature travels with each.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import msgspec

from ajoxi_async.contract import headers
from ajoxi_async.contract.base import Model, OpenEnum, Params
from ajoxi_async.contract.calls import CAMPAIGN_CONTACTS, RING_SECONDS
from ajoxi_async.contract.encoding.schemas import REFERENCE as _REF
from ajoxi_async.contract.encoding.schemas import describe
from ajoxi_async.contract.encoding.schemas import summary as _summary
from ajoxi_async.contract.errors import CODE_STATUS
from ajoxi_async.contract.routes import ROUTES, Route
from ajoxi_async.contract.transcripts import TranscriptCompleted
from ajoxi_async.contract.webhooks import EVENT_ALIASES, EVENT_CLASSES, EventType

__all__ = ["document"]

_PHONE = {"pattern": r"^\+[1-9][0-9]{6,14}$", "examples": ["+14155551234"]}
_DESTINATION = {"pattern": r"^(\+[1-9][0-9]{6,14}|ext:[0-9]{1,10})$", "examples": ["+14155551234", "ext:204"]}

#: (parameters class, field on the wire) -> what its checks ask for; ``*`` stands for every class.
_CONSTRAINTS: dict[tuple[str, str], dict[str, Any]] = {
    ("*", "limit"): {"minimum": 1, "maximum": headers.MAX_PAGE, "default": headers.DEFAULT_PAGE},
    ("CallCreate", "to"): _DESTINATION,
    ("CallTransfer", "to"): _DESTINATION,
    ("*", "to"): _PHONE,
    ("*", "from"): _PHONE,
    ("*", "phone_number"): _PHONE,
    ("*", "timeout"): {"minimum": RING_SECONDS[0], "maximum": RING_SECONDS[1]},
    ("CampaignSpec", "name"): {"minLength": 1, "maxLength": 200},
    ("CampaignSpec", "contacts"): {"minItems": 1, "maxItems": CAMPAIGN_CONTACTS},
    ("*", "country"): {"pattern": "^[A-Z]{2}$"},
    ("*", "area_code"): {"pattern": "^[0-9]{1,15}$"},
    ("*", "contains"): {"pattern": "^[0-9]{1,15}$"},
    ("WebhookCreate", "url"): {"pattern": "^https?://"},
    ("WebhookCreate", "events"): {
        "minItems": 1,
        "maxItems": 50,
        "items": {"type": "string", "enum": sorted({event.value for event in EventType} | set(EVENT_ALIASES))},
    },
}

_RATE_HEADERS = {
    headers.RATE_LIMIT: ("Requests a second the key may make.", {"type": "integer"}),
    headers.RATE_REMAINING: ("How many of them are left.", {"type": "integer"}),
    headers.RATE_RESET: ("When the whole limit is free again, in seconds since the epoch.", {"type": "integer"}),
    headers.REQUEST_ID: ("Name it when you report a problem.", {"type": "string"}),
}

#: (route, field of its answer, operation it leads to): what a generated client or a tester can go on with.
_LINKS = {
    "calls.create": [("id", "calls.retrieve"), ("id", "calls.transfer"), ("id", "transcripts.retrieve")],
    "numbers.provision": [("id", "numbers.update"), ("id", "numbers.release")],
    "webhooks.create": [("id", "webhooks.delete")],
}


def _schemas() -> dict[str, Any]:
    kinds: set[Any] = {TranscriptCompleted, *EVENT_CLASSES.values()}
    for route in ROUTES.values():
        kinds.update(kind for kind in (route.returns, route.body, route.query) if kind not in {None, type(None)})
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, found = msgspec.json.schema_components(ordered, ref_template=_REF)
    classes = {cls.__name__: cls for cls in _subclasses(Model) | _subclasses(Params) | _subclasses(OpenEnum)}
    schemas = {name: _tidy(name, schema, classes.get(name)) for name, schema in found.items()}
    queries = {route.query.__name__ for route in ROUTES.values() if route.query is not None}
    return {name: schema for name, schema in sorted(schemas.items()) if name not in queries} | _envelopes()


def _subclasses(cls: type[Any]) -> set[type[Any]]:
    return {cls}.union(*(_subclasses(sub) for sub in cls.__subclasses__()))


def _tidy(name: str, schema: dict[str, Any], cls: type[Any] | None, *, query: bool = False) -> dict[str, Any]:
    schema = describe(schema, cls)
    if cls is not None and issubclass(cls, Params):
        schema["properties"] = {
            field: _constrain(name, field, inner, query=query) for field, inner in schema["properties"].items()
        }
    return schema


def _constrain(name: str, field: str, schema: dict[str, Any], *, query: bool) -> dict[str, Any]:
    """Add what is checked in code. ``null`` in a body counts as not given; a query cannot hold it."""
    choices = [one for one in schema.get("anyOf", [schema]) if one != {"type": "null"}]
    inner = dict(choices[0]) if len(choices) == 1 else {"anyOf": choices}
    extra = _CONSTRAINTS.get((name, field)) or _CONSTRAINTS.get(("*", field))
    if extra and "$ref" not in inner:
        inner |= extra
    return {"anyOf": [inner, {"type": "null"}]} if "anyOf" in schema and not query else inner


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
        _, schemas = msgspec.json.schema_components([route.query], ref_template=_REF)
        schema = _tidy(route.query.__name__, schemas[route.query.__name__], route.query, query=True)
        for name, inner in schema["properties"].items():
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
                "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
            }
        )
    return found


def _operation(routes: list[Route[Any]]) -> dict[str, Any]:
    route = routes[0]
    success: dict[str, Any] = {"description": "Success.", "headers": _headers()}
    if route.returns is not type(None):
        success["content"] = _body_of(routes)
    if links := _LINKS.get(route.name):
        success["links"] = {
            target: {"operationId": target, "parameters": {"id": f"$response.body#/{field}"}} for field, target in links
        }
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
