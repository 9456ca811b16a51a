"""What `top` does: watches a Shipper in a terminal, or prints once what there is to see."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from rich.console import Console
from rich.live import Live

from shipper.live.terminal.keyboard import Keys, single_keys
from shipper.live.terminal.lines import Lines
from shipper.live.terminal.link import Link, fetch_state
from shipper.live.terminal.picture import Picture, changed, whole
from shipper.live.terminal.screen import Reach, Seen, all_lines, screen, table_rows
from shipper.live.terminal.talk import Watcher, follow_lines
from shipper.live.terminal.view import View, press, settled, shown

KEYBOARD, SCREEN = 0, 1
SEQUENCE_SECONDS = 0.05
"""What belongs to one key comes within this time, also over a slow network; else Escape was pressed."""

DRAW_SECONDS = 0.05
"""More pictures a second nobody sees, and a busy line must not cost a whole core."""

WIDTH_WITHOUT_TERMINAL = 200
MOST_READ_BYTES = 4096


def print_state(link: Link) -> None:
    """Print the whole state as JSON.

    Raises:
        StartupError: It cannot be had.
    """
    # Escapes keep whatever stands in it from being an order to a terminal.
    sys.stdout.write(f"{json.dumps(fetch_state(link))}\n")


def show_once(link: Link, console: Console) -> None:
    """Print the table of all metrics.

    Raises:
        StartupError: The state cannot be had.
    """
    seen = _first_look(link)
    width = console.width
    if not console.is_terminal and "COLUMNS" not in os.environ:
        width = WIDTH_WITHOUT_TERMINAL
    names = shown(seen.picture, View())
    for line in all_lines(seen, names, width, seconds=time.monotonic()):
        line.rstrip()
        console.print(line, soft_wrap=True, highlight=False)


def watch(link: Link, interval_seconds: float, console: Console) -> None:
    """Watch until `q`, SIGINT or SIGTERM.

    Raises:
        StartupError: The first state cannot be had; later ones are waited for.
    """
    # Without an outlet Python's last resort would write on what we draw.
    logging.getLogger("websockets").addHandler(logging.NullHandler())
    seen = _first_look(link)
    asyncio.run(_Top(link, interval_seconds, console, seen).run())


def _first_look(link: Link) -> Seen:
    picture = whole(fetch_state(link), **_moment())
    return Seen(picture, Reach(link.address))


def _moment() -> dict[str, float]:
    return {"unix_seconds": time.time(), "monotonic_seconds": time.monotonic()}


@dataclass(slots=True)
class _Top:
    """What is seen, what is wanted, and the tasks that keep both as they are now.

    Attributes:
        frozen: What was seen when it was paused, and when that was.
    """

    link: Link
    interval_seconds: float
    console: Console
    seen: Seen
    view: View = field(default_factory=View)
    frozen: tuple[Seen, float] | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    keys: Keys = field(default_factory=Keys)
    names: list[str] = field(default_factory=list)
    display: ExitStack = field(default_factory=ExitStack)
    live: Live | None = None
    lines_of: tuple[str, str] | None = None
    lines_task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Draw until it is over; the terminal is then as it was."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGWINCH, self.news.set)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        watcher = Watcher(
            self.link, self.interval_seconds, self._take_state, self._take_news, self._lose
        )
        following = asyncio.create_task(watcher.follow())
        following.add_done_callback(lambda _task: self._end())
        try:
            self._open()
            while not self.over.is_set():
                self._draw()
                await self._wait()
        finally:
            self.display.close()
            tasks = [task for task in (following, self.lines_task) if task is not None]
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    def _open(self) -> None:
        if os.isatty(KEYBOARD):
            loop = asyncio.get_running_loop()
            self.display.enter_context(single_keys(KEYBOARD))
            loop.add_reader(KEYBOARD, self._read_keys)
            self.display.callback(loop.remove_reader, KEYBOARD)
        self.live = self.display.enter_context(
            Live(
                console=self.console,
                screen=True,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
        )

    def _suspend(self) -> None:
        """Give the terminal back while we are stopped, and take it again when we go on."""
        self.display.close()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._open()
        self.news.set()

    def _end(self) -> None:
        self.over.set()
        self.news.set()

    async def _wait(self) -> None:
        """Wait until there is something new to draw, or the time that is shown has gone on."""
        await asyncio.sleep(DRAW_SECONDS)
        try:
            async with asyncio.timeout(min(1.0, self.interval_seconds)):
                await self.news.wait()
        except TimeoutError:
            return
        self.news.clear()

    def _draw(self) -> None:
        seen, seconds = self.frozen or (self.seen, time.monotonic())
        # Unlike rich we do not believe COLUMNS and LINES: they do not change with the window.
        columns, rows = os.get_terminal_size(SCREEN)
        self.console.size = (columns, rows)
        self.view = settled(self.view, seen.picture)
        self.names = shown(seen.picture, self.view)
        picture = screen(seen, self.view, self.names, (columns, rows), seconds=seconds)
        if self.live is not None:
            self.live.update(picture, refresh=True)

    def _read_keys(self) -> None:
        sent = os.read(KEYBOARD, MOST_READ_BYTES)
        if not sent:
            self._end()
        self._press(self.keys.take(sent))
        if self.keys.unfinished():
            loop = asyncio.get_running_loop()
            loop.call_later(SEQUENCE_SECONDS, lambda: self._press(self.keys.rest()))

    def _press(self, keys: list[str]) -> None:
        for key in keys:
            if key == "q" and self.view.typing is None:
                self._end()
            page = table_rows(self.console.height)
            self.view = press(self.view, key, self.names, page_rows=page)
        if self.view.paused != (self.frozen is not None):
            self.frozen = (self.seen, time.monotonic()) if self.view.paused else None
        self._follow_lines()
        self.news.set()

    def _follow_lines(self) -> None:
        """Follow the lines of the metric that is opened, and no others."""
        view = self.view
        wanted = (view.selected, view.line_filter) if view.opened and view.selected else None
        if wanted == self.lines_of:
            return
        if self.lines_task is not None:
            self.lines_task.cancel()
        self.lines_of, self.lines_task = wanted, None
        self.seen = replace(self.seen, lines=Lines())
        if wanted is not None:
            hear = partial(self._hear, wanted)
            self.lines_task = asyncio.create_task(
                follow_lines(
                    self.link,
                    *wanted,
                    begin=lambda: hear(lambda _lines: Lines()),
                    take=lambda message: hear(lambda lines: lines.after(message)),
                    trouble=lambda why: hear(lambda lines: replace(lines, trouble=why)),
                )
            )

    def _hear(self, asked: tuple[str, str], change: Callable[[Lines], Lines]) -> None:
        if asked == self.lines_of:
            self.seen = replace(self.seen, lines=change(self.seen.lines))
            self.news.set()

    def _take_state(self, state: Mapping[str, Any], told: bool) -> None:
        reach = Reach(self.link.address, "live" if told else "polled")
        self._show(whole(state, **_moment()), reach)

    def _take_news(self, news: Mapping[str, Any]) -> None:
        self._show(changed(self.seen.picture, news, **_moment()), self.seen.reach)

    def _show(self, picture: Picture, reach: Reach) -> None:
        self.seen = replace(self.seen, picture=picture, reach=reach)
        self.news.set()

    def _lose(self, why: str) -> None:
        reach = self.seen.reach
        since = reach.since or datetime.now().astimezone().strftime("%H:%M:%S")
        self._show(self.seen.picture, Reach(reach.address, "lost", why, since))
