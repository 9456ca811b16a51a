"""Serves the REST interface from a thread of its own, on a port that is bound at once."""

from __future__ import annotations

import logging
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

from shipper.sources.jobs.place import Place
from shipper.sources.jobs.protocol import HurriedProtocol

IDLE_SECONDS = 30
"""How long a connection may be silent between two requests."""

FAREWELL_SECONDS = 2
"""How long requests that are under way may take at the end."""


class Service:
    """A port with an application behind it, until it is closed."""

    def __init__(self, place: Place, app: ASGIApp, max_connections: int) -> None:
        """Bind the port, and serve.

        Raises:
            SourceUnavailable: The port cannot be had.
        """
        # What is worth telling is told by the application; all else would go to the standard error.
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        self._bound = place.bind()
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=HurriedProtocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                # Who it came from is what the socket says, not what anybody claims.
                proxy_headers=False,
                server_header=False,
                limit_concurrency=max_connections,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=FAREWELL_SECONDS,
            )
        )
        self._thread = Thread(target=self._serve, name="jobs service", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port."""
        number: int = self._bound.getsockname()[1]
        return number

    @property
    def runs(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Answer what is under way, and let go of the port."""
        self._server.should_exit = True
        self._thread.join(2 * FAREWELL_SECONDS)
        self._bound.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._bound])
