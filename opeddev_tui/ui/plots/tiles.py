"""Lay pictures beside and below each other. Pure: it knows no chart, only sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

# cells between two pictures of a row
_GAP = 2


def tiled(
    names: Sequence[str],
    grid: tuple[int, int],
    size: tuple[int, int],
    draw: Callable[[str, tuple[int, int]], Text],
) -> Text:
    """Return the pictures of ``names`` in a ``grid`` of (columns, rows), row by row, in ``size`` (width, height) cells.

    ``draw`` returns one picture of the (width, height) that it is given; what is left over of the height goes to the
    upper rows.
    """
    columns, rows = grid
    width = (size[0] - _GAP * (columns - 1)) // columns
    lines: list[Text] = []
    for row in range(rows):
        height = size[1] // rows + (row < size[1] % rows)
        chosen = names[row * columns : (row + 1) * columns]
        pictures = [draw(name, (width, height)) for name in chosen]
        lines += _beside([picture.split("\n", allow_blank=True)[:height] for picture in pictures], width, height)
    return Text("\n").join(lines)


def _beside(blocks: Sequence[Sequence[Text]], width: int, height: int) -> list[Text]:
    """Return blocks of lines beside each other, each ``width`` cells wide."""
    lines = []
    for number in range(height):
        line = Text(no_wrap=True, end="")
        for at, block in enumerate(blocks):
            part = block[number].copy() if number < len(block) else Text("")
            part.truncate(width)
            line.append(" " * _GAP if at else "").append_text(part)
            if at < len(blocks) - 1:
                line.append(" " * (width - part.cell_len))
        lines.append(line)
    return lines
