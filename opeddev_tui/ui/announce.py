"""Owns what the app tells of an event besides drawing it: a notice, a bell, a question for an observation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opeddev_tui import events as ev

if TYPE_CHECKING:
    from opeddev_tui.ui.app import OpeddevApp


def announce(app: OpeddevApp, event: ev.AnyEvent) -> None:
    """Tell ``event`` if it is one that a person should notice."""
    tell = _TELLS.get(type(event))
    if tell is not None:
        tell(app, event)


def _ring(app: OpeddevApp, wanted: bool) -> None:
    if wanted and app.session.loaded.settings.notify.terminal:
        app.bell()


def _saved(app: OpeddevApp, event: ev.CheckpointSaved) -> None:
    app.tell(f"Saved and verified: optimizer step {event.global_step}.")


def _awaited(app: OpeddevApp, event: ev.DecisionAwaited) -> None:  # noqa: ARG001 - same shape as the others
    _ring(app, app.session.loaded.settings.notify.decision_awaited)


def _decided(app: OpeddevApp, event: ev.Decided) -> None:
    """After a stop that a person saw, ask what was seen."""
    if event.choice == "stop" and event.by in ("person", "limit"):
        from opeddev_tui.ui.screens.note import ask_note

        ask_note(app, app.session.current_run, app.session.current, stopped=True)


def _failed(app: OpeddevApp, event: ev.RunFailed) -> None:
    _ring(app, app.session.loaded.settings.notify.run_failed)
    app.tell(event.message, severity="error")
    app.disk.refresh()


def _finished(app: OpeddevApp, event: ev.RunFinished) -> None:  # noqa: ARG001
    _ring(app, app.session.loaded.settings.notify.run_finished)
    app.disk.refresh()


_TELLS: dict[type, Callable[[OpeddevApp, Any], None]] = {
    ev.CheckpointSaved: _saved,
    ev.DecisionAwaited: _awaited,
    ev.Decided: _decided,
    ev.RunFailed: _failed,
    ev.RunFinished: _finished,
}
