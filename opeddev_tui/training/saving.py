"""Publish the checkpoints that the Trainer saved, with the grade head beside the weights, and delete old ones."""

from pathlib import Path

from opeddev_tui.checkpoints import folders as checkpoints
from opeddev_tui.config import settings as st
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.training.run_files import RunFiles
from opeddev_tui.training.scorer import Scorer


class CheckpointSaver:
    """Publishes and deletes the checkpoints of one attempt at a run, and records both."""

    def __init__(self, settings: st.Settings, bus: Bus, files: RunFiles, scorer: Scorer) -> None:
        self._settings = settings
        self._bus = bus
        self._files = files
        self._scorer = scorer

    def publish(self, folder: Path, global_step: int, epoch: float) -> None:
        """Publish the checkpoint in ``folder``; raises ``StorageProblem``."""
        grades = self._scorer.step_grades
        beside = grades.beside(folder, epoch) if grades is not None else None
        manifest = checkpoints.publish(folder, self._manifest(global_step, epoch), beside=beside)
        self._bus.emit(checkpoints.saved_event(folder, manifest))

    def rotate(self) -> None:
        """Delete the oldest checkpoints beyond the limit; the best, pinned and newest ones are kept."""
        state = self._bus.state
        protected = self._files.pinned()
        best = state.best_epoch()
        if best is not None:
            protected = [*protected, self._files.checkpoints / Path(state.epochs[best].checkpoint).name]
        removed = checkpoints.rotate(
            self._files.checkpoints, keep=self._settings.training.save_total_limit, protected=protected
        )
        for folder in removed:
            self._bus.emit(ev.CheckpointRemoved(path=ev.checkpoint_name(folder), reason="older than the newest kept"))

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
            base_identity=started.base_identity,
            val_loss=evaluated.loss if evaluated else None,
            rows=started.rows,
            processes=self._settings.training.num_processes,
            grades_with=self._base_of_head,
        )

    @property
    def _base_of_head(self) -> str:
        """The base model that the grade head beside the weights needs, empty without a head."""
        grades = self._scorer.step_grades
        return self._settings.model.name if grades is not None and grades.base is not None else ""
