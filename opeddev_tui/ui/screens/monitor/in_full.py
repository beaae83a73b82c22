"""The situation in full, to read and scroll: every line of the bar, every problem of the data, what each key does."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from opeddev_tui.text import clean_line
from opeddev_tui.ui.state.situation_text import further
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.bars import KIND_STYLES
from opeddev_tui.ui.widgets.dialogs import ReadScreen


class InFullScreen(ReadScreen):
    """Shows what the bar and the batches pane said of ``view``, nothing cut."""

    def __init__(self, view: View) -> None:
        super().__init__("In full")
        self._view = view

    def parts(self) -> list[Content]:
        """Return the situation, the problems of the data and the keys, as far as there are any."""
        situation = self._view.situation
        style = KIND_STYLES.get(situation.kind, "bold")
        headline = Content.styled(f"{situation.mark} {situation.headline}", style)
        told = [headline, *([Content.styled(situation.finding, style)] if situation.finding else [])]
        told += [Content(line) for line in situation.lines if line and line != further(self._view)]
        parts = [Content("\n").join(told)]
        if situation.details:
            parts.append(_titled("More about it", situation.details))
        parts += _listed("Problems of the data", "✗", problems_of(self._view))
        warnings = map(self._view.typed, (*self._view.warnings, *self._view.state.warnings))
        parts += _listed("Warnings", "!", warnings)
        if situation.offers:
            keys = [f"{offer.key}  {offer.label}: {offer.effect}".rstrip(": ") for offer in situation.offers]
            parts.append(_titled("Keys, once this is closed", keys))
        return parts


def problems_of(view: View) -> list[str]:
    """Return every problem of the data, those of a batch with its name."""
    own = [f"{batch.name}: {text}" for batch in view.batches for text in batch.problems]
    return [view.typed(text) for text in (*own, *view.problems)]


def _listed(title: str, mark: str, texts: Iterable[str]) -> list[Content]:
    lines = [f"{mark} {clean_line(text)}" for text in texts]
    return [_titled(title, lines)] if lines else []


def _titled(title: str, lines: Iterable[str]) -> Content:
    return Content("\n").join([Content.styled(title, "bold $primary"), *map(Content, lines)])
