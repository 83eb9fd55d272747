"""Whether the last commit can be published: build it, install it, test it, and say what is in it.

1. Two clones of the commit, built one after the other, give the same bytes.
2. twine accepts both distributions.
3. The wheel and the source distribution are installed, each with every extra into a new environment, from the index as users do
   it, and `ajoxi --help` runs.
4. The unpacked source distribution passes the tests of the project (tests/test_project.py), by its own Makefile.
5. An SBOM (CycloneDX JSON) says what the wheel brings along, and pip-audit knows of no vulnerability in it. Where pip-audit
   cannot reach its data, this is skipped, which is said.

What is to be published is then in `build/release/dist`, and the SBOM beside it. The first failure ends it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
RELEASE = ROOT / "build/release"
#: The zip format counts time in steps of two seconds.
CLOCK_STEP = 2.1


def run(*command: str | Path, cwd: Path = ROOT, mask: int | None = None) -> None:
    """Run a command.

    Raises:
        SystemExit: it failed.
    """
    print("$", *command, flush=True)
    if subprocess.run(command, cwd=cwd, check=False, umask=-1 if mask is None else mask).returncode:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")


def build_twice(temporary: Path) -> list[Path]:
    """Build two clones of the last commit, and compare them. Returns what was built."""
    builds = []
    for name, mask in (("one", 0o022), ("another/one", 0o077)):
        clone, target = temporary / name / "clone", temporary / name / "dist"
        run("git", "clone", "--quiet", "--no-hardlinks", ROOT, clone, mask=mask)
        time.sleep(CLOCK_STEP)
        run(sys.executable, clone / ".ci/build.py", target, cwd=temporary, mask=mask)
        builds.append({path.name: path.read_bytes() for path in target.iterdir()})
    differing = [name for name in builds[0] if builds[1].get(name) != builds[0][name]]
    if differing or builds[0].keys() != builds[1].keys():
        raise SystemExit(f"two builds of one commit differ: {', '.join(differing)}")
    shutil.rmtree(RELEASE, ignore_errors=True)
    (RELEASE / "dist").mkdir(parents=True)
    for name, content in builds[0].items():
        (RELEASE / "dist" / name).write_bytes(content)
    print(f"two builds are the same, byte for byte: {', '.join(sorted(builds[0]))}")
    return sorted((RELEASE / "dist").iterdir())


def install(distribution: Path, environment: Path) -> Path:
    """Install a distribution with all extras into a new environment. Returns the environment's Python."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin/python"
    # Without pip in it, so that the environment holds what the package brings along and nothing else.
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", f"{distribution}[{','.join(extras)}]")
    run(*pip, "check")
    run(environment / "bin/ajoxi", "--help")
    return python


def test_sources(distribution: Path, temporary: Path) -> None:
    """Run the tests of the project from the source distribution."""
    with tarfile.open(distribution) as archive:
        archive.extractall(temporary, filter="data")
    (root,) = temporary.iterdir()
    python = f"PYTHON={getattr(sys, '_base_executable', sys.executable)}"
    run("make", "test", python, "TEST_ARGS=tests/test_project.py", "WORKERS=0", cwd=root)


def describe(python: Path) -> None:
    """Write the SBOM."""
    target = RELEASE / "sbom.cdx.json"
    tool = (sys.executable, "-m", "cyclonedx_py", "environment", python, "--pyproject", ROOT / "pyproject.toml")
    run(*tool, "--output-reproducible", "--output-format", "JSON", "--output-file", target)
    components = json.loads(target.read_text(encoding="utf-8"))["components"]
    print(f"{target.relative_to(ROOT)}: {len(components)} components")


def audit(python: Path) -> None:
    """Look for known vulnerabilities in what the wheel brings along.

    Raises:
        SystemExit: there are some.
    """
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--path",
        str(packages),
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        why = (done.stderr.strip() or "it printed nothing").splitlines()[-1]
        print(f"pip-audit: skipped, because it could not reach its data: {why}")
        return
    bad = [f"{one['name']} {one['version']}: {flaw['id']}" for one in found for flaw in one.get("vulns", ())]
    if bad:
        raise SystemExit("known vulnerabilities: " + "; ".join(bad))
    print(f"pip-audit: {len(found)} packages, no known vulnerability")


def main() -> None:
    """Check everything."""
    state = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    if state.stdout.strip():
        raise SystemExit("what is not committed would not be published; commit it or remove it:\n" + state.stdout)
    # The variables of the make that runs this are not for the make of the source distribution.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "PYTHONPATH"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="ajoxi-release-") as folder:
        temporary = Path(folder)
        wheel, sources = sorted(build_twice(temporary), key=lambda path: path.suffix != ".whl")
        run(sys.executable, "-m", "twine", "check", "--strict", wheel, sources)
        python = install(wheel, temporary / "from-wheel")
        install(sources, temporary / "from-sources")
        (temporary / "unpacked").mkdir()
        test_sources(sources, temporary / "unpacked")
        describe(python)
        audit(python)


if __name__ == "__main__":
    main()
