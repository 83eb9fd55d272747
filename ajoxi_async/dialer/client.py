"""What the dialer uses of a client: `AsyncAjoxi`, or anything with these methods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, Self, TypeVar
from urllib.parse import urlsplit

from attrs import evolve

from ajoxi_async.contract.calls import Call, Campaign
from ajoxi_async.protocol.rate import Lane
from ajoxi_async.protocol.retry import RetryPolicy

__all__ = ["CallPages", "DialerCalls", "DialerClient", "Gate", "GivenClient", "api_of", "placing", "reading"]

#: Called synchronously after the limiter's turn and before anything is sent; if it raises, nothing was sent.
Gate = Callable[[], object]


class CallPage(Protocol):
    """One page of calls."""

    @property
    def data(self) -> tuple[Call, ...]: ...

    @property
    def next_cursor(self) -> str | None: ...


class CallPages(Protocol):
    """A list of calls: ``await`` gives one page."""

    def __await__(self) -> Generator[Any, Any, CallPage]: ...

    def pages(self) -> AsyncIterator[CallPage]: ...


class DialerCalls(Protocol):
    """The methods of ``client.calls``."""

    def create(
        self,
        *,
        to: str,
        from_: str,
        ai_receptionist: bool | None = None,
        record: bool | None = None,
        ring_timeout: int | None = None,
        metadata: Mapping[str, str] | None = None,
        agent_id: str | None = None,
        lane: Lane | None = ...,
        gate: Gate | None = ...,
    ) -> Awaitable[Call]: ...

    def create_campaign(
        self,
        *,
        name: str,
        mode: Literal["preview", "power", "predictive"],
        contacts: Sequence[str],
        from_: str,
        ai_receptionist: bool | None = None,
        record: bool | None = None,
        ring_timeout: int | None = None,
        metadata: Mapping[str, str] | None = None,
        agent_id: str | None = None,
        lane: Lane | None = ...,
        gate: Gate | None = ...,
    ) -> Awaitable[Campaign]: ...

    def retrieve(self, id: str, *, lane: Lane | None = ...) -> Awaitable[Call]: ...

    def list(
        self,
        *,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        direction: str | None = None,
        campaign_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        lane: Lane | None = ...,
    ) -> CallPages: ...


class DialerClient(Protocol):
    """The client."""

    @property
    def calls(self) -> DialerCalls: ...

    def with_options(self, *, retry: RetryPolicy | None = None, lane: Lane | None = None) -> Self: ...


ClientT = TypeVar("ClientT", bound=DialerClient)


class GivenClient(Protocol):
    """A client as users give it: a `DialerClient`.

    The resources of `AsyncAjoxi` are descriptors, which pyright does not look through where it compares with a protocol. Therefore the
    type of `calls` is not said here.
    """

    @property
    def calls(self) -> Any:
        """See `DialerCalls`."""

    def with_options(self, *, retry: RetryPolicy | None = None, lane: Lane | None = None) -> Self:
        """See `AsyncAjoxi.with_options`."""


def reading(client: ClientT) -> ClientT:
    """A client that looks calls up with the retries that its owner has chosen."""
    return client.with_options(retry=evolve(_retry_of(client), writes="strict"))


def placing(client: ClientT) -> ClientT:
    """A client that sends each request for a call once.

    It waits for no second attempt: what was not sent goes back into the ledger, where pauses, windows and do-not-call count, and where
    it is known that nothing was sent if the process dies meanwhile.
    """
    return client.with_options(retry=evolve(_retry_of(client), writes="strict", max_retries=0))


def _retry_of(client: object) -> RetryPolicy:
    found = getattr(client, "retry", None)
    return found if isinstance(found, RetryPolicy) else RetryPolicy()


def api_of(client: object) -> str:
    """The kind of API that a client dials: ``sandbox``, ``test`` or ``live``.

    A ledger belongs to one kind, because everybody whom a dry run has called would count as called, and be called by nobody.
    """
    host = urlsplit(str(getattr(client, "base_url", ""))).hostname or ""
    local = host in {"localhost", "127.0.0.1", "::1"} or host.endswith((".invalid", ".localhost"))
    return "sandbox" if local else str(getattr(client, "mode", "live"))
