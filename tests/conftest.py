"""What holds for all tests."""

from __future__ import annotations

import pytest

from shipper.core import secrecy


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test know no secrets but its own: a process strikes out every one that it has used."""
    monkeypatch.setattr(secrecy, "_known", set())
    monkeypatch.setattr(secrecy, "_pattern", None)
