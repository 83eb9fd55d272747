"""What PyInstaller has to know: where the hook beside this file is (entry point ``pyinstaller40``)."""

from __future__ import annotations

from pathlib import Path

__all__ = ["hook_dirs"]


def hook_dirs() -> list[str]:
    """The directory of the hook; asked while an application is built, never in one."""
    return [str(Path(__file__).parent)]
