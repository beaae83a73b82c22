"""Texts of the decision bar: the situation of the workspace and what can be done in it.

Pure: a function of the view. Only the actions returned here are accepted from keys.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from opeddev_tui.format import duration, number, plural
from opeddev_tui.runs.events import Verdict
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line
from opeddev_tui.ui.state.plan_text import chosen_words
from opeddev_tui.ui.state.situation import Action, Kind, Situation, kind_of
from opeddev_tui.ui.state.view import View


def situation(view: View) -> Situation:
    """Return the situation and what can be done in it."""
    kind = kind_of(view)
    base = _SITUATIONS[kind](view)
    if view.state.repeats and kind in _REPEATED and not view.trouble:
        base = _of_repetition(base, view)
    offers, lines = () if view.read_only else base.offers, base.lines
    busy = view.trained_by == "mine" and kind in ("interrupted", "failed", "finished")
    if busy:
        # the training thread is not done yet and would refuse a new start
        offers, lines = (), (f"One moment: {view.afterwards or 'getting ready for what comes next'} …", *base.lines)
    if view.replay:
        # what it says of what comes next was so then
        lines = (*base.lines[:1], "This is the run as it was.") if kind in _OVER else lines
        offers = (Action("back_to_live", "monitor.return", "Return", "to the newest run"),)
    if view.state.damage:
        lines = (*lines, clean_line(f"! This run is damaged: {view.state.damage}."))
    epoch = view.state.question.epoch if view.state.question else None
    lines = tuple(view.keymap.text(line) for line in lines)
    offers = tuple(replace(offer, key=view.keymap.first(offer.key)) for offer in offers)
    return Situation(kind, base.headline, lines, offers, (kind, view.run, epoch, view.replay, busy))


_OVER: frozenset[Kind] = frozenset({"interrupted", "finished"})
_REPEATED: dict[Kind, str] = {
    "interrupted": "The repetition was interrupted",
    "failed": "The repetition failed",
    "finished": "The repetition is done",
}


def _of_repetition(base: Situation, view: View) -> Situation:
    """Return what is said once a repetition is over: no step starts from it, it is there to be compared."""
    run = clean_line(view.state.repeats)
    line = f"To begin it again: opeddev-tui repeat {run}"
    if base.kind == "finished":
        line = f"It repeats run {run}; the next step starts from that run's checkpoints."
    lines = (*base.lines[:1], line)
    return Situation(base.kind, _REPEATED[base.kind], lines, _start_offer(view, "Next step"))


def _no_workspace(view: View) -> Situation:
    place = clean_line(view.workspace) or "this folder"
    lines = (
        "A workspace is a folder with your data sets, settings, runs and logs.",
        "The demo brings its own data and a tiny model, and trains in two minutes on any machine.",
    )
    offers = (
        Action("make_workspace", "monitor.new-workspace", "New workspace", f"in {place}"),
        Action("demo", "monitor.demo", "Demo", "a tiny model in a folder of its own"),
    )
    return Situation("no workspace", "No workspace here yet", lines, offers)


def _problem(view: View) -> Situation:
    count = len(view.problems)
    lines = tuple(clean_line(problem) for problem in view.problems[:3])
    more = (f"… and {count - 3} more; opeddev-tui check names them all.",) if count > 3 else ()
    return Situation("problem", f"{plural(count, 'problem')} in the data: training cannot start", lines + more)


_READING = Situation("reading", "Reading the workspace")


def _empty(view: View) -> Situation:
    base, holdout, _ = (clean_line(folder) for folder in view.folders)
    lines = (
        f"Graded rows go into {base}, the hold-out into {holdout}.",
        "New files appear here by themselves. opeddev-tui check names everything that is wrong in them.",
    )
    return Situation("empty", "No data yet", lines)


def _ready(view: View) -> Situation:
    wrong = next((batch.problem for batch in view.batches if batch.problem), "")
    if view.next_batch is None and wrong:
        cure = "Correct the file: it is read again by itself. opeddev-tui check lists every problem."
        return Situation("ready", "Cannot train yet", (f"✗ {clean_line(wrong)}", cure))
    batch = view.next_batch or view.batches[0]
    rows = f" · {batch.cumulative:,} rows in all" if batch.cumulative else ""
    line = f"The first step trains on {clean_line(batch.name)}{rows}, scored on the same hold-out after every epoch."
    return Situation("ready", "Ready", (line, *_plan(view)), _start_offer(view, "Start"))


def _plan(view: View) -> tuple[str, ...]:
    return tuple(line for line in (view.plan.line, view.plan.problem and f"✗ {view.plan.problem}") if line)


def _start_offer(view: View, label: str) -> tuple[Action, ...]:
    batch = view.next_batch
    if batch is None:
        return ()
    return (Action("start", "monitor.start", label, f"train step {batch.number} · {clean_line(batch.name)}"),)


def _starting(view: View) -> Situation:
    state = view.state
    # before there is a run, the process says what it does by other means than the journal
    from_run = state.status == "starting" and not view.starting
    phase = clean_line((f"{state.phase} {state.phase_detail}" if from_run else view.preparing).strip())
    line = phase or "Loading the training libraries; this takes some seconds the first time."
    since = view.now - (state.last_event_at if from_run else view.preparing_at or view.now)
    took = f" · {duration(since)}" if since >= 2 else ""
    return Situation("starting", "Starting", (line[:1].upper() + line[1:] + took,), (_STOP,))


_STOP = Action("stop_now", "monitor.stop", "Stop", "save and end, resumable")
_PAUSE = Action("ask('pause')", "monitor.pause", "Pause", "at the next optimizer step")
_GO_ON = Action("ask('pause')", "monitor.pause", "Go on")
# what the bar adds while a stop is on its way
STOPPING = "stopping"
_NOW = (
    Action("ask('sample')", "monitor.sample-now", "Sample now", "generate the probe prompts"),
    Action("ask('save')", "monitor.save-now", "Save now", "a checkpoint"),
)


def _training(view: View) -> Situation:
    started = view.state.started
    phase = clean_line(f"{view.state.phase} {view.state.phase_detail}".strip()) or "training"
    after = ""
    offers: tuple[Action, ...] = (_PAUSE, *_NOW, _STOP)
    last = max(view.state.epochs, default=0)
    decided = view.state.decided(last)
    if STOPPING in view.requested:
        after, offers = "It is saved and ends here; it can be resumed.", ()
    elif decided is not None and decided.choice == "stop":
        after, offers = "The step ends: its grades are compared, and feedback is written.", ()
    elif started is not None:
        epoch = last + 1
        who = "you decide" if view.state.policy == "ask" else "the rule decides"
        after = f"After epoch {epoch} of at most {started.max_epochs} {who}."
    warning = tuple(clean_line(f"! {text}") for text in view.state.warnings[-1:])
    return Situation("training", phase[:1].upper() + phase[1:], (after, *warning), offers)


def _paused(view: View) -> Situation:
    step = view.state.paused.global_step if view.state.paused else 0
    line = f"Waiting at optimizer step {step}. Nothing is lost; {{monitor.pause}} goes on."
    return Situation("paused", "Paused", (line,), (_GO_ON, *_NOW, _STOP))


def _stalled(view: View) -> Situation:
    silent = duration(view.now - view.state.last_event_at)
    line = f"The last event was {silent} ago. The training may be busy; the log ({{everywhere.log}}) says more."
    return Situation("stalled", f"No event for {silent}", (line,), (_PAUSE, *_NOW, _STOP))


def _awaiting(view: View) -> Situation:
    question = view.state.question
    if question is None:
        return _training(view)
    verdict, epoch = question.verdict, question.epoch
    headline = f"Epoch {epoch} of at most {question.max_epochs} is done. The rule says: {verdict.choice}"
    if question.deadline is not None:
        headline += f" (decides itself in {duration(max(0.0, question.deadline - view.now))})"
    stop = Action("decide('stop')", "monitor.stop", "Stop", f"end the step after epoch {epoch}")
    go = Action(
        "decide('continue')",
        "monitor.continue",
        "Continue",
        f"train epoch {epoch + 1} of at most {question.max_epochs}",
    )
    offers: tuple[Action, ...] = (stop,) if verdict.limit_reached or epoch >= question.max_epochs else (go, stop)
    sample = Action("ask('sample')", "monitor.sample-now", "Sample now")
    more = Action("more", "monitor.more", "More")
    # the bar may be too low for all: what is read first comes first
    lines = (*_chosen(view.state), *_grades(view.state, epoch), *_reasons(verdict))
    return Situation("awaiting", headline, lines, (*offers, more, sample))


def _chosen(state: RunState) -> tuple[str, ...]:
    words = chosen_words(state)
    return (f"Chosen for the next step: {words}.",) if words else ()


def _grades(state: RunState, epoch: int) -> tuple[str, ...]:
    """Return the grades after ``epoch`` beside what they must beat; nothing where none were read."""
    measured = state.grades.get(epoch)
    if measured is None:
        return ()
    cheap = max(measured.majority_exact, measured.classifier_exact or 0.0)
    kappa = f", kappa {measured.kappa:.2f}" if measured.kappa is not None else ""
    within = f"{measured.within_one:.0%} within one (to beat: {measured.middle_within_one:.0%})"
    return (f"Grades: {measured.exact:.0%} exact (to beat: {cheap:.0%}), {within}{kappa}.",)


def _reasons(verdict: Verdict) -> tuple[str, ...]:
    """Return the verdict's reasons, cleaned, and how many hold-out rows got better and worse."""
    lines = tuple(clean_line(reason) for reason in verdict.reasons)
    if verdict.better or verdict.worse:
        lines += (f"{plural(verdict.better, 'hold-out row')} better, {verdict.worse:,} worse.",)
    return lines


def _interrupted(view: View) -> Situation:
    event = view.state.interrupted
    if event is not None:
        line = f"{clean_line(event.reason)} at optimizer step {event.global_step}."
    elif view.state.question is not None:
        line = f"The process ended while the decision after epoch {view.state.question.epoch} was open."
    else:
        line = "The process ended unexpectedly (crash, kill or reboot)."
    cure = "It resumes from the last verified checkpoint; nothing before it is trained again."
    resume = (Action("start", "monitor.start", "Resume", "go on with this run"),)
    return Situation("interrupted", "Interrupted", (line, cure), resume)


def _failed(view: View) -> Situation:
    failure = view.state.failure
    cause = view.trouble or (failure.message if failure else "Unknown cause.")
    lines = tuple(clean_line(line) for line in cause.splitlines() if line.strip())[:3]
    resumable = failure.resumable and failure.again if failure is not None else view.next_batch is not None
    offers = (Action("start", "monitor.start", "Try again", "from the last verified checkpoint"),) if resumable else ()
    return Situation("failed", "The training failed", (*lines, "The log ({everywhere.log}) has the details."), offers)


def _finished(view: View) -> Situation:
    event = view.state.finished
    lines: tuple[str, ...] = ()
    if event is not None:
        lines = (
            f"{plural(event.epochs, 'epoch')}; best was epoch {event.best_epoch}; "
            f"hold-out loss {number(event.val_loss, 4)}.",
            *([view.comes_next] if view.comes_next else []),
            *_chosen(view.state),
        )
    if view.state.race is not None:
        lines += (f"{clean_line(view.state.race.verdict)} Grading ({{everywhere.grading}}) has the race.",)
    offers = _start_offer(view, "Next step")
    lines += _plan(view) if offers else ()
    if not offers:
        lines += (_nothing_next(view),)
    started = view.state.started
    step = f"Step {started.step}" if started else "The step"
    if started is not None and started.group and not view.state.counts:
        step = f"Seed {started.seed} of step {started.step}"
        lines += ("It is not the step's run. Runs (6) has the other seeds, and takes another one.",)
    return Situation("finished", f"{step} is trained", lines, offers)


def _nothing_next(view: View) -> str:
    """Return why no step can be trained."""
    if view.scanned and not view.batches:
        base = clean_line(view.folders[0])
        return f"There are no rows any more: {base} is missing or empty. The next step needs them; put them back."
    return "All batches are trained. A new batch folder adds a step; it appears here by itself."


_SITUATIONS: dict[Kind, Callable[[View], Situation]] = {
    "no workspace": _no_workspace,
    "reading": lambda _: _READING,
    "problem": _problem,
    "empty": _empty,
    "ready": _ready,
    "starting": _starting,
    "training": _training,
    "paused": _paused,
    "stalled": _stalled,
    "awaiting": _awaiting,
    "interrupted": _interrupted,
    "failed": _failed,
    "finished": _finished,
}
