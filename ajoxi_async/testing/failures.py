"""Which tests have failed, for fixtures that end differently then. Registered only where an option of the plugin needs it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

__all__ = ["has_failed", "has_passed"]

_FAILED: pytest.StashKey[bool] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a test has failed."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


def has_failed(node: pytest.Item) -> bool:
    """Whether a test has failed, as its fixtures see it afterwards."""
    return node.stash.get(_FAILED, False)


def has_passed(node: pytest.Item) -> bool:
    """Whether a test came to its end and has not failed, as its fixtures see it afterwards; Ctrl-C ends one before."""
    return not node.stash.get(_FAILED, True)
