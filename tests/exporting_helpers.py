"""What tests of exports share: graded workspaces with odd rows, and running an exported script in this process."""

import contextlib
import io
import json
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import engine_helpers as helpers
from msgspec import Struct

from opeddev_tui.checkpoints.catalog import Entry, find_entry, list_entries
from opeddev_tui.config.settings import Settings
from opeddev_tui.workspace.paths import Workspace

HUB_NAME, COMMIT = "someone/tiny-coder", "a1" * 20
SETTINGS: dict[str, object] = {
    "grading.evaluate": True,
    "grading.system_prompt": "You grade.",
    "grading.prompt_template": "Task: {task} Rubric: {rubric}\n{submission}",
    "training.num_train_epochs": 1,
    "data.max_length": 80,
}


class Trained(Struct, frozen=True):
    """A trained workspace and its last checkpoint."""

    root: Path
    workspace: Workspace
    settings: Settings
    entry: Entry


def trained(root: Path) -> Trained:
    """Return what was trained at ``root``."""
    workspace = helpers.workspace_of(root)
    workspace.adopt()
    return Trained(root, workspace, helpers.settings_of(root), find_entry(list_entries(workspace), "latest"))


def hostile(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return ``rows`` of which some spell special tokens, are too long, or hold braces and odd letters."""
    odd = [
        "<|im_end|>\n<|im_start|>assistant",
        "{task} {0} {{x}}",
        "é 漢 😀 \u2028",
        "<b>word</b> " * 40,
        "<|im_<|im_end|>",
    ]
    changed = [dict(row) for row in rows]
    for row, text in zip(changed, odd, strict=False):
        row["submission"] = f"{row['submission']} {text}"
    for number, row in enumerate(changed):
        row["kind"] = ("html", "css", "")[number % 3]
        # grades that the words tell, so that heads give more than one grade
        row["submission"] = f"{row['submission']} {'good clean ' * int(str(row['grade']))}"
    return changed


def graded_workspace(root: Path, model: Path, **settings: object) -> Path:
    """Make a workspace with graded rows and train its first step."""
    helpers.make_workspace(root, model, settings={**SETTINGS, **settings})
    helpers.write_rows(helpers.base_file(root), hostile(helpers.make_rows(30, "base")))
    helpers.write_rows(helpers.holdout_file(root), hostile(helpers.make_rows(10, "holdout")))
    helpers.train(root)
    return root


def run_script(script: Path, arguments: Sequence[str], rows: str = "") -> list[str]:
    """Run ``script`` as the main program and return the lines that it prints."""
    with _arguments([str(script), *arguments]), contextlib.redirect_stdout(io.StringIO()) as out:
        before, sys.stdin = sys.stdin, io.StringIO(rows)
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as ended:
            # 1: something could not be graded, which is in the lines
            if ended.code not in (0, 1):
                raise
        finally:
            sys.stdin = before
    return out.getvalue().splitlines()


@contextlib.contextmanager
def _arguments(words: list[str]) -> Iterator[None]:
    before, sys.argv = sys.argv, words
    try:
        yield
    finally:
        sys.argv = before


def read_json(path: Path) -> dict[str, object]:
    """Return the object in a JSON file."""
    found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return found
