"""Fifty texts that make a terminal type, shown by the real app at an open question inside a real tmux.

Run from a clone with the app installed and tmux: ``python benchmarks/reliability/forged_keys.py``.
First each text is printed as it is into a pane of such a tmux, to count how many of them press keys, set the clipboard
or the title where nothing is filtered. Then the app shows each one as everything that comes from outside (generated
text, prompts, references, names, paths, reasons, warnings, printed lines) on Monitor, Generations and Log, with neither
a waiting time nor one for undoing before a decision. No key, paste or mouse message may arrive that nobody gave, no
decision, no other clipboard or title. In the end the same with the real training, at its real question: its data have
the texts in every column, and its model generates all of them.
Prints a table and exits 1 if one does, or if the comparison found nothing to be protected from.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import common  # noqa: F401 - puts the tests' helpers on the path and the app's files into a folder that goes
from engine_helpers import build_model, holdout_file, journal_of, make_rows, make_workspace, states, write_rows
from forged import PAYLOADS, REAL, ForgedApp, PaneApp, answered_raw, left_behind
from pty_tools import until
from tmux_tools import permissive_tmux

from opeddev_tui.runs import events as ev

ASKING = {
    "early_stop.policy": "ask",
    "ui.guard_ms": 0,
    "ui.undo_seconds": 0,
    "generation.num_probes": 4,
    "data.max_length": 1024,
}
Found = tuple[list[str], list[str], list[str]]


def without_filter(folder: Path) -> tuple[int, list[str]]:
    """Return how many payloads made the terminal type, and what they left behind together."""
    with permissive_tmux(folder) as (tmux, terminal):
        typed, behind = answered_raw(tmux, terminal, folder, PAYLOADS)
    for name, answer in typed.items():
        print(f"raw: {name}: {answer!r}", file=sys.stderr, flush=True)
    return sum(bool(answer) for answer in typed.values()), behind


def in_the_app(folder: Path) -> Found:
    """Return forged keys, commands and what was left behind with the app between the payloads and the terminal."""
    names = list(PAYLOADS)
    with permissive_tmux(folder) as (tmux, terminal), ForgedApp(tmux, folder, PAYLOADS) as app:
        app.show_all(lambda number: print(f"app: {names[number]}: shown", file=sys.stderr, flush=True))
        behind, commands = left_behind(tmux, terminal), app.commands()
        # a key that does decide comes after everything that was typed before
        app.press("c")
        app.decided("continue")
        return app.forged(), commands + app.commands()[len(commands) + 1 :], behind


def hostile_workspace(folder: Path) -> Path:
    """Make a workspace whose hold-out has a payload in every column of every row."""
    root = make_workspace(folder / "workspace", build_model(folder / "model"), rows=8, settings=ASKING)
    rows = make_rows(len(PAYLOADS), "holdout")
    for row, payload in zip(rows, PAYLOADS.values(), strict=True):
        row.update({name: f"{row[name]} {payload}" for name in ("id", "kind", "task", "submission", "feedback")})
    write_rows(holdout_file(root), rows)
    return root


def in_a_training(folder: Path) -> Found:
    """The same as ``in_the_app`` for one real training at its question."""
    folder.mkdir()
    root = hostile_workspace(folder)
    with permissive_tmux(folder) as (tmux, terminal), PaneApp(tmux, folder, REAL, PAYLOADS) as app:
        app.shows("Epoch 1 of at most", what="the question", seconds=180)
        app.press("2")
        app.shows("P00 ", what="the generated text")
        for _ in range(ASKING["generation.num_probes"]):
            app.press("j")
        app.press("4")
        app.shows("END OF IT", what="the printed text")
        app.press("1")
        app.shows("Epoch 1 of at most", what="the question, still")
        behind = left_behind(tmux, terminal)
        commands = [str(event) for event in journal_of(root) if isinstance(event, ev.Decided)]
        app.press("c")
        until(lambda: len(states(root)[-1].decisions) > len(commands), 30, "decided")
        return app.forged(), commands, behind


def main() -> int:
    """Run both and return the exit code."""
    argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    if shutil.which("tmux") is None:
        print("Skipped: there is no tmux here.")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="forged-"))
    typing, changed = without_filter(folder / "raw")
    try:
        shown, trained = in_the_app(folder / "app"), in_a_training(folder / "training")
    except AssertionError as error:
        print(f"the app did not get through: {error}")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    raw = (str(typing), "-", ", ".join(changed) or "none")
    names = ("keys from the terminal", "decisions and other commands", "clipboard, title, window name changed")
    print(f"| {len(PAYLOADS)} texts | printed as they are | in the app, one by one | in a training |")
    print("| --- | --- | --- | --- |")
    for name, before, one_by_one, together in zip(names, raw, shown, trained, strict=True):
        print(f"| {name} | {before} | {len(one_by_one)} | {len(together)} |")
        for line in one_by_one + together:
            print(f"  {line}", file=sys.stderr)
    return 1 if any(shown) or any(trained) or not (typing and changed) else 0


if __name__ == "__main__":
    sys.exit(main())
