"""The arguments of the commands that try a receiver of webhooks: ``webhooks listen``, ``trigger`` and ``doctor``."""

from __future__ import annotations

import argparse
from typing import Any, Final

from ajoxi_async.cli.api.operations import operation
from ajoxi_async.cli.arguments.account import add_account

__all__ = ["add"]

_ALIAS: Final = "call.start"


def _types() -> tuple[str, ...]:
    """The types of events. The name that is accepted when subscribing only is none of them."""
    events = next(option for option in operation("webhooks.create").options if option.keyword == "events")
    return tuple(choice for choice in events.choices if choice != _ALIAS)


def add(does: Any) -> None:
    """Add the commands below ``webhooks``."""
    trigger = does.add_parser("trigger", help="send one signed event to a receiver")
    trigger.add_argument("type", choices=_types())
    trigger.add_argument("--to", metavar="URL", dest="url", required=True)
    doctor = does.add_parser("doctor", help="try what goes wrong with receivers; a verdict for each rule")
    doctor.add_argument("url", metavar="URL")
    listen = does.add_parser("listen", help="show deliveries, and forward them as they are")
    _add_listen(listen)
    for one in (trigger, doctor, listen):
        one.add_argument("--secret", help="the webhook's secret (default: AJOXI_WEBHOOK_SECRET)")
        one.add_argument("--allow-remote", action="store_true", help="post to other machines as well")
    for one in (trigger, doctor):
        one.set_defaults(run=_try)
    listen.set_defaults(run=_listen)


def _add_listen(listen: argparse.ArgumentParser) -> None:
    listen.description = (
        "Show deliveries, and forward them as they are. On a terminal, keys show and resend what came; h lists them."
    )
    listen.add_argument("--forward-to", metavar="URL", dest="url", help="your receiver (default: answer 204 here)")
    listen.add_argument(
        "--port", type=int, default=8028, help="port on this machine (default: %(default)s, 0: a free one)"
    )
    listen.add_argument(
        "--events", metavar="TYPE", nargs="+", action="extend",
        help="only these, separated by spaces or commas; message.* is all of messages",
    )  # fmt: skip
    listen.add_argument("--body", action="store_true", help="show the body of each delivery")
    listen.add_argument("--print-json", action="store_true", help="a line of JSON for each delivery")
    listen.add_argument(
        "--public-url", metavar="URL",
        help="where the platform reaches this port; with a key, it is subscribed until the command ends",
    )  # fmt: skip
    add_account(listen)


def _try(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.webhooks.trying import run

    return run(options)


def _listen(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.webhooks.listen import run

    return run(options)
