"""Which attempt a call of the API belongs to."""

from __future__ import annotations

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.headers import CLIENT_REFERENCE
from ajoxi_async.dialer.rules.references import Reference, References
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.statements import chunks, facts

__all__ = ["attempt_of_call", "number_of", "reference_of"]


def number_of(call: Call) -> int | None:
    """The number that was called, as an integer; ``None`` if it is no number."""
    digits = (call.to or "").removeprefix("+")
    return int(digits) if digits.isdecimal() and digits.isascii() else None


def reference_of(call: Call, references: References) -> Reference | None:
    """The reference of a call; ``None`` if it has none, or was copied with the metadata of a call to another number."""
    found = references.read(call.metadata.get(CLIENT_REFERENCE))
    return found if found is not None and number_of(call) in {found.number, None} else None


def attempt_of_call(db: Database, campaign: int, references: References, call: Call) -> int | None:
    """The id of the attempt of a call, by the reference in its metadata; ``None`` if the ledger has none."""
    reference = reference_of(call, references)
    if reference is not None:
        return facts.attempt_of(db, campaign, reference.number, reference.attempt)
    number = number_of(call)
    if number is None or not references.is_chunk(call.metadata.get(CLIENT_REFERENCE)):
        return None
    return chunks.attempt_of(db, campaign, number, call.id)
