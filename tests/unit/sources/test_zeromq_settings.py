"""What may be written about a ZeroMQ socket."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shipper.config.secret import Secret
from shipper.core.errors import SourceUnavailable
from shipper.sources.zeromq import ZeromqSettings
from shipper.sources.zeromq.channels.site import Site
from shipper.sources.zeromq.source import ZeromqSource
from shipper.sources.zeromq.wire import Curve, Endpoint, Wire

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
SECRET = {"env": "ZEROMQ_SECRET_KEY"}


def settings(**written: Any) -> ZeromqSettings:
    return ZeromqSettings.model_validate(written)


def test_nothing_has_to_be_written() -> None:
    assert settings().wire() == Wire(
        endpoint=Endpoint("127.0.0.1", 7894),
        binds=True,
        kind="router",
        identity="recodex-monitor",
        most_queued_records=10_000,
    )
    assert settings().format == "recodex"


def test_connecting_stands_instead_of_binding() -> None:
    wire = settings(connect="tcp://daq:5556", socket="sub", topics=["run."]).wire()

    assert (wire.binds, str(wire.endpoint), wire.kind, wire.topics) == (
        *(False, "daq:5556", "sub"),
        ("run.",),
    )


@pytest.mark.parametrize(
    "written",
    [
        pytest.param({"bind": "127.0.0.1:7894"}, id="no transport"),
        pytest.param({"bind": "ipc:///tmp/x"}, id="another transport"),
        pytest.param({"bind": "tcp://127.0.0.1"}, id="no port"),
        pytest.param({"bind": "tcp://127.0.0.1:0"}, id="port 0"),
        pytest.param({"bind": "tcp://127.0.0.1:65536"}, id="port too large"),
        pytest.param({"bind": "tcp://::1:7894"}, id="IPv6 without brackets"),
        pytest.param({"connect": "tcp://*:7894"}, id="a far end anywhere"),
        pytest.param({"bind": "tcp://*:1", "connect": "tcp://a:1"}, id="both ways"),
        pytest.param({"socket": "pub"}, id="a socket that only sends"),
        pytest.param({"identity": ""}, id="no name"),
        pytest.param({"identity": "ě" * 128}, id="a long name"),
        pytest.param({"identity": "\0a"}, id="a name that ZeroMQ keeps for itself"),
        pytest.param({"identity": "a", "socket": "pull"}, id="a name nobody asks for"),
        pytest.param({"topics": ["a"]}, id="topics without sub"),
        pytest.param({"allow_remote_exit": True, "format": "json"}, id="an exit without command"),
        pytest.param({"receive_high_water_mark_records": 0}, id="no bound"),
        pytest.param({"websocket": {}}, id="channels without a port"),
        pytest.param({"websocket": {"port": 1, "host": "[::1]"}}, id="brackets"),
        pytest.param({"websocket": {"port": 1, "host": ""}}, id="no host"),
        pytest.param({"websocket": {"port": 1}, "format": "json"}, id="channels of JSON"),
        pytest.param({"websocket": {"port": 7894}}, id="one port for both"),
        pytest.param({"websocket": {"port": 1, "max_clients": 0}}, id="no clients"),
        pytest.param({"websocket": {"port": 1, "token": "secret"}}, id="the token itself"),
        pytest.param({"idle_seconds": 60}, id="nothing to be idle"),
        pytest.param({"curve": {}}, id="no keys"),
        pytest.param({"curve": {"secret_key": KEY}}, id="the secret itself"),
        pytest.param({"curve": {"secret_key": SECRET, "client_keys": []}}, id="nobody admitted"),
        pytest.param({"curve": {"secret_key": SECRET, "client_keys": ["x"]}}, id="no key"),
        pytest.param({"curve": {"secret_key": SECRET, "server_key": KEY}}, id="server's key"),
        pytest.param(
            {"connect": "tcp://a:1", "curve": {"secret_key": SECRET}}, id="no key of the server"
        ),
        pytest.param(
            {
                "connect": "tcp://a:1",
                "curve": {"secret_key": SECRET, "server_key": KEY, "client_keys": [KEY]},
            },
            id="clients of a client",
        ),
    ],
)
def test_what_cannot_be_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**written)


def test_channels_are_served_where_the_entry_says_and_kept_as_it_says() -> None:
    entry = settings(
        idle_seconds=60,
        websocket={
            "host": "::",
            "port": 4567,
            "token": {"env": "CHANNELS_TOKEN"},
            "max_clients": 5,
            "naming_seconds": 1,
            "stalled_seconds": 2,
            "ping_seconds": 3,
        },
    )

    assert entry.websocket is not None
    assert entry.websocket.site(entry.idle_seconds) == Site(
        endpoint=Endpoint("::", 4567),
        token=Secret("env", "CHANNELS_TOKEN"),
        most_clients=5,
        naming_seconds=1,
        stalled_seconds=2,
        ping_seconds=3,
        idle_seconds=60,
    )


def test_the_old_monitor_s_numbers_are_the_defaults() -> None:
    entry = settings(websocket={"port": 4567})

    assert entry.websocket is not None
    assert (entry.websocket.host, entry.websocket.forget_seconds, entry.idle_seconds) == (
        *("127.0.0.1", 300),
        3600,
    )


def test_fields_that_tasks_alone_have_are_no_spelling_mistakes() -> None:
    assert set(settings().known_fields) == {"channel", "command", "task_id", "task_state"}
    assert set(settings(format="json").known_fields) == set()


def test_an_entry_takes_both_its_ports() -> None:
    assert settings(websocket={"host": "::1", "port": 4567}).takes == [
        "TCP port 127.0.0.1:7894",
        "TCP port [::1]:4567",
    ]
    assert settings(connect="tcp://a:1").takes == []


@pytest.mark.parametrize(
    ("written", "label_fields", "metadata_fields"),
    [
        ({}, ["command", "task_state"], ["channel", "task_id"]),
        ({"format": "recodex", "label_fields": []}, [], ["channel", "task_id"]),
        ({"metadata_fields": ["task_id"]}, ["command", "task_state"], ["task_id"]),
        ({"format": "json"}, [], []),
    ],
    ids=["recodex", "no labels", "no channel", "json"],
)
def test_messages_of_recodex_are_filed_as_they_are_looked_for_unless_the_entry_says_otherwise(
    written: dict[str, Any], label_fields: list[str], metadata_fields: list[str]
) -> None:
    entry = settings(**ZeromqSettings.complete("recodex", written))

    assert (entry.label_fields, entry.metadata_fields) == (label_fields, metadata_fields)


@pytest.mark.parametrize(
    ("written", "instance"),
    [
        ({}, "127.0.0.1:7894"),
        ({"bind": "tcp://[::1]:1"}, "[::1]:1"),
        ({"bind": "tcp://*:1"}, "*:1"),
        ({"connect": "tcp://daq:5556"}, "daq:5556"),
    ],
)
def test_the_instance_is_host_and_port(written: dict[str, Any], instance: str) -> None:
    assert settings(**written).instance(None) == instance


def test_keys_reach_the_wire() -> None:
    bound = settings(curve={"secret_key": SECRET, "client_keys": [KEY]}).wire().curve
    connected = settings(connect="tcp://a:1", curve={"secret_key": SECRET, "server_key": KEY})

    assert bound == Curve(Secret("env", "ZEROMQ_SECRET_KEY"), None, frozenset([KEY]))
    assert connected.wire().curve == Curve(Secret("env", "ZEROMQ_SECRET_KEY"), KEY)


@pytest.mark.parametrize(
    "secret", [Secret("env", "NO_SUCH_VARIABLE"), Secret("literal", "short")], ids=["none", "short"]
)
def test_a_secret_key_that_cannot_be_used_is_unavailable(secret: Secret) -> None:
    with pytest.raises(SourceUnavailable):
        Curve(secret).reveal()


def test_the_source_is_built_without_opening_anything() -> None:
    built = settings(connect="tcp://no-such-host.invalid:1").build("far", None, Path())

    assert isinstance(built, ZeromqSource)


def test_senders_may_drop_what_they_cannot_hand_over_so_reading_does_not_wait() -> None:
    assert settings().waits_when_full is False


def test_every_entry_has_a_check_that_can_be_sent_to_another_process() -> None:
    secret = {"curve": {"secret_key": SECRET}}
    entries = {
        "one": settings(**secret),
        "two": settings(bind="tcp://*:2", websocket={"port": 3}, required=False),
    }
    checks = pickle.loads(pickle.dumps(ZeromqSettings.checks(None, entries)))  # noqa: S301 - our own

    assert [(each.name, each.required) for each in checks] == [
        ("check_zeromq_one", True),
        ("check_zeromq_two", False),
        ("check_channels_two", False),
    ]
