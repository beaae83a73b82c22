"""A figure of generations for print: each prompt, with the texts from before and after and the reference below it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opeddev_tui.reports.figures import BLUE, GREEN, VERMILLION, drawing, new_figure
from opeddev_tui.runs.events import Sample
from opeddev_tui.text import clean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_EXAMPLES = 3
_WIDTH = 7.2  # inches
_COLUMN = 35  # characters of a column
_LINES = 10
_PROMPT_LINES = 4
_LINE = 0.125  # inches, at 7 points
_GAP = 0.26
# the fonts that come with matplotlib have no pictures of control characters
_PICTURES = dict.fromkeys(range(9216, 9250), "�")


def wrapped(text: str, width: int, lines: int) -> list[str]:
    """Return ``text`` in at most ``lines`` lines of ``width`` characters, without blank ones; a cut is marked."""
    wrapped_lines = [
        part
        for line in clean(text).translate(_PICTURES).expandtabs(2).split("\n")
        for part in textwrap.wrap(line, width, replace_whitespace=False)
    ]
    if len(wrapped_lines) > lines:
        return [*wrapped_lines[: lines - 1], "[…]"]
    return wrapped_lines or ["(no visible text)"]


def grade_words(sample: Sample) -> str:
    """Return the grade read from a generation and that of the reference, in parentheses; empty without a reference."""
    if sample.reference_grade is None:
        return ""
    grade = "no grade in the text" if sample.grade is None else f"grade {sample.grade}"
    return f" ({grade}, reference {sample.reference_grade})"


def examples_figure(pairs: Sequence[tuple[Sample, Sample]], moments: tuple[str, str]) -> Figure:
    """Return the first probe prompts with their texts before and after; ``moments`` says when these were generated."""
    blocks = [_block(before, after, moments) for before, after in pairs[:MOST_EXAMPLES]]
    heights = [_height(prompt, columns) for prompt, columns in blocks]
    total = sum(heights) + 0.1
    with drawing():
        figure = new_figure(total, _WIDTH)
        figure.set_layout_engine("none")
        top = total - 0.05
        for (prompt, columns), height in zip(blocks, heights, strict=True):
            _draw(figure, prompt, columns, top, total)
            top -= height
    return figure


_Column = tuple[list[str], str, list[str]]


def _block(before: Sample, after: Sample, moments: tuple[str, str]) -> tuple[list[str], list[_Column]]:
    prompt = wrapped(after.prompt, 3 * _COLUMN + 4, _PROMPT_LINES)
    columns = [
        (_title(moments[0], before), VERMILLION, wrapped(before.text, _COLUMN, _LINES)),
        (_title(moments[1], after), BLUE, wrapped(after.text, _COLUMN, _LINES)),
        (["reference"], GREEN, wrapped(after.reference, _COLUMN, _LINES)),
    ]
    return prompt, columns


def _title(moment: str, sample: Sample) -> list[str]:
    """Return the lines above a text: when it was generated, and its grade, each within the column."""
    return [*wrapped(moment, _COLUMN, 2), *([words] if (words := grade_words(sample).strip(" ()")) else [])]


def _title_lines(columns: list[_Column]) -> int:
    return max(len(title) for title, _, _ in columns)


def _height(prompt: list[str], columns: list[_Column]) -> float:
    return _LINE * (len(prompt) + 1.6 + _title_lines(columns) + max(len(lines) for _, _, lines in columns)) + _GAP


def _draw(figure: Figure, prompt: list[str], columns: list[_Column], top: float, total: float) -> None:
    from matplotlib.lines import Line2D

    fonts = ["DejaVu Sans Mono", "DejaVu Sans"]
    look: dict[str, Any] = {"fontfamily": fonts, "fontsize": 7, "va": "top", "linespacing": 1.25}
    left = 0.02
    figure.text(left, top / total, "\n".join(prompt), color="#444444", **look)
    head = top - _LINE * (len(prompt) + 0.7)
    for number, (title, color, lines) in enumerate(columns):
        x = left + number * (0.98 - left) / 3
        rule = [(head + 0.05) / total] * 2
        figure.add_artist(Line2D([x, x + 0.305], rule, color=color, linewidth=1.5))
        figure.text(x, head / total, "\n".join(title), color=color, fontsize=7, fontweight="bold", va="top")
        figure.text(x, (head - (_title_lines(columns) + 0.5) * _LINE) / total, "\n".join(lines), **look)
