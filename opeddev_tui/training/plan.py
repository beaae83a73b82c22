"""Plan the next step: its number, the batch it adds, the checkpoint it starts from, or the run it resumes.

Must not change anything on disk.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec import Struct

from opeddev_tui.analysis.next_step import chosen_for, up_to_chosen
from opeddev_tui.analysis.trained_steps import Step, Steps, can_be_resumed
from opeddev_tui.analysis.workspace_steps import WorkspaceSteps
from opeddev_tui.checkpoints import folders
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batches import Batch
from opeddev_tui.errors import StorageProblem, TrainingProblem
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.runs.events import NextStepChosen
from opeddev_tui.runs.groups import Group, list_groups, read_group, undecided
from opeddev_tui.runs.history import RunRecord, finished_steps
from opeddev_tui.runs.metrics_csv import new_table_name
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace


class Fold(Struct, frozen=True):
    """Fold ``number`` of ``of``, from 0, of the training rows in the workspace at ``root`` with ``settings``."""

    root: Path
    settings: Settings
    number: int
    of: int
    seed: int


class StepPlan(Struct, frozen=True):
    """What is trained next, on the batches ``data``, that of the step last.

    ``parent`` is a checkpoint folder, None for the base model; ``repeats`` a run's id; ``metrics`` the file name of the
    metrics table of a new run.
    """

    step: int
    batch: Batch
    parent: Path | None
    resume: RunRecord | None
    warnings: tuple[str, ...] = ()
    repeats: str = ""
    data: tuple[Batch, ...] = ()
    metrics: str = ""
    # the id of a new run that was given before, and the group that it belongs to
    run: str = ""
    group: Group | None = None
    # score on a fold of the training rows instead of the hold-out
    fold: Fold | None = None
    # where a person chose another one than the settings have
    learning_rate: float | None = None

    def runs_to_begin(self, begun: Collection[str]) -> int:
        """Return how many runs of the group, this one among them, have not begun: each needs room for checkpoints."""
        members = self.group.members if self.group is not None else ()
        return len({self.run, *(member.run for member in members if member.run not in begun)})


def plan_step(
    workspace: Workspace, start_from: str, found: WorkspaceSteps, records: list[RunRecord], request: StepRequest
) -> StepPlan | None:
    """Return the plan for ``request``, None when every step is trained.

    ``start_from`` is the setting; that of the request has precedence. Raises ``TrainingProblem`` or ``StorageProblem``
    where the request cannot be carried out.
    """
    if request.repeats:
        return _repetition(workspace, found, records, request)
    if request.group:
        return _one_seed(workspace, found, records, request)
    unfinished = _unfinished(records)
    step = _step(request, found.steps, unfinished)
    if step is None:
        return None
    chosen = chosen_for(step.number, records)
    if request.which in ("next", "all") and chosen.batch:
        step = up_to_chosen(found.steps, step, chosen.batch)
    batch, data = found.batch_of(step), tuple(found.data_of(step.number))
    _refuse_beside_seeds(workspace, records, step.number, request)
    newest = unfinished.get(step.number)
    if newest is not None and not request.new and not request.start_from:
        begun = newest.state.begun
        parent = Path(workspace.located(begun.parent)) if begun.parent else None
        notes, rate = found.steps.notes, begun.learning_rate
        return StepPlan(step.number, batch, parent, newest, notes, data=data, learning_rate=rate)
    start = request.start_from or chosen.start_from or start_from
    parent, warnings = _parent(workspace, start, step.number, found.steps, records, ahead=step.name == chosen.batch)
    return StepPlan(
        step=step.number,
        batch=batch,
        parent=parent,
        resume=None,
        warnings=(*found.steps.notes, *warnings, *_as_chosen(chosen, step, found.steps)),
        data=data,
        metrics=new_table_name(batch.name, step.number, (record.state.begun for record in records)),
        learning_rate=chosen.learning_rate,
    )


def _as_chosen(chosen: NextStepChosen, step: Step, steps: Steps) -> list[str]:
    """Return sentences on what this step does because a person chose it, and on what cannot be done any more."""
    told = []
    if chosen.learning_rate is not None:
        told.append(f"the learning rate {chosen.learning_rate:g}")
    if chosen.batch and chosen.batch == step.name:
        told.append(f"everything up to {clean_line(chosen.batch)}")
    if chosen.start_from:
        told.append(f"a start from the {chosen.start_from} epoch")
    sentences = [f"Chosen at the question of the step before: {', '.join(told)}."] if told else []
    if chosen.batch and all(item.name != chosen.batch or item.place is None for item in steps.steps):
        sentences.append(f"Batch {clean_line(chosen.batch)}, chosen for this step, is not there any more.")
    return sentences


def _repetition(
    workspace: Workspace, found: WorkspaceSteps, records: list[RunRecord], request: StepRequest
) -> StepPlan:
    """Return the plan for the same batches that the repeated run trained on, whatever their steps are now."""
    repeated = next((record.state.begun for record in records if record.id == request.repeats), None)
    if repeated is None:
        raise TrainingProblem(f"the journal of run {request.repeats} cannot be read, so it cannot be repeated.")
    data = tuple(found.again(repeated.batches))
    parent = _chosen(workspace, request.start_from) if request.start_from else None
    return StepPlan(repeated.step, data[-1], parent, None, repeats=request.repeats, data=data)


def _one_seed(workspace: Workspace, found: WorkspaceSteps, records: list[RunRecord], request: StepRequest) -> StepPlan:
    """Return the plan for one run of a group: all of them start from the same checkpoint, on the same batches."""
    group = read_group(workspace, request.group)
    step = found.steps.numbered(group.step)
    if step is None or step.name != group.batch:
        raise TrainingProblem(
            f"step {group.step} is no longer the one on {clean_line(group.batch)} that its seeds began.",
            cure="Put the batches back as they were, or train the step anew: opeddev-tui train --seeds N --new.",
        )
    begun = next((record for record in records if record.id == request.run), None)
    return StepPlan(
        step=group.step,
        batch=found.batch_of(step),
        parent=_chosen(workspace, group.parent) if group.parent else None,
        resume=begun,
        data=tuple(found.data_of(group.step)),
        metrics=new_table_name(group.batch, group.step, (record.state.begun for record in records)),
        run=request.run,
        group=group,
    )


def _refuse_beside_seeds(workspace: Workspace, records: list[RunRecord], step: int, request: StepRequest) -> None:
    """Raise ``TrainingProblem`` where ``step`` is being trained with several seeds and no new run is asked for."""
    seeds = undecided(list_groups(workspace), records, step)
    if seeds is not None and not request.new:
        raise TrainingProblem(seeds.problem, cure=seeds.cure)


def _step(request: StepRequest, steps: Steps, unfinished: Mapping[int, RunRecord]) -> Step | None:
    if request.which in ("next", "all"):
        return steps.next
    step = steps.numbered(int(request.which)) if request.which.isdecimal() else None
    if step is None:
        gone = next((item for item in steps.steps if str(item.number) == request.which), None)
        reason = f": {gone.name} is {gone.change}" if gone is not None else ""
        there = [item.number for item in steps.steps if item.place is not None]
        cure = f"Steps {min(there)} to {max(there)} have data; or say next or all." if there else ""
        raise TrainingProblem(f"there is no step {clean_line(request.which)}{clean_line(reason)}.", cure=cure)
    if step.word == "open" or request.new or step.number in unfinished:
        return step
    within = " within a later step" if step.word == "within" else f" (run {step.run})"
    raise TrainingProblem(
        f"step {step.number} is already trained{within}.", cure="Add --new to train it again as a new run."
    )


def _unfinished(records: list[RunRecord]) -> dict[int, RunRecord]:
    """Return the newest run of each step, where that can be resumed."""
    newest = {record.step: record for record in records if record.state.counts}
    return {step: record for step, record in newest.items() if can_be_resumed(record.state)}


def _parent(
    workspace: Workspace, start_from: str, step: int, steps: Steps, records: list[RunRecord], *, ahead: bool
) -> tuple[Path | None, list[str]]:
    """Return the checkpoint that a new run of ``step`` starts from, and warnings about another one that is damaged.

    ``ahead``: it trains batches of steps before it, which are not trained, as well.
    """
    if start_from not in ("latest", "best"):
        return _chosen(workspace, start_from), []
    open_before = [item for item in steps.up_to(step) if item.number < step and item.word == "open"]
    if open_before and not ahead:
        raise TrainingProblem(
            f"step {step} starts from step {open_before[-1].number}, which is not trained.",
            cure="Train it first: opeddev-tui train --step next.",
        )
    # the last step that was trained before, even if its batch is not there any more
    before = max((number for number in finished_steps(records) if number < step), default=None)
    if before is None:
        return None, []
    record = finished_steps(records)[before]
    finished = record.state.finished
    assert finished is not None
    chosen = Path(workspace.located(finished.best_checkpoint if start_from == "best" else finished.last_checkpoint))
    problems = folders.problems_of(chosen)
    if not problems:
        return chosen, []
    verified = folders.newest_verified(workspace.checkpoints(record.id)).folder
    if verified is None:
        raise StorageProblem(
            f"no checkpoint of step {before} can be trusted: {'; '.join(problems)}.",
            where=str(chosen),
            cure=f"Train that step again: opeddev-tui train --step {before} --new.",
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
