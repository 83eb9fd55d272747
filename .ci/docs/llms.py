"""Write docs/llms.txt and docs/llms-full.txt: ``python .ci/docs/llms.py``. A test fails while they are not up to date.

llms.txt is the list of pages in docs/index.md with a summary. llms-full.txt has all pages in that order, and the signatures and first
lines of every public name.
"""

from __future__ import annotations

import enum
import inspect
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT)]

import attrs
import reference
from build_site import contents

__all__ = ["full", "main", "short"]

_ABOUT = (
    "> The async Python SDK of the Ajoxi cloud phone API (calls, numbers, messages, recordings, live transcripts, webhooks) on asyncio "
    "and trio, with an embedded sandbox of the whole API in which no phone rings."
)
_NOTES = """\
What an agent should know before it writes code:

- Everything is async. `async with AsyncAjoxi() as client:` reads `AJOXI_API_KEY`; make one client and share it.
- In tests and trials use `Sandbox()`: `AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url)`. No network and no phone.
- Phone numbers are E.164. The parameter `from` is called `from_`. A list is `async for` for everything, `await` for one page.
- `timeout=` of a method bounds the whole call, in seconds; how long a phone rings is `ring_timeout=`.
- After `OutcomeUnknownError` do not repeat the call: `await client.calls.reconcile(error)` looks for it.
- Compare enumerations with `==`; values this version does not know are values, too.
- Errors are listed below and are all `AjoxiError`."""


def short() -> str:
    """llms.txt."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    lists = index[index.index("## ") :].replace("](../", "](")
    return f"# ajoxi-async\n\n{_ABOUT}\n\n{_NOTES}\n\nllms-full.txt, beside this file, has all pages in one.\n\n{lists}"


def full() -> str:
    """llms-full.txt."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    names = [name for pages in contents(index).values() for name in pages]
    pages = [(ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8").strip() for name in names]
    parts = [f"# ajoxi-async\n\n{_ABOUT}\n\n{_NOTES}", *pages, "# Every public name", *map(_names, reference.PAGES)]
    return "\n\n---\n\n".join(parts) + "\n"


def _names(page: reference.Page) -> str:
    return "\n".join([f"## {page.title}", "", *(line for path in reference.names_of(page) for line in _entry(path))])


def _entry(path: str) -> list[str]:
    value = reference._value(path)  # noqa: SLF001 - the scripts of this folder are one program
    if not inspect.isclass(value):
        signature = _signature(value) if inspect.isroutine(value) else ""
        return [f"- `{path}{signature}`{_about(value) if callable(value) else ''}"]
    lines = [f"- `{path}{_parameters(value)}`{_about(value)}"]
    for name, member in vars(value).items():
        if name.startswith("_") or issubclass(value, enum.Enum):
            continue
        if inspect.isclass(getattr(value, name)):  # an attribute that holds the methods of a resource
            lines.append(f"  - `{name}`: see Resources")
            continue
        if inspect.isroutine(member) or isinstance(member, (classmethod, staticmethod)):
            function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
            prefix = "async " if inspect.iscoroutinefunction(function) else ""
            lines.append(f"  - `{prefix}{name}{_signature(function)}`{_about(function)}")
        elif isinstance(member, property):
            lines.append(f"  - `{name}`{_about(member)}")
    return lines


def _parameters(value: type) -> str:
    if issubclass(value, enum.Enum):
        return ": " + ", ".join(str(member.value) for member in value)
    if attrs.has(value):
        fields = [f for f in attrs.fields(value) if not f.name.startswith("_")]
        # attrs replaces the types of fields by objects as soon as somebody resolves them; this is how they are written.
        written = {
            name: kind for base in reversed(value.__mro__) for name, kind in inspect.get_annotations(base).items()
        }
        return "(" + ", ".join(f"{f.name}: {_type(written[f.name])}" for f in fields) + ")"
    # `typing` gives a protocol a constructor that differs between versions of Python.
    own = "__init__" in vars(value) and not getattr(value, "_is_protocol", False)
    return _signature(value.__init__) if own and not issubclass(value, BaseException) else ""


def _type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return re.sub(r"\s+", " ", text)


def _signature(function: Any) -> str:
    """The signature with annotations as they are written, which `inspect` would quote; the same on every version of Python."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return "(...)"
    shown: list[str] = []
    starred = False
    for parameter in parameters:
        if parameter.name in {"self", "cls"}:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            starred = True
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            shown.append("*")
            starred = True
        text = f"{_STARS.get(parameter.kind, '')}{parameter.name}"
        if parameter.annotation is not parameter.empty:
            text += f": {_type(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {_default(parameter.default)}"
        shown.append(text)
    returns = inspect.signature(function).return_annotation
    arrow = "" if returns is inspect.Signature.empty or returns == "None" else f" -> {_type(returns)}"
    return f"({', '.join(shown)}){arrow}"


_STARS = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def _default(value: Any) -> str:
    plain = isinstance(value, str | int | float | tuple) and not isinstance(value, enum.Enum)
    return repr(value) if value is None or plain else "..."


def _about(value: Any) -> str:
    text = (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ")
    return f": {text}" if text else ""


def main() -> None:
    """Write both files."""
    (ROOT / "docs" / "llms.txt").write_text(short(), encoding="utf-8")
    (ROOT / "docs" / "llms-full.txt").write_text(full(), encoding="utf-8")


if __name__ == "__main__":
    main()
