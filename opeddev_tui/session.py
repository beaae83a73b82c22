"""Owns one run from the inside: what happens after an optimizer step and at an epoch's end.

It scores, generates, publishes checkpoints and asks for decisions; it knows events and models, but neither the
Trainer nor a screen. Every piece of an epoch's end is done only if the journal lacks it, so a run that was killed
anywhere goes on where it stood.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from opeddev_tui import checkpoints, decision, hardware, human, metrics, observations
from opeddev_tui import control as ctl
from opeddev_tui import events as ev
from opeddev_tui import settings as st
from opeddev_tui.bus import Bus
from opeddev_tui.deciders import Decider, StopRequested
from opeddev_tui.errors import StorageProblem
from opeddev_tui.scoring import Scorer
from opeddev_tui.training import NonFiniteLoss, Wish

HARDWARE_EVERY = 5.0  # seconds


class RunFiles(Struct, frozen=True):
    """Where a run writes; ``pinned`` tells which of its checkpoints a person wants to keep."""

    checkpoints: Path
    metrics_csv: Path
    observations: Path
    pinned: Callable[[], list[Path]] = list


class Session:
    """The hooks of one training."""

    def __init__(
        self,
        *,
        settings: st.Settings,
        bus: Bus,
        control: ctl.Control,
        files: RunFiles,
        scorer: Scorer,
        decider: Decider,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._control = control
        self._files = files
        self._scorer = scorer
        self._stop: ctl.Stop | None = None
        self._hardware_at = 0.0
        self._decider = decider

    @property
    def stop_reason(self) -> str | None:
        """Why a person wants the run to end, None if nobody does."""
        return self._stop.reason if self._stop is not None else None

    def heed_stop(self) -> None:
        """Raise ``StopRequested`` if somebody wants the run to end; for places where everything is on disk."""
        self._stop = self._stop or self._control.take_stop()
        if self._stop is not None:
            raise StopRequested(self._stop.reason)

    # --- what the Trainer tells -----------------------------------------------------------------------------

    def logged(self, point: ev.Progress) -> None:
        """Record a logged point, and the machine's readings now and then."""
        self._bus.emit(point)
        if point.at - self._hardware_at >= HARDWARE_EVERY:
            self._hardware_at = point.at
            self._bus.emit(hardware.sample())

    def stepped(self, global_step: int, epoch: float, *, boundary: bool) -> Wish:
        """Take commands after an optimizer step; wait while paused."""
        save = False
        for command in self._control.take():
            if isinstance(command, ctl.Pause):
                self._pause(global_step, epoch)
            elif isinstance(command, ctl.SaveNow):
                save = True
            else:
                self.on_command(command, global_step, epoch)
        return Wish(save=save, stop=self._stop is not None and not boundary)

    def _pause(self, global_step: int, epoch: float) -> None:
        self._bus.emit(ev.Paused(global_step=global_step))
        while self._stop is None:
            for command in self._control.wait():
                if isinstance(command, ctl.Resume):
                    self._bus.emit(ev.Unpaused(global_step=global_step))
                    return
                self.on_command(command, global_step, epoch)

    def on_command(self, command: ctl.AnyCommand, global_step: int | None = None, epoch: float | None = None) -> None:
        """Carry out a command that can be carried out anywhere."""
        at_step = self._last_step() if global_step is None else global_step
        match command:
            case ctl.Stop():
                self._stop = command
            case ctl.SampleNow():
                at_epoch = at_step / max(1, self._steps_per_epoch()) if epoch is None else epoch
                self._scorer.sample(at_epoch, at_step, on_demand=True)
            case ctl.Record(fact=ev.Annotated() as note):
                self._annotate(note)
            case ctl.Record(fact=rating):
                self._bus.emit(rating)
            case _:
                pass  # a decision for a question that is no longer open, or a resume without a pause

    def _annotate(self, event: ev.Annotated) -> None:
        """Keep a person's words in the journal and in the file; a file that takes none does not end a training."""
        self._bus.emit(event)
        try:
            observations.keep_note(self._files.observations, self._bus.state, event)
        except StorageProblem as problem:
            self._bus.emit(ev.Warned(message=f"the note is in the journal only: {problem}"))

    def trained_rows(self, epoch: int, rows: Sequence[int], from_step: int) -> None:
        """Record which rows an epoch saw, in order."""
        self._bus.emit(ev.RowsTrained(epoch=epoch, rows=tuple(rows), from_step=from_step))

    def evaluate(self, epoch: int, global_step: int) -> float:
        """Score the hold-out, read grades, generate the probe prompts; return the hold-out loss."""
        result = self._scorer.score(epoch)
        if not math.isfinite(result.loss):
            raise NonFiniteLoss(global_step, result.loss)
        self._bus.emit(result)
        if self._settings.grading.evaluate and self._scorer.graded():
            self._bus.emit(self._scorer.grades(epoch))
        self._scorer.sample(epoch, global_step)
        return result.loss

    def saved(self, folder: Path, global_step: int, epoch: float) -> None:
        """Publish a checkpoint and rotate the older ones."""
        self._phase("saving", f"checking {folder.name}")
        manifest = checkpoints.publish(folder, self._manifest(global_step, epoch))
        self._bus.emit(checkpoints.saved_event(folder, manifest))
        self._rotate()

    def close_epoch(self, epoch: int, global_step: int, samples_per_second: float | None) -> bool:
        """Record the epoch's row, ask whether to go on; True to train another epoch."""
        state = self._bus.state
        if epoch not in state.holdout:
            self.evaluate(epoch, global_step)
        if epoch not in state.epochs:
            self._bus.emit(
                ev.EpochFinished(
                    epoch=epoch,
                    train_loss=state.curves.mean_loss(epoch) if epoch else None,
                    val_loss=state.holdout[epoch].loss,
                    samples_per_second=samples_per_second,
                    global_step=global_step,
                    checkpoint=self._checkpoint_at(global_step),
                )
            )
        metrics.write_metrics(self._files.metrics_csv, state)
        if epoch == 0:
            return True
        return self._decided(epoch)

    # --- the decision ---------------------------------------------------------------------------------------

    def _decided(self, epoch: int) -> bool:
        known = self._bus.state.decided(epoch)
        if known is None:
            known = self._ask(epoch)
            self._bus.emit(known)
            if known.note:
                self._annotate(ev.Annotated(epoch=epoch, note=known.note))
        if known.choice == "continue":
            self._phase("training", f"epoch {epoch + 1} of at most {self.limits.max_epochs}")
        return known.choice == "continue"

    def _ask(self, epoch: int) -> ev.Decided:
        question = self._pending(epoch)
        self.heed_stop()
        if question.verdict.limit_reached:
            return ev.Decided(epoch=epoch, choice="stop", by="limit", verdict=question.verdict)
        self._phase("waiting", "for a decision")
        return self._decider.decide(lambda: self._pending(epoch), self.on_command)

    def _pending(self, epoch: int) -> ev.DecisionAwaited:
        """Return the open question; it is recorded anew when ratings have changed its verdict."""
        state = self._bus.state
        verdict = decision.judge(epoch, state.holdout, self.limits, self._human_scores())
        open_now = state.question
        # a run that was taken up again asks anew, with a new deadline
        asked = open_now is not None and state.status == "awaiting"
        if open_now is not None and asked and open_now.epoch == epoch and open_now.verdict == verdict:
            return open_now
        minutes = self._settings.early_stop.decision_timeout_minutes
        deadline = time.time() + 60 * minutes if minutes else None
        question = ev.DecisionAwaited(
            epoch=epoch, verdict=verdict, max_epochs=self.limits.max_epochs, deadline=deadline
        )
        self._bus.emit(question)
        return question

    @property
    def limits(self) -> decision.Limits:
        """The limits of this step."""
        stop = self._settings.early_stop
        return decision.Limits(
            planned_epochs=self._settings.training.num_train_epochs,
            max_extra_epochs=stop.max_extra_epochs,
            min_delta=stop.min_delta,
            significant=stop.mode == "significant",
            confidence=stop.confidence,
        )

    def _human_scores(self) -> dict[int, float]:
        return human.shares(self._bus.state)

    # --- checkpoints ----------------------------------------------------------------------------------------

    def _manifest(self, global_step: int, epoch: float) -> checkpoints.Manifest:
        started = self._bus.state.begun
        evaluated = self._bus.state.holdout.get(round(epoch)) if float(epoch).is_integer() else None
        return checkpoints.Manifest(
            run=started.run,
            step=started.step,
            global_step=global_step,
            epoch=epoch,
            parent=started.parent,
            files={},
            lora=started.lora,
            base=started.source if started.lora else "",
            val_loss=evaluated.loss if evaluated else None,
            rows=started.rows,
        )

    def _rotate(self) -> None:
        state = self._bus.state
        best = state.best_epoch()
        kept = [self._files.checkpoints / Path(state.epochs[best].checkpoint).name] if best is not None else []
        # the epoch just saved has no row yet but may be the best
        removed = checkpoints.rotate(
            self._files.checkpoints,
            keep=self._settings.training.save_total_limit,
            protected=[*kept, *self._files.pinned()],
        )
        for folder in removed:
            self._bus.emit(ev.CheckpointRemoved(path=ev.checkpoint_name(folder), reason="older than the newest kept"))

    def _checkpoint_at(self, global_step: int) -> str:
        name = ev.checkpoint_name(checkpoints.folder_for(self._files.checkpoints, global_step))
        return name if name in self._bus.state.checkpoints else ""

    # --- small things ---------------------------------------------------------------------------------------

    def _phase(self, phase: str, detail: str = "") -> None:
        self._bus.emit(ev.PhaseChanged(phase=phase, detail=detail))

    def _last_step(self) -> int:
        progress = self._bus.state.progress
        return progress.global_step if progress else 0

    def _steps_per_epoch(self) -> int:
        return self._bus.state.data.steps_per_epoch if self._bus.state.data else 1
