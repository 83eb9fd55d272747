"""``python -m benchmarks [--quick]``: everything, one after the other."""

from __future__ import annotations

import argparse
from contextlib import suppress

from benchmarks import accounts, decode, download, imports, limiter, plugin, requests, streaming
from benchmarks.tools import versions


def main() -> None:
    """Run all measurements and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Loopback only, a few minutes.")
    parser.add_argument("--quick", action="store_true", help="one short round of each, to see that it works")
    quick = parser.parse_args().quick
    print(versions(), end="\n\n")
    for part in (imports, plugin, decode, limiter, requests, accounts, streaming, download):
        part.main(quick=quick)
    print("Ratios hold from one machine to the next, absolute numbers do not.")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
