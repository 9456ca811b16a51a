"""The word `top`: where it looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipper.cli import main
from shipper.cli.top import TOP_FLAGS
from shipper.live.terminal.link import Link


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*(flag.variable for flag in TOP_FLAGS), "SHIPPER_HTTP_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """Where it was looked; nobody is asked."""
    links: list[Link] = []
    monkeypatch.setattr("shipper.wiring.top.show_once", lambda link, _console: links.append(link))
    return links


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ([], "http://127.0.0.1:9108"),
        (["--http-port", "7"], "http://127.0.0.1:7"),
        (["--http_host", "h"], "http://h:9108"),
        (["--http_host", "0.0.0.0"], "http://127.0.0.1:9108"),  # noqa: S104
        (["--http_host", "::"], "http://[::1]:9108"),
        (["--url", "https://h/p/"], "https://h/p"),
    ],
    ids=" ".join,
)
def test_it_looks_where_the_flags_say(
    looked: list[Link], arguments: list[str], address: str
) -> None:
    assert main(["top", "--once", *arguments]) == 0
    assert looked == [Link(address)]


def test_a_typed_host_beats_an_address_of_the_environment(
    looked: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIPPER_URL", "http://environment")
    main(["top", "--once", "--http_host", "typed"])

    assert looked == [Link("http://typed:9108")]


@pytest.mark.parametrize("variable", ["SHIPPER_TOKEN_FILE", "SHIPPER_HTTP_TOKEN_FILE"])
def test_a_token_can_come_from_the_environment(
    looked: list[Link], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    (tmp_path / "token").write_text("sesame\n")
    monkeypatch.setenv(variable, str(tmp_path / "token"))
    main(["top", "--once"])

    assert looked == [Link("http://127.0.0.1:9108", "sesame")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "nonsense"], "--url: nonsense is no address"),
        (["--url", "http://a", "--http_host", "b"], "are two places"),
        (["--http_port", "0"], "--http_port: 0 is no port"),
        (["--token_file", "/no/such/file"], "--token_file: the secret's file"),
        (["--interval_seconds", "x"], "'x' is not a valid float"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_bad_usage(
    looked: list[Link], capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["top", "--once", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert looked == []


def test_a_token_with_a_line_break_in_disguise_is_refused(
    looked: list[Link], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "token").write_bytes(b"sesame\x00\n")

    assert main(["top", "--once", "--token_file", str(tmp_path / "token")]) == 2
    assert "only visible ASCII" in capsys.readouterr().err
