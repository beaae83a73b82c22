"""``propose``: choose ungraded rows to grade next, write them with empty grades, and take them when they are filled.

Proposed rows lie outside the increments until then.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opeddev_tui.commands.option_text import add_fields, fields_of
from opeddev_tui.commands.options import ALL, add_count, add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.config.settings import Settings
from opeddev_tui.data import formats, proposed_batch
from opeddev_tui.data.batches import Batch, find_batches, load_batch, read_shown, resolve
from opeddev_tui.data.corrected_rows import HOLDOUT
from opeddev_tui.data.folder_files import is_empty
from opeddev_tui.data.hub_source import is_hub
from opeddev_tui.data.overlay import with_corrections
from opeddev_tui.data.rows import Example
from opeddev_tui.data.sealed import load_sealed
from opeddev_tui.data.sets import LoadedBatch
from opeddev_tui.data.ungraded import (
    Ungraded,
    Usual,
    needs_grading_rows,
    read_ungraded,
    usual_fields,
)
from opeddev_tui.errors import DataProblem, Problem, SettingsProblem
from opeddev_tui.format import plural
from opeddev_tui.workspace.paths import Workspace
from opeddev_tui.workspace.typed_commands import named_from_here

if TYPE_CHECKING:
    from opeddev_tui.grading.labelling import Chosen, Known, Singles

_COUNT = 100


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "source", nargs="?", type=Path, metavar="FOLDER|FILE", help="source files, or rows without grades"
    )
    add_workspace(parser)
    add_count(parser, f"rows to propose (default: {_COUNT})", _COUNT)
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: the next batch's name in paths.proposals")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the choice (default: 0)")
    add_fields(parser, "rows", "the usual one", kind=False)
    parser.add_argument("--blind", action="store_true", help="write no proposed grades, so that they cannot sway you")
    parser.add_argument(
        "--take", type=Path, metavar="FILE", help="check that FILE is filled in, make it the next batch"
    )


def run(options: argparse.Namespace) -> int:
    """Propose rows, or take a filled file; raises ``Problem``, and nothing is written or moved then."""
    workspace, loaded = open_workspace(options)
    settings, console = loaded.settings, CleanConsole(workspace.root, soft_wrap=True)
    if options.take is not None:
        if options.source is not None:
            raise SettingsProblem("--take names the file that is taken; leave the other one out.", where="propose")
        taken = proposed_batch.take(workspace.root, settings, options.take.expanduser().absolute())
        for note in taken.notes:
            console.say(f"note: {note}")
        console.say(f"The next batch is {workspace.relative(taken.path)} ({plural(taken.rows, 'row')}).")
        return 0
    if options.source is None:
        cure = "Write: opeddev-tui propose FOLDER, or opeddev-tui propose --take FILE."
        raise SettingsProblem("nothing is named to propose rows from.", where="propose", cure=cure)
    if options.seed < 0:
        raise SettingsProblem("--seed is at least 0.", where="propose")
    return _propose(options, workspace, settings, console)


def _propose(options: argparse.Namespace, workspace: Workspace, settings: Settings, console: CleanConsole) -> int:
    from opeddev_tui.grading.labelling import choose, without_copies

    sets = _present(workspace, settings)
    usual = _usual(workspace, settings, sets, fields_of(options))
    found = read_ungraded(options.source.expanduser().absolute(), settings, usual)
    known = _known(workspace, settings, sets, usual)
    left, copies = without_copies(found.candidates, known, settings.data.near_duplicate)
    _tell_left_out(console, found, copies)
    if not left:
        raise DataProblem(
            "nothing is left to grade: every row is there already.", where=str(options.source), cure="Name other files."
        )
    count = len(left) if options.count == ALL else options.count
    chosen = choose(left, known.train, count, settings, _Reading(workspace, settings), seed=options.seed)
    place = options.out.expanduser().absolute() if options.out is not None else None
    place = place or proposed_batch.default_place(workspace.root, settings, len(chosen.rows))
    rows = [{name: value for name, value in row.items() if name != "proposed"} for row in chosen.rows]
    rows = _with_ids(rows if options.blind else chosen.rows, place.stem)
    proposed_batch.write_proposal(workspace.root, settings, place, rows)
    _tell(console, workspace, place, chosen, len(left), blind=options.blind)
    return 0


class _Reading:
    """Reads features with the base model, which is loaded when the first are asked for."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        from opeddev_tui.grading.reader import FeatureReader

        self._workspace, self._settings = workspace, settings
        self._model: FeatureReader | None = None

    def __call__(self, examples: Sequence[Example]) -> "Singles":
        from opeddev_tui.commands import feature_reading as reading

        if self._model is None:
            self._model = reading.open_model(self._workspace, self._settings, None)
        with reading.progress("features") as on_batch:
            return self._model.features(examples, on_batch).features


def _present(workspace: Workspace, settings: Settings) -> list[LoadedBatch]:
    """Return the sets with their corrections; none where there are no rows yet."""
    place = resolve(workspace.root, settings.paths.base)
    if not is_hub(settings.paths.base) and (not place.exists() or is_empty(place)):
        return []
    loaded = read_shown(workspace.root, settings)
    base = loaded[0]
    if base.batch.set != HOLDOUT:
        needs_grading_rows(base.schema, base.batch.path)
    return with_corrections(workspace.root, settings, loaded, None)[0]


def _usual(workspace: Workspace, settings: Settings, sets: Sequence[LoadedBatch], asked: dict[str, str]) -> Usual:
    if not sets:
        return usual_fields([], settings, asked)
    base = find_batches(workspace.root, settings.paths)[0]
    return usual_fields(formats.read_split(base.path, settings.data, split=base.split).rows, settings, asked)


def _known(workspace: Workspace, settings: Settings, sets: Sequence[LoadedBatch], usual: Usual) -> "Known":
    from opeddev_tui.grading.labelling import Known

    test = load_sealed(workspace.root, settings)
    train = [row for loaded in sets if loaded.batch.set != HOLDOUT for row in loaded.examples]
    held = [row for loaded in sets if loaded.batch.set == HOLDOUT for row in loaded.examples]
    return Known(train, held, test.examples if test is not None else (), _waiting(workspace, settings, usual))


def _waiting(workspace: Workspace, settings: Settings, usual: Usual) -> list[Example]:
    """Return the rows that were proposed before and wait to be filled in, filled ones too."""
    folder = workspace.path(settings.paths.proposals)
    waiting: list[Example] = []
    for file in sorted(folder.glob("*.jsonl")) if folder.is_dir() else []:
        try:
            waiting += [item.example for item in read_ungraded(file, settings, usual).candidates]
            waiting += load_batch(Batch(file.stem, 0, file), settings).examples
        except Problem:
            continue  # a file that cannot be read is told when it is taken
    return waiting


def _with_ids(rows: Sequence[dict[str, object]], stem: str) -> list[dict[str, object]]:
    return [row if row.get("id") else {**row, "id": f"{stem}-{at:03}"} for at, row in enumerate(rows, 1)]


def _tell_left_out(console: CleanConsole, found: Ungraded, copies: Counter[str]) -> None:
    for note in found.notes:
        console.say(f"note: {note}")
    counts = {words: count for words, count in (found.left_out + copies).items() if count}
    if counts:
        console.say(f"Left out: {', '.join(f'{words} ({count})' for words, count in counts.items())}.")


def _tell(
    console: CleanConsole, workspace: Workspace, place: Path, chosen: "Chosen", candidates: int, *, blind: bool
) -> None:
    how = "typical rows of clusters" if chosen.how == "clusters" else "drawn at random"
    console.say(f"Proposed: {len(chosen.rows)} of {plural(candidates, 'row')} ({how}), in {workspace.relative(place)}.")
    if not chosen.graded and not blind:
        console.say("There are too few graded rows to propose grades.")
    if chosen.graded and not blind:
        console.say("Each has the grade that the head would give; grade yourself first (--blind leaves it out).")
    take = f"opeddev-tui propose --take {named_from_here(place)}"
    console.say(f"Write grade and feedback into every row, then: {take}")
