"""Numbers: search, provision, port, configure and release (API reference: Core Endpoints, Numbers)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Unpack

from ajoxi_async.contract import routes
from ajoxi_async.contract.numbers import CallerId, Capability, Number, NumberType, Port, Routing, SmsConfig
from ajoxi_async.pipeline.options import CallOptions
from ajoxi_async.pipeline.pager import Pager
from ajoxi_async.pipeline.pipeline import Pipeline

__all__ = ["Numbers"]


class Numbers:
    """``client.numbers``."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def search(
        self,
        *,
        type: NumberType | str | None = None,
        country: str | None = None,
        area_code: str | None = None,
        contains: str | None = None,
        capability: Capability | str | None = None,
        status: Literal["available", "active", "porting", "released"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        max_items: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Pager[Number]:
        """Search numbers: ``async for`` for all, ``await`` for one page.

        Args:
            type: local, toll_free or international.
            country: ISO 3166-1 alpha-2, such as ``US``.
            area_code: digits after the country code.
            contains: digits anywhere in the number.
            capability: voice, sms, mms or fax.
            status: ``available`` unless given; ``active`` lists the account's own.
            limit: items a page, 1 to 200, by default 50.
            cursor: where to start.
            max_items: stop after so many.
            **options: see `CallOptions`; they hold for each page.
        """
        query = {
            "type": type,
            "country": country,
            "area_code": area_code,
            "contains": contains,
            "capability": capability,
            "status": status,
            "limit": limit,
            "cursor": cursor,
        }
        return Pager(self._pipeline, routes.NUMBERS_SEARCH, query, options, max_items=max_items)

    async def provision(
        self,
        *,
        phone_number: str,
        routing: Routing | Mapping[str, Any] | None = None,
        caller_id: CallerId | Mapping[str, Any] | None = None,
        sms: SmsConfig | Mapping[str, Any] | None = None,
        port: Port | Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> Number:
        """Take a number into the account, or port it in.

        Args:
            phone_number: E.164.
            routing: where inbound calls go.
            caller_id: the name shown to the person called.
            sms: whether text messages are accepted, and where they are forwarded.
            port: the data that the losing carrier needs; the number is ``porting`` until the carrier releases it.
            **options: see `CallOptions`.

        Raises:
            UnprocessableEntityError: the number is not available (``number_unavailable``).
            OutcomeUnknownError: the number may or may not have been taken.
        """
        params = {
            "phone_number": phone_number,
            "routing": routing,
            "caller_id": caller_id,
            "sms": sms,
            "port": port,
        }
        return await self._pipeline.call(routes.NUMBERS_PROVISION, options, params=params)

    async def update(
        self,
        id: str,
        *,
        routing: Routing | Mapping[str, Any] | None = None,
        caller_id: CallerId | Mapping[str, Any] | None = None,
        sms: SmsConfig | Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Number:
        """Change routing, caller-ID or SMS configuration; parameters that are not given stay unchanged.

        Args:
            id: the number.
            routing: where inbound calls go.
            caller_id: the name shown to the person called.
            sms: whether text messages are accepted, and where they are forwarded.
            **options: see `CallOptions`.

        Raises:
            NotFoundError: no such number in the account.
        """
        params = {"routing": routing, "caller_id": caller_id, "sms": sms}
        return await self._pipeline.call(routes.NUMBERS_UPDATE, options, id=id, params=params)

    async def release(self, id: str, **options: Unpack[CallOptions]) -> None:
        """Give a number back to the pool. Irreversible (API reference: Numbers).

        Raises:
            NotFoundError: no such number in the account.
        """
        await self._pipeline.call(routes.NUMBERS_RELEASE, options, id=id)
