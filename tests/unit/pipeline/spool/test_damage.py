"""Damage of any kind, anywhere in the files of a spool: what is left ships, nothing else does, and keeping goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.core.record import Stream
from shipper.pipeline.spool import Parcel, Spool
from tests.unit.pipeline.spool.parcels import Site, drained, parcel, parcels, put_ns_of

Files = dict[str, bytes]
Damage = Callable[[Files], None]

SINKS = {"loki": range(60), "other": range(1000, 1030)}
CURSOR = ("2026-11-22", 17)
BIG = Stream({"job": "big"}, [1], [bytes(range(256)) * 100])
"""A body on overflow pages."""


def filled(folder: Path) -> Files:
    """Fill a spool and return its files as they are while it is open."""
    site = Site(folder)
    spool = site.spool()
    for sink, numbers in SINKS.items():
        for start in range(numbers.start, numbers.stop, 10):
            spool.keep(sink, parcels(start, start + 10))
        spool.keep(sink, [Parcel(BIG, 30_000, 10**18 + numbers.stop)])
    spool.set_checkpoint("sql", CURSOR)
    files = {path.name: path.read_bytes() for path in site.path.parent.iterdir()}
    spool.close()
    return files


def closed(folder: Path) -> Files:
    filled(folder)
    return {path.name: path.read_bytes() for path in Site(folder).path.parent.iterdir()}


with TemporaryDirectory() as here:
    WITH_LOG = filled(Path(here))
with TemporaryDirectory() as here:
    CLOSED = closed(Path(here))


@st.composite
def overwritten(draw: st.DrawFn, name: str, size_bytes: int) -> Damage:
    start = draw(st.integers(0, size_bytes - 1))
    noise = draw(st.binary(min_size=1, max_size=64))
    times = draw(st.sampled_from([1, 1, 1, 64, 200]))

    def do_damage(files: Files) -> None:
        content = files[name]
        files[name] = (content[:start] + noise * times + content[start + len(noise) * times :])[
            : len(content)
        ]

    return do_damage


@st.composite
def flipped(draw: st.DrawFn, name: str, size_bytes: int) -> Damage:
    place = draw(st.integers(0, size_bytes - 1))
    bit = 1 << draw(st.integers(0, 7))

    def do_damage(files: Files) -> None:
        content = bytearray(files[name])
        if place < len(content):
            content[place] ^= bit
        files[name] = bytes(content)

    return do_damage


@st.composite
def cut(draw: st.DrawFn, name: str, size_bytes: int) -> Damage:
    length = draw(st.integers(0, size_bytes - 1))

    def do_damage(files: Files) -> None:
        files[name] = files[name][:length]

    return do_damage


@st.composite
def header_overwritten(draw: st.DrawFn) -> Damage:
    place, byte = draw(st.integers(0, 99)), draw(st.integers(0, 255))

    def do_damage(files: Files) -> None:
        content = bytearray(files["m.db"])
        content[place : place + 1] = [byte]
        files["m.db"] = bytes(content)

    return do_damage


def damages(files: Files) -> st.SearchStrategy[list[Damage]]:
    kinds: list[st.SearchStrategy[Damage]] = [header_overwritten()]
    for name, content in files.items():
        kinds += [kind(name, len(content)) for kind in (overwritten, flipped, cut)]
    return st.lists(st.one_of(kinds), min_size=1, max_size=3)


def check_what_is_left(files: Files) -> tuple[int, Site]:
    """Open a spool on these files, drain it, and check everything that has to hold whatever happened to them."""
    with TemporaryDirectory() as folder:
        site = Site(Path(folder))
        site.path.parent.mkdir(parents=True)
        for name, content in files.items():
            (site.path.parent / name).write_bytes(content)
        spool = site.spool("second")
        shipped = 0
        for sink, numbers in SINKS.items():
            given_out = drained(spool, sink)
            assert len(put_ns_of(given_out)) == len(set(put_ns_of(given_out)))
            for each in given_out:
                assert each.number
                assert original(each, numbers) == Parcel(
                    each.stream, each.weight_bytes, each.put_ns
                )
            shipped += len(given_out)
            assert spool.lines(sink) == 0
        checkpoint = spool.checkpoint()
        assert checkpoint is None or checkpoint.cursor == CURSOR
        if "later version" not in spool.trouble:
            check_that_it_goes_on(site, spool)
        spool.close()
        return shipped, site


def original(given_out: Parcel, numbers: range) -> Parcel:
    (number,) = put_ns_of([given_out])
    if number == numbers.stop:
        return Parcel(plain(BIG), 30_000, 10**18 + number)
    assert number in numbers
    made = parcel(number)
    return Parcel(plain(made.stream), made.weight_bytes, made.put_ns)


def plain(stream: Stream) -> Stream:
    return Stream(stream.labels, list(stream.times_ns), stream.lines, stream.metadata)


def check_that_it_goes_on(site: Site, spool: Spool) -> None:
    site.clock.pass_seconds(5)
    assert spool.keep("loki", parcels(5000, 5003)) is not None, spool.trouble
    assert put_ns_of(drained(spool)) == [5000, 5001, 5002]
    assert spool.trouble == ""
    assert not site.spool("third").lines("loki")


@pytest.mark.parametrize("files", [WITH_LOG, CLOSED], ids=["with log", "closed"])
def test_without_damage_everything_ships(files: Files) -> None:
    shipped, site = check_what_is_left(dict(files))

    assert shipped == sum(len(numbers) + 1 for numbers in SINKS.values())
    assert (site.log.errors, site.damaged) == ([], [])


@settings(max_examples=100, deadline=None)
@given(damages(WITH_LOG))
def test_any_damage_of_files_with_a_log_leaves_only_true_parcels(some: list[Damage]) -> None:
    files = dict(WITH_LOG)
    for damage in some:
        damage(files)

    check_what_is_left(files)


@settings(max_examples=100, deadline=None)
@given(damages(CLOSED))
def test_any_damage_of_a_closed_file_leaves_only_true_parcels(some: list[Damage]) -> None:
    files = dict(CLOSED)
    for damage in some:
        damage(files)

    check_what_is_left(files)
