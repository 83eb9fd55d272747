"""Names of headers, fixed values of the API, and headers as a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

AUTHORIZATION: Final = "Authorization"
CONTENT_TYPE: Final = "Content-Type"
DATE: Final = "Date"
LOCATION: Final = "Location"
REQUEST_ID: Final = "X-Request-Id"
RATE_LIMIT: Final = "X-RateLimit-Limit"
RATE_REMAINING: Final = "X-RateLimit-Remaining"
RATE_RESET: Final = "X-RateLimit-Reset"
RETRY_AFTER: Final = "Retry-After"
DEPRECATION: Final = "Deprecation"
SUNSET: Final = "Sunset"
SIGNATURE: Final = "X-Ajoxi-Signature"
#: The API reference does not document idempotency keys, so a POST is never sent again because of one.
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
LAST_EVENT_ID: Final = "Last-Event-ID"

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

#: The key of a call's metadata that holds the client's own reference.
CLIENT_REFERENCE: Final = "client_reference"

#: Standard accounts: requests per second per API key (API reference: Rate limits).
DEFAULT_RATE: Final = 100
#: Items on a page by default and at most (API reference: Pagination).
DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 200
#: (API reference: Base URL)
DEFAULT_BASE_URL: Final = "https://api.ajoxi.com"


class Headers(dict[str, str]):
    """Headers, looked up without regard to case."""

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in given.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """The value of a header, in whatever case it is written."""
        return super().get(name.lower(), default)
