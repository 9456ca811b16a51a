"""A disk so small that it can be filled: a file system in memory, where the process may mount one."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

SIZE_MIB = 64
BLOCK = bytes(4096)


class SmallDisk:
    """A folder that is a small disk of its own if that is allowed, and is a plain folder if not.

    Attributes:
        folder: Where it is.
        is_small: Whether it can be filled.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_small = False
        self._ballast = folder / "ballast"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            size = f"size={SIZE_MIB}m"
            mounted = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", size, "shipper-prove", self.folder],
                capture_output=True,
            )
            self.is_small = mounted.returncode == 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_small:
            # Lazily: whoever still stands in the folder must not keep it from being gone.
            subprocess.run(["umount", "--lazy", self.folder], check=True)

    def fill(self) -> None:
        """Take what is free, to the last block; call it again to take what became free meanwhile."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while True:
                ballast.write(BLOCK)

    def free(self) -> None:
        """Give it back."""
        self._ballast.unlink(missing_ok=True)
