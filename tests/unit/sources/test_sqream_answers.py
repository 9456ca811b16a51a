"""What pysqream's error texts mean."""

from __future__ import annotations

import json
import socket

import pytest

from shipper.sources.sqream.answers import LONGEST_TEXT, error_answer, plain_text


def said_by_server(text: str, expected: str = "statementPrepared") -> Exception:
    answer = json.dumps({"error": text})
    return Exception(f"\nexpected response {expected} but got:\n\n \x1b[31m{answer}\x1b[0m")


@pytest.mark.parametrize(
    "text",
    [
        "Could not find function x in catalog.",
        'a "quoted" word and a \\ backslash',
        "first line\nsecond line",
        "zażółć gęślą jaźń",
    ],
)
def test_an_error_answer_is_told_in_the_words_of_the_server(text: str) -> None:
    assert error_answer(said_by_server(text)) == text


def test_an_error_answer_that_was_cut_in_two_is_still_told() -> None:
    assert error_answer(Exception('but got: \x1b[31m{"error":"first line\\')) == "first line"


def test_an_answer_with_an_escape_that_json_does_not_know_is_told_as_it_is() -> None:
    assert error_answer(Exception('{"error":"a \\x b"}')) == "a \\x b"


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError("SQreamd connection interrupted - 0 returned by socket"),
        BrokenPipeError(32, "Broken pipe"),
        KeyError("statementId"),
        Exception("expected response executed but got:\n\n \x1b[31m{}\x1b[0m"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_other_troubles_are_no_error_answers(error: Exception) -> None:
    assert error_answer(error) is None


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(
            ConnectionRefusedError("Connection refused, perhaps wrong IP?"),
            "db:5000 refuses connections",
            id="refused",
        ),
        pytest.param(
            ConnectionRefusedError("SQreamd connection interrupted - 0 returned by socket"),
            "db:5000 hung up",
            id="interrupted",
        ),
        pytest.param(BrokenPipeError(32, "Broken pipe"), "db:5000 hung up", id="broken pipe"),
        pytest.param(ConnectionResetError(104, "reset"), "db:5000 hung up", id="reset"),
        pytest.param(
            Exception("Timeout when connecting to SQream, perhaps wrong IP?"),
            "db:5000 does not answer",
            id="no answer to SYN",
        ),
        pytest.param(
            Exception(socket.gaierror(-2, "Name or service not known")),
            "db:5000 is not a host that can be found",
            id="unknown host",
        ),
        pytest.param(
            Exception("Error connecting to database: Login failure: role 'x' doesn't exist"),
            "db:5000 refuses the login: Login failure: role 'x' doesn't exist",
            id="role, 5.x",
        ),
        pytest.param(
            Exception("'Error connecting to database: Database x no longer exists'"),
            "db:5000 refuses the login: Database x no longer exists",
            id="database, 6.x",
        ),
        pytest.param(Exception("\x1b[31modd\x1b[0m"), "db:5000: Exception: odd", id="colours"),
        pytest.param(KeyError("statementId"), "db:5000: KeyError: statementId", id="anything else"),
    ],
)
def test_other_troubles_become_one_plain_sentence(error: Exception, text: str) -> None:
    assert plain_text(error, "db:5000") == text


def test_a_password_that_is_echoed_is_not_told() -> None:
    echoed = Exception('cannot parse {"username":"m", "password":"s3cr\\"et", "service":"x"}')

    assert "s3cr" not in plain_text(echoed, "db:5000")


def test_a_password_at_the_end_of_a_cut_echo_is_not_told() -> None:
    assert "s3cr" not in plain_text(Exception('cannot parse {"password":"s3cr'), "db:5000")


def test_a_very_long_answer_is_shortened() -> None:
    answer = error_answer(said_by_server("x" * 10_000))

    assert answer is not None
    assert len(answer) == LONGEST_TEXT + len("...")
