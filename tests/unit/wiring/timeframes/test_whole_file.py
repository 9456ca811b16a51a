"""A file is there whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipper.core.errors import ConfigError, StartupError
from shipper.wiring.timeframes.whole_file import whole_file


def test_a_file_gets_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with whole_file(path, force=False) as file:
        file.write(b"whole")
        names = [each.name for each in tmp_path.iterdir()]

    assert names == [f"out.csv.{os.getpid()}.part"]
    assert path.read_bytes() == b"whole"
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("end", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_a_file_that_was_not_finished(
    tmp_path: Path, end: type[BaseException]
) -> None:
    def write() -> None:
        with whole_file(tmp_path / "out.csv", force=False) as file:
            file.write(b"half")
            raise end

    with pytest.raises(end):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("before")

    with (
        pytest.raises(ConfigError, match="is there already; --force"),
        whole_file(path, force=False),
    ):
        pass
    assert path.read_text() == "before"


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"

    def write() -> None:
        with whole_file(path, force=False) as file:
            file.write(b"ours")
            path.write_text("theirs")

    with pytest.raises(ConfigError, match="is there already"):
        write()
    assert path.read_text() == "theirs"
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]


def test_a_file_is_replaced_by_force_and_not_before_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("before")
    with whole_file(path, force=True) as file:
        file.write(b"after")
        meanwhile = path.read_text()

    assert (meanwhile, path.read_text()) == ("before", "after")


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    link = tmp_path / "link"
    link.symlink_to("real")
    with whole_file(link, force=True) as file:
        file.write(b"after")

    assert link.is_symlink()
    assert (tmp_path / "real").read_text() == "after"


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ConfigError, match="is no regular file"), whole_file(path, force=True):
            pass


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none" / "out.csv"

    with (
        pytest.raises(StartupError, match="cannot be written: No such file"),
        whole_file(path, force=False),
    ):
        pass
