"""Owns the handing over of a terminal between processes of one user: where the socket is, who may use it, the words.

A client connects, sends ``HELLO`` together with the descriptor of its terminal, and a ``RESIZED`` byte whenever
that changes size. The app answers one line at the end: ``bye CODE REASON``.
"""

import asyncio
import contextlib
import os
import socket
import stat
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

HELLO = b"opeddev-tui attach 1\n"
RESIZED = b"w"
# a unix socket's path has 108 bytes including the final zero
_PATH_LIMIT = 107
_HELLO_SECONDS = 2.0
_REBIND_SECONDS = 30.0
# how soon to look again whether another process still listens
_TAKEN_SECONDS = 2.0


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the process id and user id at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _gid = struct.unpack("3i", credentials)
    return pid, uid


def connect(path: Path) -> socket.socket:
    """Return a connection to the app that listens at ``path``; raises ``OSError`` if none does."""
    # the path itself may be a link out of a workspace whose own path is too long for a socket
    real = os.path.realpath(path)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(real if len(os.fsencode(real)) <= _PATH_LIMIT else str(path))
    except OSError:
        connection.close()
        raise
    return connection


def listening(path: Path) -> bool:
    """Return whether somebody listens at ``path``."""
    try:
        connect(path).close()
    except OSError:
        return False
    return True


def private_folder() -> Path:
    """Return a short folder that only this user can enter."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and len(runtime) < 60:
        with contextlib.suppress(OSError):
            status = os.stat(runtime)
            if status.st_uid == os.getuid() and stat.S_IMODE(status.st_mode) & 0o077 == 0:
                return Path(tempfile.mkdtemp(prefix="opeddev-", dir=runtime))
    return Path(tempfile.mkdtemp(prefix="opeddev-", dir="/tmp"))


class Client:
    """One connection to the listener: first a stranger, then the owner of a terminal we use."""

    def __init__(self, connection: socket.socket, on_terminal: "OnTerminal") -> None:
        connection.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._on_terminal = on_terminal
        self._terminal: int | None = None
        self.pid, self._uid = peer(connection)
        self.on_resized: Callable[[], None] = _nothing
        self.on_gone: Callable[[], None] = _nothing
        self._loop.add_reader(connection, self._read)
        self._timeout = self._loop.call_later(_HELLO_SECONDS, self._too_late)

    def bye(self, code: int, reason: str) -> None:
        """Let the client go."""
        with contextlib.suppress(OSError):
            self._connection.send(f"bye {code} {reason}\n".encode())
        self.close()

    def close(self) -> None:
        """Forget the connection."""
        if self._connection.fileno() < 0:
            return
        self._timeout.cancel()
        self._loop.remove_reader(self._connection)
        self._connection.close()

    def _too_late(self) -> None:
        if self._terminal is None:
            self.close()

    def _read(self) -> None:
        try:
            if self._terminal is None:
                self._read_hello()
            else:
                self._read_news()
        except BlockingIOError:
            return
        except OSError:
            self._gone()

    def _read_hello(self) -> None:
        words, descriptors, _flags, _address = socket.recv_fds(self._connection, len(HELLO), 4)
        accepted = self._uid == os.getuid() and words == HELLO and len(descriptors) == 1 and os.isatty(descriptors[0])
        if not accepted:
            for descriptor in descriptors:
                os.close(descriptor)
            self.close()
            return
        self._terminal = descriptors[0]
        self._timeout.cancel()
        self._on_terminal(self, self._terminal)

    def _read_news(self) -> None:
        words = self._connection.recv(64)
        if not words:
            self._gone()
        elif RESIZED in words:
            self.on_resized()

    def _gone(self) -> None:
        # in this order: a client that asked for its terminal waits for this end to close
        self._loop.remove_reader(self._connection)
        self.on_gone()
        self.close()


OnTerminal = Callable[[Client, int], None]


class Listener:
    """The socket at which terminals are handed over, 0600, for the same user only."""

    def __init__(self, path: Path, on_terminal: OnTerminal, on_problem: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._path, self._on_terminal, self._on_problem = path, on_terminal, on_problem
        self._socket: socket.socket | None = None
        self._bound: Path | None = None
        self._folder: Path | None = None
        self._check: asyncio.TimerHandle | None = None
        self._open()

    def _open(self) -> None:
        if listening(self._path):
            self._on_problem("another process listens for terminals here")
            self._check = self._loop.call_later(_TAKEN_SECONDS, self._stay)
            return
        try:
            self._socket = self._bind()
        except OSError as error:
            self._on_problem(f"nobody can attach: {os.strerror(error.errno or 0) or error}")
            return
        self._socket.listen(4)
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._accept)
        self._check = self._loop.call_later(_REBIND_SECONDS, self._stay)

    def _bind(self) -> socket.socket:
        """Bind in the workspace, or in a short private folder with a link to it in the workspace."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        if len(os.fsencode(self._path)) <= _PATH_LIMIT:
            # some file systems hold no sockets; those get the link too
            with contextlib.suppress(OSError):
                return self._bind_at(self._path)
        self._folder = self._folder if self._folder and self._folder.is_dir() else private_folder()
        target = self._folder / "attach"
        target.unlink(missing_ok=True)
        bound = self._bind_at(target)
        self._path.symlink_to(target)
        return bound

    def _bind_at(self, path: Path) -> socket.socket:
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # before bind, so that there is no moment with wider rights (and no umask shared with other threads)
            os.fchmod(bound.fileno(), 0o600)
            bound.bind(str(path))
        except OSError:
            bound.close()
            raise
        self._bound = path
        return bound

    def _stay(self) -> None:
        """Come back when a cleaner of temporary files removed the socket."""
        if self._bound is not None and self._bound.exists() and self._path.exists():
            self._check = self._loop.call_later(_REBIND_SECONDS, self._stay)
            return
        self._drop_socket()
        self._open()

    def _accept(self) -> None:
        assert self._socket is not None
        try:
            connection, _address = self._socket.accept()
        except OSError:
            return
        Client(connection, self._on_terminal)

    def _drop_socket(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        """Stop listening and leave nothing behind."""
        if self._check is not None:
            self._check.cancel()
        if self._socket is None:
            return
        self._drop_socket()
        for path in (self._bound, self._path):
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.rmdir()


def _nothing() -> None:
    """No one asked to be told."""
