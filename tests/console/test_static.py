"""The console's files: what is served, as what, and that nothing else is."""

from __future__ import annotations

import gzip

import pytest

from ajoxi_async.sandbox.console import static_files

from .page import opened


@pytest.mark.asyncio
async def test_every_page_is_the_shell() -> None:
    """Each address of a page is answered with the shell, whatever its world and the rest; the link without the slash leads to it."""
    async with opened() as page:
        _, _, shell = await page.raw("GET", "console/")
        assert shell.startswith(b"<!doctype html>")
        for path in ("main/", "main", "main/calls/call_1?tab=json", "key_4cc79230e0b8/deliveries"):
            assert (await page.raw("GET", f"console/{path}"))[::2] == (200, shell)
        status, headers, _ = await page.raw("GET", "console")
        assert (status, headers["Location"]) == (308, "/_ajoxi/console/")
        assert (await page.raw("HEAD", "console/"))[0] == 200
        for path in ("other/", "AJX_TEST_1/calls", "mainly/", "static", "consoles/"):
            assert (await page.ask("GET", f"console/{path}"))[0] in {401, 404}


@pytest.mark.asyncio
async def test_no_path_leads_out() -> None:
    """A name that is not one of the files is not found, however it is written."""
    async with opened() as page:
        for name in (
            "../console.py", "..%2fconsole.py", "%2e%2e/console.py", "/etc/passwd", "//etc/passwd", "index.html/", "", "index.html%00",
            "./index.html", "INDEX.HTML",
        ):  # fmt: skip
            url = f"{page.sandbox.base_url}/_ajoxi/console/static/{name}"
            from yarl import URL

            async with page.session.get(URL(url, encoded=True)) as response:
                assert response.status in {401, 404}


@pytest.mark.asyncio
async def test_types_tags_and_compression() -> None:
    """Each file has its type, is compressed for those who take that, and is not sent again to those who have it."""
    async with opened() as page:
        for name, file in static_files.read_all().items():
            status, headers, body = await page.raw(
                "GET", f"console/static/{name}", None, {"Accept-Encoding": "identity"}
            )
            assert (status, headers["Content-Type"], body) == (200, file.type, file.body)
            assert "Content-Encoding" not in headers
            assert headers["Cache-Control"] == "no-cache"
            status, again, body = await page.raw(
                "GET", f"console/static/{name}", None, {"If-None-Match": headers["ETag"]}
            )
            assert (status, body) == (304, b"")
            assert again["ETag"] == headers["ETag"]
        _, headers, body = await page.raw("GET", "console/static/index.html", None, {"Accept-Encoding": "gzip"})
        assert headers["Content-Encoding"] == "gzip"
        assert headers["Vary"] == "Accept-Encoding"


def test_compressed_files_are_the_same() -> None:
    """What is sent compressed unfolds to the file, and only kinds of files that are meant to be served are."""
    for name, file in static_files.read_all().items():
        assert gzip.decompress(file.compressed) == file.body
        assert not name.endswith((".py", ".md", "README", ".txt"))
