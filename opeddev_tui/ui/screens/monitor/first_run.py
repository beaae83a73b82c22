"""What the metrics pane says before anything is trained: where data goes, what is trained, which keys lead there."""

from __future__ import annotations

import textwrap

from textual.content import Content

from opeddev_tui.text import clean_line
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.pane import lines
from opeddev_tui.ui.widgets.tables import fit

_HOW_IT_GOES = (
    ("{monitor.start}", "trains the next step: its new rows and all before."),
    ("·", "After every epoch the hold-out is scored, the probe prompts are answered, and you are asked."),
    ("{monitor.continue}", "goes on with one more epoch."),
    ("{monitor.stop}", "ends the step. For some seconds {monitor.undo} takes back either."),
    ("{everywhere.help}", "shows all keys."),
)
_LABEL = 11


def title_before_the_first_run(view: View) -> tuple[str, str]:
    """Return the title of the pane and the line that explains it."""
    if not view.scanned or not view.has_workspace:
        return "Live metrics", ""
    if view.situation.kind == "empty":
        return "Where your data goes", "One object per line, or a table."
    return "What will be trained", "Settings ({everywhere.settings}) changes it."


def before_the_first_run(view: View, width: int) -> Content:
    """Return what will be shown here, and which keys lead there."""
    if not view.scanned or not view.has_workspace:
        return Content.styled("The numbers of a run appear here.", "$muted")
    if view.situation.kind == "empty":
        return lines(_where_data_goes(view, width))
    parts: list[Content | str] = []
    for name, value in view.plan.rows:
        first, *rest = textwrap.wrap(clean_line(value), max(10, width - _LABEL)) or [""]
        parts.append(Content.styled(fit(name, _LABEL), "$muted") + Content(first))
        parts += [Content(" " * _LABEL + line) for line in rest]
    parts += ["", Content.styled("Nothing is trained yet. How it goes:", "$muted")]
    for key, effect in _HOW_IT_GOES:
        first, *rest = textwrap.wrap(view.keymap.text(effect), max(10, width - 3))
        parts.append(Content.styled(f"{view.keymap.text(key)}  ", "bold $accent") + Content.styled(first, "$muted"))
        parts += [Content.styled(f"   {line}", "$muted") for line in rest]
    return lines(parts)


def _where_data_goes(view: View, width: int) -> list[Content | str]:
    """Return each folder with what belongs into it, an example of a row, and the command that reads them."""
    base, holdout, increments = (clean_line(folder) for folder in view.folders)
    parts: list[Content | str] = []

    def about(place: str, text: str) -> None:
        parts.append(Content.styled(place, "bold $primary"))
        parts.extend(Content(f"  {line}") for line in textwrap.wrap(text, max(20, width - 2)))

    about(base, "The first graded rows: .jsonl with one object per line, or .csv with these columns:")
    parts += [
        Content.styled(f"  {line}", "$accent")
        for line in textwrap.wrap(clean_line(view.example_row), max(20, width - 2))
    ]
    about(holdout, "Some more rows that are never trained on: every epoch is scored on them.")
    about(f"{increments}/batch_100_01, …", "Later batches; each one adds a step.")
    about(view.typed("opeddev-tui check"), "reads everything and names what is wrong, with file, line and cure.")
    return parts
