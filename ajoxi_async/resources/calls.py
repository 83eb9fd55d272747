"""Calls: place, list, transfer and retrieve (API reference: Core Endpoints, Calls)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, Unpack

from attrs import frozen

from ajoxi_async.contract import routes
from ajoxi_async.contract.calls import Call, CallStatus, Campaign, Direction
from ajoxi_async.contract.encoding.exact_values import exact, seconds
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.headers import CLIENT_REFERENCE, MAX_PAGE
from ajoxi_async.contract.wire import Response
from ajoxi_async.pipeline.options import CallOptions, SendOptions, as_list
from ajoxi_async.pipeline.pager import Pager
from ajoxi_async.pipeline.pipeline import Pipeline, last_response
from ajoxi_async.pipeline.waiting import wait_for
from ajoxi_async.protocol.answers import date_of
from ajoxi_async.protocol.errors import OutcomeUnknownError
from ajoxi_async.protocol.sent_when import Span, first_guess, sent_within, tells_its_time

__all__ = ["Calls", "Reconciliation"]

#: Resolution of a Date header, in seconds.
_ROUNDING = 5.0
#: Longest `window` of `reconcile`, in seconds: a year.
_LONGEST_WINDOW = 366 * 86400
#: The year 9999, in seconds since the epoch.
_CALENDAR = 253_402_300_000.0
#: How many calls are searched when no time is known.
_LATEST = 1000


@frozen
class Reconciliation:
    """What `Calls.reconcile` found.

    Attributes:
        candidates: the calls that match.
        in_time: whether they match by their time as well. False if no clock could be trusted and nothing was found in the
            span that the local clock gives.
    """

    candidates: tuple[Call, ...]
    in_time: bool = True

    @property
    def status(self) -> Literal["found", "not_found_yet", "several", "unclear"]:
        """The result in a word. ``not_found_yet`` does not mean that the call does not exist.

        ``unclear`` means that there are calls with these numbers, and their times do not show whether one of them is it.
        """
        if not self.candidates:
            return "not_found_yet"
        if not self.in_time:
            return "unclear"
        return "found" if len(self.candidates) == 1 else "several"

    @property
    def call(self) -> Call | None:
        """The call, if exactly one matches."""
        return self.candidates[0] if self.status == "found" else None


def _at(moment: float) -> datetime:
    # A wrong clock may give any number, but datetime ends with the year 9999.
    return datetime.fromtimestamp(min(max(moment, 0.0), _CALENDAR), UTC)


class Calls:
    """``client.calls``."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def create(
        self,
        *,
        to: str,
        from_: str,
        ai_receptionist: bool | None = None,
        record: bool | None = None,
        ring_timeout: int | None = None,
        metadata: Mapping[str, str] | None = None,
        agent_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Call:
        """Place one outbound call.

        Args:
            to: E.164 number, or an extension such as ``ext:204``.
            from_: E.164 number of the account.
            ai_receptionist: let the AI receptionist take the call; ``ai_handler`` says which.
            record: record the call.
            ring_timeout: seconds to ring, 1 to 600. The API calls this parameter ``timeout``; the option ``timeout`` is not
                sent.
            metadata: strings by name, which the API returns and filters by, for your own references.
            agent_id: the agent the call belongs to.
            **options: see `CallOptions`.

        Raises:
            UnprocessableEntityError: the destination cannot be reached.
            OutcomeUnknownError: the call may or may not have been placed; it is never placed twice. `reconcile` looks for it.
        """
        if self._pipeline.client_references and (metadata is None or isinstance(metadata, Mapping)):
            metadata = {CLIENT_REFERENCE: uuid.uuid4().hex, **(exact(metadata, "metadata") or {})}
        params = {
            "to": to,
            "from": from_,
            "ai_receptionist": ai_receptionist,
            "record": record,
            "timeout": ring_timeout,
            "metadata": metadata,
            "agent_id": agent_id,
        }
        call = await self._pipeline.call(routes.CALLS_CREATE, options, params=params)
        if self._pipeline.watchlist.listening:
            self._pipeline.watchlist.expect("call", call.id)
        return call

    async def wait(
        self, id: str | Call, *, until: Literal["answered", "completed"] = "completed", timeout: float | None = 600.0
    ) -> Call:
        """Wait until a call is answered or over.

        Events wake it if the client listens to a router (`AsyncAjoxi.listen_to`). Otherwise the API is asked every two seconds
        at most, and less often the longer it takes, by one request for all waits of the client's key.

        Args:
            id: the call, or its id.
            until: ``"answered"`` ends as well when the call is over without an answer; see its ``disposition``.
            timeout: seconds, or ``None`` to wait for ever.

        Returns:
            The call as it is then: ``status`` says whether it is over, ``disposition`` how it ended.

        Raises:
            WaitTimeoutError: the time is up; the error has the last known state.
            NotFoundError: no such call in the account.
            ClientClosedError: the client was closed.
        """
        if until not in ("answered", "completed"):
            raise InvalidParameterError("until", f"expected 'answered' or 'completed', got {until!r:.40}")
        return await wait_for(self._pipeline, "call", id, until=until, timeout=timeout, returns=Call)

    async def create_and_wait(
        self,
        *,
        to: str,
        from_: str,
        ai_receptionist: bool | None = None,
        record: bool | None = None,
        ring_timeout: int | None = None,
        metadata: Mapping[str, str] | None = None,
        agent_id: str | None = None,
        until: Literal["answered", "completed"] = "completed",
        timeout: float | None = 600.0,
        **options: Unpack[SendOptions],
    ) -> Call:
        """Place a call as `create` does, then wait as `wait` does.

        Args:
            to: as for `create`.
            from_: as for `create`.
            ai_receptionist: as for `create`.
            record: as for `create`.
            ring_timeout: as for `create`.
            metadata: as for `create`.
            agent_id: as for `create`.
            until: as for `wait`.
            timeout: seconds for both together, or ``None``.
            **options: see `SendOptions`; they are those of the request that places the call.

        Raises:
            WaitTimeoutError: the call was placed, and the time is up; ``error.id`` and ``error.last`` are the call.
            OutcomeUnknownError: the call may or may not have been placed.
        """
        if until not in ("answered", "completed"):
            raise InvalidParameterError("until", f"expected 'answered' or 'completed', got {until!r:.40}")
        began = self._pipeline.clock()
        call = await self.create(
            to=to,
            from_=from_,
            ai_receptionist=ai_receptionist,
            record=record,
            ring_timeout=ring_timeout,
            metadata=metadata,
            agent_id=agent_id,
            timeout=timeout,
            **options,
        )
        if timeout is not None:
            # At least a moment, so that a call that was placed is never answered by an error about the parameter.
            timeout = max(0.001, timeout - (self._pipeline.clock() - began))
        return await self.wait(call, until=until, timeout=timeout)

    async def create_campaign(
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
        **options: Unpack[CallOptions],
    ) -> Campaign:
        """Trigger a dialer campaign on the endpoint of calls; its calls are listed by ``campaign_id``.

        Args:
            name: 1 to 200 characters.
            mode: of the dialer.
            contacts: 1 to 10,000 E.164 numbers.
            from_: E.164 number of the account.
            ai_receptionist: as for `create`, for every call.
            record: as for `create`, for every call.
            ring_timeout: as for `create`, for every call.
            metadata: as for `create`, for every call.
            agent_id: as for `create`, for every call.
            **options: see `CallOptions`.

        Raises:
            OutcomeUnknownError: the campaign may or may not have been started.
        """
        params = {
            "from": from_,
            "campaign": {"name": name, "mode": mode, "contacts": as_list(contacts)},
            "ai_receptionist": ai_receptionist,
            "record": record,
            "timeout": ring_timeout,
            "metadata": metadata,
            "agent_id": agent_id,
        }
        return await self._pipeline.call(routes.CALLS_CREATE_CAMPAIGN, options, params=params)

    async def retrieve(self, id: str, **options: Unpack[CallOptions]) -> Call:
        """Retrieve a single call with its full metadata.

        Raises:
            NotFoundError: no such call in the account.
        """
        return await self._pipeline.call(routes.CALLS_RETRIEVE, options, id=id)

    async def transfer(
        self,
        id: str,
        *,
        agent_id: str | None = None,
        extension: str | None = None,
        to: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Call:
        """Transfer an active call to exactly one of an agent, an extension or a number.

        Args:
            id: the call.
            agent_id: an agent.
            extension: digits of an extension.
            to: E.164 number or ``ext:204``.
            **options: see `CallOptions`.

        Raises:
            UnprocessableEntityError: the call is not active.
            OutcomeUnknownError: the call may or may not have been transferred.
        """
        params = {"agent_id": agent_id, "extension": extension, "to": to}
        return await self._pipeline.call(routes.CALLS_TRANSFER, options, id=id, params=params)

    async def reconcile(
        self, error: OutcomeUnknownError, *, window: float = 300.0, **options: Unpack[CallOptions]
    ) -> Reconciliation:
        """Look for the call that a `create` of unknown outcome may have placed.

        It searches by the client reference if the call has one (``client_references=True``), otherwise by its two numbers
        and its time. The time is the server's, from the ``Date`` of its answers, so the local clock may be wrong.

        Args:
            error: the error that `create` raised or ``on_outcome_unknown`` was called with; it may come from a pickle of
                another process.
            window: seconds by which a call may be early or late.
            **options: see `CallOptions`.

        Returns:
            The result: the call; or none so far, although it may appear later; or several calls that match; or calls that
            match and whose times show nothing (`Reconciliation.status`).

        Raises:
            InvalidParameterError: `error` is not of a `create`.
        """
        if not isinstance(error, OutcomeUnknownError) or error.route != routes.CALLS_CREATE.name:
            raise InvalidParameterError("error", "expected the OutcomeUnknownError of calls.create")
        within = seconds(window)
        if within is None or not 0 < within <= _LONGEST_WINDOW:
            raise InvalidParameterError(
                "window", f"expected seconds above 0, {_LONGEST_WINDOW} at most, got {window!r}"
            )
        if error.client_reference is not None:
            found = self.list(metadata={CLIENT_REFERENCE: error.client_reference}, limit=2, max_items=2, **options)
            return Reconciliation(tuple([call async for call in found]))
        outer, answered = last_response.get(), list[Response]()
        token = last_response.set(answered)
        try:
            return await self._look(error, within, answered, options)
        finally:
            last_response.reset(token)
            if outer is not None:
                outer.extend(answered)

    async def _look(
        self, error: OutcomeUnknownError, window: float, answered: Sequence[Response], options: CallOptions
    ) -> Reconciliation:
        """Search the span by the local clock, then the span by the server's clock, then the latest calls of all."""
        span = first_guess(error, window + _ROUNDING)
        found = await self._matching(error, span, options)
        date = date_of(answered[-1].headers)
        if date is not None:
            now = self._pipeline.clock()
            when_sent = sent_within(error, window, server_now=date, our_now=now, wall_now=time.time())
            if when_sent is not None and (span is None or not span.covers(when_sent, tolerance=0)):
                span = when_sent
                found = await self._matching(error, span, options)
        if found and span is not None:
            return Reconciliation(found)
        if span is not None:
            if date is not None and tells_its_time(error):
                return Reconciliation(())
            found = await self._matching(error, None, options)
        return Reconciliation(found, in_time=False)

    async def _matching(self, error: OutcomeUnknownError, span: Span | None, options: CallOptions) -> tuple[Call, ...]:
        """Outbound calls with the numbers of the error, within a span of time if there is one, else among the latest."""
        calls = self.list(
            created_after=None if span is None else _at(span.start),
            created_before=None if span is None else _at(span.end),
            direction=Direction.OUTBOUND,
            limit=MAX_PAGE,
            max_items=_LATEST if span is None else None,
            **options,
        )
        return tuple([call async for call in calls if (call.to, call.from_) == (error.to, error.from_)])

    def list(
        self,
        *,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        status: CallStatus | str | None = None,
        direction: Direction | str | None = None,
        campaign_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        max_items: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Pager[Call]:
        """List calls, newest first: ``async for`` for all, ``await`` for one page.

        Args:
            created_after: aware; calls created at or after this moment.
            created_before: aware; calls created before this moment.
            status: only calls in this status.
            direction: only inbound or only outbound calls.
            campaign_id: only calls of this campaign.
            metadata: only calls that carry all of these.
            limit: items a page, 1 to 200, by default 50.
            cursor: where to start.
            max_items: stop after so many.
            **options: see `CallOptions`; they hold for each page.
        """
        query = {
            "created_after": created_after,
            "created_before": created_before,
            "status": status,
            "direction": direction,
            "campaign_id": campaign_id,
            "metadata": metadata,
            "limit": limit,
            "cursor": cursor,
        }
        return Pager(self._pipeline, routes.CALLS_LIST, query, options, max_items=max_items)
