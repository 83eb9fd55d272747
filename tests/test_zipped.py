"""The package in a zip file, as zipapp and frozen applications have it: no directory, no metadata, no entry points."""

from __future__ import annotations

import os
import subprocess
import sys
import zipapp
import zipfile
from pathlib import Path

import pytest

import ajoxi_async

PACKAGE = Path(ajoxi_async.__file__).parent

TOUR = """
import sys
from importlib import metadata
from importlib.resources import files

def no_metadata(name):
    if name == "ajoxi-async":
        raise metadata.PackageNotFoundError(name)
    return found(name)

found, metadata.version = metadata.version, no_metadata

import anyio, json
import ajoxi_async
from ajoxi_async import *
import ajoxi_async.limits.redis, ajoxi_async.cli, ajoxi_async.testing, ajoxi_async.otel as otel
import ajoxi_async.webhooks.aiohttp, ajoxi_async.webhooks.asgi

async def main():
    async with Sandbox(port=None if sys.argv[1] == "trio" else 0) as sandbox:
        transport = {"transport": sandbox.transport()} if sys.argv[1] == "trio" else {"base_url": sandbox.base_url}
        async with AsyncAjoxi(sandbox.api_key, **transport) as client:
            call = await client.calls.create(to="+14155551234", from_="+14155550100")
            assert (await client.calls.retrieve(call.id)).id == call.id
            assert client._pipeline.headers["User-Agent"].startswith("ajoxi-async/0.")
            try:
                async with client.events("GET", "/openapi.json"):
                    raise AssertionError
            except APIResponseValidationError as error:
                assert error.status_code == 200

anyio.run(main, backend=sys.argv[1])
for name in ("limits/schedule.lua", "openapi.json", "py.typed"):
    assert files("ajoxi_async").joinpath(name).is_file(), name
assert json.loads(files("ajoxi_async").joinpath("openapi.json").read_text("utf-8"))["openapi"] == "3.1.0"
print(ajoxi_async.__file__)
"""


def _zip(to: Path, main: str | None = None) -> Path:
    with zipfile.ZipFile(to, "w") as archive:
        for file in sorted(PACKAGE.rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                archive.write(file, Path("ajoxi_async", file.relative_to(PACKAGE)))
        if main is not None:
            archive.writestr("__main__.py", main)
    return to


def _run(*arguments: str, path: Path | None = None, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        env=env,
        cwd=cwd,
    )


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_imported_from_a_zip(tmp_path: Path, backend: str) -> None:
    """Client, sandbox and every file of the package are found, and the version without metadata."""
    archive = _zip(tmp_path / "ajoxi.zip")
    run = _run("-c", TOUR, backend, path=archive, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(str(archive))


def test_commands_from_a_zip(tmp_path: Path) -> None:
    """The command runs from a zip on the path, and as an application of zipapp's."""
    archive = _zip(tmp_path / "ajoxi.zip")
    assert (
        _run("-m", "ajoxi_async", "--version", path=archive, cwd=tmp_path).stdout
        == f"ajoxi-async {ajoxi_async.__version__}\n"
    )
    application = tmp_path / "ajoxi.pyz"
    zipapp.create_archive(
        _zip(tmp_path / "with_main.zip", "import sys\nfrom ajoxi_async.cli import main\nsys.exit(main())\n"),
        application,
    )
    run = _run(str(application), "openapi", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout == (PACKAGE / "openapi.json").read_text("utf-8")


def test_the_plugin_from_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pytest plugin is loaded by its name where there is no entry point."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.anyio\nasync def test_it(ajoxi_client):\n    assert not (await ajoxi_client.calls.list()).data\n"
    )
    # Nothing is found by entry points, which also saves the import of the plugins of others.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plugins = ("-p", "ajoxi_async.testing", "-p", "anyio.pytest_plugin")
    run = _run("-m", "pytest", "-q", *plugins, path=_zip(tmp_path / "ajoxi.zip"), cwd=tmp_path)
    assert "2 passed" in run.stdout, run.stdout + run.stderr


FROZEN = """
import sys
from ajoxi_async.cli import main
import ajoxi_async.limits.redis
from importlib.resources import files

files("ajoxi_async.limits").joinpath("schedule.lua").read_text("utf-8")
assert "site-packages" not in ajoxi_async.__file__
sys.exit(main())
"""


#: What the package can be used with, and what that brings along. PyInstaller would read all of it, which takes minutes.
OTHERS = (
    "IPython celery dbos django fastapi flask gevent hypothesis keyring litestar mcp numpy opentelemetry pandas phonenumbers playwright"
    " polars pydantic pytest quart sqlalchemy starlette temporalio trio uvicorn uvloop"
)


@pytest.mark.timeout(300)
def test_frozen_by_pyinstaller(tmp_path: Path) -> None:
    """PyInstaller finds what the package brings for it: every module, and the files."""
    pytest.importorskip("PyInstaller", reason="takes half a minute; run by `make test-frozen`")
    (tmp_path / "ajoxi_app.py").write_text(FROZEN)
    built = _run(
        "-W", "default", "-m", "PyInstaller", "--log-level", "ERROR", "--additional-hooks-dir", str(PACKAGE / "_pyinstaller"),
        *(part for name in OTHERS.split() for part in ("--exclude-module", name)), "ajoxi_app.py", path=PACKAGE.parent, cwd=tmp_path,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    for arguments, sign in ((["--version"], "ajoxi-async 0."), (["openapi"], '"openapi": "3.1.0"')):
        run = subprocess.run(
            [tmp_path / "dist/ajoxi_app/ajoxi_app", *arguments], capture_output=True, text=True, timeout=30, check=False
        )
        assert run.returncode == 0, run.stderr
        assert sign in run.stdout
