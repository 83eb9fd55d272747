"""The check of labels of keys and snapshots. They are short texts of one line, since lists and terminals show them."""

from __future__ import annotations

from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["checked_label"]

#: The most characters that a label may have.
LONGEST = 100


def checked_label(label: str) -> str:
    """Check a label and return it.

    Raises:
        InvalidParameterError: it is not a text, is longer than a hundred characters, or contains control characters or halves
            of surrogate pairs, which cannot be encoded in an answer.
    """
    if not isinstance(label, str) or len(label) > LONGEST or not all(map(_shows, label)):
        raise InvalidParameterError("label", f"expected a text of at most {LONGEST} characters, no control characters")
    return label


def _shows(character: str) -> bool:
    code = ord(character)
    return code >= 0x20 and not 0x7F <= code <= 0x9F and not 0xD800 <= code <= 0xDFFF
