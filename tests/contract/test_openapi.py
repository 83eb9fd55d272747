"""The published document: as generated, valid, and good for clients in other languages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from ajoxi_async import Sandbox
from ajoxi_async.cli import main
from ajoxi_async.contract import openapi
from ajoxi_async.contract.routes import ROUTES

from .published import DOCUMENT

SHIPPED = files("ajoxi_async").joinpath("openapi.json").read_text("utf-8")


@pytest.mark.skipif(sys.flags.optimize > 1, reason="descriptions are docstrings, which -OO takes away")
def test_it_is_what_is_generated() -> None:
    """The file that ships is made from the code as it stands: python -m ajoxi_async.contract.openapi."""
    assert openapi.text() == SHIPPED


def test_it_is_valid() -> None:
    """OpenAPI 3.1 has nothing to say against it."""
    from openapi_spec_validator import validate

    validate(DOCUMENT)


def test_every_route_and_event_is_in_it() -> None:
    """Each route is an operation, and each event a webhook."""
    operations = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}
    assert operations == {(route.path, route.method.lower()) for route in ROUTES.values()}
    assert len(DOCUMENT["webhooks"]) == 7


def test_names_are_those_of_the_wire() -> None:
    """No schema shows a name of Python, and what a request may not hold is not in it."""
    schemas = DOCUMENT["components"]["schemas"]
    assert {"from", "timeout"} <= schemas["CallCreate"]["properties"].keys()
    assert not {"from_", "ring_timeout", "extra"} & schemas["CallCreate"]["properties"].keys()
    assert schemas["CallCreate"]["required"] == ["to", "from"]
    assert schemas["CallCreate"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Call"]
    assert "extra" not in schemas["Call"]["properties"]


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    """``ajoxi openapi`` prints the document."""
    assert main(["openapi"]) == 0
    assert capsys.readouterr().out == SHIPPED


@pytest.mark.asyncio
async def test_the_sandbox_serves_it() -> None:
    """The sandbox answers /openapi.json, without a key."""
    async with Sandbox() as sandbox, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{sandbox.base_url}/openapi.json")
    assert answer.json() == DOCUMENT
    assert answer.headers["content-type"] == "application/json"


PACKAGES = ["openapi-typescript@7", "openapi-fetch@0.13", "typescript@5"]
PROGRAM = """
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

declare const process: { argv: string[]; exit(code: number): never };
const client = createClient<paths>({
  baseUrl: process.argv[2],
  headers: { Authorization: `Bearer ${process.argv[3]}` },
});
const { data, error } = await client.POST("/v1/calls", {
  body: { to: "+14155551234", from: "+14155550100", ai_receptionist: true },
});
if (error || !data) {
  console.error(JSON.stringify(error));
  process.exit(1);
}
const read = await client.GET("/v1/calls/{id}", { params: { path: { id: data.id } } });
console.log(JSON.stringify(read.data));
"""


def _npm(tmp_path: Path, cache: Path, missing: Callable[[str], None]) -> None:
    """Install the packages, once a machine: the folder is kept beside the temporary ones."""
    if not (cache / "node_modules" / "openapi-fetch").exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(cache), *PACKAGES]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        if ran.returncode:
            shutil.rmtree(cache, ignore_errors=True)
            missing(f"a registry of npm packages: {ran.stderr[-300:]}")
    (tmp_path / "node_modules").symlink_to(cache / "node_modules")


@pytest.mark.asyncio
@pytest.mark.timeout(300)
async def test_a_generated_typescript_client_places_a_call(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], None]
) -> None:
    """openapi-typescript and openapi-fetch make a typed client out of it that places a call on the sandbox."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("node and npm, 20 or newer: apt-get install nodejs npm")
        return
    cache = tmp_path_factory.getbasetemp().parent / "ajoxi-npm"
    await anyio.to_thread.run_sync(_npm, tmp_path, cache, missing)
    (tmp_path / "openapi.json").write_text(SHIPPED)
    (tmp_path / "main.mts").write_text(PROGRAM)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    tools = tmp_path / "node_modules" / ".bin"
    await anyio.run_process([str(tools / "openapi-typescript"), "openapi.json", "-o", "api.ts"], cwd=tmp_path)
    options = ["--target", "es2022", "--module", "nodenext", "--strict", "--skipLibCheck", "--lib", "es2022,dom"]
    compiled = await anyio.run_process([str(tools / "tsc"), *options, "main.mts"], cwd=tmp_path, check=False)
    assert compiled.returncode == 0, compiled.stdout.decode()
    async with Sandbox() as sandbox:
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        command = ["node", "main.mjs", sandbox.base_url, sandbox.api_key]
        ran = await anyio.run_process(command, cwd=tmp_path, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    call: dict[str, Any] = json.loads(ran.stdout)
    assert call["to"] == "+14155551234"
