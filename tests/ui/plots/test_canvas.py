"""Plots are right at the edges: none, one, two, equal, missing and very many points; any size; log scales; ASCII."""

import math
from array import array

import numpy as np
import pytest

from opeddev_tui.terminal.ascii_fallback import as_ascii
from opeddev_tui.ui.plots.canvas import Series, render
from opeddev_tui.ui.plots.downsample import newest_smoothed, reduce_points, smooth, tick_labels, ticks

NAN = math.nan
BRAILLE = [chr(code) for code in range(0x2801, 0x2900)]


def picture(series: list[Series], width: int = 60, height: int = 16, **options: object) -> list[str]:
    text = render(series, width, height, **options)  # type: ignore[arg-type]
    lines = text.plain.split("\n")
    assert len(lines) == height
    assert all(len(line) <= width for line in lines)
    return lines


def curve(xs: list[float], ys: list[float], **options: object) -> Series:
    return Series("a", xs, ys, "#ff8800", **options)  # type: ignore[arg-type]


def dots(lines: list[str]) -> int:
    return sum(char in BRAILLE for line in lines for char in line)


@pytest.mark.parametrize("series", [[], [curve([], [])], [curve([1, 2], [NAN, NAN])], [curve([1, 2], [math.inf] * 2)]])
@pytest.mark.parametrize("size", [(20, 6), (60, 16), (5, 2)])
def test_nothing_to_draw_is_said(series: list[Series], size: tuple[int, int]) -> None:
    lines = picture(series, *size, empty="Nothing yet.")
    words = " ".join(" ".join(lines).split())
    assert "Nothing yet." in words or size == (5, 2)
    assert "│" not in words


def test_one_point_is_a_visible_mark() -> None:
    assert sum(line.count("•") for line in picture([curve([1.0], [2.5])])) == 1


def test_two_points_are_a_line_and_equal_values_a_level_one() -> None:
    assert dots(picture([curve([0, 1], [1, 2])])) > 20
    level = picture([curve([0, 1, 2], [3, 3, 3])])
    assert sum(any(char in BRAILLE for char in line) for line in level) == 1
    assert dots(picture([curve([1, 1, 1], [1, 2, 3])])) > 0


def test_missing_numbers_leave_a_gap() -> None:
    whole = dots(picture([curve([0, 1, 2, 3, 4], [1, 1, 1, 1, 1])]))
    holed = dots(picture([curve([0, 1, 2, 3, 4], [1, 1, NAN, 1, 1])]))
    assert whole * 0.3 < holed < whole * 0.7


def test_log_scale_drops_what_it_cannot_show_and_says_so() -> None:
    lines = picture([curve([0, 1, 2, 3], [10, 1, 0, -1])], log_y=True, x_label="epoch")
    assert "2 at or below 0" in lines[-1]
    assert any("10┤" in line for line in lines)
    assert "Nothing above 0" in " ".join(picture([curve([0, 1], [0, -1])], log_y=True))
    assert dots(picture([curve([0, 1], [1e-9, 1e9])], log_y=True)) > 10
    assert dots(picture([curve([0, 1], [2.0, 2.5])], log_y=True)) > 10


def test_markers_stand_on_measured_points_only() -> None:
    series = [curve([0, 1, 2, 3], [4, 3, 2, 1], marker="●")]
    assert sum(line.count("●") for line in picture(series)) == 4
    zoomed = picture(series, x_range=(0.5, 1.5))
    assert sum(line.count("●") for line in zoomed) == 1
    assert dots(zoomed) > 30
    assert dots(picture(series, x_range=(1.2, 1.4))) > 30


def test_zoom_far_in_is_drawn_although_the_next_points_are_far_out() -> None:
    series = [curve([0, 1e9], [0, 1e9])]
    assert picture(series, x_range=(5.0, 5.001))


def test_cursor_and_colours() -> None:
    text = render([curve([0, 1, 2], [1, 2, 3])], 60, 16, cursor_x=1.0)
    assert sum(line[6:].count("│") for line in text.plain.split("\n")) >= 10
    assert any("#ff8800" in str(span.style) for span in text.spans)
    plain = render([curve([0, 1, 2], [1, 2, 3])], 60, 16, cursor_x=9.0).plain
    assert sum(line[6:].count("│") for line in plain.split("\n")) == 0


def test_ascii_only() -> None:
    series = [curve([0, 1, 2], [1, 2, 3]), curve([0, 1, 2], [3, 2, 1], marker="●"), curve([0], [1], marker="braille")]
    drawn = render(series, 60, 16, cursor_x=1.0, x_label="epoch", ascii_only=True).plain
    assert not any("\u2800" <= char < "\u2900" for char in drawn)
    # the three curves stay apart in what an ASCII terminal is sent
    assert {"*", "@", "."} <= {as_ascii(char) for char in drawn}


def test_every_size() -> None:
    series = [curve([0, 1, 2, 3], [4, 3, 2, 1], marker="●"), curve([0, 3], [1e6, -1e6])]
    for width in (1, 11, 12, 20, 40, 200):
        for height in (1, 3, 4, 6, 8, 50):
            picture(series, width, height, x_label="a long label for the axis", log_y=width == 40)


def test_nothing_is_left_over_from_the_picture_before() -> None:
    first = render([curve([0, 1], [0, 1])], 60, 16).plain
    render([curve([5, 6], [-10, 10])], 40, 10, x_label="x", log_y=True, cursor_x=5.5)
    assert render([curve([0, 1], [0, 1])], 60, 16).plain == first


def test_a_hundred_thousand_points() -> None:
    rng = np.random.default_rng(1)
    xs = array("d", np.linspace(0, 3, 100_000))
    ys = array("d", np.exp(-np.asarray(xs)) + rng.normal(0, 0.1, 100_000))
    series = [Series("raw", xs, ys, "#123456", line=False, marker="braille"), Series("a", xs, ys, "#654321")]
    render(series, 100, 25)
    render(series[1:], 100, 25)
    xs.append(4.0)  # a view kept on the column would forbid this


def test_reduce_keeps_extremes_order_and_gaps() -> None:
    rng = np.random.default_rng(2)
    xs = np.sort(rng.uniform(0, 10, 20_000))
    ys = rng.normal(0, 1, 20_000)
    ys[777], ys[15_000], ys[9_000:9_500], ys[3] = 50.0, -60.0, NAN, math.inf
    x, y = reduce_points(xs, ys, 100)
    assert len(x) <= 300
    assert np.all(np.diff(x) >= 0)
    assert np.nanmax(y) == 50.0
    assert np.nanmin(y) == -60.0
    assert np.isnan(y).any()
    assert not np.isinf(y).any()
    edges = np.minimum((x - xs[0]) * 100 / (xs[-1] - xs[0]), 99).astype(int)
    wanted = np.minimum((xs - xs[0]) * 100 / (xs[-1] - xs[0]), 99).astype(int)
    for cell in (0, 50, 99):
        known = np.isfinite(ys) & (wanted == cell)
        assert np.nanmax(y[edges == cell]) == ys[known].max()
    few, _ = reduce_points([2.0, 1.0], [1.0, 2.0], 100)
    assert list(few) == [1.0, 2.0]
    assert len(reduce_points([1.0] * 5000, list(range(5000)), 10)[0]) == 2
    assert len(reduce_points([], [], 10)[0]) == 0


def test_smooth_is_the_corrected_exponential_mean() -> None:
    rng = np.random.default_rng(3)
    for count in (1, 2, 255, 256, 257, 1000):
        ys = rng.normal(0, 1, count)
        ys[count // 2] = NAN if count > 2 else ys[count // 2]
        mean, seen, expected = 0.0, 0, []
        for value in ys:
            if not math.isnan(value):
                mean, seen = 0.9 * mean + 0.1 * value, seen + 1
            expected.append(mean / (1 - 0.9**seen) if not math.isnan(value) else NAN)
        np.testing.assert_allclose(smooth(ys, 0.9), expected, rtol=1e-9)
    assert list(smooth([1.0, 2.0], 0)) == [1.0, 2.0]
    assert np.isnan(smooth([NAN, math.inf], 0.9)).all()
    assert len(smooth([], 0.5)) == 0


def test_the_newest_smoothed_loss_is_where_the_curve_ends() -> None:
    losses = array("d", [3.0, 2.5, 2.2, 2.1, 1.5])
    expected = (0.4096 * 3.0 + 0.512 * 2.5 + 0.64 * 2.2 + 0.8 * 2.1 + 1.5) / (0.4096 + 0.512 + 0.64 + 0.8 + 1)
    assert newest_smoothed(losses, 0.8) == pytest.approx(expected, abs=1e-12)
    assert newest_smoothed(losses, 0.8) == smooth(losses, 0.8)[-1]
    assert newest_smoothed(losses, 0) == 1.5
    assert newest_smoothed([*losses, NAN, math.inf], 0.8) == newest_smoothed(losses, 0.8)
    assert newest_smoothed([NAN], 0.8) is None
    assert newest_smoothed([], 0.8) is None


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.9, 1.1), (-3, 7), (0, 1e9), (1e-9, 2e-9), (1.0001, 1.0002), (12_000, 48_000)]
)
def test_ticks_are_few_round_and_told_apart(low: float, high: float) -> None:
    values = ticks(low, high, 5)
    assert 2 <= len(values) <= 12
    assert all(low - 1e-12 <= value <= high + 1e-12 for value in values)
    labels = tick_labels(values)
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("height", range(8, 60, 3))
def test_every_number_of_the_y_axis_stands_in_the_line_of_its_value(height: int) -> None:
    def level(value: float) -> list[str]:
        return picture([curve([0, 100], [value] * 2)], 60, height, y_range=(0.0, 100.0), x_label="%")

    numbers = [float(line.split("┤")[0]) for line in level(50.0) if "┤" in line]
    assert len(numbers) >= 2
    for number in numbers:
        (drawn,) = [line for line in level(number) if any(char in BRAILLE for char in line)]
        assert drawn.split("┤")[0].strip() == f"{number:g}"
