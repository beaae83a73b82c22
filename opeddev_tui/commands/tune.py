"""``tune``: compare settings on folds of the training rows, print the table, and write the best ones on request."""

import argparse
from typing import Any

import msgspec
from rich.text import Text

from opeddev_tui.analysis.tune_table import SettingFigures, TuneTable
from opeddev_tui.commands.options import add_json, add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole, plain_table, print_json
from opeddev_tui.config import described, loading
from opeddev_tui.format import number
from opeddev_tui.runs.tunings import Tuning
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="KEY=A,B,C",
        help="a setting and its values, by its full name or a short one that is clear; none: go on with the newest",
    )
    add_workspace(parser)
    parser.add_argument("--step", default="next", metavar="next|K", help="whose rows are used (default: next)")
    parser.add_argument("--folds", type=int, default=3, metavar="N", help="parts of the training rows (default: 3)")
    parser.add_argument(
        "--at-once",
        type=int,
        default=0,
        metavar="N",
        help="trainings at the same time (default: one per GPU, else one)",
    )
    parser.add_argument(
        "--hours", type=float, default=0.0, metavar="H", help="begin no other training after this time (default: none)"
    )
    add_json(parser)
    parser.add_argument("--write", action="store_true", help="save the best values in the workspace's settings")
    # one training of several, started by the process that leads them
    parser.add_argument("--member", default="", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Compare and print the table; return the exit code."""
    workspace, loaded = open_workspace(options)
    if options.member:
        from opeddev_tui.groups.member import train_cell

        return train_cell(workspace.root, loaded, options.member)
    from opeddev_tui.commands.foreground import trained_in_terminal
    from opeddev_tui.commands.seed_tables import SeedsView
    from opeddev_tui.commands.seeds import at_once
    from opeddev_tui.groups.tune import TuneRequest, tune
    from opeddev_tui.runs.control import Control

    request = TuneRequest(
        words=tuple(options.settings),
        step=options.step,
        folds=options.folds,
        at_once=at_once(options.at_once),
        hours=options.hours,
        overrides=tuple(options.overrides),
    )
    control, console = Control(), CleanConsole(workspace.root)
    # JSON is all that goes to the output then
    view = SeedsView(CleanConsole(workspace.root, stderr=True) if options.json else console)
    with trained_in_terminal(workspace, control) as signals:
        found = tune(workspace.root, loaded, request, view, control)
        if options.json:
            print_json({"tuning": msgspec.to_builtins(found.tuning), **msgspec.to_builtins(found.table)})
        else:
            _print(console, found.tuning, found.table, workspace)
        if options.write:
            view.tell(_written(workspace, found.tuning, found.table))
    return signals.exit_code or found.exit_code


def _print(console: CleanConsole, tuning: Tuning, table: TuneTable, workspace: Workspace) -> None:
    what = "loss" if table.metric == "loss" else "distance from the right grades"
    shown = plain_table(title=f"step {tuning.step} ({tuning.batch}), {tuning.folds} folds: {what} on each")
    shown.add_column("setting", overflow="fold")
    for name in ("mean ± sd", *(f"fold {fold + 1}" for fold in range(tuning.folds))):
        shown.add_column(name, no_wrap=True)
    for place, row in enumerate(table.settings):
        shown.add_row(*(Text(cell) for cell in _cells(row, best=place == table.best)))
    console.print(shown)
    for line in _result(tuning, table, workspace):
        console.say(line, soft_wrap=True)


def _cells(row: SettingFigures, *, best: bool) -> list[str]:
    spread = row.spread
    mean = "" if spread is None else number(spread.mean, 4)
    mean += f" ± {number(spread.sd, 4)}" if spread is not None and spread.sd is not None else ""
    return [f"{'* ' if best else '  '}{clean_line(' '.join(row.setting))}", mean, *(number(x, 4) for x in row.folds)]


def _result(tuning: Tuning, table: TuneTable, workspace: Workspace) -> list[str]:
    """Return what wins, and how to take it."""
    if table.best is None:
        return ["Not enough is trained to compare. opeddev-tui tune goes on with it."]
    best = tuning.grid[table.best]
    lines = [table.words, f"To take it: {' '.join(f'--set {item}' for item in best)}"]
    lines.append("or in config.toml (tune --write saves it for you):")
    by_section: dict[str, list[str]] = {}
    for name, value in _values(workspace, tuning, table).items():
        section, _, key = name.partition(".")
        by_section.setdefault(section, []).append(f"{key} = {described.toml_value(value)}")
    for section, entries in by_section.items():
        lines += [f"[{section}]", *entries]
    return lines


def _values(workspace: Workspace, tuning: Tuning, table: TuneTable) -> dict[str, Any]:
    from opeddev_tui.groups.tune_settings import values_of

    best = tuning.grid[table.best] if table.best is not None else ()
    return values_of(loading.load(workspace.root, overrides=[*tuning.overrides, *best]), best)


def _written(workspace: Workspace, tuning: Tuning, table: TuneTable) -> str:
    if table.best is None:
        return "Nothing is written: no setting is the best yet."
    path = loading.save(workspace.root, _values(workspace, tuning, table))
    doubt = "" if table.sure else " Its lead is within the noise."
    return f"Saved in {workspace.relative(path)}, over config.toml, which is left as it is.{doubt}"
