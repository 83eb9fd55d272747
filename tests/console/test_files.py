"""The console's files: what they load, and where the files of others come from."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import ajoxi_async.sandbox.console

STATIC = Path(ajoxi_async.sandbox.console.__file__).parent / "static"
VENDOR = STATIC / "vendor"
SCRIPTS = sorted(path for path in STATIC.rglob("*.js") if VENDOR not in path.parents)
_IMPORT = re.compile(r"^(?:import|export)\b[^;]*?\bfrom '([^']+)'", re.MULTILINE)
_LOADED_LATER = re.compile(r"\bimport\('([^']+)'\)")


def closure(path: Path) -> set[Path]:
    """A module and everything that it imports at once."""
    found, todo = set(), [path]
    while todo:
        path = todo.pop().resolve()
        if path not in found:
            found.add(path)
            todo += [path.parent / name for name in _IMPORT.findall(path.read_text())]
    return found


def test_the_files_of_others_are_those_of_their_packages():
    """Each file in vendor/ has the hash that its README gives, and the README names no other file."""
    told = dict(
        reversed(line.split())
        for line in (VENDOR / "README").read_text().splitlines()
        if re.match(r"[0-9a-f]{64} ", line)
    )
    assert told == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.name != "README"
    }


def test_every_import_leads_to_a_file():
    """A module imports files of the package only, by relative paths."""
    for script in SCRIPTS:
        for name in _IMPORT.findall(script.read_text()) + _LOADED_LATER.findall(script.read_text()):
            assert name.startswith(("./", "../")), (script.name, name)
            assert (script.parent / name).is_file(), (script.name, name)


def test_no_file_names_another_host():
    """Nothing is loaded from elsewhere: absolute URLs are names of XML namespaces and examples on this machine."""
    allowed = {"http://www.w3.org/2000/svg", "http://127.0.0.1:8000/webhooks"}
    for path in [*SCRIPTS, *STATIC.glob("*.html"), *STATIC.glob("*.css"), *STATIC.glob("*.svg")]:
        assert set(re.findall(r"https?://[\w.-]+[^\s'\"`)]*", path.read_text())) <= allowed, path.name


def test_the_shell_preloads_what_pages_need():
    """The shell names the modules that every page and every list need, first those of the choices, which are read first."""
    named = re.findall(
        r'rel="modulepreload" href="/_ajoxi/console/static/([^"]+)"', (STATIC / "index.html").read_text()
    )
    needed = closure(STATIC / "app.js") | closure(STATIC / "pages" / "calls.js")
    first = closure(STATIC / "base" / "preferences.js")
    assert named == [
        *sorted(str(path.relative_to(STATIC)) for path in first),
        *sorted(str(path.relative_to(STATIC)) for path in needed - first),
    ]


def test_nothing_slow_is_used_before_the_first_rows():
    """What a list loads before its first rows formats numbers and times itself: the browser's formats take long when first used."""
    for script in closure(STATIC / "app.js") | closure(STATIC / "pages" / "calls.js"):
        assert not re.search(r"\bIntl\.|\btoLocale", script.read_text()), script.name


def test_no_module_sets_html():
    """Strangers' text reaches the page as text: no module uses a way to set HTML or to run text."""
    ways = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|unsafeHTML|\beval\(|new Function|DOMParser|setHTML"
    )
    for script in SCRIPTS:
        assert not ways.search(script.read_text()), script.name


def test_every_module_says_what_it_is_for():
    """A module begins with a comment that says what it is for."""
    for script in SCRIPTS:
        assert script.read_text().startswith("/**"), script.name
