"""``test``: score the sealed test set on request, and count the look.

The look is recorded before a figure is printed. No row is shown.
"""

import argparse
from typing import TYPE_CHECKING

from msgspec import Struct
from rich.text import Text

from opeddev_tui.checkpoints import catalog
from opeddev_tui.commands.options import add_from, add_json, add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole, plain_table, print_json
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batches import StepData
from opeddev_tui.data.sealed import load_sealed
from opeddev_tui.format import moment, plural
from opeddev_tui.runs.looks import Looks, read_looks, record_look
from opeddev_tui.serving.choice import BASE_MODEL
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace

if TYPE_CHECKING:
    from opeddev_tui.grading.sealed_score import Scored


class _Asked(Struct, frozen=True):
    """What is scored: the checkpoint beside the base model, None for the base model alone."""

    workspace: Workspace
    settings: Settings
    entry: catalog.Entry | None


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    add_from(parser, "the model that is scored beside the base model (default: latest, before any training only that)")
    parser.add_argument("--looks", action="store_true", help="only list the looks so far; this is not one")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Score the test set, record the look, print the figures with its number. Raises ``Problem``."""
    from opeddev_tui.commands import sealed_tables as tables

    workspace, loaded = open_workspace(options)
    if options.looks:
        looks = read_looks(workspace.root)
        if options.json:
            print_json({"looks": looks.looks, "damaged": looks.damaged})
        else:
            _show_looks(CleanConsole(workspace.root), looks)
        return 0
    asked = _Asked(workspace, loaded.settings, _entry(workspace, options.source))
    data, scored = _score(asked)
    from opeddev_tui.grading.sealed_score import as_look

    name = asked.entry.name if asked.entry is not None else loaded.settings.model.name
    fingerprint = data.holdout.fingerprint
    looks = record_look(workspace.root, as_look(scored, name, fingerprint))
    if options.json:
        print_json(tables.as_json(scored, looks, fingerprint))
    else:
        tables.show(CleanConsole(workspace.root), scored, looks, fingerprint)
    return 0


def _entry(workspace: Workspace, source: str) -> catalog.Entry | None:
    from opeddev_tui.commands.feature_reading import trusted_checkpoint

    if source == BASE_MODEL or (not source and not catalog.list_entries(workspace)):
        return None
    return trusted_checkpoint(workspace, source or "latest")


def _score(asked: _Asked) -> "tuple[StepData, Scored]":
    from opeddev_tui.commands import feature_reading as reading
    from opeddev_tui.grading import sealed_score

    workspace, settings, entry = asked.workspace, asked.settings, asked.entry
    test = load_sealed(workspace.root, settings)
    trained = reading.trained_so_far(workspace, settings, entry)
    data = sealed_score.with_test_rows(trained, test)
    rows = sealed_score.rows_to_grade(data, settings)
    models = []
    for each in [None] if entry is None else [None, entry]:
        reader = reading.open_model(workspace, settings, each)
        words = ("base", "the base model") if each is None else ("step", "the checkpoint")
        with reading.progress("test set") as on_batch:
            name = reading.model_name(settings, each)
            models.append(sealed_score.read_model(reader, name, words, data, rows, on_batch))
        del reader
    return data, sealed_score.score(data, rows, models)


def _show_looks(console: CleanConsole, looks: Looks) -> None:
    if not looks.count:
        console.print("Nobody has looked at the test set yet.")
        return
    table = plain_table("look", "when", "model", "rows", "test set")
    for number, look in enumerate(looks.looks, 1):
        texts = (str(number), moment(look.at), clean_line(look.checkpoint, max_chars=30), str(look.rows))
        table.add_row(*map(Text, texts), look.fingerprint[:8])
    console.print(table)
    if looks.damaged:
        console.say(f"{plural(looks.damaged, 'more look')} cannot be read.")
