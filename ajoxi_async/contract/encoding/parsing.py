"""Parses JSON documents from bytes, with the same rules for the client's answers and the sandbox's requests.

Rules:
1. A document is nested at most `MAX_DEPTH` levels deep. This is checked on the bytes, before they are parsed: the parser
   recurses, and its recursion limit depends on the Python version and on the depth of the caller's stack. Where a model is
   built from the document, only the values of unknown fields can be nested deeply, so that it is quicker to check those
   with `is_deeper`; see `contract.encoding.structuring`. Then Python's default recursion limit keeps the parser from
   overflowing the stack, and with a higher limit the bytes are checked all the same.
2. A document with invalid Unicode is accepted: half of a surrogate pair, escaped or encoded, and a sequence of bytes that is
   not UTF-8 are each replaced by one U+FFFD. They are searched for only after the parser has refused the document.
3. In all other respects a document follows RFC 8259 exactly.
4. With `bounded`, parsing takes at most a few milliseconds per MiB, so that a client cannot hold up a server. A document is
   refused if it has more than `MOST_PARTS` arrays, objects and members of objects, more than `MOST_TEXTS` texts, or more than
   `MOST_FLOATS` floats.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Final

import msgspec

from ajoxi_async.contract.errors import AjoxiError

__all__ = [
    "MAX_DEPTH",
    "MOST_FLOATS",
    "MOST_PARTS",
    "MOST_TEXTS",
    "DecodeError",
    "TooDeepError",
    "is_deeper",
    "parse_json",
]

#: The most levels of nested arrays and objects. The API's own documents have five.
MAX_DEPTH: Final = 64

#: The most arrays, objects and members of objects in a bounded document; a request of the API has about a hundred.
MOST_PARTS: Final = 10_000
#: The most texts in a bounded document; a campaign has 10,000.
MOST_TEXTS: Final = 50_000
#: The most numbers with a fraction or an exponent in a bounded document; a request of the API has none.
MOST_FLOATS: Final = 1_000

#: Python's default recursion limit. Parsing a level takes about 250 bytes of the stack, which may have only 512 KiB in a thread.
_SAFE_RECURSION = 1000
#: Up to about this many bytes it is quicker to test first whether there are few brackets than to call `_is_too_deep`.
_SHORT = 4096


class DecodeError(AjoxiError):
    """A body does not have the documented form. The client reports it as `APIResponseValidationError`."""


class TooDeepError(DecodeError):
    """A document is nested deeper than `MAX_DEPTH` levels."""

    def __init__(self) -> None:
        super().__init__(f"not JSON: nested deeper than {MAX_DEPTH} levels")


def parse_json(body: bytes, *, strict: bool = False, bounded: bool = False, any_depth: bool = False) -> Any:
    """Parse a JSON document.

    Args:
        body: the document, UTF-8.
        strict: refuse invalid Unicode instead of replacing it (rule 2).
        bounded: refuse a document that takes long to parse (rule 4).
        any_depth: the caller checks how deep the document is nested (rule 1).

    Raises:
        DecodeError: the document is not JSON, is nested deeper than `MAX_DEPTH`, or exceeds a limit of rule 4.
    """
    if (not any_depth or sys.getrecursionlimit() > _SAFE_RECURSION) and (
        len(body) > _SHORT or _has_many_brackets(body)
    ):
        signs = _signs(body, bounded=bounded)
        brackets = signs.replace(b":", b"")
        if bounded and len(signs) - len(brackets) // 2 > MOST_PARTS:
            raise DecodeError(f"not taken: more than {MOST_PARTS} arrays, objects and members of objects")
        if _is_too_deep(brackets):
            raise TooDeepError
    try:
        if bounded and len(body) > _SHORT:
            return msgspec.json.Decoder(float_hook=_FewFloats()).decode(body)
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        refused = error
    except RecursionError:
        if _is_too_deep(_signs(body, bounded=False)):
            raise TooDeepError from None
        raise
    if not strict and (sound := _replace_bad_text(body)) != body:
        try:
            return msgspec.json.decode(sound)
        except msgspec.DecodeError as error:
            refused = error
    raise DecodeError(f"not JSON: {refused}")


class _FewFloats:
    """Parses up to `MOST_FLOATS` floats of one document. They are limited because msgspec takes 8 microseconds for 1.5e300."""

    def __init__(self) -> None:
        self._left = MOST_FLOATS

    def __call__(self, text: str) -> float:
        if not self._left:
            raise DecodeError(f"not taken: more than {MOST_FLOATS} numbers with a fraction or an exponent")
        self._left -= 1
        return float(text)


def is_deeper(value: Any, levels: int) -> bool:
    """Whether a parsed value has more than a number of levels of arrays and objects. It does not recurse."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [part for part in layer if type(part) is dict or type(part) is list]
        if not layer:
            return False
        layer = [inner for part in layer for inner in (part.values() if type(part) is dict else part)]
    return True


def _has_many_brackets(body: bytes) -> bool:
    # `split` finds the next bracket faster than `count` reads every byte. Most answers have no list.
    lists = len(body.split(b"[", MAX_DEPTH)) - 1 if body.find(b"[") >= 0 else 0
    return len(body.split(b"{", MAX_DEPTH)) - 1 + lists >= MAX_DEPTH


_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
_ALL_BUT_SIGNS = bytes(set(range(256)) - set(b'[]{}":'))


def _signs(body: bytes, *, bounded: bool) -> bytes:
    """The brackets outside of strings, with braces as brackets, and the colons if `bounded`; in a few passes of C.

    Raises:
        DecodeError: a bounded document has too many strings.
    """
    if b"\\" in body:
        # Escapes are removed from left to right, so that a remaining quote is not part of one.
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    left = body.translate(_ONE_KIND, _ALL_BUT_SIGNS if bounded else _ALL_BUT_BRACKETS)
    if bounded and left.count(b'"') > 2 * MOST_TEXTS:
        raise DecodeError(f"not taken: more than {MOST_TEXTS} texts")
    # A string without a bracket is now two quotes in a row. Most of these pairs follow each other.
    left = left.replace(b'"' * 8, b"").replace(b'""', b"")
    if b'"' in left:
        # Every second part is within quotes. The rest after a quote that is never closed counts as text as well.
        left = b"".join(left.split(b'"')[::2])
    return left


def _is_too_deep(left: bytes) -> bool:
    """Whether brackets are nested too deep."""
    for _ in range(MAX_DEPTH):
        inner, left = left, left.replace(b"[]", b"")
        if len(left) == len(inner):
            break
    # The remaining brackets are nested deeper, or do not match. If they are few, the parser can safely report them.
    return len(left) > MAX_DEPTH or b"[]" in left


_HALF = rb"[dD][89a-fA-F][0-9a-fA-F]{2}"
_HIGH, _LOW = rb"[dD][89abAB][0-9a-fA-F]{2}", rb"[dD][c-fC-F][0-9a-fA-F]{2}"
#: Valid text of any length, and the halves of pairs that follow it. A backslash is always read with what it escapes.
_HALVES = re.compile(
    rb"((?:[^\\]++|\\[^u]|\\u(?!" + _HALF + rb")|\\u" + _HIGH + rb"\\u" + _LOW + rb")*+)"
    rb"((?:\\u(?:" + _LOW + rb"|" + _HIGH + rb"(?!\\u" + _LOW + rb")))*+)",
    re.DOTALL,
)
_ENCODED_HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")


def _replace_bad_text(body: bytes) -> bytes:
    """Replace invalid text by U+FFFD, in a time proportional to the body's length."""
    if b"\\ud" in body or b"\\uD" in body:
        body = _HALVES.sub(lambda found: found[1] + rb"\ufffd" * (len(found[2]) // 6), body)
    return _ENCODED_HALF.sub(b"\xef\xbf\xbd", body).decode("utf-8", "replace").encode()
