"""The registry of table sets."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from shipper.store.sets import RULES, SETS, load_set, table_set_names, wanted_by


def test_names_are_known() -> None:
    assert list(table_set_names()) == ["tf_metadata", "pysmurf_files_v1", "jobs"]
    assert set(RULES) == set(SETS) - {"jobs"}


@pytest.mark.parametrize("name", RULES)
def test_every_set_can_be_made_and_belongs_to_its_branch(name: str) -> None:
    made = load_set(name, log=logging.getLogger("sets under test"))

    assert made.branch == SETS[name].branch
    assert wanted_by(name)({"type": "data_file"})


def test_an_unknown_name_is_no_set() -> None:
    with pytest.raises(KeyError):
        load_set("runs", log=logging.getLogger("sets under test"))


def test_names_are_known_without_loading_anything_heavy() -> None:
    program = (
        "import sys; from shipper.store.sets import table_set_names; table_set_names()\n"
        "print([name for name in ('sqlalchemy', 'alembic', 'psycopg', 'pymysql') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (ran.stdout, ran.stderr) == ("[]\n", "")
