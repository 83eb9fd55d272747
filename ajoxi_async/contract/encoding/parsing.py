"""Bytes to JSON values: what is taken for JSON, whoever sent it.

Rules:
1. A document is nested at most `MAX_DEPTH` levels deep. This is checked on the bytes, before they are parsed: the parser
   recurses, and the recursion limit it ends at differs by Python version and by how deep its caller stands.
2. Text that is no Unicode does not cost the document: half of a surrogate pair, as an escape or encoded, and a sequence
   of bytes that is not UTF-8 become one U+FFFD each. They are looked for only where the parser has refused the document.
3. Anything else is RFC 8259 to the letter.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from ajoxi_async.contract.errors import AjoxiError

__all__ = ["MAX_DEPTH", "DecodeError", "parse_json"]

#: Levels of arrays and objects within each other. The API's own documents have five.
MAX_DEPTH: Final = 64

#: Up to about this many bytes it is quicker to look for few brackets first than to call `_is_too_deep`.
_SHORT = 4096


class DecodeError(AjoxiError):
    """A body is not what was promised. The client reports it as `APIResponseValidationError`."""


def parse_json(body: bytes, *, strict: bool = False) -> Any:
    """Parse a JSON document.

    Args:
        body: the document, UTF-8.
        strict: refuse text that is no Unicode instead of replacing it (rule 2).

    Raises:
        DecodeError: it is no JSON, or is nested deeper than `MAX_DEPTH`.
    """
    if (len(body) > _SHORT or _has_many_brackets(body)) and _is_too_deep(body):
        raise DecodeError(f"not JSON: nested deeper than {MAX_DEPTH} levels")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        refused = error
    if not strict and (sound := _replace_bad_text(body)) != body:
        try:
            return msgspec.json.decode(sound)
        except msgspec.DecodeError as error:
            refused = error
    raise DecodeError(f"not JSON: {refused}")


def _has_many_brackets(body: bytes) -> bool:
    # Splitting looks for the next bracket faster than counting looks at every byte. Most answers have no list.
    lists = len(body.split(b"[", MAX_DEPTH)) - 1 if body.find(b"[") >= 0 else 0
    return len(body.split(b"{", MAX_DEPTH)) - 1 + lists >= MAX_DEPTH


_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_UNIMPORTANT = bytes(set(range(256)) - set(b'[]{}"'))
_STRING = re.compile(rb'"[^"]*"')


def _is_too_deep(body: bytes) -> bool:
    """Whether brackets outside of strings are nested too deep, in a few passes of C over the bytes."""
    if b"\\" in body:
        # From left to right: a quote that is left belongs to no escape, whatever the number of backslashes before it.
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Strings without a bracket are now two quotes in a row, and mostly many of them follow each other.
    left = body.translate(_ONE_KIND, _UNIMPORTANT).replace(b'"' * 8, b"").replace(b'""', b"")
    if b'"' in left:
        left = _STRING.sub(b"", left)
    for _ in range(MAX_DEPTH):
        inner, left = left, left.replace(b"[]", b"")
        if len(left) == len(inner):
            break
    # What is left is nested deeper, or does not match; the latter the parser says better where it is harmless.
    return len(left) > MAX_DEPTH or b"[]" in left


_HALF = rb"[dD][89a-fA-F][0-9a-fA-F]{2}"
_HIGH, _LOW = rb"[dD][89abAB][0-9a-fA-F]{2}", rb"[dD][c-fC-F][0-9a-fA-F]{2}"
#: As much text as is sound, and the halves of pairs that follow it. A backslash is always read with what it escapes.
_HALVES = re.compile(
    rb"((?:[^\\]++|\\[^u]|\\u(?!" + _HALF + rb")|\\u" + _HIGH + rb"\\u" + _LOW + rb")*+)"
    rb"((?:\\u(?:" + _LOW + rb"|" + _HIGH + rb"(?!\\u" + _LOW + rb")))*+)",
    re.DOTALL,
)
_ENCODED_HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")


def _replace_bad_text(body: bytes) -> bytes:
    """Put U+FFFD in place of text that is no Unicode, in time that grows with the body's length."""
    if b"\\ud" in body or b"\\uD" in body:
        body = _HALVES.sub(lambda found: found[1] + rb"\ufffd" * (len(found[2]) // 6), body)
    return _ENCODED_HALF.sub(b"\xef\xbf\xbd", body).decode("utf-8", "replace").encode()
