"""Texts of the decision bar: the situation of the workspace and what can be done in it.

Pure: a function of the view. Only the actions returned here are accepted from keys.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from opeddev_tui.analysis.step_grades import step_change
from opeddev_tui.demo.about import about
from opeddev_tui.format import capital, duration, number, plural
from opeddev_tui.text import clean_line
from opeddev_tui.ui.state.leaving_text import before_leaving
from opeddev_tui.ui.state.question_text import awaiting, chosen_line
from opeddev_tui.ui.state.situation import IN_FULL, Action, Kind, Situation, kind_of
from opeddev_tui.ui.state.view import View


def situation(view: View) -> Situation:
    """Return the situation and what can be done in it."""
    kind = kind_of(view)
    base = _SITUATIONS[kind](view)
    if view.state.repeats and kind in _REPEATED and not view.trouble:
        base = _of_repetition(base, view)
    # who only looks can read all the same
    offers = tuple(offer for offer in base.offers if not view.read_only or offer.action == IN_FULL.action)
    lines = base.lines
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
    details = (*base.details, *before_leaving(view))
    if view.demo and not (view.replay or view.state.decisions or view.previous):
        said = (clean_line(about(Path(view.workspace))),)
        lines, details = (*lines, *said * (kind in _BEGINS)), (*said * (kind == "awaiting"), *details)
    lines, details = (tuple(view.keymap.text(view.typed(line)) for line in part) for part in (lines, details))
    offers = tuple(replace(offer, key=view.keymap.first(offer.key)) for offer in offers)
    question = (kind, view.run, epoch, view.replay, busy)
    return replace(base, kind=kind, lines=lines, offers=offers, question=question, details=details)


# what keeps the next step from being trained, in front of the first problem
NOT_YET = "Cannot train yet: "
# problems that the bar names
_FIRST = 2
# cells of a workspace's name beside a key
_NAME = 24
# until the first decision, when what a demo is for has been said for long enough
_BEGINS: frozenset[Kind] = frozenset({"ready", "starting", "training", "paused"})
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
    near = [clean_line(name) for name in view.near]
    lines = (
        *([f"It holds {'one' if len(near) == 1 else len(near)}: {', '.join(near)}."] if near else []),
        "A workspace is a folder with your data sets, settings, runs and logs.",
        "The demo brings its own data and a tiny model, and trains in two minutes on any machine.",
    )
    which = f"Open {_short(near[0])}" if len(near) == 1 else "Open one of them"
    offers = (
        *([Action("open_near", "monitor.open-workspace", which)] if near else []),
        Action("make_workspace", "monitor.new-workspace", "New workspace", f"in {place}"),
        Action("demo", "monitor.demo", "Demo", "a tiny model in a folder of its own"),
    )
    headline = "This folder is no workspace" if near else "No workspace here yet"
    return Situation("no workspace", headline, lines, offers)


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _problem(view: View) -> Situation:
    cure = "Correct it: the files are read again by themselves. opeddev-tui check lists every problem, too."
    return Situation("problem", "Cannot train yet", (*_blocked(view), cure), _all_problems(view))


def _blocked(view: View, said: str = "") -> tuple[str, ...]:
    """Return what keeps the next step from being trained, some of it, and how much more there is.

    ``said`` begins the first line, where the headline is about something else.
    """
    told = [view.typed(text) for text in view.blocked[:_FIRST]]
    lines = tuple(f"✗ {said * (at == 0)}{clean_line(text)}" for at, text in enumerate(told))
    anew = view.begins_anew
    again = f"{{everywhere.command}}step {anew.number} new begins it again; what its run left is kept." if anew else ""
    return tuple(line for line in (*lines, further(view), again) if line)


def further(view: View) -> str:
    """Return the line that counts the problems that the bar does not name, and the key that shows all; "" for none."""
    more = len(view.blocked) - _FIRST
    return view.keymap.text(f"… and {more:,} more: {{monitor.in-full}} shows all.") if more > 0 else ""


def _all_problems(view: View) -> tuple[Action, ...]:
    return (replace(IN_FULL, label="All problems"),) if len(view.blocked) > 1 else ()


_READING = Situation("reading", "Reading the workspace")


def _empty(view: View) -> Situation:
    base, holdout, _ = (clean_line(folder) for folder in view.folders)
    lines = (
        f"Graded rows go into {base}, the hold-out into {holdout}.",
        "New files appear here by themselves. opeddev-tui check names everything that is wrong in them.",
    )
    return Situation("empty", "No data yet", lines)


def _ready(view: View) -> Situation:
    batch = view.next_batch or view.batches[0]
    rows = f" · {batch.cumulative:,} rows in all" if batch.cumulative else ""
    line = f"The first step trains on {clean_line(batch.name)}{rows}, scored on the same hold-out after every epoch."
    return Situation("ready", "Ready", (line, *_plan(view)), _start_offer(view, "Start"))


def _plan(view: View) -> tuple[str, ...]:
    return tuple(line for line in (view.plan.line, view.plan.problem and f"✗ {view.plan.problem}") if line)


def _start_offer(view: View, label: str) -> tuple[Action, ...]:
    """Return the key that trains the next step or resumes its run; where data is wrong, the one that says what.

    Where its seeds are trained, it is the one that leads to them.
    """
    if view.undecided is not None:
        choose = (_CHOOSE,) if view.undecided.finished and not view.undecided.left else ()
        return (*choose, *_all_problems(view))
    batch = view.next_batch
    if batch is None:
        return _all_problems(view)
    named = f"step {batch.number} · {clean_line(batch.name)}"
    if batch.resumes:
        return (Action("start", "monitor.start", "Resume", f"go on with the run of {named}"),)
    return (Action("start", "monitor.start", label, f"train {named}"),)


# the step's run is chosen in the list of runs
_CHOOSE = Action("app.go('runs')", "everywhere.runs", "Choose a seed", "the next step starts from it")


def _ahead(view: View) -> tuple[str, ...]:
    """Return what keeps the next step from being trained, else what a person does first, else what it would be."""
    return _blocked(view, NOT_YET) or _seeds(view) or _plan(view)


def why_not(view: View) -> str:
    """Return why no step can be begun or resumed now, "" where one can."""
    return f"{NOT_YET}{view.blocked[0]}" if view.blocked else "".join(_seeds(view))


def _seeds(view: View) -> tuple[str, ...]:
    """Return that the seeds of the next step are to be trained or that one is to be chosen; nothing without seeds."""
    seeds = view.undecided
    if seeds is None:
        return ()
    cure = seeds.cure
    if seeds.finished and not seeds.left:
        cure = f"In Runs ({{everywhere.runs}}) {{runs.take}} takes the selected one. {cure}"
    return (f"{capital(seeds.problem)} {cure}",)


def _starting(view: View) -> Situation:
    state = view.state
    # before there is a run, the process says what it does by other means than the journal
    from_run = state.status == "starting" and not view.starting
    phase = clean_line((f"{state.phase} {state.phase_detail}" if from_run else view.preparing).strip())
    line = phase or "Loading the training libraries; this takes some seconds the first time."
    since = view.now - (state.last_event_at if from_run else view.preparing_at or view.now)
    took = f" · {duration(since)}" if since >= 2 else ""
    return Situation("starting", "Starting", (capital(line) + took,), (_STOP,))


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
    return Situation("training", capital(phase), (after, *warning), offers)


def _paused(view: View) -> Situation:
    step = view.state.paused.global_step if view.state.paused else 0
    line = f"Waiting at optimizer step {step}. Nothing is lost; {{monitor.pause}} goes on."
    return Situation("paused", "Paused", (line,), (_GO_ON, *_NOW, _STOP))


def _stalled(view: View) -> Situation:
    silent = duration(view.now - view.state.last_event_at)
    line = f"The last event was {silent} ago. The training may be busy; the log ({{everywhere.log}}) says more."
    return Situation("stalled", f"No event for {silent}", (line,), (_PAUSE, *_NOW, _STOP))


def _interrupted(view: View) -> Situation:
    event = view.state.interrupted
    if event is not None:
        line = f"{capital(clean_line(event.reason))} at optimizer step {event.global_step}."
    elif view.state.question is not None:
        line = f"The process ended while the decision after epoch {view.state.question.epoch} was open."
    else:
        line = "The process ended unexpectedly (crash, kill or reboot)."
    if view.blocked:
        return Situation("interrupted", "Interrupted", (line, *_blocked(view, NOT_YET)), _all_problems(view))
    if view.undecided is not None:
        return Situation("interrupted", "Interrupted", (line, *_seeds(view)), _start_offer(view, "Resume"))
    cure = "It resumes from the last verified checkpoint; nothing before it is trained again."
    resume = (Action("start", "monitor.start", "Resume", "go on with this run"),)
    return Situation("interrupted", "Interrupted", (line, cure), resume)


def _failed(view: View) -> Situation:
    failure = view.state.failure
    cause = view.trouble or (failure.message if failure else "Unknown cause.")
    lines = tuple(clean_line(line) for line in cause.splitlines() if line.strip())
    told = (*lines[:3], *(_blocked(view, NOT_YET) or _seeds(view)), "The log ({everywhere.log}) has the details.")
    return Situation("failed", "The training failed", told, _try_again(view), details=lines[3:])


def _try_again(view: View) -> tuple[Action, ...]:
    """Return the key that goes on after a failure; none where the same failure would come again."""
    failure = view.state.failure
    if view.blocked:
        return _all_problems(view)
    if view.undecided is not None:
        return _start_offer(view, "Try again")
    if failure is not None and not failure.again:
        return ()
    if failure is not None and failure.resumable:
        return (Action("start", "monitor.start", "Try again", "from the last verified checkpoint"),)
    return _start_offer(view, "Try again")


def _finished(view: View) -> Situation:
    event = view.state.finished
    # what comes next stays in view, however little room there is for the rest
    lines: tuple[str, ...] = (_nothing_next(view),) if view.following is None else _ahead(view)
    if event is not None:
        lines += (
            f"{plural(event.epochs, 'epoch')}; best was epoch {event.best_epoch}; "
            f"hold-out loss {number(event.val_loss, 4)}.",
            *([view.comes_next] if view.comes_next else []),
            *chosen_line(view.state),
            *filter(None, [step_change((*view.previous, view.state), brief=True)]),
        )
    if view.state.race is not None:
        lines += (f"{clean_line(view.state.race.verdict)} Grading ({{everywhere.grading}}) has the race.",)
    offers = _start_offer(view, "Next step") or (_AFTER_ALL if view.following is None and view.batches else ())
    started = view.state.started
    step = f"Step {started.step}" if started else "The step"
    if started is not None and started.group and not view.state.counts:
        step = f"Seed {started.seed} of step {started.step}"
        if view.undecided is None:
            lines += ("It is not the step's run. In Runs ({everywhere.runs}) {runs.take} takes a seed as that.",)
    return Situation("finished", f"{step} is trained", lines, offers)


# what is there to do with a model once no step is left
_AFTER_ALL = (
    Action("app.go('grading')", "everywhere.grading", "Grading", "how good the grades are"),
    Action("app.go('grader')", "everywhere.grader", "Grader", "grade code"),
    Action("app.go('checkpoints')", "everywhere.checkpoints", "Checkpoints", "export the model"),
)


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
    "awaiting": lambda view: awaiting(view) or _training(view),
    "interrupted": _interrupted,
    "failed": _failed,
    "finished": _finished,
}
