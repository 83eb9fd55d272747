"""Recordings: files and their errors, progress, whom the key goes to, URLs that expire, and how a download is ended."""

from __future__ import annotations

import asyncio
import errno
import functools
import importlib
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async import (
    APIError,
    APIResponseValidationError,
    AsyncAjoxi,
    ClientClosedError,
    DownloadError,
    DownloadFileError,
    Hooks,
    InvalidParameterError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from ajoxi_async.limits.local import LocalLimiter
from ajoxi_async.pipeline.download import partial as partial_file
from tests.faults.clients import client_of, outcome_of, with_tokens
from tests.faults.server import Exchange, FaultServer, Received, answer

from .storage import Storage, audio, opened, refuse
from .test_download import WAYS, every_way, leftovers, of, settled

pytestmark = pytest.mark.anyio


class Counting(LocalLimiter):
    """Counts turns and how they ended."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = self.settled = 0

    def try_acquire(self, lane: Any = "default") -> Any:
        permit = super().try_acquire(lane)
        self.taken += permit is not None
        return permit

    async def acquire(self, lane: Any = "default", *, deadline: float | None = None) -> Any:
        permit = await super().acquire(lane, deadline=deadline)
        return permit

    def observe(self, *given: Any) -> None:
        self.settled += 1
        super().observe(*given)

    def lost(self, turn: Any) -> None:
        self.settled += 1
        super().lost(turn)

    def give_back(self, turn: Any) -> None:
        self.settled += 1
        super().give_back(turn)


# Memory.


async def test_a_download_that_is_too_large() -> None:
    """download() names its bound and the method that has none, before the body is read where its length is known."""
    for storage in (Storage(audio(5000)), Storage(audio(5000), chunked=True)):
        async with opened(storage) as server, of(storage) as client:
            recording = storage.recording(size=None)
            error = await outcome_of(client.recordings.download(recording, max_bytes=4999))
            assert type(error) is DownloadError
            assert "4999" in str(error) and "download_to" in str(error)
            assert storage.chunked or error.received == 0
            assert await client.recordings.download(recording, max_bytes=5000) == storage.body
            await client.aclose()
            await settled(server)


@pytest.mark.parametrize("wrong", [-1, True, None, 1.5, "5"])
async def test_bounds_that_are_none(wrong: Any) -> None:
    """max_bytes is a number of bytes."""
    async with AsyncAjoxi("AJX_TEST_x", base_url="http://127.0.0.1:9") as client:
        with pytest.raises(InvalidParameterError, match="max_bytes"):
            await client.recordings.download("rec_1", max_bytes=wrong)


# Files.


async def test_a_file_that_is_there_is_replaced_when_the_new_one_is_whole(tmp_path: Path) -> None:
    """While it is fetched and when it fails, the older file stays; its permissions outlive it."""
    target = tmp_path / "a.wav"
    target.write_bytes(b"older")
    target.chmod(0o640)
    seen = []
    storage = Storage(audio(3_000_000), script=[lambda s, e, r: s.serve(e, r, cut=2_000_000), refuse(404)])
    async with opened(storage), of(storage) as client:
        assert isinstance(await outcome_of(client.recordings.download_to(storage.recording(), target)), NotFoundError)
        assert target.read_bytes() == b"older"
        size = await client.recordings.download_to(
            "rec_1", target, progress=lambda received, total: seen.append(target.read_bytes()[:5])
        )
    assert size == 3_000_000
    assert target.read_bytes() == storage.body
    assert set(seen) == {b"older"}
    assert target.stat().st_mode & 0o777 == 0o640
    assert leftovers(tmp_path) == ["a.wav"]


async def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """A target that is a link stays one; the file it points to is written, also where there is none yet."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a.wav")
    storage = Storage(audio(100))
    async with opened(storage), of(storage) as client:
        for _ in range(2):
            await client.recordings.download_to("rec_1", tmp_path / "link")
            assert (tmp_path / "link").is_symlink()
            assert (tmp_path / "there" / "a.wav").read_bytes() == storage.body
    assert leftovers(tmp_path / "there") == ["a.wav"]


def paths(folder: Path) -> dict[int, list[Path]]:
    (folder / "file").write_bytes(b"x")
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder / "loop")
    return {
        errno.EISDIR: [folder, folder / "..", folder / "."],
        errno.ENOENT: [folder / "none" / "a.wav"],
        errno.ENOTDIR: [folder / "file" / "a.wav"],
        errno.EINVAL: [folder / "pipe", Path("/dev/null")],
        errno.ENAMETOOLONG: [folder / ("x" * 300)],
        errno.ELOOP: [folder / "loop"],
    }


async def test_paths_that_cannot_be_files(tmp_path: Path) -> None:
    """A path that cannot be a file is refused with the system's error number before anything is sent, and is not changed."""
    async with FaultServer() as server, client_of(server.url) as client:
        for number, several in paths(tmp_path).items():
            for path in several:
                error = await outcome_of(client.recordings.download_to("rec_1", path))
                assert isinstance(error, DownloadFileError) and isinstance(error, OSError), (path, error)
                assert (error.errno, error.filename) == (number, str(path))
                assert str(path) in str(error)
        assert not server.received
    assert leftovers(tmp_path) == ["file", "loop", "pipe"]


@pytest.mark.parametrize("path", [None, 5, b"a.wav", "", "folder/", "a\0b", "a\ud800"])
async def test_paths_that_are_none(path: Any) -> None:
    """What is no path is a wrong parameter."""
    async with FaultServer() as server, client_of(server.url) as client:
        error = await outcome_of(client.recordings.download_to("rec_1", path))
        assert isinstance(error, InvalidParameterError)
        assert error.param == "path"
        assert not server.received


@pytest.mark.parametrize("denied", ["directory", "file"])
async def test_no_permission(denied: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that cannot be written to and a file that must not be changed are refused before anything is sent."""
    target = tmp_path / "a.wav"
    target.write_bytes(b"older")
    if denied == "file":
        monkeypatch.setattr(partial_file.os, "access", lambda path, mode: False)  # for root may write anything
    else:

        def refused(self: Path, *given: Any) -> Any:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))

        monkeypatch.setattr(partial_file.Path, "open", refused)
    async with FaultServer() as server, client_of(server.url) as client:
        error = await outcome_of(client.recordings.download_to("rec_1", target))
        assert isinstance(error, DownloadFileError)
        assert error.errno == errno.EACCES
        assert not server.received
    assert leftovers(tmp_path) == ["a.wav"]
    monkeypatch.undo()
    assert target.read_bytes() == b"older"


class Full:
    """A file on a disk that is full after so many bytes, or fails in fsync."""

    def __init__(self, file: Any, room: int) -> None:
        self._file = file
        self._room = room

    def write(self, data: bytes) -> int:
        self._room -= len(data)
        if self._room < 0:
            self._file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 2_000_000])
async def test_a_full_disk_leaves_nothing(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is a typed error with its number; neither a partial file nor a connection is left, and the older file is."""
    target = tmp_path / "a.wav"
    target.write_bytes(b"older")
    storage = Storage(audio(3_000_000))
    original = Path.open
    monkeypatch.setattr(partial_file.Path, "open", lambda self, mode: Full(original(self, mode), room))
    async with opened(storage) as server, of(storage) as client:
        error = await outcome_of(client.recordings.download_to(storage.recording(), target))
        monkeypatch.undo()
        await settled(server)
    assert isinstance(error, DownloadFileError) and isinstance(error, OSError)
    assert (error.errno, error.strerror) == (errno.ENOSPC, "No space left on device")
    assert target.read_bytes() == b"older"
    assert leftovers(tmp_path) == ["a.wav"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
async def test_a_disk_that_fails_at_the_end(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not on the disk does not get its name."""

    def fails(*given: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    storage = Storage(audio(1000))
    where: Any = partial_file.os if step == "fsync" else partial_file.Path
    async with opened(storage), of(storage) as client:
        monkeypatch.setattr(where, step, fails)
        error = await outcome_of(client.recordings.download_to("rec_1", tmp_path / "a.wav"))
        monkeypatch.undo()
    assert isinstance(error, DownloadFileError)
    assert error.errno == errno.EIO
    assert not leftovers(tmp_path)


def test_the_error_of_a_file_pickles() -> None:
    """The system's number and words survive pickling, as everything of this package's errors does."""
    error = DownloadFileError("a: full", errno=errno.ENOSPC, strerror="full", filename="a")
    again = pickle.loads(pickle.dumps(error))
    assert (again.errno, again.strerror, again.filename, str(again)) == (errno.ENOSPC, "full", "a", "a: full")
    assert pickle.loads(pickle.dumps(DownloadError("x", received=1, total=2))).total == 2


async def test_a_loop_is_not_held_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written in threads, a MiB at a time."""
    writes: list[int] = []
    write = partial_file.PartialFile.write
    import threading

    def noted(self: Any, start: int, pieces: list[bytes]) -> None:
        assert threading.current_thread() is not threading.main_thread()
        writes.append(sum(map(len, pieces)))
        write(self, start, pieces)

    monkeypatch.setattr(partial_file.PartialFile, "write", noted)
    storage = Storage(audio(5 * 1024 * 1024))
    async with opened(storage), of(storage) as client:
        await client.recordings.download_to("rec_1", tmp_path / "a.wav")
    assert sum(writes) == 5 * 1024 * 1024
    assert len(writes) <= 6


# Progress.


async def test_progress_is_told(tmp_path: Path) -> None:
    """Received grows to the total, over cuts as well."""
    seen: list[tuple[int, int | None]] = []
    storage = Storage(audio(900_000), cut=300_000)
    async with opened(storage), of(storage) as client:
        await client.recordings.download_to("rec_1", tmp_path / "a", progress=lambda *now: seen.append(now))
        assert seen == sorted(seen)
        assert seen[-1] == (900_000, 900_000)
        storage.body, storage.cut = b"", None
        await client.recordings.download_to("rec_1", tmp_path / "a", progress=lambda *now: seen.append(now))
    assert seen[-1] == (0, 0)


async def test_what_progress_raises_ends_the_download(tmp_path: Path) -> None:
    """An exception of the caller's own comes out as it is, and nothing is left behind."""

    class MineError(BaseException):
        pass

    def enough(received: int, total: int | None) -> None:
        if received > 1_500_000:
            raise MineError

    storage = Storage(audio(3_000_000))
    async with opened(storage) as server, of(storage) as client:
        with pytest.raises(MineError):
            await client.recordings.download_to(storage.recording(), tmp_path / "a", progress=enough)
        await settled(server)
    assert not leftovers(tmp_path)


async def asynchronous(received: int, total: int | None) -> None:
    pass


class Asynchronous:
    async def __call__(self, received: int, total: int | None) -> None:
        pass


@pytest.mark.parametrize(
    "progress",
    [asynchronous, functools.partial(asynchronous), Asynchronous(), 5, "x", lambda *now: asynchronous(*now)],
    ids=range(6),
)
async def test_progress_that_cannot_be_called(progress: Any, tmp_path: Path) -> None:
    """A function that would have to be awaited is refused; before anything is sent, where it can be seen."""
    storage = Storage(audio(100))
    async with opened(storage), of(storage) as client:
        error = await outcome_of(client.recordings.download_to("rec_1", tmp_path / "a", progress=progress))
    assert isinstance(error, InvalidParameterError)
    assert error.param == "progress"
    assert not leftovers(tmp_path)
    assert not storage.requests or getattr(progress, "__name__", "") == "<lambda>"


# Streams.


async def test_a_stream_says_what_it_reads() -> None:
    """Size, type and position are known from the beginning."""
    storage = Storage(audio(1000), told={"size": None, "content_type": "audio/mpeg"})
    async with opened(storage), of(storage) as client:
        stream = client.recordings.stream(storage.recording())
        assert (stream.size, stream.content_type, stream.position) == (None, "audio/mpeg", 0)
        async with stream as audio_:
            assert audio_ is stream
            assert (stream.size, stream.content_type, stream.position) == (1000, "audio/wav", 0)
            async for chunk in audio_:
                assert chunk
            assert stream.position == 1000
            assert not [chunk async for chunk in audio_]


@pytest.mark.parametrize("wrong", [{"recording": None}, {"recording": ""}, {"recording": "rec_1", "tiemout": 1}])
async def test_streams_that_cannot_be(wrong: Any) -> None:
    """What cannot be right is refused at once, and a stream is read within its block."""
    async with AsyncAjoxi("AJX_TEST_x", base_url="http://127.0.0.1:9") as client:
        with pytest.raises(InvalidParameterError):
            client.recordings.stream(**wrong)
        with pytest.raises(InvalidParameterError, match="async with"):
            async for _ in client.recordings.stream("rec_1"):
                pass


async def test_leaving_a_stream_closes_its_connection() -> None:
    """`break` gives the connection back; what is read after it is an error, not the end."""
    storage = Storage(audio(5_000_000))
    async with opened(storage) as server, of(storage) as client:
        async with client.recordings.stream("rec_1") as stream:
            async for _ in stream:
                break
        with pytest.raises(DownloadError, match="closed"):
            await anext(stream)
        await client.aclose()
        await settled(server)


async def silent_after(storage: Storage, exchange: Exchange, request: Received) -> None:
    start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    whole = len(storage.body)
    head = {"ETag": '"v1"'} | ({"Content-Range": f"bytes {start}-{whole - 1}/{whole}"} if start else {})
    await exchange.send(answer(206 if start else 200, storage.body[start : start + 1000], head, length=whole - start))
    await exchange.stall()


async def silent_chunks(storage: Storage, exchange: Exchange, request: Received) -> None:
    if request.headers.get("range"):
        await storage.serve(exchange, request)
        return
    head = 'HTTP/1.1 200 OK\r\nETag: "v1"\r\nTransfer-Encoding: chunked\r\n\r\n'
    await exchange.send(head.encode() + b"3e8\r\n" + storage.body[:1000] + b"\r\n")
    await exchange.stall()


async def test_a_stream_is_closed_by_another_task() -> None:
    """`aclose` from any task ends a read that waits, with an error."""
    storage = Storage(audio(5000), script=[silent_after])
    ends: list[Any] = []
    async with opened(storage) as server, of(storage) as client:

        async def read() -> None:
            ends.append(await outcome_of(as_it_comes_of(stream)))

        async with client.recordings.stream("rec_1") as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            with anyio.fail_after(2):
                while stream.position < 1000:
                    await anyio.sleep(0.01)
                assert isinstance(await outcome_of(anext(stream)), DownloadError)  # two tasks cannot read
                await stream.aclose()
                while not ends:
                    await anyio.sleep(0.01)
        assert type(ends[0]) is DownloadError
        assert "closed" in str(ends[0])
        await client.aclose()
        await settled(server)


async def as_it_comes_of(stream: Any) -> bytes:
    return b"".join([chunk async for chunk in stream])


@pytest.mark.parametrize("step", [silent_after, silent_chunks], ids=["length", "chunked"])
async def test_a_cancelled_read_loses_nothing(step: Any) -> None:
    """A read that is given up can be done again on either engine, and its end is not taken for the end of the file."""
    storage = Storage(audio(5000), script=[step] * 2)
    async with opened(storage), of(storage, timeout=0.5) as client:
        async with client.recordings.stream(storage.recording(size=None)) as stream:
            body = b""
            while len(body) < 5000:
                with anyio.move_on_after(0.05):
                    body += await anext(stream)
        assert body == storage.body


# Whom the key goes to.


async def test_the_key_and_the_limiter_are_the_apis() -> None:
    """A storage of another origin gets neither key nor the client's headers, and takes no turn; the API's own does."""
    storage = Storage(audio(1000))
    settings = {"default_headers": {"X-Mine": "a"}}
    async with opened(storage), FaultServer() as api:
        for url, at_home in ((storage.url, True), (api.url, False)):
            limiter = Counting()
            storage.requests.clear()
            async with client_of(url, limiter=limiter, **settings) as client:
                await client.recordings.download(storage.recording(), extra_headers={"X-Too": "b", "range": "bytes=5-"})
            (request,) = storage.requests
            assert ("authorization" in request.headers) is at_home
            assert ("x-mine" in request.headers, "x-too" in request.headers) == (at_home, at_home)
            assert "range" not in request.headers
            assert request.headers["user-agent"].startswith("ajoxi-async/")
            assert (limiter.taken, limiter.settled) == (at_home, at_home)


async def test_redirects_keep_the_key_at_home(tmp_path: Path) -> None:
    """Every attempt begins at the recording's own URL, and the key is not sent along to where that leads."""
    storage = Storage(audio(9000), script=[lambda s, e, r: s.serve(e, r, cut=4000)])
    async with opened(storage):

        async def elsewhere(exchange: Exchange) -> None:
            await exchange.read()
            await exchange.send(answer(302, b"", {"Location": f"{storage.url}/signed"}))

        async with FaultServer(then=elsewhere) as api, client_of(api.url) as client:
            for way in WAYS:
                recording = storage.recording(url=f"{api.url}/v1/audio")
                assert await way(client, recording, tmp_path) == storage.body
                storage.script = [lambda s, e, r: s.serve(e, r, cut=4000)]
        assert len(api.received) == 6
        assert all("authorization" in request.headers for request in api.received)
        assert not any("authorization" in request.headers for request in storage.requests)


@pytest.mark.parametrize("location", ["ftp://a.example/x", "http://[", "", "file:///etc/passwd", None])
async def test_redirects_that_lead_nowhere(location: str | None) -> None:
    """A redirect that cannot be followed is the server's fault."""
    headers = {} if location is None else {"Location": location}
    storage = Storage(audio(10), script=[refuse(302, headers)])
    async with opened(storage), of(storage) as client:
        assert type(await outcome_of(client.recordings.download(storage.recording()))) is APIResponseValidationError


@pytest.mark.parametrize("user", ["user:hunter2@", "user@", ":hunter2@", "@"])
async def test_a_user_in_a_url(user: str) -> None:
    """A user or password in a URL of the server's would be sent in place of the key, so that such a URL is not asked."""
    storage = Storage(audio(10))
    async with opened(storage), of(storage) as client:
        url = f"{storage.url}/audio".replace("//", f"//{user}")
        storage.script = [refuse(302, {"Location": url})]
        for recording in (storage.recording(), storage.recording(url=url)):
            error = await outcome_of(client.recordings.download(recording))
            assert type(error) is APIResponseValidationError
            assert "hunter2" not in f"{error!r} {vars(error)}"
    assert len(storage.requests) == 1


async def test_redirects_without_end() -> None:
    """Five redirects are followed."""
    storage = Storage(audio(10), script=[refuse(302, {"Location": "/audio"})] * 9)
    async with opened(storage), of(storage) as client:
        assert isinstance(await outcome_of(client.recordings.download(storage.recording())), APIError)
    assert len(storage.requests) == 6


# URLs that expire.


@every_way
@pytest.mark.parametrize("status", [403, 400, 401, 404, 410])
async def test_a_url_that_expires_in_the_middle(way: Any, status: int, tmp_path: Path) -> None:
    """If a signed URL is refused after some bytes, the recording is retrieved again, and the download continues."""
    storage = Storage(audio(9000), cut=3000)
    async with opened(storage):

        async def expires(s: Storage, exchange: Exchange, request: Received) -> None:
            # Every URL serves one request.
            if request.path in used:
                await refuse(status)(s, exchange, request)
                return
            used.add(request.path)
            await s.serve(exchange, request)

        used: set[str] = set()
        storage.script = [expires] * 20
        async with (
            FaultServer(then=lambda exchange: says_where(exchange, storage)) as api,
            client_of(api.url) as client,
        ):
            assert await way(client, storage.recording(url=f"{storage.url}/audio?s=first"), tmp_path) == storage.body
            assert len(api.received) == 2


async def says_where(exchange: Exchange, storage: Storage) -> None:
    """The API: a new URL each time."""
    await exchange.read()
    await exchange.send(
        answer(200, {"id": "rec_1", "url": f"{storage.url}/audio?s={os.urandom(4).hex()}", "size": len(storage.body)})
    )


async def test_a_url_that_is_refused_for_good() -> None:
    """A URL that is fresh and refused is an error, and so is one that the API gives again; nothing goes round."""
    storage = Storage(audio(10), script=[refuse(403)] * 9)
    async with opened(storage), of(storage) as client:
        assert isinstance(await outcome_of(client.recordings.download(storage.recording())), PermissionDeniedError)
        assert (len(storage.requests), len(storage.asked)) == (1, 1)
        assert isinstance(await outcome_of(client.recordings.download("rec_1")), PermissionDeniedError)
        assert (len(storage.requests), len(storage.asked)) == (2, 2)


async def test_a_recording_that_is_gone() -> None:
    """Where the recording cannot be asked for either, the storage's own answer is the error."""
    storage = Storage(audio(10), script=[refuse(403)] * 9)

    async def gone(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(answer(404, {"error": {"code": "not_found", "message": "gone"}}))

    async with opened(storage), FaultServer(then=gone) as api, client_of(api.url) as client:
        assert isinstance(await outcome_of(client.recordings.download(storage.recording())), PermissionDeniedError)


async def test_a_fresh_token() -> None:
    """A 401 of the API's own origin is answered with a fresh token, once."""
    tokens = iter(["first", "second", "third"])

    async def provide() -> str:
        return next(tokens)

    storage = Storage(audio(10), script=[refuse(401)])
    async with opened(storage), with_tokens(storage.url, provide) as client:
        assert await client.recordings.download(storage.recording()) == storage.body
        assert [r.headers["authorization"] for r in storage.requests] == ["Bearer first", "Bearer second"]
        storage.script = [refuse(401)] * 9
        assert isinstance(await outcome_of(client.recordings.download(storage.recording())), Exception)


# Refusals that pass.


@every_way
async def test_429_is_waited_out(way: Any, tmp_path: Path) -> None:
    """A 429 is tried again after its Retry-After, and one that asks for more patience than there is is raised."""
    storage = Storage(audio(9000), cut=3000)
    later = refuse(429, {"Retry-After": "0.05"})
    storage.script = [Storage.serve, later, Storage.serve, later]
    async with opened(storage), of(storage, limiter=LocalLimiter(None)) as client:
        assert await way(client, storage.recording(), tmp_path) == storage.body
        storage.script = [Storage.serve, refuse(429, {"Retry-After": "3600"})]
        error = await outcome_of(way(client, storage.recording(), tmp_path))
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 3600


async def test_hooks_are_told_of_what_the_api_gets() -> None:
    """Hooks are called for attempts that go to the API, and not for a storage, whose URL may be signed."""
    told: list[str] = []
    hooks = Hooks(
        on_request=lambda event: told.append(f"{event.route} {event.attempt} {event.url.rpartition('/')[2]}"),
        on_response=lambda event: told.append(f"{event.status}"),
        on_retry=lambda event: told.append("retry"),
    )
    storage = Storage(audio(10), script=[refuse(503)])
    async with opened(storage), FaultServer() as api:
        async with client_of(storage.url, hooks=hooks) as client:
            await client.recordings.download(storage.recording())
        assert told == ["recordings.download 1 audio", "503", "retry", "recordings.download 2 audio", "200"]
        told.clear()
        async with client_of(api.url, hooks=hooks) as client:
            await client.recordings.download(storage.recording(url=f"{storage.url}/audio?signature=secret"))
        assert not told


SIGNED = "/audio?X-Amz-Signature=secret"


async def test_a_signature_stays_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """No logger has the query of a signed URL, or of a redirect to one; ours has one line an attempt."""
    storage = Storage(audio(10))

    async def serve(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(answer(302, b"", {"Location": f"{storage.url}{SIGNED}"}))

    with caplog.at_level("DEBUG"):
        async with opened(storage), FaultServer(then=serve) as api, client_of(api.url) as client:
            await client.recordings.download(storage.recording(url=f"{storage.url}{SIGNED}"))
            await client.recordings.download(storage.recording(url=f"{api.url}{SIGNED}"))
    assert "/audio whole attempt 1: 200" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_the_log_of_other_requests_is_whole(library: str, caplog: pytest.LogCaptureFixture) -> None:
    """What httpx logs about requests that the application itself makes is not changed."""
    storage = Storage(audio(10))
    async with opened(storage), importlib.import_module(library).AsyncClient() as session:
        with caplog.at_level("INFO", library):
            async with AsyncAjoxi("AJX_TEST_0123456789", base_url=storage.url, session=session) as client:
                await client.recordings.download(storage.recording(url=f"{storage.url}/audio?signature=secret"))
            assert "secret" not in caplog.text
            await session.get(f"{storage.url}/audio?page=2")
    assert "/audio?page=2" in caplog.text


# Endings.


@every_way
@pytest.mark.parametrize("moment", range(12))
async def test_cancelled_at_any_moment(way: Any, moment: int, tmp_path: Path) -> None:
    """Wherever a download is cancelled, its connection, its turn and its partial file are given back."""
    storage = Storage(audio(400_000), cut=100_000)
    limiter = Counting()
    async with opened(storage) as server:
        async with of(storage, limiter=limiter) as client:
            with anyio.move_on_after(0.0015 * moment) as scope:
                await way(client, "rec_1", tmp_path)
            if scope.cancelled_caught:
                assert not leftovers(tmp_path)
            assert limiter.taken == limiter.settled
        await settled(server)


@every_way
async def test_closing_the_client_ends_a_download(way: Any, tmp_path: Path) -> None:
    """A client that is closed ends its downloads at once, with a typed error, and leaves nothing."""
    storage = Storage(audio(5000), script=[silent_after])
    ends: list[Any] = []
    async with opened(storage) as server:
        client = of(storage)

        async def run() -> None:
            ends.append(await outcome_of(way(client, "rec_1", tmp_path)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            with anyio.fail_after(3):
                while not storage.requests:
                    await anyio.sleep(0.01)
                await anyio.sleep(0.05)
                await client.aclose()
                while not ends:
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        assert type(ends[0]) is ClientClosedError
        assert type(await outcome_of(way(client, "rec_1", tmp_path))) is ClientClosedError
        assert len(storage.requests) == 1
        await client.aclose()
        await settled(server)
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("step", ["open", "write", "finish"])
async def test_a_task_that_is_cancelled_while_a_thread_works_on_the_file(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`task.cancel()` waits for the thread that opens or writes the file, so that nothing of it is left but the whole."""
    entered, go_on = threading.Event(), threading.Event()
    own = getattr(partial_file.PartialFile, step)

    def slowly(self: Any, *given: Any) -> Any:
        entered.set()
        go_on.wait(10)
        return own(self, *given)

    monkeypatch.setattr(partial_file.PartialFile, step, slowly)
    storage = Storage(audio(3000))
    async with opened(storage), of(storage) as client:
        loading = asyncio.ensure_future(client.recordings.download_to(storage.recording(), tmp_path / "a.wav"))
        await anyio.to_thread.run_sync(entered.wait, 10)
        loading.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not loading.done()
        go_on.set()
        await asyncio.wait([loading])
    assert loading.cancelled()
    assert [path.name for path in tmp_path.iterdir()] == (["a.wav"] if step == "finish" else [])
