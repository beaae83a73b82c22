"""Owns the generations: each probe prompt with what any two points of the training wrote for it, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.events import Sample
from opeddev_tui.format import number, signed
from opeddev_tui.text import clean_line
from opeddev_tui.ui.generations.panes import TextPane, scroll_together
from opeddev_tui.ui.generations.points import Key as PointKey
from opeddev_tui.ui.generations.points import Point, before_step, index_of, points, same_weights
from opeddev_tui.ui.generations.strip import strip
from opeddev_tui.ui.generations.texts import coloured, compared
from opeddev_tui.ui.keys import GENERATIONS, Key, bindings
from opeddev_tui.ui.panes.bars import ClickBar
from opeddev_tui.ui.screens.place import Place
from opeddev_tui.ui.view import View

NONE_YET = "No generations yet: the probe prompts are generated before the step and after every epoch."
NO_PROBES = "No probe prompts: the setting generation.num_probes is 0."


class GenerationsScreen(Place):
    """Any two points of the training beside each other."""

    mode: ClassVar[str] = "generations"
    own_keys: ClassVar[tuple[Key, ...]] = GENERATIONS
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        GENERATIONS, priority=("up,pageup", "down,pagedown", "j,n,right,l", "k,p,left,h")
    )
    AUTO_FOCUS = "#right"
    CSS_PATH = "generations.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._prompt = 0
        # None follows: the left side the beginning of the step, the right side the newest generation
        self._left: PointKey | None = None
        self._right: PointKey | None = None
        self._marks = True
        self._points: list[Point] = []
        self._run = ""

    def compose_body(self) -> Iterable[Widget]:
        """Make the heading, the strip and the four texts."""
        yield Static(markup=False, id="which", classes="hint")
        yield ClickBar(id="strip")
        with Horizontal(id="asked"):
            yield TextPane("Prompt", id="probe")
            yield TextPane("Reference", id="wanted")
        yield Static(markup=False, id="same")
        with Horizontal(id="texts"):
            yield TextPane("Left", id="left")
            yield TextPane("Right", id="right")

    def on_mount(self) -> None:
        """Tie the two sides together."""
        scroll_together(self, self.query_one("#left", TextPane), self.query_one("#right", TextPane))

    def show_body(self, view: View) -> None:
        """Show one prompt at two points."""
        if view.run != self._run:
            self._run, self._left, self._right = view.run, None, None
        self._points = points(view.previous, view.state)
        self.set_class(not self._points, "-empty")
        if not self._points or self._points[-1].key[0] != getattr(view.state.started, "run", ""):
            self.set_class(True, "-empty")
            self.query_one("#which", Static).update(Content(NO_PROBES if view.state.samples else NONE_YET))
            return
        left, right = self._chosen()
        asked = self._points[right].samples
        self._prompt %= len(asked)
        self._draw(left, right, asked[self._prompt], len(asked))

    def _chosen(self) -> tuple[int, int]:
        found = self._points
        return index_of(found, self._left, before_step(found)), index_of(found, self._right, len(found) - 1)

    def _draw(self, at_left: int, at_right: int, asked: Sample, count: int) -> None:
        left, right = self._points[at_left], self._points[at_right]
        self._head(left, right, asked, count)
        bar = self.query_one("#strip", ClickBar)
        bar.lay(strip(self._points, at_left, at_right, bar.size.width or 80), gap=1)
        kind = asked.kind
        name = clean_line(asked.id) or str(self._prompt + 1)
        title = f"Prompt {name}" + (f" · {clean_line(kind)}" if kind and kind != "own" else "")
        self.query_one("#probe", TextPane).set_text(title, coloured(asked.prompt, kind), place=asked.prompt)
        self._reference(asked)
        words = same_weights(left, right)
        same = self.query_one("#same", Static)
        same.display = bool(words)
        same.update(Content.styled(f"! {words}", "bold $warning"))
        self._sides(left, right, asked)

    def _head(self, left: Point, right: Point, asked: Sample, count: int) -> None:
        change = signed(right.loss - left.loss, 4) if left.loss is not None and right.loss is not None else ""
        loss = f"hold-out loss {number(left.loss, 4)} → {number(right.loss, 4)}" + (f" ({change})" if change else "")
        head = Content.styled(f"Prompt {self._prompt + 1} of {count}", "bold $primary")
        parts = [head, Content(loss)]
        if asked.own:
            parts.insert(1, Content("your own"))
        elif asked.id in self.boss.loaded.settings.generation.probes:
            parts.insert(1, Content.styled("pinned", "bold $success"))
        if not self._marks:
            parts.append(Content("differences not marked"))
        self.query_one("#which", Static).update(Content.styled(" · ", "$muted").join(parts))

    def _reference(self, asked: Sample) -> None:
        pane = self.query_one("#wanted", TextPane)
        grade = f"grade {asked.reference_grade}" if asked.reference_grade is not None else ""
        if asked.own or not asked.reference:
            none = Content.styled("None: this is a prompt of your own." if asked.own else "None in the row.", "$muted")
            pane.set_text("Reference", none, place=asked.prompt)
        else:
            pane.set_text("Reference", coloured(asked.reference, asked.kind), below=grade, place=asked.prompt)

    def _sides(self, left: Point, right: Point, asked: Sample) -> None:
        answers = left.answer(asked), right.answer(asked)
        if answers[0] is not None and answers[1] is not None:
            texts = compared(answers[0].text, answers[1].text, asked.kind, marks=self._marks)
        else:
            texts = tuple(_alone(answer, asked.kind) for answer in answers)
        for name, point, answer, text in zip(("left", "right"), (left, right), answers, texts, strict=True):
            mark = "L" if name == "left" else "R"
            self.query_one(f"#{name}", TextPane).set_text(
                f"{mark}▸ {point.label}", text, below=judged(answer), place=(point.key, asked.prompt)
            )

    # --- keys

    def action_epoch(self, step: int) -> None:
        """Show a later or an earlier point on the right; past the newest it follows again."""
        if self._points:
            at = max(0, min(self._chosen()[1] + step, len(self._points) - 1))
            self._right = None if at == len(self._points) - 1 else self._points[at].key
            self.boss.show_now()

    def action_left_epoch(self, step: int) -> None:
        """Show a later or an earlier point on the left."""
        if self._points:
            at = max(0, min(self._chosen()[0] + step, len(self._points) - 1))
            self._left = self._points[at].key
            self.boss.show_now()

    def action_left_first(self) -> None:
        """The first point on the left, or the beginning of this step again."""
        if self._points:
            first = self._points[0].key
            self._left = None if self._left == first else first
            self.boss.show_now()

    def action_right_point(self, at: int) -> None:
        """Show the point that was clicked on the right."""
        if at < len(self._points):
            self._right = self._points[at].key
            self.boss.show_now()

    def action_prompt(self, step: int) -> None:
        """Go to another prompt."""
        self._prompt += step
        self.boss.show_now()

    def action_marks(self) -> None:
        """Mark differences, or not."""
        self._marks = not self._marks
        self.boss.show_now()

    def action_move(self, step: int) -> None:
        """Scroll the focused text; a side takes the other one with it."""
        focused = self.focused if isinstance(self.focused, TextPane) else self.query_one("#right", TextPane)
        focused.scroll_relative(y=2 * step, animate=False)

    def action_grow(self) -> None:
        """Grow what is focused, or back."""
        top = isinstance(self.focused, TextPane) and self.focused.id in ("probe", "wanted")
        grown = self.has_class("-grow-sides") or self.has_class("-grow-top")
        self.set_class(not grown and top, "-grow-top")
        self.set_class(not grown and not top, "-grow-sides")
        self.call_after_refresh(self.boss.show_now)

    def action_shrink(self) -> None:
        """Back to all four texts."""
        self.remove_class("-grow-top", "-grow-sides")
        self.call_after_refresh(self.boss.show_now)

    def action_blind(self) -> None:
        """Begin or go on with a blind round."""
        from opeddev_tui.ui.screens.blind import open_blind

        state = self.boss.session.state
        right = self._points[self._chosen()[1]] if self._points else None
        mine = right is not None and right.key[0] == getattr(state.started, "run", "") and not right.key[3]
        epoch = int(right.key[1]) if right is not None and mine and right.key[1] == int(right.key[1]) else None
        open_blind(self.boss, epoch or None)

    def action_grades(self) -> None:
        """Show the grades of the whole hold-out."""
        from opeddev_tui.ui.screens.grades import GradesScreen

        self.boss.push_screen(GradesScreen())

    def action_observe(self) -> None:
        """Write an observation."""
        from opeddev_tui.ui.screens.note import ask_note

        ask_note(self.boss, self.boss.session.run, self.boss.session.state)

    def action_own_prompt(self) -> None:
        """Add a prompt of one's own."""
        from opeddev_tui.ui.screens.note import ask_prompt

        def take(words: str) -> None:
            known = list(self.boss.loaded.settings.generation.prompts)
            self.boss.disk.save_settings({"generation.prompts": [*known, words]})
            self.boss.tell("Kept: it is generated from the next start of a training on.")

        if self.boss.session.has_workspace and not self.boss.session.read_only:
            ask_prompt(self.boss, take)

    def action_pin(self) -> None:
        """Pin the shown prompt among the probe prompts of the next steps, or take the pin away."""
        session = self.boss.session
        shown = self._points[self._chosen()[1]].samples if self._points and not self.has_class("-empty") else ()
        if not shown:
            return
        asked = shown[self._prompt % len(shown)]
        if session.read_only or not session.has_workspace:
            self.boss.tell("Settings are saved in a workspace; there is none (or it is read only).", severity="warning")
        elif asked.own:
            self.boss.tell("A prompt of your own is always generated: it needs no pin.")
        elif not asked.id:
            self.boss.tell("This row has no id. Pin it by its number: generation.probes takes #3 for the third row.")
        else:
            self._save_pin(asked.id)

    def _save_pin(self, name: str) -> None:
        known = self.boss.loaded.settings.generation.probes
        wanted = [item for item in known if item != name] if name in known else [*known, name]

        def saved() -> None:
            loaded = self.boss.loaded
            if loaded.settings.generation.probes == wanted:
                done = "Pinned" if name in wanted else "No longer pinned"
                self.boss.tell(f"{done}: {clean_line(name)}. It counts from the next start of a training on.")
            else:
                origin = clean_line(loaded.origin("generation.probes"))
                self.boss.tell(
                    f"Saved, but generation.probes is set by {origin}, which goes first.", severity="warning"
                )
            self.boss.show_now()

        self.boss.disk.save_settings({"generation.probes": wanted}, saved=saved)

    def text_to_copy(self) -> str:
        """Return the focused text."""
        return self.focused.text if isinstance(self.focused, TextPane) else ""


def _alone(answer: Sample | None, kind: str) -> Content:
    if answer is None:
        return Content.styled("This prompt was not among the probe prompts then.", "$muted")
    return coloured(answer.text, kind)


def judged(sample: Sample | None) -> str:
    """Return the grade read from the text, and whether it is the reference's, in words and not by colour."""
    if sample is None:
        return ""
    if sample.grade is None:
        return "no grade found" if sample.reference_grade is not None else ""
    if sample.reference_grade is None:
        return f"grade {sample.grade}"
    off = sample.grade - sample.reference_grade
    return f"grade {sample.grade} {'= reference' if off == 0 else f'({off:+d} from reference)'}"
