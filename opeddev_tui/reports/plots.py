"""Draw the plots of a workspace into files: PNG and SVG in the plots folder, under the same names every time.

matplotlib is imported when the first plot is drawn. Figures are made without pyplot, so that a worker thread may draw.
Equal data give equal bytes: files hold no dates and no random ids.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from opeddev_tui.analysis import learning_curve
from opeddev_tui.analysis.outlook import outlook_of
from opeddev_tui.errors import Problem
from opeddev_tui.files import write_atomic
from opeddev_tui.reports.calibration import calibration_figure
from opeddev_tui.reports.examples import examples_figure
from opeddev_tui.reports.figures import drawing, loss_figure, size_figure
from opeddev_tui.reports.races import details_of, raced
from opeddev_tui.runs.events import Sample
from opeddev_tui.runs.history import RunRecord, list_runs
from opeddev_tui.runs.metrics_csv import table_name
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.lock import hold_lock
from opeddev_tui.workspace.paths import Workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOG = logging.getLogger(__name__)
_DPI = 200
# most seconds to wait for another process that draws
_PATIENCE_SECONDS = 60.0


def file_name(text: str) -> str:
    """Return ``text`` with everything but letters, digits, - and _ replaced, for a file name."""
    return "".join(char if char.isalnum() or char in "-_" else "-" for char in text)[:60]


def svg(figure: Figure) -> bytes:
    """Return ``figure`` as SVG with real text, without a date."""
    return _rendered(figure, "svg", {"Date": None})


def png(figure: Figure) -> bytes:
    """Return ``figure`` as PNG at print resolution."""
    return _rendered(figure, "png", {"Software": None})


def _rendered(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    content = io.BytesIO()
    with drawing():
        figure.savefig(content, format=kind, dpi=_DPI, metadata=metadata)
    return content.getvalue()


def before_and_after(chosen: Sequence[RunRecord]) -> list[tuple[Sample, Sample]]:
    """Return the first and the last generation of each probe prompt in the runs ``chosen``, which are in order.

    Runs with another hold-out than the last one are left out.
    """
    generated = [item for record in _same(chosen) for item in record.state.samples if not item.on_demand]
    if len(generated) < 2:
        return []
    first = {sample.prompt: sample for sample in generated[0].samples}
    return [(first[sample.prompt], sample) for sample in generated[-1].samples if sample.prompt in first]


def _same(chosen: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the runs that were scored on the hold-out of the last one."""
    return [record for record in chosen if record.state.scored_on == chosen[-1].state.scored_on]


def moments(chosen: Sequence[RunRecord]) -> tuple[str, str]:
    """Return phrases that say when the texts of ``before_and_after`` were generated."""
    times = [
        (record.step, item.epoch) for record in _same(chosen) for item in record.state.samples if not item.on_demand
    ]
    (first_step, first_epoch), (last_step, last_epoch) = (times[0], times[-1]) if times else ((0, 0.0), (0, 0.0))
    before = "before any training" if first_step == 0 and first_epoch == 0 else f"before step {first_step}"
    return before, f"after step {last_step}, epoch {last_epoch:g}"


def figures(records: Sequence[RunRecord], *, step: int | None = None) -> Iterator[tuple[str, Figure]]:
    """Draw all plots that ``records`` have data for; yield (file name without suffix, figure).

    With ``step``, plots of other single steps are left out; those of the whole series are always drawn.
    """
    chosen = learning_curve.steps_of(records)
    drawn: set[str] = set()
    for record in chosen:
        name = file_name(table_name(record.state.begun).removeprefix("metrics_step_").removesuffix(".csv"))
        name = name if name not in drawn else f"{name[:50]}_step_{record.step}"
        drawn.add(name)
        if step not in (None, record.step):
            continue
        yield f"loss_step_{name}", loss_figure(record.state)
        pairs = before_and_after([record])
        if pairs:
            yield f"examples_step_{name}", examples_figure(pairs, moments([record]))
    series = learning_curve.points([record.state for record in chosen])
    if series:
        states = [record.state for record in chosen]
        outlook = outlook_of(states)
        notes = (learning_curve.other_holdouts(states), outlook.reservation)
        # the distance from the right grades is no value of the axis of losses
        ahead = outlook.forecast if outlook.forecast is not None and outlook.forecast.metric == "loss" else None
        yield "holdout_over_size", size_figure(series, ahead, " ".join(filter(None, notes)))
    newest = raced(chosen)
    if newest is not None and newest.state.race is not None:
        race, bins = newest.state.race, details_of(newest).calibration
        words = next((way.words for way in race.ways if way.way == race.chosen), "")
        if bins:
            yield "grade_calibration", calibration_figure(bins, words, race.holdout_rows)
    pairs = before_and_after(chosen)
    if pairs:
        yield "examples_before_after", examples_figure(pairs, moments(chosen))


def write_plots(workspace: Workspace, records: Sequence[RunRecord], *, step: int | None = None) -> list[Path]:
    """Write the plots of ``records`` (see ``figures``) and return the files, PNG and SVG; raises ``StorageProblem``."""
    folder = workspace.path(workspace.paths.plots)
    written: list[Path] = []
    for name, figure in figures(records, step=step):
        for suffix, content in ((".png", png(figure)), (".svg", svg(figure))):
            path = folder / f"{name}{suffix}"
            write_atomic(path, content)
            written.append(path)
    return written


def alone(workspace: Workspace, patience: float = _PATIENCE_SECONDS) -> AbstractContextManager[None]:
    """Let one process draw at a time. Read the records inside, so that no older plot replaces a newer one.

    Plots are drawn after the workspace's lock is released, when the next training may already run. Raises
    ``BusyProblem`` if another process draws for longer than ``patience`` seconds.
    """
    place = workspace.lock.with_name("plots.lock")
    return hold_lock(place, "another process is still drawing.", cure="opeddev-tui plot", patience=patience)


def plots_after_step(workspace: Workspace, step: int) -> str | None:
    """Write the plots of ``step`` and of the series; return a warning if that fails, for the step is trained anyway."""
    try:
        with alone(workspace):
            write_plots(workspace, list_runs(workspace), step=step)
    except Problem as problem:
        return f"the plots could not be written: {problem}"
    except Exception as error:  # noqa: BLE001 - a failed plot must not end the training; logged in full
        _LOG.exception("the plots could not be drawn")
        return clean_line(f"the plots could not be drawn: {type(error).__name__}: {error}")
    return None
