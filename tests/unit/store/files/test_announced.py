"""What is read out of messages about files."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.store.files.announced import MAX_INT, Unfit, announced_file
from tests.unit.store.files.rows import ENVELOPE, G3_PAYLOAD, RECEIVED_NS, data_file, file, g3_file


def without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    payload = {key: value for key, value in row["payload"].items() if key not in keys}
    return {**row, "payload": payload}


def test_a_data_file_is_read_with_all_its_fields() -> None:
    assert announced_file(data_file(), RECEIVED_NS) == file()


def test_the_publisher_of_a_server_names_no_action() -> None:
    read = announced_file(without(data_file(), "action", "action_ts"), RECEIVED_NS)

    assert read == file(action=None, action_unix_seconds=None)


def test_only_the_path_must_be_there() -> None:
    row = {"type": "data_file", "payload": {"path": "/data/a"}}
    read = announced_file(row, RECEIVED_NS)

    assert (read.path, read.format, read.plot, read.pub_id) == ("/data/a", None, None, "")


def test_a_g3_file_has_a_format_and_the_time_of_its_message() -> None:
    read = announced_file(g3_file(), RECEIVED_NS)

    assert (read.path, read.format, read.plot) == (G3_PAYLOAD["path"], "g3", False)
    assert (read.unix_seconds, read.archive_name) == (1589517270, "timestreams")


@pytest.mark.parametrize(
    ("path", "form", "stored"),
    [
        ("/d/a", "npy", "/d/a.npy"),
        ("/d/a.npy", "npy", "/d/a.npy"),
        ("/d/a.txt", "npy", "/d/a.txt.npy"),
        ("/d/a", "txt", "/d/a"),
        ("/d/a", "", "/d/a"),
    ],
)
def test_the_path_of_an_array_gets_the_suffix_that_it_lacks(
    path: str, form: str, stored: str
) -> None:
    assert announced_file(data_file(path=path, format=form), RECEIVED_NS).path == stored


@pytest.mark.parametrize(
    ("payload_time", "envelope_time", "seconds"),
    [
        pytest.param(1589517269.999, 5.0, 1589517269, id="of the file"),
        pytest.param(1589517269, 5.0, 1589517269, id="of the file, whole"),
        pytest.param(None, 1589517270.5, 1589517270, id="of the message"),
        pytest.param(None, None, 1_600_000_000, id="of its arrival"),
        pytest.param(MAX_INT, 5.0, MAX_INT, id="the last there is"),
    ],
)
def test_the_time_is_the_first_that_is_there(
    payload_time: object, envelope_time: object, seconds: int
) -> None:
    row = data_file(timestamp=payload_time) | {"time": envelope_time}

    assert announced_file(row, RECEIVED_NS).unix_seconds == seconds


@pytest.mark.parametrize("written", ["1589517264", 1589517264, "01589517264"[1:]])
def test_the_start_of_an_action_is_read_from_digits(written: object) -> None:
    read = announced_file(data_file(action_ts=written), RECEIVED_NS)

    assert read.action_unix_seconds == 1589517264


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"path": None}, "no_path", id="no path"),
        pytest.param({"path": ""}, "no_path", id="empty path"),
        pytest.param({"path": 7}, "wrong_type", id="number for a path"),
        pytest.param({"path": "/a\0b"}, "not_text", id="NUL"),
        pytest.param({"path": "/a\udc80"}, "not_text", id="bytes that are no UTF-8"),
        pytest.param({"path": "/" + "x" * 4096}, "too_long", id="long path"),
        pytest.param({"path": "/" + "x" * 4092, "format": "npy"}, "too_long", id="with suffix"),
        pytest.param({"format": ["npy"]}, "wrong_type", id="list for a format"),
        pytest.param({"format": "x" * 256}, "too_long", id="long format"),
        pytest.param({"action": 1}, "wrong_type", id="number for an action"),
        pytest.param({"action": "x" * 256}, "too_long", id="long action"),
        pytest.param({"pysmurf_version": "v" * 65}, "too_long", id="long version"),
        pytest.param({"archive_name": {}}, "wrong_type", id="object for an archive"),
        pytest.param({"plot": 1}, "wrong_type", id="number for a flag"),
        pytest.param({"timestamp": "1589517269"}, "wrong_type", id="text for a time"),
        pytest.param({"timestamp": True}, "wrong_type", id="flag for a time"),
        pytest.param({"timestamp": float("nan")}, "bad_time", id="no number"),
        pytest.param({"timestamp": 0}, "bad_time", id="before all times"),
        pytest.param({"timestamp": -5.5}, "bad_time", id="negative time"),
        pytest.param({"timestamp": 2**31}, "bad_time", id="after all times"),
        pytest.param({"timestamp": 1e300}, "bad_time", id="huge time"),
        pytest.param({"action_ts": "today"}, "wrong_type", id="word for digits"),
        pytest.param({"action_ts": "²"}, "wrong_type", id="digits of another kind"),
        pytest.param({"action_ts": ""}, "wrong_type", id="no digits"),
        pytest.param({"action_ts": True}, "wrong_type", id="flag for digits"),
        pytest.param({"action_ts": 1.5}, "wrong_type", id="fraction for digits"),
        pytest.param({"action_ts": "9" * 5000}, "bad_time", id="thousands of digits"),
        pytest.param({"action_ts": str(2**31)}, "bad_time", id="action after all times"),
        pytest.param({"action_ts": -1}, "bad_time", id="negative action"),
    ],
)
def test_what_cannot_be_a_row_is_unfit(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unfit) as unfit:
        announced_file(data_file(**changes), RECEIVED_NS)

    assert unfit.value.reason == reason
    assert next(iter(changes)) in unfit.value.answer


@pytest.mark.parametrize("payload", [None, [], "path", 7])
def test_a_payload_that_is_no_object_is_unfit(payload: object) -> None:
    with pytest.raises(Unfit, match="payload is no object"):
        announced_file({**ENVELOPE, "payload": payload}, RECEIVED_NS)


@pytest.mark.parametrize("key", ["id", "script"])
def test_an_envelope_with_a_name_that_does_not_fit_is_unfit(key: str) -> None:
    with pytest.raises(Unfit, match=f"{key} has 256 characters, at most 255"):
        announced_file(data_file() | {key: "x" * 256}, RECEIVED_NS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)
KEYS = ["path", "format", "timestamp", "action", "action_ts", "plot", "archive_name"]


@given(
    st.dictionaries(st.sampled_from(KEYS), JSON),
    st.sampled_from(["data_file", "g3_file"]),
    st.dictionaries(st.sampled_from(["id", "script", "time"]), JSON),
)
def test_whatever_is_announced_is_read_or_unfit(
    changes: dict[str, Any], kind: str, envelope: dict[str, Any]
) -> None:
    with suppress(Unfit):
        read = announced_file(data_file(**changes) | envelope | {"type": kind}, RECEIVED_NS)

        assert read.path
        assert 1 <= read.unix_seconds <= MAX_INT
