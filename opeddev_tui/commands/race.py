"""``race``: compare heads on a model's hidden states with cheap ways to a grade, on the workspace's own hold-out.

Trains nothing and changes nothing but the cache of features. The training stack is loaded when a model is read.
"""

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.checkpoints import catalog, folders
from opeddev_tui.commands.feature_reading import model_name, open_model, progress, trained_so_far, trusted_checkpoint
from opeddev_tui.commands.options import add_from, add_json, add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole, print_json
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batches import StepData
from opeddev_tui.serving.choice import BASE_MODEL
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace

if TYPE_CHECKING:
    from opeddev_tui.data.rows import Example
    from opeddev_tui.grading.contest import Entrant, Singles
    from opeddev_tui.grading.race_report import RaceRows


class Steadied(Struct, frozen=True):
    """How a head is held steady: with ``copies`` changed training rows, ``read`` of them in ``seconds``."""

    copies: int
    read: int
    seconds: float


class ModelRead(Struct, frozen=True):
    """How a model's features were obtained: of ``rows``, ``read`` were read in ``seconds``, the rest were cached.

    ``steady`` is None where ``grading.steady`` is not set.
    """

    model: str
    rows: int
    read: int
    seconds: float
    remembered: int
    steady: Steadied | None = None


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    words = "the model whose states are read: the base model (default), or a checkpoint beside it"
    add_from(parser, words, default=BASE_MODEL)
    parser.add_argument(
        "--pleas",
        action="store_true",
        help="also change the hold-out's submissions in ways that are no reason for another grade (comments that ask "
        "for one, padding, the rubric, other names) and tell whose grades move; reads the hold-out six times more",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Hold the race and print it; raises ``DataProblem`` where the rows do not allow one."""
    from opeddev_tui.commands import race_tables
    from opeddev_tui.grading.contest import contest_rows, hold_race
    from opeddev_tui.grading.pleas import changed_holdout, plea_figures

    workspace, loaded = open_workspace(options)
    settings = loaded.settings
    entry = None if options.source == BASE_MODEL else trusted_checkpoint(workspace, options.source)
    data = trained_so_far(workspace, settings, entry)
    rows = contest_rows(data, settings)
    changed = changed_holdout(rows) if options.pleas else []
    texts = [example for item in changed for example in item.examples]
    entered = []
    for model in [None] if entry is None else [None, entry]:
        # kept from being deleted while its states are read; the base model is nobody's to delete
        with folders.in_use(model.folder) if model is not None else nullcontext():
            entered.append(_enter(workspace, settings, rows, data, model, texts))
    entrants, reads = [item.entrant for item in entered], [item.read for item in entered]
    report = hold_race(rows, entrants, mode=settings.grading.mode, ahead=True)
    if changed:
        told = plea_figures(rows, changed, entrants, [item.changed for item in entered])
        report = replace(report, pleas=told)
    batches = [batch.batch.name for batch in data.batches]
    if options.json:
        print_json(race_tables.as_json(report, reads, batches))
    else:
        race_tables.show(CleanConsole(workspace.root), report, reads, batches)
    return 0


class _Entered(Struct, frozen=True):
    """A model that enters, how it was read, and its features of the changed texts."""

    entrant: "Entrant"
    read: ModelRead
    changed: "Singles"


def _enter(
    workspace: Workspace,
    settings: Settings,
    rows: "RaceRows",
    data: StepData,
    entry: catalog.Entry | None,
    texts: "Sequence[Example]",
) -> _Entered:
    """Read the features of all rows and ``texts`` from the base model, or the checkpoint ``entry``; let go of it."""
    from opeddev_tui.grading.contest import Entrant

    name = model_name(settings, entry)
    train, held = rows.train.examples, rows.held.examples
    reader = open_model(workspace, settings, entry)
    reader.check(train, held)
    with progress(f"features of {clean_line(name, max_chars=40)}") as on_batch:
        found = reader.features([*train, *held], on_batch)
    count = len(train)
    with progress("training rows with a comment added") as on_batch:
        moves = reader.moves(rows.train, rows.scale, found.features[:count], on_batch)
    with progress("changed submissions") as on_batch:
        changed = reader.features(texts, on_batch).features if texts else found.features[:0]
    with progress("grade tokens of the hold-out") as on_batch:
        tokens = reader.token_grades(held, [example.completion for example in train], rows.scale, on_batch)
    written = None
    if entry is not None:
        with progress("grades that the checkpoint writes") as on_batch:
            written = reader.written_grades(held, on_batch)
    words, short = ("the base model", "base") if entry is None else ("the checkpoint", "step")
    seen = _trained_on(data, entry)
    entrant = Entrant(
        *(short, words, found.features[:count], found.features[count:], tokens, written),
        tuned=entry is not None,
        remembered=seen,
        moves=moves.features,
    )
    steady = Steadied(len(moves.features), moves.read, moves.seconds) if settings.grading.steady else None
    read = ModelRead(name, count + len(held), found.read, found.seconds, seen, steady)
    return _Entered(entrant, read, changed)


def _trained_on(data: StepData, entry: catalog.Entry | None) -> int:
    """Return how many of the graded rows the checkpoint ``entry`` has trained on; the base model on none."""
    batches = [batch for batch in data.batches if entry is not None and batch.batch.number <= entry.step]
    return sum(example.grade is not None for batch in batches for example in batch.examples)
