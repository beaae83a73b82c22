"""Read a step's rows, keep the hold-out the same, and refuse to resume a run with other rows or settings.

Must not load the training stack: the app asks here whether a run can be resumed. Writes the hold-out's record only.
"""

import json
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.analysis.same_holdout import changed_holdout
from opeddev_tui.analysis.workspace_steps import read_steps
from opeddev_tui.config import settings as st
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.data.batches import LoadedBatch, StepData, load_step
from opeddev_tui.errors import Problem, TrainingProblem
from opeddev_tui.files import write_atomic
from opeddev_tui.runs import holdout_record, manifest
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.runs.groups import Group
from opeddev_tui.runs.history import RunRecord, list_runs
from opeddev_tui.training.fold_data import read_fold
from opeddev_tui.training.plan import StepPlan, plan_step
from opeddev_tui.workspace.paths import Workspace


def read_step(workspace: Workspace, settings: st.Settings, plan: StepPlan) -> StepData:
    """Return the step's batches and the hold-out; raises ``Problems`` or ``DataProblem`` if anything is wrong."""
    if plan.fold is not None:
        return read_fold(plan.fold, plan.data)
    data = load_step(workspace.root, settings, plan.data)
    return replace(data, warnings=[*data.warnings, *_same_holdout(workspace, data.holdout)])


def _same_holdout(workspace: Workspace, holdout: LoadedBatch) -> list[str]:
    """Return what a person should know of the record and of corrected grades; raises ``DataProblem`` for other rows."""
    changed = changed_holdout(workspace, holdout)
    if changed is not None:
        raise changed
    found = holdout_record.read(workspace)
    notes = [found.damage] if found.damage else []
    versions = _versions(found.holdout, holdout)
    if len(versions) == 1:
        return notes
    return [
        *notes,
        f"the hold-out is version {versions.index(holdout.corrections) + 1} of {len(versions)}: corrected grades "
        f"in it: {holdout.corrected}. Losses and grades of steps that were scored on another version are not compared "
        "with this one's.",
    ]


def _versions(recorded: holdout_record.HoldoutRecord | None, holdout: LoadedBatch) -> list[str]:
    """Return the corrections of each version of the hold-out that runs were scored on, with the present one."""
    if recorded is None:
        return [holdout.corrections]
    versions = list(recorded.versions)
    return versions if holdout.corrections in versions else [*versions, holdout.corrections]


def record_holdout(workspace: Workspace, data: StepData) -> None:
    """Record the hold-out the first time a run is scored on it or a version of it; raises ``StorageProblem``.

    A damaged record is written again: ``read_step`` has compared the hold-out with that of the newest run.
    """
    found = holdout_record.read(workspace)
    versions = _versions(found.holdout, data.holdout)
    if found.holdout is None or found.damage or versions != list(found.holdout.versions):
        record: dict[str, Any] = {"fingerprint": data.holdout.fingerprint, "rows": len(data.holdout.examples)}
        if versions != [""]:
            record["versions"] = versions
        write_atomic(workspace.holdout_record, json.dumps(record, indent=1).encode())


def with_chosen_rate(loaded: LoadedSettings, plan: StepPlan) -> LoadedSettings:
    """Return the settings with the learning rate that a person chose for this step, where there is one.

    The manifest then has the rate that was used, so that a repetition uses it too.
    """
    name = _rate_for(loaded.settings, plan)
    if not name:
        return loaded
    origins = loaded.origins | {name: "chosen at the question"}
    return replace(loaded, settings=_at_chosen_rate(loaded.settings, plan), origins=origins)


def _rate_for(settings: st.Settings, plan: StepPlan) -> str:
    """Return the setting that is the step's learning rate, "" where none was chosen."""
    if plan.learning_rate is None:
        return ""
    if settings.lora.enabled:
        return "lora.learning_rate"
    return "training.learning_rate" if plan.parent is None else "training.resume_learning_rate"


def _at_chosen_rate(settings: st.Settings, plan: StepPlan) -> st.Settings:
    section, _, name = _rate_for(settings, plan).partition(".")
    if not section:
        return settings
    return replace(settings, **{section: replace(getattr(settings, section), **{name: plan.learning_rate})})


def refuse_other_seeds(workspace: Workspace, group: Group, now: manifest.RunManifest) -> None:
    """Raise ``TrainingProblem`` if the run ``now`` differs from another run of its group in more than the seed."""
    for member in group.members:
        before = manifest.read(workspace.run_manifest(member.run))
        if before is None or member.run == now.run:
            continue
        training = {**before.settings.get("training", {}), "seed": now.seed}
        same_seed = replace(before, settings={**before.settings, "training": training})
        changes = manifest.differences(same_seed, now)
        if changes:
            raise TrainingProblem(
                f"the run with seed {now.seed} would differ from that with seed {member.seed} in more than the seed: "
                f"{'; '.join(changes)}.",
                cure="Undo the change, or train the step anew with all seeds: opeddev-tui train --seeds N --new.",
            )


def refuse_changes(workspace: Workspace, record: RunRecord, now: manifest.RunManifest) -> list[str]:
    """Raise ``TrainingProblem`` if ``record`` would be resumed with other data, settings, tokens or another model.

    Returns what a person should know where that cannot be told for certain.
    """
    before = _resumable(workspace, record)
    digested = before.data.encoding is not None
    if not digested and record.state.data is not None:
        # version 0.1 kept no digest of the encoded rows; what it counted is in the journal
        counted = record.state.data
        known = manifest.EncodingRecord(rows=counted.rows, tokens=counted.tokens, loss_tokens=counted.loss_tokens)
        before = replace(before, data=replace(before.data, encoding=known))
    _refuse(record, manifest.differences(before, now))
    # only rows that spell special tokens were encoded in another way then, and equal counts are no proof for them
    guarded = now.data.encoding.guarded if now.data.encoding is not None else 0
    if digested or not guarded:
        return []
    return [
        f"the run {record.id} was begun by an older version that kept no digest of its tokens: "
        f"{guarded} rows that spell special tokens may be encoded in another way now."
    ]


def _resumable(workspace: Workspace, record: RunRecord) -> manifest.RunManifest:
    """Return the manifest of a run; raises ``TrainingProblem`` where it did not leave what a resume needs."""
    if not record.state.events:
        raise TrainingProblem(
            f"the unfinished run {record.id} cannot be resumed: {record.state.damage}.",
            where=str(record.folder),
            cure="Start a new run: opeddev-tui train --new.",
        )
    path = workspace.run_manifest(record.id)
    before = manifest.read(path)
    if before is None:
        raise TrainingProblem(
            f"the unfinished run {record.id} has no readable manifest, so it cannot be resumed exactly.",
            where=str(path),
            cure="Start a new run: opeddev-tui train --new.",
        )
    return before


def _refuse(record: RunRecord, changes: list[str]) -> None:
    if changes:
        raise TrainingProblem(
            f"the unfinished run {record.id} cannot be resumed exactly: {'; '.join(changes)}.",
            cure="Undo the change to resume it, or start a new run: opeddev-tui train --new.",
        )


class Refusals(Struct, frozen=True):
    """Why a run cannot be resumed, and why its step cannot be begun anew, each with its cure; "" where it can be."""

    resume: str = ""
    anew: str = ""


def refusals(workspace: Workspace, settings: st.Settings, run: str) -> Refusals:
    """Return what the training would refuse of ``run``, as far as rows and settings tell it.

    Reads every row and loads no model: what has changed in that is found when the training begins.
    """
    records = list_runs(workspace)
    record = next((item for item in records if item.id == run), None)
    if record is None:
        return Refusals()
    try:
        found = read_steps(workspace, settings, records)
        plan = plan_step(workspace, settings.training.start_from, found, records, StepRequest(which=str(record.step)))
        data = read_step(workspace, settings, plan) if plan is not None else None
    except Problem as problem:
        return Refusals(str(problem), str(problem))
    if plan is None or data is None or plan.resume is None or plan.resume.id != run:
        return Refusals()
    try:
        before = _resumable(workspace, record)
        tables = manifest.masked(msgspec.to_builtins(_at_chosen_rate(settings, plan)))
        if not settings.training.num_processes:
            # as many as there are GPUs: only the training counts them
            tables["training"].pop("num_processes")
        described = msgspec.convert(data.describe(workspace), manifest.DataRecord)
        _refuse(record, manifest.plain_differences(before, tables, described))
    except TrainingProblem as problem:
        return Refusals(str(problem))
    return Refusals()
