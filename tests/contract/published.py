"""The published document as a judge of answers."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs
import msgspec

from ajoxi_async.contract import headers
from ajoxi_async.contract.routes import Route
from ajoxi_async.contract.wire import Response

DOCUMENT: dict[str, Any] = json.loads(files("ajoxi_async").joinpath("openapi.json").read_text("utf-8"))


@cache
def _validator(path: str, method: str, status: str) -> Any:
    if path:
        answer = DOCUMENT["paths"][path][method]["responses"][status]
        schema = answer["content"][headers.JSON]["schema"] if "content" in answer else None
    else:
        schema = {"$ref": "#/components/schemas/Error"}
    if schema is None:
        return None
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]}, validate_formats=True)


class Contract:
    """Checks answers and counts them."""

    def __init__(self) -> None:
        self.checked = 0

    def check(self, route: Route[Any] | None, response: Response) -> None:
        """A success by its route, anything else by the error body."""
        if route is None:
            validator = _validator("", "", "")
        else:
            validator = _validator(route.path, route.method.lower(), str(response.status))
        self.checked += 1
        assert headers.REQUEST_ID in response.headers
        if validator is None:
            assert response.body == b""
        else:
            validator.validate(msgspec.json.decode(response.body))
