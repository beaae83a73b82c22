"""The decision bar: the situation in words, what each key would do, and the countdown until a choice takes effect."""

from __future__ import annotations

import math
import re

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from opeddev_tui.format import bar
from opeddev_tui.ui.state.situation import IN_FULL, Action, Situation
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.bars import KIND_STYLES, ClickBar, key_cap
from opeddev_tui.ui.widgets.tables import cut

# lines below the headline at most, and those below a pane that fills the screen
_MOST, _MOST_GROWN = 7, 1
# lines of a headline beside which all others have room, and at most
_HEADLINE, _TALLEST = 3, 4
# a path of more than a folder and a file
_LONG_PATH = re.compile(r"(?<!\S)[^\s:]*/([^\s/]+/[^\s/]+)")
# a sentence, or a line that is none
_SENTENCE = re.compile(r"[^\n]+?(?:[.!?]+(?=\s)|(?=\n)|\Z)")
# lines up to which details are added, and those where the terminal has room for one pane only
_WITH_DETAILS, _WITH_DETAILS_NARROW = 6, 4


class DecisionBar(Vertical):
    """Says what the situation is and what can be done. A click on an action does what its key does."""

    def __init__(self) -> None:
        super().__init__(id="decision")
        self._headline = Static(markup=False, id="headline")
        self._lines = Static(markup=False, id="reasons")
        self._offers = ClickBar(id="offers")
        self._drawn: tuple[object, ...] = ()
        # lines that a long headline takes from those below it
        self._taken = 0

    def compose(self) -> ComposeResult:
        """Make the three parts."""
        yield self._headline
        yield self._lines
        yield self._offers

    def show(self, view: View) -> None:
        """Draw the bar, if it looks different from what is shown."""
        situation = view.situation
        left = math.ceil(view.chosen.left(view.clock)) if view.chosen is not None else 0
        drawn = (situation, view.chosen, left, view.requested, self.size.width, self._most)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        for kind in KIND_STYLES:
            self.set_class(kind == situation.kind, f"-{kind}")
        if view.chosen is not None:
            self._draw_chosen(view, view.chosen.text, left)
        else:
            self._draw(situation, view)

    def _draw_chosen(self, view: View, text: str, left: int) -> None:
        chosen = Content.styled(f"✓ {text}", "bold $accent")
        self.set_class(chosen.cell_length > (self.size.width or 80) - 2, "-tall")
        self._headline.update(chosen)
        self._lines.update(Content(f"Takes effect in {left} s. {bar(min(1.0, left / 3), 9)}"))
        self._lines.display = True
        self._offers.lay(
            [
                (
                    _offer(Action("undo", view.keymap.first("monitor.undo"), "Undo", "nothing has happened yet"), True),
                    "undo",
                )
            ]
        )

    def _draw(self, situation: Situation, view: View) -> None:
        style = KIND_STYLES.get(situation.kind, "bold")
        width = max(20, (self.size.width or 80) - 2)
        headline = Content.styled(self._short_headline(situation, view, width), style)
        if situation.finding:
            finding = Content.styled(situation.finding, style)
            fits = headline.cell_length + finding.cell_length < width
            headline = Content(" " if fits else "\n").join([headline, finding])
        if view.requested:
            headline += Content.styled(f"   … {', '.join(view.requested)}", "$muted")
        # a question may need two lines for its headline, and so does a long name in another one
        tall = situation.kind == "awaiting" or headline.cell_length > width
        self._taken = max(0, len(headline.wrap(width)) - _HEADLINE)
        changed = tall != self.has_class("-tall")
        self.set_class(tall, "-tall")
        self._headline.update(headline, layout=tall or changed)
        self._lines.update(self._fitting(situation, view))
        self._lines.display = any(situation.lines)
        self._offers.display = bool(situation.offers)
        effects = [f"{offer.key}  {offer.label}: {offer.effect or 'now'}" for offer in situation.offers]
        self._offers.tooltip = Content("\n".join(effects)) if effects else None
        self._offers.lay(self._fitted(situation.offers))

    @property
    def _most(self) -> int:
        return _MOST_GROWN if self.screen.has_class("-grown") else _MOST - self._taken

    def _short_headline(self, situation: Situation, view: View, width: int) -> str:
        """Return the headline, of one that would take the place of everything else its first sentences."""
        text = f"{situation.mark} {situation.headline}"
        most = _TALLEST - len(Content(situation.finding).wrap(width))
        if len(Content(text).wrap(width)) <= most:
            return text
        return _whole_sentences(text, width, most, _more(view)).plain

    @property
    def _with_details(self) -> int:
        return _WITH_DETAILS_NARROW if self.screen.has_class("-narrow") else _WITH_DETAILS

    def _fitting(self, situation: Situation, view: View) -> Content:
        """Return the situation's lines, and those of its details that fit whole behind them.

        Of lines that have no room themselves the rest is behind a key, and the last one says so.
        """
        width = max(20, (self.size.width or 80) - 2)
        text = Content("\n".join(line for line in situation.lines if line))
        wrapped = text.wrap(width)
        if len(wrapped) > self._most:
            if self._most == 1:
                # what is wrong is worth more than where
                text = Content(_LONG_PATH.sub(r"…/\1", text.plain))
            return _whole_sentences(text.plain, width, self._most, _more(view))
        for line in situation.details:
            longer = Content("\n").join([text, Content(line)])
            if len(longer.wrap(width)) > min(self._most, self._with_details):
                break
            text = longer
        return text

    def _fitted(self, offers: tuple[Action, ...]) -> list[tuple[Content, str]]:
        """Return the actions with as many of their effects as there is room for, the first ones first."""
        room = (self.size.width or 80) - 4
        if self._length(offers, len(offers)) > room:
            offers = tuple(offer for offer in offers if not offer.minor)
        full = len(offers)
        while full > 0 and self._length(offers, full) > room:
            full -= 1
        return [(_offer(offer, at < full), offer.action) for at, offer in enumerate(offers)]

    def _length(self, offers: tuple[Action, ...], full: int) -> int:
        return sum(_offer(offer, at < full).cell_length + 2 for at, offer in enumerate(offers))


def _more(view: View) -> str:
    """Return which key shows what has no room."""
    return f"… {view.keymap.first(IN_FULL.key)} shows all"


def _whole_sentences(text: str, width: int, most: int, more: str) -> Content:
    """Return as many whole sentences of ``text`` as have room in ``most`` lines, then ``more``.

    Of a first sentence that alone is too long it is the words that have room: ``more`` names the key for the others.
    """
    ends = [found.end() for found in _SENTENCE.finditer(text)]
    for end in reversed(ends):
        shown = _with_more(text[:end].rstrip(), width, more)
        if len(shown) <= most:
            return Content("\n").join(shown)
    *first, last = Content(text[: ends[0]] if ends else text).wrap(width)[:most]
    room = width - len(more) - 1
    words = last.plain.rstrip()
    if cell_len(words) > room:
        # at a blank: half a word says nothing
        words = cut(words, room + 1).rstrip("…").rpartition(" ")[0].rstrip(" ,;:·-") or cut(words, room).rstrip("…")
    return Content("\n").join([*first, Content(f"{words} {more}")])


def _with_more(text: str, width: int, more: str) -> list[Content]:
    """Return the lines of ``text`` with ``more`` behind it, on a line of its own where the last one has no room."""
    *first, last = Content(text).wrap(width)
    if last.cell_length + 1 + cell_len(more) <= width:
        return [*first, Content(f"{last.plain.rstrip()} {more}")]
    return [*first, last, Content(more)]


def _offer(offer: Action, with_effect: bool) -> Content:
    content = key_cap(offer.key, offer.label, "bold")
    if with_effect and offer.effect:
        content += Content.styled(f": {offer.effect}", "$muted")
    return content
