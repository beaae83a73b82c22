"""Say what a training would be before it is started: model, rates, epochs, batch, precision, memory. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.config.settings import Settings
from opeddev_tui.format import plural, rate, short_count, size
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line

if TYPE_CHECKING:
    from opeddev_tui.models.outlook import Outlook


class Plan(Struct, frozen=True):
    """What the next training would be: in one line, in rows of (name, value), and what stands in its way."""

    line: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    problem: str = ""


def next_rate(settings: Settings, *, first: bool, chosen: float | None = None) -> str:
    """Return the learning rate of the next training, and why it is another one than that of the first step.

    ``first``: it starts from the base model; ``chosen``: at the question.
    """
    if chosen is not None:
        return f"{rate(chosen)} (chosen at the question)"
    if settings.lora.enabled:
        return rate(settings.lora.learning_rate)
    begins, later = settings.training.learning_rate, settings.training.resume_learning_rate
    return rate(begins) if first else rate(later) + " (resume_learning_rate: later steps)" * (later != begins)


def plan_of(settings: Settings, outlook: Outlook | None, *, first: bool, chosen_rate: float | None = None) -> Plan:
    """Return the next training in words; ``first``: from the base model; ``chosen_rate``: chosen at the question."""
    training, lora = settings.training, settings.lora
    learning_rate = next_rate(settings, first=first, chosen=chosen_rate)
    epochs, extra = plural(training.num_train_epochs, "epoch"), settings.early_stop.max_extra_epochs
    name = clean_line(settings.model.name)
    count = f"{short_count(outlook.parameters)} " if outlook is not None and outlook.parameters else ""
    precision, memory = _precision(outlook), _memory(outlook)
    rows = (
        ("model", name),
        ("trains", f"adapters of rank {lora.r}" if lora.enabled else f"all {count}weights"),
        ("LR", learning_rate),
        ("epochs", epochs + (f", then up to {extra} more" if extra else "")),
        ("batch", _batch(settings, outlook)),
        ("GPUs", _more_gpus(outlook)),
        ("precision", precision),
        ("memory", memory),
    )
    short = [
        name if len(name) <= 24 else "…" + name[-23:],
        f"LR {learning_rate}",
        epochs,
        f"batch {training.per_device_train_batch_size}",
    ]
    processes = _processes(settings, outlook)
    if processes > 1:
        short[-1] = f"{processes} processes, {_effective(settings, processes)} rows per step"
    if outlook is not None:
        short.append(outlook.device.precision)
        short += [f"memory {outlook.memory.verdict}"] if outlook.memory is not None else []
    problem = clean_line(outlook.problem) if outlook is not None else ""
    return Plan(" · ".join(short), tuple(row for row in rows if row[1]), problem)


def _processes(settings: Settings, outlook: Outlook | None) -> int:
    """Return how many processes would train, as far as that is known."""
    return outlook.processes if outlook is not None else max(1, settings.training.num_processes)


def _effective(settings: Settings, processes: int) -> int:
    training = settings.training
    return training.per_device_train_batch_size * training.gradient_accumulation_steps * processes


def _batch(settings: Settings, outlook: Outlook | None) -> str:
    """Return the rows of an optimizer step, and how they come together."""
    times, processes = settings.training.gradient_accumulation_steps, _processes(settings, outlook)
    words = f"{settings.training.per_device_train_batch_size} rows" + (f" × {times} passes" if times > 1 else "")
    if processes == 1:
        return words
    return f"{words} × {processes} processes: {_effective(settings, processes)} rows per optimizer step"


def _more_gpus(outlook: Outlook | None) -> str:
    """Return the offer of GPUs that would not train; empty where a copy of the model does not fit each."""
    if outlook is None or not outlook.idle_gpus:
        return ""
    every = outlook.processes + outlook.idle_gpus
    return f"{outlook.processes} of {every} trains; training.num_processes = 0 trains with all, --seeds one run on each"


def _precision(outlook: Outlook | None) -> str:
    return f"{outlook.device.precision} on {clean_line(outlook.device.name)}" if outlook is not None else ""


def _memory(outlook: Outlook | None) -> str:
    """Return the memory that the training needs at most: rows are not counted in tokens yet."""
    if outlook is None or outlook.problem:
        return ""
    each = " for each process" if outlook.processes > 1 else ""
    free = f"{size(outlook.device.free_for(outlook.processes))}{each}"
    if not outlook.fetched:
        return f"{free} free; the model is fetched first"
    if outlook.memory is None:
        return f"{free} free"
    advice = f"; {clean_line(outlook.memory.advice[0])}" if outlook.memory.advice else ""
    return f"{outlook.memory.verdict}: at most {size(outlook.memory.total)} of {free}{advice}"


def whats_next(state: RunState, settings: Settings) -> str:
    """Return which checkpoint the next step starts from and how to choose another one; "" for an unfinished run."""
    finished = state.finished
    if finished is None or not state.counts:
        return ""
    last, best = finished.epochs, finished.best_epoch
    chosen = state.next_step.start_from if state.next_step is not None else ""
    from_best = (chosen or settings.training.start_from) == "best"
    start = best if from_best else last
    path = finished.best_checkpoint if from_best else finished.last_checkpoint
    name = clean_line(Path(path).name) or "its checkpoint"
    if best == last:
        return f"The next step starts from {name}: epoch {last}, the latest and the best."
    losses = {epoch: f" ({row.val_loss:.4f})" for epoch, row in state.epochs.items()}
    text = f"The next step starts from {name}: epoch {start}{losses.get(start, '')}, the "
    if from_best:
        return (
            f"{text}best; the latest is epoch {last}{losses.get(last, '')}. "
            'To start from that: training.start_from = "latest", or opeddev-tui train --from latest.'
        )
    return (
        f"{text}latest. Epoch {best}{losses.get(best, '')} was better: "
        'to start from that, training.start_from = "best", or opeddev-tui train --from best.'
    )


def chosen_words(state: RunState) -> str:
    """Return what a person chose for the next step, "" where nothing."""
    chosen = state.next_step
    if chosen is None:
        return ""
    parts = [f"learning rate {rate(chosen.learning_rate)}"] if chosen.learning_rate is not None else []
    parts += [f"data up to {clean_line(chosen.batch)}"] if chosen.batch else []
    parts += [f"it starts from the {chosen.start_from} epoch"] if chosen.start_from else []
    return ", ".join(parts)
