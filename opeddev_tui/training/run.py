"""Run one step: resume from the newest verified checkpoint, halve the batch after out-of-memory, record the end.

Must not choose the step or read its data.
"""

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.checkpoints import folders
from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import StepData
from opeddev_tui.errors import ModelProblem, ran_out_of_memory
from opeddev_tui.models import loading
from opeddev_tui.models.causal_lm import CausalLM
from opeddev_tui.models.precision import resolve_precision
from opeddev_tui.models.smaller_batches import give_back_memory
from opeddev_tui.ranks.crew import Crew
from opeddev_tui.ranks.team import Team
from opeddev_tui.ranks.words import Train
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.runs.control import Control
from opeddev_tui.training import run_records, trainer
from opeddev_tui.training.deciders import Decider, StopRequested
from opeddev_tui.training.grading_parts import GradingParts
from opeddev_tui.training.hooks import RunHooks
from opeddev_tui.training.inputs import StepTokens
from opeddev_tui.training.model_in_use import ModelInUse
from opeddev_tui.training.next_step import NextStepChoices
from opeddev_tui.training.run_files import RunFiles
from opeddev_tui.training.run_ranks import RunRanks
from opeddev_tui.training.scorer import Scorer
from opeddev_tui.training.step_model import placed, step_model
from opeddev_tui.training.trainer_arguments import Plan
from opeddev_tui.workspace.paths import Workspace


class RunParts(Struct):
    """What was prepared for a run. The first attempt takes ``model`` and leaves None, so that it can be freed.

    ``model`` is None too where another one is to be read first, and both together might not fit.
    """

    id: str
    source: str
    data: StepData
    tokens: StepTokens
    memory: ev.MemoryEstimated
    model: CausalLM | None


class Run:
    """One execution of one step, in as many attempts as it takes to find a batch size that fits into memory."""

    def __init__(
        self,
        workspace: Workspace,
        settings: st.Settings,
        bus: Bus,
        control: Control,
        decider: Decider,
        parts: RunParts,
        crew: Crew | None = None,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._control = control
        self._decider = decider
        self._parts = parts
        self._precision = resolve_precision(settings.model.precision)
        self._files = RunFiles.of(workspace, bus.state.begun)
        self._grading = GradingParts(workspace, settings, bus, parts.data, parts.tokens, self._raise_if_stopped)
        self._ranks = RunRanks(
            *(workspace, settings, bus, control, parts.source, parts.data, parts.tokens),
            crew=crew,
            raise_if_stopped=self._raise_if_stopped,
        )
        self._next_step = NextStepChoices(workspace, settings, bus)
        self._plan = self._first_plan()

    def _raise_if_stopped(self) -> None:
        """Raise ``StopRequested`` if a person asked the run to end while rows are read."""
        stop = self._control.take_stop()
        if stop is not None:
            raise StopRequested(stop.reason)

    def _first_plan(self) -> Plan:
        training_settings, lora, started = self._settings.training, self._settings.lora, self._bus.state.begun
        rate = training_settings.resume_learning_rate if started.parent else training_settings.learning_rate
        retries = self._bus.state.retries
        return Plan(
            output=self._files.checkpoints,
            batch_size=retries[-1].batch_size if retries else training_settings.per_device_train_batch_size,
            accumulation=retries[-1].accumulation if retries else training_settings.gradient_accumulation_steps,
            learning_rate=lora.learning_rate if lora.enabled else rate,
            max_epochs=started.max_epochs,
            processes=training_settings.num_processes,
        )

    def execute(self) -> bool:
        """Train until the step is finished (True) or a person stops the run (False); raises ``Problem``.

        After out-of-memory it goes on with half the batch from the last verified checkpoint.
        """
        while True:
            try:
                self._attempt()
                self._grades_of_best()
                run_records.finished(self._bus)
                return True
            except StopRequested as stop:
                run_records.interrupted(self._bus, self._files.checkpoints, stop.reason)
                return False
            except (RuntimeError, MemoryError) as error:
                if not ran_out_of_memory(error):
                    raise
                message = (str(error) or "no memory is left").splitlines()[0]
            # outside the handler: it would keep the failed attempt's frames alive, and with them the model
            self._halve_batch(message)

    # --- one attempt ----------------------------------------------------------------------------------------

    def _attempt(self) -> None:
        resume = self._resume_point()
        with self._ranks.attempt(self._plan, resume) as team:
            self._attempt_with(team, resume)

    def _attempt_with(self, team: Team | None, resume: Path | None) -> None:
        self._grading.prepare(None if self._bus.state.begun.parent else self._parts.model)
        loaded = self._load(resume)
        if team is not None:
            self._ranks.assemble(team, loaded.model)
        scorer = self._scorer(loaded, team)
        hooks = RunHooks(
            settings=self._settings,
            bus=self._bus,
            control=self._control,
            files=self._files,
            scorer=scorer,
            decider=self._decider,
            next_step=self._next_step,
            loads=team.loads if team is not None else tuple,
        )
        run_records.begun(self._bus, loaded, self._parts.tokens, self._plan)
        if 0 not in self._bus.state.epochs and resume is None:
            hooks.evaluate(0, 0)
            hooks.close_epoch(0, 0, None)
            hooks.raise_if_stopped()
        if resume is None or self._close_interrupted_epoch(hooks, resume):
            self._bus.emit(ev.PhaseChanged(phase="training", detail="the first optimizer step"))
            if team is not None:
                team.say(Train())
            trainer.train(
                loaded.model,
                loaded.tokenizer,
                self._parts.tokens.train.rows,
                self._plan,
                self._settings,
                self._precision,
                hooks,
                resume=resume,
                team=team,
            )
        if hooks.stop_reason is not None and not self._decided_to_stop():
            raise StopRequested(hooks.stop_reason)
        self._end_of_step(scorer)

    def _end_of_step(self, scorer: Scorer) -> None:
        """Do what is left to do with the step's model in memory, once the last epoch is decided."""
        last = max(self._bus.state.epochs)
        if scorer.step_grades is not None:
            scorer.step_grades.finish(self._checkpoint_of(last), last)
        if last == self._bus.state.best_epoch():
            self._grading.hold_race(scorer, last)

    def _checkpoint_of(self, epoch: int) -> Path:
        return self._files.checkpoints / Path(self._bus.state.epochs[epoch].checkpoint).name

    def _grades_of_best(self) -> None:
        """Fit the head on the best checkpoint's model and hold the race on it, where that is not the last one."""
        best = self._bus.state.best_epoch()
        if best is None or best == max(self._bus.state.epochs):
            return
        folder = self._checkpoint_of(best)
        if not self._grading.lacks_step_head(folder, best) and not self._grading.lacks_race(best):
            return
        self._bus.emit(ev.PhaseChanged(phase="loading model", detail=f"{folder.name}, to read grades"))
        scorer = self._scorer(self._in_use(loading.load_model(str(folder), placed(self._settings))))
        if scorer.step_grades is not None:
            scorer.step_grades.finish(folder, best)
        self._grading.hold_race(scorer, best)

    def _resume_point(self) -> Path | None:
        """Return the newest verified checkpoint of this run; record and quarantine newer ones that are damaged."""
        newest = folders.newest_verified(self._files.checkpoints, for_resume=True)
        for folder, problem in newest.rejected:
            self._bus.emit(ev.CheckpointRejected(path=ev.checkpoint_name(folder), problem=problem))
            folders.quarantine(folder)
        if newest.folder is None:
            if self._bus.state.progress is not None or self._bus.state.epochs:
                self._bus.emit(ev.Resumed(checkpoint="", global_step=0, epoch=0.0))
            return None
        manifest = folders.manifest_of(newest.folder)
        name = ev.checkpoint_name(newest.folder)
        self._bus.emit(ev.Resumed(checkpoint=name, global_step=manifest.global_step, epoch=manifest.epoch))
        if name not in self._bus.state.checkpoints:
            # the process was killed after the checkpoint was published and before the journal recorded it
            self._bus.emit(folders.saved_event(newest.folder, manifest))
        return newest.folder

    def _load(self, resume: Path | None) -> ModelInUse:
        """Return the model for this attempt, with the parent's weights or those of the checkpoint ``resume``."""
        model, self._parts.model = self._parts.model, None
        return self._in_use(step_model(self._parts.source, self._settings, resume, given=model))

    def _in_use(self, model: CausalLM) -> ModelInUse:
        tokens = self._parts.tokens
        return ModelInUse(model, tokens.tokenizer, tokens.encoder, self._precision)

    def _scorer(self, loaded: ModelInUse, team: Team | None = None) -> Scorer:
        scorer = Scorer(self._settings, self._bus, loaded, self._parts.tokens.holdout, team)
        scorer.step_grades = self._grading.step_grades(scorer.runner)
        return scorer

    def _close_interrupted_epoch(self, hooks: RunHooks, resume: Path) -> bool:
        """Do what is left of an epoch's end if ``resume`` was saved there; return True if there is more to train."""
        manifest = folders.manifest_of(resume)
        if manifest.global_step % self._steps_per_epoch:
            return True
        return hooks.close_epoch(round(manifest.epoch), manifest.global_step, None)

    @property
    def _steps_per_epoch(self) -> int:
        return self._plan.steps_per_epoch(len(self._parts.tokens.train.rows))

    # --- the end of an attempt ------------------------------------------------------------------------------

    def _decided_to_stop(self) -> bool:
        decision = self._bus.state.decided(max(self._bus.state.epochs, default=0))
        return decision is not None and decision.choice == "stop"

    def _halve_batch(self, message: str) -> None:
        """Plan the same optimizer steps with smaller batches; raises ``ModelProblem`` where the batch is one row."""
        effective = self._plan.batch_size * self._plan.accumulation
        smaller = [size for size in range(1, self._plan.batch_size // 2 + 1) if effective % size == 0]
        if not smaller:
            raise ModelProblem(
                f"one example at a time does not fit into memory: {message}",
                cure="Set training.activation_checkpointing = true, lora.enabled = true, or a smaller data.max_length.",
            )
        self._plan = replace(self._plan, batch_size=smaller[-1], accumulation=effective // smaller[-1])
        give_back_memory()
        folder = folders.newest_verified(self._files.checkpoints, for_resume=True).folder
        self._bus.emit(
            ev.MemoryRetried(
                batch_size=self._plan.batch_size,
                accumulation=self._plan.accumulation,
                checkpoint=ev.checkpoint_name(folder) if folder else "",
                message=message,
            )
        )
