"""Storages that do anything, by seed: a recording is one version of its file, whole, or a typed error."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async import AjoxiError
from tests.faults.clients import client_of
from tests.faults.server import Exchange, Received

from .storage import Storage, audio, opened, refuse
from .test_download import OLD, WAYS, becomes, leftovers, partial, settled

pytestmark = pytest.mark.anyio

FILES = [audio(size, seed=size) for size in (30_000, 12_000, 0, 1, 70_000)]


def step_of(rng: random.Random, storage: Storage, versions: list[bytes]) -> Any:
    """One answer, of whatever kind."""
    kind = rng.choice(["cut", "cut", "cut", "passes", "changes", "refused", "part", "reset"])
    if kind == "cut":
        cut, reset = rng.randrange(40_000), rng.random() < 0.3
        return lambda s, exchange, request: s.serve(exchange, request, cut=cut, reset=reset)
    if kind == "passes":
        return refuse(rng.choice([429, 500, 502, 503]), {"Retry-After": "0"})
    if kind == "changes":
        versions.append(rng.choice(FILES))
        return becomes(
            versions[-1], storage.etag and storage.etag.replace("v", f"v{len(versions)}"), rng.randrange(20_000)
        )
    if kind == "refused":
        return refuse(rng.choice([204, 206, 302, 304, 400, 403, 404, 416]))
    if kind == "reset":

        async def reset(s: Storage, exchange: Exchange, request: Received) -> None:
            await exchange.reset()

        return reset
    size, says = rng.randrange(1, 9000), rng.random() < 0.5

    async def part(s: Storage, exchange: Exchange, request: Received) -> None:
        at = int(request.headers.get("range", "bytes=0-")[6:-1])
        if body := s.body[at : at + size]:
            await partial(at, body, len(s.body) if says else "*", s.etag)(s, exchange, request)
        else:
            await s.serve(exchange, request)

    return part


@pytest.mark.parametrize("seed", range(40))
async def test_storms(seed: int, tmp_path: Path) -> None:
    """Whatever a storage does, no two versions are mixed, nothing that is cut looks whole, and nothing is left behind."""
    rng = random.Random(seed)
    etags = ['"v"', '"v"', 'W/"v"', None]
    storage = Storage(rng.choice(FILES[:2]), etag=rng.choice(etags), modified=rng.choice([None, OLD]))
    storage.takes_ranges, storage.chunked = rng.random() < 0.8, rng.random() < 0.2
    storage.cut = rng.choice([None, 5000, 20_000])
    versions = [storage.body]
    storage.script = [step_of(rng, storage, versions) for _ in range(rng.randrange(7))]
    if storage.etag is None:
        storage.modified = None  # a date that stays the same while the file changes would be the server's own lie
    way = rng.choice(WAYS)
    async with opened(storage) as server:
        async with client_of(storage.url, timeout=1) as client:
            given = rng.choice(["rec_1", storage.recording(), storage.recording(size=None)])
            try:
                with anyio.fail_after(10):
                    body = await way(client, given, tmp_path)
            except AjoxiError:
                assert not leftovers(tmp_path)
            else:
                assert body in versions
        await settled(server)
