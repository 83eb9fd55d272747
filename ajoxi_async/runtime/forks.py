"""Renewing objects in a forked child.

A child inherits the parent's locks as they were, perhaps held by a thread that does not exist in the child. An object that
owns a lock, a queue or a thread registers here and replaces them in the child.
"""

from __future__ import annotations

import logging
import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["renew_in_child"]

logger: logging.Logger = logging.getLogger("ajoxi_async")


class Renewable(Protocol):
    """An object with locks, queues or threads that cannot be used after a fork."""

    def renew(self) -> None:
        """Replace them. Called in the child, which has one thread and runs none of the parent's tasks."""


_registered: WeakSet[Renewable] = WeakSet()


def renew_in_child(owner: Renewable) -> None:
    """Have `owner` renewed in each child that is forked while it exists."""
    _registered.add(owner)


def _renew_all() -> None:
    for owner in list(_registered):
        # A failure must not stop the loop, or the child would hang on the locks of the objects after it.
        try:
            owner.renew()
        except Exception:
            logger.exception("a forked child could not renew %s", type(owner).__name__)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew_all)
