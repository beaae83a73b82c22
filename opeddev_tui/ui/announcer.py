"""Tell people what happens besides drawing it: notices, the window's title, short messages.

All of it is written by the app's driver on the UI thread: nothing crosses a picture, and a lost terminal gets nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opeddev_tui.notices.rules import Notice, Notices
from opeddev_tui.notices.terminal import sequence, title_sequence
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import command_words
from opeddev_tui.text import clean_line
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.state.situation import Kind
from opeddev_tui.ui.state.view import View

# worth no notice, and too many to be followed twice
_MEASURES = (ev.Progress, ev.HardwareSampled, ev.SamplesStreaming)
_TITLES: Mapping[str, str] = {
    "starting": "starting",
    "training": "training",
    "paused": "paused",
    "stalled": "stalled",
    "awaiting": "waits for your decision",
    "interrupted": "stopped",
    "failed": "failed",
    "finished": "done",
}


class Announcer:
    """Follows the training and tells what a person should notice."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._notices = Notices(shell.loaded.settings.notify)
        self._title = ""
        self._kind: Kind = "reading"

    def tell(self, events: Iterable[ev.AnyEvent]) -> None:
        """Tell those of ``events`` that a person should notice."""
        session = self._shell.session
        self._notices.settings = session.loaded.settings.notify
        for event in events:
            notice = None if isinstance(event, _MEASURES) else self._notices.take(event)
            if event.at < session.started_at:
                continue  # a resumed run tells its past first
            if notice is not None:
                self._send(notice)
            tell = _TELLS.get(type(event))
            if tell is not None:
                tell(self._shell, event)

    def look(self, view: View) -> None:
        """Give the window its title; send a notice when the training of this process stalls."""
        kind = view.situation.kind
        if kind == "stalled" != self._kind and view.trained_by != "none":
            notice = self._notices.stalled(view.now - view.state.last_event_at)
            if notice is not None:
                self._send(notice)
        self._kind = kind
        title = title_of(view, kind)
        if title != self._title and self._shell.session.loaded.settings.notify.terminal:
            self._title = title
            self._write(title_sequence(title, os.environ))

    def forget(self) -> None:
        """The terminal shows nobody knows what: its window gets its title again."""
        self._title = ""

    def _send(self, notice: Notice) -> None:
        if self._shell.session.loaded.settings.notify.terminal:
            self._write(sequence(notice, os.environ))

    def _write(self, text: str) -> None:
        if text:
            self._shell.write_to_terminal(text)


def title_of(view: View, kind: Kind) -> str:
    """Return the window's title: what is the case, in a few words."""
    started, words = view.state.started, _TITLES.get(kind)
    if started is None or words is None:
        return "opeddev-tui"
    return f"opeddev step {started.step} ({clean_line(started.batch, max_chars=40)}): {words}"


def _saved(shell: Shell, event: ev.CheckpointSaved) -> None:
    shell.tell(f"Saved and verified: optimizer step {event.global_step}.", logged=True)


def _decided(shell: Shell, event: ev.Decided) -> None:
    """After a stop that the person at this screen saw, ask what was seen."""
    here = shell.session.answered == event.epoch if event.by == "person" else shell.session.trained_by == "mine"
    if event.choice == "stop" and event.by in ("person", "limit") and here:
        from opeddev_tui.ui.screens.note import ask_note

        ask_note(shell, shell.session.current_run, shell.session.current, stopped=True)


def _warned(shell: Shell, event: ev.Warned) -> None:
    shell.tell(event.message, severity="information" if event.routine else "warning", logged=True)


def _answered(shell: Shell, event: ev.CommandTaken) -> None:
    """Say why a command was not carried out, or what it needed no carrying out for."""
    if event.reason:
        told = "" if event.done else "not done: "
        shell.tell(
            f"{command_words(event.command)}: {told}{event.reason}.",
            severity="information" if event.done else "warning",
            logged=True,
        )


def _failed(shell: Shell, event: ev.RunFailed) -> None:
    shell.tell(event.message, severity="error", logged=True)
    shell.disk.refresh()


def _finished(shell: Shell, event: ev.RunFinished) -> None:  # noqa: ARG001 - same shape as the others
    shell.disk.refresh()


_TELLS: dict[type, Callable[[Shell, Any], None]] = {
    ev.CheckpointSaved: _saved,
    ev.Decided: _decided,
    ev.Warned: _warned,
    ev.CommandTaken: _answered,
    ev.RunFailed: _failed,
    ev.RunFinished: _finished,
}
