"""Whatever a library prints, and however, the screen stays what the app drew and the words are in the log."""

import os
import subprocess
from pathlib import Path

import pytest
from pty_tools import PYTHON, Terminal, end, until

from opeddev_tui.errors import StorageProblem
from opeddev_tui.ui.terminal import output_guard

LIGHT = [
    *("print", "stderr", "dunder_stderr", "dunder_stdout", "kept_dunder", "fd1", "fd2", "c_puts", "child", "warning"),
    *("logger_before", "logger_after", "tqdm", "faulthandler", "fork_worker", "spawn_lock"),
]
HEAVY = ["torch_warning", "hf_logging", "datasets_map"]

APP = r"""
import ctypes, faulthandler, logging, multiprocessing, os, subprocess, sys, time, warnings
from pathlib import Path
logging.basicConfig(level="WARNING")
before, kept = logging.getLogger("before"), sys.__stderr__
from textual.app import App
from textual.widgets import Static
from opeddev_tui.ui.driver import make_driver
from opeddev_tui.ui.terminal import output_guard
folder, names, stock = Path(sys.argv[1]), sys.argv[2].split(","), "stock" in sys.argv

def say(stream, word):
    stream.write(f"\x1b[5;5HGARBLE-{word}\n"); stream.flush()

def logger_after():
    logger = logging.getLogger("after"); logger.addHandler(logging.StreamHandler())
    logger.warning("GARBLE-logger_after")

def c_puts():
    library = ctypes.CDLL(None); library.puts(b"\x1b[5;5HGARBLE-c_puts"); library.fflush(None)

def bar():
    from tqdm import tqdm
    for _ in tqdm(range(20), desc="GARBLE-tqdm"): time.sleep(0.005)

def dump():
    faulthandler.enable(); faulthandler.dump_traceback(); os.write(2, b"GARBLE-faulthandler\n")

def forked():
    process = multiprocessing.get_context("fork").Process(target=lambda: os.write(2, b"GARBLE-fork_worker\n"))
    process.start(); process.join()

def spawn_lock():
    multiprocessing.get_context("spawn").RLock(); os.write(2, b"GARBLE-spawn_lock\n")

def torch_warning():
    import torch; torch.ones(2, 3).resize_(7)
    torch.nn.functional.upsample(torch.ones(1, 1, 4, 4), 8); os.write(2, b"GARBLE-torch_warning\n")

def hf_logging():
    from transformers.utils import logging as hf
    hf.set_verbosity_info(); hf.get_logger("transformers.t").warning("GARBLE-hf_logging")

def datasets_map():
    import datasets
    rows = datasets.Dataset.from_dict({"a": list(range(2000))})
    rows.map(lambda row: {"b": row["a"] + 1}, desc="GARBLE-datasets_map")

WRITERS = {
    "print": lambda: print("\x1b[5;5HGARBLE-print"),
    "stderr": lambda: say(sys.stderr, "stderr"),
    "dunder_stderr": lambda: say(sys.__stderr__, "dunder_stderr"),
    "dunder_stdout": lambda: say(sys.__stdout__, "dunder_stdout"),
    "kept_dunder": lambda: say(kept, "kept_dunder"),
    "fd1": lambda: os.write(1, b"\x1b[5;5HGARBLE-fd1\n"),
    "fd2": lambda: os.write(2, b"\x1b[5;5HGARBLE-fd2\n"),
    "c_puts": c_puts,
    "child": lambda: subprocess.run(["sh", "-c", "echo GARBLE-child; echo GARBLE-child2 >&2"]),
    "warning": lambda: warnings.warn("GARBLE-warning"),
    "logger_before": lambda: before.warning("GARBLE-logger_before"),
    "logger_after": logger_after,
    "tqdm": bar,
    "faulthandler": dump,
    "fork_worker": forked,
    "spawn_lock": spawn_lock,
    "torch_warning": torch_warning,
    "hf_logging": hf_logging,
    "datasets_map": datasets_map,
}

class A(App):
    CSS = "Static {height: 1fr; border: solid green;}"
    def compose(self):
        yield Static("ABCDEFGH " * 100)
    def on_mount(self):
        guard.redirect_python_output()
    def on_key(self, event):
        if event.key == "q": self.exit()
        else: self.run_worker(self.write, thread=True)
    def write(self):
        name = names.pop(0)
        try: WRITERS[name]()
        except BaseException as error: (folder / "problem").write_text(f"{name}: {error!r}")
        (folder / name).touch()

driver = {} if stock else {"driver_class": make_driver(folder / "attach.sock", lambda text: None)}
with output_guard(folder / "train.log") as guard:
    A(**driver).run()
print("back on the terminal")
"""


def _cells(terminal: Terminal) -> list[tuple[object, ...]]:
    screen = terminal.screen
    return [tuple(screen.buffer[line][column] for column in range(screen.columns)) for line in range(screen.lines)]


def _table(tmp_path: Path, names: list[str], *options: str) -> None:
    terminal = Terminal(80, 24)
    process = terminal.spawn([PYTHON, "-c", APP, str(tmp_path), ",".join(names), *options])
    log = tmp_path / "train.log"
    try:
        until(lambda: terminal.lines()[-1].startswith("└──"), 10, "the screen is drawn")
        for name in names:
            cells, received = _cells(terminal), len(terminal.received)
            terminal.press("n")
            until((tmp_path / name).exists, 60, name)
            until(lambda name=name: f"GARBLE-{name}" in log.read_text(errors="replace"), 5, f"{name} in the log")
            assert _cells(terminal) == cells, name
            assert b"GARBLE" not in terminal.received[received:], name
        assert not (tmp_path / "problem").exists(), (tmp_path / "problem").read_text()
        terminal.press("q")
        until(lambda: terminal.shows("back on the terminal"), 10)
        assert process.wait(60) == 0
        assert b"GARBLE" not in terminal.received
        assert "back on the terminal" not in log.read_text(errors="replace")
        assert (log.stat().st_mode & 0o777) == 0o600
    finally:
        end(process)
        terminal.close()


def test_writers_leave_the_screen_unchanged(tmp_path: Path) -> None:
    _table(tmp_path, LIGHT + HEAVY)


def test_writers_leave_textuals_own_driver_unchanged(tmp_path: Path) -> None:
    _table(tmp_path, list(LIGHT), "stock")


def test_everything_is_given_back_after_an_exception(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom opeddev_tui.ui.terminal import output_guard\n"
        "streams = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__\n"
        "try:\n    with output_guard(Path(sys.argv[1]) / 'new' / 'log') as guard:\n"
        "        os.write(1, b'one'); guard.redirect_python_output(); print('two'); raise ValueError\n"
        "except ValueError: print('after')\n"
        "assert streams == (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)\n"
        "os.write(2, b'error')\n"
    )
    ran = subprocess.run([PYTHON, "-c", script, str(tmp_path)], capture_output=True, timeout=120)
    assert (ran.stdout, ran.stderr, ran.returncode) == (b"after\n", b"error", 0)
    assert (tmp_path / "new" / "log").read_text() == "onetwo\n"


def test_a_terminal_that_has_gone_stays_replaced_by_the_log(tmp_path: Path) -> None:
    script = (
        "import os, sys, signal, time\nfrom pathlib import Path\nfrom opeddev_tui.ui.terminal import output_guard\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nfolder = Path(sys.argv[1])\n"
        "with output_guard(folder / 'log'):\n"
        "    (folder / 'ready').touch()\n"
        "    while os.isatty(0): time.sleep(0.01)\n"
        "print('told nobody', flush=True)\n(folder / 'done').touch()\n"
    )
    terminal = Terminal()
    process = terminal.spawn([PYTHON, "-c", script, str(tmp_path)])
    until((tmp_path / "ready").exists)
    terminal.close()
    until((tmp_path / "done").exists)
    assert process.wait(60) == 0
    assert "told nobody" in (tmp_path / "log").read_text()


def test_a_log_that_cannot_be_written_is_a_clear_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = os.fstat(1)
    with pytest.raises(StorageProblem), output_guard(tmp_path / "file" / "log"):
        pass
    assert os.fstat(1) == before
