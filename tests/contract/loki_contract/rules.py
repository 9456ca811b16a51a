"""Sizes, times, order, duplicates and partial acceptance: cases of the Loki contract."""

from __future__ import annotations

from tests.contract.loki_contract.pushes import (
    PARSE_LABELS,
    Case,
    Push,
    behind,
    json_push,
    lines_at,
    text_push,
    two_streams,
)

SIZES = [
    Case("a line of 262144 bytes", lines_at((0, "x" * 262_144)), stored=("x" * 262_144,)),
    Case(
        "a line of 262145 bytes between good ones",
        lines_at((0, "a"), (1, "x" * 262_145), (2, "b")),
        400,
        "max entry size '262144' bytes exceeded for stream '{app=\"{app}\", "
        "service_name=\"{app}\"}' while adding an entry with length '262145' bytes",
        stored=("a", "b"),
    ),
    Case("a line of 131073 wide characters", lines_at((0, "é" * 131_073)), 400, "'262146' bytes"),
    Case(
        "more than 4 MiB in all",
        lambda app, now_ns: Push(
            json_push(app, [[str(now_ns + n), "x" * 250_000] for n in range(18)])
        ),
        500,
        "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (",
    ),
    Case(
        "more than the burst of 6 MiB",
        lambda app, now_ns: Push(
            json_push(app, [[str(now_ns + n), "x" * 250_000] for n in range(26)])
        ),
        429,
        "ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to "
        "ingest '26' lines totaling '6500000' bytes, reduce log volume or contact your Loki "
        "administrator to see if the limit can be increased",
    ),
]

TIMES = [
    Case("nearly 168 h old", lines_at((10 - 168 * 3600, "old")), stored=("old",)),
    Case(
        "168 h old between good ones",
        lines_at((0, "a"), (-10 - 168 * 3600, "old"), (1, "b")),
        400,
        "' has timestamp too old: ",
        stored=("a", "b"),
    ),
    Case("nearly 10 min ahead", lines_at((590, "new")), stored=("new",)),
    Case("10 min ahead", lines_at((610, "new")), 400, "' has timestamp too new: "),
    Case(
        "seconds",
        text_push('{"streams":[{"stream":{"app":"APP"},"values":[["1795304123","x"]]}]}'),
        400,
        "too old: 1970-01-01T00:00:01Z, oldest acceptable timestamp is: ",
    ),
    Case("59 min 59 s behind", lines_at((0, "new"), (-3599, "old")), stored=("old", "new")),
    Case(
        "over an hour behind",
        lines_at((0, "new"), (-3700, "old")),
        400,
        'total ignored: 1 out of 2 for stream: {app="{app}", service_name="{app}"}',
        stored=("new",),
    ),
    Case("over an hour, in order", lines_at((-3700, "old"), (0, "new")), stored=("old", "new")),
    Case(
        "12 entries too far behind",
        lines_at((0, "new"), *((-3700, f"old {n}") for n in range(12))),
        400,
        "total ignored: 12 out of 13",
        stored=("new",),
    ),
    Case("the last line again", lines_at((0, "a"), (0, "a")), stored=("a",)),
    Case("another line at the same time", lines_at((0, "a"), (0, "b")), stored=("a", "b")),
    Case("a line again, not the last", lines_at((0, "a"), (0, "b"), (0, "a")), stored=("a", "b")),
    Case(
        "several refusals are grouped",
        lines_at(*[(-700_000, "old")] * 3, *[(700, "new")] * 2, (0, "good")),
        400,
        "3 errors like: entry for stream '",
        stored=("good",),
    ),
]

PARTIAL = [
    Case(
        "a good stream and one of 16 labels",
        two_streams({f"l{n:02}": "v" for n in range(15)}),
        400,
        "has 16 label names",
        stored=("good",),
    ),
    Case("a good stream and one of a bad name", two_streams({"a.b": "x"}), 400, PARSE_LABELS),
    Case(
        "too far behind in the last stream",
        behind(behind_first=False),
        400,
        "total ignored: 1 out of 2",
        stored=("new", "good"),
    ),
    # A quirk: only the last stream's refusal is told, the lost entry hides behind the 204.
    Case("too far behind, not in the last", behind(behind_first=True), stored=("new", "good")),
]
