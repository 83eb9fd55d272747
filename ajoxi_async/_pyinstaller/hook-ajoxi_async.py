"""Include the package's data files in a frozen application."""

from __future__ import annotations

from PyInstaller.utils.hooks import collect_data_files

datas = collect_data_files("ajoxi_async")
