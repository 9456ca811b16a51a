"""What the locked requirements pin, against the ranges they come from, and the licences of all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.pages import read

PINNED = re.compile(r"^(?P<name>[\w.-]+)(?:\[[\w,]+\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def pinned() -> Mapping[str, str]:
    return {canonicalize_name(pin["name"]): pin["version"] for pin in PINNED.finditer(locked())}


def locked() -> str:
    return read("requirements.lock")


def required() -> Iterator[Requirement]:
    for line in read("requirements.txt").splitlines():
        if line and not line.startswith("#"):
            yield Requirement(line)


def test_every_requirement_is_pinned_within_its_range() -> None:
    pins = pinned()
    wrong = [
        str(each)
        for each in required()
        if not each.specifier.contains(
            pins.get(canonicalize_name(each.name), "0"), prereleases=True
        )
    ]

    assert wrong == [], "run `make lock`"


def test_every_pin_has_hashes() -> None:
    blocks = re.split(r"\n(?=[\w])", locked())

    assert [block.split()[0] for block in blocks if not HASH.search(block)] == []


def test_the_lock_names_no_place_to_download_from() -> None:
    assert "://" not in locked()


def test_every_pinned_package_has_its_licence_listed() -> None:
    listed = re.findall(r"^\| `([\w.-]+)` \|", read("docs/reference/licences.md"), re.MULTILINE)
    # Only PyPy on Windows and Windows itself want these, so nobody can read their licences here.
    elsewhere = {"cffi", "pycparser", "colorama"}

    assert set(pinned()) - elsewhere - set(map(canonicalize_name, listed)) == set()
