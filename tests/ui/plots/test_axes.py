"""Every plot that is drawn has two numbers on each axis, told apart; what a cursor reads is where the line is drawn."""

from __future__ import annotations

import math
from itertools import product

import pytest
from scenes import PER_EPOCH, trained

from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.plots.canvas import Series, render
from opeddev_tui.ui.plots.charts import CHARTS, TILES
from opeddev_tui.ui.plots.look import LEAST_HEIGHT, LEAST_WIDTH, Look, Palette, signature
from opeddev_tui.ui.plots.overlay import MARKS, MEASURES, Line, Overlay, OverlayLook, colours_of
from opeddev_tui.ui.plots.picture import LEAST, Pictures
from opeddev_tui.ui.plots.series import loss_series
from opeddev_tui.ui.plots.values import of_line, of_nearest

NAN = math.nan
Y_RANGES = (
    (0.96, 2.9), (1.9, 2.1), (0.5, 0.52), (0, 100), (28, 64), (1e-5, 3e-5), (1e-5, 1e-5), (0, 1), (3, 3), (14, 14.2),
    (0.1, 9000), (1234.5, 1240), (-0.3, 0.4), (7.9, 8.2), (99_000, 120_000), (0, 0),
)  # fmt: skip
X_RANGES = ((0, 3), (0, 150), (100, 500), (0, 1), (0, 5.5), (1.23, 1.31), (0, 125_000))
WIDTHS = (LEAST_WIDTH, 24, 30, LEAST[0], 45, 74, 96, 196)
HEIGHTS = (LEAST_HEIGHT, 5, 6, 7, 8, 9, 10, 11, 13, 16, 24, 40)


def numbers(picture: str) -> tuple[list[str], list[str]]:
    """Return the numbers at the y and at the x axis."""
    lines = picture.split("\n")
    beside = [line.partition("┤")[0].strip() for line in lines if "┤" in line]
    axis = next(at for at, line in enumerate(lines) if "└" in line)
    return [text for text in beside if text], lines[axis + 1].split()


def check(picture: str) -> None:
    for found in numbers(picture):
        assert len(found) >= 2, picture
        assert len(set(found)) == len(found), picture


# a log scale shows nothing at or below 0
@pytest.mark.parametrize(("y", "log"), [(y, log) for y in Y_RANGES for log in (False, True) if y[0] > 0 or not log])
def test_each_axis_has_two_numbers_at_every_size(y: tuple[float, float], log: bool) -> None:
    for at, (width, height) in enumerate(product(WIDTHS, HEIGHTS)):
        low, high = X_RANGES[at % len(X_RANGES)]
        points = [low + (high - low) * part / 20 for part in range(21)]
        values = [y[0] + (y[1] - y[0]) * part / 20 for part in range(21)]
        text = render([Series("a", points, values, "#ffffff")], width, height, x_range=(low, high), log_y=log)
        check(text.plain)


@pytest.fixture(scope="module")
def state() -> RunState:
    return reduce(trained(1, 1_700_000_000.0))


# the curves pane at 80x24, 100x30, 120x40, 150x36 and 200x60, beside others and grown
PANES = ((76, 9), (76, 14), (45, 9), (68, 17), (116, 30), (48, 12), (90, 34), (196, 48), (96, 24))


@pytest.mark.parametrize("size", PANES)
@pytest.mark.parametrize("by_step", [False, True])
@pytest.mark.parametrize("cursor", [None, 1.0])
def test_every_chart_and_every_tile_has_two_numbers_on_each_axis(
    state: RunState, size: tuple[int, int], by_step: bool, cursor: float | None
) -> None:
    drawing = Pictures(ascii_only=False)
    drawing.show(state, (), signature(state))
    overlay = Overlay(ascii_only=False)
    overlay.show([Line("run", MARKS[0], colours_of(1, "#101418")[0], state)])
    columns, rows = size[0] // LEAST[0], size[1] // LEAST[1]
    # a tile alone is as large as the pane's columns and rows make it
    tile = (size[0] - 2 * (columns - 1)) // max(columns, 1), size[1] // max(rows, 1)
    for width, height in {size, tile if columns * rows > 1 else size}:
        for name in TILES:
            text = drawing._chart(Look(chart=name, by_step=by_step, cursor=cursor), Palette(), width, height).plain
            check(text)
        for name in MEASURES:
            text = overlay.draw(OverlayLook(measure=name, by_step=by_step), Palette(), (width, height)).plain
            if "None of these runs" not in text:
                check(text)


def test_a_line_has_a_value_where_it_is_drawn_and_nowhere_else() -> None:
    xs, ys = [0.0, 1.0, 2.0, 3.0, 4.0], [4.0, 1.0, NAN, 2.0, 8.0]
    measured = of_line(xs, ys, 1.0)
    assert measured is not None
    assert (measured.value, measured.mark) == (1.0, "")
    between = of_line(xs, ys, 0.5)
    assert between is not None
    assert (between.value, between.mark) == (2.5, "≈")
    in_logs = of_line(xs, ys, 0.5, log=True)
    assert in_logs is not None
    assert in_logs.value == pytest.approx(2.0)
    # before it, behind it, at a gap and beside one
    assert [of_line(xs, ys, x) for x in (-0.1, 4.1, 2.0, 1.5, 2.5)] == [None] * 5
    assert of_line([0.0, 1.0], [0.0, 1.0], 0.0, log=True) is None
    assert (of_nearest(xs, ys, 2.1), of_nearest(xs, [NAN] * 5, 1.0), of_nearest([], [], 1.0)) == (2.0, None, None)


def row_of(picture: str, column: int, colour_rows: range) -> list[int]:
    lines = picture.split("\n")
    return [row for row in colour_rows if lines[row][column : column + 1] not in ("", " ")]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("name", ["loss", *CHARTS])
def test_what_the_cursor_reads_is_where_the_line_is_drawn(state: RunState, name: str, log: bool) -> None:
    look = Look(chart=name)
    series = loss_series(state, (), look, Palette()) if name == "loss" else CHARTS[name].series(state, look, Palette())
    width, height = 120, 60
    for item in (item for item in series if item.line):
        xs = [float(x) for x in item.xs]
        low, high = xs[0], xs[-1]
        values = [found.value for x in xs if (found := of_line(xs, item.ys, x, log=log)) is not None]
        if high <= low or (log and min(values) <= 0):
            continue
        plain = Series(item.label, item.xs, item.ys, item.colour)
        bottom, top = min(values) * (0.9 if min(values) > 0 else 1.1), max(values) * 1.1 + 1e-9
        # a range of the axis that is known here, without a margin
        text = render([plain], width, height, x_range=(low, high), y_range=(bottom, top), log_y=log).plain.split("\n")
        left = text[0].index("│") if "│" in text[0] else text[0].index("┤")
        columns, rows = width - 1 - left, height - 2
        ends = [math.log10(bottom), math.log10(top)] if log else [bottom, top]
        margin = 0.04 * (ends[1] - ends[0])
        ends = [ends[0] - margin, ends[1] + margin]
        for share in (0.1, 0.33, 0.5, 0.71, 0.9):
            x = low + share * (high - low)
            found = of_line(xs, item.ys, x, log=log)
            assert found is not None
            place = math.log10(found.value) if log else found.value
            row = rows - 1 - (place - ends[0]) / (ends[1] - ends[0]) * (rows - 1)
            column = left + 1 + round(share * (columns - 1))
            drawn = row_of("\n".join(text), column, range(rows))
            assert any(abs(other - row) <= 1.5 for other in drawn), (item.label, x, found, row, drawn)


def test_the_scene_has_the_epochs_that_the_tests_are_about(state: RunState) -> None:
    assert max(state.epochs) == 3
    assert state.data is not None
    assert state.data.steps_per_epoch == PER_EPOCH
