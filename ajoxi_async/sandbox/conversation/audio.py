"""The audio of a recording: a WAV file of near silence, as long as the call."""

from __future__ import annotations

import io
import wave

__all__ = ["wav", "wav_size"]

_RATE = 8000
_HEADER = 44
#: Seconds of audio at most, so that responses stay small however long the call was.
_LONGEST = 60


def wav_size(seconds: int) -> int:
    """Bytes of the file."""
    return _HEADER + min(seconds, _LONGEST) * _RATE


def wav(seconds: int) -> bytes:
    """The file: 8 kHz, mono, 8 bit."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(_RATE)
        file.writeframes(b"\x80\x81" * (min(seconds, _LONGEST) * _RATE // 2))
    return buffer.getvalue()
