"""All channels that are kept: how they begin, grow, begin again and are forgotten. No socket, no file, no clock."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shipper.sources.zeromq.channels.history import Forgotten, History
from shipper.sources.zeromq.channels.limits import LONGEST_NAME_BYTES, NS_PER_SECOND, Limits
from shipper.sources.zeromq.channels.messages import TASK, Message
from shipper.sources.zeromq.channels.outcomes import FINISHED_COMMAND, after, task_state

NAME_TOO_LONG = "name_too_long"


@dataclass(slots=True)
class Changes:
    """What happened to channels since it was last asked.

    Attributes:
        grown: The lives that got messages, each with how many it had told before.
        shortened: The lives whose oldest messages were passed over.
        gone: The lives that are not kept any more.
    """

    grown: dict[History, int] = field(default_factory=dict)
    shortened: set[History] = field(default_factory=set)
    gone: list[History] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Tell whether anything happened."""
        return bool(self.grown or self.gone)

    @property
    def names(self) -> set[str]:
        """The names of the channels whose clients have to be told."""
        return {history.name for history in (*self.grown, *self.gone)}


@dataclass(slots=True)
class Counts:
    """What was counted since it was last asked, by the value of the one label that each counter has."""

    jobs: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    forgotten: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


class Channels:
    """The lives that are kept, one for each name. Times are nanoseconds since the Unix epoch: they outlive us."""

    def __init__(self, limits: Limits, kept: Iterable[History] = ()) -> None:
        self._limits = limits
        # Both with the one to be forgotten first in front.
        self._open: OrderedDict[str, History] = OrderedDict()
        self._over: OrderedDict[str, History] = OrderedDict()
        self._next_number = 1
        self._changes = Changes()
        self._counts = Counts()
        self.weight_bytes = 0
        for history in sorted(kept, key=lambda each: (each.last_ns, each.number)):
            self._take_back(history)
            self._keep_within_limits(history)

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._open) + len(self._over)

    def __iter__(self) -> Iterator[History]:
        """Yield all that are kept."""
        yield from self._over.values()
        yield from self._open.values()

    def find(self, name: str) -> History | None:
        """Return the newest life of a channel; `None` when nothing is kept of it."""
        return self._open.get(name) or self._over.get(name)

    def take(self, message: Message, now_ns: int) -> None:
        """Add what came to its channel."""
        if message.command == TASK:
            self._counts.tasks[task_state(message.task_state)] += 1
        if len(message.channel.encode()) > LONGEST_NAME_BYTES:
            self._counts.dropped[NAME_TOO_LONG] += 1
            return
        is_over = message.channel in self._over
        if is_over and message.command == FINISHED_COMMAND:
            return  # the end of what has ended begins nothing
        if is_over:
            self._forget(self._over[message.channel], Forgotten.REUSED)
        history = self._open.get(message.channel) or self._begun(message.channel)
        self._grow(history, message, now_ns)
        self._keep_within_limits(history)

    def forget_overdue(self, now_ns: int) -> None:
        """Forget the channels whose time has come."""
        for lives, kept_seconds, why in (
            (self._over, self._limits.forget_seconds, Forgotten.FINISHED),
            (self._open, self._limits.idle_seconds, Forgotten.SILENT),
        ):
            overdue_ns = now_ns - round(kept_seconds * NS_PER_SECOND)
            while lives and (first := next(iter(lives.values()))).last_ns <= overdue_ns:
                self._forget(first, why)

    def changes(self) -> Changes:
        """Return what happened since it was last asked."""
        changes, self._changes = self._changes, Changes()
        return changes

    def counts(self) -> Counts:
        """Return what was counted since it was last asked."""
        counts, self._counts = self._counts, Counts()
        return counts

    def _take_back(self, history: History) -> None:
        """Keep what was kept before."""
        lives = self._over if history.is_over else self._open
        lives[history.name] = history
        self.weight_bytes += history.weight_bytes
        self._next_number = max(self._next_number, history.number + 1)

    def _begun(self, name: str) -> History:
        history = History(self._next_number, name)
        self._take_back(history)
        return history

    def _grow(self, history: History, message: Message, now_ns: int) -> None:
        self._changes.grown.setdefault(history, history.told)
        before_bytes = history.weight_bytes
        history.add(message.text)
        self.weight_bytes += history.weight_bytes - before_bytes
        history.last_ns = now_ns
        history.outcome, is_new = after(history.outcome, message.command)
        if is_new:
            self._counts.jobs[history.outcome] += 1
        if message.command == FINISHED_COMMAND:
            history.is_over = True
            self._over[history.name] = self._open.pop(history.name)
        else:
            self._open.move_to_end(history.name)

    def _keep_within_limits(self, newest: History) -> None:
        limits = self._limits
        while len(newest.messages) > limits.most_messages:
            self._drop_oldest_of(newest, Forgotten.TOO_MANY)
        while len(self) > limits.most_channels:
            self._forget(self._oldest(newest), Forgotten.TOO_MANY)
        while self.weight_bytes > limits.most_bytes and len(self) > 1:
            self._forget(self._oldest(newest), Forgotten.TOO_LARGE)
        while self.weight_bytes > limits.most_bytes and newest.messages:
            self._drop_oldest_of(newest, Forgotten.TOO_LARGE)

    def _oldest(self, newest: History) -> History:
        """Return what is missed least: what is over, the longest ago; else what is silent for longest."""
        return next(each for each in self if each is not newest)

    def _drop_oldest_of(self, history: History, why: Forgotten) -> None:
        before_bytes = history.weight_bytes
        history.drop_oldest()
        self.weight_bytes += history.weight_bytes - before_bytes
        self._counts.dropped[why] += 1
        self._changes.shortened.add(history)

    def _forget(self, history: History, why: Forgotten) -> None:
        history.forgotten = why
        del (self._over if history.is_over else self._open)[history.name]
        self.weight_bytes -= history.weight_bytes
        self._counts.forgotten[why] += 1
        self._changes.gone.append(history)
