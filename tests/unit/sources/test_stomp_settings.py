from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shipper.config.loading import load
from shipper.core.errors import ConfigError
from shipper.sources.stomp import StompSettings
from shipper.wiring.vocabulary import vocabulary

LEAST = {"host": "broker", "destination": "runs"}


def settings(**written: Any) -> StompSettings:
    return StompSettings.model_validate(LEAST | written)


def test_the_defaults_are_those_of_the_contract() -> None:
    given = settings()

    assert (given.port, given.prefetch, given.heartbeat_seconds) == (61613, 1000, 10)
    assert (given.ssl, given.durable, given.selector) == (False, None, None)
    assert given.waits_when_full


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("epic.fastmon.tf", "/topic/epic.fastmon.tf"),
        ("queue/runs", "/topic/queue/runs"),
        ("/topic/runs", "/topic/runs"),
        ("/queue/runs", "/queue/runs"),
        ("/exchange/amq.topic/runs", "/exchange/amq.topic/runs"),
    ],
)
def test_a_destination_without_a_slash_in_front_is_a_topic(written: str, full: str) -> None:
    assert settings(destination=written).subscription().destination == full


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"ssl": True}, "ca_certs: ssl needs it"),
    ({"ca_certs": "/ca.pem"}, "ssl: must be true"),
    ({"cert": "/cert.pem"}, "ssl: must be true"),
    ({"ssl": True, "ca_certs": "/ca.pem", "key": "/key.pem"}, "cert: this key is missing"),
    ({"password": {"env": "PASSWORD"}}, "user: this key is missing"),
    ({"destination": "/queue/runs", "durable": "me"}, "durable: is for topics"),
    ({"user": "me\nreceipt:1"}, "user"),
    ({"destination": ""}, "destination"),
    ({"prefetch": 0}, "prefetch"),
    ({"prefetch": 65536}, "prefetch"),
    ({"heartbeat_seconds": 0}, "heartbeat_seconds"),
]


@pytest.mark.parametrize(
    ("written", "complaint"),
    [pytest.param(*each, id=" ".join(map(str, each[0]))) for each in REFUSED],
)
def test_what_would_be_less_than_it_looks_like_is_refused(
    written: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        settings(**written)


def test_tls_without_a_ca_is_a_mistake_in_the_file_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "shipper.json"
    path.write_text(
        '{"metrics": {"tf": {"type": "stomp", "host": "b", "destination": "d", "ssl": true}}}'
    )

    with pytest.raises(ConfigError, match=r"tf\.ca_certs: ssl needs it"):
        load(path, vocabulary())


def test_the_instance_is_host_and_port() -> None:
    assert settings(port=61614).instance(None) == "broker:61614"


def test_a_durable_subscription_is_said_in_the_words_of_both_brokers() -> None:
    headers = settings(durable="night-shift", prefetch=7).subscription().headers()

    assert headers == {
        "activemq.prefetchSize": "7",
        "prefetch-count": "7",
        "activemq.subscriptionName": "night-shift",
        "durable": "true",
        "auto-delete": "false",
    }


def test_a_durable_subscription_has_the_same_id_on_every_connection() -> None:
    assert settings(durable="night-shift").subscription().identifier == "night-shift"


def test_a_selector_is_sent_along() -> None:
    assert settings(selector="kind = 'tf'").subscription().headers()["selector"] == "kind = 'tf'"


def test_every_entry_has_a_check_that_can_be_pickled() -> None:
    entries = {"tf": settings(), "runs": settings(required=False)}
    checks = StompSettings.checks(None, entries)

    assert [(check.name, check.required) for check in checks] == [
        ("check_stomp_tf", True),
        ("check_stomp_runs", False),
    ]
    assert [check.name for check in pickle.loads(pickle.dumps(checks))] == [  # noqa: S301 - ours
        "check_stomp_tf",
        "check_stomp_runs",
    ]
