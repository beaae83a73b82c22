"""What libraries print while the real app runs, from Python, C and children: the screen stays, cell for cell.

``tests/test_terminal.py`` has the whole table of writers for the guard itself; here the way through ``run_app`` is
held, with the writers in the training thread, where they are in life.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pty_tools import PYTHON, Terminal, end, until

# each writes GARBLE-<name> from the training thread; the last one is the Trainer with its bars and loggers
WRITERS = (
    "print", "stderr", "dunder", "fd1", "fd2", "c_puts", "child", "warning", "logger_before", "logger_after", "tqdm",
    "faulthandler", "fork_worker", "hf_logging", "trainer",
)  # fmt: skip

APP = r"""
import logging, sys
from pathlib import Path
logging.basicConfig(level="WARNING")
before = logging.getLogger("before")
import ctypes, faulthandler, multiprocessing, os, subprocess, time, warnings
from opeddev_tui import config
from opeddev_tui import events as ev
from opeddev_tui.ui.run import run_app
root, model, names = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")

def say(stream, word):
    stream.write(f"\x1b[5;5HGARBLE-{word}\n"); stream.flush()

def c_puts():
    library = ctypes.CDLL(None); library.puts(b"\x1b[5;5HGARBLE-c_puts"); library.fflush(None)

def logger_after():
    logger = logging.getLogger("after"); logger.addHandler(logging.StreamHandler())
    logger.warning("GARBLE-logger_after")

def bar():
    from tqdm import tqdm
    for _ in tqdm(range(10), desc="GARBLE-tqdm"): time.sleep(0.005)

def dump():
    faulthandler.enable(); faulthandler.dump_traceback(); os.write(2, b"GARBLE-faulthandler\n")

def forked():
    process = multiprocessing.get_context("fork").Process(target=lambda: os.write(2, b"GARBLE-fork_worker\n"))
    process.start(); process.join()

def hf():
    from transformers.utils import logging as hf
    hf.set_verbosity_info(); hf.get_logger("transformers.t").warning("GARBLE-hf_logging")

def trainer():
    import torch
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments
    torch.set_num_threads(1)
    rows = [{"input_ids": [1, 2, 3, 4], "labels": [1, 2, 3, 4]}] * 6
    arguments = TrainingArguments(str(root / "out"), num_train_epochs=1, logging_steps=1, report_to="none",
                                  use_cpu=True, save_strategy="no", log_level="info")
    Trainer(AutoModelForCausalLM.from_pretrained(model), arguments, train_dataset=rows).train()
    print("GARBLE-trainer")

WRITERS = {
    "print": lambda: print("\x1b[5;5HGARBLE-print"), "stderr": lambda: say(sys.stderr, "stderr"),
    "dunder": lambda: say(sys.__stderr__, "dunder"), "fd1": lambda: os.write(1, b"\x1b[5;5HGARBLE-fd1\n"),
    "fd2": lambda: os.write(2, b"\x1b[5;5HGARBLE-fd2\n"), "c_puts": c_puts,
    "child": lambda: subprocess.run(["sh", "-c", "echo GARBLE-child; echo GARBLE-child2 >&2"]),
    "warning": lambda: warnings.warn("GARBLE-warning"), "logger_before": lambda: before.warning("GARBLE-logger_before"),
    "logger_after": logger_after, "tqdm": bar, "faulthandler": dump, "fork_worker": forked, "hf_logging": hf,
    "trainer": trainer,
}

def runner(root, loaded, start, sink, control):
    sink.emit(ev.RunStarted(at=time.time() + 9e8, run="r", step=0, batch="base", rows=1, holdout_rows=1,
                            holdout_fingerprint="a", planned_epochs=1, max_epochs=1, seed=1, model="m", pid=1))
    for name in names:
        while not (root / f"go-{name}").exists(): time.sleep(0.02)
        try: WRITERS[name]()
        except BaseException as error: (root / "problem").write_text(f"{name}: {error!r}")
        (root / f"done-{name}").touch()
    while not (root / "leave").exists(): time.sleep(0.02)

run_app(root, config.load(root), start=True, runner=runner)
print("back on the terminal")
"""


def _cells(terminal: Terminal) -> list[tuple[object, ...]]:
    screen = terminal.screen
    return [tuple(screen.buffer[line][column] for column in range(screen.columns)) for line in range(screen.lines)]


@pytest.mark.parametrize("size", [(80, 24)])
def test_the_screen_stays_cell_for_cell(tmp_path: Path, tiny_model: Path, size: tuple[int, int]) -> None:
    (tmp_path / "config.toml").touch()
    terminal = Terminal(*size)
    process = terminal.spawn([PYTHON, "-c", APP, str(tmp_path), str(tiny_model), ",".join(WRITERS)])
    log = tmp_path / "logs" / "train.log"
    try:
        until(lambda: terminal.shows("step 0 base"), 30, "the run is on the screen")
        until(lambda: terminal.shows("q Quit"), 10)
        for name in WRITERS:
            cells, received = _cells(terminal), len(terminal.received)
            (tmp_path / f"go-{name}").touch()
            until((tmp_path / f"done-{name}").exists, 60, name)
            until(lambda name=name: f"GARBLE-{name}" in log.read_text(errors="replace"), 5, f"{name} in the log")
            assert _cells(terminal) == cells, name
            assert b"GARBLE" not in terminal.received[received:], name
        assert not (tmp_path / "problem").exists(), (tmp_path / "problem").read_text()
        (tmp_path / "leave").touch()
        until(lambda: terminal.shows("interrupted") or terminal.shows("Interrupted"), 10, "the end of the run")
        terminal.press("q")
        until(lambda: terminal.shows("back on the terminal"), 15)
        assert process.wait(60) == 0
        assert b"GARBLE" not in terminal.received
    finally:
        end(process)
        terminal.close()
