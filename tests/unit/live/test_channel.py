"""What passes a filter, and the places of those who look through it."""

from __future__ import annotations

import json

import pytest

from shipper.live.channel import CHANNEL_LINES, Channel, Line, Seat

BEGAN_NS = 1000


def line(number: int, *, old: bool = False, read_ns: int = BEGAN_NS) -> Line:
    return Line("m", json.dumps({"n": number, "line": f"Line {number}"}), read_ns, old)


def filled(count: int, channel: Channel | None = None) -> Channel:
    channel = channel or Channel("m")
    for number in range(count):
        channel.add(line(number))
    return channel


def taken(seat: Seat, most: int = 10**6) -> list[dict[str, object]]:
    return [json.loads(message) for message in seat.take(most)]


def test_a_viewer_takes_what_comes_after_it_sat_down() -> None:
    channel = filled(3)
    seat = Seat(channel, BEGAN_NS)
    channel.add(line(3))

    assert seat.has_news
    assert [message["n"] for message in taken(seat)] == [3]
    assert not seat.has_news


def test_viewers_take_at_their_own_pace() -> None:
    channel = Channel("m")
    quick, slow = Seat(channel, BEGAN_NS), Seat(channel, BEGAN_NS)
    filled(5, channel)

    assert [message["n"] for message in taken(quick)] == [0, 1, 2, 3, 4]
    assert [message["n"] for message in taken(slow, 2)] == [0, 1]
    assert [message["n"] for message in taken(slow, 2)] == [2, 3]


def test_who_is_overtaken_is_told_exactly_how_many_were_lost() -> None:
    channel = Channel("m")
    seat = Seat(channel, BEGAN_NS)
    filled(CHANNEL_LINES + 7, channel)
    messages = taken(seat)

    assert messages[0] == {"lost": 7}
    assert [message["n"] for message in messages[1:]] == list(range(7, CHANNEL_LINES + 7))


def test_what_got_lost_on_its_way_is_told_in_its_place() -> None:
    channel = Channel("m")
    seat = Seat(channel, BEGAN_NS)
    channel.add(line(0))
    channel.add_lost(5)
    channel.add(line(6))

    assert taken(seat) == [json.loads(line(0).text), {"lost": 5}, json.loads(line(6).text)]


def test_both_kinds_of_loss_add_up() -> None:
    channel = Channel("m", most_bytes=1)
    seat = Seat(channel, BEGAN_NS)
    channel.add(line(0))
    channel.add_lost(5)
    channel.add(line(6))
    channel.add(line(7))

    assert taken(seat) == [{"lost": 7}, json.loads(line(7).text)]


def test_a_channel_is_bounded_in_bytes_but_keeps_one_line() -> None:
    channel = filled(3, Channel("m", most_bytes=1))

    assert len(list(channel.known())) == 1


def test_what_was_shipped_before_is_shown_only_as_far_as_it_is_asked_for() -> None:
    channel = filled(0)
    seat = Seat(channel, BEGAN_NS)
    for number in range(3):
        channel.add(line(number, old=True, read_ns=BEGAN_NS - 1))
    channel.add(line(3))

    assert [json.loads(text)["n"] for text in seat.opening(2)] == [1, 2]
    assert [message["n"] for message in taken(seat)] == [3]


def test_what_a_worker_calls_old_but_came_after_the_viewer_is_new() -> None:
    channel = Channel("m")
    seat = Seat(channel, BEGAN_NS)
    channel.add(line(0, old=True, read_ns=BEGAN_NS))

    assert [message["n"] for message in taken(seat)] == [0]


def test_the_newest_of_all_metrics_are_chosen_by_time() -> None:
    channel = Channel(None)
    for number, read_ns in enumerate([30, 10, 20]):
        channel.add(line(number, old=True, read_ns=read_ns))
    seat = Seat(channel, BEGAN_NS)

    assert [json.loads(text)["n"] for text in seat.opening(2)] == [2, 0]


@pytest.mark.parametrize(
    ("match", "passes"),
    [
        ("", True),
        ("STRASSE", True),
        ("straße", True),
        ('say "', True),
        ("\n", True),
        ("u000a", False),
        ("metric", False),
        ("m2", False),
    ],
)
def test_a_filter_looks_at_the_text_of_the_line_alone(match: str, passes: bool) -> None:
    text = json.dumps({"metric": "m2", "labels": {"line": "m2"}, "line": 'I say "Straße"\n'})

    assert Channel("m", match).passes(text) is passes
