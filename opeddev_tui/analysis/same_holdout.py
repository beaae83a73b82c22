"""Whether the hold-out is still the one that runs were scored on: training, ``check``, screen and ``status`` ask.

Reads the record of the hold-out; writes nothing.
"""

from opeddev_tui.data.batches import LoadedBatch
from opeddev_tui.errors import DataProblem
from opeddev_tui.runs import holdout_record
from opeddev_tui.workspace.paths import Workspace


def changed_holdout(workspace: Workspace, holdout: LoadedBatch | None) -> DataProblem | None:
    """Return the problem that the rows of ``holdout`` are others than those recorded, None where they are the same.

    Nothing is compared where there is no record yet, or no hold-out that could be read.
    """
    recorded = holdout_record.read(workspace).holdout
    if holdout is None or holdout.problems or recorded is None or recorded.fingerprint == holdout.fingerprint:
        return None
    return DataProblem(
        f"the hold-out is not the one that earlier runs were scored on ({recorded.rows} rows then, "
        f"{len(holdout.examples)} now).",
        where=str(holdout.batch.path),
        cure=f"Restore it, or delete {workspace.relative(workspace.holdout_record)} to begin a new comparison.",
    )


def changed_words(workspace: Workspace, holdout: LoadedBatch | None) -> tuple[str, ...]:
    """Return what ``changed_holdout`` says, as one sentence or none."""
    changed = changed_holdout(workspace, holdout)
    return () if changed is None else (str(changed),)
