"""What an app does with its terminal: it sends only changed cells, lends it to an editor, and ends when it is lost.

Must not use a private name of Textual: those are in ``textual_private``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from textual.driver import Driver

from opeddev_tui.terminal.ascii_fallback import ascii_only
from opeddev_tui.terminal.cell_diff import ShownCells
from opeddev_tui.terminal.hangup import TerminalLost, TerminalUnknown
from opeddev_tui.terminal.own_session import Owner
from opeddev_tui.terminal.textual_private import HangupDriver, PrivateApp

_LOG = logging.getLogger(__name__)
# seconds a picture may wait for the next one
_SWITCH_SECONDS = 0.01


class TerminalApp(PrivateApp):
    """An app in a terminal that may go away; ``owner`` is the process that owns it, None where this one does."""

    def __init__(self, *, driver_class: type[Driver] | None = None, owner: Owner | None = None) -> None:
        super().__init__(driver_class=driver_class)
        self._owner = owner
        self.shown_cells = ShownCells(ascii_only=ascii_only())
        self.only_changes = self.shown_cells.only_changes

    def on_mount(self) -> None:
        """Without its owner there is no terminal."""
        if self._owner is not None:
            self._owner.listen(lambda: self.on_terminal_lost(TerminalLost("its owner has died")))

    def on_resize(self) -> None:
        """After a resize the terminal's content is unknown: redraw everything."""
        self.shown_cells.forget()

    def on_terminal_unknown(self, _message: TerminalUnknown) -> None:
        """The terminal did not take everything that was sent."""
        self.action_redraw()

    def on_terminal_lost(self, message: TerminalLost) -> None:
        """Close the screen, since nobody can see it; a training goes on."""
        _LOG.info("the terminal is lost: %s", message.reason)
        self.exit("lost")

    def action_redraw(self) -> None:
        """Draw everything again, for a terminal that something else wrote to."""
        self.shown_cells.forget()
        self.screen.refresh(layout=True)

    def write_to_terminal(self, text: str) -> None:
        """Write control sequences between two pictures; an app without a terminal writes nothing."""
        if self.terminal_driver is not None:
            self.terminal_driver.write(text)

    def give_terminal_back(self) -> None:
        """Restore the terminal now, from a signal handler."""
        if self.terminal_driver is not None:
            self.terminal_driver.stop_application_mode()

    async def lend_terminal(self, command: Sequence[str]) -> bool:
        """Have ``command`` run in the terminal by its owner, the screen away meanwhile; False where that cannot be."""
        driver = self.terminal_driver
        if self._owner is None or not isinstance(driver, HangupDriver):
            return False
        driver.suspend_application_mode()
        try:
            await self._owner.edit(command)
        finally:
            driver.resume_application_mode()
            self.action_redraw()
        return True

    def delay_update(self, delay: float = 0.05) -> None:
        """Wait less than Textual before another screen is drawn: unchanged cells cost nothing here."""
        super().delay_update(min(delay, _SWITCH_SECONDS))
