"""What runs and races recorded of one row, as text. Pure."""

from __future__ import annotations

from textual.content import Content

from opeddev_tui.format import number
from opeddev_tui.text import clean_line
from opeddev_tui.ui.screens.rows.listing import label, record
from opeddev_tui.ui.tasks.rows import RowSet


def recorded(rows: RowSet, at: int, lowest: int) -> Content:
    """Return losses and grades of the row by epoch, and what a race disputes."""
    known, example = record(rows, at), rows.examples[at]
    lines = []
    for epoch in sorted({*known.losses, *known.grades}):
        loss = f"loss {number(known.losses[epoch], 4)}" if epoch in known.losses else ""
        read = known.grades.get(epoch)
        grade = ""
        if epoch in known.grades:
            grade = f"grade {label(rows, read, lowest)}" if read is not None else "no grade read"
            grade += " = given" if read is not None and read == example.grade else ""
        lines.append(Content(" · ".join(filter(None, [f"epoch {epoch}", loss, grade]))))
    if known.grades:
        lines.append(Content.styled(f"Grades read by {rows.read_by}.", "$muted"))
    if known.surprise:
        given = label(rows, known.head, lowest)
        told = f"The newest race's head on the base model, fitted without the row, gives {given}"
        told += f" (surprise {known.surprise:.2f})."
        lines.append(Content(clean_line(told)))
    if len(example.grades) > 1:
        given = ", ".join(label(rows, grade, lowest) for grade in example.grades)
        lines.append(Content(f"Grades of several people: {given}"))
    if example.criteria:
        areas = ", ".join(f"{clean_line(name)} {value}" for name, value in example.criteria.items())
        lines.append(Content(f"Criteria: {areas}"))
    if not lines:
        lines.append(Content.styled("Nothing: losses and grades are recorded of hold-out rows; of training rows a "
                                    "race records the most disputed, and this is none.", "$muted"))  # fmt: skip
    return Content("\n").join(lines)
