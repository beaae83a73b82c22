"""Which part of the x axis is in view: moved and made narrower or wider. Pure: (left, right), None for all of it."""

from __future__ import annotations

# the narrowest window, as a share of the whole axis
_CLOSEST_ZOOM = 1 / 512
# of a window's width, as far as one key moves it
_STEP = 1 / 5

Window = tuple[float, float]


def within(left: float, wide: float, whole: Window) -> Window:
    """Return a window of width ``wide`` from ``left`` on, moved until it lies in ``whole``."""
    low, high = whole
    left = min(max(left, low), high - wide)
    return left, left + wide


def panned(window: Window, direction: int, whole: Window) -> Window:
    """Return ``window`` moved by a fifth of its width, to the right (1) or to the left (-1)."""
    left, right = window
    return within(left + direction * (right - left) * _STEP, right - left, whole)


def zoomed(window: Window | None, factor: float, centre: float | None, whole: Window) -> Window | None:
    """Return ``window`` made wider by ``factor`` around ``centre`` (None: its middle); None where all is in view."""
    low, high = whole
    left, right = window or whole
    middle = centre if centre is not None else (left + right) / 2
    wide = max((right - left) * factor, (high - low) * _CLOSEST_ZOOM)
    return None if wide >= high - low else within(middle - wide / 2, wide, whole)
