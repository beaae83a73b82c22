"""Train the requested steps: take the lock, read the data, load the model, then begin or resume a run.

Everything that can be wrong with settings, data or model is found before a run begins; bad input must not change
anything.
"""

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.analysis.workspace_steps import known, read_steps
from opeddev_tui.checkpoints import base_model
from opeddev_tui.checkpoints.folders import in_use
from opeddev_tui.config import settings as st
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.data.batches import StepData
from opeddev_tui.files import make_private, write_atomic
from opeddev_tui.format import plural
from opeddev_tui.models import loading
from opeddev_tui.models.fingerprint import file_hashes
from opeddev_tui.models.smaller_batches import give_back_memory
from opeddev_tui.ranks.crew import Crew
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import log, manifest
from opeddev_tui.runs.bus import Bus, Guarded
from opeddev_tui.runs.control import Control, StepRequest
from opeddev_tui.runs.events import Sink
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.journal import Journal, read
from opeddev_tui.training import fetching, hardware, inputs, processes, run_records, step_data
from opeddev_tui.training.deciders import ControlDecider, Decider, RuleDecider
from opeddev_tui.training.grading_parts import nothing_graded, wants_grades
from opeddev_tui.training.plan import StepPlan, plan_step
from opeddev_tui.training.receipts import Receipts
from opeddev_tui.training.run import Run, RunParts
from opeddev_tui.training.step_model import placed
from opeddev_tui.training.trainer_arguments import check_arguments
from opeddev_tui.workspace.lock import RunLock
from opeddev_tui.workspace.paths import Workspace, new_run_id


class Engine(Struct, frozen=True):
    """What is the same for all steps of one call; ``crew`` are the other ranks where a launcher has started them."""

    workspace: Workspace
    loaded: LoadedSettings
    sink: Sink
    control: Control
    decider: Decider
    crew: Crew | None = None

    def step(self, plan: StepPlan) -> tuple[str, bool]:
        """Train or resume one step; return (run id, whether the step is finished). Raises ``Problem``."""
        settings = self.loaded.settings
        source = str(plan.parent) if plan.parent else loading.source_of(self.workspace.root, settings.model.name)
        # shown only: the run has no journal yet
        self.sink.emit(ev.PhaseChanged(phase="reading data", detail=plural(len(plan.data), "set")))
        data = step_data.read_step(self.workspace, settings, plan)
        self.sink.emit(ev.PhaseChanged(phase="loading model", detail=settings.model.name))
        torch.set_num_threads(hardware.training_threads(settings.training.torch_num_threads))
        with fetching.told(self.sink, source, settings.model.revision):
            tokens = inputs.tokenize(source, settings, data)
        begun = self.workspace.run_ids()
        run_id = plan.resume.id if plan.resume else plan.run or new_run_id(plan.step, plan.batch.name, begun)
        data = replace(data, warnings=[*data.warnings, *tokens.notes])
        record = self._record(plan, data, tokens, source, run_id)
        if plan.group is not None:
            step_data.refuse_other_seeds(self.workspace, plan.group, record)
        if plan.resume:
            doubts = step_data.refuse_changes(self.workspace, plan.resume, record)
            data = replace(data, warnings=[*data.warnings, *doubts])
        check_arguments(settings)
        memory = inputs.check_room(self.workspace, settings, source, tokens, plan.runs_to_begin(begun))
        # nothing else may hold the model: after out-of-memory it would lie beside the next one
        parts = RunParts(run_id, source, data, tokens, memory, None)
        # a step from a checkpoint may have to read the base model first, and both might not fit into memory
        reads = wants_grades(settings, settings.early_stop.metric) and not nothing_graded(data.holdout.examples)
        if plan.parent is None or not reads:
            with fetching.told(self.sink, source, settings.model.revision):
                parts.model = loading.load_model(source, placed(settings))
        data = replace(data, warnings=[*data.warnings, *base_model.unverified(source)])
        copy_notice = self.workspace.link_store()
        if copy_notice:
            data = replace(data, warnings=[*data.warnings, copy_notice])
        if plan.fold is None:
            step_data.record_holdout(self.workspace, data)
        parts.data = data
        return run_id, self._run(plan, parts, record)

    def _record(
        self, plan: StepPlan, data: StepData, tokens: inputs.StepTokens, source: str, run_id: str
    ) -> manifest.RunManifest:
        return manifest.build(
            self.loaded,
            run=run_id,
            step=plan.step,
            seed=self.loaded.settings.training.seed,
            model={
                "name": self.loaded.settings.model.name,
                "source": self.workspace.named(source),
                "files": file_hashes(source),
                "revision": loading.commit_of(source, self.loaded.settings.model),
            },
            parent=self.workspace.named(str(plan.parent)) if plan.parent else None,
            repeats=plan.repeats,
            group=plan.group.id if plan.group is not None else "",
            data={**data.describe(self.workspace), "encoding": tokens.describe()},
        )

    def _base(self, source: str) -> str:
        return base_model.identity_of(source, loading.commit_of(source, self.loaded.settings.model))

    def _run(self, plan: StepPlan, parts: RunParts, record: manifest.RunManifest) -> bool:
        folder = self.workspace.run_folder(parts.id)
        content = manifest.encode(record)
        make_private(folder)
        make_private(self.workspace.checkpoints(parts.id))
        # a resumed run keeps the manifest it began with
        if not self.workspace.run_manifest(parts.id).exists():
            write_atomic(self.workspace.run_manifest(parts.id), content, mode=0o600)
        if plan.group is None and plan.fold is None:
            write_atomic(self.workspace.last_run_args, content)
        left = self.control.open_mailbox(folder)
        past = read(folder)
        journal = Journal(folder)
        bus = Bus(journal, [self.sink, log.EventLog()], past)
        for event in past:
            self.sink.emit(event)
        try:
            if not plan.resume:
                bus.emit(self._started(plan, parts))
            elif bus.state.started is None:
                # the line that began the run is damaged: its manifest said the same
                bus.emit(plan.resume.state.begun)
            if plan.resume and plan.resume.state.damage:
                bus.emit(ev.Warned(message=f"the run goes on, but {plan.resume.state.damage}"))
            bus.emit(parts.memory)
            for warning in (*plan.warnings, *parts.data.warnings, *self._notes(plan, bus)):
                bus.emit(ev.Warned(message=warning, routine=warning in parts.data.routine))
            receipts = Receipts(bus, self.control, self.workspace.path(self.workspace.paths.observations))
            receipts.resume(left)
            run = Run(self.workspace, self.loaded.settings, bus, self.control, self.decider, parts, self.crew)
            try:
                return run.execute()
            except BaseException as error:
                run_records.failed(bus, error)
                raise
            finally:
                receipts.end()
        finally:
            journal.close()

    def _notes(self, plan: StepPlan, bus: Bus) -> list[str]:
        """Return what a person should know of a run beside its plan and its data."""
        before = processes.trained_before(self.workspace, plan.parent) if plan.resume is None else None
        return [*_kept_metric(bus, self.loaded.settings), *processes.other_batch(self.loaded.settings, before)]

    def _started(self, plan: StepPlan, parts: RunParts) -> ev.RunStarted:
        settings = self.loaded.settings
        # a person may have left the steps before to the rule
        ruled = isinstance(self.decider, ControlDecider) and self.decider.by_rule
        return ev.RunStarted(
            run=parts.id,
            step=plan.step,
            batch=plan.batch.name,
            rows=len(parts.tokens.train.rows),
            holdout_rows=len(parts.tokens.holdout.rows),
            holdout_fingerprint=parts.data.holdout.version,
            planned_epochs=settings.training.num_train_epochs,
            max_epochs=settings.training.num_train_epochs + settings.early_stop.max_extra_epochs,
            seed=settings.training.seed,
            model=settings.model.name,
            parent=self.workspace.named(str(plan.parent)) if plan.parent else "",
            source=self.workspace.named(parts.source),
            data_fingerprint=parts.data.fingerprint,
            policy="rule" if ruled else settings.early_stop.policy,
            lora=settings.lora.enabled,
            pid=os.getpid(),
            host=platform.node(),
            repeats=plan.repeats,
            group=plan.group.id if plan.group is not None else "",
            batches=tuple(known(batch) for batch in parts.data.batches),
            metrics=plan.metrics,
            base_identity=self._base(parts.source) if settings.lora.enabled else "",
            metric=settings.early_stop.metric,
            learning_rate=plan.learning_rate,
        )


def _kept_metric(bus: Bus, settings: st.Settings) -> list[str]:
    """Return a sentence where a resumed run goes by another metric than the settings say."""
    began = bus.state.begun.metric
    if began == settings.early_stop.metric:
        return []
    return [f"this run goes on by the metric that it began with, {began}: early_stop.metric is for new runs."]


def train_steps(
    root: Path,
    loaded: LoadedSettings,
    request: StepRequest,
    *,
    sink: Sink,
    control: Control,
    decider: Decider | None = None,
    lock: AbstractContextManager[object] | None = None,
    crew: Crew | None = None,
) -> list[str]:
    """Train the steps of ``request`` in the workspace at ``root``; return the ids of the runs.

    Blocks until they are trained; meant for a worker thread. ``lock`` is taken unless the caller holds it already, and
    released at the end. ``crew`` are the other ranks where a launcher has started them. With ``decider`` None the
    setting ``early_stop.policy`` says whether the rule decides after an epoch or a person through ``control``. Raises
    ``Problem`` for everything that a person can correct.
    """
    loading.quiet_libraries()
    workspace = Workspace(root, loaded.settings.paths)
    loaded = processes.resolved(loaded, launched=crew is not None)
    settings = loaded.settings
    if decider is None:
        decider = RuleDecider() if settings.early_stop.policy == "rule" else ControlDecider(control)
    engine = Engine(workspace, loaded, Guarded(sink), control, decider, crew)
    runs: list[str] = []
    with lock or RunLock(workspace):
        workspace.adopt()
        finished = True
        while finished and (not runs or request.which == "all"):
            records = list_runs(workspace)
            steps = read_steps(workspace, settings, records)
            plan = plan_step(workspace, settings.training.start_from, steps, records, request)
            if plan is None:
                break
            with in_use(plan.parent) if plan.parent is not None else nullcontext():
                run, finished = replace(engine, loaded=step_data.with_chosen_rate(loaded, plan)).step(plan)
            runs.append(run)
            # a stop that came when its run was over ends the series
            finished = control.take_stop() is None and finished
            # a new run and a certain start were asked for the first step only
            request = replace(request, new=False, start_from="")
            give_back_memory()
    return runs
