"""``ajoxi webhooks listen``: shows deliveries, and forwards them.

Rules:
1. The bytes and the signature are forwarded unchanged, so that the target can verify them, and its answer is the answer, so that the
   sender delivers again after a failure of the target. Without a target everything is answered 204.
2. What ``--events`` does not name is answered 204, and neither shown nor forwarded.
3. A delivery that was forwarded is answered even if it cannot be shown.
4. On a terminal, keys act on the last delivery, or on the one whose number was typed before: r sends it to the target again, b shows
   its body. What is sent again is the same bytes with the same signature.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web
from attrs import define, field

from ajoxi_async.cli.interrupts import Interrupt, interrupts
from ajoxi_async.cli.keyboard import key_presses
from ajoxi_async.cli.output import OutputError, note, say, warn
from ajoxi_async.cli.show.formats import json_text
from ajoxi_async.cli.status import UsageError, report
from ajoxi_async.cli.webhooks.deliveries import Delivery, History, chosen_types, read
from ajoxi_async.cli.webhooks.target import Target, check_secret
from ajoxi_async.contract import checks
from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.contract.headers import SIGNATURE
from ajoxi_async.webhooks import MAX_BYTES
from ajoxi_async.webhooks.aiohttp import SENDER_GONE

__all__ = ["run"]

#: Deliveries that the history shows.
_SHOWN: Final = 20
_HELP: Final = "keys: h history, r send the last one again, 12r send #12 again, b body, 12b body of #12, q end, ? this"
_ESCAPE: Final = "\x1b"


@define
class _Listener:
    """Takes deliveries, forwards and shows them, and acts on keys."""

    target: Target | None
    types: frozenset[str] | None
    secret: str | None
    with_body: bool
    as_json: bool
    interrupt: Interrupt
    history: History = field(factory=History)
    numbered: bool = False
    unwritten: list[OutputError] = field(factory=list)
    _typed: str = ""
    _resending: set[asyncio.Task[None]] = field(factory=set)

    async def take(self, request: web.Request) -> web.Response:
        """Take one delivery (rules 1 to 3)."""
        try:
            body = await request.read()
        except SENDER_GONE:
            return web.Response(status=400)  # which nobody hears
        signature = ",".join(request.headers.getall(SIGNATURE, ())) or None
        delivery = read(self.history.next_number(), body, signature, self.secret)
        if self.types is not None and delivery.type not in self.types:
            return web.Response(status=204)
        self.history.keep(delivery)
        status = await self._forward(delivery)
        return web.Response(status=status)

    async def _forward(self, delivery: Delivery) -> int:
        if self.target is None:
            status: int | None = 204
            answer = "204"
        else:
            status = await self.target.send(delivery.body, delivery.signature)
            answer = self.target.shown(status)
        self._show(self.history.answered(delivery, answer))
        return 502 if status is None else status

    def _show(self, delivery: Delivery) -> None:
        if self.as_json:
            self._say(json_text(delivery.to_dict()))
            return
        lines = [delivery.line(numbered=self.numbered)]
        self._say("\n".join(lines + (delivery.body_lines() if self.with_body else [])))

    def _say(self, text: str) -> None:
        try:
            say(text)
        except OutputError as error:
            self.unwritten.append(error)
            self.interrupt.set()

    def press(self, keys: str) -> None:
        """Act on keys (rule 4)."""
        if keys.startswith(_ESCAPE):  # also the arrows, which are several characters
            self._typed = ""
            return
        for key in keys:
            if key.isascii() and key.isdigit():
                self._typed = (self._typed + key)[-9:]
                continue
            number, self._typed = int(self._typed) if self._typed else None, ""
            self._act(key, number)

    def _act(self, key: str, number: int | None) -> None:
        if key == "q":
            self.interrupt.set()
        elif key == "?":
            self._tell(_HELP)
        elif key == "h":
            kept = self.history.latest(_SHOWN)
            self._tell("\n".join(one.line(numbered=True) for one in kept) or "nothing has come yet")
        elif key in {"r", "b"}:
            found = self.history.find(number)
            if found is None:
                self._tell("nothing has come yet" if number is None else f"there is no #{number} any more, or not yet")
            elif key == "b":
                self._tell("\n".join([found.line(numbered=True), *found.body_lines()]))
            elif self.target is None:
                self._tell("there is nowhere to send it: --forward-to was not given")
            else:
                task = asyncio.get_running_loop().create_task(self._resend(found))
                self._resending.add(task)
                task.add_done_callback(self._resending.discard)

    def _tell(self, text: str) -> None:
        """Say what a key asked for; beside lines of JSON on standard error."""
        if self.as_json:
            note(text)
        else:
            self._say(text)

    async def _resend(self, delivery: Delivery) -> None:
        await self._forward(delivery)

    async def aclose(self) -> None:
        """End what is being sent again."""
        for task in list(self._resending):
            task.cancel()
        await asyncio.gather(*self._resending, return_exceptions=True)


async def _listen(options: argparse.Namespace, types: frozenset[str] | None, secret: str | None) -> None:
    with interrupts(hangup=True) as interrupt:
        async with AsyncExitStack() as stack:
            target = None
            if options.url is not None:
                target = Target(options.url, options.allow_remote)
                stack.push_async_callback(target.aclose)
            listener = _Listener(target, types, secret, options.body, options.print_json, interrupt)
            stack.push_async_callback(listener.aclose)
            app = web.Application(client_max_size=MAX_BYTES)
            app.router.add_post("/{path:.*}", listener.take)
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", options.port).start()
            told = [f"Listening on http://127.0.0.1:{runner.addresses[0][1]}/ ; Ctrl-C ends it."]
            if options.public_url is not None:
                # The client is imported only if it is needed.
                from ajoxi_async.cli.webhooks.subscription import subscribed

                webhook = await stack.enter_async_context(subscribed(options, types))
                listener.secret = webhook.secret or secret
                told.append(f"Subscribed {webhook.id} at {options.public_url} until then.")
            listener.numbered = stack.enter_context(key_presses(listener.press))
            if listener.numbered:
                told.append(_HELP)
            # Beside lines of JSON there is nothing else on standard output.
            show = note if options.print_json else say
            for line in told:
                show(line)
            await interrupt.wait()
    if listener.unwritten:
        raise listener.unwritten[0]


def run(options: argparse.Namespace) -> int:
    """Listen until it is interrupted; return the exit status."""
    secret = (options.secret or os.environ.get("AJOXI_WEBHOOK_SECRET", "")).strip()
    try:
        if secret:
            check_secret(secret)
        if options.url is not None:
            checks.http_url("forward_to", options.url)
        if options.public_url is not None:
            checks.http_url("public_url", options.public_url)
        if not 0 <= options.port < 65536:
            raise UsageError("--port: expected 0 to 65535")
        asyncio.run(_listen(options, chosen_types(options.events), secret or None))
    except AjoxiError as error:
        return report(error)
    except OSError as error:
        warn(str(error))
        return 1
    return 0
