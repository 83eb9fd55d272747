"""The settings of Sphinx for the documentation; `build.py` beside this file runs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent)]

from docstrings import link_by_last_part, mark_code

from ajoxi_async import __version__
from ajoxi_async.contract.base import Model

project = "ajoxi-async"
release = version = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
html_theme = "furo"
html_title = f"ajoxi-async {__version__}"
html_copy_source = False
html_show_copyright = False
# The docstrings name other objects in single backticks, as in `Sandbox`.
default_role = "py:obj"
# A type such as `type[Event]` in a signature is taken for an attribute with that name; the link would be wrong, its lack is not.
suppress_warnings = ["ref.python"]
myst_heading_anchors = 4
myst_enable_extensions = ["html_image"]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
# As field lists: as attributes they would be described a second time beside those that autodoc finds.
napoleon_use_ivar = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
highlight_language = "text"
pygments_dark_style = "github-dark"


def shorten_signature(_app: Any, what: str, _name: str, value: Any, *_: Any) -> tuple[str, str] | None:
    """Leave out the signature of a model: nobody calls it, and its fields are listed below it with their types."""
    return ("", "") if what == "class" and issubclass(value, Model) else None


def setup(app: Any) -> None:
    """Change docstrings before napoleon, whose priority is 500, reads them; find names that are written without their module."""
    app.connect("autodoc-process-docstring", mark_code, priority=400)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("missing-reference", link_by_last_part)
