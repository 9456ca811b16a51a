"""Shows what a sink took to whoever looks on, with the moments at which it was put."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from shipper.core.record import Stream
from shipper.pipeline.pieces import Piece
from shipper.pipeline.queue import Flight

Runs = Sequence[tuple[int, int]]
"""How many records after each other were put at which moment, in nanoseconds since the Unix epoch."""

Show = Callable[[Stream, Runs], None]


def show_taken(show: Show, flight: Flight, piece: Piece, refused: Set[int]) -> None:
    """Show the records of a piece of what was taken from the queue, all but those that were refused."""
    stream = piece.stream
    if len(refused) == len(stream):
        return
    runs = flight.put_at(piece.start, len(stream))
    if refused:
        stream, runs = _without(stream, runs, refused)
    show(stream, runs)


def _without(stream: Stream, runs: Runs, refused: Set[int]) -> tuple[Stream, Runs]:
    taken: list[int] = []
    left: list[tuple[int, int]] = []
    first = 0
    for count, put_ns in runs:
        some = [at for at in range(first, first + count) if at not in refused]
        first += count
        if some:
            taken += some
            left.append((len(some), put_ns))
    metadata = None if stream.metadata is None else [stream.metadata[at] for at in taken]
    lines = [stream.lines[at] for at in taken]
    return Stream(stream.labels, [stream.times_ns[at] for at in taken], lines, metadata), left
