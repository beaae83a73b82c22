"""Know at once that the process of a rank on another machine has ended: each holds a connection to rank 0's.

The system closes it with the process, however that ends. Without it only an exchange that fails would tell, and those
of NCCL do not fail: they wait for the rank that has gone. A cut cable closes nothing: silence is the watch's. Must
not decide what an end means.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import selectors
import socket
import threading
from collections.abc import Callable
from typing import cast

from msgspec import Struct

from opeddev_tui.ranks.line import Line

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5
# seconds for a connection to be made, and for what comes over it at first
_CONNECT_SECONDS = 20.0
# seconds between the end of a connection and its telling: what a rank said of its end comes first
_LAST_WORDS_SECONDS = 1.0
# seconds for which a hand outlives its connection to rank 0: rank 0 may have let it go
_ALONE_SECONDS = 5.0
_MOST_BYTES = 128


class Held(Struct, frozen=True):
    """Where rank 0 takes connections: at ``port`` of its machine, from those that know the ``secret``."""

    port: int
    secret: str


class Lifelines:
    """Rank 0's ends of the connections. ``ended`` is told, from a thread, which rank's process has ended.

    Must be closed. Nothing but a rank's number and the secret is ever read from a connection.
    """

    def __init__(self, line: Line, ended: Callable[[int], None]) -> None:
        self._ended, self._secret = ended, secrets.token_hex(16)
        self._closed = threading.Event()
        self._server = _server()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._look, name="lifelines", daemon=True)
        self._thread.start()
        line.post("lifelines", Held(int(self._server.getsockname()[1]), self._secret))

    def close(self) -> None:
        """Close all connections."""
        self._closed.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            cast("socket.socket", key.fileobj).close()
        self._selector.close()

    def _look(self) -> None:
        while not self._closed.is_set():
            for key, _ in self._selector.select(_LOOK_SECONDS):
                if key.fileobj is self._server:
                    self._take()
                else:
                    self._hear(cast("socket.socket", key.fileobj), key.data)

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._server.accept()
            connection.settimeout(0.0)
            self._selector.register(connection, selectors.EVENT_READ, data=None)

    def _hear(self, connection: socket.socket, rank: int | None) -> None:
        """Take who is at the other end, or that it has closed its end."""
        try:
            heard = connection.recv(_MOST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if heard and rank is None and (number := self._rank_in(heard)) is not None:
            self._selector.modify(connection, selectors.EVENT_READ, data=number)
            return
        self._selector.unregister(connection)
        connection.close()
        if rank is not None and not self._closed.wait(_LAST_WORDS_SECONDS):
            self._ended(rank)

    def _rank_in(self, heard: bytes) -> int | None:
        number, _, secret = heard.decode("ascii", "replace").strip().partition(" ")
        return int(number) if number.isdecimal() and secrets.compare_digest(secret, self._secret) else None


def _server() -> socket.socket:
    """Return a socket that listens at a free port, for IPv6 too where the machine has it."""
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", 0))


class Lifeline:
    """A hand's end of its connection; ``alone`` is called, from a thread, a moment after rank 0's process has ended.

    Without a way to rank 0's port the hand works as ever, and its end is noticed later; the log says so.
    """

    def __init__(self, line: Line, address: str, alone: Callable[[], object]) -> None:
        self._line, self._address, self._alone = line, address, alone
        self._closed = threading.Event()
        self._connection: socket.socket | None = None
        threading.Thread(target=self._hold, name="lifeline", daemon=True).start()

    def close(self) -> None:
        """Close the connection: rank 0 has let this hand go."""
        self._closed.set()
        if self._connection is not None:
            with contextlib.suppress(OSError):
                # closing alone would not wake the thread that reads
                self._connection.shutdown(socket.SHUT_RDWR)

    def _hold(self) -> None:
        try:
            held = self._line.wait("lifelines", Held, self._raise_if_closed, keep=True)
            connection = socket.create_connection((self._address, held.port), timeout=_CONNECT_SECONDS)
        except _ClosedError:
            return
        except (OSError, RuntimeError) as error:
            _LOG.warning("no connection to rank 0 at %s, its end is noticed later: %s", self._address, error)
            return
        with connection:
            self._connection = connection
            connection.settimeout(None)
            with contextlib.suppress(OSError):
                connection.sendall(f"{self._line.rank} {held.secret}\n".encode())
                while connection.recv(_MOST_BYTES):
                    pass
        if not self._closed.wait(_ALONE_SECONDS):
            self._alone()

    def _raise_if_closed(self) -> None:
        if self._closed.is_set():
            raise _ClosedError


class _ClosedError(Exception):
    """The hand was let go before it had a connection."""
