"""Carrying out an operation of the API.

Rules:
1. Everything that can be wrong with what was typed is found before anything is sent.
2. What a live key should not do by mistake is asked first; see `confirmation`.
3. A write that was interrupted, by Ctrl-C for instance, and may have been done, is said. A call whose outcome is unknown is looked for
   once in the list of calls.
4. A list is one page, unless ``--all`` or ``--max-items`` is given. If there is more, standard error says how to get it.
5. Pages are written as they come. After a failure, standard error says how to go on.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from typing import Any, Final

from ajoxi_async.cli.api.confirmation import ASKS, can_ask, confirmed, question
from ajoxi_async.cli.api.operations import Operation, operation
from ajoxi_async.cli.api.values import as_typed, keywords
from ajoxi_async.cli.keys.choice import open_client
from ajoxi_async.cli.output import check_open, warn
from ajoxi_async.cli.show.fields import chosen_fields
from ajoxi_async.cli.show.formats import Writer, default_format, writer
from ajoxi_async.cli.status import NotConfirmedError, UsageError, report
from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.contract.headers import MAX_PAGE
from ajoxi_async.contract.routes import CALLS_CREATE
from ajoxi_async.pipeline.pager import Pager
from ajoxi_async.protocol.errors import OutcomeUnknownError, PaginationError

__all__ = ["run"]

#: Seconds that looking for a call in doubt may take.
_LOOKING: Final = 10.0


def run(options: argparse.Namespace) -> int:
    """Carry out an operation; return the exit status."""
    does = operation(options.route)
    typed = as_typed(does)
    unknown: list[OutcomeUnknownError] = []
    try:
        given = keywords(does, options)
        if options.timeout is not None:
            given["timeout"] = options.timeout
        write = _writer(does, options)
        client = open_client(options, on_outcome_unknown=unknown.append)
        _confirm(does, client, options, given)
        asyncio.run(_carry_out(does, client, options, given, write))
    except AjoxiError as error:
        return report(error, typed)
    except KeyboardInterrupt:
        for one in unknown:
            warn(f"interrupted: {one}: look before you do it again")
        raise
    return 0


def _writer(does: Operation, options: argparse.Namespace) -> Writer | None:
    if not does.returns:
        return None
    check_open()
    format = options.format or default_format(listing=does.listing)
    return writer(format, chosen_fields(options.fields, does.fields), does.fields, does.returns)


def _confirm(does: Operation, client: AsyncAjoxi, options: argparse.Namespace, given: Mapping[str, Any]) -> None:
    if client.mode != "live" or does.method == "GET" or does.route not in ASKS or options.yes:
        return
    asked = question(does.route, {"id": getattr(options, "id", ""), **given})
    if not can_ask():
        raise NotConfirmedError(f"{asked} There is no terminal to ask on: give --yes if you mean it; nothing was sent")
    if not confirmed(asked):
        raise NotConfirmedError("nothing was sent")


async def _carry_out(
    does: Operation, client: AsyncAjoxi, options: argparse.Namespace, given: Mapping[str, Any], write: Writer | None
) -> None:
    resource, _, name = does.route.partition(".")
    method = getattr(getattr(client, resource), name)
    ids = (options.id,) if does.takes_id else ()
    async with client:
        if does.listing:
            assert write is not None
            await _list(method, options, given, write)
            return
        try:
            answer = await method(*ids, **given)
        except OutcomeUnknownError as error:
            if error.route == CALLS_CREATE.name:
                await _look_for_call(client, error)
            raise
    if write is not None:
        write.one(answer.to_dict())
    else:
        warn(f"done: {does.resource} {does.word} {options.id}")


async def _look_for_call(client: AsyncAjoxi, error: OutcomeUnknownError) -> None:
    """Say what the list of calls shows of a call that may or may not have been placed."""
    try:
        found = await client.calls.reconcile(error, timeout=_LOOKING)
    except AjoxiError as failure:
        warn(f"it was looked for in the list of calls, which failed: {failure}")
        return
    ids = ", ".join(call.id for call in found.candidates)
    said = {
        "found": f"the list of calls has it: {ids}",
        "not_found_yet": "the list of calls does not have it so far, which does not mean that it was not placed",
    }
    warn(said.get(found.status, f"the list of calls has some that may be it: {ids}"))


async def _list(method: Any, options: argparse.Namespace, given: Mapping[str, Any], write: Writer) -> None:
    if options.all and options.max_items is not None:
        raise UsageError("--max-items: expected either this or --all")
    whole = options.all or options.max_items is not None
    if whole and "limit" not in given:
        given = {**given, "limit": min(MAX_PAGE, options.max_items or MAX_PAGE)}
    pager: Pager[Any] = method(**given, max_items=options.max_items)
    if not whole:
        page = await pager
        write.several([item.to_dict() for item in page.data])
        write.end()
        if page.has_more:
            warn(f"there is more: --all, or --cursor {page.next_cursor}")
        return
    begun = False
    try:
        async for page in pager.pages():
            write.several([item.to_dict() for item in page.data])
            begun = True
    except AjoxiError as error:
        if begun and not isinstance(error, PaginationError):
            warn(f"the list is not whole; to go on where it ends: --cursor {error.cursor}")
        raise
    write.end()
