"""Owns what the decision bar says: the situation of the workspace in words, and what can be done now.

Pure: a function of the view. Whether a key means something is decided here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable

from opeddev_tui.events import Verdict
from opeddev_tui.format import duration, number, plural
from opeddev_tui.text import clean_line
from opeddev_tui.ui.offers import Kind, Offer, Situation
from opeddev_tui.ui.view import View


def situation(view: View) -> Situation:
    """Return what is the case and what can be done."""
    found = _SITUATIONS[kind_of(view)](view)
    if view.state.repeats and found.kind in _REPEATED and not view.trouble:
        found = _of_repetition(found, view)
    offers, lines = _viewing_offers(view) if view.read_only else found.offers, found.lines
    busy = view.whose == "mine" and found.kind in ("interrupted", "failed", "finished")
    if busy:
        # the training thread is not done yet: what it would refuse is not offered
        offers, lines = (), (f"One moment: {view.afterwards or 'getting ready for what comes next'} …", *found.lines)
    if view.replay:
        offers = (Offer("back_to_live", "r", "Return", "to the newest run"),)
    epoch = view.state.question.epoch if view.state.question else None
    return Situation(found.kind, found.headline, lines, offers, (found.kind, view.run, epoch, view.replay, busy))


_REPEATED: dict[Kind, str] = {
    "interrupted": "The repetition was interrupted",
    "failed": "The repetition failed",
    "finished": "The repetition is done",
}


def _of_repetition(found: Situation, view: View) -> Situation:
    """Return what is said once a repetition is over: nothing goes on from it, it is there to be compared."""
    run = clean_line(view.state.repeats)
    line = f"To begin it again: opeddev-tui repeat {run}"
    if found.kind == "finished":
        line = f"It repeats run {run}; the next step goes by that one's checkpoints."
    lines = (*found.lines[:1], line)
    return Situation(found.kind, _REPEATED[found.kind], lines, _start_offer(view, "Next step"))


def _viewing_offers(view: View) -> tuple[Offer, ...]:
    """Return what a read-only view can do: go to where the keys count."""
    if not view.viewing:
        return ()
    if view.whose == "other":
        return (Offer("attach", "a", "Attach", "this only looks; take the screen of the training process"),)
    return (Offer("attach", "a", "Open", "that process trains no more; open the workspace to train in it"),)


def kind_of(view: View) -> Kind:
    """Return the name of the situation."""
    status = view.state.status
    if not view.has_workspace:
        return "no workspace"
    if view.starting:
        return "starting"
    if view.trouble and not view.alive:
        return "failed"
    if view.alive and not view.state.over:
        return _alive(view)
    if status == "empty":
        return _without_run(view)
    if status in ("failed", "finished", "interrupted"):
        return status
    return "interrupted"


def _alive(view: View) -> Kind:
    status = view.state.status
    if status == "awaiting":
        return "awaiting"
    if status == "paused":
        return "paused"
    if view.now - view.state.last_event_at > view.stall_seconds:
        return "stalled"
    return "starting" if status == "starting" else "training"


def _without_run(view: View) -> Kind:
    if not view.scanned:
        return "reading"
    if view.problems:
        return "problem"
    return "ready" if view.batches else "empty"


def _no_workspace(view: View) -> Situation:
    place = clean_line(view.workspace) or "this folder"
    lines = (
        "A workspace is a folder with your data sets, settings, runs and logs.",
        "The demo brings its own data and a tiny model, and trains in two minutes on any machine.",
    )
    offers = (
        Offer("make_workspace", "n", "New workspace", f"in {place}"),
        Offer("demo", "d", "Demo", "a tiny model in a folder of its own"),
    )
    return Situation("no workspace", "No workspace here yet", lines, offers)


def _reading(view: View) -> Situation:  # noqa: ARG001 - same shape as the others
    return Situation("reading", "Reading the workspace")


def _problem(view: View) -> Situation:
    count = len(view.problems)
    lines = tuple(clean_line(problem) for problem in view.problems[:3])
    more = (f"… and {count - 3} more",) if count > 3 else ()
    return Situation("problem", f"{plural(count, 'problem')} in the data: training cannot start", lines + more)


def _empty(view: View) -> Situation:  # noqa: ARG001 - same shape as the others
    lines = (
        "Put the base set into the folder of the setting paths.base, increments into that of paths.increments.",
        "New folders appear here by themselves. The settings are on screen 5.",
    )
    return Situation("empty", "No data yet", lines)


def _ready(view: View) -> Situation:
    batch = view.next_batch or view.batches[0]
    rows = f" · {batch.cumulative:,} rows in all" if batch.cumulative else ""
    line = f"The first step trains on {clean_line(batch.name)}{rows}, scored on the same hold-out after every epoch."
    return Situation("ready", "Ready", (line,), _start_offer(view, "Start"))


def _start_offer(view: View, label: str) -> tuple[Offer, ...]:
    batch = view.next_batch
    if batch is None:
        return ()
    return (Offer("start", "t", label, f"train step {_step_number(view)} · {clean_line(batch.name)}"),)


def _step_number(view: View) -> int:
    batch = view.next_batch
    return batch.number if batch is not None else 0


def _starting(view: View) -> Situation:
    state = view.state
    told = f"{state.phase} {state.phase_detail}" if state.status == "starting" and not view.starting else view.preparing
    phase = clean_line(told.strip())
    line = phase or "Loading the training libraries; this takes some seconds the first time."
    return Situation("starting", "Starting", (line[:1].upper() + line[1:],), (_stop_offer(),))


def _stop_offer() -> Offer:
    return Offer("stop_now", "s", "Stop", "save and end, resumable")


def _running_offers(paused: bool) -> tuple[Offer, ...]:
    pause = Offer("pause", "p", "Go on") if paused else Offer("pause", "p", "Pause", "at the next optimizer step")
    return (
        pause,
        Offer("sample", "g", "Sample now", "generate the probe prompts"),
        Offer("save", "w", "Save now", "a checkpoint"),
        _stop_offer(),
    )


def _training(view: View) -> Situation:
    started = view.state.started
    phase = clean_line(f"{view.state.phase} {view.state.phase_detail}".strip()) or "training"
    after = ""
    if started is not None:
        after = f"After epoch {_current_epoch(view)} of at most {started.max_epochs} " + (
            "you decide." if started.policy == "ask" else "the rule decides."
        )
    warned = tuple(clean_line(f"! {text}") for text in view.state.warnings[-1:])
    return Situation("training", phase[:1].upper() + phase[1:], (after, *warned), _running_offers(False))


def _current_epoch(view: View) -> int:
    finished = max(view.state.epochs, default=0)
    return finished + 1


def _paused(view: View) -> Situation:
    step = view.state.progress.global_step if view.state.progress else 0
    line = f"Waiting at optimizer step {step}. Nothing is lost; p goes on."
    return Situation("paused", "Paused", (line,), _running_offers(True))


def _stalled(view: View) -> Situation:
    silent = duration(view.now - view.state.last_event_at)
    line = f"The last sign of life was {silent} ago. It may be busy with something long; the log (4) tells more."
    return Situation("stalled", f"No event for {silent}", (line,), _running_offers(False))


def _awaiting(view: View) -> Situation:
    question = view.state.question
    if question is None:
        return _training(view)
    verdict, epoch = question.verdict, question.epoch
    advice = {"continue": "continue", "stop": "stop"}[verdict.choice]
    headline = f"Epoch {epoch} of at most {question.max_epochs} is done. The rule says: {advice}"
    if question.deadline is not None:
        headline += f" (decides itself in {duration(max(0.0, question.deadline - view.now))})"
    stop = Offer("decide('stop')", "s", "Stop", f"end the step after epoch {epoch}")
    go = Offer("decide('continue')", "c", "Continue", f"train epoch {epoch + 1} of at most {question.max_epochs}")
    offers: tuple[Offer, ...] = (stop,) if verdict.limit_reached or epoch >= question.max_epochs else (go, stop)
    offers += (Offer("sample", "g", "Sample now"),)
    return Situation("awaiting", headline, reasons(verdict), offers)


def reasons(verdict: Verdict) -> tuple[str, ...]:
    """Return the verdict's reasons, cleaned, and how many rows moved which way."""
    told = tuple(clean_line(reason) for reason in verdict.reasons)
    if verdict.better or verdict.worse:
        told += (f"{plural(verdict.better, 'hold-out row')} better, {verdict.worse:,} worse.",)
    return told


def _interrupted(view: View) -> Situation:
    event = view.state.interrupted
    if event is not None:
        line = f"{clean_line(event.reason)} at optimizer step {event.global_step}."
    elif view.state.question is not None:
        line = f"The process ended while the decision after epoch {view.state.question.epoch} was open."
    else:
        line = "The process ended without a word: a crash, a kill or a reboot."
    cure = "It goes on from the last verified checkpoint; nothing before it is trained again."
    resume = (Offer("start", "t", "Resume", "take up this run"),)
    return Situation("interrupted", "Interrupted", (line, cure), resume)


def _failed(view: View) -> Situation:
    failure = view.state.failure
    cause = view.trouble or (failure.message if failure else "Unknown cause.")
    told = tuple(clean_line(line) for line in cause.splitlines() if line.strip())[:3]
    resumable = failure.resumable if failure is not None else view.next_batch is not None
    offers = (Offer("start", "t", "Try again", "from the last verified checkpoint"),) if resumable else ()
    return Situation("failed", "The training failed", (*told, "The log (4) has the whole story."), offers)


def _finished(view: View) -> Situation:
    event = view.state.finished
    lines: tuple[str, ...] = ()
    if event is not None:
        lines = (
            f"{plural(event.epochs, 'epoch')}; best was epoch {event.best_epoch}; "
            f"hold-out loss {number(event.val_loss, 4)}.",
            *([view.comes_next] if view.comes_next else []),
        )
    offers = _start_offer(view, "Next step")
    if not offers:
        lines += ("All batches are trained. A new batch folder makes a next step; it appears by itself.",)
    started = view.state.started
    step = f"Step {started.step}" if started else "The step"
    return Situation("finished", f"{step} is trained", lines, offers)


_SITUATIONS: dict[Kind, Callable[[View], Situation]] = {
    "no workspace": _no_workspace,
    "reading": _reading,
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
