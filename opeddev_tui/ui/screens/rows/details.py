"""Texts of one row for the details below the list: what was asked, the answer, what is recorded. Pure.

Nothing is read or encoded for them: how the model sees a row is shown by ``row``.
"""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from opeddev_tui.data.rows import Example
from opeddev_tui.format import plural
from opeddev_tui.text import clean_line
from opeddev_tui.ui.screens.rows.listing import label, length
from opeddev_tui.ui.screens.rows.recorded import recorded
from opeddev_tui.ui.tasks.rows import RowSet
from opeddev_tui.ui.widgets.code_text import coloured
from opeddev_tui.ui.widgets.details import Part

# the ids of the frames, in the order of ``parts_of``
FRAMES = ("row-asked", "row-answer", "row-recorded")


def parts_of(rows: RowSet, at: int, lowest: int) -> tuple[Part, ...]:
    """Return the texts of the row ``at``; ``lowest`` is the lowest grade of the scale."""
    example = rows.examples[at]
    grade = label(rows, example.grade, lowest)
    return (
        Part(" · ".join(["Asked", *about(example)]), conversation(example),
             below=f"row {at + 1} · {plural(length(example), 'character')}"),
        Part("Answer", coloured(example.completion, example.kind), below=f"grade {grade}" if grade else ""),
        Part("What was recorded", recorded(rows, at, lowest)),
    )  # fmt: skip


def about(example: Example) -> Iterator[str]:
    """Yield what a row is, beside its texts and its grade."""
    parts = [
        example.id,
        example.kind,
        f"group {example.group}" if example.group else "",
        f"rated by {example.rater}" if example.rater else "",
        "corrected or confirmed by a person" if example.settled else "",
        f"weight {example.weight:g}" if example.weight != 1 else "",
    ]
    yield from (clean_line(part, max_chars=60) for part in parts if part)


def conversation(example: Example) -> Content:
    """Return all messages of the prompt, each under its role where there are several of one kind."""
    asked = [turn for turn in example.prompt if turn.role != "system"]
    if len(asked) == 1:
        return coloured(asked[0].content, example.kind)
    parts = []
    for turn in asked:
        parts += [Content.styled(f"{clean_line(turn.role)}:", "bold $primary"), coloured(turn.content, example.kind)]
    return Content("\n").join(parts)
