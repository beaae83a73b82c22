"""Owns the repetition of a recorded run: what it takes, what forbids it, what differs, and whether the weights agree.

The settings, the number of threads and the decisions are those of the record; data, hold-out and the model it began
from must be the same to the byte, or there is no repetition.
"""

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui import checkpoints, manifest, models, prepare
from opeddev_tui import events as ev
from opeddev_tui.batches import find_batches
from opeddev_tui.config import Layer, LoadedSettings, resolve
from opeddev_tui.control import Control, StepRequest
from opeddev_tui.deciders import RecordedDecider
from opeddev_tui.engine import run_steps
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.fingerprint import file_hashes
from opeddev_tui.journal import read
from opeddev_tui.manifest import RunManifest
from opeddev_tui.settings import Settings
from opeddev_tui.state import reduce
from opeddev_tui.steps import StepPlan
from opeddev_tui.workspace import Workspace

# sections that change no weights: those of today are used
_TODAYS = ("paths", "notify", "ui")


class Repetition(Struct, frozen=True):
    """A run that can be repeated: how, and in what the environment is not the one it was recorded in."""

    run: str
    loaded: LoadedSettings
    request: StepRequest
    decisions: dict[int, ev.Decided]
    differences: list[str]


class Outcome(Struct, frozen=True):
    """What the repetition gave. ``equal`` and ``unequal`` are the optimizer steps of checkpoints in both runs."""

    run: str
    equal: list[int]
    unequal: list[int]

    @property
    def same(self) -> bool:
        """True when all checkpoints that both runs saved, one at least, hold the same weights to the bit."""
        return bool(self.equal) and not self.unequal


def plan_repeat(workspace: Workspace, loaded: LoadedSettings, run: str) -> Repetition:
    """Return how to repeat ``run``; raise ``TrainingProblem`` with every reason why that cannot be.

    ``loaded`` gives the workspace's present paths. Reads the data; changes nothing.
    """
    before = _recorded(workspace, run)
    told = _Told()
    settings = _settings(run, before, loaded, told)
    threads = before.hardware.get("torch_threads")
    if threads:
        torch.set_num_threads(threads)
        settings = _with(settings, "training", torch_num_threads=threads)
    if before.model.revision:
        # the commit, not the branch: the branch may have moved
        settings = _with(settings, "model", revision=before.model.revision)
    parent = workspace.located(before.parent or "")
    now = _present(workspace, settings, before, parent)
    state = reduce(read(workspace.run_folder(run)))
    _told_environment(before, now, told)
    if state.retries:
        told.append("the recorded run lacked memory and halved its batch; this one begins with the full batch")
    return Repetition(
        run=run,
        loaded=settings,
        request=StepRequest(which=str(before.step), new=True, start_from=parent, repeats=run),
        decisions={item.epoch: item for item in state.decisions},
        differences=told,
    )


def repeat(workspace: Workspace, plan: Repetition, *, sink: ev.Sink, control: Control) -> Outcome | None:
    """Train ``plan`` as a new run and compare the weights; None if it was stopped before its end."""
    decider = RecordedDecider(plan.run, plan.decisions)
    (run,) = run_steps(workspace.root, plan.loaded, plan.request, sink=sink, control=control, decider=decider)
    events = read(workspace.run_folder(run))
    if reduce(events).finished is None:
        return None
    return compare(run, read(workspace.run_folder(plan.run)), events)


def compare(run: str, before: Sequence[ev.AnyEvent], now: Sequence[ev.AnyEvent]) -> Outcome:
    """Return which of the checkpoints in both journals hold the same weights."""
    old, new = _digests(before), _digests(now)
    common = sorted(old.keys() & new.keys())
    unequal = [step for step in common if old[step] != new[step]]
    # a run that ended elsewhere is not the same, however equal it began
    unequal += [max(new)] if new and old and max(new) != max(old) and max(new) not in unequal else []
    return Outcome(run, [step for step in common if step not in unequal], unequal)


def _digests(events: Sequence[ev.AnyEvent]) -> dict[int, str]:
    return {item.global_step: item.digest for item in events if isinstance(item, ev.CheckpointSaved)}


# what is told of differences that do not forbid a repetition
_Told = list[str]


def _recorded(workspace: Workspace, run: str) -> RunManifest:
    known = workspace.run_ids()
    if run not in known:
        near = difflib.get_close_matches(run, known, n=1, cutoff=0.3)
        cure = f"Did you mean {near[0]}?" if near else "See the runs: opeddev-tui status --json."
        raise TrainingProblem(f"there is no run {run}.", where=str(workspace.runs), cure=cure)
    path = workspace.run_manifest(run)
    found = manifest.read(path)
    if found is None or found.step < 0 or not found.settings or not found.data.batches:
        raise TrainingProblem("cannot be read, so the run cannot be repeated.", where=str(path))
    return found


def _settings(run: str, before: RunManifest, loaded: LoadedSettings, told: _Told) -> LoadedSettings:
    tables = {name: dict(table) for name, table in before.settings.items() if name not in _TODAYS}
    hidden = [key for key, value in tables.get("training", {}).get("arguments", {}).items() if value == "***"]
    if hidden:
        raise TrainingProblem(f"training.arguments.{hidden[0]} looked like a secret, so it was not recorded.")
    origin = f"the record of run {run}"
    resolved = resolve([Layer(origin, tables)])
    fresh = [
        f"{section}.{key}"
        for section in Settings.__struct_fields__
        if section not in _TODAYS
        for key in getattr(resolved.settings, section).__struct_fields__
        if key not in tables.get(section, {})
    ]
    told += [f"{name} did not exist then and has its default" for name in fresh]
    todays = {name: getattr(loaded.settings, name) for name in _TODAYS}
    settings = replace(resolved.settings, **todays)
    # nobody is asked: decisions are repeated
    settings = replace(settings, early_stop=replace(settings.early_stop, policy="rule"))
    return LoadedSettings(settings, resolved.origins)


def _with(loaded: LoadedSettings, section: str, **values: Any) -> LoadedSettings:
    changed = replace(getattr(loaded.settings, section), **values)
    return LoadedSettings(replace(loaded.settings, **{section: changed}), loaded.origins)


def _present(workspace: Workspace, loaded: LoadedSettings, before: RunManifest, parent: str) -> RunManifest:
    """Return the manifest that the run would have now; raise ``TrainingProblem`` if it would train something else."""
    source = parent or models.source_of(workspace.root, loaded.settings.model.name)
    if parent:
        problems = checkpoints.problems_of(workspace.path(parent))
        if problems:
            raise TrainingProblem(
                f"the checkpoint that the run started from cannot be used: {'; '.join(problems)}.",
                where=parent,
                cure="Restore it; a repetition of the step before it has another name.",
            )
    batches = find_batches(workspace.root, loaded.settings.paths)
    step = before.step
    if step >= len(batches):
        raise TrainingProblem(f"step {step} has no data any more.", cure=f"Steps 0 to {len(batches) - 1} have data.")
    data = prepare.read_step(workspace, loaded.settings, StepPlan(step, batches[step], None, None))
    model = {"source": source, "files": file_hashes(source), "revision": before.model.revision}
    now = manifest.build(loaded, data=data.describe(workspace), model=model)
    # settings are the recorded ones by construction; what is new since then is told, not refused
    changes = manifest.differences(replace(before, settings=now.settings), now)
    if changes:
        raise TrainingProblem(
            f"the run cannot be repeated: {'; '.join(changes)}.", cure="Restore what it was, or train a new run."
        )
    return now


def _told_environment(before: RunManifest, now: RunManifest, told: _Told) -> None:
    names = {"versions": "", "git": "git ", "hardware": ""}
    for part, prefix in names.items():
        old, new = getattr(before, part), getattr(now, part)
        for key in dict.fromkeys([*old, *new]):
            if old.get(key) != new.get(key):
                told.append(f"{prefix}{key} was {_shown(old.get(key))} and is {_shown(new.get(key))}")


def _shown(value: Any) -> str:
    return "unknown" if value is None or value == "" else "none" if value == [] else str(value)
