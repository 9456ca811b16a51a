"""Plays the web process for the page: state, changes, lines, runs and jobs that a test decides upon."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import socket
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

import shipper.live
from shipper.live.server import QuietServer

PAGE = Path(shipper.live.__file__).parent / "page"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
START_SECONDS = 10.0
KEPT_LINES = 1000

Message = dict[str, Any]


def metric_row(name: str, **known: Any) -> Message:
    """Return a row of the state: a metric that is well, unless told otherwise."""
    now = time.time()
    return {
        "metric": name,
        "type": "sqream",
        "instance": "10.0.0.5:5000",
        "every_seconds": 5,
        "required": True,
        "state": "running",
        "pid": 4711,
        "restarts": 0,
        "last_end": "",
        "result": "ok",
        "error": "",
        "sink_error": "",
        "rows_in_last_poll": 3,
        "last_poll_at": now,
        "next_poll_at": now + 5,
        "lines_waiting": 0,
        "rows_total": 1200,
        "lines_delivered": 1200,
        "lines_rejected": 0,
        "lines_dropped": 0,
        "waits": False,
        "labels": {"job": name, "service_name": "sqream", "instance": "10.0.0.5:5000"},
        "label_values": {},
        "streams": 1,
        "max_label_values": 100,
        "bytes_waiting": 0,
        "oldest_unsent_seconds": 0,
        "lag_seconds": None,
        "last_poll_seconds": 0.012,
        "poll_seconds": [0.011, 0.012],
        "rows_per_second": 0.6,
        **known,
    }


class FakeLive:
    """A web process on loopback; what it answers is changed from the test's thread.

    Attributes:
        runs: What `/api/runs` answers, newest first; `None`: no tables of Time Frames are kept.
        tasks: What `/api/jobs` answers; `None`: no tables of jobs are kept.
        jobs: The jobs of each process, by task and process.
        speaks_websocket: Whether WebSockets are accepted.
        asked: Every path and query that was asked for.
    """

    def __init__(self, *rows: Message) -> None:
        self.version = "1.2.3"
        self.rows: dict[str, Message] = {row["metric"]: row for row in rows}
        self.reasons: list[str] = []
        self.runs: list[Message] | None = None
        self.tasks: list[Message] | None = None
        self.jobs: dict[tuple[str, str], list[Message]] = {}
        self.speaks_websocket = True
        self.asked: list[str] = []
        self._lines: deque[Message] = deque(maxlen=KEPT_LINES)
        self._viewers: set[asyncio.Queue[Message]] = set()
        self._readers: dict[asyncio.Queue[Message], Callable[[Message], bool]] = {}
        self._port = 0
        self._server: QuietServer | None = None
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it serves; the same after a restart."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Serve, at the same port as before."""
        listening = socket.create_server(("127.0.0.1", self._port))
        self._port = listening.getsockname()[1]
        config = uvicorn.Config(
            self._app(),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        self._server = server = QuietServer(config)
        self._thread = Thread(target=self._run, args=(server, listening), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            assert time.monotonic() < deadline, "the fake did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """Cut every connection and listen no more."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(START_SECONDS)
        self._server = self._thread = self._loop = None
        self._viewers.clear()
        self._readers.clear()

    # What happens

    def change(self, name: str, **keys: Any) -> None:
        """Tell every viewer that these keys of a metric changed."""
        self.change_many({name: keys})

    def change_many(self, changes: Mapping[str, Message]) -> None:
        """Tell every viewer of changes of many metrics in one message."""
        for name, keys in changes.items():
            # Only the newest durations travel in a change; the state has them all.
            durations = [*self.rows[name]["poll_seconds"], *keys.get("poll_seconds", [])][-60:]
            self.rows[name] = {**self.rows[name], **keys, "poll_seconds": durations}
        self._tell(changed=[{"metric": name, **keys} for name, keys in changes.items()])

    def add(self, row: Message) -> None:
        """Begin a metric."""
        self.rows[row["metric"]] = row
        self._tell(changed=[row], order=list(self.rows))

    def remove(self, name: str) -> None:
        """End a metric."""
        del self.rows[name]
        self._tell(removed=[name], order=list(self.rows))

    def beat(self) -> None:
        """Tell every viewer that nothing changed."""
        self._tell()

    def ship(self, metric: str, *lines: str | Message, poll_ns: int | None = None) -> None:
        """Ship lines that came with one read; an object becomes a line of JSON."""
        read_ns = time.time_ns() if poll_ns is None else poll_ns
        for place, line in enumerate(lines):
            self._ship_one(
                {
                    "metric": metric,
                    "time_ns": str(read_ns + place),
                    "poll_ns": str(read_ns),
                    "labels": {"job": metric},
                    "metadata": {},
                    "line": line if isinstance(line, str) else json.dumps(line),
                }
            )

    def lose(self, lines: int) -> None:
        """Tell every reader of lines that so many did not fit."""
        self._call(lambda: _put_into(self._readers, {"lost": lines}))

    def _ship_one(self, message: Message) -> None:
        def arrive() -> None:
            self._lines.append(message)
            for queue, wanted in self._readers.items():
                if wanted(message):
                    queue.put_nowait(message)

        self._call(arrive)

    def _tell(self, **news: Any) -> None:
        message = {**self._moment(), "changed": [], "removed": [], **news}
        self._call(lambda: _put_into(self._viewers, message))

    def _call(self, act: Callable[[], object]) -> None:
        """Do something in the server's thread, and wait until it is done."""
        if self._loop is None:
            act()
            return

        async def acting() -> None:
            act()

        asyncio.run_coroutine_threadsafe(acting(), self._loop).result(START_SECONDS)

    # What is answered

    def _run(self, server: QuietServer, listening: socket.socket) -> None:
        async def serving() -> None:
            self._loop = asyncio.get_running_loop()
            await server.serve(sockets=[listening])

        with listening:
            asyncio.run(serving())

    def _app(self) -> Starlette:
        routes = [
            Route("/api/state", self._answer_state),
            Route("/api/runs", self._answer_runs),
            Route("/api/runs/{number:int}", self._answer_run),
            Route("/api/jobs", self._answer_tasks),
            Route("/api/jobs/{task}/{process}", self._answer_jobs),
            Route("/{name}", self._answer_file),
            Route("/", self._answer_file),
            WebSocketRoute("/api/updates", self._answer_viewer),
            WebSocketRoute("/live", self._answer_reader),
        ]
        return Starlette(routes=routes)

    def _moment(self) -> Message:
        return {"at": time.time(), "ready": not self.reasons, "reasons": self.reasons}

    def _state(self) -> Message:
        sections = {"runs": self.runs is not None, "jobs": self.tasks is not None}
        return {
            "version": self.version,
            **self._moment(),
            "sections": sections,
            "metrics": list(self.rows.values()),
        }

    async def _answer_file(self, request: Request) -> Response:
        path = PAGE / request.path_params.get("name", "index.html")
        if not path.is_file():
            return Response(status_code=404)
        kind = mimetypes.guess_type(path.name)[0]
        return Response(path.read_bytes(), media_type=kind, headers=HEADERS)

    async def _answer_state(self, _request: Request) -> Response:
        return self._json(self._state())

    async def _answer_runs(self, _request: Request) -> Response:
        shown = [
            {k: v for k, v in run.items() if k not in ("by_status", "rate")}
            for run in self.runs or ()
        ]
        return self._json({"runs": shown})

    async def _answer_run(self, request: Request) -> Response:
        number = request.path_params["number"]
        found = [run for run in self.runs or () if run["run_number"] == number]
        return self._json(found[0]) if found else self._json({"error": f"no run {number}"}, 404)

    async def _answer_tasks(self, request: Request) -> Response:
        self.asked.append(f"{request.url.path}?{request.url.query}")
        tags = set(filter(None, request.query_params.get("tags", "").split(",")))
        wanted = [task for task in self.tasks or () if tags <= set(task["tags"])]
        return self._json({"tasks": _page(wanted, request), "total": len(wanted)})

    async def _answer_jobs(self, request: Request) -> Response:
        self.asked.append(f"{request.url.path}?{request.url.query}")
        jobs = self.jobs.get((request.path_params["task"], request.path_params["process"]), [])
        return self._json({"jobs": _page(jobs, request), "total": len(jobs)})

    def _json(self, content: object, status: int = 200) -> Response:
        return JSONResponse(content, status, headers=HEADERS)

    async def _answer_viewer(self, viewer: WebSocket) -> None:
        if not self.speaks_websocket:
            await viewer.close()
            return
        await viewer.accept()
        queue: asyncio.Queue[Message] = asyncio.Queue()
        self._viewers.add(queue)
        try:
            await viewer.send_json({"state": self._state()})
            await _forward(viewer, queue)
        finally:
            self._viewers.discard(queue)

    async def _answer_reader(self, reader: WebSocket) -> None:
        self.asked.append(f"/live?{reader.url.query}")
        wanted = _wanted_by(reader)
        if reader.query_params.get("metric") not in self.rows:
            await reader.accept()
            await reader.close(4404, "no such metric")
            return
        await reader.accept()
        queue: asyncio.Queue[Message] = asyncio.Queue()
        last = int(reader.query_params.get("last", 0))
        for message in [message for message in self._lines if wanted(message)][-last:]:
            queue.put_nowait(message)
        self._readers[queue] = wanted
        try:
            await _forward(reader, queue)
        finally:
            self._readers.pop(queue, None)


def _put_into(queues: Iterable[asyncio.Queue[Message]], message: Message) -> None:
    for queue in queues:
        queue.put_nowait(message)


def _wanted_by(reader: WebSocket) -> Callable[[Message], bool]:
    metric = reader.query_params.get("metric")
    match = reader.query_params.get("match", "").lower()
    return lambda message: message["metric"] == metric and match in message["line"].lower()


def _page(items: list[Message], request: Request) -> list[Message]:
    offset, limit = int(request.query_params["offset"]), int(request.query_params["limit"])
    return items[offset : offset + limit]


async def _forward(receiver: WebSocket, queue: asyncio.Queue[Message]) -> None:
    """Send what comes into the queue until the receiver goes."""

    async def sending() -> None:
        while True:
            await receiver.send_json(await queue.get())

    def task(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return asyncio.create_task(work)

    tasks = [task(sending()), task(_until_gone(receiver))]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _until_gone(receiver: WebSocket) -> None:
    try:
        while True:
            await receiver.receive_text()
    except WebSocketDisconnect:
        pass
