"""Split the program into a small process that owns the terminal and one in a session of its own that holds the app.

The child, which nothing at the terminal can stop, shows the screen and trains. The parent stays the shell's job: it
hands signals on, runs an editor in the foreground, and leaves when the child lets go of the terminal or ends. Both
talk over one pair of sockets. Only the standard library is imported here: the split comes before anything heavy.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import termios
import time
from collections.abc import Callable, Sequence
from typing import Any

# what ends every mode that the app switches on, and puts the window's title back from its stack
LEAVE = (
    "\x1b[?2026l\x1b[?2048l\x1b[?2004l\x1b[?7h\x1b[?1016l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
    "\x1b[0m\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l\x1b[23;2t"
)
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH)
_JOB_CONTROL = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_WATCHED = (*_FORWARDED, signal.SIGCHLD)
# how long an editor may take to end when the app has ended
_EDITOR_SECONDS = 2.0


def first_terminal() -> int | None:
    """Return a descriptor of the terminal this process was started in, None if it has none."""
    return next((number for number in (0, 2, 1) if os.isatty(number)), None)


def open_again(descriptor: int) -> int:
    """Return a descriptor of the same terminal with a file description of its own, non-blocking.

    O_NONBLOCK belongs to the description: set on the shared one it would also change the shell's.
    """
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    with contextlib.suppress(OSError):
        return os.open(os.ttyname(descriptor), flags)
    # not ours to open again (su, another mount namespace) or hung up: the shared description has to do
    return os.dup(descriptor)


def write_now(terminal: int, text: str) -> None:
    """Write what the terminal takes at once; one that has gone or does not read gets nothing."""
    with contextlib.suppress(OSError):
        descriptor = open_again(terminal)
        try:
            os.write(descriptor, text.encode("utf-8", "replace"))
        finally:
            os.close(descriptor)


class Owner:
    """The process that owns the terminal, as the app sees it."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._on_edited: Callable[[], None] = _nothing
        self._on_gone: Callable[[], None] = _nothing

    def let_go(self, code: int) -> None:
        """Tell it to leave with ``code``: the shell gets its prompt, this process goes on."""
        self._send(f"leave {code}")
        self._line.close()

    def listen(self, on_gone: Callable[[], None]) -> None:
        """Tell on the running event loop when the owner has died."""
        import asyncio

        self._on_gone = on_gone
        asyncio.get_running_loop().add_reader(self._line, self._read)

    async def edit(self, command: Sequence[str]) -> None:
        """Have ``command`` run in the foreground of the terminal, and wait for its end; a cancelled wait ends it."""
        import asyncio
        import json  # the app opens without it

        done = asyncio.Event()
        self._on_edited = done.set
        self._send(f"edit {json.dumps([*command])}")
        try:
            await done.wait()
        except asyncio.CancelledError:
            self._send("stop")
            raise

    def _send(self, words: str) -> None:
        # a line that is closed or has nobody at its other end: there is nobody to be told
        with contextlib.suppress(OSError):
            self._line.sendall(f"{words}\n".encode())

    def _read(self) -> None:
        import asyncio

        with contextlib.suppress(OSError):
            if self._line.recv(64):
                self._on_edited()
                return
        asyncio.get_running_loop().remove_reader(self._line)
        self._on_edited()
        self._on_gone()


def _nothing() -> None:
    """Do nothing: the default where no callback is given."""


def split() -> Owner | None:
    """Return in the child only; the parent ends with it, or when it is let go. None, unsplit, without a terminal."""
    terminal = first_terminal()
    if terminal is None:
        return None
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    mine, its = socket.socketpair()
    # a signal between the fork and the parent's handlers waits for them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    child = os.fork()
    if child:
        its.close()
        os._exit(_Parent(child, mine, terminal).wait())
    mine.close()
    os.setsid()
    if terminal:
        os.dup2(terminal, 0)
    for number in _JOB_CONTROL:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Owner(its)


class _Parent:
    """The shell's job: waits for the child and does for it what only the terminal's owner can."""

    def __init__(self, child: int, line: socket.socket, terminal: int) -> None:
        self._child, self._line, self._terminal = child, line, terminal
        self._attributes = termios.tcgetattr(terminal)
        self._heard = b""
        self._editor: int | None = None
        self._code: int | None = None

    def wait(self) -> int:
        """Return the exit code."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        for number in _WATCHED:
            # what arrives is read from the pipe, in its order
            signal.signal(number, lambda *_: None)
        for number in _JOB_CONTROL:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        sources: list[Any] = [reading, self._line]
        while self._code is None:
            ready = select.select(sources, [], [])[0]
            if self._line in ready and not self._hear():
                sources.remove(self._line)  # closed: the child is about to end
            if reading in ready:
                for signalled in os.read(reading, 4096):
                    self._signalled(signalled)
        self._end_editor()
        self._restore()
        return self._code

    def _signalled(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, number)

    def _reap(self) -> None:
        if self._code is None:
            ended, status = os.waitpid(self._child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                self._code = code if code >= 0 else 128 - code
                if code < 0:
                    write_now(self._terminal, LEAVE)
        if self._editor is not None:
            found, status = os.waitpid(self._editor, os.WNOHANG | os.WUNTRACED)
            if found and os.WIFSTOPPED(status):
                self._stop_with_editor(self._editor)
            elif found:
                self._edited()

    def _edited(self) -> None:
        """The editor has ended: the screen comes back."""
        self._editor = None
        self._take_back()
        with contextlib.suppress(OSError):
            self._line.sendall(b"edited\n")

    def _hear(self) -> bool:
        """Do what the child asks; False when it has closed its end."""
        try:
            data = self._line.recv(65536)
        except OSError:
            data = b""
        *lines, self._heard = (self._heard + data).split(b"\n")
        for words in lines:
            kind, _, rest = words.decode("utf-8", "surrogateescape").partition(" ")
            if kind == "leave":
                self._code = int(rest)
            elif kind == "edit":
                import json

                self._edit(json.loads(rest))
            elif kind == "stop":
                self._end_editor()
        return bool(data)

    def _edit(self, command: Sequence[str]) -> None:
        pid = os.fork()
        if pid == 0:
            self._become(command)
        self._editor = pid
        # here and in the new process: whichever comes first
        self._give_foreground(pid)

    def _become(self, command: Sequence[str]) -> None:
        """Turn this new process into the editor: first in its own group, with the signals as a shell gives them."""
        try:
            signal.set_wakeup_fd(-1)
            self._give_foreground(os.getpid())
            for number in (*_WATCHED, *_JOB_CONTROL):
                signal.signal(number, signal.SIG_DFL)
            for standard in (0, 1, 2):
                os.dup2(self._terminal, standard)
            os.execvp(command[0], list(command))
        except OSError as error:
            write_now(self._terminal, f"{command[0]}: {error.strerror}\r\n")
        finally:
            os._exit(127)

    def _give_foreground(self, group: int) -> None:
        with contextlib.suppress(OSError):
            os.setpgid(group, group)
        with contextlib.suppress(OSError):
            os.tcsetpgrp(self._terminal, group)

    def _take_back(self) -> None:
        """Be in the foreground again, with the terminal's modes as they were at the start."""
        with contextlib.suppress(OSError):
            os.tcsetpgrp(self._terminal, os.getpgrp())
        self._restore()

    def _restore(self) -> None:
        with contextlib.suppress(termios.error):
            if termios.tcgetattr(self._terminal) != self._attributes:
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._attributes)

    def _stop_with_editor(self, editor: int) -> None:
        """Ctrl+Z in the editor: stop as well, so that the shell has its prompt; go on with the editor at its ``fg``.

        Where no shell could continue this job the kernel does not stop it, and the editor goes on at once.
        """
        with contextlib.suppress(OSError):
            os.tcsetpgrp(self._terminal, os.getpgrp())
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.killpg(0, signal.SIGTSTP)
            while os.tcgetpgrp(self._terminal) != os.getpgrp():
                os.killpg(0, signal.SIGTSTP)  # continued in the background: the terminal is not ours
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        self._give_foreground(editor)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(editor, signal.SIGCONT)

    def _end_editor(self) -> None:
        """End an editor that the app no longer waits for: SIGTERM first, then SIGKILL."""
        if self._editor is None:
            return
        end = time.monotonic() + _EDITOR_SECONDS
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._editor, signal.SIGTERM)
            os.killpg(self._editor, signal.SIGCONT)
            while os.waitpid(self._editor, os.WNOHANG)[0] == 0:
                time.sleep(0.02)
                if time.monotonic() > end:
                    os.killpg(self._editor, signal.SIGKILL)
        self._editor = None
        self._take_back()
