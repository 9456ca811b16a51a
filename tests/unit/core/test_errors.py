"""What went wrong says what the caller should do next."""

from __future__ import annotations

import pytest

from shipper.core.errors import (
    BatchRefused,
    BatchToSplit,
    Blame,
    ConfigError,
    EveryWorkerGaveUp,
    ReadRefused,
    ShipperError,
    SinkError,
    SinkUnavailable,
    SourceEnded,
    SourceError,
    SourceRefused,
    SourceTimeout,
    SourceUnavailable,
    StartupError,
)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(ShipperError, 1), (ConfigError, 2), (StartupError, 3), (EveryWorkerGaveUp, 4)],
)
def test_an_error_knows_the_exit_code_it_ends_with(
    error: type[ShipperError], exit_code: int
) -> None:
    assert error.exit_code == exit_code


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SourceTimeout, SourceUnavailable),
        (SourceUnavailable, SourceError),
        (ReadRefused, SourceError),
        (SourceRefused, SourceError),
        (SourceEnded, SourceError),
        (SinkUnavailable, SinkError),
        (BatchToSplit, SinkError),
        (BatchRefused, SinkError),
        (SourceError, ShipperError),
        (SinkError, ShipperError),
    ],
)
def test_errors_are_grouped_by_what_to_do(
    error: type[ShipperError], kind: type[ShipperError]
) -> None:
    assert issubclass(error, kind)


def test_a_refused_read_does_not_mean_a_lost_connection() -> None:
    assert not issubclass(ReadRefused, SourceUnavailable)


def test_a_sink_error_has_a_reason_for_the_counter_and_a_text() -> None:
    error = BatchToSplit("the batch is too large", reason="too_large")

    assert (error.reason, str(error)) == ("too_large", "the batch is too large")


def test_an_unavailable_sink_is_down_for_everybody_unless_it_says_otherwise() -> None:
    error = SinkUnavailable("down", reason="connection")

    assert (error.retry_after_seconds, error.blame) == (None, Blame.DESTINATION)
