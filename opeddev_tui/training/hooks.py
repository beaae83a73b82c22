"""Trainer hooks: take commands after an optimizer step; evaluate, sample, save and ask after each epoch.

Must know neither the Trainer nor a screen. Each part of an epoch's end is done only if the journal does not have it
yet, so a run that was killed between two parts goes on with the next one.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from opeddev_tui.analysis import early_stopping
from opeddev_tui.checkpoints import folders as checkpoints
from opeddev_tui.config import settings as st
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.runs import control as ctl
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import metrics_csv as metrics
from opeddev_tui.runs import ratings
from opeddev_tui.runs.bus import Bus
from opeddev_tui.training import hardware
from opeddev_tui.training.deciders import ControlDecider, Decider, StopRequested
from opeddev_tui.training.next_step import NextStepChoices
from opeddev_tui.training.receipts import Receipts
from opeddev_tui.training.run_files import RunFiles
from opeddev_tui.training.saving import CheckpointSaver
from opeddev_tui.training.scorer import Scorer

# seconds between two readings of the machine
HARDWARE_EVERY = 5.0


class AfterStep(Struct, frozen=True):
    """What the Trainer is asked to do after an optimizer step."""

    save: bool = False
    stop: bool = False


class NonFiniteLoss(TrainingProblem):
    """The loss is not a finite number; nothing trained since the last checkpoint can be used."""

    kind = "non-finite"

    def __init__(self, global_step: int, loss: float) -> None:
        what = f"became {loss} at optimizer step {global_step}" if global_step else f"is {loss} before any training"
        cure = "Lower training.learning_rate" if global_step else "The model's weights may be damaged: take them again"
        cure += ' (or set model.precision = "fp32") and start a new run: opeddev-tui train --new.'
        super().__init__(f"the loss {what}.", cure=cure)


class RunHooks:
    """The hooks of one attempt at a run; all methods run on the training thread."""

    def __init__(
        self,
        *,
        settings: st.Settings,
        bus: Bus,
        control: ctl.Control,
        files: RunFiles,
        scorer: Scorer,
        decider: Decider,
        next_step: NextStepChoices,
        loads: Callable[[], Sequence[ev.GpuReading]] = tuple,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._control = control
        self._files = files
        self._scorer = scorer
        self._saver = CheckpointSaver(settings, bus, files, scorer)
        self._receipts = Receipts(bus, control, files.observations)
        self._stop: ctl.Stop | None = None
        self._hardware_at = 0.0
        self._decider = decider
        self._next_step = next_step
        # of the GPUs of other ranks
        self._loads = loads

    @property
    def stop_reason(self) -> str | None:
        """Why a person asked the run to end, None if nobody did."""
        return self._stop.reason if self._stop is not None else None

    def raise_if_stopped(self) -> None:
        """Raise ``StopRequested`` if a person asked the run to end; call it only where everything is on disk."""
        self._stop = self._stop or self._control.take_stop()
        if self._stop is not None:
            raise StopRequested(self._stop.reason)

    # --- called by the Trainer ------------------------------------------------------------------------------

    def logged(self, point: ev.Progress) -> None:
        """Record a logged point and, every few seconds, readings of the machine."""
        self._bus.emit(point)
        if point.at - self._hardware_at >= HARDWARE_EVERY:
            self._hardware_at = point.at
            self._bus.emit(hardware.sample(self._loads()))

    def stepped(self, global_step: int, epoch: float, *, boundary: bool, save: Callable[[], None]) -> AfterStep:
        """Carry out commands after an optimizer step and wait while paused.

        ``boundary``: the epoch ends here. ``save`` saves and publishes a checkpoint at once.
        """
        save_after = False
        commands = self._control.take()
        for number, command in enumerate(commands, 1):
            if isinstance(command, ctl.Pause):
                # what came with it must be seen while it lasts
                self._control.put_back(commands[number:])
                self._receipts.done(command)
                self._pause(global_step, epoch, save)
                break
            if isinstance(command, ctl.SaveNow):
                save_after = True
            else:
                self.on_command(command, global_step, epoch)
        self._receipts.report_refused()
        return AfterStep(save=save_after, stop=self._stop is not None and not boundary)

    def _pause(self, global_step: int, epoch: float, save: Callable[[], None]) -> None:
        self._bus.emit(ev.Paused(global_step=global_step))
        while self._stop is None:
            commands = self._control.wait()
            for number, command in enumerate(commands, 1):
                if isinstance(command, ctl.Resume):
                    self._control.put_back(commands[number:])
                    self._bus.emit(ev.Unpaused(global_step=global_step))
                    self._receipts.done(command)
                    return
                if isinstance(command, ctl.SaveNow):
                    save()
                else:
                    self.on_command(command, global_step, epoch)
            self._receipts.report_refused()

    def on_command(self, command: ctl.AnyCommand, global_step: int | None = None, epoch: float | None = None) -> None:
        """Carry out a command that needs no particular place; the place is the last logged point unless given."""
        match command:
            case ctl.Stop():
                self._stop = command
            case ctl.SampleNow():
                last = self._bus.state.progress
                at_step = global_step or (last.global_step if last else 0)
                at_epoch = epoch or (last.epoch if last else 0.0)
                self._scorer.sample(at_epoch, at_step, on_demand=True)
                self._receipts.done(command)
            case ctl.Record():
                self._receipts.keep(command)
            case ctl.Adjust():
                self._adjust(command)
            case ctl.Decide():
                self._receipts.refuse(command, f"the question after epoch {command.epoch} is not open")
            case ctl.SaveNow():
                self._receipts.done(command, "the checkpoint of this epoch is saved")
            case _:
                self._receipts.refuse(command, f"the training is {self._bus.state.status}")

    def _adjust(self, command: ctl.Adjust) -> None:
        reason = self._next_step.take(command)
        if reason:
            self._receipts.refuse(command, reason)
            return
        if command.policy and isinstance(self._decider, ControlDecider):
            self._decider.leave_to_rule(command.policy == "rule")
        self._receipts.done(command)

    def trained_rows(self, epoch: int, rows: Sequence[int], from_step: int) -> None:
        """Record which rows were trained in ``epoch`` since ``from_step``, in order."""
        self._bus.emit(ev.RowsTrained(epoch=epoch, rows=tuple(rows), from_step=from_step))

    def evaluate(self, epoch: int, global_step: int) -> float:
        """Score the hold-out, read its grades, generate the probe prompts; return the hold-out loss (nats per token).

        Raises ``NonFiniteLoss`` if that loss is not a finite number.
        """
        result = self._scorer.score(epoch)
        if not math.isfinite(result.loss):
            raise NonFiniteLoss(global_step, result.loss)
        self._bus.emit(result)
        if self._scorer.step_grades is not None:
            self._scorer.step_grades.record(epoch)
        self._scorer.sample(epoch, global_step)
        return result.loss

    def saved(self, folder: Path, global_step: int, epoch: float) -> None:
        """Publish the checkpoint in ``folder``, then delete older ones beyond the limit."""
        self._phase("saving", f"checking {folder.name}")
        self._saver.publish(folder, global_step, epoch)
        self._receipts.saved()
        self._saver.rotate()

    def close_epoch(self, epoch: int, global_step: int, samples_per_second: float | None) -> bool:
        """Record the epoch's results and get the decision; return True to train another epoch.

        Raises ``StopRequested`` where the question is left open.
        """
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
        decision = self._bus.state.decided(epoch)
        if decision is None:
            decision = self._ask(epoch)
            self._bus.emit(decision)
            if decision.note:
                note = ev.Annotated(epoch=epoch, note=decision.note)
                self._bus.emit(note)
                self._receipts.write_note(note)
            self._receipts.decided(decision)
        if decision.choice == "continue":
            self._phase("training", f"epoch {epoch + 1} of at most {self.limits.max_epochs}")
        return decision.choice == "continue"

    def _ask(self, epoch: int) -> ev.Decided:
        question = self._pending(epoch)
        self.raise_if_stopped()
        if question.verdict.limit_reached:
            return ev.Decided(epoch=epoch, choice="stop", by="limit", verdict=question.verdict)
        changed = self._bus.state.policy_changed
        if changed is not None and isinstance(self._decider, ControlDecider):
            self._decider.leave_to_rule(changed.policy == "rule")
        self._phase("waiting", "for a decision")
        return self._decider.decide(lambda: self._pending(epoch), self.on_command)

    def _pending(self, epoch: int) -> ev.DecisionAwaited:
        """Return the open question; it is recorded again when ratings have changed its verdict."""
        state = self._bus.state
        verdict = early_stopping.judge(epoch, state.holdout, self.limits, ratings.shares(state), state.readings)
        # a resumed run is not awaiting: it asks again, with a new deadline
        asked = state.question if state.status == "awaiting" else None
        if asked is not None and (asked.epoch, asked.verdict) == (epoch, verdict):
            return asked
        minutes = self._settings.early_stop.decision_timeout_minutes
        deadline = time.time() + 60 * minutes if minutes else None
        question = ev.DecisionAwaited(
            epoch=epoch, verdict=verdict, max_epochs=self.limits.max_epochs, deadline=deadline
        )
        self._bus.emit(question)
        return question

    @property
    def limits(self) -> early_stopping.Limits:
        """The early-stop rule's limits, from the settings."""
        stop = self._settings.early_stop
        return early_stopping.Limits(
            planned_epochs=self._settings.training.num_train_epochs,
            max_extra_epochs=stop.max_extra_epochs,
            min_delta=stop.min_delta,
            significant=stop.mode == "significant",
            confidence=stop.confidence,
            metric=self._bus.state.begun.metric,
        )

    def _checkpoint_at(self, global_step: int) -> str:
        name = ev.checkpoint_name(checkpoints.folder_for(self._files.checkpoints, global_step))
        return name if name in self._bus.state.checkpoints else ""

    def _phase(self, phase: str, detail: str = "") -> None:
        self._bus.emit(ev.PhaseChanged(phase=phase, detail=detail))
