"""Everything an operator may write, and what is said about everything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.config.loading import Configuration, load
from shipper.config.models import HttpSettings, SourceSettings
from shipper.config.override import Override
from shipper.core.errors import ConfigError
from shipper.sinks.loki.settings import LokiSettings
from shipper.sources.sqream import SqreamSettings
from shipper.sources.sqream.connection import SqreamConnection
from shipper.wiring.vocabulary import vocabulary

ALLOWED = "list it under sqream.allow_functions to run it all the same"
NAME_RULE = "a metric's name starts with a letter or _ and goes on with letters, digits and _"
HOW_TO_WRITE_ONE = 'write {"env": "NAME"} or {"file": "PATH"}, never the secret itself'


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "monitor_input.json"


def loaded(path: Path, written: object, *overrides: Override) -> Configuration:
    path.write_text(written if isinstance(written, str) else json.dumps(written))
    return load(path, vocabulary(), overrides)


def refusal(path: Path, written: object, *overrides: Override) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(path, written, *overrides)
    return str(caught.value).replace(f"{path}: ", "FILE: ", 1)


def with_entry(**keys: Any) -> dict[str, Any]:
    return {"metrics": {"show_locks": keys}}


def test_the_short_form_gives_every_metric_its_period(path: Path) -> None:
    configuration = loaded(path, {"show_locks": 2, "show_server_status": 0.5})

    assert {name: entry.every_seconds for name, entry in configuration.metrics.items()} == {
        "show_locks": 2,
        "show_server_status": 0.5,
    }


def test_the_file_of_the_old_monitor_is_taken_as_it_is(path: Path) -> None:
    written = {
        "show_server_status": 7,
        "show_locks": 2,
        "get_leveldb_stats": 5,
        "show_cluster_nodes": 4,
        "get_license_info": 5,
        "reset_leveldb_stats": 86400,
    }

    configuration = loaded(path, written)

    assert [name for name, entry in configuration.metrics.items() if not entry.ship] == [
        "reset_leveldb_stats"
    ]


def test_the_full_form_mixes_short_and_long_entries(path: Path) -> None:
    configuration = loaded(
        path, {"metrics": {"show_locks": 2, "nodes": {"function": "show_cluster_nodes"}}}
    )

    assert list(configuration.metrics) == ["show_locks", "nodes"]
    assert configuration.metrics["nodes"].every_seconds == 5


def test_sections_that_are_not_written_have_their_defaults(path: Path) -> None:
    configuration = loaded(path, {"show_locks": 2})

    assert configuration.section("http", HttpSettings) == HttpSettings()
    assert configuration.section("loki", LokiSettings).url == "http://localhost:3100"


def test_an_entry_knows_the_section_of_its_kind(path: Path) -> None:
    configuration = loaded(path, {"sqream": {"host": "db"}, "metrics": {"show_locks": 2}})

    section = configuration.section_of(configuration.metrics["show_locks"])

    assert isinstance(section, SqreamConnection)
    assert section.host == "db"


def test_a_section_asked_for_as_another_class_is_a_fault_of_ours(path: Path) -> None:
    configuration = loaded(path, {"show_locks": 2})

    with pytest.raises(TypeError, match="section loki is LokiSettings, not HttpSettings"):
        configuration.section("loki", HttpSettings)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ('"5"', 'must be a number of seconds, not the text "5"'),
        ("true", "must be a number of seconds, not true"),
        ("false", "must be a number of seconds, not false"),
        ("null", "must be a number of seconds, not null"),
        ("[5]", "must be a number of seconds, not a list"),
    ],
)
def test_a_period_that_is_no_number_is_refused(path: Path, value: str, rule: str) -> None:
    assert refusal(path, f'{{"show_locks": {value}}}') == f"FILE: show_locks: {rule}"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("0", "must be greater than 0, not 0"),
        ("0.0", "must be greater than 0, not 0.0"),
        ("-0.5", "must be greater than 0, not -0.5"),
        ("-7", "must be greater than 0, not -7"),
        ("1e999", "must be a number, not inf"),
        ("-1e999", "must be a number, not -inf"),
        (str(10**400), "must be a number, not 1" + "0" * 39),
        ("315360001", "must be at most 3.1536e+08, not 315360001"),
    ],
    ids=["0", "0.0", "-0.5", "-7", "1e999", "-1e999", "10**400", "ten years and a second"],
)
def test_a_period_out_of_range_is_refused(path: Path, value: str, rule: str) -> None:
    assert refusal(path, f'{{"show_locks": {value}}}') == (
        f"FILE: show_locks.every_seconds: {rule}"
    )


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_period_that_json_does_not_know_is_refused(path: Path, word: str) -> None:
    assert refusal(path, f'{{"show_locks": {word}}}') == (
        f"FILE: {word} is not a number that can be used here"
    )


@pytest.mark.parametrize(
    ("written", "line"),
    [
        pytest.param({}, "metrics: at least one metric is needed, and there is none", id="empty"),
        pytest.param(
            {"metrics": {}},
            "metrics: at least one metric is needed, and there is none",
            id="no metrics",
        ),
        pytest.param(
            {"metrics": []}, "metrics: must be an object, not a list", id="metrics a list"
        ),
        pytest.param({"metrics": 5}, "metrics: must be an object, not 5", id="metrics a number"),
        pytest.param(
            {"metrics": None}, "metrics: must be an object, not null", id="metrics is null"
        ),
        pytest.param(
            {"metrics": {"show_locks": 2}, "lokki": {}},
            'lokki: this key is not known; did you mean "loki"?',
            id="unknown section, near",
        ),
        pytest.param(
            {"metrics": {"show_locks": 2}, "zzz": {}},
            "zzz: this key is not known; known: http, loki, metrics, sqream, store",
            id="unknown section, far",
        ),
        pytest.param(
            {"loki": {}, "show_locks": 2},
            'metrics: this key is missing beside "loki"',
            id="section without metrics",
        ),
        pytest.param(
            {"metrix": {"show_locks": 2}},
            'metrix: must be a number of seconds, not an object; did you mean "metrics"?',
            id="metrics misspelt",
        ),
        pytest.param(
            {"show_locks": {"every_seconds": 2}},
            "show_locks: must be a number of seconds, not an object; "
            'entries with keys of their own stand under "metrics"',
            id="long entry in the short form",
        ),
        pytest.param(
            {"http": [], "metrics": {"show_locks": 2}},
            "http: must be an object, not a list",
            id="section a list",
        ),
        pytest.param(
            {"loki": {"uri": ""}, "metrics": {"show_locks": 2}},
            'loki.uri: this key is not known; did you mean "url"?',
            id="unknown key of a section",
        ),
        pytest.param(
            {"sqream": {"port": "5000"}, "metrics": {"show_locks": 2}},
            'sqream.port: must be a whole number, not the text "5000"',
            id="wrong type in a section",
        ),
        pytest.param(
            {"sqream": {"port": 10**30}, "metrics": {"show_locks": 2}},
            f"sqream.port: must be at most 65535, not {10**30}",
            id="port far too large",
        ),
        pytest.param(
            {"sqream": {"clustered": "yes"}, "metrics": {"show_locks": 2}},
            'sqream.clustered: must be true or false, not the text "yes"',
            id="switch as text",
        ),
        pytest.param(
            with_entry(every_second=2),
            'metrics.show_locks.every_second: this key is not known; did you mean "every_seconds"?',
            id="unknown key of an entry",
        ),
        pytest.param(
            with_entry(every_seconds="2"),
            'metrics.show_locks.every_seconds: must be a number, not the text "2"',
            id="long entry, period as text",
        ),
        pytest.param(
            with_entry(every_seconds=True),
            "metrics.show_locks.every_seconds: must be a number, not true",
            id="long entry, period as boolean",
        ),
        pytest.param(
            with_entry(timeout_seconds=0),
            "metrics.show_locks.timeout_seconds: must be greater than 0, not 0",
            id="deadline of nothing",
        ),
        pytest.param(
            with_entry(type="sqreem"),
            'metrics.show_locks.type: "sqreem" is not a kind of source; did you mean "sqream"?',
            id="unknown kind",
        ),
        pytest.param(
            with_entry(type=5),
            "metrics.show_locks.type: 5 is not a kind of source",
            id="kind that is no text",
        ),
        pytest.param(
            with_entry(labels={"a": 1}),
            "metrics.show_locks.labels.a: must be text, not 1",
            id="label that is no text",
        ),
        pytest.param(
            with_entry(line="xml"),
            "metrics.show_locks.line: must be 'json' or 'logfmt', not the text \"xml\"",
            id="line in another format",
        ),
        pytest.param(
            with_entry(metrics=[{"name": "a b"}]),
            'metrics.show_locks.metrics.0.name: "a b": a name has small letters, digits and _ only; call it "a_b"',
            id="Prometheus name with a blank",
        ),
        pytest.param(
            with_entry(metrics=[{}]),
            "metrics.show_locks.metrics.0.name: this key is missing",
            id="missing key",
        ),
        pytest.param(
            with_entry(metrics=[{"name": "a", "lables": []}]),
            'metrics.show_locks.metrics.0.lables: this key is not known; did you mean "labels"?',
            id="unknown key of a column metric",
        ),
        pytest.param(
            {"show_lock": 2},
            'show_lock.function: "show_lock" is not a known function; '
            f'did you mean "show_locks"? {ALLOWED}',
            id="unknown function, near",
        ),
        pytest.param(
            {"metrics": {"show_lock": 2}},
            'metrics.show_lock.function: "show_lock" is not a known function; '
            f'did you mean "show_locks"? {ALLOWED}',
            id="unknown function in the full form",
        ),
        pytest.param(
            {"qqq": 2},
            f'qqq.function: "qqq" is not a known function; {ALLOWED}',
            id="unknown function, far",
        ),
        pytest.param(
            {"shutdown_server": 2},
            'shutdown_server.function: "shutdown_server" acts on the server; '
            "it is refused even when it is allowed",
            id="action",
        ),
        pytest.param(
            {"STOP_STATEMENT": 2},
            'STOP_STATEMENT.function: "STOP_STATEMENT" acts on the server; '
            "it is refused even when it is allowed",
            id="action in capitals",
        ),
        pytest.param(
            {"sqream": {"allow_functions": ["remove_lock"]}, "metrics": {"remove_lock": 2}},
            'sqream.allow_functions: "remove_lock" acts on the server and cannot be allowed',
            id="action allowed",
        ),
        pytest.param(
            with_entry(store="tf_metadat"),
            'metrics.show_locks.store: "tf_metadat" is no set of tables; did you mean "tf_metadata"?',
            id="a set of tables, which there is none of",
        ),
        pytest.param(
            with_entry(store="pysmurf_files_v1"),
            "metrics.show_locks.store: pysmurf_files_v1 keeps what an entry with "
            '"type": "udp", "format": "pysmurf" receives',
            id="a set of tables for another kind of source",
        ),
        pytest.param(
            {"show_locks": 0, "show_conf": 0, "a b": 1},
            "show_locks.every_seconds: must be greater than 0, not 0 (and 2 more)",
            id="three faults",
        ),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_in_one_line(
    path: Path, written: object, line: str
) -> None:
    assert refusal(path, written) == f"FILE: {line}"


@pytest.mark.parametrize(
    "name", ["", "1a", "a-b", "a.b", "a b", "a;b", "select 1", "métrique", "٣", "../a", "a/b", "@"]
)
def test_a_name_that_cannot_be_sql_a_label_and_a_file_is_refused(path: Path, name: str) -> None:
    assert refusal(path, {name: 2}) == f"FILE: {name}: {NAME_RULE}"


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\u2028b", "show_locks\n"])
def test_a_name_with_a_line_break_is_refused_in_one_line(path: Path, name: str) -> None:
    message = refusal(path, {name: 2})

    assert len(message.splitlines()) == 1
    assert message.endswith(NAME_RULE)


@pytest.mark.parametrize("key", ["a\nb", "a\rb"])
def test_an_unknown_section_with_a_line_break_is_refused_in_one_line(path: Path, key: str) -> None:
    assert len(refusal(path, {"metrics": {"show_locks": 2}, key: {}}).splitlines()) == 1


@pytest.mark.parametrize("function", [[], {}, ["show_locks"]], ids=["[]", "{}", "list"])
def test_a_function_that_is_no_text_is_refused(path: Path, function: object) -> None:
    line = refusal(path, with_entry(function=function))

    assert line.startswith("FILE: metrics.show_locks.function: must be text, not a")


@pytest.mark.parametrize(
    ("section", "key"), [("sqream", "password"), ("loki", "token"), ("http", "token")]
)
@pytest.mark.parametrize(
    "written",
    [
        pytest.param("hunter2", id="text"),
        pytest.param(["hunter2"], id="list"),
        pytest.param({"literal": "hunter2"}, id="literal"),
        pytest.param({"value": "hunter2"}, id="unknown place"),
        pytest.param({"env": "NAME", "file": "hunter2"}, id="two places"),
        pytest.param({"env": ["hunter2"]}, id="place that is no text"),
        pytest.param({"env": ""}, id="no name"),
        pytest.param({}, id="nothing"),
        pytest.param(12345, id="number"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_repeated(
    path: Path, section: str, key: str, written: object
) -> None:
    line = refusal(path, {section: {key: written}, "metrics": {"show_locks": 2}})

    assert line == f"FILE: {section}.{key}: {HOW_TO_WRITE_ONE}"


def test_null_is_no_password(path: Path) -> None:
    line = refusal(path, {"sqream": {"password": None}, "metrics": {"show_locks": 2}})

    assert line == f"FILE: sqream.password: {HOW_TO_WRITE_ONE}"


def test_a_password_in_the_url_is_not_repeated(path: Path) -> None:
    line = refusal(
        path, {"loki": {"url": "http://me:hunter2@loki:3100"}, "metrics": {"show_locks": 2}}
    )

    assert line == ("FILE: loki.url: write the name under username and the password under password")


def test_an_override_beats_the_file(path: Path) -> None:
    written = {"sqream": {"host": "file", "port": 1}, "metrics": {"show_locks": 2}}

    configuration = loaded(path, written, Override("sqream", "host", "flag", "--host"))

    section = configuration.section("sqream", SqreamConnection)
    assert (section.host, section.port) == ("flag", 1)


def test_of_two_overrides_the_later_wins(path: Path) -> None:
    configuration = loaded(
        path,
        {"show_locks": 2},
        Override("sqream", "host", "first", "--host"),
        Override("sqream", "host", "second", "--host"),
    )

    assert configuration.section("sqream", SqreamConnection).host == "second"


def test_an_override_that_breaks_a_rule_is_told_by_its_flag(path: Path) -> None:
    line = refusal(path, {"show_locks": 2}, Override("sqream", "port", 70000, "--port"))

    assert line == "--port: must be at most 65535, not 70000"


def test_an_override_mends_what_is_wrong_in_the_file(path: Path) -> None:
    written = {"sqream": {"port": 70000}, "metrics": {"show_locks": 2}}

    configuration = loaded(path, written, Override("sqream", "port", 5001, "--port"))

    assert configuration.section("sqream", SqreamConnection).port == 5001


def test_a_configuration_error_ends_with_exit_code_2() -> None:
    assert ConfigError("x").exit_code == 2


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def keys_of(*models: type[Any]) -> list[str]:
    return sorted({key for model in models for key in model.model_fields})


def objects_with(keys: list[str]) -> st.SearchStrategy[Mapping[str, object]]:
    return st.dictionaries(st.sampled_from(keys), JSON, max_size=3)


ENTRIES = JSON | objects_with(keys_of(SourceSettings, SqreamSettings))
DOCUMENTS = st.dictionaries(
    st.sampled_from(["metrics", "loki", "http", "sqream", "show_locks"]) | st.text(max_size=5),
    JSON
    | objects_with(keys_of(LokiSettings, HttpSettings, SqreamConnection))
    | st.dictionaries(st.sampled_from(["show_locks", "x"]), ENTRIES, max_size=2),
    max_size=4,
)


def fault(path: Path, content: bytes) -> str | None:
    """Return what the loader says about `content`; anything but a ConfigError fails the test."""
    path.write_bytes(content)
    try:
        load(path, vocabulary())
    except ConfigError as error:
        return str(error)
    return None


@settings(max_examples=100, deadline=None)
@given(document=DOCUMENTS)
def test_no_json_upsets_the_loader(path: Path, document: object) -> None:
    message = fault(path, json.dumps(document).encode())

    assert message is None or message


@settings(max_examples=60, deadline=None)
@given(entry=objects_with(keys_of(SqreamSettings)))
def test_no_entry_upsets_the_loader(path: Path, entry: Mapping[str, object]) -> None:
    message = fault(path, json.dumps({"metrics": {"show_locks": entry}}).encode())

    assert message is None or message.startswith(f"{path}: ")


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=60))
def test_no_bytes_upset_the_loader(path: Path, content: bytes) -> None:
    message = fault(path, content)

    assert message is not None
    assert message.startswith(f"{path}: ")


@settings(max_examples=60, deadline=None)
@given(document=st.dictionaries(st.text(max_size=4), JSON, max_size=2))
def test_whatever_is_wrong_is_told_in_one_line(path: Path, document: object) -> None:
    message = fault(path, json.dumps(document).encode())

    assert message is not None
    assert len(message.splitlines()) == 1


def test_two_entries_cannot_have_the_same_port(path: Path) -> None:
    entry = {"type": "udp", "port": 8300}

    assert refusal(path, {"metrics": {"a": entry, "b": entry}}) == (
        "FILE: metrics.b: UDP port 127.0.0.1:8300 is taken by metrics.a already"
    )
