"""The mutation score: how many small faults in the code the tests notice.

    python -m benchmarks.mutation --sample 300        # hours; with --sample 30 some twenty minutes
    python -m benchmarks.mutation --only protocol limits

Rules:
1. The faults are those of cosmic-ray's operators, one at a time: another comparison, another number, `and` for `or`, `break` for
   `continue`, a condition negated, a decorator removed, a loop that never runs.
2. A place in the code is drawn first, and then one of the faults that are possible there, so that a comparison, which can be
   replaced in seven ways, does not count seven times. The same seed and code give the same sample.
3. The faulty code runs in a copy of the checkout. The folders of tests that are nearest to it run one after the other until a test fails.
4. A fault is killed if a test fails or the tests take three times as long as without it, and survives otherwise. A survivor is
   either a test that is missing, or equivalent: it changes nothing that can be seen. A person has to decide which.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.tools import table

__all__ = ["main"]

ROOT = Path(__file__).parent.parent
COPIED = ("ajoxi_async", "tests", "examples", "benchmarks", "docs", ".ci")
#: The folders of the package -> the folders of tests that are nearest, the quickest first.
NEAREST = {
    "protocol": ("tests/protocol", "tests/pipeline", "tests/limits", "tests/streaming"),
    "pipeline": ("tests/pipeline", "tests/client"),
    "limits": ("tests/limits", "tests/client"),
    "webhooks": ("tests/webhooks",),
    "dialer": ("tests/dialer",),
}
OPERATORS = (
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBinaryOperator_Mul_Div",
    "ReplaceBinaryOperator_Div_Mul",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_Lt_GtE",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_LtE_Gt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_Gt_LtE",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_GtE_Lt",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceUnaryOperator_Delete_Not",
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ExceptionReplacer",
    "NumberReplacer",
    "RemoveDecorator",
    "ZeroIterationForLoop",
)


class Fault(NamedTuple):
    """One fault: a file of the package, the line, the operator and which of its occurrences in the file."""

    file: str
    line: int
    operator: str
    occurrence: int

    @property
    def folder(self) -> str:
        return self.file.split("/")[1]


def _faults_of(path: Path) -> Iterator[tuple[tuple[int, int], Fault]]:
    """Every fault that is possible in a file, with its place: line and column."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator

    tree = get_ast(path.read_text(encoding="utf-8"))
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        places = [place for node in ast_nodes(tree) for place in operator.mutation_positions(node)]
        for occurrence, (start, _) in enumerate(places):
            yield start, Fault(str(path.relative_to(ROOT)), start[0], name, occurrence)


def _sample(folders: list[str], size: int, seed: int) -> list[Fault]:
    by_place: dict[tuple[str, tuple[int, int]], list[Fault]] = {}
    for folder in folders:
        for path in sorted((ROOT / "ajoxi_async" / folder).rglob("*.py")):
            for place, fault in _faults_of(path):
                by_place.setdefault((fault.file, place), []).append(fault)
    draw = random.Random(seed)
    places = draw.sample(sorted(by_place), min(size, len(by_place)))
    print(f"{len(by_place):,} places, {len(places)} of them drawn with the seed {seed}")
    return [draw.choice(by_place[place]) for place in places]


def _mutated(fault: Fault) -> tuple[str, str] | None:
    """The code with the fault, and the line as it became; ``None`` if the code says the same."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    before = (ROOT / fault.file).read_text(encoding="utf-8")
    after = mutate_code(before, get_operator(f"core/{fault.operator}")(), fault.occurrence)
    if after is None or ast.dump(ast.parse(after)) == ast.dump(ast.parse(before)):
        return None
    return after, after.splitlines()[fault.line - 1].strip()


class Tests:
    """The tests of a copy of the checkout."""

    def __init__(self, copy: Path, workers: int) -> None:
        self._copy = copy
        self._workers = workers
        self._took: dict[str, float | None] = {}
        for name in COPIED:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".")):
            shutil.copy(path, copy / path.name)

    def _passes(self, folder: str, timeout: float | None) -> bool:
        command = [sys.executable, "-P", "-B", "-m", "pytest", folder, "-x", "-q", "-p", "no:cacheprovider"]
        command += ["-n", str(self._workers)]
        process = subprocess.Popen(
            command,
            cwd=self._copy,
            env={**os.environ, "PYTHONPATH": str(self._copy), "HYPOTHESIS_STORAGE_DIRECTORY": str(self._copy / ".h")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(timeout) in {0, 5}  # 5: everything was skipped
        except subprocess.TimeoutExpired:
            return False
        finally:
            with suppress(OSError):  # what the tests have started, and a run that did not end
                os.killpg(process.pid, 9)
            process.wait()

    def begin(self, folder: str) -> bool:
        """Run the tests of a folder without a fault, unless that was done. Returns whether they pass, and can tell something."""
        if folder not in self._took:
            began = time.perf_counter()
            passes = self._passes(folder, None)
            self._took[folder] = time.perf_counter() - began if passes else None
            took = f"{time.perf_counter() - began:.0f} s without a fault"
            print(f"{folder}: {took}{'' if passes else ', but they fail and are left out'}", flush=True)
        return self._took[folder] is not None

    def kill(self, fault: Fault, code: str) -> str | None:
        """The folder whose tests notice a fault, or ``None``."""
        path = self._copy / fault.file
        before = path.read_text(encoding="utf-8")
        for folder in NEAREST[fault.folder]:
            if not self.begin(folder):
                continue
            path.write_text(code, encoding="utf-8")
            try:
                if not self._passes(folder, 3 * (self._took[folder] or 0) + 10):
                    return folder
            finally:
                path.write_text(before, encoding="utf-8")
        return None


def main(arguments: list[str] | None = None) -> None:
    """Draw a sample of faults, run the tests with each, print the score and what survived."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation")
    parser.add_argument("--sample", type=int, default=300, help="how many faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", nargs="+", choices=sorted(NEAREST), default=list(NEAREST), help="folders of the package"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes of pytest")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further fault after this time")
    options = parser.parse_args(arguments)
    until = time.monotonic() + options.minutes * 60
    drawn = [
        (fault, code) for fault in _sample(options.only, options.sample, options.seed) if (code := _mutated(fault))
    ]
    score: dict[str, list[int]] = {folder: [0, 0] for folder in options.only}
    survivors = []
    with tempfile.TemporaryDirectory(prefix="ajoxi-mutation-") as copy:
        tests = Tests(Path(copy), options.workers)
        for number, (fault, (code, line)) in enumerate(drawn, 1):
            if time.monotonic() >= until:
                print(f"the time is up after {number - 1} of {len(drawn)}")
                break
            killed_by = tests.kill(fault, code)
            score[fault.folder][killed_by is not None] += 1
            where = f"{fault.file}:{fault.line} {fault.operator}: {line}"
            print(f"{number}/{len(drawn)} {killed_by or 'SURVIVED'} {where}", flush=True)
            if killed_by is None:
                survivors.append(where)
    rows = [
        [name, str(killed + lived), str(killed), f"{killed / (killed + lived):.0%}"]
        for name, (lived, killed) in [
            *score.items(),
            ("all", [sum(column) for column in zip(*score.values(), strict=True)]),
        ]
        if killed + lived
    ]
    print("\n" + table(["", "faults", "killed", "score"], rows), *survivors, sep="\n")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
