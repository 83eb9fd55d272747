"""Nothing the codec does once changes what it does next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ajoxi_async.contract import codec
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.recordings import RecordingList


def test_a_number_is_no_time_after_a_first_use() -> None:
    """A query's epoch number is refused before and after the class was written for the first time."""
    for _ in range(2):
        with pytest.raises(InvalidParameterError, match="^created_before: expected an RFC 3339 time"):
            codec.parse_query([("created_before", "1715800000")], RecordingList)
        codec.to_query(RecordingList(created_before=datetime(2026, 1, 1, tzinfo=UTC)))
