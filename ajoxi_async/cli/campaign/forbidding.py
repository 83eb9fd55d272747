"""Numbers that are never called again, from the command line and from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ajoxi_async.dialer import Campaign
from ajoxi_async.dialer.loading.rows import NumberFile
from ajoxi_async.dialer.rules.numbers import NumberRefused, parse_number
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = ["forbid", "numbers_of"]

#: Numbers in a command, which its owner carries out in one transaction.
_SOME: Final = 1_000
#: Wrong lines that are named.
_NAMED: Final = 3


def numbers_of(path: str) -> list[str]:
    """The numbers of a file, one a line.

    Raises:
        InvalidParameterError: it cannot be read, or a line is no number; the message names the first such lines.
    """
    found, wrong = [], []
    for line, number, *_ in NumberFile(Path(path)).rows():
        try:
            found.append(f"+{parse_number(str(number))}")
        except NumberRefused as error:
            wrong.append(f"line {line}: {error.reason}")
    if wrong:
        more = f" (and {len(wrong) - _NAMED} more lines)" if len(wrong) > _NAMED else ""
        raise InvalidParameterError("do_not_call", f"nothing was changed, because {'; '.join(wrong[:_NAMED])}{more}")
    return found


async def forbid(campaign: Campaign, numbers: list[str], *, everywhere: bool, reason: str) -> int:
    """Never call numbers again; return how many there are."""
    unique = list(dict.fromkeys(numbers))
    for start in range(0, len(unique), _SOME):
        await campaign.do_not_call(*unique[start : start + _SOME], everywhere=everywhere, reason=reason)
    return len(unique)
