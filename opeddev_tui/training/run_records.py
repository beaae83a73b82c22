"""Record how a run begins and ends in its journal: what trains on what, finished, interrupted or failed."""

import logging
from pathlib import Path

from opeddev_tui.checkpoints import folders
from opeddev_tui.errors import Problem
from opeddev_tui.models.fingerprint import parameter_counts
from opeddev_tui.models.precision import device_name
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.training.inputs import StepTokens
from opeddev_tui.training.model_in_use import ModelInUse
from opeddev_tui.training.trainer_arguments import Plan

_LOG = logging.getLogger(__name__)


def begun(bus: Bus, loaded: ModelInUse, tokens: StepTokens, plan: Plan) -> None:
    """Record the model and the rows of an attempt that begins."""
    parameters, trainable = parameter_counts(loaded.model)
    bus.emit(
        ev.ModelLoaded(
            device=device_name(),
            precision=loaded.precision.name,
            reason=loaded.precision.reason,
            parameters=parameters,
            trainable=trainable,
        )
    )
    train = tokens.train
    steps_per_epoch = plan.steps_per_epoch(len(train.rows))
    bus.emit(
        ev.DataPrepared(
            rows=len(train.rows),
            tokens=sum(row.length for row in train.rows),
            loss_tokens=sum(len(row.completion) for row in train.rows),
            steps_per_epoch=steps_per_epoch,
            total_steps=steps_per_epoch * plan.max_epochs,
            batch_size=plan.batch_size,
            accumulation=plan.accumulation,
            learning_rate=plan.learning_rate,
            dropped=tuple(train.dropped),
            shortened=train.shortened,
            processes=plan.processes,
        )
    )
    bus.emit(ev.TokensCounted(batches=tokens.stats))


def finished(bus: Bus) -> None:
    """Record that the step is trained."""
    state = bus.state
    last = max(state.epochs)
    best = state.best_epoch()
    assert best is not None
    bus.emit(
        ev.RunFinished(
            epochs=last,
            last_checkpoint=state.epochs[last].checkpoint,
            best_checkpoint=state.epochs[best].checkpoint,
            best_epoch=best,
            val_loss=state.epochs[last].val_loss,
            metric=state.begun.metric,
        )
    )


def interrupted(bus: Bus, checkpoints: Path, reason: str) -> None:
    """Record that a person ended the run, and the checkpoint in the folder ``checkpoints`` that it resumes from."""
    folder = folders.newest_verified(checkpoints, for_resume=True).folder
    step = folders.step_of(folder) if folder else None
    name = ev.checkpoint_name(folder) if folder else ""
    bus.emit(ev.Interrupted(reason=reason, checkpoint=name, global_step=step or 0))


def failed(bus: Bus, error: BaseException) -> None:
    """Record that the run failed with ``error``, and whether it can be resumed."""
    if isinstance(error, Problem):
        resumable = error.kind != "non-finite"
        again = resumable and error.kind not in ("settings", "data", "model")
        event = ev.RunFailed(kind=error.kind, message=str(error), resumable=resumable, again=again)
    else:
        # a bug, or a process that is ending
        _LOG.error("the training ended with an error", exc_info=error)
        event = ev.RunFailed(kind="bug", message=f"{type(error).__name__}: {error}", again=not _repeats(error))
    try:
        bus.emit(event)
    except Problem as problem:
        # the journal's disk is full: the failure is still shown, and the next start finds an unfinished run
        _LOG.error("the end of the run could not be recorded: %s", problem)
        bus.show_only(event)


def _repeats(error: BaseException) -> bool:
    """True for errors of code and data, which come again; a machine's errors and a person's interruptions need not."""
    machine = isinstance(error, OSError | MemoryError | RuntimeError)
    return isinstance(error, Exception) and (not machine or isinstance(error, RecursionError | NotImplementedError))
