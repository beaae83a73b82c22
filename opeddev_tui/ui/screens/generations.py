"""Owns the generations: each probe prompt with what the model wrote before and writes now, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.events import Sample, SamplesGenerated
from opeddev_tui.state import RunState
from opeddev_tui.text import clean, clean_line
from opeddev_tui.ui.format import number
from opeddev_tui.ui.keys import GENERATIONS, Key, bindings
from opeddev_tui.ui.screens.place import Place
from opeddev_tui.ui.view import View


class TextPane(VerticalScroll):
    """A scrolling frame around one text."""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = Content(title)
        self._body = Static(markup=False, classes="body")
        self._text: tuple[str, str] = ("", "")

    def compose(self) -> Iterable[Widget]:
        """Make the text."""
        yield self._body

    def set_text(self, title: str, text: str) -> None:
        """Show a text under a title; both may come from anywhere."""
        if (title, text) != self._text:
            self._text = (title, text)
            self.border_title = Content(clean_line(title))
            self._body.update(Content(clean(text)))
            self.scroll_home(animate=False)

    @property
    def text(self) -> str:
        """What is shown."""
        return clean(self._text[1])


class GenerationsScreen(Place):
    """Before on the left, now on the right."""

    mode: ClassVar[str] = "generations"
    own_keys: ClassVar[tuple[Key, ...]] = GENERATIONS
    BINDINGS: ClassVar[list[BindingType]] = bindings(GENERATIONS, priority=("up,pageup", "down,pagedown"))
    AUTO_FOCUS = "#now"

    def __init__(self) -> None:
        super().__init__()
        self._prompt = 0
        self._behind = 0  # how many generations before the newest one is shown; 0 follows the newest

    def compose_body(self) -> Iterable[Widget]:
        """Make the heading and the four texts."""
        yield Static(markup=False, id="which", classes="hint")
        yield TextPane("Prompt", id="prompt")
        with Horizontal(id="sides"):
            yield TextPane("Before", id="before")
            yield TextPane("Now", id="now")
        yield TextPane("Reference", id="reference")

    def show_body(self, view: View) -> None:
        """Show one prompt of one generation against epoch 0."""
        state = view.state
        if not state.samples:
            self._say("No generations yet: the probe prompts are generated before the step and after every epoch.")
            return
        self._behind = max(0, min(self._behind, len(state.samples) - 1))
        now = state.samples[len(state.samples) - 1 - self._behind]
        if not now.samples:
            self._say("No probe prompts: the setting generation.num_probes is 0.")
            return
        self._prompt %= len(now.samples)
        self._draw(state, now, self._prompt)

    def _say(self, words: str) -> None:
        self.query_one("#which", Static).update(Content(words))
        for name in ("prompt", "before", "now", "reference"):
            self.query_one(f"#{name}", TextPane).set_text(name.capitalize(), "")

    def _draw(self, state: RunState, now: SamplesGenerated, at: int) -> None:
        before, sample = state.samples[0], now.samples[at]
        first = before.samples[at] if at < len(before.samples) else None
        loss = state.holdout.get(int(now.epoch)) if now.epoch == int(now.epoch) else None
        which = Content.styled(f"Epoch {_epoch(now.epoch)}", "bold $primary") + Content(
            f"  ({len(state.samples) - self._behind} of {len(state.samples)} generations)"
            f"   prompt {at + 1} of {len(now.samples)}"
            f"   hold-out loss {number(loss.loss if loss else None, 4)}"
        )
        self.query_one("#which", Static).update(which)
        kind = f" · {sample.kind}" if sample.kind else ""
        self.query_one("#prompt", TextPane).set_text(f"Prompt {sample.id}{kind}", sample.prompt)
        self._side("before", f"Epoch {_epoch(before.epoch)} (before)", first)
        self._side("now", f"Epoch {_epoch(now.epoch)}{'' if self._behind else ' (now)'}", sample)
        wanted = f" · grade {sample.reference_grade}" if sample.reference_grade is not None else ""
        self.query_one("#reference", TextPane).set_text(f"Reference{wanted}", sample.reference)

    def _side(self, name: str, title: str, sample: Sample | None) -> None:
        pane = self.query_one(f"#{name}", TextPane)
        if sample is None:
            pane.set_text(title, "")
            return
        pane.set_text(f"{title} · {_judged(sample)}", sample.text)

    def action_epoch(self, step: int) -> None:
        """Show a later or an earlier generation."""
        self._behind -= step
        self.boss.show_now()

    def action_prompt(self, step: int) -> None:
        """Go to another prompt."""
        self._prompt += step
        self.boss.show_now()

    def action_move(self, step: int) -> None:
        """Scroll the focused text, or both sides together."""
        focused = self.focused
        if isinstance(focused, TextPane) and focused.id in ("prompt", "reference"):
            focused.scroll_relative(y=2 * step, animate=False)
            return
        for name in ("before", "now"):
            self.query_one(f"#{name}").scroll_relative(y=2 * step, animate=False)

    def text_to_copy(self) -> str:
        """Return the focused text."""
        return self.focused.text if isinstance(self.focused, TextPane) else ""


def _epoch(epoch: float) -> str:
    return f"{epoch:.0f}" if epoch == int(epoch) else f"{epoch:.2f}"


def _judged(sample: Sample) -> str:
    """Return the grade read from the text, and whether it is the reference's, in words and not by colour."""
    if sample.grade is None:
        return "no grade found" if sample.reference_grade is not None else f"{sample.tokens} tokens"
    if sample.reference_grade is None:
        return f"grade {sample.grade}"
    off = sample.grade - sample.reference_grade
    return f"grade {sample.grade} {'= reference' if off == 0 else f'({off:+d})'}"
