"""Models as types of pydantic and FastAPI."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated, Any

import anyio
import httpx
import pytest
from fastapi import Body, FastAPI
from pydantic import BaseModel, TypeAdapter, ValidationError

from ajoxi_async import Call, CallCompleted, Event, Recording, Transcript
from ajoxi_async.contract.base import Model
from ajoxi_async.contract.codec import decode, decode_event
from ajoxi_async.contract.openapi import _subclasses

BODY = {
    "id": "call_1",
    "status": "pondering",
    "from": "+14155550100",
    "created_at": "2026-11-23T09:30:00.000Z",
    "metadata": {"team": "blue"},
    "colour": {"deep": [1, None]},
}
WIRE = json.dumps(BODY).encode()


def app() -> FastAPI:
    """An application that hands models on in each way FastAPI knows."""
    app = FastAPI()
    call = decode(WIRE, Call)

    @app.get("/annotated")
    async def annotated() -> Call:
        return call

    @app.get("/many")
    async def many() -> list[Call]:
        return [call, call]

    @app.get("/by-model", response_model=Call)
    async def by_model() -> Any:
        return call

    @app.get("/optional")
    async def optional() -> Call | None:
        return None

    @app.get("/nested")
    async def nested() -> Envelope:
        return Envelope(call=call, others={"a": call})

    @app.get("/event")
    async def event() -> Event:
        return decode_event(b'{"id":"evt_1","type":"call.completed","data":' + WIRE + b"}")

    @app.get("/by-hand")
    async def by_hand() -> dict[str, Any]:
        return call.to_dict()

    @app.post("/taken")
    async def taken(call: Annotated[Call, Body()]) -> str:
        return f"{call.from_} {call.extra}"

    return app


class Envelope(BaseModel):
    """A model of pydantic with ours inside."""

    call: Call
    others: dict[str, Call] = {}


class Web:
    """A client of the application."""

    def __init__(self) -> None:
        self._transport = httpx.ASGITransport(app())

    def get(self, path: str) -> httpx.Response:
        return anyio.run(self._ask, "GET", path, None)

    def post(self, path: str, *, json: Any) -> httpx.Response:
        return anyio.run(self._ask, "POST", path, json)

    async def _ask(self, method: str, path: str, json: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, base_url="http://test") as client:
            return await client.request(method, path, json=json)


@pytest.fixture(scope="module")
def web() -> Web:
    """The application's client."""
    return Web()


@pytest.mark.parametrize("path", ["annotated", "many", "by-model", "optional", "nested", "event", "by-hand"])
def test_fastapi_returns_what_travels(web: Web, path: str) -> None:
    """Wire names, times as the API writes them, unknown fields and values kept."""
    answer = web.get(f"/{path}")
    assert answer.status_code == 200
    got = answer.json()
    expected = {
        "many": [BODY, BODY],
        "optional": None,
        "nested": {"call": BODY, "others": {"a": BODY}},
        "event": {"id": "evt_1", "type": "call.completed", "data": BODY},
    }
    wanted = expected.get(path, BODY)
    if path == "event":
        got = {key: got[key] for key in wanted} | {"data": _without_nothing(got["data"])}
    elif path == "many":
        got = [_without_nothing(one) for one in got]
    elif path == "nested":
        got = {"call": _without_nothing(got["call"]), "others": {"a": _without_nothing(got["others"]["a"])}}
    elif got is not None:
        got = _without_nothing(got)
    assert got == wanted


def _without_nothing(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}


def test_fastapi_takes_what_travels(web: Web) -> None:
    """A body becomes a model; one that is none is a 422 of FastAPI's own."""
    assert web.post("/taken", json=BODY).json() == f"+14155550100 {{'colour': {BODY['colour']}}}"
    for wrong in ({"status": "queued"}, {"id": 5}, [], "call_1"):
        assert web.post("/taken", json=wrong).status_code == 422


def test_the_openapi_page(web: Web) -> None:
    """The page is a valid document, and describes a call with its wire names."""
    from openapi_spec_validator import validate

    document = web.get("/openapi.json").json()
    validate(document)
    schema = document["paths"]["/annotated"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert {"id", "from", "to", "metadata"} <= schema["properties"].keys()
    assert not {"from_", "extra"} & schema["properties"].keys()
    assert schema["required"] == ["id"]
    assert web.get("/docs").status_code == 200


@pytest.mark.parametrize("cls", sorted(_subclasses(Model), key=lambda cls: cls.__name__), ids=lambda cls: cls.__name__)
def test_every_model(cls: Any) -> None:
    """Each has a schema that stands by itself."""
    adapter = TypeAdapter(cls)
    for mode in ("validation", "serialization"):
        assert "$ref" not in str(adapter.json_schema(mode=mode))


def test_a_field_of_a_base_model() -> None:
    """There and back again, from text and from objects."""
    text = Envelope(call=decode(WIRE, Call)).model_dump_json()
    assert Envelope.model_validate_json(text).call == decode(WIRE, Call)
    assert Envelope(call=BODY).call.status == "pondering"  # type: ignore[arg-type]
    assert Envelope(call=BODY).model_dump()["call"]["from"] == "+14155550100"  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="Call"):
        Envelope(call=Recording(id="rec_1"))  # type: ignore[arg-type]
    event = TypeAdapter(Event).validate_python({"id": "evt_1", "type": "call.completed", "data": BODY})
    assert isinstance(event, CallCompleted)
    assert TypeAdapter(Transcript).validate_python({"id": "tr_1", "segments": []}).segments == ()


def test_pydantic_is_no_dependency() -> None:
    """Models do not import it."""
    code = "import sys, ajoxi_async; ajoxi_async.Call(id='x').to_dict(); print('pydantic_core' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert run.stdout == "False\n"
