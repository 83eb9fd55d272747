"""The versions and hashes that development uses: write `.ci/constraints.txt` anew, or print the part of it that a purpose needs.

    python .ci/constraints.py renew      # needs uv, as `make constraints` installs it
    python .ci/constraints.py for test   # needs nothing but Python

Rules:
1. There is one file for all purposes, so that the tests and the linters use the same versions, and for all supported versions of
   Python and operating systems, by the markers of the requirements.
2. The line before a requirement names the purposes that need it.
3. pip checks hashes only if every requirement has them, and cannot mix them with the wheel that is tested or a checkout. So
   the Makefile installs what `for` prints with ``--require-hashes`` first, and the package after it with ``--no-deps``.
4. The file names no index: whoever installs from it uses the index that their pip is configured for.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
FILE = ROOT / ".ci/constraints.txt"


class Purpose(NamedTuple):
    """What something needs.

    Attributes:
        groups: dependency groups of pyproject.toml.
        extras: extras of the package; ``None`` if not even the package's own dependencies are needed.
        builds: whether the package is built.
    """

    groups: Sequence[str]
    extras: Sequence[str] | None = None
    builds: bool = False


PURPOSES = {
    "pip": Purpose(["pip"]),
    "build": Purpose(["build"]),
    "demo": Purpose([], ["cli"], builds=True),
    "test": Purpose(["test"], []),
    "coverage": Purpose(["test", "coverage"], []),
    "mutation": Purpose(["test", "mutation"], []),
    "frozen": Purpose(["test", "frozen"], []),
    "lint": Purpose(["test", "lint"], [], builds=True),
    "docs": Purpose(["test", "docs"], [], builds=True),
    "bench": Purpose(["bench"], ["uvloop"], builds=True),
    "release": Purpose(["release"]),
    "constraints": Purpose(["constraints"]),
}

#: hatchling asks for it when a checkout is installed.
EDITABLE = "editables>=0.5"

HEAD = """\
# Written by `make constraints`; see .ci/constraints.py. The line before a requirement names what needs it.
"""


def compile_pins(purpose: Purpose, *options: str) -> str:
    """Let uv choose versions for all supported Pythons and systems."""
    lowest = re.search(r"\d+\.\d+", project()["project"]["requires-python"])
    assert lowest is not None
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", lowest[0]]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", *options]
    command += ["-"] if purpose.extras is None else ["pyproject.toml", "-"]
    for group in purpose.groups:
        command += ["--group", group]
    for extra in purpose.extras or ():
        command += ["--extra", extra]
    builds = "\n".join([*project()["build-system"]["requires"], EDITABLE] if purpose.builds else ())
    run = subprocess.run(command, input=builds, capture_output=True, text=True, cwd=ROOT, check=False)
    if run.returncode:
        raise SystemExit(run.stderr)
    return run.stdout


def project() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def names_of(pins: str) -> set[str]:
    """The names and versions of requirements."""
    return set(re.findall(r"^[\w.-]+==[^\s;]+", pins, re.MULTILINE))


def renew() -> None:
    """Choose the newest versions that fit together, and write the file."""
    groups = sorted({group for purpose in PURPOSES.values() for group in purpose.groups})
    extras = sorted({extra for purpose in PURPOSES.values() for extra in purpose.extras or ()})
    everything = compile_pins(Purpose(groups, extras, builds=True), "--generate-hashes", "--upgrade")
    chosen = ROOT / "build/constraints.txt"
    chosen.parent.mkdir(exist_ok=True)
    chosen.write_text(re.sub(r" \\\n( +--hash=\S+( \\\n)?)+", "", everything), encoding="utf-8")
    needed = {name: names_of(compile_pins(purpose, "--constraint", str(chosen))) for name, purpose in PURPOSES.items()}
    lines = []
    for requirement in re.split(r"\n(?=[\w.-]+==)", everything.strip()):
        (pin,) = names_of(requirement)
        lines += [f"# {' '.join(sorted(purpose for purpose, pins in needed.items() if pin in pins))}", requirement]
    FILE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def needed_for(purpose: str) -> str:
    """The requirements of a purpose.

    Raises:
        SystemExit: the file has none, because there is no such purpose.
    """
    parts = re.split(r"^# (.*)\n", FILE.read_text(encoding="utf-8").removeprefix(HEAD), flags=re.MULTILINE)
    found = [
        requirement
        for purposes, requirement in zip(parts[1::2], parts[2::2], strict=True)
        if purpose in purposes.split()
    ]
    if not found:
        raise SystemExit(f"nothing in {FILE.name} is for {purpose!r}")
    return "".join(found)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["renew"]:
            renew()
        case ["for", purpose]:
            print(needed_for(purpose), end="")
        case _:
            raise SystemExit(__doc__)
