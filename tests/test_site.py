"""The documentation as a site: every page is in its navigation, every link leads somewhere, and every public name is in the reference."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ajoxi_async

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))


def script(name: str) -> ModuleType:
    """A script of .ci/docs as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / ".ci" / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    """What the reference documents, by full name."""
    reference = script("reference")
    paths = [path for page in reference.PAGES for path in reference.names_of(page)]
    assert len(paths) == len(set(paths))
    return {path: value_of(path) for path in paths}


def value_of(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def imported_in_docs() -> set[str]:
    """The names that the documentation and the examples import from the package."""
    texts = [(ROOT / "README.md").read_text(), *(page.read_text() for page in DOCS)]
    code = [block for text in texts for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]
    code += [path.read_text() for path in (ROOT / "examples").rglob("*.py")]
    found = set()
    for module, names in re.findall(r"^\s*from (ajoxi_async[\w.]*) import \(?([\w, \n]+)\)?$", "\n".join(code), re.M):
        found |= {
            f"{module}.{name.split(' as ')[0].strip()}" for name in names.replace("\n", ",").split(",") if name.strip()
        }
    return found


def test_every_public_name_is_in_the_reference(documented: dict[str, Any]) -> None:
    """Each name of the package is on a page of the reference, and so is each that the documentation imports from a module."""
    values = {id(value) for value in documented.values()}
    names = {f"ajoxi_async.{name}" for name in ajoxi_async.__all__} | imported_in_docs()
    assert "ajoxi_async.limits.redis.RedisLimiter" in names
    missing = sorted(
        name for name in names if id(value_of(name)) not in values and not inspect.ismodule(value_of(name))
    )
    assert not missing, "add their modules to PAGES of .ci/docs/reference.py"


def test_every_name_of_a_public_module_is_in_the_reference(documented: dict[str, Any]) -> None:
    """A module that has a page of the reference is documented as a whole."""
    reference = script("reference")
    modules = {f"ajoxi_async.{name}" for page in reference.PAGES for name in page.modules if ":" not in name}
    assert {"ajoxi_async.sandbox", "ajoxi_async.dialer", "ajoxi_async.webhooks", "ajoxi_async.testing"} <= modules
    values = {id(value) for value in documented.values()}
    for module in modules:
        for name in importlib.import_module(module).__all__:
            assert f"{module}.{name}" in documented or id(value_of(f"{module}.{name}")) in values, f"{module}.{name}"


@pytest.mark.skipif(sys.flags.optimize > 1, reason="-OO takes the docstrings away")
def test_what_is_in_the_reference_says_what_it_is(documented: dict[str, Any]) -> None:
    """Each class and function of the reference has a docstring of its own."""
    silent = [
        path for path, value in documented.items() if inspect.isclass(value) and not value.__dict__.get("__doc__")
    ]
    silent += [path for path, value in documented.items() if inspect.isroutine(value) and not inspect.getdoc(value)]
    assert not silent


def test_every_page_is_in_the_navigation() -> None:
    """The lists of docs/index.md, from which the site's navigation is made, have each page once."""
    listed = [name for names in script_of_build().contents(index()).values() for name in names]
    assert sorted(listed) == sorted(page.stem for page in DOCS if page.stem != "index"), "add a line to docs/index.md"


def index() -> str:
    return (ROOT / "docs" / "index.md").read_text()


def script_of_build(name: str = "build_site") -> ModuleType:
    """`build_site.py` or `llms.py`, which import their neighbours by their names."""
    sys.path.insert(0, str(ROOT / ".ci" / "docs"))
    try:
        return script(name)
    finally:
        sys.path[:] = [path for path in sys.path if path != str(ROOT / ".ci" / "docs")]


def anchor(heading: str) -> str:
    """The anchor of a heading, as forges and the site make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", "")).replace(" ", "-")


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link of a page leads to a file, and to a heading of it."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        name, _, heading = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if heading:
            assert heading in {anchor(each) for each in re.findall(r"^#+ (.+)$", path.read_text(), re.M)}, target


@pytest.mark.skipif(sys.flags.optimize > 1, reason="-OO takes the docstrings away")
def test_the_texts_for_agents_are_up_to_date() -> None:
    """docs/llms.txt and docs/llms-full.txt are what their script makes of today's pages and docstrings."""
    llms = script_of_build("llms")
    for name, text in (("llms.txt", llms.short()), ("llms-full.txt", llms.full())):
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, "run: make llms"


def test_llms_txt_names_every_page() -> None:
    """llms.txt begins as its format says and links each page that is there."""
    text = (ROOT / "docs" / "llms.txt").read_text()
    assert text.startswith("# ajoxi-async\n\n> ")
    assert {f"{page.stem}.md" for page in DOCS if page.stem != "index"} <= set(re.findall(r"\]\(([^)]+)\)", text))
