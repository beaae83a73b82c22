"""The machine: use and memory of every GPU that is used, of the processor and of the RAM, since the run began."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct
from textual.content import Content

from opeddev_tui.format import area, duration, means, percent, plural, size, sparkline
from opeddev_tui.runs.curves import GpuHistory
from opeddev_tui.runs.events import GpuReading
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.pane import Pane, lines
from opeddev_tui.ui.widgets.tables import cut, fit

_NOTHING = "The machine is read every few seconds while a training runs."
_GIB = 2.0**30
# lines of a graph at most, and the columns from which on two stand beside each other
_TALLEST, _TWO = 12, 96
_GAP = 3


class _Reading(Struct, frozen=True):
    """One line of history: its name, its values and what the highest would be, and how it is now."""

    label: str
    values: Sequence[float]
    most: float
    now: str
    style: str
    percent: bool = True
    # of the GPU that it belongs to, over the first of its readings
    title: str = ""


class MachinePane(Pane):
    """History of the machine, as graphs where there is room and as one line per reading where there is not."""

    title: ClassVar[str] = "Machine"
    brief: ClassVar[str] = "From the run's first reading to the newest, with least and most."
    about: ClassVar[str] = "Every GPU that the training uses, by its UUID; then the processor and the RAM."

    def render_view(self, view: View, width: int) -> Content:
        """Return graphs, as tall as they fit, or sparklines."""
        state = view.state
        if state.hardware is None:
            return Content.styled(_NOTHING, "$muted")
        readings = _readings(state)
        height = max(self.size.height, 1)
        columns = 2 if width >= _TWO else 1
        rows = _rows(readings, columns)
        titles = sum(1 for item in readings if item.title)
        # a processor alone may fill the pane
        tall = min(_TALLEST if rows > 1 else height, (height - 1 - titles) // rows - 1)
        head = Content.styled(cut(_span(state), width), "$muted")
        if tall < 2:
            return lines([head, *(line for item in readings for line in _short(item, width))])
        return lines([head, *_graphs(readings, columns, width, tall)])


def _readings(state: RunState) -> list[_Reading]:
    history, sample = state.machine, state.hardware
    found: list[_Reading] = []
    for past in sorted(history.gpus.values(), key=lambda item: (item.newest.host, item.newest.index, item.newest.uuid)):
        found += _of_gpu(past)
    if sample is not None:
        found.append(_Reading("CPU", history.cpu, 100.0, percent(sample.cpu_percent), "$plot-train", title="Processor"))
        ram = f"{size(sample.ram_used)} of {size(sample.ram_total)}"
        found.append(_Reading("RAM", history.ram, sample.ram_total, ram, "$plot-holdout", percent=False))
    return found


def others_on(gpu: GpuReading) -> str:
    """Return a sentence on the processes beside the training that hold memory of ``gpu``, "" where there are none."""
    if not gpu.others:
        return ""
    held = size(gpu.others_memory) if gpu.others_memory is not None else "memory"
    return f"1 other process holds {held}" if gpu.others == 1 else f"{gpu.others:,} other processes hold {held}"


def _of_gpu(past: GpuHistory) -> list[_Reading]:
    gpu = past.newest
    heat = f"{gpu.celsius:.0f} °C" if gpu.celsius is not None else ""
    watts = f"{gpu.watts:.0f} W" if gpu.watts is not None else ""
    place = f"GPU {gpu.index}" + (f" of {clean_line(gpu.host)}" if gpu.host else "")
    named = [place, others_on(gpu), clean_line(gpu.name), heat, watts, clean_line(gpu.uuid)[:12]]
    name = " · ".join(filter(None, named))
    found = []
    if any(value == value for value in past.percent):
        now = percent(gpu.percent)
        found.append(_Reading("use", past.percent, 100.0, now, "$plot-train", title=name))
    if gpu.memory_total and any(value == value for value in past.memory):
        used = f"{size(gpu.memory_used)} of {size(gpu.memory_total)}"
        title = "" if found else name
        found.append(_Reading("memory", past.memory, gpu.memory_total, used, "$plot-holdout", False, title))
    return found


def _span(state: RunState) -> str:
    times = state.machine.at
    return f"{plural(len(times), 'reading')} over {duration(times[-1] - times[0])}" if len(times) else _NOTHING


def _between(item: _Reading) -> str:
    """Return the least and the most."""
    known = [value for value in item.values if not math.isnan(value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    if item.percent:
        return f"{low:.0f} to {percent(high)}"
    return f"{low / _GIB:.1f} to {high / _GIB:.1f} GiB"


def _short(item: _Reading, width: int) -> list[Content]:
    """Return a reading in one line: its history, how it is now, and where there is room least and most."""
    title = [Content.styled(cut(item.title, width), "bold")] if item.title else []
    words = [item.now, _between(item)] if width >= 60 else [item.now]
    room = max(6, min(60, width - 8 - 25 * len(words)))
    line = Content.styled(fit(item.label, 8), "$muted")
    line += Content.styled(sparkline(means(item.values, room), item.most, room), item.style)
    return [*title, line + Content(f" {fit(words[0], 24)}") + Content.styled(words[1] if words[1:] else "", "$muted")]


def _rows(readings: Sequence[_Reading], columns: int) -> int:
    """Return how many rows of graphs there are: a reading with a title begins one."""
    rows = in_row = 0
    for item in readings:
        if item.title or in_row == columns:
            rows, in_row = rows + 1, 0
        in_row += 1
    return max(rows, 1)


def _graphs(readings: Sequence[_Reading], columns: int, width: int, tall: int) -> list[Content]:
    """Return a heading and a graph per reading, ``columns`` of them beside each other; a GPU begins a new row."""
    room = (width - _GAP * (columns - 1)) // columns
    result: list[Content] = []
    at = 0
    while at < len(readings):
        row = [readings[at]]
        while len(row) < columns and at + len(row) < len(readings) and not readings[at + len(row)].title:
            row.append(readings[at + len(row)])
        at += len(row)
        if row[0].title:
            result.append(Content.styled(cut(row[0].title, width), "bold"))
        blocks = [_graph(item, room, tall) for item in row]
        result += [Content(" " * _GAP).join(parts) for parts in zip(*blocks, strict=True)]
    return result


def _graph(item: _Reading, width: int, tall: int) -> list[Content]:
    between = _between(item)
    words = f"{item.label} {item.now}"
    head = Content.styled(fit(words, max(0, width - len(between) - 1)) + " ", item.style)
    known = len(item.values)
    # the graph is of the whole run: a few readings fill its width, each with a step of its own
    values = [item.values[at * known // width] for at in range(width)] if 0 < known < width else item.values
    drawn = area(values, item.most, width, tall)
    return [head + Content.styled(between, "$muted"), *(_line(line, item.style) for line in drawn)]


def _line(text: str, style: str) -> Content:
    """Return a line of a graph: its edge in colour, what is below it pale."""
    content = Content(text).stylize("$border-idle")
    start = 0
    while start < len(text):
        end = start
        edge = text[start] not in " ░"
        while end < len(text) and (text[end] not in " ░") == edge:
            end += 1
        if edge:
            content = content.stylize(style, start, end)
        start = end
    return content
