"""What a forked child finds: the parent's locks as they stood, perhaps held by a thread that the child does not have.

Whoever owns a lock, a queue or a thread registers here and makes them anew in the child.
"""

from __future__ import annotations

import logging
import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["renew_in_child"]

logger: logging.Logger = logging.getLogger("ajoxi_async")


class Renewable(Protocol):
    """Owns what does not survive a fork."""

    def renew(self) -> None:
        """Called in the child, which has one thread and runs no task of the parent's."""


_registered: WeakSet[Renewable] = WeakSet()


def renew_in_child(owner: Renewable) -> None:
    """Have `owner` renewed in each child that is forked while it exists."""
    _registered.add(owner)


def _renew_all() -> None:
    for owner in list(_registered):
        # One that fails must not keep the others from being renewed: the child would hang on their locks.
        try:
            owner.renew()
        except Exception:
            logger.exception("a forked child could not renew %s", type(owner).__name__)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew_all)
