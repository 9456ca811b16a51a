"""The newest lines of a worker: what is remembered, and what waits to be sent."""

from __future__ import annotations

from shipper.core.record import Stream
from shipper.live.newest import (
    KEPT_BYTES,
    KEPT_LINES,
    MESSAGE_LINES,
    WAITING_LINES,
    Newest,
    Part,
)


def stream_of(count: int, *, first: int = 0, size_bytes: int = 0) -> Stream:
    lines = [b"%d" % number + b"." * size_bytes for number in range(first, first + count)]
    return Stream({"job": "m"}, range(first, first + count), lines)


def shipped(newest: Newest, count: int, *, size_bytes: int = 0) -> None:
    newest.add(stream_of(count, first=newest.number, size_bytes=size_bytes), [(count, 1)])


def all_messages(newest: Newest) -> list[list[Part]]:
    messages = []
    while message := newest.next_message():
        messages.append(list(message))
    return messages


def numbers(parts: list[Part]) -> list[int]:
    """Return the numbers of lines; each line begins with its own, so that they can be compared."""
    found = [int(line.rstrip(b".")) for part in parts for line in part.stream.lines]
    named = [part.first + at for part in parts for at in range(len(part.stream))]
    assert found == named
    return found


def test_nothing_waits_while_nobody_looks() -> None:
    newest = Newest()
    shipped(newest, 10)

    assert newest.next_message() == []


def test_who_begins_to_look_gets_the_newest_first_marked_as_old() -> None:
    newest = Newest()
    shipped(newest, 3)
    newest.watch(watched=True, afresh=True)
    shipped(newest, 2)
    old, new = all_messages(newest)

    assert (numbers(old), [part.old for part in old]) == ([0, 1, 2], [True])
    assert (numbers(new), [part.old for part in new]) == ([3, 4], [False])


def test_of_a_large_poll_only_the_newest_lines_are_remembered() -> None:
    newest = Newest()
    shipped(newest, 5000)
    newest.watch(watched=True, afresh=True)
    (message,) = all_messages(newest)

    assert numbers(message) == list(range(5000 - KEPT_LINES, 5000))


def test_of_many_small_polls_as_many_lines_are_remembered() -> None:
    newest = Newest()
    for _ in range(1000):
        shipped(newest, 3)
    newest.watch(watched=True, afresh=True)
    found = numbers([part for message in all_messages(newest) for part in message])

    assert found[-1] == 2999
    assert KEPT_LINES <= len(found) < KEPT_LINES + 3


def test_what_is_remembered_is_bounded_in_bytes() -> None:
    newest = Newest()
    for _ in range(50):
        shipped(newest, 20, size_bytes=1000)
    newest.watch(watched=True, afresh=True)
    parts = [part for message in all_messages(newest) for part in message]

    assert sum(part.weight_bytes for part in parts) <= KEPT_BYTES
    assert numbers(parts)[-1] == 999


def test_one_line_is_remembered_however_large_it_is() -> None:
    newest = Newest()
    shipped(newest, 3, size_bytes=2**20)
    newest.watch(watched=True, afresh=True)
    (message,) = all_messages(newest)

    assert numbers(message) == [2]


def test_somebody_else_who_begins_to_look_takes_nothing_from_the_first() -> None:
    newest = Newest()
    shipped(newest, 2)
    newest.watch(watched=True, afresh=True)
    all_messages(newest)
    shipped(newest, 2)
    newest.watch(watched=True, afresh=True)
    old, new = all_messages(newest)

    assert (numbers(old), old[0].old) == ([0, 1], True)
    assert (numbers(new), new[0].old) == ([2, 3], False)


def test_messages_hold_a_bounded_number_of_lines_in_their_order() -> None:
    newest = Newest(watched=True)
    shipped(newest, 1200)
    messages = all_messages(newest)

    assert [len(numbers(message)) for message in messages] == [MESSAGE_LINES, MESSAGE_LINES, 200]
    assert [n for message in messages for n in numbers(message)] == list(range(1200))


def test_what_waits_too_long_makes_room_for_what_is_new() -> None:
    newest = Newest(watched=True)
    for _ in range(30):
        shipped(newest, 1000)
    found = [n for message in all_messages(newest) for n in numbers(message)]

    assert found == list(range(30_000 - WAITING_LINES, 30_000))


def test_nothing_waits_once_nobody_looks_any_more() -> None:
    newest = Newest(watched=True)
    shipped(newest, 3)
    newest.watch(watched=False, afresh=False)

    assert newest.next_message() == []


def test_lines_keep_the_moment_of_their_own_read() -> None:
    newest = Newest(watched=True)
    newest.add(stream_of(5), [(2, 100), (3, 200)])
    (message,) = all_messages(newest)

    assert [(len(part.stream), part.read_ns) for part in message] == [(2, 100), (3, 200)]
