"""The sandbox against what schemathesis makes of the published document, links from answer to request included."""

from __future__ import annotations

import sys

import anyio
import pytest

from ajoxi_async import Sandbox

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
    "unsupported_method",
]


@pytest.mark.asyncio
@pytest.mark.timeout(120)
async def test_nothing_it_can_think_of_surprises() -> None:
    """Examples, edges, random and stateful requests, valid and not, are answered as the document says.

    Left out is "valid data is accepted": what is valid by its shape can be refused for what it means, with 422.
    """
    async with Sandbox(rate_limit=None) as sandbox:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{sandbox.base_url}/openapi.json"]
        command += ["--url", sandbox.base_url, "--header", f"Authorization: Bearer {sandbox.api_key}"]
        command += ["--checks", ",".join(CHECKS), "--max-examples", "25", "--generation-deterministic", "--no-color"]
        ran = await anyio.run_process(command, check=False)
    shown = ran.stdout.decode()
    assert ran.returncode == 0, shown[-6000:] + ran.stderr.decode()[-2000:]
    assert "Stateful" in shown
