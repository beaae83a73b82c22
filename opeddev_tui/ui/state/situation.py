"""Kinds of situations: which one the workspace is in, and the types of what the decision bar shows.

No text of the screen: ``situation_text`` makes that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from opeddev_tui.runs.history import status_of

if TYPE_CHECKING:
    from opeddev_tui.ui.state.view import View

Kind = Literal[
    "no workspace", "reading", "problem", "empty", "ready", "starting", "training", "paused", "stalled",
    "awaiting", "interrupted", "failed", "finished",
]  # fmt: skip

MARKS: dict[str, str] = {
    "no workspace": "○", "reading": "◌", "problem": "✗", "empty": "○", "ready": "○", "starting": "…",
    "training": "▶", "paused": "‖", "stalled": "!", "awaiting": "?", "interrupted": "■", "failed": "✗",
    "finished": "✓",
}  # fmt: skip


class Action(Struct, frozen=True):
    """Something a key does now. ``key`` is the name of the key's action, in what is shown the key as it is written.

    ``minor``: where there is no room for all, it goes before the effect of another one does.
    """

    action: str
    key: str
    label: str
    effect: str = ""
    minor: bool = False


# reads what the bar and the panes have no room for
IN_FULL = Action("in_full", "monitor.in-full", "In full")


class Situation(Struct, frozen=True):
    """What the bar shows. ``question`` identifies it: keys wait a moment after it has changed.

    ``finding`` is a second sentence of the headline. ``details`` are further lines: the bar shows those that it has
    room for, and a key shows all of them.
    """

    kind: Kind
    headline: str
    lines: tuple[str, ...] = ()
    offers: tuple[Action, ...] = ()
    question: tuple[object, ...] = ()
    details: tuple[str, ...] = ()
    finding: str = ""

    @property
    def mark(self) -> str:
        """A symbol, so that no meaning depends on colour."""
        return MARKS[self.kind]

    def offers_action(self, action: str) -> bool:
        """Return whether ``action`` is possible now."""
        return any(offer.action == action for offer in self.offers)


def kind_of(view: View) -> Kind:
    """Return the kind of situation that ``view`` is in."""
    if not view.has_workspace:
        return "no workspace"
    if view.starting:
        return "starting"
    if view.trouble and not view.alive:
        return "failed"
    if view.alive and not view.state.over:
        return _alive(view)
    if view.state.status == "empty":
        return _without_run(view)
    return status_of(view.state, alive=False)


def _alive(view: View) -> Kind:
    status = view.state.status
    if status in ("awaiting", "paused"):
        return status
    if view.now - view.state.last_event_at > view.stall_seconds:
        return "stalled"
    return "starting" if status == "starting" else "training"


def _without_run(view: View) -> Kind:
    if not view.scanned:
        return "reading"
    if view.blocked:
        return "problem"
    return "ready" if view.batches else "empty"
