"""Show a training in a plain terminal: a progress bar with ETA, a line per epoch, how to answer a question.

Only shows: questions are answered by the app or by ``decide``.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from opeddev_tui import events as ev
from opeddev_tui.format import size
from opeddev_tui.state import RunState
from opeddev_tui.text import clean, clean_line


class ConsoleView:
    """A sink that shows events with Rich. Events of the past (a resumed run) are not told again.

    ``answer_with`` is the command that answers the question after an epoch; empty where no person is asked.
    """

    def __init__(self, console: Console, answer_with: str = "") -> None:
        self._console = console
        self._answer_with = answer_with
        self._state = RunState()
        self._live = False
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None, loss="")

    def __enter__(self) -> "ConsoleView":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def emit(self, event: ev.AnyEvent) -> None:
        """Show one event."""
        if isinstance(event, ev.RunStarted):
            self._state = RunState()
        self._state.apply(event)
        tell = _TELL.get(type(event))
        if tell is not None:
            tell(self, event)

    def say(self, text: str, style: str = "") -> None:
        """Print a line above the bar."""
        self._console.print(Text(clean(text), style=style))

    def tell_question(self, question: ev.DecisionAwaited) -> None:
        """Say that the training waits for a person, and how to answer it."""
        if not self._answer_with or question.verdict.limit_reached:
            return
        self.say(f"    verdict: {question.verdict.choice} ({'; '.join(question.verdict.reasons)})")
        # one line, however narrow the terminal: it is there to be copied
        told = f"    epoch {question.epoch} waits for your decision: {self._answer_with}"
        self._console.print(Text(clean(told)), soft_wrap=True)

    def describe(self, text: str, **fields: Any) -> None:
        """Change the bar."""
        self._progress.update(self._task, description=clean_line(text), **fields)


def _started(view: ConsoleView, event: ev.RunStarted) -> None:
    origin = f"from {event.parent}" if event.parent else f"from {event.model}"
    view.say(f"step {event.step} ({event.batch}): {event.rows} rows, hold-out {event.holdout_rows} rows, {origin}")


def _model(view: ConsoleView, event: ev.ModelLoaded) -> None:
    view.say(f"  {event.parameters / 1e6:.1f} M parameters on {event.device}, {event.precision}: {event.reason}")


def _data(view: ConsoleView, event: ev.DataPrepared) -> None:
    if event.dropped:
        view.say(
            f"  {len(event.dropped)} rows do not fit data.max_length and are left out: {', '.join(event.dropped[:3])}"
        )
    if event.shortened:
        view.say(f"  {event.shortened} rows lost the middle of their prompt (data.max_length)")


def _memory(view: ConsoleView, event: ev.MemoryEstimated) -> None:
    if event.verdict != "fits":
        need = f"{size(event.total)} needed, {size(event.free)} free"
        view.say(f"  memory: {event.verdict} (estimate: {need}). It would help: {'; '.join(event.advice)}")


def _phase(view: ConsoleView, event: ev.PhaseChanged) -> None:
    view.describe(f"{event.phase} {event.detail}".strip())


def _point(view: ConsoleView, event: ev.Progress) -> None:
    data = view._state.data
    loss = "" if event.loss is None else f"loss {event.loss:.4f}"
    view.describe(
        f"epoch {event.epoch:.2f}", completed=event.global_step, total=data.total_steps if data else None, loss=loss
    )


def _epoch(view: ConsoleView, event: ev.EpochFinished) -> None:
    train = "" if event.train_loss is None else f"train {event.train_loss:.4f}  "
    grades = view._state.grades.get(event.epoch)
    text = f"  epoch {event.epoch}: {train}hold-out {event.val_loss:.4f}"
    if grades is not None:
        text += f"  grades: parsed {grades.parsed:.0%}, exact {grades.exact:.0%} (majority {grades.majority_exact:.0%})"
    view.say(text)


def _awaited(view: ConsoleView, event: ev.DecisionAwaited) -> None:
    view.tell_question(event)


def _decided(view: ConsoleView, event: ev.Decided) -> None:
    view.say(f"    {event.choice} ({event.by}): {'; '.join(event.verdict.reasons)}")


def _samples(view: ConsoleView, event: ev.SamplesGenerated) -> None:
    if event.samples:
        view.say(f"    first probe: {clean_line(event.samples[0].text, max_chars=150)!r}")


def _finished(view: ConsoleView, event: ev.RunFinished) -> None:
    best = "" if event.best_epoch == event.epochs else f" (best: epoch {event.best_epoch})"
    view.say(f"  step done after {event.epochs} epochs{best}: {event.last_checkpoint}")


def _interrupted(view: ConsoleView, event: ev.Interrupted) -> None:
    view.say(f"  stopped ({event.reason}) at optimizer step {event.global_step}; train again to go on")


def _resumed(view: ConsoleView, event: ev.Resumed) -> None:
    view.say(f"  resuming at optimizer step {event.global_step} from {event.checkpoint or 'the beginning'}")


def _said(pattern: str) -> Callable[[ConsoleView, Any], None]:
    return lambda view, event: view.say(pattern.format(event=event))


_TELL: dict[type, Callable[[ConsoleView, Any], None]] = {
    ev.RunStarted: _started,
    ev.ModelLoaded: _model,
    ev.MemoryEstimated: _memory,
    ev.DataPrepared: _data,
    ev.PhaseChanged: _phase,
    ev.Progress: _point,
    ev.EpochFinished: _epoch,
    ev.DecisionAwaited: _awaited,
    ev.Decided: _decided,
    ev.SamplesGenerated: _samples,
    ev.RunFinished: _finished,
    ev.Interrupted: _interrupted,
    ev.Resumed: _resumed,
    ev.Warned: _said("  note: {event.message}"),
    ev.CheckpointRejected: _said("  {event.path} cannot be trusted: {event.problem}"),
    ev.MemoryRetried: _said("  out of memory: batch {event.batch_size} × {event.accumulation} from now on"),
}
