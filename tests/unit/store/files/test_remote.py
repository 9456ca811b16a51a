"""Where files belong in archives."""

from __future__ import annotations

from typing import Any

import pytest

from shipper.store.files.remote import RemoteFile, Unplaced, place
from tests.unit.store.files.rows import G3_PAYLOAD, file

BESIDE_A_DATE = "/data/smurf_data/20200515/1589517000/outputs/"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        pytest.param(
            {}, "15895/crate1slot2/1589517264_tracking_setup/outputs/1589517264_resp.txt", id="file"
        ),
        pytest.param(
            {"plot": True},
            "15895/crate1slot2/1589517264_tracking_setup/plots/1589517264_resp.txt",
            id="plot",
        ),
        pytest.param(
            {"action": None, "action_unix_seconds": None, "plot": None},
            "15895/crate1slot2/None_None/outputs/1589517264_resp.txt",
            id="no action",
        ),
        pytest.param(
            {"path": "x.npy"},
            "15895/crate1slot2/1589517264_tracking_setup/outputs/x.npy",
            id="short path",
        ),
    ],
)
def test_a_file_of_a_measurement_lies_under_publisher_and_action(
    changes: dict[str, Any], path: str
) -> None:
    found = place(file(**changes))

    assert (found.archive_name, found.path) == ("smurf", path)


def test_a_file_of_the_stream_keeps_the_last_three_parts_of_its_path() -> None:
    found = place(file(path=G3_PAYLOAD["path"], archive_name="timestreams"))

    assert found == RemoteFile("timestreams", "16400/crate1slot2/1640000000_000.g3", deletable=True)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({"archive_name": "tapes"}, "there is no archive 'tapes'", id="archive"),
        pytest.param(
            {"archive_name": "timestreams", "path": "/data/a.g3"},
            "fewer than 3 parts",
            id="few parts",
        ),
        pytest.param(
            {"archive_name": "timestreams", "path": "/data/../a.g3"},
            r"'\.\.' is no name",
            id="way up in a path",
        ),
        pytest.param({"pub_id": ".."}, r"'\.\.' is no name", id="way up for a publisher"),
        pytest.param({"pub_id": ""}, "'' is no name", id="nothing for a publisher"),
        pytest.param({"action": "../../x"}, "'1589517264_../../x' is no name", id="way up"),
        pytest.param({"path": "/"}, "'' is no name", id="no file"),
    ],
)
def test_what_the_rules_give_no_place_has_none(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(Unplaced, match=text):
        place(file(**changes))


@pytest.mark.parametrize(
    ("path", "deletable"),
    [
        pytest.param(BESIDE_A_DATE + "a.txt", True, id="beside a date"),
        pytest.param(BESIDE_A_DATE + "drive_archive_given.txt", True, id="iv within words"),
        pytest.param("/data/drive/20200515/archive.txt", True, id="iv within names of folders"),
        pytest.param(BESIDE_A_DATE + "1589517264_iv.npy", False, id="iv as a word"),
        pytest.param(BESIDE_A_DATE + "iv_curve.npy", False, id="iv at the beginning"),
        pytest.param(BESIDE_A_DATE + "IV2.npy", False, id="IV with a number"),
        pytest.param("/data/smurf_data/20200515/iv/a.npy", False, id="iv as a folder"),
        pytest.param(BESIDE_A_DATE + "x_channel_assignment_b0.txt", False, id="channels"),
        pytest.param(BESIDE_A_DATE + "1_tune.npy", False, id="tune"),
        pytest.param(BESIDE_A_DATE + "fortunes.npy", False, id="tune within a word"),
        pytest.param("/data/smurf_data/config/a.txt", False, id="beside no date"),
        pytest.param("/data/smurf_data/²/a.txt", False, id="digits of another kind"),
        pytest.param("/data/20200515/a.txt", False, id="date too high up"),
        pytest.param("/a.txt", False, id="few parts"),
        pytest.param("a.txt", False, id="no folder"),
    ],
)
def test_only_what_lies_beside_a_date_and_is_no_calibration_may_be_deleted(
    path: str, *, deletable: bool
) -> None:
    assert place(file(path=path)).deletable is deletable
