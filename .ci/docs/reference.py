"""The pages of the reference: which public modules they document, and the text that Sphinx makes them from.

A page lists modules. Every name of a module's ``__all__`` is documented on the first page that has it, under the shortest name it can
be imported by. tests/test_site.py makes sure that no public name is missing.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ajoxi_async

__all__ = ["PAGES", "Page", "names_of", "render", "write"]


@dataclass(frozen=True)
class Page:
    """A page of the reference.

    Attributes:
        name: of its file, without ending.
        homes: modules of the package whose names in `ajoxi_async` are on this page, without ``ajoxi_async.``.
        modules: public modules that users import from.
    """

    name: str
    title: str
    about: str
    homes: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


PAGES = (
    Page(
        "client",
        "Client",
        "The client, its settings, and what its methods return.",
        homes=("client", "pipeline", "contract.wire", "protocol.retry"),
        modules=("pipeline.options:CallOptions",),
    ),
    Page(
        "resources",
        "Resources",
        "The methods of ``client.calls``, ``client.numbers``, ``client.messages``, ``client.recordings``, "
        "``client.transcripts`` and ``client.webhooks``.",
        homes=("resources",),
        modules=(
            "resources.calls:Calls",
            "resources.numbers:Numbers",
            "resources.messages:Messages",
            "resources.recordings:Recordings",
            "resources.transcripts:Transcripts",
            "resources.webhooks:Webhooks",
        ),
    ),
    Page(
        "models",
        "Models",
        "What the API sends: objects, enumerations, and the events of webhooks.",
        homes=("contract",),
        modules=("contract.base:Model", "contract.base:Resource"),
    ),
    Page(
        "errors",
        "Errors",
        "Everything that is raised on purpose is an `ajoxi_async.AjoxiError`.",
        homes=("protocol.errors",),
        modules=("contract.codec:DecodeError",),
    ),
    Page("streams", "Live transcripts", "Following calls while they run.", homes=("streaming", "protocol.assembly")),
    Page(
        "hub",
        "Transcript hub",
        "One live transcript for many consumers, and responses for web frameworks.",
        homes=("hub",),
        modules=("hub.starlette", "hub.aiohttp", "hub.asgi", "hub.django", "hub.litestar", "hub.quart"),
    ),
    Page(
        "limits",
        "Rate limits",
        "The limiter that every request waits for.",
        homes=("limits", "protocol.rate"),
        modules=("limits.redis", "limits.shared:shared_limiter"),
    ),
    Page(
        "webhooks",
        "Webhooks",
        "Receiving events: verification, the router, its logs, and receivers for web frameworks.",
        homes=("webhooks",),
        modules=(
            "webhooks",
            "webhooks.router",
            "webhooks.logs",
            "webhooks.aiohttp",
            "webhooks.asgi",
            "webhooks.django",
            "webhooks.flask",
        ),
    ),
    Page("sandbox", "Sandbox", "The simulator of the API.", homes=("sandbox",), modules=("sandbox",)),
    Page("dialer", "Dialer", "Campaigns over a list of people.", modules=("dialer",)),
    Page(
        "extras",
        "Tests and tracing",
        "The fixtures of the pytest plugin, recorded answers, and OpenTelemetry.",
        modules=("testing", "testing.server:AjoxiServer", "replay", "otel"),
    ),
)

PACKAGE = "ajoxi_async"


def _home(name: str) -> str:
    return str(ajoxi_async._HOME[name])  # noqa: SLF001 - the table of the package's own lazy imports


def _is_in(home: str, homes: tuple[str, ...]) -> int:
    """How exactly one of `homes` names the module: the number of its parts, 0 where none does."""
    return max((len(one.split(".")) for one in homes if f"{home}.".startswith(f"{one}.")), default=0)


def _candidates(page: Page) -> list[str]:
    """The full names that a page would document if it were the only one."""
    found = {}
    for name in ajoxi_async.__all__:
        best = max(PAGES, key=lambda one: _is_in(_home(name), one.homes))
        if best is page:
            found[f"{PACKAGE}.{name}"] = None
    for entry in page.modules:
        module, _, one = entry.partition(":")
        path = f"{PACKAGE}.{module}"
        for name in [one] if one else importlib.import_module(path).__all__:
            if name not in ajoxi_async.__all__ or getattr(ajoxi_async, name) is not _value(f"{path}.{name}"):
                found[f"{path}.{name}"] = None
    return list(found)


def _assign() -> dict[str, list[str]]:
    taken: set[int | str] = set()
    assigned: dict[str, list[str]] = {}
    for page in PAGES:
        kept = assigned[page.name] = []
        for path in _candidates(page):
            if _identity(path) not in taken:
                kept.append(path)
            taken.add(_identity(path))
    return assigned


_assigned = cache(_assign)


def names_of(page: Page) -> list[str]:
    """The full names that a page documents, in the order in which it shows them."""
    return _assigned()[page.name]


def _value(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _identity(path: str) -> int | str:
    """What two paths to one class or function have in common; small values such as numbers are the same object by chance."""
    value = _value(path)
    return id(value) if isinstance(value, type) or callable(value) else path


def _entry(path: str) -> list[str]:
    value = _value(path)
    if inspect.isclass(value):
        lines = [f".. autoclass:: {path}", "   :members:"]
        if not issubclass(value, BaseException):
            lines.append("   :undoc-members:")
        if issubclass(value, ajoxi_async.AjoxiError):
            lines.append("   :show-inheritance:")
        return lines
    if inspect.isroutine(value) or hasattr(value, "_get_wrapped_function"):  # the latter is a fixture of pytest
        return [f".. autofunction:: {path}"]
    return [f".. autodata:: {path}"]


def render(page: Page) -> str:
    """The page as reStructuredText."""
    lines = [page.title, "=" * len(page.title), "", page.about, ""]
    module = ""
    for path in names_of(page):
        home = path.rpartition(".")[0]
        if home != module:
            lines += [home, "-" * len(home), ""] if len(page.modules) > 1 or module else []
            module = home
        lines += [*_entry(path), ""]
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Write all pages of the reference into a folder."""
    folder.mkdir(parents=True)
    for page in PAGES:
        (folder / f"{page.name}.rst").write_text(render(page), encoding="utf-8")
    listed = "\n".join(f"   {page.name}" for page in PAGES)
    about = "Every public name, by its docstring. The methods of the client are in :doc:`resources`."
    (folder / "index.rst").write_text(
        f"Reference\n=========\n\n{about}\n\n.. toctree::\n   :maxdepth: 1\n\n{listed}\n", encoding="utf-8"
    )
