"""Labels that people give to keys and snapshots: short texts of one line, since lists and terminals show them."""

from __future__ import annotations

from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["checked_label"]

#: Characters of a label at most.
LONGEST = 100


def checked_label(label: str) -> str:
    """A label that can be shown.

    Raises:
        InvalidParameterError: it is no text, longer than a hundred characters, or has control characters or halves of
            surrogate pairs, which no answer can carry.
    """
    if not isinstance(label, str) or len(label) > LONGEST or not all(map(_shows, label)):
        raise InvalidParameterError("label", f"expected a text of at most {LONGEST} characters, no control characters")
    return label


def _shows(character: str) -> bool:
    code = ord(character)
    return code >= 0x20 and not 0x7F <= code <= 0x9F and not 0xD800 <= code <= 0xDFFF
