"""Owns a person's notes on runs: ``observations.md``, their way into the journal, and what comes after a step.

Whoever writes an ``Annotated`` into a journal also keeps it in the file: the training while it runs, this module for
a run that is over.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opeddev_tui import events as ev
from opeddev_tui import human
from opeddev_tui.control import Record, send
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.format import moment
from opeddev_tui.journal import Journal, read
from opeddev_tui.lock import RunLock, lock_holder
from opeddev_tui.settings import Settings
from opeddev_tui.state import RunState, reduce
from opeddev_tui.storage import told_clearly
from opeddev_tui.text import clean, clean_line
from opeddev_tui.workspace import Workspace

TITLE = "# Observations\n"
# a training of this process may still be giving its lock back
_LOCK_SECONDS = 2.0


def render(state: RunState, epoch: int | None, note: str, at: float) -> str:
    """Return an observation as Markdown: where, the metrics, the verdict, the decision, the note."""
    started = state.started
    epoch = max(state.epochs, default=0) if epoch is None else epoch
    step = f"Step {started.step} ({clean_line(started.batch)})" if started else "No step"
    when = moment(at)
    facts = [f"run: {clean_line(started.run)}" if started else "", *_metrics(state, epoch), *_decision(state, epoch)]
    lines = [f"## {step}, epoch {epoch} · {when}", "", *(f"- {fact}" for fact in facts if fact), ""]
    return "\n".join([*lines, clean(note).strip() or "(no words)", ""])


def _metrics(state: RunState, epoch: int) -> list[str]:
    row, first, grades = state.epochs.get(epoch), state.holdout.get(0), state.grades.get(epoch)
    told: list[str] = []
    if row is not None:
        train = f"train loss {row.train_loss:.4f}, " if row.train_loss is not None else ""
        change = f" ({row.val_loss - first.loss:+.4f} from before the step)" if first is not None and epoch else ""
        told.append(f"metrics: {train}hold-out loss {row.val_loss:.4f}{change}")
    if grades is not None:
        kappa = f", kappa {grades.kappa:.2f}" if grades.kappa is not None else ""
        told.append(
            f"grades: parsed {grades.parsed:.0%}, exact {grades.exact:.0%} (always the commonest "
            f"{grades.majority_exact:.0%}), within one {grades.within_one:.0%}{kappa}"
        )
    rated = human.scores(state).get(epoch)
    if rated is not None:
        low, high = rated.interval
        told.append(f"human evaluation: {rated.value:.2f} ({low:.2f} to {high:.2f}, {rated.rated} rated)")
    return told


def _decision(state: RunState, epoch: int) -> list[str]:
    decided = state.decided(epoch)
    question = state.question if state.question is not None and state.question.epoch == epoch else None
    verdict = decided.verdict if decided is not None else question.verdict if question is not None else None
    told: list[str] = []
    if verdict is not None:
        told.append(f"verdict: {verdict.choice} ({clean_line('; '.join(verdict.reasons))})")
    if decided is not None:
        told.append(f"decision: {decided.choice}, by {clean_line(decided.by)}")
    return told


def keep(path: Path, text: str) -> None:
    """Append ``text`` to the file at ``path``: all of it or, on a full disk, nothing. Raises ``StorageProblem``."""
    with told_clearly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            _append_or_undo(descriptor, size, f"\n{text}" if size else f"{TITLE}\n{text}")
        finally:
            os.close(descriptor)


def _append_or_undo(descriptor: int, size: int, text: str) -> None:
    rest = text.encode(errors="replace")
    try:
        while rest := rest[os.write(descriptor, rest) :]:
            pass
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def keep_note(path: Path, state: RunState, event: ev.Annotated) -> None:
    """Keep an observation that is in the journal in the file, too."""
    keep(path, render(state, event.epoch, event.note, event.at))


# --- a run that is over


def record(workspace: Workspace, run: str, events: Sequence[ev.AnyEvent]) -> None:
    """Add a person's ratings or notes to the journal of ``run``, which nobody trains at the moment.

    Raises ``BusyProblem`` where a training might be writing that journal.
    """
    folder = workspace.run_folder(run)
    if not folder.is_dir():
        raise TrainingProblem(f"there is no run {run}.", cure="See the runs with: opeddev-tui status.")
    with _sole_writer(workspace, folder):
        journal = Journal(folder)
        try:
            for event in events:
                journal.emit(event)
        finally:
            journal.close()
        notes = [event for event in events if isinstance(event, ev.Annotated)]
        if notes:
            state = reduce(read(folder))
            for note in notes:
                keep_note(workspace.path(workspace.paths.observations), state, note)


@contextmanager
def _sole_writer(workspace: Workspace, folder: Path) -> Iterator[None]:
    """Hold the workspace's lock; a finished run needs none, since no training writes its journal ever again."""
    if reduce(read(folder)).status == "finished":
        yield
        return
    lock = RunLock(workspace)
    lock.acquire(_LOCK_SECONDS)
    try:
        yield
    finally:
        lock.release()


def annotate(workspace: Workspace, run: str, note: str, epoch: int | None = None) -> str:
    """Keep ``note`` with ``run``, through the training if it is being trained; return what was done, in words."""
    state = reduce(read(workspace.run_folder(run)))
    if epoch is None and state.epochs:
        epoch = max(state.epochs)
    newest = next(iter(reversed(workspace.run_ids())), "")
    said = ev.Annotated(epoch=epoch, note=note)
    if not state.over and run == newest and lock_holder(workspace) is not None:
        send(workspace.run_folder(run), Record(said))
        return "handed to the running training, which keeps it at its next optimizer step"
    record(workspace, run, [said])
    return f"kept in {workspace.relative(workspace.path(workspace.paths.observations))} and in the journal"


# --- what comes next


def whats_next(state: RunState, settings: Settings) -> str:
    """Return which checkpoint the next step starts from, and how to choose another one. Empty for an unfinished run."""
    finished = state.finished
    if finished is None or state.repeats:
        return ""
    last, best = finished.epochs, finished.best_epoch
    wants_best = settings.training.start_from == "best"
    start = best if wants_best else last
    path = finished.best_checkpoint if wants_best else finished.last_checkpoint
    name = clean_line(Path(path).name) or "its checkpoint"
    if best == last:
        return f"The next step starts from {name}: epoch {last}, the latest and the best."
    losses = {epoch: f" ({row.val_loss:.4f})" for epoch, row in state.epochs.items()}
    words = f"The next step starts from {name}: epoch {start}{losses.get(start, '')}, the "
    if wants_best:
        return (
            f"{words}best; the latest is epoch {last}{losses.get(last, '')}. "
            'To start from that: training.start_from = "latest", or opeddev-tui train --from latest.'
        )
    return (
        f"{words}latest. Epoch {best}{losses.get(best, '')} was better: "
        'to start from that, training.start_from = "best", or opeddev-tui train --from best.'
    )
