"""Make one run of a group the step's: its metrics table, the record of the last run, and the event in its journal."""

from opeddev_tui.analysis.seed_figures import SeedFigures, step_spread
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.files import read_file, storage_errors, write_atomic
from opeddev_tui.runs.events import SeedChosen
from opeddev_tui.runs.groups import Group, group_of, list_groups
from opeddev_tui.runs.history import RunRecord, list_runs
from opeddev_tui.runs.journal import Journal
from opeddev_tui.runs.metrics_csv import table_name, write_metrics
from opeddev_tui.workspace.paths import Workspace


def make_chosen(workspace: Workspace, group: Group, run: str, by: str) -> None:
    """Make ``run`` the step's run; call it while the workspace's lock is held. Raises ``Problem``.

    The files come first: killed before the event, none is chosen, and the next training chooses again.
    """
    records = {record.id: record for record in list_runs(workspace)}
    state = records[run].state
    write_metrics(workspace.metrics_csv(table_name(state.begun)), state)
    path = workspace.run_manifest(run)
    with storage_errors(path):
        manifest = read_file(path)
    write_atomic(workspace.last_run_args, manifest)
    _record(workspace, run, SeedChosen(chosen=True, by=by, group=group.id))
    for member in group.members:
        other = records.get(member.run)
        if other is not None and member.run != run and other.state.counts:
            _record(workspace, member.run, SeedChosen(chosen=False, by=by, group=group.id))


def _record(workspace: Workspace, run: str, event: SeedChosen) -> None:
    journal = Journal(workspace.run_folder(run))
    try:
        journal.emit(event)
    finally:
        journal.close()


def take_run(workspace: Workspace, run: str) -> tuple[SeedFigures, list[str]]:
    """Make ``run`` the step's run on a person's word; return its figures and what the person should know.

    Call it while the workspace's lock is held. Raises ``TrainingProblem`` for a run that cannot be taken.
    """
    records = list_runs(workspace)
    group = group_of(list_groups(workspace), run)
    if group is None:
        raise TrainingProblem(
            f"run {run} was not trained beside other seeds.",
            cure="Start the next step from it with: opeddev-tui train --from.",
        )
    figures = next(item for item in step_spread(group, records).seeds if item.run == run)
    if figures.status != "finished":
        raise TrainingProblem(f"seed {figures.seed} is not trained to its end: {figures.status}.", where=run)
    later = [item for item in records if _is_later(item, group)]
    if later:
        raise TrainingProblem(
            f"step {group.step} has been trained again since, by run {later[-1].id}.", where=run,
            cure="Start the next step from the one you want with: opeddev-tui train --from.",
        )  # fmt: skip
    notes = [
        f"Step {item.step} ({item.id}) began from another seed's checkpoint and stays as it is."
        for item in records
        if item.step > group.step and item.state.counts and not item.state.begun.parent.startswith(f"{run}/")
    ]
    make_chosen(workspace, group, run, "a person")
    return figures, notes


def _is_later(record: RunRecord, group: Group) -> bool:
    last = max(member.run for member in group.members)
    return record.step == group.step and record.state.counts and record.id > last
