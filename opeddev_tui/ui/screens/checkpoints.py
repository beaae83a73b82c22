"""Owns the list of a run's checkpoints, and training from a chosen one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import DataTable, Static

from opeddev_tui.events import CheckpointSaved
from opeddev_tui.state import RunState
from opeddev_tui.text import clean_line
from opeddev_tui.ui.format import number, size
from opeddev_tui.ui.keys import CHECKPOINTS, Key, bindings
from opeddev_tui.ui.live import Start
from opeddev_tui.ui.screens.grid import Cell, Grid
from opeddev_tui.ui.screens.place import Place
from opeddev_tui.ui.screens.quit import AskScreen
from opeddev_tui.ui.view import View


class CheckpointsScreen(Place):
    """Step, epoch, losses, size, and whether a checkpoint can be trusted."""

    mode: ClassVar[str] = "checkpoints"
    own_keys: ClassVar[tuple[Key, ...]] = CHECKPOINTS
    BINDINGS: ClassVar[list[BindingType]] = bindings(CHECKPOINTS)

    def compose_body(self) -> Iterable[Widget]:
        """Make the table and the line below it."""
        yield Grid(
            ("checkpoint", "opt. step", "epoch", "train loss", "hold-out loss", "size", "state"), id="checkpoints"
        )
        yield Static(markup=False, id="detail", classes="detail")

    def show_body(self, view: View) -> None:
        """Show the checkpoints of the run on show."""
        self.query_one(Grid).fill(_rows(view.state))
        self._show_detail()

    def on_data_table_row_highlighted(self) -> None:
        """Tell where the selected one lies."""
        self._show_detail()

    def _show_detail(self) -> None:
        grid, state = self.query_one(Grid), self.boss.session.state
        chosen = state.checkpoints.get(grid.selected)
        if not grid.row_count:
            words = "No checkpoints yet: one is saved after every epoch, and with w on the monitor."
        elif chosen is None:
            words = "This one is not used: it cannot be trusted."
        else:
            digest = clean_line(chosen.digest)[:16]
            words = f"{clean_line(chosen.path)}\nSHA-256 of its manifest {digest}…\nEnter: train from here."
        self.query_one("#detail", Static).update(Content(words))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a row."""
        event.stop()
        self.action_resume_from()

    def action_resume_from(self) -> None:
        """Ask, then train the next step from the selected checkpoint."""
        session = self.boss.session
        chosen = session.state.checkpoints.get(self.query_one(Grid).selected)
        if chosen is None:
            return
        if session.read_only or self.boss.live.running or session.whose == "other":
            self.boss.tell(
                "A training is running (or this is read only): nothing can be started now.", severity="warning"
            )
            return
        words = f"A new run starts from the weights of {clean_line(os.path.basename(chosen.path))}."
        answers = (("y", "yes", "Start it"), ("c", "", "Cancel"))
        path = chosen.path

        def start(answer: str | None) -> None:
            if answer == "yes":
                self.boss.start_training(Start(new=True, start_from=path))
                self.boss.action_go("monitor")

        self.boss.push_screen(AskScreen("Train from this checkpoint?", words, answers), start)

    def text_to_copy(self) -> str:
        """Return the path of the selected one."""
        return clean_line(self.query_one(Grid).selected)


def _rows(state: RunState) -> list[tuple[str, tuple[Cell, ...]]]:
    by_path = {row.checkpoint: row for row in state.epochs.values() if row.checkpoint}
    best = state.finished.best_checkpoint if state.finished else ""
    best_epoch = state.best_epoch()
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for saved in sorted(state.checkpoints.values(), key=lambda item: item.global_step, reverse=True):
        row = by_path.get(saved.path)
        is_best = saved.path == best or (row is not None and row.epoch == best_epoch)
        rows.append((saved.path, (
            os.path.basename(saved.path), str(saved.global_step), f"{saved.epoch:.2f}",
            number(row.train_loss if row else None, 4), number(row.val_loss if row else _holdout(state, saved), 4),
            size(saved.size), "✓ verified" + (" ★ best" if is_best else ""),
        )))  # fmt: skip
    for bad in state.rejected:
        rows.append((f"rejected {bad.path}", (os.path.basename(bad.path), "–", "–", "–", "–", "–", f"✗ {bad.problem}")))
    return rows


def _holdout(state: RunState, saved: CheckpointSaved) -> float | None:
    scored = state.holdout.get(int(saved.epoch)) if saved.epoch == int(saved.epoch) else None
    return scored.loss if scored else None
