"""The MD5 of files, and of what is none."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipper.store.files.digest import Digests, NotHashed

REGULAR = os.stat_result((stat.S_IFREG | 0o644, 1, 1, 1, 0, 0, 0, 0, 0, 0))


def md5_of(path: str) -> bytes:
    return Digests().md5_of(path)


def why_not(path: Path) -> NotHashed:
    with pytest.raises(NotHashed) as refusal:
        md5_of(str(path))
    return refusal.value


@pytest.mark.parametrize("content", [b"", b"a", b"x" * 1_000_001], ids=["empty", "small", "large"])
def test_the_md5_is_that_of_the_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)

    assert md5_of(str(path)) == hashlib.md5(content, usedforsecurity=False).digest()


def test_a_link_leads_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "a")

    assert md5_of(str(tmp_path / "link")) == md5_of(str(tmp_path / "a"))


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    refusal = why_not(tmp_path / "a")

    assert (refusal.reason, refusal.for_good) == ("file_missing", False)
    assert refusal.answer == f"{tmp_path / 'a'}: No such file or directory (ENOENT)"


def test_a_file_below_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    assert why_not(tmp_path / "a" / "b").reason == "file_missing"


def test_a_path_that_leads_in_a_circle_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "a")
    refusal = why_not(tmp_path / "a")

    assert (refusal.reason, refusal.for_good) == ("file_unreadable", False)
    assert "(ELOOP)" in refusal.answer


def test_a_name_that_is_too_long_for_the_disk_is_unreadable(tmp_path: Path) -> None:
    assert why_not(tmp_path / ("x" * 300)).answer.endswith("(ENAMETOOLONG)")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(Path.mkdir, id="folder"),
        pytest.param(os.mkfifo, id="FIFO"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), id="device"),
    ],
)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "a")
    refusal = why_not(tmp_path / "a")

    assert (refusal.reason, refusal.for_good) == ("not_a_file", True)


def test_a_fifo_that_took_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "a")
    monkeypatch.setattr(Path, "stat", lambda _path: REGULAR)

    assert why_not(tmp_path / "a").reason == "not_a_file"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.write_bytes(b"longer than before"), id="grew"),
        pytest.param(lambda path: os.utime(path, ns=(0, 5)), id="was written to"),
        pytest.param(
            lambda path: path.with_name("b").replace(path), id="was replaced by one like it"
        ),
    ],
)
def test_a_file_that_changes_meanwhile_has_no_md5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    path = tmp_path / "a"
    for each in (path, path.with_name("b")):
        each.write_bytes(b"content")
        os.utime(each, ns=(0, 1))
    file_digest = hashlib.file_digest

    def digest_while_it_changes(*given: object) -> object:
        change(path)
        return file_digest(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", digest_while_it_changes)
    refusal = why_not(path)

    assert (refusal.reason, refusal.for_good) == ("file_changing", False)


def test_a_file_that_vanishes_meanwhile_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    file_digest = hashlib.file_digest

    def digest_while_it_vanishes(*given: object) -> object:
        path.unlink()
        return file_digest(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", digest_while_it_vanishes)

    assert why_not(path).reason == "file_missing"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files whose content was read."""
    names: list[str] = []
    file_digest = hashlib.file_digest

    def digest_that_is_noticed(content: Any, kind: Any) -> object:
        names.append(Path(f"/proc/self/fd/{content.fileno()}").readlink().name)
        return file_digest(content, kind)

    monkeypatch.setattr(hashlib, "file_digest", digest_that_is_noticed)
    return names


def test_a_file_that_stays_as_it_is_is_read_once(tmp_path: Path, read: list[str]) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    digests = Digests()
    first = digests.md5_of(str(path))

    assert digests.md5_of(str(path)) == first
    assert read == ["a"]


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    digests = Digests()
    first = digests.md5_of(str(path))
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(0, 5))

    assert digests.md5_of(str(path)) != first


def test_of_too_many_files_the_one_not_asked_for_longest_is_forgotten(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shipper.store.files.digest.REMEMBERED", 2)
    digests = Digests()
    for name in ("a", "b", "a", "c", "a", "b"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(0, 1))
        digests.md5_of(str(tmp_path / name))

    assert read == ["a", "b", "c", "b"]


def test_no_file_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        md5_of(str(tmp_path / "a"))
        why_not(tmp_path / "b")

    assert len(list(Path("/proc/self/fd").iterdir())) == before
