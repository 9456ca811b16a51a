"""What is counted."""

from __future__ import annotations

from shipper.demo.sqream.tally import Tally


def test_open_sessions_are_those_opened_less_those_closed() -> None:
    tally = Tally()
    for _ in range(3):
        tally.connection_opened()
    tally.connection_closed()

    assert tally.counts().connections_opened == 3
    assert tally.counts().sessions_open == 2


def test_refused_logins_are_counted_apart() -> None:
    tally = Tally()
    tally.login(accepted=True)
    tally.login(accepted=False)
    tally.login(accepted=False)

    assert (tally.counts().logins, tally.counts().logins_refused) == (1, 2)


def test_counts_taken_earlier_do_not_change() -> None:
    tally = Tally()
    tally.statement("show_locks")
    earlier = tally.counts()
    tally.statement("show_locks")

    assert earlier.statements == {"show_locks": 1}
    assert tally.counts().statements == {"show_locks": 2}
