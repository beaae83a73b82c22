"""Whatever a library prints, and however, the screen stays what the app drew and the words are in the log."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from pty_tools import PYTHON, Terminal, end, until
from stray_writers import LIGHT, PREAMBLE, WRITERS

from opeddev_tui.errors import StorageProblem
from opeddev_tui.terminal.output import output_guard

APP = (
    PREAMBLE
    + r"""
from pathlib import Path
from textual.app import App
from textual.widgets import Static
from opeddev_tui.terminal.textual_private import HangupDriver
from opeddev_tui.terminal.output import output_guard
folder, names, stock = Path(sys.argv[1]), sys.argv[2].split(","), "stock" in sys.argv

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

driver = {} if stock else {"driver_class": HangupDriver}
with output_guard(folder / "train.log") as guard:
    A(**driver).run()
print("back on the terminal")
"""
)


def _table(tmp_path: Path, names: Iterable[str], *options: str) -> None:
    terminal = Terminal(80, 24)
    process = terminal.spawn([PYTHON, "-c", APP, str(tmp_path), ",".join(names), *options])
    log = tmp_path / "train.log"
    try:
        until(lambda: terminal.lines()[-1].startswith("└──"), 10, "the screen is drawn")
        for name in names:
            cells, received = terminal.cells(), len(terminal.received)
            terminal.press("n")
            until((tmp_path / name).exists, 60, name)
            until(lambda name=name: f"GARBLE-{name}" in log.read_text(errors="replace"), 5, f"{name} in the log")
            assert terminal.cells() == cells, name
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
    _table(tmp_path, WRITERS)


def test_writers_leave_textuals_own_driver_unchanged(tmp_path: Path) -> None:
    _table(tmp_path, LIGHT, "stock")


def test_everything_is_given_back_after_an_exception(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom opeddev_tui.terminal.output import output_guard\n"
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
        "import os, sys, signal, time\nfrom pathlib import Path\nfrom opeddev_tui.terminal.output import output_guard\n"
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
