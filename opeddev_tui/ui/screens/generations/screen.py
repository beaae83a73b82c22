"""The generations screen: a probe prompt with what any two points of the training generated for it, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.format import number, signed
from opeddev_tui.runs.events import Sample
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import GENERATIONS, bindings
from opeddev_tui.ui.screens.base import BaseScreen, settings_can_be_saved
from opeddev_tui.ui.screens.generations.probe_details import NONE_YET, both, judged, reference
from opeddev_tui.ui.screens.generations.snapshots import Pair, Point, points, same_weights
from opeddev_tui.ui.screens.generations.strip import strip
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.bars import ClickBar
from opeddev_tui.ui.widgets.code_text import coloured
from opeddev_tui.ui.widgets.legend import Legend
from opeddev_tui.ui.widgets.text_pane import TextPane, scroll_together, scrolled_text, share_height

NO_PROBES = "No probe prompts: the setting generation.num_probes is 0."


class GenerationsScreen(BaseScreen):
    """Any two points of the training side by side."""

    mode: ClassVar[str] = "generations"
    BINDINGS: ClassVar[list[BindingType]] = bindings(GENERATIONS)
    AUTO_FOCUS = "#right"
    panes: ClassVar[tuple[str, ...]] = ("probe", "reference", "left", "right")
    explanations: ClassVar[Mapping[str, Legend]] = {
        "probe": "A row of the hold-out as the model is asked it, the same after every epoch.",
        "reference": "What a person wrote for this row. The model is never trained on it.",
        "left": "What an earlier state wrote; marked is what the right side has not.",
        "right": "What a later state wrote; {generations.earlier} {generations.later} choose it.",
    }
    CSS_PATH = "generations.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._prompt = 0
        self._pair = Pair()
        self._marks = True
        self._run = ""

    def compose_body(self) -> Iterable[Widget]:
        """Make the heading, the strip and the four texts."""
        yield Static(markup=False, id="which", classes="hint")
        yield ClickBar(id="strip")
        with Horizontal(id="asked"):
            yield TextPane("Prompt", id="probe", number=1)
            yield TextPane("Reference", id="reference", number=2)
        yield Static(markup=False, id="same")
        with Horizontal(id="texts"):
            yield TextPane("Left", id="left", number=3)
            yield TextPane("Right", id="right", number=4)

    def on_mount(self) -> None:
        """Let the two sides scroll together."""
        scroll_together(self, self.query_one("#left", TextPane), self.query_one("#right", TextPane))

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Share the lines anew among the texts."""
        self.call_after_refresh(self.shell.show_now)

    def show_body(self, view: View) -> None:
        """Show the chosen prompt at the two chosen points."""
        if view.run != self._run:
            self._run, self._pair = view.run, Pair()
        self._pair.points = found = points(view.previous, view.state)
        # earlier steps have points before this run has
        empty = not found or found[-1].key[0] != getattr(view.state.started, "run", "")
        self.set_class(empty, "-empty")
        if empty:
            self.query_one("#which", Static).update(Content(NO_PROBES if view.state.samples else NONE_YET))
            return
        asked = self._pair.chosen()[1].samples
        self._prompt %= len(asked)
        self._draw(asked[self._prompt], len(asked))

    def _draw(self, asked: Sample, count: int) -> None:
        left, right = self._pair.chosen()
        self._head(left, right, asked, count)
        bar = self.query_one("#strip", ClickBar)
        bar.lay(strip(self._pair.points, *self._pair.places(), bar.size.width or 80), gap=1)
        kind = asked.kind
        name = clean_line(asked.id) or str(self._prompt + 1)
        title = f"Prompt {name}" + (f" · {clean_line(kind)}" if kind and kind != "own" else "")
        self.query_one("#probe", TextPane).set_text(title, coloured(asked.prompt, kind), place=asked.prompt)
        self._reference(asked)
        warning = same_weights(left, right)
        same = self.query_one("#same", Static)
        same.display = bool(warning)
        same.update(Content.styled(f"! {warning}", "bold $warning"))
        self._sides(left, right, asked)
        share_height(self.query_one("#asked"), self.query_one("#texts"))

    def _head(self, left: Point, right: Point, asked: Sample, count: int) -> None:
        change = signed(right.loss - left.loss, 4) if left.loss is not None and right.loss is not None else ""
        loss = f"hold-out loss {number(left.loss, 4)} → {number(right.loss, 4)}" + (f" ({change})" if change else "")
        parts = [Content.styled(f"Prompt {self._prompt + 1} of {count}", "bold $primary")]
        if asked.own:
            parts.append(Content("your own"))
        elif asked.id in self.shell.loaded.settings.generation.probes:
            parts.append(Content.styled("pinned", "bold $success"))
        parts.append(Content(loss))
        if not self._marks:
            parts.append(Content("differences not marked"))
        self.query_one("#which", Static).update(Content.styled(" · ", "$muted").join(parts))

    def _reference(self, asked: Sample) -> None:
        text, grade = reference(asked)
        self.query_one("#reference", TextPane).set_text("Reference", text, below=grade, place=asked.prompt)

    def _sides(self, left: Point, right: Point, asked: Sample) -> None:
        answers = left.answer(asked), right.answer(asked)
        texts = both(*answers, asked.kind, marks=self._marks)
        for name, point, answer, text in zip(("left", "right"), (left, right), answers, texts, strict=True):
            title, place = f"{name[0].upper()}▸ {point.label}", (point.key, asked.prompt)
            self.query_one(f"#{name}", TextPane).set_text(title, text, below=judged(answer), place=place)

    # --- keys

    def action_epoch(self, step: int) -> None:
        """Show a later or an earlier point on the right."""
        if self._pair.points:
            self.action_right_point(self._pair.places()[1] + step)

    def action_left_epoch(self, step: int) -> None:
        """Show a later or an earlier point on the left."""
        if self._pair.points:
            self._pair.move_left(step)
            self.shell.show_now()

    def action_left_first(self) -> None:
        """Show the first point on the left, or the beginning of this step again."""
        if self._pair.points:
            first = self._pair.points[0].key
            self._pair.left = None if self._pair.left == first else first
            self.shell.show_now()

    def action_right_point(self, at: int) -> None:
        """Show a point on the right; from the newest one on it follows the training."""
        self._pair.choose_right(at)
        self.shell.show_now()

    def action_prompt(self, step: int) -> None:
        """Go to another prompt."""
        self._prompt += step
        self.shell.show_now()

    def action_marks(self) -> None:
        """Mark differences, on or off."""
        self._marks = not self._marks
        self.shell.show_now()

    def action_move(self, step: int) -> None:
        """Scroll the focused text; the two sides scroll together."""
        scrolled_text(self, "right").scroll_relative(y=2 * step, animate=False)

    def action_ends(self, way: int) -> None:
        """Scroll to the top (-1) or to the end (1)."""
        scrolled_text(self, "right").go_to_end(way)

    def action_grow(self) -> None:
        """Grow the focused text or both sides, or shrink them."""
        top = isinstance(self.focused, TextPane) and self.focused.id in ("probe", "reference")
        grown = self.has_class("-grow-sides") or self.has_class("-grow-top")
        self.set_class(not grown and top, "-grow-top")
        self.set_class(not grown and not top, "-grow-sides")
        self.call_after_refresh(self.shell.show_now)

    def action_shrink(self) -> None:
        """Back to all four texts."""
        self.remove_class("-grow-top", "-grow-sides")
        self.call_after_refresh(self.shell.show_now)

    def go_to_pane(self, name: str) -> None:
        """Go to a text; where a text of the other row fills the screen, this one does then."""
        top = name in ("probe", "reference")
        if self.has_class("-grow-top" if not top else "-grow-sides"):
            self.set_class(top, "-grow-top")
            self.set_class(not top, "-grow-sides")
        super().go_to_pane(name)

    def action_blind(self) -> None:
        """Begin or continue a blind round on the epoch on the right, else on the newest one."""
        from opeddev_tui.ui.screens.generations.blind import open_blind

        state = self.shell.session.state
        run, epoch, _, on_demand = self._pair.chosen()[1].key if self._pair.points else ("", 0.0, 0, True)
        ratable = run == getattr(state.started, "run", "") and not on_demand and epoch == int(epoch)
        open_blind(self.shell, (int(epoch) if ratable else 0) or None)

    def action_grades(self) -> None:
        """Show the grades of the whole hold-out."""
        from opeddev_tui.ui.screens.generations.grades import GradesScreen

        self.shell.push_screen(GradesScreen())

    def action_table(self, what: str) -> None:
        """Show all probe prompts in one table, at once with the search where ``what`` says so."""
        from opeddev_tui.ui.screens.generations.probes import ProbesScreen, Shown

        def read(shown: Shown | None) -> None:
            if shown is not None:
                self._prompt, self._pair.left, self._pair.right = shown.prompt, shown.left, shown.right
                self.shell.show_now()

        self.shell.push_screen(ProbesScreen(self._pair.left, self._pair.right, searching=what == "filter"), read)

    def action_own_prompt(self) -> None:
        """Add a prompt of one's own."""
        from opeddev_tui.ui.screens.note import OWN_PROMPT, ask_prompt

        shell = self.shell

        def keep(prompt: str) -> None:
            def failed(reason: str) -> None:
                shell.session.drafts[OWN_PROMPT] = prompt
                shell.tell(reason, severity="error")

            prompts = shell.loaded.settings.generation.prompts
            kept = partial(shell.tell, "Kept: it is generated from the next start of a training on.")
            shell.disk.save_settings({"generation.prompts": [*prompts, prompt]}, failed, kept)

        if settings_can_be_saved(shell):
            ask_prompt(shell, keep)

    def action_pin(self) -> None:
        """Make the prompt on show a probe prompt of all next steps, or unpin it."""
        shown = self._pair.chosen()[1].samples if self._pair.points and not self.has_class("-empty") else ()
        if not shown:
            return
        asked = shown[self._prompt % len(shown)]
        if not settings_can_be_saved(self.shell):
            return
        if asked.own:
            self.shell.tell("A prompt of your own is always generated: it needs no pin.")
        elif not asked.id:
            self.shell.tell("This row has no id. Pin it by its number: generation.probes takes #3 for the third row.")
        else:
            self._save_pin(asked.id)

    def _save_pin(self, name: str) -> None:
        before = self.shell.loaded.settings.generation.probes
        probes = [item for item in before if item != name] if name in before else [*before, name]

        def saved() -> None:
            loaded = self.shell.loaded
            if loaded.settings.generation.probes == probes:
                done = "Pinned" if name in probes else "No longer pinned"
                self.shell.tell(f"{done}: {clean_line(name)}. It takes effect with the next start of a training.")
            else:
                origin = clean_line(loaded.origin("generation.probes"))
                self.shell.tell(f"Saved, but {origin} sets generation.probes and takes precedence.", severity="warning")
            self.shell.show_now()

        self.shell.disk.save_settings({"generation.probes": probes}, saved=saved)

    def text_to_copy(self) -> str:
        """Return the focused text."""
        return self.focused.text if isinstance(self.focused, TextPane) else ""
