"""Keep a person's notes on runs, in the run's journal and in ``observations.md``.

The process that writes an ``Annotated`` event into a journal also adds it to the file: the training while it runs, else
this module.
"""

import fcntl
import os
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from opeddev_tui.errors import TrainingProblem
from opeddev_tui.files import fsync, open_file, read_file, storage_errors, storage_problem
from opeddev_tui.format import moment, share
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import ratings
from opeddev_tui.runs.cheap_ways import to_beat
from opeddev_tui.runs.control import Record
from opeddev_tui.runs.delivery import deliver
from opeddev_tui.runs.grade_words import read_by
from opeddev_tui.runs.journal import Journal, read
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.runs.verdict_words import reasons_of
from opeddev_tui.text import clean, clean_line
from opeddev_tui.workspace.lock import RunLock, lock_holder
from opeddev_tui.workspace.paths import Workspace

TITLE = "# Observations\n"
# seconds; a training that just ended may still be releasing its lock
_LOCK_SECONDS = 2.0
# how long a note waits for a training to say that it has it
PATIENCE_SECONDS = 10.0


def render(state: RunState, epoch: int | None, note: str, at: float) -> str:
    """Return a note as Markdown, under its step and epoch, with the metrics, the verdict and the decision."""
    started = state.started
    epoch = max(state.epochs, default=0) if epoch is None else epoch
    step = f"Step {started.step} ({clean_line(started.batch)})" if started else "No step"
    facts = [f"run: {clean_line(started.run)}" if started else "", *_metrics(state, epoch), *_decision(state, epoch)]
    lines = [f"## {step}, epoch {epoch} · {moment(at)}", "", *(f"- {fact}" for fact in facts if fact), ""]
    return "\n".join([*lines, clean(note).strip() or "(no words)", ""])


def _metrics(state: RunState, epoch: int) -> list[str]:
    row, first, grades = state.epochs.get(epoch), state.holdout.get(0), state.grades.get(epoch)
    facts: list[str] = []
    if row is not None:
        train = f"train loss {row.train_loss:.4f}, " if row.train_loss is not None else ""
        change = f" ({row.val_loss - first.loss:+.4f} from before the step)" if first is not None and epoch else ""
        facts.append(f"metrics: {train}hold-out loss {row.val_loss:.4f}{change}")
    if grades is not None:
        kappa = f", kappa {grades.kappa:.2f}" if grades.kappa is not None else ""
        exact = f"exact {share(grades.exact)} (to beat: {share(to_beat(grades).value)})"
        facts.append(f"grades by {read_by(grades.way)}: {exact}, within one {share(grades.within_one)}{kappa}")
    score = ratings.scores(state).get(epoch)
    if score is not None:
        low, high = score.interval
        facts.append(f"human evaluation: {score.value:.2f} ({low:.2f} to {high:.2f}, {score.rated} rated)")
    return facts


def _decision(state: RunState, epoch: int) -> list[str]:
    decided = state.decided(epoch)
    question = state.question if state.question is not None and state.question.epoch == epoch else None
    verdict = decided.verdict if decided is not None else question.verdict if question is not None else None
    facts: list[str] = []
    if verdict is not None:
        facts.append(f"verdict: {verdict.choice} ({clean_line('; '.join(reasons_of(verdict, state)))})")
    if decided is not None:
        facts.append(f"decision: {decided.choice}, by {clean_line(decided.by)}")
    return facts


def keep(path: Path, text: str) -> None:
    """Append ``text`` to the file at ``path``, all of it or nothing; raises ``StorageProblem``."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
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
        fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def keep_note(path: Path, state: RunState, event: ev.Annotated) -> None:
    """Add a note that is in the journal to the file at ``path``."""
    keep(path, render(state, event.epoch, event.note, event.at))


def complete_file(path: Path, state: RunState, event: ev.Annotated) -> bool:
    """Add a note that is in the journal to the file at ``path``; return False where that has it already.

    The file alone may have failed. Raises ``StorageProblem``.
    """
    try:
        written = read_file(path).decode(errors="replace")
    except FileNotFoundError:
        written = ""
    except OSError as error:
        raise storage_problem(error, path, "read") from error
    if clean(event.note).strip() in written:
        return False
    keep_note(path, state, event)
    return True


def record(workspace: Workspace, run: str, events: Sequence[ev.AnyEvent]) -> None:
    """Add a person's ratings or notes, or warnings, to the journal of ``run``, which no process trains at the moment.

    Raises ``TrainingProblem`` if there is no such run, ``BusyProblem`` if a training might be writing its journal.
    """
    folder = workspace.run_folder(run)
    if not folder.is_dir():
        raise TrainingProblem(f"there is no run {run}.", cure="See the runs with: opeddev-tui status.")
    # no training ever writes the journal of a finished run again, so it needs no lock
    is_finished = reduce(read(folder)).status == "finished"
    with nullcontext() if is_finished else RunLock(workspace, _LOCK_SECONDS):
        with closing(Journal(folder)) as journal:
            for event in events:
                journal.emit(event)
        state = reduce(read(folder))
        for event in events:
            if isinstance(event, ev.Annotated):
                keep_note(workspace.path(workspace.paths.observations), state, event)


def annotate(workspace: Workspace, run: str, note: str, epoch: int | None = None) -> str:
    """Add ``note`` to ``run``, through the training if one writes it; return a sentence on what was done.

    Raises ``TrainingProblem`` for an epoch that the run does not have, ``BusyProblem``, ``StorageProblem``.
    """
    state = reduce(read(workspace.run_folder(run)))
    if epoch is None and state.epochs:
        epoch = max(state.epochs)
    if epoch is not None and epoch not in state.epochs:
        known = f"It has epochs {min(state.epochs)} to {max(state.epochs)}." if state.epochs else "It has none yet."
        raise TrainingProblem(f"run {run} has no epoch {epoch}.", cure=known)
    newest = next(iter(reversed(workspace.run_ids())), "")
    event = ev.Annotated(epoch=epoch, note=note)
    place = f"{workspace.relative(workspace.path(workspace.paths.observations))} and in the journal"
    # a run that is over may be the one that a training is about to resume
    if state.status != "finished" and run == newest and lock_holder(workspace) is not None:
        outcome = deliver(workspace, run, Record(event, run=run), PATIENCE_SECONDS)
        if outcome.fate == "done":
            return f"the running training has kept it in {place}"
        if outcome.fate in ("waiting", "lost"):
            busy = "is busy and keeps it as soon as it can" if outcome.fate == "waiting" else "has just ended"
            return f"it lies in the run's mailbox: the training {busy}; a kill does not lose it"
    record(workspace, run, [event])
    return f"kept in {place}"
