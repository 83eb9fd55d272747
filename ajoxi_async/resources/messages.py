"""Messages: SMS, MMS and conversation history (API reference: Core Endpoints, Messaging)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from ajoxi_async.contract import routes
from ajoxi_async.contract.calls import Direction
from ajoxi_async.contract.messages import Channel, Message
from ajoxi_async.pipeline.options import CallOptions, as_list
from ajoxi_async.pipeline.pager import Pager
from ajoxi_async.pipeline.pipeline import Pipeline
from ajoxi_async.pipeline.waiting import wait_for

__all__ = ["Messages"]


class Messages:
    """``client.messages``."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def send(
        self,
        *,
        to: str,
        from_: str,
        body: str | None = None,
        media_urls: Sequence[str] | None = None,
        template_id: str | None = None,
        template_variables: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> Message:
        """Send an SMS, an MMS, or a template.

        Args:
            to: E.164.
            from_: E.164 number of the account.
            body: 1 to 1,600 characters; with `media_urls` or alone.
            media_urls: 1 to 10 attachments, which make it an MMS.
            template_id: a stored template in place of body and media.
            template_variables: what to fill into the template: at most 50 texts of 1,600 characters.
            **options: see `CallOptions`.

        Raises:
            UnprocessableEntityError: the recipient has opted out, or cannot be reached.
            OutcomeUnknownError: the message may or may not have been sent; it is never sent twice.
        """
        params = {
            "to": to,
            "from": from_,
            "body": body,
            "media_urls": as_list(media_urls),
            "template_id": template_id,
            "template_variables": template_variables,
        }
        message = await self._pipeline.call(routes.MESSAGES_SEND, options, params=params)
        if self._pipeline.watchlist.listening:
            self._pipeline.watchlist.expect("message", message.id)
        return message

    async def wait(self, id: str | Message, *, timeout: float | None = 600.0) -> Message:
        """Wait until a message is delivered or has failed; how, and at whose cost, as `Calls.wait`.

        The API has no event for a message that fails, so such a wait ends by asking: with webhooks only when it is five
        minutes old or its time is nearly up.

        Args:
            id: the message, or its id.
            timeout: seconds, or ``None`` to wait for ever.

        Returns:
            The message as it is then; ``status`` says whether it was delivered.

        Raises:
            WaitTimeoutError: the time is up, or the message is not among the latest thousand.
            ClientClosedError: the client was closed.
        """
        return await wait_for(self._pipeline, "message", id, until="delivered", timeout=timeout, returns=Message)

    def list(
        self,
        *,
        direction: Direction | str | None = None,
        channel: Channel | str | None = None,
        conversation_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        max_items: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Pager[Message]:
        """List messages, newest first: ``async for`` for all, ``await`` for one page.

        Args:
            direction: only inbound or only outbound messages.
            channel: only sms or only mms.
            conversation_id: only this conversation.
            limit: items a page, 1 to 200, by default 50.
            cursor: where to start.
            max_items: stop after so many.
            **options: see `CallOptions`; they hold for each page.
        """
        query = {
            "direction": direction,
            "channel": channel,
            "conversation_id": conversation_id,
            "limit": limit,
            "cursor": cursor,
        }
        return Pager(self._pipeline, routes.MESSAGES_LIST, query, options, max_items=max_items)
