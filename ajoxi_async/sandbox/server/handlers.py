"""One function for each route, from checked parameters to the object that answers. Changes are made by `state`.

The parity test asserts that every route has its handler here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from attrs import asdict, frozen

from ajoxi_async.contract.base import Model, Params, Resource
from ajoxi_async.contract.calls import Call, CallList
from ajoxi_async.contract.codec import PageBody
from ajoxi_async.contract.headers import DEFAULT_PAGE
from ajoxi_async.contract.messages import Message, MessageList
from ajoxi_async.contract.numbers import Capability, Number, NumberSearch
from ajoxi_async.contract.recordings import Recording, RecordingList
from ajoxi_async.contract.transcripts import Transcript
from ajoxi_async.contract.webhooks import Webhook, WebhookList
from ajoxi_async.sandbox.conversation.recordings import detailed
from ajoxi_async.sandbox.conversation.transcripts import transcript_of
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.long_answers import LONG_PAGE, LONG_TALK, LongAnswer, unless_short
from ajoxi_async.sandbox.state import calls, campaigns, messages, numbers, recordings, webhooks
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.lists import filter_keys
from ajoxi_async.sandbox.state.lists.cursors import decode_cursor, encode_cursor
from ajoxi_async.sandbox.state.lists.store import Picked
from ajoxi_async.sandbox.state.steps import Steps
from ajoxi_async.sandbox.time.moments import at

__all__ = ["HANDLERS", "Command"]

#: The resolution of times. It is added to the exclusive bound of lists, so that an object made exactly at the bound is listed.
_RESOLUTION = timedelta(milliseconds=1)


@frozen
class Command:
    """One request, checked.

    Attributes:
        account: the account of the request's key.
        now: its moment.
        id: the id in its path; empty if the path has none.
        params: its query or body, of the type that the route declares.
        lag: seconds after which lists show new objects.
    """

    account: Account
    now: float
    id: str
    params: Any
    lag: float = 0.0

    def until(self, before: datetime | None = None) -> datetime | None:
        """The moment before which an object must have been made to be listed; `before` is the client's own bound."""
        if not self.lag:
            return before
        shown = at(self.now - self.lag) + _RESOLUTION
        return shown if before is None else min(shown, before)


R = TypeVar("R", bound=Resource)

#: A handler of a command that is carried out in steps returns the steps, one whose answer takes long a `LongAnswer`.
Handler = Callable[[Command], Model | PageBody[Any] | Steps[Model] | LongAnswer[Any] | None]


def create_call(command: Command) -> Call:
    """POST /v1/calls: one outbound call. It is ringing when the answer is written, as in the reference."""
    return calls.create(command.account, command.params, command.now)


def create_campaign(command: Command) -> Steps[Model]:
    """POST /v1/calls with a campaign: its calls are queued and ring at the dialer's pace."""
    return campaigns.create_in_steps(command.account, command.params, command.now)


def _require(item: Any, kind: str, id: str) -> Any:
    if item is None:
        raise Refusal("not_found", f"no {kind} {id[:60]!r} in this account")
    return item


def retrieve_call(command: Command) -> Call:
    """GET /v1/calls/{id}."""
    return _require(command.account.calls.get(command.id), "call", command.id)  # type: ignore[no-any-return]


def transfer_call(command: Command) -> Call:
    """POST /v1/calls/{id}/transfer."""
    _require(command.account.calls.get(command.id), "call", command.id)
    return calls.transfer(command.account, command.id, command.params, command.now)


def _filters(params: Params) -> str:
    """The filters as text; a cursor is bound to them, the page size may change."""
    return repr(
        {name: value for name, value in asdict(params, recurse=False).items() if name not in {"limit", "cursor"}}
    )


def _page(picked: Picked[R]) -> PageBody[R] | LongAnswer[PageBody[R]]:
    return unless_short(picked.page, long=picked.size >= LONG_PAGE)


def list_calls(command: Command) -> PageBody[Call] | LongAnswer[PageBody[Call]]:
    """GET /v1/calls: from `created_after`, which counts, to `created_before`, which does not."""
    params: CallList = command.params
    return _page(
        command.account.calls.pick(
            limit=params.limit or DEFAULT_PAGE,
            cursor=params.cursor,
            filters=_filters(params),
            keys=[
                *_keys(status=params.status, direction=params.direction, campaign_id=params.campaign_id),
                *filter_keys.of_metadata(params.metadata or {}),
            ],
            since=params.created_after,
            until=command.until(params.created_before),
        )
    )


def _keys(**given: str | None) -> list[tuple[str, str]]:
    return [(name, value) for name, value in given.items() if value is not None]


def search_numbers(command: Command) -> PageBody[Number]:
    """GET /v1/numbers: what is on offer, or with `status` the account's own."""
    params: NumberSearch = command.params
    account = command.account

    def accept(number: Number) -> bool:
        digits = (number.phone_number or "").lstrip("+")
        national = digits.removeprefix(_COUNTRY_CODES.get(number.country or "", ""))
        return (
            (params.type is None or number.type == params.type)
            and (params.country is None or number.country == params.country)
            and (params.area_code is None or national.startswith(params.area_code))
            and (params.contains is None or params.contains in digits)
            and (params.capability is None or Capability(params.capability) in number.capabilities)
        )

    filters, limit = _filters(params), params.limit or DEFAULT_PAGE
    if params.status in {None, "available"}:
        start = 0 if params.cursor is None else decode_cursor(params.cursor, filters)
        found: list[Number] = []
        for position in range(start, len(account.inventory)):
            number = account.inventory[position]
            if number.phone_number in account.number_ids or not accept(number):
                continue
            if len(found) == limit:
                return PageBody(tuple(found), encode_cursor(position, filters), True)
            found.append(number)
        return PageBody(tuple(found), None, False)
    return account.numbers.pick(
        limit=limit,
        cursor=params.cursor,
        filters=filters,
        keys=[
            *_keys(status=params.status, type=params.type, country=params.country, capability=params.capability),
            *filter_keys.of_digits(params.area_code or ""),
            *filter_keys.of_digits(params.contains or ""),
        ],
        until=command.until(),
        accept=accept,
    ).page()


_COUNTRY_CODES = {"US": "1", "CA": "1", "GB": "44", "DE": "49", "FR": "33", "AU": "61"}


def provision_number(command: Command) -> Number:
    """POST /v1/numbers: take a number, or port one in."""
    return numbers.provision(command.account, command.params, command.now)


def update_number(command: Command) -> Number:
    """PUT /v1/numbers/{id}: change the given settings; others keep their values."""
    _require(command.account.numbers.get(command.id), "number", command.id)
    return numbers.update(command.account, command.id, command.params)


def release_number(command: Command) -> None:
    """DELETE /v1/numbers/{id}."""
    numbers.release(command.account, command.id)


def send_message(command: Command) -> Message:
    """POST /v1/messages."""
    return messages.send(command.account, command.params, command.now)


def list_messages(command: Command) -> PageBody[Message] | LongAnswer[PageBody[Message]]:
    """GET /v1/messages."""
    params: MessageList = command.params
    return _page(
        command.account.messages.pick(
            limit=params.limit or DEFAULT_PAGE,
            cursor=params.cursor,
            filters=_filters(params),
            keys=_keys(direction=params.direction, channel=params.channel, conversation_id=params.conversation_id),
            until=command.until(),
        )
    )


def list_recordings(command: Command) -> PageBody[Recording] | LongAnswer[PageBody[Recording]]:
    """GET /v1/recordings: dates as for calls."""
    params: RecordingList = command.params
    return _page(
        command.account.recordings.pick(
            limit=params.limit or DEFAULT_PAGE,
            cursor=params.cursor,
            filters=_filters(params),
            keys=_keys(agent_id=params.agent_id),
            since=params.created_after,
            until=command.until(params.created_before),
        )
    )


def retrieve_recording(command: Command) -> Recording | LongAnswer[Recording]:
    """GET /v1/recordings/{id}: with transcript and AI summary."""
    account = command.account
    recording: Recording = _require(account.recordings.get(command.id), "recording", command.id)
    call: Call = _require(account.calls.get(recording.call_id or ""), "call", recording.call_id or "")
    spoken = calls.plan_of(account, call).spoken
    return unless_short(partial(detailed, recording, call, spoken, command.now), long=spoken >= LONG_TALK)


def retrieve_transcript(command: Command) -> Transcript | LongAnswer[Transcript]:
    """GET /v1/transcripts/{id}: by the id of a transcript, a call or a recording. A call nobody answered has none."""
    account = command.account
    call: Call = _require(recordings.find_call(account, command.id), "transcript", command.id)
    if call.transcript_id is None:
        raise Refusal("not_found", f"no transcript of {command.id[:60]!r}")
    spoken = calls.plan_of(account, call).spoken
    return unless_short(partial(transcript_of, call, spoken, command.now), long=spoken >= LONG_TALK)


def list_webhooks(command: Command) -> PageBody[Webhook]:
    """GET /v1/webhooks: without secrets."""
    params: WebhookList = command.params
    return command.account.webhooks.pick(
        limit=params.limit or DEFAULT_PAGE, cursor=params.cursor, filters=_filters(params), until=command.until()
    ).page()


def create_webhook(command: Command) -> Webhook:
    """POST /v1/webhooks: with the secret, once."""
    return webhooks.create(command.account, command.params, command.now)


def delete_webhook(command: Command) -> None:
    """DELETE /v1/webhooks/{id}."""
    webhooks.delete(command.account, command.id)


#: Route name -> handler. `App` turns the call that `transcripts.stream` returns into a live transcript.
HANDLERS: dict[str, Handler] = {
    "calls.list": list_calls,
    "calls.create": create_call,
    "calls.create_campaign": create_campaign,
    "calls.retrieve": retrieve_call,
    "calls.transfer": transfer_call,
    "numbers.search": search_numbers,
    "numbers.provision": provision_number,
    "numbers.update": update_number,
    "numbers.release": release_number,
    "messages.list": list_messages,
    "messages.send": send_message,
    "recordings.list": list_recordings,
    "recordings.retrieve": retrieve_recording,
    "transcripts.retrieve": retrieve_transcript,
    "transcripts.stream": lambda command: _require(
        recordings.find_call(command.account, command.id), "transcript", command.id
    ),
    "webhooks.list": list_webhooks,
    "webhooks.create": create_webhook,
    "webhooks.delete": delete_webhook,
}
