"""Owns a blind round: two texts without names, one key each, then what was what and the score."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui import human
from opeddev_tui.events import Preference, Rated, RatingUndone
from opeddev_tui.human import Answer, Pair
from opeddev_tui.state import RunState
from opeddev_tui.text import clean_line
from opeddev_tui.ui.generations.panes import TextPane, scroll_together
from opeddev_tui.ui.generations.reveal import revealed
from opeddev_tui.ui.generations.texts import coloured, compared
from opeddev_tui.ui.keys import BLIND, Key, bindings
from opeddev_tui.ui.panes.bars import ClickBar
from opeddev_tui.ui.recording import Recorder

if TYPE_CHECKING:
    from opeddev_tui.ui.app import OpeddevApp


class BlindScreen(ModalScreen[None]):
    """One round on one epoch. What was rated is on its way to the journal at once."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        BLIND, priority=[key.keys for key in BLIND if key.action.startswith(("answer", "move"))]
    )
    CSS_PATH = "blind.tcss"
    AUTO_FOCUS = ""  # a frame that stands out would favour a side

    def __init__(self, state: RunState, run: str, epoch: int, seed: int, *, confidence: float, guard: float) -> None:
        super().__init__()
        self._state, self._run, self._epoch, self._seed = state, run, epoch, seed
        self._confidence, self._guard = confidence, guard
        self._pairs = human.pairs(state, epoch, seed)
        given = human.ratings_of(state, epoch)
        # in the order they were given: undo takes the last one
        self._given: dict[int, Preference] = {at: rated.preferred for at, rated in given.items()}
        self._shown_at = float("inf")

    @property
    def boss(self) -> OpeddevApp:
        """The app, with its type."""
        return cast("OpeddevApp", self.app)

    def compose(self) -> Iterable[Widget]:
        """Make the heading, the question, the two sides, the keys."""
        yield Static(markup=False, id="round")
        with Horizontal(id="asked"):
            yield TextPane("Prompt", id="probe")
            yield TextPane("Reference", id="wanted")
        with Horizontal(id="texts"):
            yield TextPane("Left", id="left")
            yield TextPane("Right", id="right")
        yield TextPane("What was what", id="names")
        yield ClickBar(id="keys")

    def on_mount(self) -> None:
        """Show the first prompt that is not rated."""
        self._recorder = Recorder(self.boss)
        scroll_together(self, self.query_one("#left", TextPane), self.query_one("#right", TextPane))
        self._draw()

    def on_resize(self) -> None:
        """Fit the line of keys and the end to the new width."""
        self.call_after_refresh(self._draw_keys)
        if self._open is None:
            self.call_after_refresh(self._reveal)

    def _draw_keys(self) -> None:
        over = self._open is None
        wanted = [key for key in BLIND if key.footer and (not over or key.action == "leave")]
        parts = [
            (Content.styled(key.display.split(" ")[0], "bold $accent") + Content.styled(f" {key.label}", "$muted"),
             key.action)
            for key in wanted
        ]  # fmt: skip
        self.query_one("#keys", ClickBar).lay(parts)

    @property
    def _open(self) -> Pair | None:
        """The pair that is asked about, None when all are rated."""
        return next((pair for pair in self._pairs if pair.prompt not in self._given), None)

    def _draw(self) -> None:
        pair = self._open
        self._shown_at = time.monotonic()
        self.set_class(pair is None, "-over")
        self._draw_keys()
        done = sum(item.prompt in self._given for item in self._pairs)
        blocks = "■" * done + "□" * (len(self._pairs) - done)
        started = self._state.started
        step = f"step {started.step}, " if started is not None else ""
        words = f"epoch {self._epoch} against before the step" if pair is None else "which text is better?"
        head = Content.styled(" Blind round ", "bold $background on $accent")
        head += Content(f" {step}epoch {self._epoch} · {words} " if pair is not None else f" {step}{words} ")
        head += Content.styled(f"{blocks} {done} of {len(self._pairs)}", "bold $primary")
        self.query_one("#round", Static).update(head)
        if pair is None:
            self._reveal()
        else:
            self._ask(pair)

    def _ask(self, pair: Pair) -> None:
        kind = self._kind(pair)
        self.query_one("#probe", TextPane).set_text("Prompt", coloured(pair.asked, kind), place=pair.prompt)
        reference = coloured(pair.reference, kind) if pair.reference else Content.styled("None.", "$muted")
        self.query_one("#wanted", TextPane).set_text("Reference", reference, place=pair.prompt)
        texts = compared(pair.left_text, pair.right_text, kind, blind=True)
        same = "the same text on both sides" if pair.left_text == pair.right_text else ""
        for name, text in zip(("left", "right"), texts, strict=True):
            title = f"{'1' if name == 'left' else '2'} {name}"
            self.query_one(f"#{name}", TextPane).set_text(title, text, below=same, place=pair.prompt)

    def _kind(self, pair: Pair) -> str:
        made = human.generation_of(self._state, self._epoch)
        return made.samples[pair.prompt].kind if made is not None else ""

    def _reveal(self) -> None:
        pane = self.query_one("#names", TextPane)
        width = (pane.size.width or self.size.width - 4) - 2
        content = revealed(self._state, self._epoch, self._pairs, self._given, self._confidence, width)
        pane.set_text("What was what", content, place="over")
        pane.focus()

    # --- keys

    def action_answer(self, answer: Answer) -> None:
        """Rate the open pair, if it has been visible for a moment."""
        pair = self._open
        if pair is None or time.monotonic() - self._shown_at < self._guard:
            return
        choice = human.preferred(pair.left, pair.right, answer)
        self._given[pair.prompt] = choice
        rated = Rated(
            epoch=self._epoch,
            prompt=pair.prompt,
            left=pair.left,
            right=pair.right,
            preferred=choice,
            round_seed=self._seed,
        )
        self._recorder.say(self._run, rated, failed=lambda: self._forget(pair.prompt))
        self._draw()

    def _forget(self, prompt: int) -> None:
        """A rating was not taken by the disk: it is asked again."""
        self._given.pop(prompt, None)
        if self.is_mounted:
            self._draw()

    def _remember(self, prompt: int, choice: Preference) -> None:
        """An undo was not taken by the disk: the rating still stands."""
        self._given[prompt] = choice
        if self.is_mounted:
            self._draw()

    def action_undo(self) -> None:
        """Take the last rating back; once names are known that would no longer be blind."""
        if not self._given or self._open is None:
            self.boss.tell("Nothing to take back." if self._open else "The names are known: the round is closed.")
            return
        prompt, choice = self._given.popitem()
        undo = RatingUndone(epoch=self._epoch, prompt=prompt)
        self._recorder.say(self._run, undo, failed=lambda: self._remember(prompt, choice))
        self._draw()

    def action_move(self, step: int) -> None:
        """Scroll both sides, or the focused text."""
        focused = self.focused if isinstance(self.focused, TextPane) else self.query_one("#left", TextPane)
        focused.scroll_relative(y=2 * step, animate=False)

    def action_grow(self) -> None:
        """Both sides over the whole screen, or back; at the end, leave."""
        if self._open is None:
            self.action_leave()
        else:
            self.toggle_class("-grow-sides")

    def action_help(self) -> None:
        """Show the keys."""
        from opeddev_tui.ui.screens.help import HelpScreen

        sections: tuple[tuple[str, tuple[Key, ...]], ...] = (("Blind round", BLIND),)
        self.app.push_screen(HelpScreen(sections))

    def action_leave(self) -> None:
        """Leave; what was rated stays."""
        left = sum(pair.prompt not in self._given for pair in self._pairs)
        if self._given and left:
            self.boss.tell(f"{len(self._given)} of {len(self._pairs)} rated; the round counts when all are. b goes on.")
        self.dismiss()


def open_blind(boss: OpeddevApp, epoch: int | None = None) -> bool:
    """Begin a round on ``epoch`` (default: the newest) or go on with it; say why where there is none."""
    session = boss.session
    state = session.state
    made = [int(item.epoch) for item in state.samples if not item.on_demand and item.epoch > 0]
    chosen = epoch if epoch is not None else max(made, default=0)
    found = human.pairs(state, chosen, 0)
    before, now = human.generation_of(state, 0), human.generation_of(state, chosen)
    if session.read_only:
        boss.tell("This is a view of another process: rate where it was started.")
    elif not found:
        boss.tell("Nothing to rate yet: a round compares an epoch of this step with the state before it.")
    elif before is not None and now is not None and before.fingerprint == now.fingerprint:
        boss.tell(f"Same weights on both sides ({clean_line(now.fingerprint)[:12]}): there is nothing to rate.")
    else:
        settings = boss.loaded.settings
        known = human.seed_of(state, chosen)
        seed = known if known is not None else secrets.randbits(32)
        boss.push_screen(
            BlindScreen(
                state, session.run, chosen, seed,
                confidence=settings.early_stop.confidence, guard=settings.ui.guard_ms / 1000,
            )
        )  # fmt: skip
        return True
    return False
