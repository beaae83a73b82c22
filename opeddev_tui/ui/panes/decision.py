"""Owns the decision bar: the situation in words, what each key would do, and the countdown of a choice."""

from __future__ import annotations

import math

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from opeddev_tui.format import bar
from opeddev_tui.ui.offers import Offer, Situation
from opeddev_tui.ui.panes.bars import KIND_STYLES, ClickBar
from opeddev_tui.ui.situation import situation
from opeddev_tui.ui.view import View


class DecisionBar(Vertical):
    """Says what is the case and what can be done. A click on an offer is the same as its key."""

    def __init__(self) -> None:
        super().__init__(id="decision")
        self._headline = Static(markup=False, id="headline")
        self._lines = Static(markup=False, id="reasons")
        self._offers = ClickBar(id="offers")
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Make the three parts."""
        yield self._headline
        yield self._lines
        yield self._offers

    def show(self, view: View) -> None:
        """Draw the bar, if it looks different from what is shown."""
        found = situation(view)
        left = math.ceil(view.chosen.left(view.clock)) if view.chosen is not None else 0
        drawn = (found, view.chosen, left, view.requested, self.size.width)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        for kind in KIND_STYLES:
            self.set_class(kind == found.kind, f"-{kind}")
        if view.chosen is not None:
            self._draw_chosen(view.chosen.words, left)
        else:
            self._draw(found, view)

    def _draw_chosen(self, words: str, left: int) -> None:
        self._headline.update(Content.styled(f"✓ {words}", "bold $accent"), layout=False)
        self._lines.update(Content(f"Takes effect in {left} s. {bar(min(1.0, left / 3), 9)}"))
        self._lines.display = True
        self._offers.lay([(_offer(Offer("undo", "u", "Undo", "nothing has happened yet"), True), "undo")])

    def _draw(self, found: Situation, view: View) -> None:
        style = KIND_STYLES.get(found.kind, "bold")
        headline = Content.styled(f"{found.mark} {found.headline}", style)
        if view.requested:
            headline += Content.styled(f"   … {', '.join(view.requested)}", "$muted")
        self._headline.update(headline, layout=False)
        self._lines.update(Content("\n").join(Content(line) for line in found.lines if line))
        self._lines.display = any(found.lines)
        self._offers.display = bool(found.offers)
        told = [Content(f"{offer.key}  {offer.label}: {offer.effect or 'now'}") for offer in found.offers]
        self._offers.tooltip = Content("\n").join(told) if told else None
        self._offers.lay([(content, action) for content, action in self._fitted(found.offers)])

    def _fitted(self, offers: tuple[Offer, ...]) -> list[tuple[Content, str]]:
        """Return the offers with as many of their effects as there is room for, the first ones first."""
        room = (self.size.width or 80) - 4
        full = len(offers)
        while full > 0 and self._length(offers, full) > room:
            full -= 1
        return [(_offer(offer, at < full), offer.action) for at, offer in enumerate(offers)]

    def _length(self, offers: tuple[Offer, ...], full: int) -> int:
        return sum(_offer(offer, at < full).cell_length + 2 for at, offer in enumerate(offers))


def _offer(offer: Offer, with_effect: bool) -> Content:
    content = Content.styled(f" {offer.key} ", "bold reverse $accent on $background") + Content.styled(
        f" {offer.label}", "bold"
    )
    if with_effect and offer.effect:
        content += Content.styled(f": {offer.effect}", "$muted")
    return content
