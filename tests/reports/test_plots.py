"""Plots: what is on the axes, for journals with known numbers."""

import subprocess
import sys
from pathlib import Path

import journal_samples as js
import pytest
from msgspec.structs import replace

from opeddev_tui.analysis.forecast import forecast
from opeddev_tui.analysis.learning_curve import points, steps_of
from opeddev_tui.reports import plots
from opeddev_tui.reports.examples import examples_figure
from opeddev_tui.reports.figures import loss_figure, size_figure
from opeddev_tui.runs.history import list_runs

LOSSES = ([4.0, 2.0, 1.5, 1.3], [1.3, 1.0, 0.9, 0.95], [0.9, 0.8, 0.75, 0.76])


def test_loss_over_epochs() -> None:
    """Every epoch is on the plot, 0 included; the best and the decisions are marked; axes have units."""
    (axes,) = loss_figure(js.record(js.run_events(0, LOSSES[1], against=True)).state).axes
    lines = {line.get_label(): line for line in axes.lines}
    assert list(axes.containers[0].lines[0].get_xdata()) == [0, 1, 2, 3]
    assert list(axes.containers[0].lines[0].get_ydata()) == LOSSES[1]
    assert len(lines["train, as logged"].get_xdata()) == 30
    assert list(lines["train, epoch mean"].get_xdata()) == [1, 2, 3]
    assert lines["best: epoch 2, 0.900"].get_xydata().tolist() == [[2, 0.9]]
    assert list(lines["decision: continue"].get_xdata()) == [1, 2]
    assert list(lines["decision: stop"].get_xdata()) == [3]
    assert list(lines["against the verdict"].get_xdata()) == [3]
    assert "epoch" in axes.get_xlabel()
    assert "nats per token" in axes.get_ylabel()
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend[0] == "hold-out, 95% interval"


def test_holdout_over_size() -> None:
    """One point a step with its interval, grades beside the baselines, and the forecast one increment further."""
    series = points([js.record(js.run_events(step, losses)).state for step, losses in enumerate(LOSSES)])
    ahead = forecast(series)
    assert ahead is not None
    loss, graded = size_figure(series, ahead).axes
    assert loss.containers[0].lines[0].get_xydata().tolist() == [[100, 1.3], [200, 0.9], [300, 0.75]]
    low, high = series[0].interval
    assert low < 1.3 < high
    segments = loss.containers[0].lines[2][0].get_segments()
    assert segments[0][:, 1] == pytest.approx([low, high])
    assert list(loss.containers[1].lines[0].get_xdata()) == [400]
    assert graded.get_xlabel() == "cumulative training set (rows)"
    assert {"the commonest grade", "the n-gram grader"} <= {line.get_label() for line in graded.lines}
    assert graded.get_ylim() == (0, 100)


def test_an_older_steps_classifier_is_not_drawn_as_the_n_gram_grader() -> None:
    states = [js.record(js.run_events(step, losses)).state for step, losses in enumerate(LOSSES)]
    for epoch, measured in states[0].grades.items():
        states[0].grades[epoch] = replace(measured, n_grams={}, classifier_exact=0.2)
    _, graded = size_figure(points(states), None).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in graded.lines}
    assert lines["a text classifier"] == [[100, 20]]
    assert lines["the n-gram grader"] == [[200, 35], [300, 35]]


def test_other_holdout_is_not_comparable() -> None:
    """A step that was scored on another hold-out is not in the series."""
    states = [js.record(js.run_events(step, losses)).state for step, losses in enumerate(LOSSES)]
    assert states[0].started is not None
    states[0].started = replace(states[0].started, holdout_fingerprint="other")
    assert [point.step for point in points(states)] == [1, 2]


def test_examples_show_nasty_text() -> None:
    """Control characters are pictures, dollars are dollars, the grades are told."""
    record = js.record(js.run_events(0, LOSSES[0], texts=(js.NASTY, "after")))
    figure = examples_figure(plots.before_and_after([record]), plots.moments([record]))
    content = plots.svg(figure).decode()
    assert "\x1b" not in content
    assert "�]0;title�" in content
    assert "$\\frac" in content.replace("&#36;", "$")
    assert "<script>" not in content
    assert "before any training" in content
    assert "grade 0, reference 3" in content


def test_files_are_deterministic(tmp_path: Path) -> None:
    """PNG and SVG of every plot, the same bytes every time."""
    workspace = js.make_workspace(tmp_path, [js.run_events(0, LOSSES[0])])
    written = plots.write_plots(workspace, list_runs(workspace))
    names = {path.name for path in written}
    stems = ("loss_step_base", "examples_step_base", "holdout_over_size", "examples_before_after")
    assert names == {f"{stem}{suffix}" for stem in stems for suffix in (".png", ".svg")}
    before = {path: path.read_bytes() for path in written}
    plots.write_plots(workspace, list_runs(workspace))
    assert all(path.read_bytes() == before[path] for path in written)
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in written if path.suffix == ".png")


def test_failure_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a full disk nor a bug in drawing ends a training."""
    workspace = js.make_workspace(tmp_path, [js.run_events(0, LOSSES[0])])
    (tmp_path / ".specs").write_text("in the way")
    assert "could not be written" in (plots.plots_after_step(workspace, 0) or "")
    (tmp_path / ".specs").unlink()

    def broken(_: object) -> None:
        raise ZeroDivisionError("bug \x1b[5n")

    monkeypatch.setattr(plots, "loss_figure", broken)
    assert plots.plots_after_step(workspace, 0) == ("the plots could not be drawn: ZeroDivisionError: bug ␛[5n")


def test_nothing_trained_nothing_plotted(tmp_path: Path) -> None:
    """A run without an epoch gives no plot and no error."""
    workspace = js.make_workspace(tmp_path, [js.run_events(0, LOSSES[0])[:1]])
    assert plots.write_plots(workspace, list_runs(workspace)) == []


def test_newest_finished_run_of_a_step() -> None:
    """A finished run goes before a newer unfinished one, a newer finished one before an older."""
    first, second = js.run_events(0, LOSSES[0]), js.run_events(0, LOSSES[1])
    unfinished = js.run_events(0, LOSSES[2], finished=False)
    chosen = steps_of([js.record(first), js.record(second), js.record(unfinished)])
    assert [record.state.epochs[1].val_loss for record in chosen] == [LOSSES[1][1]]


def test_importing_draws_nothing() -> None:
    """A screen may know these modules: neither matplotlib nor numpy nor torch is loaded by importing them."""
    code = (
        "import sys, opeddev_tui.reports.plots, opeddev_tui.analysis.forecast, opeddev_tui.reports.report;"
        "import opeddev_tui.notices.delivery;"
        "print([name for name in ('matplotlib', 'numpy', 'torch', 'jinja2', 'apprise') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
