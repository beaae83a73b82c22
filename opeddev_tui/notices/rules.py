"""Decide which events become notices, and write their texts. Nothing is sent here."""

from typing import Literal

from msgspec import Struct

from opeddev_tui.config.settings import Notify
from opeddev_tui.format import share
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.cheap_ways import to_beat
from opeddev_tui.runs.state import RunState
from opeddev_tui.runs.verdict_words import reasons_of
from opeddev_tui.text import clean, clean_line

# the names of the switches in settings.notify
Kind = Literal["epoch_finished", "decision_awaited", "run_finished", "run_failed"]
_TEXT = 400  # characters of a generation
_RESUME = "It can be resumed: opeddev-tui train."


class Notice(Struct, frozen=True):
    """A notice: a title of one line and a text, both cleaned."""

    kind: Kind
    title: str
    body: str


class Notices:
    """Follows the runs and makes their notices, none for events before ``since`` (Unix seconds)."""

    def __init__(self, settings: Notify, since: float = 0.0) -> None:
        self.settings = settings
        self._since = since
        self._notified: set[tuple[str, int]] = set()
        self.state = RunState()

    def take(self, event: ev.AnyEvent) -> Notice | None:
        """Take one event into account; return its notice, None if there is none or its kind is off."""
        if isinstance(event, ev.RunStarted):
            self.state = RunState()
        self.state.apply(event)
        notice = self._notice(event)
        if notice is None or event.at < self._since or not getattr(self.settings, notice.kind):
            return None
        return notice

    def stalled(self, seconds: float) -> Notice | None:
        """Return the notice of a run without events for ``seconds``, None if the run is waiting or over."""
        if self.state.over or self.state.status in ("awaiting", "paused") or not self.settings.run_failed:
            return None
        phase = clean_line(f"{self.state.phase} {self.state.phase_detail}".strip()) or "starting"
        return Notice("run_failed", f"{self._where()}: stalled", f"No event for {seconds:.0f} s; last: {phase}.")

    def _notice(self, event: ev.AnyEvent) -> Notice | None:
        match event:
            case ev.DecisionAwaited():
                return self._epoch(event)
            case ev.RunFinished():
                return self._finished(event)
            case ev.Interrupted():
                body = f"Stopped at optimizer step {event.global_step} ({clean_line(event.reason)}). {_RESUME}"
                return Notice("run_finished", f"{self._where()}: stopped", body)
            case ev.RunFailed():
                what = "the disk is full or failed" if event.kind == "storage" else "failed"
                again = _RESUME if event.resumable else "It cannot be resumed."
                body = f"{clean(event.message, max_chars=1000)}\n{again}"
                return Notice("run_failed", f"{self._where()}: {what}", body)
        return None

    def _where(self) -> str:
        started = self.state.started
        return f"opeddev step {started.step} ({clean_line(started.batch, max_chars=40)})" if started else "opeddev"

    def _epoch(self, question: ev.DecisionAwaited) -> Notice | None:
        """Return the notice of an epoch's end, once: with its verdict, and with the question if one is asked."""
        started, epoch = self.state.started, question.epoch
        key = (started.run if started else "", epoch)
        if key in self._notified:
            return None
        self._notified.add(key)
        asks = started is not None and started.policy == "ask" and not question.verdict.limit_reached
        reasons = "; ".join(reasons_of(question.verdict, self.state))
        lines = [*self._metrics(epoch), f"Verdict: {question.verdict.choice} ({reasons})."]
        body = clean("\n".join([*lines, *self._generation(epoch)]), max_chars=2000)
        if asks and self.settings.decision_awaited:
            return Notice("decision_awaited", f"{self._where()}: epoch {epoch} waits for your decision", body)
        return Notice("epoch_finished", f"{self._where()}: epoch {epoch} finished", body)

    def _metrics(self, epoch: int) -> list[str]:
        row, before = self.state.epochs.get(epoch), self.state.epochs.get(epoch - 1)
        if row is None:
            return []
        was = f" (before: {before.val_loss:.4f})" if before else ""
        train = f", train loss {row.train_loss:.4f}" if row.train_loss is not None else ""
        lines = [f"Hold-out loss {row.val_loss:.4f}{was}{train}."]
        grades = self.state.grades.get(epoch)
        if grades is not None:
            lines.append(f"Grades exactly right: {share(grades.exact)} (to beat: {share(to_beat(grades).value)}).")
        return lines

    def _generation(self, epoch: int) -> list[str]:
        generations = [item for item in self.state.samples if item.epoch == epoch and item.samples]
        if not generations:
            return []
        # a model's "@everyone" must not notify a whole chat
        text = clean(generations[-1].samples[0].text, max_chars=_TEXT).replace("@", "＠")
        return [f"First generation: {text}"]

    def _finished(self, event: ev.RunFinished) -> Notice:
        best = (
            ""
            if event.best_epoch == event.epochs
            else f", best{' by grade' * (event.metric == 'grade')} after epoch {event.best_epoch}"
        )
        body = f"{event.epochs} epochs, hold-out loss {event.val_loss:.4f}{best}."
        return Notice("run_finished", f"{self._where()}: done", body)
