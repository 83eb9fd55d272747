"""The version of the package. It is in the code because frozen, zipped and copied applications have no package metadata."""

from __future__ import annotations

from typing import Final

__all__ = ["VERSION"]

#: The same as in pyproject.toml, which a test checks.
VERSION: Final = "0.1.0"
