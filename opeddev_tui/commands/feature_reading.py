"""Open the model whose hidden states a command reads, with its progress on standard error.

The training stack is loaded when a model is opened, not when this is imported.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from opeddev_tui.analysis.workspace_steps import read_steps
from opeddev_tui.checkpoints import catalog, folders
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batches import StepData, load_step
from opeddev_tui.errors import StorageProblem
from opeddev_tui.runs.history import list_runs
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace

if TYPE_CHECKING:
    from opeddev_tui.grading.reader import FeatureReader
    from opeddev_tui.models.reading_batches import OnBatch


def open_model(workspace: Workspace, settings: Settings, entry: catalog.Entry | None) -> "FeatureReader":
    """Return the base model in memory, or the checkpoint ``entry``; raises ``ModelProblem``."""
    from opeddev_tui.grading.reader import FeatureReader
    from opeddev_tui.models.loading import source_of

    source = source_of(workspace.root, settings.model.name) if entry is None else str(entry.folder)
    # kept from being deleted while it is loaded; other folders are left alone
    with (
        folders.in_use(Path(source)),
        CleanConsole(stderr=True).status(f"loading {clean_line(model_name(settings, entry))}"),
    ):
        return FeatureReader(source, settings, workspace.grading)


def model_name(settings: Settings, entry: catalog.Entry | None) -> str:
    """Return the name under which a model is shown."""
    return settings.model.name if entry is None else entry.name


def trusted_checkpoint(workspace: Workspace, reference: str) -> catalog.Entry:
    """Return the checkpoint that ``reference`` names; raises ``StorageProblem`` unless every byte is as published."""
    workspace.adopt()
    entry = catalog.find_entry(catalog.list_entries(workspace), reference)
    if problems := folders.problems_of(entry.folder):
        raise StorageProblem(
            f"the checkpoint cannot be trusted: {'; '.join(problems)}.",
            where=str(entry.folder),
            cure="Choose another one: opeddev-tui checkpoints list.",
        )
    return entry


@contextmanager
def progress(what: str, *, as_lines: bool = False) -> Iterator["OnBatch"]:
    """Show rows read and the time left on standard error, which leaves the output to the figures.

    ``as_lines``: "features 16/100" per batch, for a program that reads along.
    """
    if as_lines:
        yield lambda done, total: print(f"{what} {done}/{total}", file=sys.stderr, flush=True)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = CleanConsole(stderr=True)
    # where there is nothing to draw on, a bar would leave an empty line
    with Progress(*columns, console=console, transient=True, disable=not console.is_interactive) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def trained_so_far(workspace: Workspace, settings: Settings, entry: catalog.Entry | None) -> StepData:
    """Return the rows of every step trained so far and of the checkpoint's; before any training, all rows.

    Raises ``Problems`` where rows or hold-out are wrong.
    """
    found = read_steps(workspace, settings, list_runs(workspace))
    of_checkpoint = found.data_of(entry.step) if entry is not None else []
    by_number = {batch.number: batch for batch in (*found.trained, *of_checkpoint)}
    return load_step(workspace.root, settings, [by_number[number] for number in sorted(by_number)] or None)
