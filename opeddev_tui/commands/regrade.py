"""``regrade``: list rows whose grade is disputed, show one, correct its grade or undo that, and show what it changed.

Writes the file of corrections alone, never a data file. A model is loaded for --list and --effect only.
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from opeddev_tui.commands.options import ALL, add_count, add_json, add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole, print_json
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.regrading import Doctor
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.workspace.paths import Workspace

if TYPE_CHECKING:
    from opeddev_tui.data.corrected_rows import SetRow
    from opeddev_tui.grading.doctor import Singles
    from opeddev_tui.grading.reader import FeatureReader


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "row", nargs="?", metavar="ROW", default="", help="its id, set/id, key or place (rows.jsonl:12)"
    )
    parser.add_argument(
        "grade", nargs="?", metavar="GRADE", default="", help="the right grade; its own one confirms it"
    )
    add_workspace(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="the training rows whose grade is disputed most")
    what.add_argument("--show", action="store_true", help="ROW with its prompt, grades and correction")
    what.add_argument("--undo", action="store_true", help="give ROW its own grade again")
    what.add_argument("--effect", action="store_true", help="kappa of the head with and without the corrections")
    parser.add_argument("--rater", metavar="NAME", default="", help="who corrects")
    parser.add_argument("--note", metavar="TEXT", default="", help="why")
    add_count(parser, "rows of --list (default: a tenth of the graded ones, at least 10)", least=0)
    add_json(parser)
    # for the app, which runs this command in a process of its own
    parser.add_argument("--progress", action="store_true", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Do what was asked; without ROW and options print the corrections so far. Raises ``Problem``."""
    from opeddev_tui.commands import regrade_tables as tables

    workspace, loaded = open_workspace(options)
    _must_fit(options)
    doctor, console = Doctor(workspace.root, loaded.settings), CleanConsole(workspace.root)
    if options.list or options.effect:
        return (_list if options.list else _effect)(options, workspace, loaded.settings, doctor)
    if not options.row:
        rows, overlay = doctor.rows(), doctor.overlay()
        if options.json:
            print_json(tables.corrections_json(rows, overlay))
        else:
            tables.show_corrections(console, rows, overlay)
    elif options.undo:
        tables.show_regraded(console, doctor.undo(options.row, rater=options.rater, note=options.note), workspace)
    elif options.grade:
        made = doctor.regrade(options.row, options.grade, rater=options.rater, note=options.note)
        tables.show_regraded(console, made, workspace)
    else:
        row = doctor.find(options.row)
        if options.json:
            print_json(tables.row_json(row, loaded.settings.grading))
        else:
            tables.show_row(console, row, loaded.settings.grading)
    return 0


def _must_fit(options: argparse.Namespace) -> None:
    if (options.show or options.undo) and not options.row:
        raise SettingsProblem("no row is named.", where="regrade", cure="Write: opeddev-tui regrade ROW --show.")
    if options.grade and (options.list or options.show or options.undo or options.effect):
        raise SettingsProblem(
            "a grade cannot be combined with --list, --show, --undo or --effect.",
            where="regrade",
            cure="Leave one of them out.",
        )


def _list(options: argparse.Namespace, workspace: Workspace, settings: Settings, doctor: Doctor) -> int:
    from opeddev_tui.commands import feature_reading as reading
    from opeddev_tui.commands import regrade_tables as tables
    from opeddev_tui.grading.doctor import graded_training_rows, rank
    from opeddev_tui.runs.grade_words import worth_reading
    from opeddev_tui.runs.history import list_runs
    from opeddev_tui.runs.measured_grades import disputes_doubt

    found = doctor.rows()
    rows = graded_training_rows([row for listed in found.rows.values() for row in listed])
    model = reading.open_model(workspace, settings, None)
    with reading.progress("features", as_lines=options.progress) as on_batch:
        features = model.features([row.example for row in rows], on_batch).features
    moves = _moves(model, rows, features, settings, as_lines=options.progress)
    every = rank(rows, features, settings.grading, moves)
    most = worth_reading(len(rows)) if options.count is None else options.count
    listed = every if most == ALL else every[:most]
    if options.json:
        print_json(tables.disputed_json(listed, len(every), found, doctor.overlay()))
    else:
        races = [record.state.race for record in list_runs(workspace) if record.state.race is not None]
        doubt = disputes_doubt(races[-1] if races else None)
        tables.show_disputed(CleanConsole(workspace.root), listed, len(every), len(rows), doubt)
    return 0


def _moves(
    model: "FeatureReader",
    train: "Sequence[SetRow]",
    features: "Singles",
    settings: Settings,
    *,
    as_lines: bool = False,
) -> "Singles":
    """Return what holds the head steady, as ``FeatureReader.moves`` does."""
    from opeddev_tui.commands import feature_reading as reading
    from opeddev_tui.grading.graded_rows import graded_rows
    from opeddev_tui.grading.scale import Scale

    scale = Scale.of(settings.grading)
    with reading.progress("features", as_lines=as_lines) as on_batch:
        return model.moves(graded_rows([row.example for row in train], scale), scale, features, on_batch).features


def _effect(options: argparse.Namespace, workspace: Workspace, settings: Settings, doctor: Doctor) -> int:
    from opeddev_tui.commands import feature_reading as reading
    from opeddev_tui.commands import regrade_tables as tables
    from opeddev_tui.data.batches import HOLDOUT
    from opeddev_tui.grading.doctor import effect, graded_training_rows

    found = doctor.rows()
    train = graded_training_rows([row for listed in found.rows.values() for row in listed])
    held = [row for row in found.rows.get(HOLDOUT, []) if row.own.grade is not None]
    model = reading.open_model(workspace, settings, None)
    with reading.progress("features") as on_batch:
        features = model.features([row.example for row in (*train, *held)], on_batch).features
    moves = _moves(model, train, features[: len(train)], settings)
    told = effect(train, features[: len(train)], held, features[len(train) :], settings.grading, moves)
    if options.json:
        print_json(told)
    else:
        tables.show_effect(CleanConsole(workspace.root), told)
    return 0
