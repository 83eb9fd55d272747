"""Tells PyInstaller where to find the hook beside this file (entry point ``pyinstaller40``)."""

from __future__ import annotations

from pathlib import Path

__all__ = ["hook_dirs"]


def hook_dirs() -> list[str]:
    """The directory of the hook. PyInstaller calls this while it builds an application."""
    return [str(Path(__file__).parent)]
