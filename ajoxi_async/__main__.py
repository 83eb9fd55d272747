"""``python -m ajoxi_async`` is the command ``ajoxi``."""

from __future__ import annotations

import sys

from ajoxi_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
