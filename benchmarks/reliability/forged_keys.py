"""Fifty texts that make a terminal type, shown by the real app at an open question inside a real tmux.

Run from a clone with the app installed and tmux: ``python benchmarks/reliability/forged_keys.py``.
First each text is printed as it is into a pane of such a tmux, to count how many of them press keys, set the clipboard
or the title where nothing is filtered. Then the app shows each one as everything that comes from outside (generated
text, prompts, references, names, paths, reasons, warnings, printed lines) on Monitor, Generations and Log, with neither
a waiting time nor one for undoing before a decision. No key, paste or mouse message may arrive that nobody gave, no
decision, no other clipboard or title.
Prints a table and exits 1 if one does, or if the comparison found nothing to be protected from.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import common  # noqa: F401 - puts the tests' helpers on the path and the app's files into a folder that goes
from forged import PAYLOADS, ForgedApp, answered_raw, left_behind, permissive_tmux


def without_filter(folder: Path) -> tuple[int, list[str]]:
    """Return how many payloads made the terminal type, and what they left behind together."""
    with permissive_tmux(folder) as (tmux, terminal):
        typed, behind = answered_raw(tmux, terminal, folder, PAYLOADS)
    for name, answer in typed.items():
        print(f"raw: {name}: {answer!r}", file=sys.stderr, flush=True)
    return sum(bool(answer) for answer in typed.values()), behind


def in_the_app(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Return forged keys, commands and what was left behind with the app between the payloads and the terminal."""
    names = list(PAYLOADS)
    with permissive_tmux(folder) as (tmux, terminal):
        app = ForgedApp(tmux, folder, PAYLOADS)
        app.show_all(lambda number: print(f"app: {names[number]}: shown", file=sys.stderr, flush=True))
        behind, commands = left_behind(tmux, terminal), app.commands()
        # a key that does decide comes after everything that was typed before
        app.press("c")
        app.decided("continue")
        return app.forged(), commands + app.commands()[len(commands) + 1 :], behind


def main() -> int:
    """Run both and return the exit code."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if shutil.which("tmux") is None:
        print("Skipped: there is no tmux here.")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="forged-"))
    typing, changed = without_filter(folder / "raw")
    try:
        forged, commands, behind = in_the_app(folder / "app")
    except AssertionError as error:
        print(f"the app did not get through: {error}")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"| {len(PAYLOADS)} texts | printed as they are | in the app |\n| --- | --- | --- |")
    print(f"| that made the terminal type | {typing} | {len(forged)} keys |")
    print(f"| decisions and other commands | - | {len(commands)} |")
    print(f"| clipboard, title, window name changed | {', '.join(changed) or 'none'} | {', '.join(behind) or 'none'} |")
    for line in forged + commands:
        print(f"  {line}", file=sys.stderr)
    return 1 if forged or commands or behind or not (typing and changed) else 0


if __name__ == "__main__":
    sys.exit(main())
