"""Build the documentation: ``python .ci/docs/build_site.py [FOLDER]``, by default into build/docs.

The pages are those of docs/, the changelog, and a reference that is made from docstrings. The order of the pages is that of the lists
in docs/index.md: each heading there is a part of the navigation. Any warning, such as a dead link, ends it with an error.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT)]

import reference

__all__ = ["assemble", "contents", "main"]

_PART = re.compile(r"^## (.+)$")
_LINK = re.compile(r"^- \[[^\]]+\]\(([\w/-]+)\.md\)", re.ASCII)

#: Links to the two pages of the site that lie outside of docs/.
_OUTSIDE = re.compile(r"\]\(\.\./(CHANGELOG|CONTRIBUTING)\.md\)")


def contents(index: str) -> dict[str, list[str]]:
    """The parts of the navigation, each with its pages, from the lists of docs/index.md."""
    parts: dict[str, list[str]] = {}
    part = ""
    for line in index.splitlines():
        if heading := _PART.match(line):
            part = heading[1]
        elif link := _LINK.match(line):
            parts.setdefault(part, []).append(link[1])
    return parts


def _trees(parts: dict[str, list[str]]) -> str:
    trees = [
        "\n".join(["```{toctree}", ":hidden:", f":caption: {part}", "", *pages, "```"]) for part, pages in parts.items()
    ]
    return "\n\n".join(["", *trees, "```{toctree}\n:hidden:\n:caption: Every name\n\nreference/index\n```", ""])


def assemble(folder: Path) -> None:
    """Put what Sphinx reads into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    for name in ("CHANGELOG", "CONTRIBUTING"):
        shutil.copy(ROOT / f"{name}.md", folder / f"{name.lower()}.md")
    for page in folder.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        page.write_text(_OUTSIDE.sub(lambda link: f"]({link[1].lower()}.md)", text), encoding="utf-8")
    index = (folder / "index.md").read_text(encoding="utf-8")
    (folder / "index.md").write_text(index + _trees(contents(index)), encoding="utf-8")
    reference.write(folder / "reference")


def main(target: Path) -> int:
    """Build the site; return Sphinx's exit status."""
    from sphinx.cmd.build import main as sphinx

    source = ROOT / "build" / "docs-source"
    shutil.rmtree(target, ignore_errors=True)
    assemble(source)
    os.environ.setdefault("AJOXI_API_KEY", "AJX_TEST_docs")
    status = sphinx([
        *("-b", "html", "-c", str(HERE), "-d", str(ROOT / "build" / "docs-doctrees")),
        *("--fail-on-warning", "--keep-going", "--quiet", "--fresh-env"),
        str(source),
        str(target),
    ])  # fmt: skip
    # For agents: the pages as they are written, which llms.txt names.
    for page in [*source.glob("*.md"), *source.glob("llms*.txt")]:
        shutil.copy(page, target)
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"))
