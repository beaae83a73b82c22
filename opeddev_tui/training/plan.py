"""Plan the next step: its number, the batch it adds, the checkpoint it starts from, or the run it resumes.

Must not change anything on disk.
"""

from pathlib import Path

from msgspec import Struct

from opeddev_tui.checkpoints import folders
from opeddev_tui.data.batches import Batch
from opeddev_tui.errors import StorageProblem, TrainingProblem
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.runs.history import RunRecord, finished_steps
from opeddev_tui.workspace.paths import Workspace


class StepPlan(Struct, frozen=True):
    """What is trained next. ``parent`` is a checkpoint folder, None for the base model; ``repeats`` a run's id."""

    step: int
    batch: Batch
    parent: Path | None
    resume: RunRecord | None
    warnings: tuple[str, ...] = ()
    repeats: str = ""


def plan_step(
    workspace: Workspace, start_from: str, batches: list[Batch], records: list[RunRecord], request: StepRequest
) -> StepPlan | None:
    """Return the plan for ``request``, None when every step is trained.

    ``start_from`` is the setting; that of the request has precedence. Raises ``TrainingProblem`` or ``StorageProblem``
    where the request cannot be carried out.
    """
    done = finished_steps(records)
    step = _number(request, batches, done)
    if step is None:
        return None
    batch = batches[step]
    unfinished = _unfinished(records, step)
    if unfinished is not None and not request.new and not request.start_from:
        began_from = unfinished.state.begun.parent
        return StepPlan(step, batch, Path(workspace.located(began_from)) if began_from else None, unfinished)
    parent, warnings = _parent(workspace, request.start_from or start_from, step, done)
    return StepPlan(step, batch, parent, None, tuple(warnings), request.repeats)


def _number(request: StepRequest, batches: list[Batch], done: dict[int, RunRecord]) -> int | None:
    if request.which in ("next", "all"):
        return next((batch.number for batch in batches if batch.number not in done), None)
    if not request.which.isdecimal() or int(request.which) >= len(batches):
        raise TrainingProblem(
            f"there is no step {request.which}.", cure=f"Steps 0 to {len(batches) - 1} have data; or say next or all."
        )
    step = int(request.which)
    if step in done and not request.new:
        raise TrainingProblem(
            f"step {step} is already trained (run {done[step].id}).", cure="Add --new to train it again as a new run."
        )
    return step


def _unfinished(records: list[RunRecord], step: int) -> RunRecord | None:
    """Return the newest run of ``step`` if it can be resumed."""
    newest = next((record for record in reversed(records) if record.step == step and not record.state.repeats), None)
    if newest is None or newest.state.status == "finished":
        return None
    failure = newest.state.failure
    return newest if failure is None or failure.resumable else None


def _parent(
    workspace: Workspace, start_from: str, step: int, done: dict[int, RunRecord]
) -> tuple[Path | None, list[str]]:
    """Return the checkpoint that a new run of ``step`` starts from, and warnings about another one that is damaged."""
    if start_from not in ("latest", "best"):
        return _chosen(workspace, start_from), []
    if step == 0:
        return None, []
    before = done.get(step - 1)
    if before is None or before.state.finished is None:
        raise TrainingProblem(
            f"step {step} starts from step {step - 1}, which is not trained.", cure="Train it first: train --step next."
        )
    finished = before.state.finished
    chosen = Path(workspace.located(finished.best_checkpoint if start_from == "best" else finished.last_checkpoint))
    problems = folders.problems_of(chosen)
    if not problems:
        return chosen, []
    verified = folders.newest_verified(workspace.checkpoints(before.id)).folder
    if verified is None:
        raise StorageProblem(
            f"no checkpoint of step {step - 1} can be trusted: {'; '.join(problems)}.",
            where=str(chosen),
            cure=f"Train that step again: train --step {step - 1} --new.",
        )
    return verified, [f"{chosen.name} cannot be trusted ({'; '.join(problems)}); starting from {verified.name}"]


def _chosen(workspace: Workspace, text: str) -> Path:
    folder = workspace.path(workspace.located(text)).resolve()
    problems = folders.problems_of(folder)
    if problems:
        raise StorageProblem(
            f"is not a checkpoint to start from: {'; '.join(problems)}.",
            where=str(folder),
            cure="Choose latest, best or a checkpoint folder of this app.",
        )
    if not workspace.has_checkpoint(folder):
        raise StorageProblem(
            "is a checkpoint of another workspace.",
            where=str(folder),
            cure=f"To begin with its weights, give it as the model: --set model.name={folder}.",
        )
    return folder
