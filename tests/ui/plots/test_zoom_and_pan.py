"""The part of the x axis in view stays on the axis, whatever keys are pressed."""

import random

import pytest

from opeddev_tui.ui.plots.windows import panned, zoomed

WHOLE = (2.0, 10.0)


def test_zoom_is_around_the_cursor_or_the_middle_and_ends_with_all_in_view() -> None:
    assert zoomed(None, 0.5, None, WHOLE) == (4.0, 8.0)
    assert zoomed(None, 0.5, 2.0, WHOLE) == (2.0, 6.0)
    assert zoomed((4.0, 8.0), 2.0, None, WHOLE) is None
    assert zoomed((4.0, 6.0), 2.0, 10.0, WHOLE) == (6.0, 10.0)


def test_a_window_moves_by_a_fifth_and_stops_at_the_ends() -> None:
    assert panned((4.0, 9.0), 1, WHOLE) == (5.0, 10.0)
    assert panned((4.0, 9.0), -1, WHOLE) == (3.0, 8.0)
    assert panned((5.0, 10.0), 1, WHOLE) == (5.0, 10.0)


@pytest.mark.parametrize("seed", range(20))
def test_no_keys_lead_off_the_axis_or_make_the_window_empty(seed: int) -> None:
    draw, window = random.Random(seed), None
    for _ in range(200):
        if window is not None and draw.random() < 0.5:
            window = panned(window, draw.choice((-1, 1)), WHOLE)
        else:
            centre = draw.choice((None, draw.uniform(*WHOLE)))
            window = zoomed(window, draw.choice((0.5, 2.0)), centre, WHOLE)
        left, right = window or WHOLE
        assert WHOLE[0] - 1e-9 <= left < right <= WHOLE[1] + 1e-9
