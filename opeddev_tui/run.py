"""Owns one run's attempts: where it goes on from, memory retries, its end."""

import enum
from pathlib import Path

import torch
from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui import catalog, checkpoints, models, training
from opeddev_tui import events as ev
from opeddev_tui import settings as st
from opeddev_tui.batches import StepData
from opeddev_tui.bus import Bus
from opeddev_tui.causal_lm import CausalLM
from opeddev_tui.control import Control
from opeddev_tui.deciders import Decider, StopRequested
from opeddev_tui.errors import ModelProblem
from opeddev_tui.fingerprint import parameter_counts
from opeddev_tui.precision import device_name, resolve_precision
from opeddev_tui.prepare import StepTokens
from opeddev_tui.scoring import Loaded, Scorer
from opeddev_tui.session import RunFiles, Session
from opeddev_tui.workspace import Workspace


class Ending(enum.Enum):
    """How a run ended without a problem."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"


class RunParts(Struct):
    """What was prepared for a run. ``model`` is handed over to the first attempt."""

    id: str
    source: str
    data: StepData
    tokens: StepTokens
    memory: ev.MemoryEstimated
    model: CausalLM | None


class Run:
    """One execution of one step, over as many attempts as memory asks for."""

    def __init__(
        self,
        workspace: Workspace,
        settings: st.Settings,
        bus: Bus,
        control: Control,
        decider: Decider,
        parts: RunParts,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._control = control
        self._decider = decider
        self._parts = parts
        self._precision = resolve_precision(settings.model.precision)
        self._files = RunFiles(
            checkpoints=workspace.checkpoints(parts.id),
            metrics_csv=_metrics_csv(workspace, self._started),
            observations=workspace.path(workspace.paths.observations),
            pinned=lambda: catalog.pinned_folders(workspace, parts.id),
        )
        self._plan = self._first_plan()

    @property
    def _started(self) -> ev.RunStarted:
        return self._bus.state.begun

    def _first_plan(self) -> training.Plan:
        training_settings, lora = self._settings.training, self._settings.lora
        rate = training_settings.resume_learning_rate if self._started.parent else training_settings.learning_rate
        retries = self._bus.state.retries
        return training.Plan(
            output=self._files.checkpoints,
            batch_size=retries[-1].batch_size if retries else training_settings.per_device_train_batch_size,
            accumulation=retries[-1].accumulation if retries else training_settings.gradient_accumulation_steps,
            learning_rate=lora.learning_rate if lora.enabled else rate,
            max_epochs=self._started.max_epochs,
        )

    def execute(self) -> Ending:
        """Train to the end; after a lack of memory go on with half the batch from the last verified checkpoint."""
        while True:
            try:
                self._attempt()
                self._finish()
                return Ending.FINISHED
            except StopRequested as stop:
                return self._interrupted(stop.reason)
            except torch.OutOfMemoryError as error:
                message = str(error).splitlines()[0]
            # outside the handler: the failed attempt's frames, and with them the model, are gone by now
            self._halve(message)

    # --- one attempt ----------------------------------------------------------------------------------------

    def _attempt(self) -> None:
        resume = self._resume_point()
        loaded = self._load(resume)
        session = self._session(loaded)
        self._tell_start(loaded)
        if 0 not in self._bus.state.epochs and resume is None:
            session.evaluate(0, 0)
            session.close_epoch(0, 0, None)
            session.heed_stop()
        if resume is None or self._goes_on(session, resume):
            self._phase("training", "the first optimizer step")
            training.train(
                loaded.model,
                loaded.tokenizer,
                self._parts.tokens.train.rows,
                self._plan,
                self._settings,
                self._precision,
                session,
                resume=resume,
            )
        if session.stop_reason is not None and not self._epoch_decided():
            raise StopRequested(session.stop_reason)

    def _resume_point(self) -> Path | None:
        """Return the newest checkpoint of this run that can be trusted; say what cannot, and put it aside."""
        found = checkpoints.newest_verified(self._files.checkpoints, for_resume=True)
        for folder, problem in found.rejected:
            self._bus.emit(ev.CheckpointRejected(path=ev.checkpoint_name(folder), problem=problem))
            checkpoints.set_aside(folder)
        if found.folder is None:
            if self._bus.state.progress is not None or self._bus.state.epochs:
                self._bus.emit(ev.Resumed(checkpoint="", global_step=0, epoch=0.0))
            return None
        manifest = checkpoints.manifest_of(found.folder)
        name = ev.checkpoint_name(found.folder)
        self._bus.emit(ev.Resumed(checkpoint=name, global_step=manifest.global_step, epoch=manifest.epoch))
        if name not in self._bus.state.checkpoints:
            # killed between the disk and the journal
            self._bus.emit(checkpoints.saved_event(found.folder, manifest))
        return found.folder

    def _load(self, resume: Path | None) -> Loaded:
        """Return the model for this attempt: the parent's weights, or those of the checkpoint it resumes from."""
        model, self._parts.model = self._parts.model, None
        if self._settings.lora.enabled:
            base = model if model is not None else models.load_model(self._parts.source, self._settings.model)
            torch.manual_seed(self._settings.training.seed)
            model = models.with_adapters(base, self._settings.lora, resume)
        elif resume is not None:
            model = models.load_model(str(resume), self._settings.model)
        elif model is None:
            model = models.load_model(self._parts.source, self._settings.model)
        tokens = self._parts.tokens
        return Loaded(model, tokens.tokenizer, tokens.encoder, self._precision)

    def _session(self, loaded: Loaded) -> Session:
        scorer = Scorer(self._settings, self._bus, loaded, self._parts.tokens.holdout, self._parts.data.train_texts)
        return Session(
            settings=self._settings,
            bus=self._bus,
            control=self._control,
            files=self._files,
            scorer=scorer,
            decider=self._decider,
        )

    def _goes_on(self, session: Session, resume: Path) -> bool:
        """Finish what the interruption left of the checkpoint's epoch; True if there is more to train."""
        manifest = checkpoints.manifest_of(resume)
        if manifest.global_step % self._steps_per_epoch:
            return True
        return session.close_epoch(round(manifest.epoch), manifest.global_step, None)

    def _tell_start(self, loaded: Loaded) -> None:
        parameters, trainable = parameter_counts(loaded.model)
        self._bus.emit(
            ev.ModelLoaded(
                device=device_name(),
                precision=self._precision.name,
                reason=self._precision.reason,
                parameters=parameters,
                trainable=trainable,
            )
        )
        train = self._parts.tokens.train
        self._bus.emit(
            ev.DataPrepared(
                rows=len(train.rows),
                tokens=sum(row.length for row in train.rows),
                loss_tokens=sum(len(row.completion) for row in train.rows),
                steps_per_epoch=self._steps_per_epoch,
                total_steps=self._steps_per_epoch * self._plan.max_epochs,
                batch_size=self._plan.batch_size,
                accumulation=self._plan.accumulation,
                learning_rate=self._plan.learning_rate,
                dropped=tuple(train.dropped),
                shortened=train.shortened,
            )
        )
        self._bus.emit(ev.TokensCounted(batches=self._parts.tokens.stats))

    @property
    def _steps_per_epoch(self) -> int:
        return self._plan.steps_per_epoch(len(self._parts.tokens.train.rows))

    # --- ends -----------------------------------------------------------------------------------------------

    def _epoch_decided(self) -> bool:
        last = max(self._bus.state.epochs, default=0)
        decided = self._bus.state.decided(last)
        return decided is not None and decided.choice == "stop"

    def _finish(self) -> None:
        state = self._bus.state
        last = max(state.epochs)
        best = state.best_epoch()
        assert best is not None
        self._bus.emit(
            ev.RunFinished(
                epochs=last,
                last_checkpoint=state.epochs[last].checkpoint,
                best_checkpoint=state.epochs[best].checkpoint,
                best_epoch=best,
                val_loss=state.epochs[last].val_loss,
            )
        )

    def _interrupted(self, reason: str) -> Ending:
        folder = checkpoints.newest_verified(self._files.checkpoints, for_resume=True).folder
        step = checkpoints.step_of(folder) if folder else 0
        name = ev.checkpoint_name(folder) if folder else ""
        self._bus.emit(ev.Interrupted(reason=reason, checkpoint=name, global_step=step or 0))
        return Ending.INTERRUPTED

    def _halve(self, message: str) -> None:
        """Plan the same optimizer steps with smaller batches; raise ``ModelProblem`` where there are none."""
        effective = self._plan.batch_size * self._plan.accumulation
        smaller = [size for size in range(1, self._plan.batch_size // 2 + 1) if effective % size == 0]
        if not smaller:
            raise ModelProblem(
                f"one example at a time does not fit into memory: {message}",
                cure="Set training.activation_checkpointing = true, lora.enabled = true, or a smaller data.max_length.",
            )
        self._plan = replace(self._plan, batch_size=smaller[-1], accumulation=effective // smaller[-1])
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        folder = checkpoints.newest_verified(self._files.checkpoints, for_resume=True).folder
        self._bus.emit(
            ev.MemoryRetried(
                batch_size=self._plan.batch_size,
                accumulation=self._plan.accumulation,
                checkpoint=ev.checkpoint_name(folder) if folder else "",
                message=message,
            )
        )

    def _phase(self, phase: str, detail: str = "") -> None:
        self._bus.emit(ev.PhaseChanged(phase=phase, detail=detail))


def _metrics_csv(workspace: Workspace, started: ev.RunStarted) -> Path:
    """Return where the run's table goes: a repetition does not replace the step's."""
    if started.repeats:
        return workspace.run_folder(started.run) / "metrics.csv"
    return workspace.metrics_csv(started.batch)
