"""The version of the package, where an application has no metadata of it: frozen, zipped, or copied."""

from __future__ import annotations

from typing import Final

__all__ = ["VERSION"]

#: As in pyproject.toml; a test holds the two together.
VERSION: Final = "0.1.0"
