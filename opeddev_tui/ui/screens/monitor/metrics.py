"""The live metrics: how far the training is, its losses, its speed, and the load of the machine."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import ClassVar

from textual.content import Content

from opeddev_tui.format import bar, duration, number, percent, rate, share, short_count, signed, size, sparkline
from opeddev_tui.runs.curves import MachineHistory, gpus_of
from opeddev_tui.runs.events import GpuReading, HardwareSampled
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line
from opeddev_tui.ui.key_rows import pane_title
from opeddev_tui.ui.plots.downsample import newest_smoothed
from opeddev_tui.ui.screens.monitor.first_run import before_the_first_run, title_before_the_first_run
from opeddev_tui.ui.screens.monitor.machine import others_on
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.legend import fitting
from opeddev_tui.ui.widgets.pane import Pane, lines
from opeddev_tui.ui.widgets.tables import cut, fit

LABEL = 11
# GPUs with a line each in a small pane
_FEW = 3

Part = tuple[str, str]


class MetricsPane(Pane):
    """Numbers of the run on show."""

    title: ClassVar[str] = "Live metrics"
    brief: ClassVar[str] = "Losses per token; {everywhere.help} explains the words."
    about: ClassVar[str] = "Losses are per token of the completion; raw is the last optimizer step, beside it smoothed."

    def name_it(self, view: View) -> None:
        """Before the first run there are no numbers: say what is there instead."""
        title, brief = self.title, self.brief
        if view.state.started is None:
            title, brief = title_before_the_first_run(view)
        if (title, brief) != (self._named, self.explained):
            self._named, self.explained = title, brief
            self.border_title = Content(pane_title(self._number, title))
            self.border_subtitle = Content(fitting(view.keymap.text(brief), self.size.width) if self.has_focus else "")

    def render_view(self, view: View, width: int) -> Content:
        """Return one line per number; without room for all, without blank lines and with the machine in short."""
        state = view.state
        if state.started is None:
            return before_the_first_run(view, width)
        rows = [*_progress(view, width), Content(""), *_losses(view), Content("")]
        if state.progress is not None:
            tokens = f"{short_count(state.progress.tokens_per_second)} tok/s"
            rows.append(_row("speed", (f"{number(state.progress.samples_per_second, 1)} samples/s · {tokens}", "")))
        machine = _machine(state.hardware, state.machine, width) if state.hardware is not None else []
        if len(rows) + len(machine) > self.size.height > 0:
            rows = [row for row in rows if row.plain]
        if len(rows) + len(machine) > self.size.height > 0 and state.hardware is not None:
            machine = _machine_in_short(state.hardware, width)
        return lines([row.truncate(width, ellipsis=True) for row in (*rows, *machine)])


def _row(label: str, *parts: Part) -> Content:
    texts = [Content.styled(fit(label, LABEL), "$muted")]
    texts += [Content.styled(text, style) if style else Content(text) for text, style in parts]
    return Content("").join(texts)


def _progress(view: View, width: int) -> list[Content]:
    state = view.state
    started, data, progress = state.started, state.data, state.progress
    if started is None:
        return []
    where = _row("step", (str(started.step), "bold"), (f"  {clean_line(started.batch)} · {started.rows:,} rows", ""))
    epoch = progress.epoch if progress is not None else float(max(state.epochs, default=0))
    planned = started.planned_epochs
    of = f" of {planned}" + (f" (at most {started.max_epochs})" if started.max_epochs > planned else "")
    if epoch > planned:
        of = f" of at most {started.max_epochs} ({planned} were planned)"
    rows = [where, _row("epoch", (f"{epoch:.2f}", "bold"), (of, ""))]
    if data is None:
        return rows
    done = _done(state)
    goal = _goal(state, done)
    rows.append(_row("opt. step", (f"{done:,}", "bold"), (f" of {goal:,}", "")))
    if data.processes > 1:
        rows.append(_row("processes", (str(data.processes), "bold"), (_together(state), "")))
    done_of = done / goal if goal else 0.0
    tail = f" {share(done_of):>4}{_eta(view, goal - done)}"
    rows.append(_row("", (bar(done_of, max(8, min(40, width - LABEL - len(tail)))), "$primary"), (tail, "")))
    return rows


def _done(state: RunState) -> int:
    """Return the newest optimizer step that is known: a pause or a stop may come before the step is logged."""
    logged = state.progress.global_step if state.progress is not None else 0
    stands = {"paused": state.paused, "interrupted": state.interrupted}.get(state.status)
    return max(logged, stands.global_step) if stands is not None else logged


def _together(state: RunState) -> str:
    """Return what several processes do together, and on how many machines."""
    hosts = len({place.host for place in state.ranks.ranks}) if state.ranks is not None else 1
    machines = f" on {hosts} machines" if hosts > 1 else ""
    rows = state.data.effective_batch if state.data is not None else 0
    return f"{machines} · {rows:,} rows per step"


def _goal(state: RunState, done: int) -> int:
    """Return the optimizer step at which the planned epochs, or the epoch that a person added, end."""
    started, data = state.started, state.data
    if started is None or data is None or not data.steps_per_epoch:
        return data.total_steps if data is not None else 0
    epochs = max(started.planned_epochs, math.ceil(done / data.steps_per_epoch))
    return min(max(data.total_steps, 1), epochs * data.steps_per_epoch)


def _eta(view: View, left: int) -> str:
    data, progress = view.state.data, view.state.progress
    if not view.alive or data is None or progress is None or not progress.samples_per_second or left <= 0:
        return ""
    seconds_per_step = data.effective_batch / progress.samples_per_second
    return f" · {duration(left * seconds_per_step)} left"


def _losses(view: View) -> list[Content]:
    state = view.state
    progress = state.progress
    raw = progress.loss if progress is not None else None
    # no key may wait for an import: the monitor loads numpy in a thread when the first loss arrives, then draws again
    mean = newest_smoothed(state.curves.loss, view.smoothing) if "numpy" in sys.modules else None
    rows = [_row("train loss", (number(mean, 4), "bold $plot-train"), (f"  raw {number(raw, 4)}", "$muted"))]
    rows += _holdout(state)
    if progress is not None:
        norm = f"  grad norm {number(progress.grad_norm, 2)}"
        rows.append(_row("LR", (rate(progress.learning_rate), ""), (norm, "")))
    return rows


def _holdout(state: RunState) -> list[Content]:
    if not state.holdout:
        return [_row("hold-out", ("not yet scored", "$muted"))]
    epoch = max(state.holdout)
    loss = state.holdout[epoch].loss
    best = state.best_epoch()
    star: Part = ("  ★ best", "$success") if epoch and best == epoch else ("", "")
    rows = [_row("hold-out", (number(loss, 4), "bold $plot-holdout"), (f"  epoch {epoch}", "$muted"), star)]
    if epoch > 0 and 0 in state.holdout:
        parts: list[Part] = [(f"{signed(loss - state.holdout[0].loss, 4)} from epoch 0", "")]
        if best is not None and best != epoch:
            change = signed(loss - state.epochs[best].val_loss, 4)
            parts.append((f", {change} from {best} (best)", "$warning"))
        rows.append(_row("", *parts))
    return rows


def _machine_in_short(sample: HardwareSampled, width: int) -> list[Content]:
    """Return the load of the machine in one line per GPU, or one for many, and one for the rest, for a small pane."""
    gpus = gpus_of(sample)
    rows: list[Content] = []
    for gpu in gpus if len(gpus) <= _FEW else ():
        used = _used(gpu.memory_used, gpu.memory_total) if gpu.memory_total else ""
        busy = percent(gpu.percent) if gpu.percent is not None else ""
        heat = f"{gpu.celsius:.0f} °C" if gpu.celsius is not None else ""
        rows.append(_row(_numbered("GPU", sample, gpu), (_fitting((used, busy, heat), width - LABEL), "")))
        rows += _others([gpu], width)
    if len(gpus) > _FEW:
        busy = _span([gpu.percent for gpu in gpus], 1.0, "%")
        used = _span([gpu.memory_used for gpu in gpus], 2.0**30, " GiB")
        heat = _span([gpu.celsius for gpu in gpus], 1.0, " °C")
        rows.append(_row(f"{len(gpus)} GPUs", (_fitting((busy, used, heat), width - LABEL), "")))
        rows += _others(gpus, width)
    memory = _used(sample.ram_used, sample.ram_total)
    return [*rows, _row("RAM, CPU", (f"{memory} · {percent(sample.cpu_percent)}", ""))]


def _others(gpus: Sequence[GpuReading], width: int) -> list[Content]:
    """Return a line on the processes beside the training that hold memory of these GPUs, none where there are none."""
    held = [gpu.others_memory for gpu in gpus if gpu.others]
    if not held:
        return []
    known = sum(memory for memory in held if memory is not None) if None not in held else None
    every = GpuReading(others=sum(gpu.others for gpu in gpus), others_memory=known)
    return [_row("", (cut(others_on(every), width - LABEL), "$text-warning"))]


def _fitting(parts: Sequence[str], width: int) -> str:
    """Return as many of ``parts`` as fit."""
    known = [part for part in parts if part]
    while len(known) > 1 and sum(len(part) + 3 for part in known) - 3 > width:
        known.pop()
    return " · ".join(known)


def _span(values: Sequence[float | None], unit: float, name: str) -> str:
    """Return the least and the most of ``values``, "" where none is known."""
    known = [value / unit for value in values if value is not None]
    if not known:
        return ""
    low, high = f"{min(known):.0f}", f"{max(known):.0f}"
    return f"{low}{name}" if low == high else f"{low} to {high}{name}"


def _machine(sample: HardwareSampled, history: MachineHistory, width: int) -> list[Content]:
    """Return the load of the machine, one line per reading: how it was lately, and how it is."""
    cells = max(4, min(24, width - LABEL - 23))

    def load(label: str, past: Sequence[float], most: float, text: str, style: str) -> Content:
        return _row(label, (sparkline(past, most, cells) + " ", style), (text, ""))

    rows: list[Content] = []
    for gpu in gpus_of(sample):
        past = history.of(gpu)
        if gpu.memory_total:
            memory = past.memory if past is not None else ()
            used = _used(gpu.memory_used, gpu.memory_total)
            rows.append(load(_numbered("GPU memory", sample, gpu), memory, gpu.memory_total, used, "$primary"))
            rows += _others([gpu], width)
        heat = f"  {gpu.celsius:.0f} °C" if gpu.celsius is not None else ""
        if gpu.percent is not None:
            use = past.percent if past is not None else ()
            rows.append(load(_numbered("GPU", sample, gpu), use, 100.0, f"{percent(gpu.percent)}{heat}", "$primary"))
    rows.append(load("RAM", history.ram, sample.ram_total, _used(sample.ram_used, sample.ram_total), "$muted"))
    return [*rows, load("CPU", history.cpu, 100.0, percent(sample.cpu_percent), "$muted")]


def _numbered(label: str, sample: HardwareSampled, gpu: GpuReading) -> str:
    if len(sample.gpus) <= 1:
        return label
    # each machine counts its own from 0; the machine pane names them
    number = sample.gpus.index(gpu) if any(other.host for other in sample.gpus) else gpu.index
    return label.replace("GPU", f"GPU {number}")


def _used(used: float | None, total: float) -> str:
    return f"{size(used)} of {size(total)}"
