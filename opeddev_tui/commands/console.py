"""Show a training in a plain terminal: a progress bar with the time left, a line per epoch, how to answer a question.

Must not answer questions: that is done in the app or by ``decide``.
"""

import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.format import duration, share, size
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.cheap_ways import to_beat
from opeddev_tui.runs.control import command_words
from opeddev_tui.runs.grade_words import base_needed, graded_by, read_by, steadied
from opeddev_tui.runs.state import RunState
from opeddev_tui.runs.verdict_words import reasons_of
from opeddev_tui.text import clean_line

# seconds between two drawings of the progress of optimizer steps
_DRAW_SECONDS = 0.1


class ConsoleView:
    """A sink that prints events with Rich; what a resumed run recorded earlier is not printed again.

    It draws when something happens, and uses no processor time while a question is open.

    ``answer_with`` is the command that answers the question after an epoch; empty where no person is asked.
    """

    def __init__(self, console: CleanConsole, answer_with: str = "") -> None:
        self._console = console
        self._answer_with = answer_with
        self._state = RunState()
        self._began = time.time()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
            console=console,
            transient=True,
            auto_refresh=False,
            # where there is nothing to draw on, it would leave an empty line
            disable=not console.is_interactive,
        )
        self._drawn_at = 0.0
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
        if event.at < self._began and not isinstance(event, ev.RunStarted):
            return
        match event:
            case ev.PhaseChanged():
                self._progress.update(self._task, description=clean_line(f"{event.phase} {event.detail}".strip()))
            case ev.Progress():
                self._show_progress(event)
            case ev.DecisionAwaited():
                self._show_question(event)
            case _:
                line = _beginning(event) or _results(event, self._state)
                if line:
                    self._console.say(line)
        if not isinstance(event, ev.Progress) or time.monotonic() - self._drawn_at > _DRAW_SECONDS:
            self._drawn_at = time.monotonic()
            self._progress.refresh()

    def _show_progress(self, point: ev.Progress) -> None:
        data = self._state.data
        self._progress.update(
            self._task,
            description=f"epoch {point.epoch:.2f}",
            completed=point.global_step,
            total=data.total_steps if data else None,
            loss="" if point.loss is None else f"loss {point.loss:.4f}",
        )

    def _show_question(self, question: ev.DecisionAwaited) -> None:
        if not self._answer_with or question.verdict.limit_reached:
            return
        verdict = f"    verdict: {question.verdict.choice} ({'; '.join(reasons_of(question.verdict, self._state))})"
        self._console.say(verdict)
        # on one line, however narrow the terminal is: it is there to be copied
        how = f"    epoch {question.epoch} waits for your decision: {self._answer_with}"
        self._console.say(how, soft_wrap=True)


def _beginning(event: ev.AnyEvent) -> str:
    """Return the line about what is trained, on what, from where; "" for other events."""
    match event:
        case ev.RunStarted():
            held, origin = event.holdout_rows, event.parent or event.model
            return f"step {event.step} ({event.batch}): {event.rows} rows, hold-out {held} rows, from {origin}"
        case ev.ModelLoaded():
            return f"  {event.parameters / 1e6:.1f} M parameters on {event.device}, {event.precision}: {event.reason}"
        case ev.MemoryEstimated() if event.verdict != "fits":
            need = f"{size(event.total)} needed, {size(event.free)} free"
            return f"  memory: {event.verdict} (estimate: {need}). This would help: {'; '.join(event.advice)}"
        case ev.DataPrepared():
            first, dropped = ", ".join(event.dropped[:3]), len(event.dropped)
            many = f"{event.processes} processes" if event.processes > 1 else "1 process"
            lines = [f"  {many}, {event.effective_batch} rows per optimizer step"]
            lines += [f"  {dropped} rows do not fit data.max_length and are left out: {first}"] if dropped else []
            if event.shortened:
                lines.append(f"  {event.shortened} rows lost the middle of their prompt (data.max_length)")
            return "\n".join(lines)
        case ev.RanksStarted():
            places = sorted({f"{place.host} ({place.device})" for place in event.ranks})
            return f"  {len(event.ranks)} processes on {', '.join(places)}, by {event.backend}"
        case ev.RankSilent():
            return f"  rank {event.rank} on {event.host} gives no sign; the training waits for it"
        case ev.Resumed():
            return f"  resuming at optimizer step {event.global_step} from {event.checkpoint or 'the beginning'}"
        case ev.CheckpointRejected():
            return f"  {event.path} cannot be trusted: {event.problem}"
        case ev.Warned():
            return f"  note: {event.message}"
        case ev.CommandTaken() if not event.done:
            return f"  {command_words(event.command)}: not done: {event.reason}"
        case _:
            return ""


def _head_line(event: ev.HeadFitted) -> str:
    """Return the line about a fitted grade head; where there is none, a note of the run says why."""
    kappa = event.out_of_fold.get("kappa")
    if event.problem or kappa is None or kappa.value is None:
        return ""
    took = f"{event.read} rows read in {duration(event.read_seconds)}" if event.read else "all rows known"
    if event.steadied:
        took += f"; {steadied(event.steadied)}"
        if event.steady_read:
            took += f", {event.steady_read} of them read again in {duration(event.steady_seconds)}"
    return f"  grade head on the {event.head} model: kappa {kappa.value + 0.0:.2f} out of fold ({took})"


def _race_lines(event: ev.RaceHeld) -> str:
    """Return the race's verdict and the cost of the chosen way; where none was held, a note of the run says why."""
    said = (graded_by(event.chosen), event.tuning, base_needed(event.needs))
    return "\n".join([f"  race of the ways to a grade: {event.verdict}", *(f"    {line}" for line in said if line)])


def _results(event: ev.AnyEvent, state: RunState) -> str:
    """Return the line about an epoch, a decision or the end of a run; "" for other events."""
    match event:
        case ev.EpochFinished():
            train = "" if event.train_loss is None else f"train {event.train_loss:.4f}  "
            line = f"  epoch {event.epoch}: {train}hold-out {event.val_loss:.4f}"
            grades = state.grades.get(event.epoch)
            if grades is None:
                return line
            exact = f"exact {share(grades.exact)} (to beat: {share(to_beat(grades).value)})"
            kappa = "–" if grades.kappa is None else f"{grades.kappa + 0.0:.2f}"
            return f"{line}  grades by {read_by(grades.way)}: kappa {kappa}, {exact}"
        case ev.HeadFitted():
            return _head_line(event)
        case ev.RaceHeld() if event.verdict:
            return _race_lines(event)
        case ev.SamplesGenerated() if event.samples:
            return f"    first probe prompt: {clean_line(event.samples[0].text, max_chars=150)!r}"
        case ev.Decided():
            return f"    {event.choice} ({event.by}): {'; '.join(reasons_of(event.verdict, state))}"
        case ev.MemoryRetried():
            return f"  out of memory: batch {event.batch_size} × {event.accumulation} from now on"
        case ev.RunFinished():
            best = (
                ""
                if event.best_epoch == event.epochs
                else f" (best{' by grade' * (event.metric == 'grade')}: epoch {event.best_epoch})"
            )
            return f"  step finished after {event.epochs} epochs{best}: {event.last_checkpoint}"
        case ev.Interrupted():
            return f"  stopped ({event.reason}) at optimizer step {event.global_step}; opeddev-tui train resumes it"
        case _:
            return ""
