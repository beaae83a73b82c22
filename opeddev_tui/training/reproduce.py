"""Repeat a recorded run: plan it, refuse it where its inputs have changed, train it and compare the weights.

Settings, number of threads and decisions are taken from the record. Data, hold-out and the model that the run began
from must be the same to the byte; must not train anything else.
"""

from collections.abc import Sequence
from typing import Any

import torch
from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.analysis.workspace_steps import read_steps
from opeddev_tui.checkpoints import folders
from opeddev_tui.config.described import known_keys
from opeddev_tui.config.loading import Layer, LoadedSettings, resolve
from opeddev_tui.config.settings import OTHER_SECTIONS
from opeddev_tui.errors import TrainingProblem, did_you_mean
from opeddev_tui.models import loading
from opeddev_tui.models.fingerprint import file_hashes
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import manifest
from opeddev_tui.runs.control import Control, StepRequest
from opeddev_tui.runs.events import TrainedBatch
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.journal import read
from opeddev_tui.runs.manifest import RunManifest
from opeddev_tui.runs.state import reduce
from opeddev_tui.training import step_data
from opeddev_tui.training.deciders import RecordedDecider
from opeddev_tui.training.plan import StepPlan
from opeddev_tui.training.steps import train_steps
from opeddev_tui.workspace.paths import Workspace


class Repetition(Struct, frozen=True):
    """How a run is repeated; ``differences`` are those of the environment, in words."""

    run: str
    loaded: LoadedSettings
    request: StepRequest
    decisions: dict[int, ev.Decided]
    differences: list[str]


class Outcome(Struct, frozen=True):
    """How a repetition ended: the optimizer steps whose checkpoints have equal and unequal weights in both runs."""

    run: str
    equal: list[int]
    unequal: list[int]

    @property
    def same(self) -> bool:
        """True if both runs saved at least one common checkpoint and all common ones have bit-equal weights."""
        return bool(self.equal) and not self.unequal


def plan_repeat(workspace: Workspace, loaded: LoadedSettings, run: str) -> Repetition:
    """Return how to repeat ``run``; raises ``TrainingProblem`` with the reason why it cannot be repeated.

    ``loaded`` has the workspace's present paths. Reads the data, sets torch's number of threads, writes nothing.
    """
    before = _recorded(workspace, run)
    settings, differences = _settings(run, before, loaded)
    threads = before.hardware.get("torch_threads")
    if threads:
        torch.set_num_threads(threads)
        settings = _with(settings, "training", torch_num_threads=threads)
    if before.model.revision:
        # the recorded commit: the branch that the settings name may have moved since
        settings = _with(settings, "model", revision=before.model.revision)
    parent = workspace.located(before.parent or "")
    now = _present(workspace, settings, before, parent)
    state = reduce(read(workspace.run_folder(run)))
    differences += _environment_differences(before, now)
    if state.retries:
        differences.append("the recorded run ran out of memory and halved its batch; this one begins with the full one")
    return Repetition(
        run=run,
        loaded=settings,
        request=StepRequest(which=str(before.step), new=True, start_from=parent, repeats=run),
        decisions={item.epoch: item for item in state.decisions},
        differences=differences,
    )


def repeat(workspace: Workspace, plan: Repetition, *, sink: ev.Sink, control: Control) -> Outcome | None:
    """Train ``plan`` as a new run and compare the weights; return None if it was stopped before its end."""
    decider = RecordedDecider(plan.run, plan.decisions)
    (run,) = train_steps(workspace.root, plan.loaded, plan.request, sink=sink, control=control, decider=decider)
    events = read(workspace.run_folder(run))
    if reduce(events).finished is None:
        return None
    return compare(run, read(workspace.run_folder(plan.run)), events)


def compare(run: str, before: Sequence[ev.AnyEvent], now: Sequence[ev.AnyEvent]) -> Outcome:
    """Return which checkpoints that are in both journals have the same weights."""
    old, new = _digests(before), _digests(now)
    common = sorted(old.keys() & new.keys())
    unequal = [step for step in common if old[step] != new[step]]
    # a run with another last checkpoint is not the same, even if all before it are equal
    unequal += [max(new)] if new and old and max(new) != max(old) and max(new) not in unequal else []
    return Outcome(run, [step for step in common if step not in unequal], unequal)


def _digests(events: Sequence[ev.AnyEvent]) -> dict[int, str]:
    return {item.global_step: item.digest for item in events if isinstance(item, ev.CheckpointSaved)}


def _recorded(workspace: Workspace, run: str) -> RunManifest:
    runs = workspace.run_ids()
    if run not in runs:
        cure = did_you_mean(run, runs, "See the runs: opeddev-tui status --json.")
        raise TrainingProblem(f"there is no run {run}.", where=str(workspace.runs), cure=cure)
    path = workspace.run_manifest(run)
    recorded = manifest.read(path)
    if recorded is None or recorded.step < 0 or not recorded.settings or not recorded.data.batches:
        raise TrainingProblem("cannot be read, so the run cannot be repeated.", where=str(path))
    return recorded


def _settings(run: str, before: RunManifest, loaded: LoadedSettings) -> tuple[LoadedSettings, list[str]]:
    """Return the settings of the repetition, and a sentence about each setting that the record does not have."""
    tables = {name: dict(table) for name, table in before.settings.items() if name not in OTHER_SECTIONS}
    hidden = [key for key, value in tables.get("training", {}).get("arguments", {}).items() if value == "***"]
    if hidden:
        raise TrainingProblem(
            f"the run cannot be repeated: training.arguments.{hidden[0]} looked like a secret and was not recorded."
        )
    resolved = resolve([Layer(f"the record of run {run}", tables)])
    differences = [
        f"{section}.{key} did not exist then and has its default"
        for section, key in (name.split(".") for name in known_keys())
        if section not in OTHER_SECTIONS and key not in tables.get(section, {})
    ]
    present = {name: getattr(loaded.settings, name) for name in OTHER_SECTIONS}
    # nobody is asked: the recorded decisions are repeated
    early_stop = replace(resolved.settings.early_stop, policy="rule")
    settings = replace(resolved.settings, **present, early_stop=early_stop)
    return LoadedSettings(settings, resolved.origins), differences


def _with(loaded: LoadedSettings, section: str, **values: Any) -> LoadedSettings:
    changed = replace(getattr(loaded.settings, section), **values)
    return LoadedSettings(replace(loaded.settings, **{section: changed}), loaded.origins)


def _present(workspace: Workspace, loaded: LoadedSettings, before: RunManifest, parent: str) -> RunManifest:
    """Return the manifest that the run would have now; raises ``TrainingProblem`` if it would train something else."""
    source = parent or loading.source_of(workspace.root, loaded.settings.model.name)
    if parent:
        problems = folders.problems_of(workspace.path(parent))
        if problems:
            raise TrainingProblem(
                f"the checkpoint that the run started from cannot be used: {'; '.join(problems)}.",
                where=parent,
                cure="Restore that folder; repeating the step before it makes a checkpoint with another name.",
            )
    found = read_steps(workspace, loaded.settings, list_runs(workspace))
    chosen = tuple(found.again([TrainedBatch(item.name, 0, item.fingerprint) for item in before.data.batches]))
    if not chosen:
        raise TrainingProblem(f"step {before.step} has no data any more.", cure="Put its batches back.")
    data = step_data.read_step(workspace, loaded.settings, StepPlan(before.step, chosen[-1], None, None, data=chosen))
    model = {"source": source, "files": file_hashes(source), "revision": before.model.revision}
    now = manifest.build(loaded, data=data.describe(workspace), model=model)
    # the settings are the recorded ones; settings that are new since then are named as differences, not refused
    changes = manifest.differences(replace(before, settings=now.settings), now)
    if changes:
        raise TrainingProblem(
            f"the run cannot be repeated: {'; '.join(changes)}.", cure="Undo the change, or train a new run."
        )
    return now


def _environment_differences(before: RunManifest, now: RunManifest) -> list[str]:
    return [
        f"{prefix}{key} was {_shown(old)} and is {_shown(new)}"
        for part, prefix in (("versions", ""), ("git", "git "), ("hardware", ""))
        for key, old, new in manifest.difference(getattr(before, part), getattr(now, part))
    ]


def _shown(value: Any) -> str:
    return "unknown" if value is None or value == "" else "none" if value == [] else str(value)
