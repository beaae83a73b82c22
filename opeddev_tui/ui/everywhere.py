"""What the keys of every screen do: help, copy, quit, a pane by its number, commands, themes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from textual.command import Command, CommandPalette
from textual.screen import ModalScreen

from opeddev_tui.errors import Problem
from opeddev_tui.format import plural
from opeddev_tui.terminal.app import TerminalApp
from opeddev_tui.terminal.editor import being_edited, pager_command
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.state.app_state import AppState
from opeddev_tui.ui.state.training_thread import TrainingThread
from opeddev_tui.ui.tasks.workspace import WorkspaceTasks


class EverywhereKeys(TerminalApp):
    """The actions of ``keys.GLOBAL`` that need no workspace. The app gives what they look at."""

    session: AppState
    live: TrainingThread
    disk: WorkspaceTasks
    tell: Callable[..., None]
    _leaving = False
    _remembered_theme = ""
    # the theme that is used while the palette shows another one
    _preview: str | None = None

    def action_pane_number(self, number: int) -> None:
        """Go straight to a pane of the screen."""
        from opeddev_tui.ui.screens.base import BaseScreen

        if not isinstance(self.screen, BaseScreen):
            return
        panes = self.screen.panes
        if number <= len(panes):
            self.screen.go_to_pane(panes[number - 1])
        else:
            self.tell(
                f"This screen has {plural(len(panes), 'numbered pane')}." if panes else "This screen is one pane."
            )

    def action_command_line(self) -> None:
        """Open the line for commands."""
        from opeddev_tui.ui.screens.base import BaseScreen
        from opeddev_tui.ui.screens.command_line.carry_out import open_line

        if isinstance(self.screen, BaseScreen):
            open_line(cast("Shell", self), self, self.screen)

    def action_help(self) -> None:
        """Show the keys of this screen."""
        from opeddev_tui.ui.screens.base import BaseScreen
        from opeddev_tui.ui.screens.help import HelpScreen

        if isinstance(self.screen, BaseScreen):
            self.push_screen(HelpScreen(self.screen.help_sections()))

    def action_copy(self) -> None:
        """Copy the selected text, or what the focused part offers."""
        from opeddev_tui.ui.screens.base import BaseScreen

        text = self.screen.get_selected_text() or ""
        if not text and isinstance(self.screen, BaseScreen):
            text = self.screen.text_to_copy()
        if text:
            self.copy_to_clipboard(text)
            self.tell(f"Copied {len(text):,} characters.")

    def action_pager(self) -> None:
        """Show in the person's pager what the focused part offers, in full."""
        from opeddev_tui.ui.screens.base import BaseScreen

        if isinstance(self.screen, BaseScreen):
            self.show_in_pager(self.screen.text_to_read())

    def show_in_pager(self, text: str) -> None:
        """Hand this terminal to $PAGER with ``text``; the training goes on meanwhile."""
        if text:
            self.run_worker(self._page(text), group="editor", exclusive=True, exit_on_error=False)
        else:
            self.tell("There is no text here to read.")

    async def _page(self, text: str) -> None:
        try:
            with being_edited(text) as path:
                if not await self.lend_terminal(pager_command(path)):
                    self.tell("The pager cannot be opened here: this process does not own its terminal.",
                              severity="warning")  # fmt: skip
        except Problem as problem:
            self.tell(str(problem), severity="error")

    def action_leave(self) -> None:
        """Quit; ask first while this process trains. A choice that could still be undone is carried out."""
        if not self.live.running:
            if self.session.send_due(leaving=True) is None:
                self.exit("quit")
            else:
                self.run_worker(self._exit_once_sent())
            return
        if not self.session.starting and self.live.ends_with(self.session.current):
            self._leaving = True
            self.tell(f"Leaving; {self.live.afterwards or 'drawing the plots'} first …")
            return
        from opeddev_tui.ui.screens.quit import QuitScreen

        chosen, session = self.session.guard.chosen, self.session
        words = chosen.text if chosen is not None else ""
        screen = QuitScreen(
            session.current, session.keymap, chosen=words, starting=session.starting, answered=session.answer_given
        )
        self.push_screen(screen, self._leave)

    async def _exit_once_sent(self) -> None:
        """Quit once the training's mailbox has what was chosen: it is written in a thread, which an exit would end."""
        await self.workers.wait_for_complete([worker for worker in self.workers if worker.group == "send"])
        self.exit("quit")

    async def action_quit(self) -> None:
        """Quit by Textual's own key, with the same question."""
        self.action_leave()

    def action_help_quit(self) -> None:
        """Ctrl+C ends nothing here: say which key quits."""
        over = isinstance(self.screen, ModalScreen)
        self.tell(
            "Close this first; then {everywhere.quit} quits."
            if over
            else "{everywhere.quit} quits, {everywhere.copy} copies."
        )

    def _leave(self, answer: str | None) -> None:
        if answer == "detach":
            self.session.send_due(leaving=True)
            self.exit("detach")
        elif answer == "stop":
            self._leaving = True
            self.live.stop("stopped by the person on quitting")
            self.tell("Saving, then leaving …")

    # --- themes

    def refresh_css(self, animate: bool = True) -> None:
        """Style every screen anew, a dialog on top too: Textual leaves that one as it was."""
        super().refresh_css(animate=animate)
        if len(self.screen_stack) > 1:
            self.stylesheet.update(self.screen, animate=animate)

    def choose_theme(self, name: str) -> None:
        """Use a theme from now on, also where it is shown as a preview already."""
        self._preview = None
        self.theme = name
        self._remember_theme(name)

    def on_command_palette_option_highlighted(self, event: CommandPalette.OptionHighlighted) -> None:
        """Show a theme while it is the palette's selected line."""
        option = event.highlighted_event.option
        text = (option.hit.text or "") if isinstance(option, Command) else ""
        before = self._preview or self.theme
        shown = text.removeprefix("Theme: ") if text.startswith("Theme: ") else before
        if shown in self.available_themes and CommandPalette.is_open(cast("Any", self)):
            self._preview = before
            self.theme = shown

    def on_command_palette_closed(self, event: CommandPalette.Closed) -> None:  # noqa: ARG002 - Textual's signature
        """Back to the theme of before, unless another one was chosen: that follows."""
        before, self._preview = self._preview, None
        if before is not None:
            self.theme = before

    def _remember_theme(self, name: str) -> None:
        if (
            self._preview is None
            and name != self._remembered_theme
            and self.session.has_workspace
            and not self.session.read_only
        ):
            self._remembered_theme = name
            self.disk.save_settings({"ui.theme": name})
