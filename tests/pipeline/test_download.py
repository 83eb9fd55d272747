"""Recordings over connections that break: what is had is the file, whole, or a typed error."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async import (
    APIConnectionError,
    APIResponseValidationError,
    APITimeoutError,
    AsyncAjoxi,
    DownloadError,
    InternalServerError,
    NotFoundError,
    RetryPolicy,
)
from tests.faults.clients import client_of, outcome_of
from tests.faults.server import Exchange, FaultServer, Received, answer

from .storage import Storage, audio, opened, refuse

pytestmark = pytest.mark.anyio

KIB = 1024
OLD = "Wed, 01 Jan 2025 00:00:00 GMT"


async def into_memory(client: AsyncAjoxi, recording: Any, folder: Path, **options: Any) -> bytes:
    return await client.recordings.download(recording, **options)


async def into_a_file(client: AsyncAjoxi, recording: Any, folder: Path, **options: Any) -> bytes:
    size = await client.recordings.download_to(recording, folder / "a.wav", **options)
    body = (folder / "a.wav").read_bytes()
    assert len(body) == size
    return body


async def as_it_comes(client: AsyncAjoxi, recording: Any, folder: Path, **options: Any) -> bytes:
    body = b""
    async with client.recordings.stream(recording, **options) as audio:
        async for chunk in audio:
            body += chunk
            assert audio.position == len(body)
    return body


Way = Callable[..., Awaitable[bytes]]
WAYS = [into_memory, into_a_file, as_it_comes]
BEGIN_ANEW = [into_memory, into_a_file]
every_way = pytest.mark.parametrize("way", WAYS)
that_begin_anew = pytest.mark.parametrize("way", BEGIN_ANEW)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def of(storage: Storage, **settings: Any) -> AsyncAjoxi:
    """A client whose API is the storage's server by default."""
    return client_of(storage.url, **settings)


# Cuts.


@every_way
async def test_cut_again_and_again(way: Way, tmp_path: Path) -> None:
    """Cuts that are followed by progress exhaust neither the retries nor their quota; a 503 in between neither."""
    storage = Storage(audio(8 * KIB * KIB), cut=256 * KIB)

    async def unavailable(storage: Storage, exchange: Exchange, request: Received) -> None:
        await refuse(503, {"Retry-After": "0"})(storage, exchange, request)

    storage.script = [Storage.serve] * 9 + [unavailable]
    async with opened(storage):
        policy = RetryPolicy(max_retries=2, base=0.001, cap=0.002, quota=4)
        async with of(storage, retry=policy) as client:
            body = await way(client, "rec_1", tmp_path)
            assert hashlib.sha256(body).digest() == hashlib.sha256(storage.body).digest()
            assert client._pipeline.quota.left == 4
    assert len(storage.requests) == 33
    assert storage.ranges[:3] == [None, "bytes=262144-", "bytes=524288-"]
    assert {request.headers.get("if-range") for request in storage.requests[1:]} == {'"v1"'}


@every_way
async def test_a_connection_that_was_worth_it_is_followed_at_once(way: Way, tmp_path: Path) -> None:
    """After a MiB or more there is no backoff: a large file is not slowed down by every cut."""
    storage = Storage(audio(7_000_000), cut=1_500_000)
    async with opened(storage), of(storage, retry=RetryPolicy(base=300.0, cap=300.0)) as client:
        with anyio.fail_after(5):
            assert await way(client, storage.recording(), tmp_path) == storage.body


@every_way
async def test_no_progress_is_given_up(way: Way, tmp_path: Path) -> None:
    """Attempts that bring nothing new are counted as a GET's are, and no partial file stays."""
    storage = Storage(audio(100), script=[lambda s, e, r: s.serve(e, r, cut=40), *[refuse(503)] * 9])
    async with opened(storage), of(storage) as client:
        error = await outcome_of(way(client, storage.recording(), tmp_path))
    assert isinstance(error, InternalServerError)
    assert len(storage.requests) == 3
    assert not leftovers(tmp_path)


@every_way
async def test_without_retries_a_cut_is_the_end(way: Way, tmp_path: Path) -> None:
    """`max_retries=0` holds for a body that is cut as well."""
    storage = Storage(audio(100), cut=40)
    async with opened(storage), of(storage, retries=0) as client:
        assert isinstance(await outcome_of(way(client, storage.recording(), tmp_path)), APIConnectionError)
    assert len(storage.requests) == 1


@every_way
async def test_resets(way: Way, tmp_path: Path) -> None:
    """A connection that is reset within the body, which may lose what had arrived, is followed by one that goes on."""
    storage = Storage(audio(900_000), script=[lambda s, e, r: s.serve(e, r, cut=300_000, reset=True)] * 2)
    async with opened(storage), of(storage) as client:
        assert await way(client, "rec_1", tmp_path) == storage.body


@every_way
async def test_a_server_that_falls_silent(way: Way, tmp_path: Path) -> None:
    """The client's timeout bounds each wait for bytes: a silent connection is given up, and the next one goes on."""
    storage = Storage(audio(100_000))

    async def silent(storage: Storage, exchange: Exchange, request: Received) -> None:
        head = answer(200, storage.body[:50_000], {"ETag": '"v1"'}, length=100_000)
        await exchange.send(head)
        await exchange.stall()

    storage.script = [silent]
    async with opened(storage), of(storage, timeout=0.2) as client:
        assert await way(client, storage.recording(), tmp_path) == storage.body
    assert storage.ranges == [None, "bytes=50000-"]


@every_way
async def test_slow_bodies_are_no_failure(way: Way, tmp_path: Path) -> None:
    """The client's timeout does not bound the body as a whole."""
    storage = Storage(audio(5000))

    async def slow(storage: Storage, exchange: Exchange, request: Received) -> None:
        await exchange.send(answer(200, storage.body[:1000], {"ETag": '"v1"'}, length=5000))
        for at in range(1000, 5000, 1000):
            await anyio.sleep(0.1)
            await exchange.send(storage.body[at : at + 1000])

    storage.script = [slow]
    async with opened(storage), of(storage, timeout=0.25, retries=0) as client:
        assert await way(client, storage.recording(), tmp_path) == storage.body


@every_way
async def test_a_calls_own_timeout_bounds_the_whole(way: Way, tmp_path: Path) -> None:
    """However much progress there is, a call's own timeout ends it, and leaves neither file nor connection."""
    storage = Storage(audio(10_000))

    async def trickle(storage: Storage, exchange: Exchange, request: Received) -> None:
        await exchange.send(answer(200, storage.body[:1], {"ETag": '"v1"'}, length=10_000))
        for at in range(1, 10_000):
            await exchange.send(storage.body[at : at + 1])
            await anyio.sleep(0.02)

    storage.script = [trickle]
    async with opened(storage) as server, of(storage) as client:
        with anyio.fail_after(2):
            error = await outcome_of(way(client, storage.recording(), tmp_path, timeout=0.2))
        assert isinstance(error, APITimeoutError)
        await settled(server)
    assert not leftovers(tmp_path)


async def settled(server: FaultServer) -> None:
    with anyio.fail_after(2):
        while server.open_connections:
            await anyio.sleep(0.01)


@every_way
async def test_an_error_that_never_ends(way: Way, tmp_path: Path) -> None:
    """The body of an error is read for a while and up to a bound, whatever it goes on to say."""
    storage = Storage(audio(100))

    async def endless(storage: Storage, exchange: Exchange, request: Received) -> None:
        await exchange.send(answer(404, b"no ", length=10**9))
        while True:
            await exchange.send(b"no ")
            await anyio.sleep(0.05)

    async def flood(storage: Storage, exchange: Exchange, request: Received) -> None:
        await exchange.send(answer(404, b"", length=10**9))
        while True:
            await exchange.send(b"no " * 10_000)

    async with opened(storage):
        for step, timeout in ((endless, 0.3), (flood, 30)):
            storage.script = [step]
            async with of(storage, timeout=timeout) as client:
                with anyio.fail_after(3):
                    assert isinstance(await outcome_of(way(client, "rec_1", tmp_path)), NotFoundError)


# Which version of the file.


@that_begin_anew
@pytest.mark.parametrize("etag", ['W/"v1"', None, "v1"], ids=["weak", "none", "malformed"])
async def test_without_a_validator_it_begins_anew(way: Way, etag: str | None, tmp_path: Path) -> None:
    """What no strong validator names is fetched from the first byte again, never pieced together."""
    storage = Storage(audio(9000), etag=etag, script=[lambda s, e, r: s.serve(e, r, cut=4000)])
    async with opened(storage), of(storage) as client:
        assert await way(client, storage.recording(), tmp_path) == storage.body
    assert storage.ranges == [None, None]


@pytest.mark.parametrize("etag", ['W/"v1"', None])
async def test_a_stream_without_a_validator_fails(etag: str | None, tmp_path: Path) -> None:
    """A stream cannot start again, because its reader has had the beginning."""
    storage = Storage(audio(9000), etag=etag, cut=4000)
    async with opened(storage), of(storage) as client:
        error = await outcome_of(as_it_comes(client, storage.recording(), tmp_path))
    assert type(error) is DownloadError
    assert (error.received, error.total) == (4000, 9000)
    assert len(storage.requests) == 1


@every_way
@pytest.mark.parametrize("etag", ['W/"v1"', None])
async def test_last_modified_is_a_validator(way: Way, etag: str | None, tmp_path: Path) -> None:
    """Without a strong ETag, If-Range carries a Last-Modified that is older than the answer."""
    storage = Storage(audio(9000), etag=etag, modified=OLD, script=[lambda s, e, r: s.serve(e, r, cut=4000)])
    async with opened(storage), of(storage) as client:
        assert await way(client, storage.recording(), tmp_path) == storage.body
    assert storage.requests[1].headers["if-range"] == OLD


def becomes(body: bytes, etag: str | None, cut: int = 4000) -> Callable[..., Any]:
    """Cut the file, and put another one in its place."""

    async def step(storage: Storage, exchange: Exchange, request: Received) -> None:
        await storage.serve(exchange, request, cut=cut)
        storage.body, storage.etag = body, etag

    return step


@that_begin_anew
@pytest.mark.parametrize("size", [9000, 12_000, 3000, 1, 0])
async def test_a_file_that_changes_begins_anew(way: Way, size: int, tmp_path: Path) -> None:
    """Another file under the same URL is fetched whole, shorter than what had come or not; no byte of the first stays."""
    storage = Storage(audio(9000), script=[becomes(audio(size, seed=2), '"v2"')])
    async with opened(storage), of(storage) as client:
        body = await way(client, storage.recording(size=None), tmp_path)
    assert body == storage.body
    assert len(body) == size


@pytest.mark.parametrize("size", [0, 1, 1_200_000, 2_500_000, 4_000_000])
async def test_a_file_that_was_written_in_part_begins_anew(size: int, tmp_path: Path) -> None:
    """What was on the disk already is overwritten, and nothing of it stays at the end."""
    storage = Storage(audio(5_000_000), script=[becomes(audio(size, seed=2), '"v2"', cut=3_000_000)])
    async with opened(storage), of(storage) as client:
        assert await into_a_file(client, storage.recording(size=None), tmp_path) == storage.body


async def test_a_stream_of_a_file_that_changes_fails(tmp_path: Path) -> None:
    """A stream never mixes two files."""
    storage = Storage(audio(9000), script=[becomes(audio(9000, seed=2), '"v2"')])
    async with opened(storage), of(storage) as client:
        error = await outcome_of(as_it_comes(client, storage.recording(), tmp_path))
    assert type(error) is DownloadError
    assert error.received == 4000


def partial(start: int, body: bytes, total: int | str, etag: str | None = '"v1"', more: Any = {}) -> Callable[..., Any]:
    """A 206 that says what it likes."""

    async def step(storage: Storage, exchange: Exchange, request: Received) -> None:
        tag = {"ETag": etag} if etag else {}
        shown = f"bytes {start}-{start + len(body) - 1}/{total}"
        await exchange.send(answer(206, body, {"Content-Range": shown, **tag, **more}))

    return step


@every_way
@pytest.mark.parametrize(
    "wrong",
    [
        partial(0, audio(9000), 9000),
        partial(3999, audio(5001), 9000),
        partial(4001, audio(4999), 9000),
        partial(4000, audio(5000), 4500),
        refuse(206, {}, audio(5000)),
        refuse(206, {"Content-Range": "bytes 4000-3000/9000"}, b""),
        refuse(206, {"Content-Range": "lines 4000-8999/9000"}, audio(5000)),
        refuse(206, {"Content-Type": "multipart/byteranges; boundary=x"}, b"--x--"),
        refuse(206, {"Content-Range": "bytes 4000-4009/9000"}, audio(5000)),
        refuse(204, {}, b""),
        refuse(202, {}, b"later"),
    ],
    ids=range(11),
)
async def test_answers_that_cannot_be(way: Way, wrong: Any, tmp_path: Path) -> None:
    """A 206 that does not begin where the download stands, and a 2xx that is none, are errors and leave nothing."""
    storage = Storage(audio(9000), script=[lambda s, e, r: s.serve(e, r, cut=4000), wrong])
    async with opened(storage), of(storage) as client:
        error = await outcome_of(way(client, storage.recording(), tmp_path))
    assert type(error) is APIResponseValidationError
    assert not leftovers(tmp_path)


@pytest.mark.parametrize(
    "other",
    [partial(4000, audio(5000), 9000, '"v2"'), partial(4000, audio(6000), 10_000, '"v1"')],
    ids=["another ETag", "another length"],
)
async def test_a_server_that_does_not_obey_if_range(other: Any, tmp_path: Path) -> None:
    """A part of another file is noticed although the answer looks right: a download starts again, a stream fails."""
    for way in WAYS:
        storage = Storage(audio(9000), script=[lambda s, e, r: s.serve(e, r, cut=4000), other])
        async with opened(storage), of(storage) as client:
            ended = await outcome_of(way(client, storage.recording(size=None), tmp_path))
        if way is as_it_comes:
            assert type(ended) is DownloadError
        else:
            assert ended is None
            assert storage.ranges == [None, "bytes=4000-", None]


async def test_two_files_by_turns(tmp_path: Path) -> None:
    """Servers behind one URL that have two different files end the download with an error, and not an endless loop."""
    first, second = audio(9000), audio(9000, seed=2)
    storage = Storage(first)

    async def in_turn(storage: Storage, exchange: Exchange, request: Received) -> None:
        await storage.serve(exchange, request, cut=4000)
        storage.etag = '"v2"' if storage.etag == '"v1"' else '"v1"'
        storage.body = second if storage.body is first else first

    storage.script = [in_turn] * 50
    async with opened(storage), of(storage) as client:
        error = await outcome_of(into_a_file(client, storage.recording(), tmp_path))
    assert isinstance(error, APIConnectionError | DownloadError)
    assert len(storage.requests) < 10
    assert not leftovers(tmp_path)


@every_way
async def test_a_server_that_ignores_ranges(way: Way, tmp_path: Path) -> None:
    """The whole file in answer to a Range: what is in hand is dropped from it, once ETag and length say it is the same."""
    storage = Storage(audio(300_000), takes_ranges=False, script=[lambda s, e, r: s.serve(e, r, cut=123_457)])
    async with opened(storage), of(storage) as client:
        assert await way(client, storage.recording(), tmp_path) == storage.body


@every_way
async def test_a_server_that_ignores_ranges_and_cuts(way: Way, tmp_path: Path) -> None:
    """Cuts that never get further than before are given up after as many retries as a GET has."""
    storage = Storage(audio(300_000), takes_ranges=False, cut=100_000)
    async with opened(storage), of(storage) as client:
        assert isinstance(await outcome_of(way(client, storage.recording(), tmp_path)), APIConnectionError)
    assert len(storage.requests) == 3


@every_way
async def test_a_server_that_gives_parts(way: Way, tmp_path: Path) -> None:
    """A server may give less than was asked for: the rest is asked for at once, and no retry is spent."""
    body = audio(9000)
    storage = Storage(body, script=[partial(at, body[at : at + 3000], 9000) for at in (0, 3000, 6000)])
    async with opened(storage), of(storage, retries=0) as client:
        assert await way(client, storage.recording(), tmp_path) == body
    assert storage.ranges == [None, "bytes=3000-", "bytes=6000-"]


@every_way
async def test_a_whole_of_unknown_length(way: Way, tmp_path: Path) -> None:
    """Parts that do not say how long the whole is end with a 416 that does."""
    body = audio(6000)
    storage = Storage(body, script=[partial(at, body[at : at + 3000], "*") for at in (0, 3000)])
    async with opened(storage), of(storage) as client:
        assert await way(client, storage.recording(size=None), tmp_path) == body
    assert storage.ranges[-1] == "bytes=6000-"


@that_begin_anew
@pytest.mark.parametrize("said", ["bytes */3000", "bytes */4000", "bytes */*", None])
async def test_a_416_in_the_middle(way: Way, said: str | None, tmp_path: Path) -> None:
    """A 416 for a place that should be there is another file: it is fetched from its first byte."""
    refusal = refuse(416, {"Content-Range": said} if said else {}, b"")
    storage = Storage(audio(9000), script=[lambda s, e, r: s.serve(e, r, cut=4000), refusal])
    async with opened(storage), of(storage) as client:
        assert await way(client, storage.recording(), tmp_path) == storage.body


# Lengths.


@every_way
@pytest.mark.parametrize("size", [0, 1, 44, 150_000])
async def test_chunked_bodies(way: Way, size: int, tmp_path: Path) -> None:
    """A chunked body ends only with its terminator: one that was cut between two chunks is fetched again."""
    storage = Storage(audio(size), chunked=True, etag=None)
    if size > 100_000 and way is not as_it_comes:
        storage.script = [lambda s, e, r: s.serve(e, r, cut=100_000)]
    async with opened(storage), of(storage) as client:
        assert await way(client, storage.recording(size=None), tmp_path) == storage.body


async def test_a_chunked_stream_that_is_cut(tmp_path: Path) -> None:
    """A chunked body that is cut between two chunks does not look whole."""
    storage = Storage(audio(150_000), chunked=True, etag=None, cut=100_000)
    async with opened(storage), of(storage) as client:
        error = await outcome_of(as_it_comes(client, storage.recording(size=None), tmp_path))
    assert type(error) is DownloadError


@every_way
async def test_bodies_that_end_with_their_connection(way: Way, tmp_path: Path) -> None:
    """A body without length and chunks is checked by the recording's size: one that is cut is not the end."""
    storage = Storage(audio(9000), says_length=False, script=[lambda s, e, r: s.serve(e, r, cut=4000)])
    async with opened(storage), of(storage) as client:
        assert await way(client, "rec_1", tmp_path) == storage.body
    assert storage.ranges == [None, "bytes=4000-"]


@every_way
@pytest.mark.parametrize("kind", ["length", "chunked", "close"])
@pytest.mark.parametrize("size", [3000, 90_000])
async def test_another_size_than_the_recordings(way: Way, kind: str, size: int, tmp_path: Path) -> None:
    """A file of another size than the recording says, an error page for instance, is refused; size=None waives it."""
    storage = Storage(audio(9000), chunked=kind == "chunked", says_length=kind == "length", told={"size": size})
    async with opened(storage), of(storage) as client:
        error = await outcome_of(way(client, storage.recording(), tmp_path))
        if (kind, size) == ("close", 90_000):  # too short, and it cannot be told from a cut
            assert isinstance(error, APIResponseValidationError | APIConnectionError | DownloadError)
        else:
            assert type(error) is APIResponseValidationError
            assert f"{size} bytes" in str(error)
            assert len(storage.requests) == 1
        assert not leftovers(tmp_path)
        assert await way(client, storage.recording(size=None), tmp_path) == storage.body


@every_way
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_size_that_was_out_of_date(way: Way, chunked: bool, tmp_path: Path) -> None:
    """A recording that was listed long ago is asked for its size again before it is called wrong."""
    storage = Storage(audio(9000), chunked=chunked)
    async with opened(storage), of(storage) as client:
        assert await way(client, storage.recording(size=5), tmp_path) == storage.body
    assert len(storage.asked) == 1


@every_way
async def test_sizes_that_do_not_count(way: Way, tmp_path: Path) -> None:
    """A size of 0 counts as unknown, and a size that was given as None stays so when the recording is retrieved again."""
    storage = Storage(audio(9000), told={"size": 0})
    async with opened(storage), of(storage) as client:
        assert await way(client, "rec_1", tmp_path) == storage.body
        storage.told["size"] = 5
        storage.told["url"] = f"{storage.url}/another"
        storage.script = [refuse(403)]
        recording = storage.recording(size=None, url=f"{storage.url}/expired")
        assert await way(client, recording, tmp_path) == storage.body


@every_way
async def test_codings_are_refused(way: Way, tmp_path: Path) -> None:
    """Identity is asked for, and a body in another coding is an error, not audio."""
    storage = Storage(audio(9000), more={"Content-Encoding": "gzip"})
    async with opened(storage), of(storage) as client:
        assert type(await outcome_of(way(client, storage.recording(), tmp_path))) is APIResponseValidationError
    assert storage.requests[0].headers["accept-encoding"] == "identity"
    assert len(storage.requests) == 1
