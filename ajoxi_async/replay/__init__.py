"""Recording what the API answers, and replaying it without the API.

    async with AsyncAjoxi(key, transport=Recorder("calls.json")) as client: ...
    async with AsyncAjoxi("AJX_TEST_replayed", transport=Replayer("calls.json")) as client: ...

Both are transports (`contract.wire.Transport`), so that everything above them is the client itself: the limiter, retries,
streams that resume. The file is JSON, with API keys, webhook secrets and phone numbers masked. Nothing here needs pytest; its
fixture is in `ajoxi_async.testing`.
"""

from __future__ import annotations

from ajoxi_async.protocol.errors import ReplayError
from ajoxi_async.replay.recorder import Recorder
from ajoxi_async.replay.replayer import Replayer

__all__ = ["Recorder", "ReplayError", "Replayer"]
