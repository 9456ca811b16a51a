"""A copy of the program with one more kind of source in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.shipper_process import ROOT


def copy_with_source(folder: Path, name: str, module: str) -> Path:
    """Copy the program into `folder`, add a module to its sources, and return its `main.py`."""
    shutil.copytree(
        ROOT / "shipper", folder / "shipper", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "main.py", folder)
    (folder / "shipper" / "sources" / f"{name}.py").write_text(module)
    return folder / "main.py"
