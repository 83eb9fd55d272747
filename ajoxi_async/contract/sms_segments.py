"""Counting the parts of a text message (3GPP TS 23.038, TS 23.040).

A single part holds 160 characters of the GSM 7-bit alphabet or 70 UCS-2 units. If there are several parts, each holds 153 or
67, because it has a header. Characters of the extension table count twice. They and surrogate pairs are not split between
parts.
"""

from __future__ import annotations

from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["count_segments"]

_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("^{}\\[~]|€\f")


def count_segments(text: str) -> int:
    """The number of parts in which a text is sent as SMS, at least one. Each is charged as a message.

    Args:
        text: the body of the message.

    Raises:
        InvalidParameterError: it is not text.
    """
    if not isinstance(text, str):
        raise InvalidParameterError("text", f"expected the text of a message, got {type(text).__name__}")
    if all(character in _GSM7 or character in _EXTENSION for character in text):
        units, single, part = [2 if character in _EXTENSION else 1 for character in text], 160, 153
    else:
        units, single, part = [2 if ord(character) > 0xFFFF else 1 for character in text], 70, 67
    if sum(units) <= single:
        return 1
    parts, room = 1, part
    for unit in units:
        if unit > room:
            parts, room = parts + 1, part
        room -= unit
    return parts
