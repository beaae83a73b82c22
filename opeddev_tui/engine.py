"""Owns a run from the outside: lock, data, model, journal, training, and its end, whatever that is.

Everything that can be wrong with settings, data or model is found before a run is begun, so bad input changes nothing.
"""

import gc
import logging
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from msgspec import Struct

from opeddev_tui import events as ev
from opeddev_tui import hardware, logs, manifest, models, prepare, training
from opeddev_tui.batches import StepData, find_batches
from opeddev_tui.bus import Bus, Guarded
from opeddev_tui.config import LoadedSettings
from opeddev_tui.control import Control, StepRequest
from opeddev_tui.deciders import ControlDecider, Decider, RuleDecider
from opeddev_tui.errors import Problem
from opeddev_tui.events import Sink
from opeddev_tui.fingerprint import file_hashes
from opeddev_tui.history import list_runs
from opeddev_tui.journal import Journal, read
from opeddev_tui.lock import RunLock
from opeddev_tui.run import Ending, Run, RunParts
from opeddev_tui.steps import StepPlan, plan_step
from opeddev_tui.storage import write_atomic
from opeddev_tui.workspace import Workspace, new_run_id

_LOG = logging.getLogger(__name__)


class Engine(Struct, frozen=True):
    """What stays the same over all steps of one call."""

    workspace: Workspace
    loaded: LoadedSettings
    sink: Sink
    control: Control
    decider: Decider

    def step(self, plan: StepPlan) -> tuple[str, bool]:
        """Train or resume one step; return (run id, whether it is finished)."""
        settings = self.loaded.settings
        _announce(self.sink, "reading data", f"base and {plan.step} increments")
        data = prepare.read_step(self.workspace, settings, plan)
        _announce(self.sink, "loading model", settings.model.name)
        torch.set_num_threads(hardware.training_threads(settings.training.torch_num_threads))
        source = str(plan.parent) if plan.parent else models.source_of(self.workspace.root, settings.model.name)
        tokens = prepare.tokenize(source, settings, data)
        run_id = plan.resume.id if plan.resume else new_run_id(plan.step, plan.batch.name)
        record = self._record(plan, data, source, run_id)
        if plan.resume:
            prepare.refuse_changes(self.workspace, plan.resume, record)
        training.check_arguments(settings)
        memory = prepare.check_room(self.workspace, settings, source, tokens)
        model = models.load_model(source, settings.model)
        told = self.workspace.link_store()
        if told:
            data = msgspec.structs.replace(data, warnings=[*data.warnings, told])
        prepare.record_holdout(self.workspace, data)
        return run_id, self._run(plan, RunParts(run_id, source, data, tokens, memory, model), record)

    def _record(self, plan: StepPlan, data: StepData, source: str, run_id: str) -> manifest.RunManifest:
        return manifest.build(
            self.loaded,
            run=run_id,
            step=plan.step,
            seed=self.loaded.settings.training.seed,
            model={
                "name": self.loaded.settings.model.name,
                "source": self.workspace.named(source),
                "files": file_hashes(source),
                "revision": models.commit_of(source, self.loaded.settings.model),
            },
            parent=self.workspace.named(str(plan.parent)) if plan.parent else None,
            data=data.describe(self.workspace),
        )

    def _run(self, plan: StepPlan, parts: RunParts, record: manifest.RunManifest) -> bool:
        folder = self.workspace.run_folder(parts.id)
        content = manifest.encode(record)
        # a resumed run keeps the manifest it began with
        if not self.workspace.run_manifest(parts.id).exists():
            write_atomic(self.workspace.run_manifest(parts.id), content)
        write_atomic(self.workspace.last_run_args, content)
        self.control.open_mailbox(folder)
        past = read(folder)
        journal = Journal(folder)
        bus = Bus(journal, [self.sink, logs.EventLog()], past)
        for event in past:
            self.sink.emit(event)
        try:
            if not plan.resume:
                bus.emit(self._started(plan, parts))
            bus.emit(parts.memory)
            for warning in (*plan.warnings, *parts.data.warnings):
                bus.emit(ev.Warned(message=warning))
            run = Run(self.workspace, self.loaded.settings, bus, self.control, self.decider, parts)
            return _watched(bus, run)
        finally:
            journal.close()

    def _started(self, plan: StepPlan, parts: RunParts) -> ev.RunStarted:
        settings = self.loaded.settings
        return ev.RunStarted(
            run=parts.id,
            step=plan.step,
            batch=plan.batch.name,
            rows=len(parts.tokens.train.rows),
            holdout_rows=len(parts.tokens.holdout.rows),
            holdout_fingerprint=parts.data.holdout.fingerprint,
            planned_epochs=settings.training.num_train_epochs,
            max_epochs=settings.training.num_train_epochs + settings.early_stop.max_extra_epochs,
            seed=settings.training.seed,
            model=settings.model.name,
            parent=self.workspace.named(str(plan.parent)) if plan.parent else "",
            source=self.workspace.named(parts.source),
            data_fingerprint=parts.data.fingerprint,
            policy=settings.early_stop.policy,
            lora=settings.lora.enabled,
            pid=os.getpid(),
            host=platform.node(),
            repeats=plan.repeats,
        )


def _announce(sink: Sink, phase: str, detail: str) -> None:
    """Show what is done before the run has a journal."""
    sink.emit(ev.PhaseChanged(phase=phase, detail=detail))


def _watched(bus: Bus, run: Run) -> bool:
    """Run it and record its end, whatever that is; True when the step is finished."""
    try:
        return run.execute() is Ending.FINISHED
    except Problem as problem:
        _record_failure(bus, problem.kind, str(problem), resumable=problem.kind != "non-finite")
        raise
    except BaseException as error:
        # a bug or a dying process: the journal must say so before it goes its way
        _LOG.exception("the training ended with an error")
        _record_failure(bus, "bug", f"{type(error).__name__}: {error}", resumable=True)
        raise


def _record_failure(bus: Bus, kind: str, message: str, *, resumable: bool) -> None:
    event = ev.RunFailed(kind=kind, message=message, resumable=resumable)
    try:
        bus.emit(event)
    except Problem as problem:
        # the journal's disk is full: the screen still learns of it, and the next start sees an unfinished run
        _LOG.error("the end of the run could not be recorded: %s", problem)
        bus.show_only(event)


def run_steps(
    root: Path,
    loaded: LoadedSettings,
    request: StepRequest,
    *,
    sink: Sink,
    control: Control,
    decider: Decider | None = None,
) -> list[str]:
    """Train the steps of ``request`` in the workspace at ``root``; return the ids of the runs.

    Blocking; meant for a worker thread. With ``decider`` None, ``early_stop.policy`` says whether the rule decides
    or a person through ``control``. Raises ``Problem`` for everything that a person can mend.
    """
    models.quiet_libraries()
    workspace = Workspace(root, loaded.settings.paths)
    answers = decider or _decider(loaded.settings.early_stop.policy, control)
    engine = Engine(workspace, loaded, Guarded(sink), control, answers)
    runs: list[str] = []
    with RunLock(workspace):
        workspace.adopt()
        while True:
            plan = _next_plan(engine, request, runs)
            if plan is None:
                return runs
            run, finished = engine.step(plan)
            runs.append(run)
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if not finished or request.which != "all":
                return runs


def _decider(policy: str, control: Control) -> Decider:
    return RuleDecider() if policy == "rule" else ControlDecider(control)


def _next_plan(engine: Engine, request: StepRequest, runs: Sequence[str]) -> StepPlan | None:
    settings = engine.loaded.settings
    batches = find_batches(engine.workspace.root, settings.paths)
    if runs:
        # what was asked for the first step of many (a new run, a certain parent) is not meant for the others
        request = msgspec.structs.replace(request, new=False, start_from="")
    return plan_step(engine.workspace, settings.training.start_from, batches, list_runs(engine.workspace), request)
