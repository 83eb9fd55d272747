"""Which tests have failed, for fixtures that end differently then. Registered only where an option of the plugin needs it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

__all__ = ["has_failed"]

_FAILED: pytest.StashKey[bool] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a test that has failed."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[_FAILED] = True
    return report


def has_failed(node: pytest.Item) -> bool:
    """Whether a test has failed, as its fixtures see it afterwards."""
    return node.stash.get(_FAILED, False)
