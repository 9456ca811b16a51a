from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import cast

from shipper.sources.stomp.inbox import Inbox
from shipper.sources.stomp.messages import Frame

LONG_SECONDS = 20.0


def frame(body: bytes = b"x") -> Frame:
    return cast(Frame, SimpleNamespace(cmd="MESSAGE", headers={}, body=body))


def take(
    inbox: Inbox, records: int = 10, size_bytes: int = 1000, wait: float = 0, linger: float = 0
) -> list[bytes]:
    taken = inbox.take(
        most_records=records, most_bytes=size_bytes, wait_seconds=wait, linger_seconds=linger
    )
    return [each.body for each in taken]


def filled(*bodies: bytes, most_records: int = 100) -> Inbox:
    inbox = Inbox(most_records=most_records)
    for body in bodies:
        inbox.put(frame(body))
    return inbox


def test_an_empty_inbox_gives_nothing_after_the_wait() -> None:
    assert take(Inbox(most_records=10)) == []


def test_messages_are_taken_in_order() -> None:
    assert take(filled(b"a", b"b", b"c")) == [b"a", b"b", b"c"]


def test_no_more_are_taken_than_wanted_and_the_rest_stays() -> None:
    inbox = filled(b"a", b"b", b"c")

    assert take(inbox, records=2) == [b"a", b"b"]
    assert take(inbox, records=2) == [b"c"]


def test_the_message_that_passes_the_bytes_is_the_last() -> None:
    inbox = filled(b"aaa", b"bbb", b"ccc")

    assert take(inbox, size_bytes=4) == [b"aaa", b"bbb"]
    assert take(inbox, size_bytes=4) == [b"ccc"]


def test_a_message_larger_than_a_batch_is_taken_alone() -> None:
    assert take(filled(b"a" * 5000, b"b"), size_bytes=1000) == [b"a" * 5000]


def test_enough_messages_end_the_lingering() -> None:
    assert len(take(filled(b"a", b"b"), records=2, linger=LONG_SECONDS)) == 2


def test_enough_bytes_end_the_lingering() -> None:
    assert len(take(filled(b"a" * 1000), size_bytes=1000, linger=LONG_SECONDS)) == 1


def test_a_message_wakes_who_waits() -> None:
    inbox = Inbox(most_records=10)
    putting = threading.Thread(target=inbox.put, args=(frame(b"late"),))
    putting.start()

    assert take(inbox, wait=LONG_SECONDS) == [b"late"]
    putting.join()


def test_a_full_inbox_holds_the_receiver_back_until_something_is_taken() -> None:
    inbox = filled(b"a", b"b", most_records=2)
    putting = threading.Thread(target=inbox.put, args=(frame(b"c"),), daemon=True)
    putting.start()

    assert putting.is_alive()
    assert take(inbox) == [b"a", b"b"]
    putting.join(LONG_SECONDS)
    assert take(inbox) == [b"c"]


def test_closing_wakes_the_receiver_and_drops_everything() -> None:
    inbox = filled(b"a", most_records=1)
    putting = threading.Thread(target=inbox.put, args=(frame(b"b"),), daemon=True)
    putting.start()
    inbox.close()
    putting.join(LONG_SECONDS)

    assert not putting.is_alive()
    assert take(inbox, wait=LONG_SECONDS) == []


def test_closing_wakes_who_waits_for_a_message() -> None:
    inbox = Inbox(most_records=1)
    closing = threading.Thread(target=inbox.close)
    closing.start()

    assert take(inbox, wait=LONG_SECONDS) == []
    closing.join()
