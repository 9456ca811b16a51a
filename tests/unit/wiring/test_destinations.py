"""Several Lokis: which lines go where, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shipper.config.loading import Configuration, load
from shipper.config.override import Override
from shipper.core.errors import ConfigError
from shipper.wiring.destinations import check_lokis, lokis, lokis_of
from shipper.wiring.vocabulary import vocabulary

OPS = {"name": "ops", "url": "http://ops:3100"}
DEV = {"name": "dev", "url": "http://dev:3100", "match": ["show_l*", "get_license_info"]}
METRICS = {"show_locks": 2, "show_server_status": 7, "get_license_info": 60}


def configuration(
    folder: Path, loki: object, metrics: dict[str, Any] | None = None, *overrides: Override
) -> Configuration:
    path = folder / "metrics.json"
    path.write_text(json.dumps({"loki": loki, "metrics": metrics or METRICS}))
    return load(path, vocabulary(), overrides)


def fault(
    folder: Path, loki: object, metrics: dict[str, Any] | None = None, *overrides: Override
) -> str:
    with pytest.raises(ConfigError) as caught:
        check_lokis(configuration(folder, loki, metrics, *overrides))
    return str(caught.value).removeprefix(f"{folder / 'metrics.json'}: ")


def test_one_loki_may_be_an_object_or_a_list_of_one(tmp_path: Path) -> None:
    for written in ({"url": "http://ops:3100"}, [{"url": "http://ops:3100"}]):
        (loki,) = lokis(configuration(tmp_path, written))
        assert (loki.url, loki.sink_name) == ("http://ops:3100", "loki")


def test_lines_go_wherever_the_metric_matches(tmp_path: Path) -> None:
    made = configuration(tmp_path, [OPS, DEV])
    check_lokis(made)

    assert {metric: [loki.sink_name for loki in lokis_of(made, metric)] for metric in METRICS} == {
        "show_locks": ["loki.ops", "loki.dev"],
        "show_server_status": ["loki.ops"],
        "get_license_info": ["loki.ops", "loki.dev"],
    }


def test_what_is_not_shipped_goes_nowhere(tmp_path: Path) -> None:
    made = configuration(tmp_path, [OPS], {"show_locks": {"ship": False}, "show_version": 60})
    check_lokis(made)

    assert lokis_of(made, "show_locks") == ()


def test_the_checks_of_several_have_their_names(tmp_path: Path) -> None:
    made = configuration(tmp_path, [OPS, {"url": "http://old:3100"}])

    assert [check.name for loki in lokis(made) for check in loki.checks()] == [
        "check_loki_connection_ops",
        "check_loki_clock_ops",
        "check_loki_limits_ops",
        "check_loki_connection",
        "check_loki_clock",
        "check_loki_limits",
    ]


@pytest.mark.parametrize(
    ("loki", "words"),
    [
        pytest.param([], "loki: the list is empty", id="empty"),
        pytest.param([OPS, 7], "loki.1: must be an object, not 7", id="no object"),
        pytest.param(
            [OPS, {**DEV, "ulr": "x"}],
            'loki.1.ulr: this key is not known; did you mean "url"?',
            id="key",
        ),
        pytest.param([OPS, {**DEV, "name": "a b"}], "loki.1.name: must match", id="blank"),
        pytest.param(
            [OPS, {**DEV, "name": "ops"}],
            "loki.1.name: loki.0 is named ops already; each needs one of its own",
            id="named twice",
        ),
        pytest.param(
            [{"url": "http://a:1"}, {"url": "http://b:1"}],
            "loki.1.name: loki.0 has no name either",
            id="two without a name",
        ),
        pytest.param(
            [OPS, {**OPS, "name": "again"}],
            "loki.1.url: loki.0 leads to the same Loki and tenant",
            id="the same twice",
        ),
        pytest.param(
            [OPS, {**DEV, "match": ["shaw_*"]}],
            'loki.1.match: "shaw_*" matches no metric that is shipped',
            id="idle pattern",
        ),
        pytest.param(
            [DEV],
            "metrics.show_server_status: no loki matches it, so its lines go nowhere",
            id="nowhere",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, loki: object, words: str) -> None:
    assert fault(tmp_path, loki).startswith(words)


def test_another_tenant_of_the_same_loki_is_another_place(tmp_path: Path) -> None:
    check_lokis(configuration(tmp_path, [OPS, {**OPS, "name": "team", "tenant": "team"}]))


def test_a_flag_cannot_say_which_of_several_it_means(tmp_path: Path) -> None:
    flag = Override("loki", "url", "http://x:1", "--loki_url")

    assert fault(tmp_path, [OPS], None, flag).startswith(
        "--loki_url: loki is a list in the file, so no flag can say which of them is meant"
    )
