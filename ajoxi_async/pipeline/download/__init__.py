"""Downloads of recordings: into memory, into a file, or as a stream. `source` has the rules of the requests."""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from ajoxi_async.contract.encoding.exact_values import integer
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.pipeline.download.partial import PartialFile
from ajoxi_async.pipeline.download.source import AudioSource
from ajoxi_async.pipeline.download.stream import AudioStream
from ajoxi_async.pipeline.options import CallOptions
from ajoxi_async.pipeline.pipeline import Pipeline
from ajoxi_async.protocol.errors import DownloadError
from ajoxi_async.runtime.threads import in_thread

__all__ = ["MOST_IN_MEMORY", "AudioStream", "Progress", "download", "download_to", "stream"]

T = TypeVar("T")

Progress = Callable[[int, "int | None"], object]

#: Default limit of the bytes that `download` returns: about two hours in two channels at 16 kHz.
MOST_IN_MEMORY = 256 * 1024 * 1024
#: Bytes that are collected before a thread writes them, so that there is one switch of threads a MiB and not one a packet.
_BATCH = 1024 * 1024
#: Threads of each event loop that write files. anyio's default pool of forty is shared with the rest of the process.
_THREADS = 8

_threads: RunVar[anyio.CapacityLimiter] = RunVar("ajoxi_async_download_threads")


def stream(pipeline: Pipeline, recording: Recording | str, options: CallOptions) -> AudioStream:
    """See `Recordings.stream`."""
    return AudioStream(AudioSource(pipeline, recording, options, restarts=False))


async def download(pipeline: Pipeline, recording: Recording | str, options: CallOptions, *, max_bytes: int) -> bytes:
    """See `Recordings.download`."""
    most = integer(max_bytes)
    if most is None or most < 0:
        raise InvalidParameterError("max_bytes", f"expected a number of bytes, got {max_bytes!r}")
    source = AudioSource(pipeline, recording, options, restarts=True)
    # BytesIO gives its value as bytes without a copy; a bytearray would be copied.
    audio = io.BytesIO()
    try:
        await source.open()
        while True:
            if (source.total or 0) > most:
                raise _too_large(source, most)
            piece = await source.read()
            if source.position > most:
                raise _too_large(source, most)
            if source.start != audio.tell():
                audio.seek(source.start)
                audio.truncate()
            if not piece:
                return audio.getvalue()
            audio.write(piece)
    finally:
        await source.aclose()


def _too_large(source: AudioSource, max_bytes: int) -> DownloadError:
    size = f"has {source.total} bytes" if source.total is not None else "goes on"
    return DownloadError(
        f"max_bytes: the recording {size}, and download() takes {max_bytes} into memory; use download_to(recording, "
        "path), stream(recording), or a higher max_bytes",
        received=source.position,
        total=source.total,
    )


async def download_to(
    pipeline: Pipeline,
    recording: Recording | str,
    path: str | os.PathLike[str],
    options: CallOptions,
    *,
    progress: Progress | None,
) -> int:
    """See `Recordings.download_to`."""
    target = _check_path(path)
    _check_progress(progress)
    source = AudioSource(pipeline, recording, options, restarts=True)
    file = PartialFile(target)
    try:
        await _in_thread(file.open)
        await source.open()
        await _copy(source, file, progress)
        await _in_thread(file.finish)
    except BaseException:
        await _in_thread(file.discard)
        raise
    finally:
        await source.aclose()
    return source.position


async def _copy(source: AudioSource, file: PartialFile, progress: Progress | None) -> None:
    begin, size = 0, 0
    pieces: list[bytes] = []
    while True:
        piece = await source.read()
        if source.start != begin + size:
            # The audio has started again from its first byte, so the earlier pieces are dropped.
            begin, size, pieces = source.start, 0, []
        pieces.append(piece)
        size += len(piece)
        if progress is not None and (piece or not source.position):
            _report(progress, source)
        if not piece or size >= _BATCH:
            batch, at = pieces, begin
            await _in_thread(lambda at=at, batch=batch: file.write(at, batch))  # type: ignore[misc]
            begin, size, pieces = begin + size, 0, []
        if not piece:
            return


def _report(progress: Progress, source: AudioSource) -> None:
    answer: Any = progress(source.position, source.total)
    if answer is not None and inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise InvalidParameterError("progress", "expected a plain function; what it returned would have to be awaited")


async def _in_thread(work: Callable[[], T]) -> T:
    # To its end, so that a file is not discarded while another thread still opens or writes it.
    try:
        threads = _threads.get()
    except LookupError:
        threads = anyio.CapacityLimiter(_THREADS)
        _threads.set(threads)
    return await in_thread(work, threads, surely=True)


def _check_path(path: str | os.PathLike[str]) -> str:
    given: Any = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(given, str) or not os.path.split(given)[1] or "\0" in given or not _is_encodable(given):
        raise InvalidParameterError("path", f"expected the path of a file, got {given!r:.100}")
    return given


def _is_encodable(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:  # half of a surrogate pair that stands for no byte
        return False
    return True


def _check_progress(progress: Progress | None) -> None:
    if progress is None:
        return
    called = getattr(progress, "__call__", None)  # noqa: B004 - to see whether it is async, not whether it exists
    if not callable(progress) or any(inspect.iscoroutinefunction(function) for function in (progress, called)):
        raise InvalidParameterError("progress", "expected a plain function of the bytes received and the bytes in all")
