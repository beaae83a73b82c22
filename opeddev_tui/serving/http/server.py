"""Run the service on a listening socket until it is told to stop, or its model cannot be loaded.

Signals are the caller's: ``Service.stop`` answers what is under way and refuses what is new.
"""

import asyncio
import contextlib
import math
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from opeddev_tui.config.settings import Serve
from opeddev_tui.serving.grader import Grader
from opeddev_tui.serving.http.address import is_loopback
from opeddev_tui.serving.http.app import application
from opeddev_tui.serving.http.figures import Figures
from opeddev_tui.serving.http.worker import Worker

# connections at a time; each may hold a descriptor and a small buffer
_MOST_CONNECTIONS = 512
_KEEP_ALIVE_SECONDS = 10.0
# how long the thread with the model gets to end its last batch
_LAST_SECONDS = 20.0
# how much longer than for answers is waited for connections: what is not answered in time is told so over them
_TOLD_SECONDS = 2.0


def patient(seconds: float) -> type[H11Protocol]:
    """Return uvicorn's HTTP/1.1 with a limit on how long a client takes for the head of a request."""

    class Patient(H11Protocol):
        """A connection that is closed where a head is not complete in time."""

        _limit: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        @property
        def _is_answered(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def connection_lost(self, exc: Exception | None) -> None:
            self._unwatch()
            super().connection_lost(exc)

        def _watch(self) -> None:
            # the body of a request that was refused by its head is read no more, nor for ever
            is_refused = self.conn.their_state is h11.SEND_BODY and self._is_answered
            if self.conn.their_state is not h11.IDLE and not is_refused:
                self._unwatch()
            elif self._limit is None:
                self._limit = self.loop.call_later(seconds, self._give_up)

        def _unwatch(self) -> None:
            if self._limit is not None:
                self._limit.cancel()
                self._limit = None

        def _give_up(self) -> None:
            self._limit = None
            # between two requests the keep-alive limit counts, and an answer may be on its way
            if self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and self._is_answered:
                self.transport.close()

    return Patient


class _Server(uvicorn.Server):
    """uvicorn without hands on the process's signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever started the service."""
        yield


class Service:
    """The service with its model's thread; ``ready`` is called on that thread when the model is loaded."""

    def __init__(
        self,
        open_grader: Callable[[], Grader],
        serve: Serve,
        listener: socket.socket,
        token: str | None,
        ready: Callable[[Grader], None],
    ) -> None:
        self.figures = Figures()
        self._serve, self._listener = serve, listener

        def opened() -> Grader:
            grader = open_grader()
            ready(grader)
            return grader

        self.worker = Worker(opened, serve, self.figures, self._end)
        loopback = is_loopback(str(listener.getsockname()[0]))
        config = uvicorn.Config(
            application(self.worker, serve, self.figures, token=token, loopback=loopback),
            http=patient(serve.client_seconds),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=math.ceil(min(_KEEP_ALIVE_SECONDS, serve.client_seconds)),
            timeout_graceful_shutdown=math.ceil(serve.stop_seconds + _TOLD_SECONDS),
        )
        self._server = _Server(config)

    def _end(self) -> None:
        self._server.should_exit = True

    def stop(self) -> None:
        """Refuse what is new, answer what is under way for at most ``serve.stop_seconds``, then end ``run``."""
        self.worker.close()
        late = threading.Timer(self._serve.stop_seconds, self.worker.abandon)
        late.daemon = True
        late.start()
        self._end()

    def run(self) -> bool:
        """Serve until ``stop``; return whether the thread with the model has ended too.

        Raises what kept the model from being loaded.
        """
        self.worker.start()
        self._server.run(sockets=[self._listener])
        self.worker.abandon()
        if self.worker.problem is not None:
            raise self.worker.problem
        return self.worker.ended(_LAST_SECONDS)
