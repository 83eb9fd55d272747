"""Recordings of tests: where they lie, and whether a run replays or records them.

Rules:
1. A test's recording is ``cassettes/<module>/<test>.json`` beside the module; ``pytest.mark.ajoxi_cassette("name.json")`` names
   another, relative to ``cassettes``. The parameters of a test are part of the name, quoted as in a URL, so that no two tests share
   a recording unasked.
2. ``--ajoxi-record=none``, the default, replays and sends nothing; ``new`` records what has no recording yet; ``all`` records
   everything again. Recording uses ``AJOXI_API_KEY`` and ``AJOXI_BASE_URL``.
3. A test that fails, is interrupted, or has asked nothing, leaves no recording, so that a broken one is not replayed afterwards.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from ajoxi_async.client import AsyncAjoxi
    from ajoxi_async.replay import Recorder, Replayer

__all__ = ["Cassette", "open_cassette"]


class Cassette:
    """The recording of one test. Made by the fixture ``ajoxi_cassette``.

    Attributes:
        transport: to be given to a client.
        api_key: to be given to a client: the real one while recording.
        base_url: of the API.
        recording: whether this run records.
        path: of the file.
    """

    def __init__(self, path: Path, *, recording: bool, speed: float = 1.0) -> None:
        from ajoxi_async.replay import Recorder, Replayer

        self.path, self.recording = path, recording
        self._beside = path.with_name(f"{path.name}.recording")
        self.transport: Recorder | Replayer
        if recording:
            self.api_key = os.environ.get("AJOXI_API_KEY", "")
            if not self.api_key:
                raise pytest.UsageError("--ajoxi-record: set AJOXI_API_KEY to a test key, with which the API is asked")
            self.transport = Recorder(self._beside)
        else:
            self.api_key = "AJX_TEST_replayed"
            self.transport = Replayer(path, speed=speed)
        self.base_url = os.environ.get("AJOXI_BASE_URL", "https://api.ajoxi.com")

    def finish(self, *, passed: bool) -> None:
        """Keep what was recorded if the test has passed."""
        from ajoxi_async.replay import Recorder

        if not isinstance(self.transport, Recorder):
            return
        if passed and self.transport.recorded:
            self.transport.save()
            self._beside.replace(self.path)
        self._beside.unlink(missing_ok=True)

    def client(self, **settings: Any) -> AsyncAjoxi:
        """A client that is recorded or replayed. Close it, or use it in ``async with``."""
        from ajoxi_async.client import AsyncAjoxi

        return AsyncAjoxi(self.api_key, base_url=self.base_url, transport=self.transport, **settings)


def _path_of(request: pytest.FixtureRequest, named: str | None) -> Path:
    module = Path(request.node.path)
    folder = module.parent / "cassettes"
    if named is not None:
        return folder / named
    test, _, parameters = request.node.nodeid.partition("::")[2].partition("[")
    name = test.replace("::", "-") + (f"-{quote(parameters.removesuffix(']'), safe='')}" if parameters else "")
    return folder / module.stem / f"{name}.json"


def open_cassette(request: pytest.FixtureRequest) -> Cassette:
    """The recording of a test, by its marker and the options of the run.

    Raises:
        pytest.UsageError: there is no recording, or the marker is wrong.
    """
    from ajoxi_async.protocol.errors import ConfigurationError

    mark = request.node.get_closest_marker("ajoxi_cassette")
    args, kwargs = (mark.args, dict(mark.kwargs)) if mark is not None else ((), {})
    speed = kwargs.pop("speed", 1.0)
    if kwargs or len(args) > 1 or not all(isinstance(name, str) for name in args):
        raise pytest.UsageError("pytest.mark.ajoxi_cassette takes a file name, and speed=")
    path = _path_of(request, args[0] if args else None)
    mode = request.config.getoption("ajoxi_record")
    recording = mode == "all" or (mode == "new" and not path.exists())
    if not recording and not path.exists():
        raise pytest.UsageError(f"there is no recording {path}; make it with --ajoxi-record=new and AJOXI_API_KEY")
    try:
        return Cassette(path, recording=recording, speed=speed)
    except ConfigurationError as error:
        raise pytest.UsageError(f"ajoxi_cassette: {error}") from None
