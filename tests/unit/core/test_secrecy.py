"""Secrets that a process has used are struck out of what it says."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.config.secret import Secret
from shipper.core import secrecy
from shipper.core.secrecy import SHORTEST_INSIDE_WORDS, conceal, redacted

SECRET = "correct horse/battery"  # noqa: S105


def test_a_text_without_secrets_stays_as_it_is() -> None:
    assert redacted("Nothing is secret here.") == "Nothing is secret here."


@pytest.mark.parametrize(
    "quoted",
    [SECRET, quote(SECRET, safe=""), json.dumps(SECRET), repr(SECRET), "correct+horse%2Fbattery"],
    ids=["plain", "in a URL", "in JSON", "in Python", "in a form"],
)
def test_a_secret_is_struck_out_however_it_is_quoted(quoted: str) -> None:
    conceal(SECRET)

    said = redacted(f"tried {quoted} twice: {quoted}")
    assert "horse" not in said
    assert said.count("***") == 2


@pytest.mark.parametrize(
    ("url", "quoted"),
    [
        ("postgresql://me:p%40ssword1@db/x", "p@ssword1"),
        ("postgresql://me:p%40ssword1@db/x", "p%40ssword1"),
        ("postgresql://me@db/x?password=hidden-one", "hidden-one"),
        ("mysql://me:six666@db/x", "six666"),
    ],
    ids=["decoded", "as written", "in the query", "short"],
)
def test_of_a_url_only_the_secret_in_it_is_struck_out(url: str, quoted: str) -> None:
    conceal(url)

    assert redacted(f"db refuses {quoted} of me") == "db refuses *** of me"


def test_the_url_of_a_database_without_a_password_is_none() -> None:
    conceal("sqlite:////var/lib/shipper/store.db")

    assert redacted("sqlite:////var/lib/shipper/store.db") == "sqlite:////var/lib/shipper/store.db"


def test_a_short_secret_does_not_garble_words_that_hold_it() -> None:
    conceal("server")

    said = redacted("show_server_status, servers, server: server")
    assert said == "show_server_status, servers, ***: ***"


def test_a_very_short_one_is_not_struck_out() -> None:
    conceal("wrong")

    assert redacted("wrong password") == "wrong password"


def test_the_password_that_comes_with_sqream_is_none() -> None:
    conceal("sqream")

    assert redacted("service_name sqream") == "service_name sqream"


def test_a_secret_that_begins_with_another_is_struck_out_whole() -> None:
    conceal("password-1")
    conceal("password-1-and-more")

    assert redacted("password-1-and-more") == "***"


def test_whatever_reveals_a_secret_makes_it_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", SECRET)
    before = redacted(SECRET)
    Secret("env", "A_SECRET").reveal()

    assert (before, redacted(SECRET)) == (SECRET, "***")


@given(st.text(min_size=SHORTEST_INSIDE_WORDS), st.text(), st.text())
def test_no_long_secret_is_left_in_any_text(secret: str, before: str, behind: str) -> None:
    secrecy._known.clear()
    secrecy._pattern = None
    conceal(secret)
    hidden = secret.strip()

    assert (
        "://" in hidden
        or len(hidden) < SHORTEST_INSIDE_WORDS
        or "***" in redacted(f"{before}{hidden}{behind}")
    )
