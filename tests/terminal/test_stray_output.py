"""What libraries print while the real app runs, from Python, C and children: the screen stays, cell for cell.

``tests/test_terminal.py`` has the whole table of writers for the guard itself; here the way through ``run_app`` is
held, with the writers in the training thread, where they are in life.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pty_tools import PYTHON, Terminal, end, until
from stray_writers import LIGHT, PREAMBLE

# the last one is the Trainer with its bars and loggers
NAMES = (*LIGHT, "hf_logging", "trainer")

APP = (
    PREAMBLE
    + r"""
import time
from pathlib import Path
from opeddev_tui.config import loading
from opeddev_tui.runs import events as ev
from opeddev_tui.ui.process import run_app
root, model, names = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")

def trainer():
    import torch
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments
    torch.set_num_threads(1)
    rows = [{"input_ids": [1, 2, 3, 4], "labels": [1, 2, 3, 4]}] * 6
    arguments = TrainingArguments(str(root / "out"), num_train_epochs=1, logging_steps=1, report_to="none",
                                  use_cpu=True, save_strategy="no", log_level="info")
    Trainer(AutoModelForCausalLM.from_pretrained(model), arguments, train_dataset=rows).train()
    print("GARBLE-trainer")

WRITERS["trainer"] = trainer

def runner(root, loaded, start, sink, control):
    sink.emit(ev.RunStarted(at=time.time() + 9e8, run="r", step=0, batch="base", rows=1, holdout_rows=1,
                            holdout_fingerprint="a", planned_epochs=1, max_epochs=1, seed=1, model="m", pid=1))
    for name in names:
        while not (root / f"go-{name}").exists(): time.sleep(0.02)
        try: WRITERS[name]()
        except BaseException as error: (root / "problem").write_text(f"{name}: {error!r}")
        (root / f"done-{name}").touch()
    while not (root / "leave").exists(): time.sleep(0.02)

run_app(root, loading.load(root), start=True, runner=runner)
print("back on the terminal")
"""
)


def nothing_new(terminal: Terminal, seconds: float = 0.5) -> Callable[[], bool]:
    """Return what is true once the terminal got nothing for ``seconds``: the first pictures come in several pieces."""
    known, since = -1, time.monotonic()

    def quiet() -> bool:
        nonlocal known, since
        if len(terminal.received) != known:
            known, since = len(terminal.received), time.monotonic()
        return time.monotonic() - since >= seconds

    return quiet


@pytest.mark.parametrize("size", [(80, 24)])
def test_the_screen_stays_cell_for_cell(tmp_path: Path, tiny_model: Path, size: tuple[int, int]) -> None:
    (tmp_path / "config.toml").touch()
    terminal = Terminal(*size)
    process = terminal.spawn([PYTHON, "-c", APP, str(tmp_path), str(tiny_model), ",".join(NAMES)])
    log = tmp_path / "logs" / "train.log"
    try:
        until(lambda: terminal.shows("step 0 base"), 30, "the run is on the screen")
        until(lambda: terminal.shows("q Quit"), 10)
        until(nothing_new(terminal), 30, "the whole picture")
        for name in NAMES:
            cells, received = terminal.cells(), len(terminal.received)
            (tmp_path / f"go-{name}").touch()
            until((tmp_path / f"done-{name}").exists, 60, name)
            until(lambda name=name: f"GARBLE-{name}" in log.read_text(errors="replace"), 5, f"{name} in the log")
            assert terminal.cells() == cells, name
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
