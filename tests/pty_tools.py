"""Owns what tests need to be a terminal: a real pty, a screen that understands what is written, keys to press."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyte

# pyte would print the ends of these instead of ignoring them
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[(?:>\d+u|<u|\?\d+\$p|>4;\d+m)")
_STATE = struct.Struct("4d")


# how much longer than on an idle machine a test waits before it fails: others may use the cores
PATIENCE = 6.0


def until(condition: Callable[[], object], seconds: float = 10.0, what: str = "") -> None:
    """Wait for a condition, fail after ``seconds``, taken as those of an idle machine."""
    end = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {seconds * PATIENCE} s: {what or condition}"
        time.sleep(0.02)


class Terminal:
    """A terminal emulator on a real pty. It reads unless it is told not to."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.master, self.slave = pty.openpty()
        # the reading thread feeds the screen while tests look at it and change its size
        self._lock = threading.Lock()
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._reads = threading.Event()
        self._reads.set()
        self._over = False
        self.received = bytearray()
        self.resize(columns, lines)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def spawn(self, argv: list[str], **environment: str) -> subprocess.Popen[bytes]:
        """Start a process as the leader of a session whose terminal this is."""
        slave = self.slave

        def control() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
        process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=control, env=env
        )
        os.close(self.slave)
        self.slave = -1
        return process

    def resize(self, columns: int, lines: int) -> None:
        """Change the size, which the kernel tells the foreground process."""
        with self._lock:
            self.screen.resize(lines, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.master, keys.encode())

    def stop_reading(self) -> None:
        """Be a terminal behind a dead connection."""
        self._reads.clear()

    def read_on(self) -> None:
        """Read again."""
        self._reads.set()

    def attributes(self) -> list[object]:
        """Return the terminal modes (not the size)."""
        return termios.tcgetattr(self.master)

    def lines(self) -> list[str]:
        """Return what is on the screen."""
        with self._lock:
            return list(self.screen.display)

    def cells(self) -> list[tuple[object, ...]]:
        """Return every cell of the screen, with its style."""
        with self._lock:
            columns, lines = range(self.screen.columns), range(self.screen.lines)
            return [tuple(self.screen.buffer[line][column] for column in columns) for line in lines]

    def reversed_cells(self) -> list[int]:
        """Return how many cells of each line are shown reversed."""
        with self._lock:
            return [sum(cell.reverse for cell in line.values()) for line in self.screen.buffer.values()]

    def is_reversed(self, line: int, column: int) -> bool:
        """Return whether a cell is shown reversed."""
        with self._lock:
            return bool(self.screen.buffer[line][column].reverse)

    def shows(self, text: str) -> bool:
        """Return whether ``text`` is on the screen."""
        return any(text in line for line in self.lines())

    def close(self) -> None:
        """Hang up."""
        if self._over:
            return
        self._over = True
        self._reads.set()
        self._thread.join(2)
        os.close(self.master)
        if self.slave >= 0:
            os.close(self.slave)

    def _read(self) -> None:
        while not self._over:
            self._reads.wait()
            ready, _, _ = select.select([self.master], [], [], 0.05)
            if not ready or not self._reads.is_set():
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:
                # the other side hung up; another process may still open it
                time.sleep(0.02)
                continue
            self.received += data
            # pyte has no alternate screen: leaving it shows an empty one
            with self._lock:
                self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", data.replace(b"\x1b[?1049l", b"\x1b[2J\x1b[H")))


class Counter:
    """What the worker thread of a test app writes down: steps, longest pause, its processor time, loop's last tick."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _values(self) -> tuple[float, ...]:
        data = self.path.read_bytes() if self.path.exists() else b""
        return _STATE.unpack(data) if len(data) == _STATE.size else (0.0, 0.0, 0.0, 0.0)

    @property
    def steps(self) -> int:
        """How far the worker got."""
        return int(self._values()[0])

    @property
    def longest_pause(self) -> float:
        """The longest time between two steps, in seconds."""
        return self._values()[1]

    @property
    def worker_cpu(self) -> float:
        """Processor seconds of the worker thread."""
        return self._values()[2]

    @property
    def loop_age(self) -> float:
        """Seconds since the event loop last ticked."""
        return time.time() - self._values()[3]

    def moves_on(self, seconds: float = 5.0) -> None:
        """Wait until the worker has made more steps."""
        before = self.steps
        until(lambda: self.steps > before + 5, seconds, "the worker makes steps")

    def cpu_beyond_worker(self, pid: int, seconds: float) -> float:
        """Return the share of one core that a process uses beside its worker thread."""
        process = psutil.Process(pid)
        times, worker, start = process.cpu_times(), self.worker_cpu, time.monotonic()
        until(lambda: time.monotonic() - start > seconds, seconds + 5)
        after = process.cpu_times()
        used = after.user + after.system - times.user - times.system - (self.worker_cpu - worker)
        return used / (time.monotonic() - start)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that a test started."""
    if process.poll() is None:
        process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)


def signal_hangup(process: subprocess.Popen[bytes]) -> None:
    """Send the hang-up signal."""
    process.send_signal(signal.SIGHUP)


PYTHON = sys.executable

# an app with a worker thread, run as: python -c TRAINING_APP folder [detached] [loud]
TRAINING_APP = r"""
import os, struct, sys, time
from pathlib import Path
from textual.app import App
from textual.screen import ModalScreen
from textual.widgets import Static, RichLog, Input
from opeddev_tui.ui.driver import make_driver
from opeddev_tui.ui.terminal import output_guard
folder = Path(sys.argv[1])
state = struct.Struct("4d")

class Question(ModalScreen):
    def compose(self):
        yield Static("continue or stop?")

class A(App):
    BINDINGS = [("escape", "note('escape')", "note"), ("f2", "ask_soon", "ask"), ("f3", "lend", "lend")]
    tick_at = 0.0
    def compose(self):
        yield Static("step", id="s")
        yield Static("", id="size")
        yield Input(id="typed")
        yield RichLog()
    def on_mount(self):
        guard.redirect_python_output()
        self.query_one("#typed").focus()
        self.set_interval(0.1, self.tick)
        self.run_worker(self.train, thread=True, exit_on_error=False)
    def tick(self):
        self.tick_at = time.time()
        if "loud" in sys.argv:
            self.refresh(layout=True)
    def action_note(self, text):
        self.query_one("#s", Static).update(text)
        news.write(f"key: {text}\n")
    def action_ask_soon(self):
        self.set_timer(1.0, lambda: self.push_screen(Question()))
    def action_lend(self):
        self.run_worker(self._driver.lend([sys.executable, str(folder / "editor.py")]))
    def on_resize(self, event):
        self.query_one("#size", Static).update(f"size {event.size.width}x{event.size.height}")
    def show(self, i):
        self.query_one("#s", Static).update(f"step {i} " + "x" * 30)
        self.query_one(RichLog).write(f"line {i} " + "y" * 40)
    def on_input_submitted(self, event):
        news.write(f"submitted: {event.value!r}\n")
        self.exit(return_code=int(event.value) if event.value.isdigit() else 0)
    def train(self):
        fd = os.open(folder / "state", os.O_RDWR | os.O_CREAT, 0o600)
        i, pause, last, shown = 0, 0.0, time.monotonic(), 0.0
        while self._running:
            sum(range(3000)); time.sleep(0.01)
            now = time.monotonic(); pause, last, i = max(pause, now - last), now, i + 1
            os.pwrite(fd, state.pack(i, pause, time.thread_time(), self.tick_at), 0)
            if now - shown > 0.25:
                shown = now
                self.call_later(self.show, i)

news = open(folder / "news", "a", buffering=1)
(folder / "pid").write_text(str(os.getpid()))
driver = make_driver(folder / "attach.sock", lambda text: news.write(text + "\n"), detached="detached" in sys.argv)
with output_guard(folder / "log") as guard:
    app = A(driver_class=driver)
    app.run()
sys.exit(app.return_code or 0)
"""

CLIENT = (
    "import sys; from pathlib import Path; from opeddev_tui.ui.attach import attach; "
    "sys.exit(attach(Path(sys.argv[1])))"
)
