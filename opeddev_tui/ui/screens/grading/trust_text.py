"""What can be trusted, as sentences, two plots and tables that fit the width. Pure; loads no numbers library itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from rich.text import Text
from textual.content import Content

from opeddev_tui.format import percent, plural, share
from opeddev_tui.runs.grade_words import few_rows, within_words
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keymap import Keymap
from opeddev_tui.ui.plots.canvas import Colours, Series, render
from opeddev_tui.ui.plots.look import Palette
from opeddev_tui.ui.screens.grading.race_table import two
from opeddev_tui.ui.widgets.tables import Column, table

if TYPE_CHECKING:
    from opeddev_tui.grading.calibration import Alone, Bin
    from opeddev_tui.grading.intervals import Estimate
    from opeddev_tui.grading.trust import Trust

# from this width on the two plots stand beside each other
BESIDE = 96
_LEAST_HEIGHT, _MOST_HEIGHT = 9, 20
_GAP = 3


class Look(Struct, frozen=True):
    """How the plots are drawn: the space for all, colours, and whether the terminal shows ASCII only."""

    width: int
    height: int
    palette: Palette
    ascii_only: bool = False


def between(estimate: Estimate) -> str:
    """Return a share with its interval."""
    if estimate.low != estimate.low:
        return share(estimate.value)
    return f"{share(estimate.value)} ({share(estimate.low)} to {share(estimate.high)})"


def trust_text(found: Trust, labels: int, wanted: int, people: str, look: Look, keymap: Keymap) -> Content:
    """Return everything that is said of ``found``; ``people`` is a sentence on how far people agree, or empty."""
    parts = [
        Content.styled(keymap.text(alone_sentence(found.alone[wanted], wanted, found.tolerance)), "bold"),
        Content.styled(checked_sentence(found.alone[wanted]), "$muted"),
        *([Content.styled(few, "$text-warning")] if (few := few_rows(found.rows)) else []),
        Content(""),
        _plots(found, wanted, look),
        Content(""),
    ]
    if found.covered is not None and found.set_size is not None:
        parts.append(Content(coverage_sentence(found.covered, found.set_size, labels)))
    if people:
        parts.append(Content(clean_line(people, max_chars=400)))
    if found.confident:
        parts += [Content(""), halves_table(found, look.width)]
    parts += [Content(""), bins_table(found.bins, look.width)]
    return Content("\n").join(parts)


def alone_sentence(alone: Alone, wanted: int, tolerance: int) -> str:
    """Return what grading alone with the ``wanted`` agreement (in percent) means on these rows; it may name a key."""
    kind = within_words(tolerance)
    if alone.chosen is None:
        hint = "" if tolerance else " {grading.within-one} takes one grade off as agreement, too."
        return f"No threshold is borne out at {percent(wanted)} agreement{kind}: a person looks at all rows.{hint}"
    return (
        f"At {percent(wanted)} agreement{kind} {share(alone.chosen.share)} of the rows can be graded without a person: "
        f"those with a confidence of {alone.chosen.threshold:.2f} or more."
    )


def checked_sentence(alone: Alone) -> str:
    """Return what thresholds give on rows that did not choose them, and what is missing where that is not enough."""
    grouped = alone.checked_groups is not None
    rows, row, those = ("groups", "group", "rows of at least 10 groups") if grouped else ("rows", "row", "at least 10")
    missing = f"needed are {those} that agree as wanted, even with one more wrong {row}."
    if alone.checked is None:
        return f"Thresholds chosen on nine tenths of the {rows} let none of the other tenth pass; {missing}"
    groups = f" of {plural(alone.checked_groups, 'group')}" if alone.checked_groups is not None else ""
    told = (
        f"Checked with thresholds chosen on other {rows}: "
        f"{plural(alone.checked_rows, 'row')}{groups} pass{'es' if alone.checked_rows == 1 else ''}, "
        f"agreement {between(alone.checked)}"
    )
    return f"{told}." if alone.chosen is not None else f"{told}; {missing}"


def coverage_sentence(covered: Estimate, size: float, labels: int) -> str:
    """Return how often the 90% sets hold the right grade."""
    return f"90% sets hold the right grade in {between(covered)} of the rows; mean size {size:.1f} of {labels} grades."


class _Half(Struct, frozen=True):
    name: str
    figures: dict[str, Estimate]


def halves_table(found: Trust, width: int) -> Content:
    """Return the figures of the surer half of the rows and of the other."""

    def figure(name: str, *, is_share: bool) -> Callable[[_Half], str]:
        def write(half: _Half) -> str:
            value = half.figures[name].value
            return share(value) if is_share else two(value)

        return write

    columns = (
        Column[_Half]("half of the rows", lambda half: half.name, right=False),
        Column("kappa", figure("kappa", is_share=False)),
        Column("exact", figure("exact", is_share=True)),
        Column("±1", figure("within_one", is_share=True)),
        Column("off by", figure("mae", is_share=False), rank=1),
        Column("signed", figure("signed_error", is_share=False), rank=2),
    )
    halves = (_Half("the surer one", dict(found.confident)), _Half("the other", dict(found.other)))
    return table(halves, columns, width)


def bins_table(bins: Sequence[Bin], width: int) -> Content:
    """Return predicted probability against observed share, with counts."""
    columns: tuple[Column[Bin], ...] = (
        Column("predicted", lambda item: share(item.confidence)),
        Column("right", lambda item: share(item.right.value)),
        Column("95%", lambda item: f"{share(item.right.low)} to {share(item.right.high)}", rank=1, style="$muted"),
        Column("rows", lambda item: str(item.rows)),
    )
    return table(bins, columns, width)


def _plots(found: Trust, wanted: int, look: Look) -> Content:
    """Return the two plots beside or below each other."""
    beside = look.width >= BESIDE
    width = (look.width - _GAP) // 2 if beside else look.width
    height = max(_LEAST_HEIGHT, min(_MOST_HEIGHT, look.height))
    pictures = [
        _titled("predicted probability against observed share", _calibration(found, look.palette), width, height, look),
        _titled(
            "rows graded without a person against agreement", _curve(found, wanted, look.palette), width, height, look
        ),
    ]
    if not beside:
        return Content("\n\n").join(pictures)
    left, right = (picture.split("\n", allow_blank=True) for picture in pictures)
    gap = Content(" " * _GAP)
    return Content("\n").join(
        Content("").join([one, Content(" " * (width - one.cell_length)), gap, other])
        for one, other in zip(left, right, strict=False)
    )


def _titled(title: str, series: list[Series], width: int, height: int, look: Look) -> Content:
    colours = Colours(axes=look.palette.axis, cursor=look.palette.cursor)
    label = "% " + title.split(" against ")[0]
    # without the axis the labels are left out at small heights: the title has them as well
    picture = render(
        series, width, height, x_label=label, x_range=(0.0, 100.0), colours=colours, ascii_only=look.ascii_only
    )
    head = Text(f"% {title.split(' against ')[1]}", style=look.palette.axis)
    return Content.from_rich_text(Text("\n").join([head, picture]))


def _calibration(found: Trust, palette: Palette) -> list[Series]:
    xs = [100 * item.confidence for item in found.bins]
    ys = [100 * item.right.value for item in found.bins]
    return [
        Series("perfect", [0.0, 100.0], [0.0, 100.0], palette.previous),
        Series("observed", xs, ys, palette.holdout, line=False, marker="●"),
    ]


def _curve(found: Trust, wanted: int, palette: Palette) -> list[Series]:
    xs = [100 * point.share for point in found.curve]
    ys = [100 * point.agreement.value for point in found.curve]
    series = [
        Series("wanted", [0.0, 100.0], [float(wanted)] * 2, palette.previous),
        Series("agreement", xs, ys, palette.train),
    ]
    chosen = found.alone[wanted].chosen
    if chosen is not None:
        at = Series(
            "chosen", [100 * chosen.share], [100 * chosen.agreement.value], palette.best, line=False, marker="●"
        )
        series.append(at)
    return series
