"""Which functions of SQreamDB may be polled, and the SQL that polls one.

Names and meanings: SQreamDB 4.9 documentation, utility commands; `get_leveldb_stats`, `reset_leveldb_stats` and
`show_cluster_nodes` are undocumented and taken from the SQream monitor of 2024.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from decimal import Decimal
from difflib import get_close_matches

Literal = str | int | float | bool
"""What may stand between the parentheses of a call."""

MONITOR_FUNCTIONS = frozenset(
    {
        "get_leveldb_stats",
        "get_license_info",
        "reset_leveldb_stats",
        "show_cluster_nodes",
        "show_locks",
        "show_server_status",
    }
)
"""What the SQream monitor polled."""

READING_FUNCTIONS = frozenset(
    {
        "get_open_snapshots",
        "get_role_permissions",
        "get_statement_permissions",
        "get_total_chunks_size",
        "gpu_metrics",
        "show_conf",
        "show_conf_extended",
        "show_connections",
        "show_md_flag",
        "show_node_info",
        "show_subscribed_instances",
        "show_version",
    }
)
"""What else only reads, and touches no file on the server."""

KNOWN_FUNCTIONS = MONITOR_FUNCTIONS | READING_FUNCTIONS

CHANGING_FUNCTIONS = frozenset({"reset_leveldb_stats"})
"""Known functions that change the server: polled on schedule, never tried in advance, never run twice for one poll."""

ACTIONS = frozenset(
    {
        "cleanup_chunks",
        "cleanup_extents",
        "drop_saved_query",
        "execute_saved_query",
        "global_graceful_shutdown",
        "rechunk",
        "recompile_saved_query",
        "recompile_view",
        "reload_license",
        "remove_lock",
        "remove_statement_locks",
        "save_query",
        "shutdown_server",
        "shutdown_server_command",
        "stop_statement",
        "subscribe_service",
        "swap_table_names",
        "unsubscribe_service",
    }
)
"""What a program that watches must never call, whoever asks for it."""


def objection(function: str, *, allowed: Collection[str] = ()) -> str | None:
    """Return why `function` may not be polled, or `None`.

    Args:
        function: The name, as it will stand in SQL.
        allowed: Functions that the operator allows beside the known ones.
    """
    if is_action(function):
        return f'"{function}" acts on the server; it is refused even when it is allowed'
    if function in KNOWN_FUNCTIONS or function in allowed:
        return None
    suggestion = did_you_mean(function, KNOWN_FUNCTIONS.union(allowed))
    return (
        f'"{function}" is not a known function{suggestion or ";"} '
        "list it under sqream.allow_functions to run it all the same"
    )


def is_action(function: str) -> bool:
    """Return whether `function` acts on the server; SQL does not tell capitals from small letters."""
    return function.lower() in ACTIONS


def did_you_mean(function: str, known: Collection[str] = KNOWN_FUNCTIONS) -> str:
    """Return `; did you mean "..."?` with the nearest other function, or nothing when none is near."""
    others = sorted(name for name in known if name != function)
    nearest = get_close_matches(function.lower(), others, n=1)
    return f'; did you mean "{nearest[0]}"?' if nearest else ""


def statement(function: str, arguments: Sequence[Literal] = ()) -> str:
    """Return the SQL that calls `function` with literal arguments.

    Raises:
        ValueError: An argument is a number that SQL has no literal for.
    """
    return f"select {function}({', '.join(map(_literal, arguments))})"


def _literal(value: Literal) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return format(Decimal(repr(value)), "f")
        case float():
            raise ValueError(f"{value} is not a number that SQL can write")
        case str():
            quoted = value.replace("'", "''")
            return f"'{quoted}'"
