"""A blind round: two texts without names, one key to prefer each; at the end the names and the score."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import ClassVar, cast

from msgspec.structs import replace
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.runs import ratings
from opeddev_tui.runs.events import Preference, Rated, RatingUndone
from opeddev_tui.runs.ratings import Answer, Pair
from opeddev_tui.runs.state import RunState
from opeddev_tui.terminal.textual_private import Dialog
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import BLIND, bindings
from opeddev_tui.ui.screens.generations.reveal import revealed
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.tasks.ratings import Recorder
from opeddev_tui.ui.widgets.bars import ClickBar, key_part
from opeddev_tui.ui.widgets.code_text import coloured, compared
from opeddev_tui.ui.widgets.text_pane import TextPane, scroll_together, scrolled_text, share_height


class BlindScreen(Dialog[None]):
    """One round on one epoch. Each rating is recorded at once."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(BLIND)
    CSS_PATH = "blind.tcss"
    AUTO_FOCUS = ""  # a frame that stands out would favour a side

    def __init__(
        self, state: RunState, run: str, epoch: int, seed: int, *, confidence: float, guard: float, undo_seconds: float
    ) -> None:
        super().__init__()
        self._undo_seconds = undo_seconds
        # shows the names some time after the last rating
        self._naming: Timer | None = None
        self._state, self._run, self._epoch, self._seed = state, run, epoch, seed
        self._confidence, self._guard = confidence, guard
        self._pairs = ratings.pairs(state, epoch, seed)
        given = ratings.ratings_of(state, epoch)
        # by prompt, in the order they were given: undo takes the last one
        self._given: dict[int, Preference] = {at: rated.preferred for at, rated in given.items()}
        # the names are shown: no rating would be blind any more
        self._named = self._open is None
        self._shown_at = float("inf")

    @property
    def shell(self) -> Shell:
        """The app, as far as a screen may know it."""
        return cast("Shell", self.app)

    def compose(self) -> Iterable[Widget]:
        """Make the heading, the prompt, the two sides, the keys."""
        yield Static(markup=False, id="round")
        with Horizontal(id="asked"):
            yield TextPane("Prompt", id="probe")
            yield TextPane("Reference", id="reference")
        with Horizontal(id="texts"):
            yield TextPane("Left", id="left")
            yield TextPane("Right", id="right")
        yield TextPane("What was what", id="names")
        yield ClickBar(id="keys")

    def on_mount(self) -> None:
        """Show the first prompt that is not rated."""
        self._recorder = Recorder(self.shell)
        scroll_together(self, self.query_one("#left", TextPane), self.query_one("#right", TextPane))
        self._draw()

    def on_resize(self) -> None:
        """Fit the keys, and the result of the round, to the new width."""
        self.call_after_refresh(self._draw_keys)
        if self._open is None:
            self.call_after_refresh(self._end)
        else:
            self.call_after_refresh(share_height, self.query_one("#asked"), self.query_one("#texts"))

    def _draw_keys(self) -> None:
        keys = self.shell.session.keymap.keys(BLIND)
        if self._open is None:
            ended = {"leave": "Leave"} if self._named else {"grow": "Show the names", "undo": "Undo", "leave": "Leave"}
            shown = [replace(key, label=ended[key.action]) for key in keys if key.action in ended]
        else:
            shown = [key for key in keys if key.footer]
        self.query_one("#keys", ClickBar).lay(key_part(key) for key in shown)

    @property
    def _open(self) -> Pair | None:
        """The pair that is to be rated now, None when all are rated."""
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
        # said from the start: which texts are compared tells nothing of which side is which
        question = "against before the step" if self._named else "or before the step: which is better?"
        head = Content.styled(" Blind round ", "bold $background on $accent")
        head += Content(f" {step}epoch {self._epoch} {question} ")
        head += Content.styled(f"{blocks} {done} of {len(self._pairs)}", "bold $primary")
        self.query_one("#round", Static).update(head)
        if pair is None:
            self._end()
        else:
            self._ask(pair)

    def _ask(self, pair: Pair) -> None:
        made = ratings.generation_of(self._state, self._epoch)
        kind = made.samples[pair.prompt].kind if made is not None else ""
        self.query_one("#probe", TextPane).set_text("Prompt", coloured(pair.asked, kind), place=pair.prompt)
        reference = coloured(pair.reference, kind) if pair.reference else Content.styled("None.", "$muted")
        self.query_one("#reference", TextPane).set_text("Reference", reference, place=pair.prompt)
        texts = compared(pair.left_text, pair.right_text, kind, blind=True)
        same = "the same text on both sides" if pair.left_text == pair.right_text else ""
        for key, name, text in zip("12", ("left", "right"), texts, strict=True):
            self.query_one(f"#{name}", TextPane).set_text(f"{key} {name}", text, below=same, place=pair.prompt)
        share_height(self.query_one("#asked"), self.query_one("#texts"))

    def _end(self) -> None:
        """Say what closes the round; once it is closed, show which side was which."""
        pane = self.query_one("#names", TextPane)
        if self._named:
            width = (pane.size.width or self.size.width - 4) - 2
            content = revealed(self._state, self._epoch, self._pairs, self._given, self._confidence, width)
            pane.set_text("What was what", content, place="over")
        else:
            told = (
                f"All are rated. In {self._undo_seconds:g} seconds, or by {{blind.grow}}, it is closed and shows "
                "which side was which; until then {blind.undo} takes the last rating back."
            )
            if self._naming is None:
                self._naming = self.set_timer(self._undo_seconds, self._show_names)
            pane.set_text("Names hidden", Content(self.shell.session.keymap.text(told)), place="rated")
        pane.focus()

    def _show_names(self) -> None:
        """Close the round and show the names."""
        self._wait_no_longer()
        self._named = True
        self._draw()

    def _wait_no_longer(self) -> None:
        if self._naming is not None:
            self._naming.stop()
            self._naming = None

    # --- keys

    def action_answer(self, answer: Answer) -> None:
        """Rate the pair on show, once it has been visible for the guard time."""
        pair = self._open
        if pair is None or time.monotonic() - self._shown_at < self._guard:
            return
        choice = ratings.preferred(pair.left, pair.right, answer)
        self._given[pair.prompt] = choice
        rated = Rated(
            epoch=self._epoch, prompt=pair.prompt, left=pair.left, right=pair.right,
            preferred=choice, round_seed=self._seed,
        )  # fmt: skip
        self._recorder.record(self._run, rated, failed=lambda: self._restore(pair.prompt, None))
        self._draw()

    def _restore(self, prompt: int, choice: Preference | None) -> None:
        """Go back to the rating that is in the journal (None: there is none): the disk did not take the newer one."""
        if choice is None:
            self._given.pop(prompt, None)
        else:
            self._given[prompt] = choice
        if self._open is not None:
            self._wait_no_longer()
        if self.is_running:
            self._draw()

    def action_undo(self) -> None:
        """Undo the last rating; once the names are known, another rating would no longer be blind."""
        if not self._given or self._named:
            self.shell.tell("The names are known: the round is closed." if self._named else "There is nothing to undo.")
            return
        self._wait_no_longer()
        self.set_focus(None)
        prompt, choice = self._given.popitem()
        undo = RatingUndone(epoch=self._epoch, prompt=prompt)
        self._recorder.record(self._run, undo, failed=lambda: self._restore(prompt, choice))
        self._draw()

    def action_move(self, step: int) -> None:
        """Scroll both sides, or the focused text."""
        scrolled_text(self, "left").scroll_relative(y=2 * step, animate=False)

    def action_ends(self, way: int) -> None:
        """Scroll to the top (-1) or to the end (1)."""
        scrolled_text(self, "left").go_to_end(way)

    def action_grow(self) -> None:
        """Grow the focused row of texts, or shrink it; close a round that is rated, leave a closed one."""
        if self._named:
            self.action_leave()
        elif self._open is None:
            # a key that was meant for the last pair shows no names
            if time.monotonic() - self._shown_at >= self._guard:
                self._show_names()
        elif isinstance(self.focused, TextPane):
            grown = self.has_class("-grow-sides") or self.has_class("-grow-top")
            top = self.focused.id in ("probe", "reference")
            self.set_class(not grown and top, "-grow-top")
            self.set_class(not grown and not top, "-grow-sides")

    def action_help(self) -> None:
        """Show the keys."""
        from opeddev_tui.ui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen((("Blind round", self.shell.session.keymap.keys(BLIND)),)))

    def action_leave(self) -> None:
        """Leave; the ratings are kept."""
        left = sum(pair.prompt not in self._given for pair in self._pairs)
        if self._given and left:
            rated = f"{len(self._given)} of {len(self._pairs)} rated"
            self.shell.tell(f"{rated}; the round counts once all are. {{generations.blind-round}} continues it.")
        self.dismiss()


def open_blind(shell: Shell, epoch: int | None = None) -> bool:
    """Begin or continue a round on ``epoch`` (default: the newest); return False, and say why, where there is none."""
    session = shell.session
    state = session.state
    made = [int(item.epoch) for item in state.samples if not item.on_demand and item.epoch > 0]
    chosen = epoch if epoch is not None else max(made, default=0)
    before, now = ratings.generation_of(state, 0), ratings.generation_of(state, chosen)
    if session.read_only:
        shell.tell("This is read only: nothing can be rated here.")
    elif not ratings.pairs(state, chosen, 0):
        shell.tell("Nothing to rate yet: a round compares an epoch of this step with the state before it.")
    elif before is not None and now is not None and before.fingerprint == now.fingerprint:
        shell.tell(f"Same weights on both sides ({clean_line(now.fingerprint)[:12]}): there is nothing to rate.")
    else:
        settings = shell.loaded.settings
        recorded = ratings.seed_of(state, chosen)
        seed = recorded if recorded is not None else secrets.randbits(32)
        shell.push_screen(
            BlindScreen(
                state, session.run, chosen, seed,
                confidence=settings.early_stop.confidence, guard=settings.ui.guard_ms / 1000,
                undo_seconds=settings.ui.undo_seconds,
            )
        )  # fmt: skip
        return True
    return False
