"""Programs that some tests need beside ours: without one a test is skipped, except where nothing may be skipped."""

from __future__ import annotations

import os
import shutil
import socket

import pytest


def need(program: str) -> str:
    """Return the path of a program that is installed; skip the test without it, or fail it when `CI` is true."""
    path = shutil.which(program)
    if path is not None:
        return path
    reason = (
        f"THE PROGRAM {program} IS NOT INSTALLED, so this is not tested: apt-get install {program}"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
