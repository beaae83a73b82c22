"""``grade``: grade files, folders, rows, diffs and zips with a trained checkpoint; go on where a killed one was.

Grades nothing twice that is in the file of --out. The training stack is loaded when a model is.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.commands.grade_output import Form, Printer, Tally
from opeddev_tui.commands.grade_pace import Pace
from opeddev_tui.commands.option_text import add_fields, fields_of
from opeddev_tui.commands.options import WHAT_GRADES, add_from, add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.config.settings import Settings
from opeddev_tui.data import grade_scale
from opeddev_tui.errors import DataProblem, SettingsProblem
from opeddev_tui.serving.results import ResultsFile
from opeddev_tui.serving.submissions import STANDARD_INPUT, Submissions
from opeddev_tui.terminal.command_output import Output
from opeddev_tui.terminal.signals import received
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace

if TYPE_CHECKING:
    from opeddev_tui.serving.asked import Asked, Graded
    from opeddev_tui.serving.choice import Choice
    from opeddev_tui.serving.grader import Grader

FAILED = 8
_PER = ("file", "folder", "whole")


class _Stopped(Exception):
    """A person wants the end: what is graded is kept."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "submissions",
        nargs="*",
        metavar="FILE|FOLDER|-",
        help="source files, folders of them, rows as JSONL, JSON or CSV, a diff, a zip; - reads the standard input",
    )
    add_workspace(parser)
    add_from(parser, WHAT_GRADES)
    parser.add_argument(
        "--per",
        choices=_PER,
        default="file",
        help="one submission is a file (default), a folder, or the whole argument",
    )
    add_fields(parser, "submissions", "[grade]")
    parser.add_argument("--feedback", action="store_true", help="also write a text for each; takes far longer")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="an object per line; the fields are in docs/json.md")
    form.add_argument("--csv", action="store_true", help="the same fields as CSV")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="add the results to FILE (.csv or JSON Lines); goes on where it was"
    )
    # for the app, which runs this command in a process of its own: requests come in as lines, answers go out
    parser.add_argument("--worker", choices=("alone", "beside"), help=argparse.SUPPRESS)
    parser.add_argument(
        "--fail-below", metavar="GRADE", help=f"exit code {FAILED} where a submission gets a lower grade"
    )


def run(options: argparse.Namespace) -> int:
    """Grade; return 0, or 8 where a grade is below ``--fail-below``. Raises ``Problem``."""
    if options.worker:
        return _work_for_app(options)
    if not options.submissions:
        cure = "Write: opeddev-tui grade FILE, a FOLDER, or - for the standard input."
        raise SettingsProblem("nothing is named to grade.", where="grade", cure=cure)
    if str(options.out) == STANDARD_INPUT:
        cure = "Leave --out away: then --json or --csv prints them."
        raise SettingsProblem("results are kept in a file, not in the output.", where="--out -", cure=cure)
    given = fields_of(options)
    workspace, loaded = open_workspace(options)
    found = _find(options, loaded.settings)
    from opeddev_tui.serving.choice import choose

    choice = choose(workspace, loaded.settings, options.source)
    limit = _limit(options.fail_below, choice.settings)
    with ExitStack() as stack:
        results = None
        if options.out is not None:
            place = options.out.expanduser().absolute()
            results = ResultsFile(place, as_csv=options.csv or place.suffix.lower() == ".csv")
            stack.callback(results.close)
        grader = _open(workspace, loaded.settings, choice, given, texts=options.feedback)
        tally = Tally(grader.models.scale, choice.settings.grading, limit)
        work = _Work(grader, found, results, tally, options.feedback)
        printer = Printer(_form(options))
        told = CleanConsole(workspace.root, stderr=printer.form in ("json", "csv"))
        return _grade(work, printer, told)


def _form(options: argparse.Namespace) -> Form:
    if options.out is not None:
        return "none"
    return "json" if options.json else "csv" if options.csv else "table"


class _Work(Struct, frozen=True):
    """What is graded, with what, and what is kept of it."""

    grader: "Grader"
    found: Submissions
    results: ResultsFile | None
    tally: Tally
    feedback: bool


def _grade(work: _Work, printer: Printer, told: CleanConsole) -> int:
    """Grade all, say what came out, return the exit code."""
    stopped: list[str] = []

    def raise_if_stopped() -> None:
        if stopped:
            raise _Stopped

    for note in work.grader.notes:
        print(clean_line(f"note: {note}", max_chars=500), file=sys.stderr)
    printer.begin(work.grader)
    work.found.on_wait = raise_if_stopped
    with received(stopped.append) as signals:
        try:
            with Pace("graded", work.found.count()) as pace:
                for window in _windows(work, pace):
                    _grade_window(work, window, printer, pace, raise_if_stopped)
                    if work.results is None and _unread():
                        return 0
        except _Stopped:
            kept = f" and kept in {work.results.path}: the same command goes on" if work.results is not None else ""
            words = f"stopped: {work.tally.count} are graded{kept}."
            print(clean_line(words), file=sys.stderr)
            return signals.exit_code or 1
    if not work.tally.count and not work.found.only_diffs:
        cure = "Name files of source code, rows with a submission, a diff or a zip of them."
        skipped = f" Left out: {work.found.skipped.words}." if work.found.skipped.words else ""
        raise DataProblem(f"there is nothing to grade.{skipped}", where="grade", cure=cure)
    printer.end(told, work.grader, work.tally, work.found.skipped)
    return FAILED if work.tally.fails else 0


def _windows(work: _Work, pace: Pace) -> "Iterator[list[Asked]]":
    """Yield submissions that are still to be graded, as many at a time as are there; those that are done are counted.

    Whoever writes one row after the other into a pipe gets each answer before the next row.
    """
    from opeddev_tui.serving.windows import windows

    def done(asked: "Asked") -> bool:
        return _is_done(work, asked, pace)

    known = done if work.results is not None else None
    return windows(work.grader.ask_items(work.found.paced()), known)


def _is_done(work: _Work, asked: "Asked", pace: Pace) -> bool:
    """Return whether the file of --out has the answer to ``asked`` already, and count it then."""
    if work.results is None:
        return False
    done = work.results.done(asked, work.grader.choice, feedback=work.feedback)
    if done is None:
        return False
    work.tally.again(done)
    pace.skip()
    return True


def _grade_window(
    work: _Work, window: "list[Asked]", printer: Printer, pace: Pace, raise_if_stopped: Callable[[], None]
) -> None:
    """Grade ``window``; each batch is kept at once, and shown in the order of the submissions, also when stopped."""
    from opeddev_tui.serving.answers import as_json

    found: dict[int, Graded] = {}
    try:
        for batch in work.grader.batches(window, feedback=work.feedback, raise_if_stopped=raise_if_stopped):
            for graded in batch:
                if work.results is not None:
                    work.results.add(as_json(graded, window[graded.index].content))
                found[graded.index] = graded
                work.tally.take(graded)
            pace.add(len(batch))
    finally:
        with pace.aside():
            for index in sorted(found):
                printer.show(found[index], window[index].content)


def _unread() -> bool:
    """Return whether nobody reads the output any more (``| head``): then nothing more is graded for it."""
    return isinstance(sys.stdout, Output) and sys.stdout.lost is not None


# --- options


def _find(options: argparse.Namespace, settings: Settings) -> Submissions:
    reads = STANDARD_INPUT in options.submissions
    if reads and sys.stdin.isatty():
        print("reading from the terminal: end the submission with Ctrl+D.", file=sys.stderr)
    return Submissions(
        options.submissions, settings.data, options.per, getattr(sys.stdin, "buffer", None) if reads else None
    )


def _limit(text: str | None, settings: Settings) -> int | None:
    """Return the grade of ``--fail-below``; raises ``SettingsProblem`` for none on the scale."""
    if text is None:
        return None
    grade = grade_scale.grade_of(text, settings.grading)
    if grade is None:
        cure = f"Write {grade_scale.range_words(settings.grading)}."
        raise SettingsProblem(f"{clean_line(text, max_chars=60)!r} is no grade here.", where="--fail-below", cure=cure)
    return grade


def _open(
    workspace: Workspace, settings: Settings, choice: "Choice", given: dict[str, str], *, texts: bool
) -> "Grader":
    with CleanConsole(stderr=True).status(f"loading {clean_line(choice.checkpoint)}"):
        from opeddev_tui.serving.grader import Grader

        return Grader.open(workspace, settings, given=given, texts=texts, choice=choice)


def _work_for_app(options: argparse.Namespace) -> int:
    """Answer the app's requests from the standard input until it ends."""
    import msgspec

    from opeddev_tui.commands.printing import write_json
    from opeddev_tui.serving.worker import beside_a_training, work
    from opeddev_tui.serving.worker_messages import Said
    from opeddev_tui.text import escaped

    if options.worker == "beside":
        beside_a_training()
    workspace, loaded = open_workspace(options)

    def put(said: Said) -> None:
        write_json(escaped(msgspec.json.encode(said).decode()))
        sys.stdout.flush()

    beside = options.worker == "beside"
    return work(
        workspace, loaded.settings, options.source, sys.stdin.fileno(), put, texts=options.feedback, beside=beside
    )
