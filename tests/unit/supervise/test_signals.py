"""Signals become words."""

from __future__ import annotations

import signal

import pytest

from shipper.supervise.signals import signal_words


@pytest.mark.parametrize(
    ("number", "word"),
    [(signal.SIGINT, "stop"), (signal.SIGTERM, "stop"), (signal.SIGHUP, "reload")],
)
def test_a_signal_adds_its_word(number: signal.Signals, word: str) -> None:
    with signal_words() as words:
        signal.raise_signal(number)
        signal.raise_signal(number)

    assert words == [word, word]


def test_afterwards_signals_do_what_they_did_before() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(RuntimeError), signal_words():
        raise RuntimeError

    assert [signal.getsignal(number) for number in numbers] == before
