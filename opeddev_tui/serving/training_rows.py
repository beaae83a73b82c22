"""What the rows that a checkpoint was trained on tell of how to ask it: the words before a grade, the usual task.

Where the rows cannot be read any more, the settings' templates tell the same of ordinary rows. Raises nothing.
"""

from opeddev_tui.analysis.workspace_steps import read_steps
from opeddev_tui.config.settings import Settings
from opeddev_tui.data import formats
from opeddev_tui.data.batches import find_batches, load_batch
from opeddev_tui.data.grading_rows import from_grading
from opeddev_tui.data.raw_rows import FileRows, RawRow
from opeddev_tui.data.rows import RowContext
from opeddev_tui.data.ungraded import Usual, usual_fields
from opeddev_tui.errors import Problem
from opeddev_tui.grading.grade_tokens import grade_stem
from opeddev_tui.runs.history import list_runs
from opeddev_tui.serving.choice import Choice
from opeddev_tui.workspace.paths import Workspace


def usual_of(workspace: Workspace, settings: Settings) -> Usual:
    """Return the task and rubric that most rows of the base set share, by kind; none where it cannot be read."""
    return usual_fields(base_rows(workspace, settings).rows, settings, {})


def base_rows(workspace: Workspace, settings: Settings) -> FileRows:
    """Return the rows of the base set's files as they are written; none where they cannot be read."""
    try:
        base = find_batches(workspace.root, settings.paths, fetch=False)[0]
        return formats.read_split(base.path, settings.data, split=base.split)
    except (Problem, OSError):
        return FileRows()


def stem_of(workspace: Workspace, choice: Choice) -> tuple[str, str] | None:
    """Return the text before and after the grade in the completions that the checkpoint was trained on."""
    completions = _completions(workspace, choice) or _of_template(choice.settings)
    return grade_stem(completions, choice.settings.grading.pattern)


def _completions(workspace: Workspace, choice: Choice) -> list[str]:
    trained = choice.state.started.batches if choice.state.started is not None else ()
    try:
        found = read_steps(workspace, choice.settings, list_runs(workspace), fetch=False).again(trained)
        rows = [row for batch in found for row in load_batch(batch, choice.settings).examples]
    except (Problem, OSError):
        return []
    return [row.completion for row in rows if row.grade is not None]


def _of_template(settings: Settings) -> list[str]:
    """Return completions of made-up rows, which have nothing in common but the template."""
    grading, context = settings.grading, RowContext(settings.grading)
    fields = {"kind": "", "task": "", "rubric": "", "submission": "-", "grade": grading.minimum}
    try:
        return [
            from_grading(RawRow({**fields, "feedback": text}, "a made-up row"), context).completion
            for text in ("Yes.", "No.")
        ]
    except Problem:
        return []
