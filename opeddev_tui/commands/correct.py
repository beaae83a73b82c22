"""``correct``: say what grade a submission should get; it becomes a row of the open batch of corrections.

Writes that batch and its history alone. No model is loaded.
"""

import argparse
import sys
from itertools import islice
from pathlib import Path

from opeddev_tui.commands.option_text import add_fields, fields_of, option_text
from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.corrected_answers import Kept, its_turn
from opeddev_tui.data.raw_rows import FileRows
from opeddev_tui.errors import DataProblem, SettingsProblem
from opeddev_tui.serving.asked import Answer, Asked
from opeddev_tui.serving.corrected import ask_without_model, collected, keep_answer, step_of, undo_last, undo_of
from opeddev_tui.serving.submissions import STANDARD_INPUT, Submissions
from opeddev_tui.serving.training_rows import base_rows
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "submission", nargs="?", metavar="FILE", default="", help="a file with one submission; - reads standard input"
    )
    add_workspace(parser)
    parser.add_argument("--grade", metavar="GRADE", default="", help="the right grade")
    parser.add_argument("--feedback", metavar="TEXT|@FILE", help="the text that the model learns to write")
    parser.add_argument(
        "--criterion",
        action="append",
        default=[],
        metavar="AREA=pass|fail",
        help="an area of the rubric, or its grade; may be given more than once",
    )
    parser.add_argument("--rater", metavar="NAME", default="", help="who corrects (default: grade.rater, your login)")
    add_fields(parser, "submissions", "[grade]")
    parser.add_argument("--undo", action="store_true", help="undo the correction of FILE, without FILE the newest one")


def run(options: argparse.Namespace) -> int:
    """Keep the correction, undo one, or print the open batch; return 0. Raises ``Problem``."""
    workspace, loaded = open_workspace(options)
    settings = loaded.settings
    if options.undo and options.grade:
        cure = "Write: correct FILE --undo, or correct --undo for the newest correction."
        raise SettingsProblem("--undo takes no grade.", where="correct", cure=cure)
    if options.submission and not options.undo and not options.grade:
        raise SettingsProblem("no grade is named.", where="correct", cure="Write: correct FILE --grade GRADE.")
    if options.submission:
        kept, asked = _of_file(options, workspace, settings)
        _say(kept, asked, workspace.root)
    elif options.undo:
        _say(undo_last(workspace, settings), None, workspace.root)
    elif options.grade:
        raise SettingsProblem("no file is named.", where="correct", cure="Write: correct FILE --grade GRADE.")
    else:
        _list(workspace, settings)
    return 0


def _of_file(options: argparse.Namespace, workspace: Workspace, settings: Settings) -> tuple[Kept, Asked | None]:
    """Keep or undo the correction of the submission that is named; of an undoing nothing was assumed."""
    base = base_rows(workspace, settings)
    given = fields_of(options)
    asked = _asked(options, settings, given, base)
    if options.undo:
        # an empty text names the one that has none
        named = {name: text for name, text in given.items() if getattr(options, name) is not None}
        return undo_of(workspace, settings, asked.fields, named, asked.file), None
    answer = Answer(
        grade=options.grade,
        feedback=option_text("feedback", options.feedback),
        criteria=_criteria(options.criterion),
        rater=options.rater,
    )
    # what cannot be read is read again, to say why
    read = base if base.rows else None
    return keep_answer(workspace, settings, asked.fields, answer, file=asked.file, base=read), asked


def _asked(options: argparse.Namespace, settings: Settings, given: dict[str, str], base: FileRows) -> Asked:
    """Return the one submission that is named as the grader is asked it; raises ``DataProblem`` for none or several."""
    reads = options.submission == STANDARD_INPUT
    found = Submissions([options.submission], settings.data, "file", sys.stdin.buffer if reads else None)
    items = list(islice(found.items(), 2))
    if len(items) != 1:
        words = "there is no submission in it." if not items else "there are several submissions in it."
        raise DataProblem(words, where=clean_line(options.submission), cure="Name a file with one submission.")
    asked = ask_without_model(settings, items[0], given, base)
    if asked.example is None:
        cure = "Name a file with one submission as text."
        raise DataProblem(f"it cannot be corrected: {asked.problem}", where=asked.file, cure=cure)
    return asked


def _criteria(parts: list[str]) -> dict[str, str]:
    found = {}
    for part in parts:
        area, sign, value = part.partition("=")
        if not sign or not area.strip() or not value.strip():
            cure = "Write: --criterion AREA=pass, AREA=fail or AREA=GRADE."
            raise SettingsProblem(f"{clean_line(part)!r} names no area.", where="--criterion", cure=cure)
        found[area.strip()] = value.strip()
    return found


def _say(kept: Kept, asked: Asked | None, root: Path) -> None:
    console = CleanConsole(root)
    console.say(clean_line(kept.words, max_chars=300))
    for name, words in (asked.assumed if asked is not None else {}).items():
        console.say(clean_line(f"assumed: {name}: {words}", max_chars=300))
    for words in (*(asked.doubts if asked is not None else ()), *kept.notes):
        console.say(clean_line(f"note: {words}", max_chars=300))


def _list(workspace: Workspace, settings: Settings) -> None:
    console = CleanConsole(workspace.root)
    name, corrected = collected(workspace, settings)
    if not corrected:
        console.say(f"{name}: no corrections yet. Write: opeddev-tui correct FILE --grade GRADE.")
        return
    console.say(f"{name}: {len(corrected)} corrected: {its_turn(step_of(workspace, settings, name))}.")
    for item in corrected:
        fields = item.fields
        words = f"{item.grade:>4}  {item.name}  {fields.get('rater', '')}  {fields.get('graded_at', '')}"
        console.say(clean_line(words, max_chars=200))
