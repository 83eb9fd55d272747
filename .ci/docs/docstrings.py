"""Docstrings of the package as Sphinx reads them: indented examples become blocks of code, and names in backticks links."""

from __future__ import annotations

import re
from typing import Any

from sphinx.util.nodes import make_refnode

__all__ = ["link_by_last_part", "mark_code"]

#: The headings of Google's style under which indented lines are no code.
_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields|Note|Example|Examples|Warns|Rules):$")
_LIST = re.compile(r"\s*([-*]|\d+\.)\s")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def mark_code(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Put a directive before indented examples, and an empty line before lists, as reStructuredText wants both."""
    marked: list[str] = []
    section = False
    code = False
    for line in lines:
        before = next((one for one in reversed(marked) if one.strip()), "")
        if line.strip() and not _indent(line):
            section = bool(_SECTION.fullmatch(line))
            code = False
        starts = bool(_indent(line) >= 4 and not section and not code and marked and not marked[-1].strip())
        if starts and not _LIST.match(before) and not before.endswith("::") and not _indent(before):
            marked += [".. code-block:: python", ""]
            code = True
        if _LIST.match(line) and before and not _LIST.match(before) and marked[-1].strip() and not _indent(before):
            marked.append("")
        marked.append(line)
    lines[:] = marked


def link_by_last_part(_app: Any, env: Any, node: Any, content: Any) -> Any:
    """Link `World.configure` to the one object whose full name ends so; leave names of parameters and the like as they are."""
    if node.get("refdomain") != "py" or node.get("reftype") != "obj":
        return None
    domain = env.domains["py"]
    found = [name for name in domain.objects if name.endswith(f".{node['reftarget']}")]
    # A name in lower case is more often a parameter than the attribute of some class.
    if len(found) != 1 or node["reftarget"].islower():
        return None
    entry = domain.objects[found[0]]
    return make_refnode(_app.builder, node["refdoc"], entry.docname, entry.node_id, content, found[0])
