"""Read a line of train.log as a person does: its time, how grave it is, and a run's events in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from opeddev_tui.format import number, short_count, size
from opeddev_tui.runs.grade_words import steadied

Level = Literal["error", "warning", "info", "detail"]

# what ``runs.log`` writes: date, time, level, logger, message
_LINE = re.compile(
    r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d)[,.]\d+ (DEBUG|INFO|WARNING|ERROR|CRITICAL) ([\w.]+): (.*)", re.DOTALL
)
_EVENT = re.compile(r"([A-Z]\w+)((?: \w+=.*)?)", re.DOTALL)
_FIELD = re.compile(r"(\w+)=(.*?)(?= \w+=|$)", re.DOTALL)
_RUN = "opeddev_tui.training.run"
_ERROR = re.compile(r"error|exception|traceback|critical|fatal|out of memory|\bnan\b", re.IGNORECASE)
_WARNING = re.compile(r"warn", re.IGNORECASE)
_LEVELS: Mapping[str, Level] = {
    "CRITICAL": "error", "ERROR": "error", "WARNING": "warning", "INFO": "info", "DEBUG": "detail",
}  # fmt: skip

# what a head reads, by the event's field
_HEADS = {"base": "base model", "step": "step's model"}

Fields = Mapping[str, str]


class LogLine(Struct, frozen=True):
    """A line: how grave it is, its time ("" where it has none), and what it says."""

    level: Level
    time: str
    text: str


def read(line: str) -> LogLine:
    """Return ``line`` as a person reads it; one that is not of the app's own form stays as it is."""
    found = _LINE.fullmatch(line)
    if found is None:
        return LogLine(guessed(line), "", line)
    time, level, logger, message = found.groups()
    if logger == _RUN and (event := _EVENT.fullmatch(message)) is not None:
        words = _EVENTS.get(event[1])
        if words is not None:
            return LogLine(_LEVELS[level], time, words(dict(_FIELD.findall(event[2]))))
    who = "" if logger.startswith(("opeddev_tui", "py.warnings")) else f"{logger.partition('.')[0]}: "
    grave = _LEVELS[level]
    # libraries warn of errors in words, too
    return LogLine("error" if grave == "warning" and guessed(message) == "error" else grave, time, who + message)


def guessed(line: str) -> Level:
    """Return how grave a line is by its words, for what the libraries print."""
    return "error" if _ERROR.search(line) else "warning" if _WARNING.search(line) else "detail"


def _numbered(fields: Fields, name: str, digits: int = 3) -> str:
    try:
        return number(float(fields[name]), digits)
    except (KeyError, ValueError):
        return "–"


def _count(fields: Fields, name: str) -> str:
    try:
        return short_count(float(fields[name]))
    except (KeyError, ValueError):
        return "–"


def _bytes(fields: Fields) -> str:
    try:
        return size(float(fields["size"]))
    except (KeyError, ValueError):
        return "–"


def _get(fields: Fields, name: str) -> str:
    return fields.get(name, "–")


def _began(fields: Fields) -> str:
    origin = fields.get("parent") or fields.get("model", "")
    return f"step {_get(fields, 'step')} begins · {_get(fields, 'batch')} · {_get(fields, 'rows')} rows · from {origin}"


def _processes(fields: Fields) -> str:
    """Return how many processes train and their rows per optimizer step; lines of version 0.1 do not say it."""
    numbers = [fields.get(name, "") for name in ("batch_size", "accumulation", "processes")]
    if not all(number.isdecimal() for number in numbers):
        return ""
    batch, times, processes = map(int, numbers)
    return f" of {batch * times * processes} rows · {processes} process{'es' if processes > 1 else ''}"


def _epoch(fields: Fields) -> str:
    if fields.get("epoch") == "0":
        return f"before the step · hold-out {_numbered(fields, 'val_loss')}"
    losses = f"train {_numbered(fields, 'train_loss')} · hold-out {_numbered(fields, 'val_loss')}"
    saved = " · saved" if fields.get("checkpoint") else ""
    return f"epoch {_get(fields, 'epoch')} done · {losses}{saved}"


def _head(fields: Fields) -> str:
    name = f"the head on the {_HEADS.get(_get(fields, 'head'), _get(fields, 'head'))}"
    if fields.get("problem"):
        return f"no grades by {name} · {fields['problem']}"
    told = f"{name} fitted · {_get(fields, 'rows')} graded rows · {_numbered(fields, 'fit_seconds', 1)} s"
    # lines of older versions do not say it
    if fields.get("steadied", "0") == "0":
        return told
    copies = fields["steadied"]
    return f"{told} · {steadied(int(copies))}" if copies.isdecimal() else told


def _race(fields: Fields) -> str:
    if fields.get("problem"):
        return f"no race · {fields['problem']}"
    return f"race after epoch {_get(fields, 'epoch')} · {fields.get('chosen', '').partition(': ')[2]}"


def _next_step(fields: Fields) -> str:
    chosen = [fields[name] for name in ("learning_rate", "batch", "start_from") if fields.get(name, "None") != "None"]
    return f"chosen for the next step · {', '.join(chosen)}"


def _feedback(fields: Fields) -> str:
    if fields.get("problem"):
        return f"no feedback · {fields['problem']}"
    return f"feedback of the probe prompts written after epoch {_get(fields, 'epoch')}"


def _command(fields: Fields) -> str:
    refused = f" · not done: {fields['reason']}" if fields.get("done") == "False" else ""
    return f"asked for: {_get(fields, 'command')}{refused}"


_EVENTS: Mapping[str, Callable[[Fields], str]] = {
    "HeadFitted": _head,
    "GradesRead": lambda f: f"grades of the hold-out read · epoch {_get(f, 'epoch')}",
    "RaceHeld": _race,
    "FeedbackWritten": _feedback,
    "NextStepChosen": _next_step,
    "PolicyChanged": lambda f: f"{'you decide' if f.get('policy') == 'ask' else 'the rule decides'} from now on",
    "SeedChosen": lambda f: f"{'chosen as the step' if f.get('chosen') == 'True' else 'not chosen'} ({_get(f, 'by')})",
    "RatingUndone": lambda f: f"the rating of prompt {_get(f, 'prompt')} is taken back · epoch {_get(f, 'epoch')}",
    "CommandTaken": _command,
    "RunStarted": _began,
    "ModelLoaded": lambda f: (
        f"model loaded · {_count(f, 'parameters')} weights · {_get(f, 'precision')} on {_get(f, 'device')}"
    ),
    "DataPrepared": lambda f: (
        f"{_get(f, 'rows')} rows are {_count(f, 'tokens')} tokens · "
        f"{_get(f, 'steps_per_epoch')} optimizer steps per epoch{_processes(f)}"
    ),
    "RanksStarted": lambda f: f"all processes are ready · {_get(f, 'backend')} exchanges gradients",
    "RankSilent": lambda f: f"rank {_get(f, 'rank')} on {_get(f, 'host')} gives no sign · the training waits for it",
    "RankLost": lambda f: f"rank {_get(f, 'rank')} on {_get(f, 'host')} is lost · {_get(f, 'reason')}",
    "HoldoutEvaluated": lambda f: f"hold-out scored · epoch {_get(f, 'epoch')} · loss {_numbered(f, 'loss')}",
    "CheckpointSaved": lambda f: f"checkpoint saved · optimizer step {_get(f, 'global_step')} · {_bytes(f)}",
    "CheckpointRejected": lambda f: f"{_get(f, 'path')} cannot be trusted: {_get(f, 'problem')}",
    "EpochFinished": _epoch,
    "DecisionAwaited": lambda f: f"your decision is awaited after epoch {_get(f, 'epoch')}",
    "Decided": lambda f: f"{_get(f, 'choice')} after epoch {_get(f, 'epoch')} ({_get(f, 'by')})",
    "Resumed": lambda f: f"resumed at optimizer step {_get(f, 'global_step')}",
    "Interrupted": lambda f: f"stopped at optimizer step {_get(f, 'global_step')} · {_get(f, 'reason')}",
    "MemoryRetried": lambda f: f"out of memory · batch {_get(f, 'batch_size')} × {_get(f, 'accumulation')} from now on",
    "Warned": lambda f: _get(f, "message"),
    "RunFailed": lambda f: f"failed · {_get(f, 'message')}",
    "RunFinished": lambda f: (
        f"step done · {_get(f, 'epochs')} epochs · best {_get(f, 'best_epoch')} · hold-out {_numbered(f, 'val_loss')}"
    ),
    "Rated": lambda f: f"prompt {_get(f, 'prompt')} rated after epoch {_get(f, 'epoch')}",
    "Annotated": lambda f: f"observation · {_get(f, 'note')}",
}
