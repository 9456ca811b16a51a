"""Starts the process that workers are forked from before anything else is imported.

Its imports (pysqream alone takes half a second) then run beside ours, and the first poll comes that much sooner.
Nothing is decided here: what cannot be understood is left to the command line and the loader, which say why.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path

from setproctitle import setproctitle

COMMANDS_WITH_WORKERS = ("run", "check", "start")

TIME_FRAMES = {"type": "stomp", "store": "tf_metadata"}
"""What `start` runs."""

NO_THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NUMEXPR_MAX_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""Keeps what pysqream 6.3 imports (numpy, numexpr, pyarrow) from starting threads: a process that forks has one."""

CONFIG_NAME = "monitor_input.json"
SYSTEM_FOLDER = Path("/etc/shipper")

SUPERVISORS_SIGNALS = (signal.SIGTERM, signal.SIGHUP)

SHARED = (
    "shipper.wiring.worker",
    "shipper.sinks.loki.sink",
    "encodings.idna",
    "multiprocessing.sharedctypes",
    "multiprocessing.popen_forkserver",
    "__main__",
)
"""What every worker needs; the last four would else be loaded by each for itself, which takes 2 MB."""


def start_ahead(arguments: Sequence[str], program: Path) -> None:
    """Start the fork server for a command that needs it; `program` is the file that was started."""
    if any(argument.startswith("--") and "password" in argument for argument in arguments):
        # `ps` shows our arguments until they are replaced.
        setproctitle("shipper")
    if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS_WITH_WORKERS:
        return
    if any(argument in ("-h", "--help") for argument in arguments):
        return
    # The Time Frame client has one entry, whatever a file says.
    is_client = arguments[:1] == ["start"]
    entries = [TIME_FRAMES] if is_client else _entries(_config_path(arguments, program))
    kinds = _kinds(entries)
    if kinds:
        start_fork_server(kinds, store=any(each.get("store") for each in entries))


def start_fork_server(kinds: Sequence[str], *, store: bool = False) -> None:
    """Start the fork server, unless it runs, and let it import what workers share.

    Args:
        kinds: The kinds of sources they read.
        store: Whether some of them keep records in SQL.
    """
    for name, value in NO_THREADS.items():
        os.environ.setdefault(name, value)
    drivers = [f"shipper.sources.{kind}.preload" for kind in kinds]
    if store:
        drivers.append("shipper.sinks.store.preload")
    context = multiprocessing.get_context("forkserver")
    # A kind without a module `preload` is no fault: the fork server passes over what it cannot find.
    context.set_forkserver_preload([*drivers, *SHARED])
    with _signals_ignored():
        forkserver.ensure_running()


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Let what is started in the block ignore the signals that only the supervisor answers.

    Who stops a service may send them to all of its processes; workers that died of it could not deliver what waits.
    """
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SUPERVISORS_SIGNALS}
    try:
        yield
    finally:
        for number, reaction in before.items():
            signal.signal(number, reaction)


def usual_configs(program: Path) -> Sequence[Path]:
    """Return where a configuration is looked for: beside `main.py`, or where installed programs have theirs."""
    if program.name == "main.py":
        return [program.resolve().parent / CONFIG_NAME]
    home = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("HOME", "/") + "/.config"
    return [Path(CONFIG_NAME), Path(home) / "shipper" / CONFIG_NAME, SYSTEM_FOLDER / CONFIG_NAME]


def usual_config(program: Path) -> Path:
    """Return the first of them that there is, else the first."""
    paths = usual_configs(program)
    return next((path for path in paths if path.exists()), paths[0])


def _config_path(arguments: Sequence[str], program: Path) -> Path:
    for index, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag == "--config":
            following = arguments[index + 1] if index + 1 < len(arguments) else ""
            return Path(value if equals else following)
    named = os.environ.get("SHIPPER_CONFIG")
    return Path(named) if named else usual_config(program)


def _entries(path: Path) -> list[Mapping[str, object]]:
    """Return the entries of a configuration, or nothing when it cannot be read."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    entries = document.get("metrics", document) if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        return []
    return [entry if isinstance(entry, dict) else {} for entry in entries.values()]


def _kinds(entries: Iterable[Mapping[str, object]]) -> list[str]:
    """Return the kinds of sources that entries name."""
    words = {str(entry.get("type", "sqream")) for entry in entries}
    return sorted(word for word in words if word.isidentifier())
