"""Calls: place, list, transfer and retrieve (API reference: Core Endpoints, Calls)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Unpack

from ajoxi_async.contract import routes
from ajoxi_async.contract.calls import Call, CallStatus, Campaign, Direction
from ajoxi_async.options import CallOptions, as_list
from ajoxi_async.pager import Pager
from ajoxi_async.pipeline import Pipeline

__all__ = ["Calls"]


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
            ring_timeout: seconds to ring, 1 to 600; ``timeout`` on the wire, where the option of that name never goes.
            metadata: an object of strings, echoed and filterable: your own reference for the call.
            agent_id: the agent the call belongs to.
            **options: see `CallOptions`.

        Raises:
            UnprocessableEntityError: the destination cannot be reached.
            OutcomeUnknownError: the call may or may not have been placed; it is never placed twice.
        """
        params = {
            "to": to,
            "from": from_,
            "ai_receptionist": ai_receptionist,
            "record": record,
            "timeout": ring_timeout,
            "metadata": metadata,
            "agent_id": agent_id,
        }
        return await self._pipeline.call(routes.CALLS_CREATE, options, params=params)

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
            mode: how the dialer goes about it.
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
