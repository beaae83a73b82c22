"""Owns what the reliability scripts share: the tests' helpers on the path, a workspace, the undisturbed run."""

import os
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

# the app writes below HOME: never into a person's own
os.environ["HOME"] = tempfile.mkdtemp(prefix="opeddev-home-")
os.environ["HF_HUB_OFFLINE"] = "1"

from engine_helpers import final_weights, make_workspace, start_training, states  # noqa: E402 - after the path is set


def new_workspace(folder: Path, name: str, model: Path, rows: int) -> Path:
    """Make a workspace of ``rows`` rows and three epochs."""
    return make_workspace(folder / name, model, rows=rows)


def undisturbed(folder: Path, model: Path, rows: int) -> tuple[str, float]:
    """Train without a disturbance; return the final weights' SHA-256 and the seconds of a warm start."""
    for name in ("warm", "undisturbed"):  # the first start also loads the training stack
        root = new_workspace(folder, name, model, rows)
        began = time.perf_counter()
        finish(root)
        seconds = time.perf_counter() - began
    return final_weights(root), seconds


def finish(root: Path) -> None:
    """Train to the end; raise ``RuntimeError`` if the run cannot be finished."""
    process = start_training(root)
    process.join(600)
    if process.exitcode != 0 or states(root)[-1].status != "finished":
        raise RuntimeError(f"train ended with {process.exitcode}: {process.text()[-500:]}")
