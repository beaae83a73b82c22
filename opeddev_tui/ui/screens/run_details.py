"""Texts of one run for the details below the list: how it went, its epochs, what it was. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from opeddev_tui.analysis.run_facts import Settings, changed
from opeddev_tui.format import number, plural, rate
from opeddev_tui.runs.state import RunState
from opeddev_tui.runs.verdict_words import reasons_of
from opeddev_tui.text import clean, clean_line
from opeddev_tui.ui.screens.monitor.epochs import epoch_table
from opeddev_tui.ui.state.view import RunRow
from opeddev_tui.ui.widgets.details import Part

# cells that a value gets at least beside its name; a name that leaves fewer has a line of its own
_VALUE = 14
# the ids of the frames, in the order of ``parts_of``
FRAMES = ("run-went", "run-epochs", "run-about")


def parts_of(row: RunRow, settings: Settings, width: int) -> tuple[Part, ...]:
    """Return the texts of a run, ``width`` cells wide; ``settings`` are those of its manifest."""
    state = row.state
    epochs = epoch_table(state, width) if state.epochs else Content.styled("No epoch was finished.", "$muted")
    return (
        Part("How it went", _listed(_went(row), width), below=clean_line(row.run)),
        Part("Epochs", epochs),
        Part("What it was", _listed(_about(row, settings), width)),
    )


def _listed(pairs: Iterator[tuple[str, str]], width: int) -> Content:
    """Return (name, value) as lines, the names pale, all values, also their further lines, in one column."""
    known = list(pairs)
    widest = max((len(name) for name, _ in known if len(name) + 2 <= width - _VALUE), default=0)
    lines = []
    for name, value in known:
        first, *more = Content(value).wrap(max(_VALUE, width - widest - 2)) or [Content("")]
        if len(name) > widest:
            lines.append(Content.styled(name, "$muted"))
            name = ""
        lines.append(Content.styled(f"{name:<{widest}}  ", "$muted") + first)
        lines += [Content(" " * (widest + 2)) + line for line in more]
    return Content("\n").join(lines) if lines else Content.styled("Nothing was recorded.", "$muted")


def _about(row: RunRow, settings: Settings) -> Iterator[tuple[str, str]]:
    state, started = row.state, row.state.started
    if started is None:
        return
    yield "trained", f"{plural(started.rows, 'row')}, hold-out {plural(started.holdout_rows, 'row')}"
    yield "from", clean_line(started.parent) or f"the base model {clean_line(started.model)}"
    if state.model is not None:
        kind = "adapters" if started.lora else "all weights"
        yield "on", clean_line(f"{state.model.device}, {state.model.precision}, {kind}")
    if (data := state.data) is not None:
        yield "learning rate", rate(data.learning_rate)
        yield "batch", f"{data.effective_batch} rows per optimizer step"
    yield "seed", str(started.seed)
    said = _said(state)
    for name, value in changed(settings):
        section, _, key = name.partition(".")
        if settings[section][key] != said.get(name):
            yield name, clean_line(value, max_chars=120)


def _said(state: RunState) -> dict[str, object]:
    """Return by name the settings that other lines tell already; one with another value than these was not used."""
    begun = state.begun
    said: dict[str, object] = {"training.seed": begun.seed, "lora.enabled": begun.lora}
    if not begun.parent:
        said["model.name"] = begun.model
    if state.data is not None:
        rates = ("training.learning_rate", "training.resume_learning_rate", "lora.learning_rate")
        said |= dict.fromkeys(rates, state.data.learning_rate)
    return said


def _went(row: RunRow) -> Iterator[tuple[str, str]]:
    """Yield what came of the run first, then what was noted, then the decisions, the newest first."""
    state = row.state
    if state.damage:
        yield "damaged", f"! {clean_line(state.damage)}"
    if state.failure is not None:
        yield "failed", f"✗ {clean(state.failure.message)}"
    elif state.interrupted is not None and row.status == "interrupted":
        yield "stopped", f"{clean_line(state.interrupted.reason)}; it can be resumed"
    if state.finished is not None:
        best = state.epochs.get(state.finished.best_epoch)
        loss = number(best.val_loss if best is not None else state.finished.val_loss, 4)
        yield "finished", f"best epoch {state.finished.best_epoch} of {state.finished.epochs}, hold-out loss {loss}"
    if (race := state.race) is not None:
        yield "race", clean(race.verdict)
    for note in state.notes:
        yield "note", clean(note.note)
    for text in state.warnings:
        yield "warning", clean_line(text)
    yield from _decisions(state)


def _decisions(state: RunState) -> Iterator[tuple[str, str]]:
    for decided in reversed(state.decisions):
        reasons = "; ".join(clean_line(reason).rstrip(".") for reason in reasons_of(decided.verdict, state))
        yield f"epoch {decided.epoch}", f"{decided.choice} ({decided.by}): {reasons}"
