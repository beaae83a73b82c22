"""How a person looks at the curves, their colours, and what stands where there is nothing to draw.

Apart from ``series`` and ``canvas``, which the first frame of the app does not need.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace
from rich.text import Text
from textual.color import Color

from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.theme_colours import parsed_colour

# cells that a plot needs
LEAST_WIDTH, LEAST_HEIGHT = 20, 4
# what the losses say before there is one
NO_LOSS = "The curves begin with the first logged loss."


class Look(Struct, frozen=True):
    """How a person looks at the curves. ``window`` and ``cursor`` are in units of the x axis; None: all, and none.

    ``everything``: the y axis has room for all curves, not only for what this step trains.
    """

    log: bool = False
    smoothing: float = 0.6
    by_step: bool = False
    # a name of charts.PAGES
    chart: str = "loss"
    tiled: bool = False
    window: tuple[float, float] | None = None
    cursor: float | None = None
    everything: bool = False

    @property
    def sizes(self) -> bool:
        """Whether the hold-out loss by size of the data set is shown."""
        return self.chart == "sizes" and not self.tiled


class Palette(Struct, frozen=True):
    """Colours of the plot."""

    train: str = "#6cb6ff"
    raw: str = "#39618a"
    holdout: str = "#f0b35a"
    best: str = "#57c98a"
    previous: str = "#55606d"
    axis: str = "#8b96a3"
    cursor: str = "#f0f3f6"


_THEME_NAMES: dict[str, tuple[str, ...]] = {
    "train": ("plot-train", "primary"),
    "holdout": ("plot-holdout", "warning", "accent"),
    "best": ("plot-best", "success"),
    "previous": ("plot-previous", "secondary"),
    "axis": ("plot-axis", "text-muted", "foreground"),
    "cursor": ("plot-cursor", "foreground"),
}


def palette_of(variables: dict[str, str]) -> Palette:
    """Return the plot's colours from theme variables; a missing or unusable one has a fallback."""
    palette = Palette()
    for field, names in _THEME_NAMES.items():
        colour = next((colour for name in names if (colour := _fixed(variables.get(name, "")))), None)
        if colour is not None:
            palette = replace(palette, **{field: colour.hex6})
    background = _fixed(variables.get("background", "")) or Color(18, 18, 18)
    return replace(palette, raw=Color.parse(palette.train).blend(background, 0.5).hex6)


def _fixed(text: str) -> Color | None:
    """Return a theme's colour, None where it is none, "auto 60%" or one of the terminal's own."""
    colour = parsed_colour(text)
    return None if colour is None or colour.ansi is not None or colour.auto else colour


def signature(state: RunState) -> tuple[object, ...]:
    """Return a value that changes whenever the curves of a run do, without reading all points."""
    curves = state.curves
    newest = (curves.global_step[-1], curves.loss[-1]) if len(curves.loss) else ()
    losses = tuple((epoch, measured.loss) for epoch, measured in state.holdout.items())
    return id(state), len(curves.loss), newest, losses, len(state.epochs), state.started, state.data


def in_middle(sentence: str, width: int, height: int, colour: str) -> Text:
    """Return ``sentence`` in the middle of an otherwise empty picture."""
    import textwrap

    lines = textwrap.wrap(sentence, max(width - 2, 1))[: max(height, 1)]
    top = max((height - len(lines)) // 2, 0)
    body = "\n" * top + "\n".join(line.center(width).rstrip() for line in lines)
    return Text(body + "\n" * max(height - top - len(lines), 0), style=colour, no_wrap=True, end="")
