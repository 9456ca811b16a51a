"""`top` on a terminal of its own, against something that shows what a Shipper shows."""

from __future__ import annotations

import json
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.services import free_port
from tests.support.shipper_process import Ended, command, until
from tests.support.terminal import ALTERNATE_SCREEN, ORDINARY_SCREEN, Terminal
from tests.support.watched_shipper import WatchedShipper, row, state_of

ROWS = (row("show_locks"), row("show_conf", result="error", error="the far end hung up"))


@pytest.fixture
def shipper() -> Iterator[WatchedShipper]:
    with WatchedShipper(state_of(*ROWS)) as watched:
        yield watched


def top_at(url: str, *flags: str) -> Terminal:
    return Terminal(["top", "--url", url, *flags])


def ended(folder: Path, *arguments: str, **variables: str) -> Ended:
    return command(["top", *arguments], folder, variables=variables)


# Once


def test_once_prints_the_table_without_colours_or_a_screen(
    shipper: WatchedShipper, tmp_path: Path
) -> None:
    once = ended(tmp_path, "--url", shipper.url, "--once")
    lines = once.stdout.splitlines()

    assert once.exit_code == 0
    assert "\x1b" not in once.stdout
    assert [line.split()[0] for line in lines[4:]] == ["show_conf", "show_locks"]
    assert lines[4].endswith("the far end hung up")


def test_the_state_can_be_had_as_json(shipper: WatchedShipper, tmp_path: Path) -> None:
    assert json.loads(ended(tmp_path, "--url", shipper.url, "--json").stdout) == shipper.state


def test_the_place_can_come_from_what_the_service_itself_is_told(
    shipper: WatchedShipper, tmp_path: Path
) -> None:
    variables = {"SHIPPER_HTTP_HOST": "0.0.0.0", "SHIPPER_HTTP_PORT": str(shipper.port)}  # noqa: S104

    assert "show_locks" in ended(tmp_path, "--once", **variables).stdout


def test_a_path_may_have_a_prefix(tmp_path: Path) -> None:
    with WatchedShipper(prefix="/behind/a/proxy") as shipper:
        assert "show_locks" in ended(tmp_path, "--url", shipper.url, "--once").stdout


def test_where_nothing_listens_it_says_so(tmp_path: Path) -> None:
    once = ended(tmp_path, "--http_port", str(free_port()), "--once")

    assert once.exit_code == 3
    assert "nothing listens at http://127.0.0.1" in once.stderr
    assert "--url names another place" in once.stderr


def test_a_token_that_is_wanted_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "good").write_text("sesame\n")
    (tmp_path / "bad").write_text("barley\n")
    with WatchedShipper(token="sesame") as shipper:  # noqa: S106 - opens a test
        none, bad, good = (
            ended(tmp_path, "--url", shipper.url, "--once", *flags)
            for flags in (
                (),
                ("--token_file", str(tmp_path / "bad")),
                ("--token-file", str(tmp_path / "good")),
            )
        )

    assert (none.exit_code, bad.exit_code, good.exit_code) == (3, 3, 0)
    assert "wants a token: give the file that holds it with --token_file" in none.stderr
    assert "does not take this token (401)" in bad.stderr


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, b"<html>"), "is no Shipper"),
        ((200, b'{"status": "UP"}'), "is no Shipper"),
        ((404, b"none"), "answers 404: no Shipper is there"),
    ],
    ids=["no JSON", "another JSON", "404"],
)
def test_what_is_no_shipper_is_told(answer: tuple[int, bytes], words: str, tmp_path: Path) -> None:
    with WatchedShipper(answer=answer) as shipper:
        once = ended(tmp_path, "--url", shipper.url, "--once")

    assert once.exit_code == 3
    assert words in once.stderr


def test_tls_is_checked(tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with WatchedShipper(tls=context) as shipper:
        plain = ended(tmp_path, "--url", shipper.url.replace("https", "http"), "--once")
        unknown = ended(tmp_path, "--url", shipper.url, "--once")
        known = ended(
            tmp_path, "--url", shipper.url, "--once", SSL_CERT_FILE=str(tmp_path / "ca.pem")
        )

    assert (plain.exit_code, unknown.exit_code, known.exit_code) == (3, 3, 0)
    assert "does it want https:// instead?" in plain.stderr
    assert "certificate verify failed" in unknown.stderr
    assert "SSL_CERT_FILE=FILE names the CA" in unknown.stderr


def test_without_a_terminal_it_points_to_once(shipper: WatchedShipper, tmp_path: Path) -> None:
    piped = ended(tmp_path, "--url", shipper.url)

    assert piped.exit_code == 2
    assert "--once prints the table" in piped.stderr


# Live


def test_changes_are_shown_as_they_are_told(shipper: WatchedShipper) -> None:
    with top_at(shipper.url) as terminal:
        terminal.shows("0 s old, live")
        shipper.tell(at=1002.0, changed=[{"metric": "show_locks", "state": "failed"}])
        terminal.shows("error 1, failed 1")


def test_a_shipper_that_does_not_tell_is_asked_again() -> None:
    with (
        WatchedShipper(state_of(*ROWS), live=False) as shipper,
        top_at(shipper.url, "--interval_seconds", "0.2") as terminal,
    ):
        terminal.shows("old, polled")
        shipper.state = state_of(row("brand_new"))
        terminal.shows("brand_new")


def test_a_connection_that_is_lost_is_told_and_made_again(shipper: WatchedShipper) -> None:
    port = shipper.port
    with top_at(shipper.url) as terminal:
        terminal.shows("0 s old, live")
        shipper.__exit__(None, None, None)
        terminal.shows("STALE since")
        with WatchedShipper(state_of(row("back_again")), port=port):
            terminal.shows("back_again")
            terminal.shows("0 s old, live")


@pytest.mark.parametrize("end", ["q", "\x03", signal.SIGTERM, signal.SIGHUP], ids=repr)
def test_it_ends_and_leaves_the_terminal_as_it_was(
    shipper: WatchedShipper, end: str | signal.Signals
) -> None:
    with top_at(shipper.url) as terminal:
        terminal.shows("0 s old, live")
        assert not terminal.echoes
        if isinstance(end, str):
            terminal.press(end)
        else:
            terminal.signal(end)

        assert terminal.wait() == 0
        until(lambda: ORDINARY_SCREEN in terminal.sent)
        assert terminal.echoes
        assert terminal.sent.count(ALTERNATE_SCREEN) == 1
        assert "Traceback" not in terminal.sent


def test_it_ends_at_once_while_a_question_has_no_answer() -> None:
    with (
        WatchedShipper(state_of(*ROWS), live=False) as shipper,
        top_at(shipper.url, "--interval_seconds", "0.1") as terminal,
    ):
        terminal.shows("old, polled")
        shipper.slow_seconds = 8.0
        terminal.shows("2 s old")
        began = time.monotonic()
        terminal.press("q")

        assert terminal.wait() == 0
        assert time.monotonic() - began < 5


def test_a_metric_that_is_open_shows_its_lines_as_they_come() -> None:
    first = {"metric": "show_conf", "time_ns": "1", "line": "a line from before"}
    with WatchedShipper(state_of(*ROWS), lines=[first]) as shipper, top_at(shipper.url) as terminal:
        terminal.shows("0 s old, live")
        terminal.press("\r")
        terminal.shows("a line from before")
        shipper.ship("evil \x1b]0;owned\x07 line", "show_conf")
        terminal.shows("evil \\x1b]0;owned\\x07 line")

        assert "/live?metric=show_conf&last=200" in shipper.asked
        terminal.press("\x1b")
        terminal.shows("Enter open")

        def nobody_listens() -> bool:
            # A listener finds out that nobody is there when it has something to say.
            shipper.ship("x")
            return shipper.listeners("/live") == 0

        until(nobody_listens)


def test_lines_that_are_wanted_are_asked_for(shipper: WatchedShipper) -> None:
    with top_at(shipper.url) as terminal:
        terminal.shows("0 s old, live")
        terminal.press("\r")
        terminal.press("/")
        terminal.press("a&b\r")
        until(lambda: "/live?metric=show_conf&last=200&match=a%26b" in shipper.asked)


def test_it_follows_the_size_of_the_terminal(shipper: WatchedShipper) -> None:
    with top_at(shipper.url) as terminal:
        terminal.shows("took")
        terminal.resize((60, 12))
        terminal.signal(signal.SIGWINCH)
        until(lambda: "took" not in terminal.picture and "show_locks" in terminal.picture)


def test_a_pause_lets_the_picture_stand(shipper: WatchedShipper) -> None:
    with top_at(shipper.url) as terminal:
        terminal.shows("0 s old, live")
        terminal.press("p")
        terminal.shows("PAUSED")
        shipper.tell(changed=[row("brand_new")])
        terminal.press("s")
        terminal.shows("by name")
        assert "brand_new" not in terminal.picture
        terminal.press("p")
        terminal.shows("brand_new")
