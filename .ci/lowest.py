"""Print the lowest versions that pyproject.toml allows of what the package depends on, as constraints for pip."""

from __future__ import annotations

import tomllib
from itertools import chain
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
    print(requirement.replace(">=", "=="))
